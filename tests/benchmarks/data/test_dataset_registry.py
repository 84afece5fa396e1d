import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from benchmarks.data import DataError, load, registry
from benchmarks.data.about import about
from benchmarks.data.base import DataSet
from benchmarks.data.registry import files, module
from benchmarks.data.settings import typed
from methods.userfiles import forgotten

FILES = files()


@pytest.mark.parametrize("name", FILES)
def test_every_file_defines_load_and_says_what_it_is(name: str) -> None:
    said = about(FILES[name])
    assert callable(module(name).load)
    assert all(said[key] for key in ("title", "licence", "citation"))
    assert said == module(name).ABOUT
    for option in said.get("options", ()):
        assert option["help"]
        if "default" in option:
            assert typed(name, [option], {option["name"]: str(option["default"])}) == typed(name, [option], {})


@pytest.mark.parametrize("name", ["shapes", "digits"])
def test_the_files_state_the_sizes_that_the_data_sets_have(name: str, embedded: Mapping[str, DataSet]) -> None:
    entry, data = about(FILES[name]), embedded[name]
    assert (len(data.train), len(data.test)) == (entry["train"], entry["test"])
    assert data.train.images.shape[2:] == entry["size"]
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


def run(code: str, path: list[Path], cwd: Path) -> None:
    """Run code in a process of its own whose path begins with these folders; fails where it fails."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


HOUSE = registry.FOLDER.parent


def test_files_of_data_sets_import_no_torch() -> None:
    code = (
        "import sys; from benchmarks.data.registry import files, module\n"
        "assert not {'numpy', 'PIL'} & set(sys.modules)\n"
        "assert [module(name) for name in files()]\n"
        "sys.exit('torch' in sys.modules)"
    )
    run(code, [], HOUSE)


def test_a_package_called_datasets_that_is_installed_is_found_from_the_checkout_and_beside_it(tmp_path: Path) -> None:
    """It lies behind the checkout on the path, as what is installed does; the suite needs no such name."""
    package = tmp_path / "site" / "datasets"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("SOMEBODY_ELSES = True")
    (package / "shapes.py").write_text("SOMEBODY_ELSES = True")
    used = "from benchmarks.data import load; load('shapes', None, {'train': '10', 'test': '10'}).train.labels[9]\n"
    theirs = "import datasets.shapes; assert datasets.SOMEBODY_ELSES and datasets.shapes.SOMEBODY_ELSES\n"
    run(theirs + used, [tmp_path / "site"], HOUSE)
    run(used + theirs, [HOUSE, tmp_path / "site"], tmp_path)


def test_where_none_is_installed_the_name_means_a_folder_without_anything_to_import_from_it() -> None:
    spec = PathFinder.find_spec("datasets", [str(HOUSE)])
    assert spec is not None
    assert spec.origin is None
    assert spec.loader is None


def test_a_file_is_imported_once_whatever_folder_its_path_starts_from(monkeypatch: pytest.MonkeyPatch) -> None:
    once = module("digits")
    monkeypatch.chdir(HOUSE / "tests")
    monkeypatch.setattr(registry, "FOLDER", Path("..") / "datasets")
    with forgotten():
        assert module("digits") is once
    assert load("digits").train.fingerprint == once.load(None).train.fingerprint


def test_a_data_set_goes_to_another_process_that_has_loaded_no_file(tmp_path: Path) -> None:
    stored = tmp_path / "data.pickle"
    stored.write_bytes(pickle.dumps(load("digits")))
    code = f"import pickle; assert len(pickle.load(open({str(stored)!r}, 'rb')).train) == 1438"
    run(code, [HOUSE], tmp_path)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files of data sets are looked for instead."""
    monkeypatch.setattr(registry, "FOLDER", tmp_path / "datasets")
    (tmp_path / "datasets").mkdir()
    return tmp_path / "datasets"


ABOUT = 'ABOUT = {"title": "t", "licence": "l", "citation": "c", "download": False}\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "wrong.py does not say what it is: give it one ABOUT"),
        ("ABOUT = {'title': 'a' + str(1)}", "wrong.py does not say what it is: give it one ABOUT"),
        (ABOUT + ABOUT, "wrong.py does not say what it is: give it one ABOUT"),
        ("ABOUT = {\n'title'", "wrong.py, line 1, cannot be read"),
        ("ABOUT = {'title': 't', 'licence': 'l'}", "wrong.py does not say its citation, download"),
        (ABOUT.replace("title", "titel"), "wrong.py does not say its title"),
        (ABOUT.replace("{", "{'lisence': 1, "), "wrong.py says lisence: known are citation, classes, "),
        (ABOUT.replace("{", "{'options': [{'name': 'n'}], "), r"an option of .*wrong.py does not say its help, type"),
        (ABOUT + "import nowhere.at.all", "wrong.py cannot be imported: ModuleNotFoundError: No module named"),
        (ABOUT + "def laod(root): ...", "wrong.py defines no function `load`"),
        (ABOUT + "raise SystemExit(3)", "wrong.py cannot be imported: SystemExit: 3"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(text: str, message: str, folder: Path) -> None:
    (folder / "wrong.py").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        load("wrong")
    assert "\n" not in str(caught.value)


def test_saying_what_a_data_set_is_executes_nothing(folder: Path) -> None:
    (folder / "calm.py").write_text("raise AssertionError\n" + ABOUT)
    assert about(folder / "calm.py")["title"] == "t"


def test_without_files_one_line_says_so(folder: Path) -> None:
    with pytest.raises(DataError, match="holds no data sets: run from a checkout of the suite, or install it again"):
        load("digits")
