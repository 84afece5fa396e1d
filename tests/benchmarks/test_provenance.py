"""What a result depends on: the method's file and what it imports, not its neighbours."""

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from harness import small

from benchmarks import provenance
from benchmarks.data import registry
from benchmarks.plan import prepare
from benchmarks.provenance import EXECUTION, TABLE, TIMING, TRAINING
from benchmarks.trainings import training


def names(roots: tuple[str, ...], *methods: str) -> set[str]:
    """The files a key covers."""
    starts = [provenance.ROOT / root for root in roots] + [provenance._file_of(method) for method in methods]
    return {path.relative_to(provenance.ROOT).as_posix() for path in provenance._closure(starts)}


def test_a_training_depends_on_its_method_the_core_and_the_loop_but_on_no_other_method() -> None:
    found = names(TRAINING, "sdpoint")
    assert {
        "methods/sdpoint.py", "methods/base.py", "methods/batchnorm.py", "methods/backbones/cifar.py",
        "methods/backbones/registry.toml", "benchmarks/training/loop.py", "benchmarks/data/batches.py",
        "benchmarks/training/recipes.py",
    } <= found  # fmt: skip
    others = {"methods/earlyexit.py", "methods/dynres.py", "benchmarks/timing/measure.py", "reports/figures/charts.py"}
    assert not others & found


def test_what_follows_a_training_depends_on_all_that_the_training_does() -> None:
    kinds = [names(roots, "plain") for roots in (TRAINING, TABLE, EXECUTION, TIMING)]
    assert all(one < next_one for one, next_one in pairwise(kinds))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project of three files: a imports b, c stands alone."""
    for name, text in {"a": "from methods import b", "b": "x = 1", "c": "y = 1"}.items():
        (tmp_path / "methods").mkdir(exist_ok=True)
        (tmp_path / "methods" / f"{name}.py").write_text(text)
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    for cached in (provenance.contents, provenance.sources, provenance.data_set, provenance._imports):
        cached.cache_clear()


def test_a_changed_import_changes_the_key_and_a_changed_neighbour_does_not(project: Path) -> None:
    before = provenance.sources(("methods/a.py",))
    forget()
    (project / "methods" / "c.py").write_text("y = 2")
    assert provenance.sources(("methods/a.py",)) == before
    forget()
    (project / "methods" / "b.py").write_text("x = 2")
    assert provenance.sources(("methods/a.py",)) != before


def test_sources_are_those_of_the_beginning_whatever_is_edited_meanwhile(project: Path) -> None:
    before = provenance.sources(("methods/a.py",))
    (project / "methods" / "b.py").write_text("x = 3")
    provenance.sources.cache_clear()
    assert provenance.sources(("methods/a.py",)) == before


def test_what_a_users_file_imports_from_beside_it_belongs_to_its_source(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import json\nfrom helper import value")
    (tmp_path / "helper.py").write_text("value = 1")
    (tmp_path / "stranger.py").write_text("value = 1")
    before = provenance.source_of(tmp_path / "mine.py")
    forget()
    (tmp_path / "stranger.py").write_text("value = 2")
    assert provenance.source_of(tmp_path / "mine.py") == before
    forget()
    (tmp_path / "helper.py").write_text("value = 2")
    assert provenance.source_of(tmp_path / "mine.py") != before


def test_a_data_set_is_its_file_and_all_that_the_file_imports_but_no_other_data_set() -> None:
    found = {
        path.relative_to(provenance.ROOT).as_posix() for path in provenance._closure([registry.files()["imagefolder"]])
    }
    assert {
        "datasets/imagefolder.py", "benchmarks/data/pictures.py", "benchmarks/data/decoding.py",
        "benchmarks/data/base.py", "benchmarks/data/hashing.py",
    } <= found  # fmt: skip
    assert not [name for name in found if name.startswith("datasets/") and name != "datasets/imagefolder.py"]
    assert not [name for name in found if not name.startswith(("datasets/", "benchmarks/data/"))]


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the folder of data sets, to edit."""
    shutil.copytree(registry.FOLDER, tmp_path / "datasets")
    monkeypatch.setattr(registry, "FOLDER", tmp_path / "datasets")
    forget()
    yield tmp_path / "datasets"
    forget()


def test_an_edited_data_set_changes_the_keys_of_trainings_on_it_and_on_no_other(tmp_path: Path, shelf: Path) -> None:
    plan = prepare(small(tmp_path / "run", methods="plain"))

    def key() -> str:
        forget()
        return training(plan, plan.candidates[0], 0).key

    before = key()
    (shelf / "svhn.py").write_text((shelf / "svhn.py").read_text() + "# edited")
    assert key() == before
    (shelf / "digits.py").write_text((shelf / "digits.py").read_text() + "# edited")
    assert key() != before


def test_sources_of_data_sets_are_those_of_the_beginning_whatever_is_edited_meanwhile(shelf: Path) -> None:
    before = provenance.data_set("svhn")
    (shelf / "svhn.py").write_text("x = 1")
    provenance.data_set.cache_clear()
    assert provenance.data_set("svhn") == before
