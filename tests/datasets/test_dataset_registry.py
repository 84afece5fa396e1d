import importlib
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from datasets import REGISTRY, DataError, load
from datasets.settings import typed

ENTRIES: dict[str, dict[str, Any]] = tomllib.loads(REGISTRY.read_text())


@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_names_a_function_and_says_what_it_is(name: str) -> None:
    entry = ENTRIES[name]
    module, function = entry["module"].split(":")
    assert callable(getattr(importlib.import_module(module), function))
    assert all(entry[key] for key in ("title", "licence", "citation"))
    assert isinstance(entry["download"], bool)
    for option in entry.get("options", ()):
        assert option["help"]
        if "default" in option:
            assert typed(name, [option], {option["name"]: str(option["default"])}) == typed(name, [option], {})


@pytest.mark.parametrize("name", ["shapes", "digits"])
def test_the_registry_states_the_sizes_that_the_data_sets_have(name: str) -> None:
    entry, data = ENTRIES[name], load(name)
    assert (len(data.train), len(data.test)) == (entry["train"], entry["test"])
    assert [*data.train.images.shape[2:]] == entry["size"]
    assert len(data.classes) == entry["classes"]


def test_an_unknown_data_set_names_the_nearest() -> None:
    with pytest.raises(DataError, match="no data set is called 'shape': did you mean shapes"):
        load("shape")
    with pytest.raises(DataError, match="known are cifar10, cifar100, digits, fashion-mnist, imagefolder, imagenet"):
        load("xyz")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trian": "100"}, "shapes has no setting 'trian': did you mean train"),
        ({"train": "many"}, "train is a whole number from 10 to 100000, not 'many'"),
        ({"train": "0"}, "train is a whole number from 10 to 100000, not '0'"),
        ({"seed": "1.5"}, "seed is a whole number"),
    ],
)
def test_a_wrong_setting_of_shapes_is_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load("shapes", settings=settings)


@pytest.mark.parametrize("name", ["shapes", "digits"])
def test_a_folder_for_a_data_set_without_files_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{name} needs no --data-root: leave it out"):
        load(name, tmp_path)


@pytest.mark.parametrize("text", ["", "yes", "1"])
def test_a_switch_is_true_or_false(text: str) -> None:
    with pytest.raises(DataError, match=f"imagefolder: stream is true or false, not '{text}'"):
        load("imagefolder", settings={"stream": text})


@pytest.mark.parametrize("text", ["nan", "0", "1", "half"])
def test_a_holdout_is_a_share(text: str) -> None:
    with pytest.raises(DataError, match=r"holdout is a number from 0.01 to 0.9"):
        load("imagefolder", settings={"holdout": text})


@pytest.mark.parametrize("text", ["", "../up", "two words"])
def test_a_name_can_be_part_of_a_file_name(text: str) -> None:
    with pytest.raises(DataError, match="name is a text of letters, digits, dots and dashes"):
        load("imagefolder", settings={"name": text})


def test_a_data_set_without_settings_says_so() -> None:
    with pytest.raises(DataError, match="digits has no setting 'size': it has none"):
        load("digits", settings={"size": "8"})


def test_importing_the_package_imports_no_torch() -> None:
    modules = ", ".join(f"datasets.{name}" for name in ("cifar", "imagefolder", "imagenet", "imagenette", "svhn"))
    code = f"import sys, datasets, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
