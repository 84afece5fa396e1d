"""Files are written whole and opened once: no two writers meet, and what is hashed is what is parsed."""

import contextlib
import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from methods import written
from methods.errors import MethodError
from methods.received import DigestError, arrays, content
from methods.storage import load_tensors, save_tensors
from methods.table import PathTable


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with written.aside(path) as one, written.aside(path) as other:
        one.write(b"one")
        other.write(b"other, which is longer")
        assert len(list(tmp_path.iterdir())) == 2
    assert path.read_bytes() == b"one"  # who ends last
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append(os.readlink(f"/proc/self/fd/{handle}")), sync(handle)))
    monkeypatch.setattr(os, "replace", lambda one, other: (done.append("renamed"), replace(one, other)))
    written.write(tmp_path / "file", b"x")
    first, second, third = done
    assert first.endswith(written.PARTIAL)
    assert (second, third) == ("renamed", str(tmp_path))


def test_what_killed_processes_leave_is_swept_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    for name in (".run.json.0123.partial", "jobs/.x.json.4567.partial", "run.json", "jobs/x.partial", ".hidden"):
        (tmp_path / name).touch()
    assert written.sweep(tmp_path) == 2
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"run.json", "jobs/x.partial", ".hidden"}


def a_table(path: Path) -> None:
    np.savez_compressed(path, a=np.arange(40), b=np.array(["x", "y"]))


def weights(path: Path) -> None:
    save_tensors({"a": torch.arange(40.0), "b": torch.zeros(2, dtype=torch.int64)}, path, {"model": "{}"})


@pytest.mark.parametrize(("make", "read"), [(a_table, arrays), (weights, load_tensors)])
def test_a_file_is_opened_once_and_has_to_be_the_one_that_was_recorded(
    tmp_path: Path, make: Callable[[Path], None], read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.npz"
    make(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    opened: list[Any] = []
    own = io.open

    def spy(file: Any, *given: Any, **named: Any) -> Any:
        opened.append(str(file))
        return own(file, *given, **named)

    monkeypatch.setattr(io, "open", spy)
    read(path, digest)
    assert opened == [str(path)]
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises((DigestError, MethodError), match="hash"):
        read(path, digest)
    with pytest.raises(DigestError):
        content(path, digest)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes of a table and of weights, and a place to damage them."""
    folder = tmp_path_factory.mktemp("files")
    a_table(folder / "t.npz")
    weights(folder / "w.safetensors")
    return {path.name: path.read_bytes() for path in folder.iterdir()} | {"folder": str(folder).encode()}


@given(st.sampled_from(["t.npz", "w.safetensors"]), st.integers(0, 10**6), st.integers(0, 7), st.booleans())
def test_damage_is_one_line_whatever_it_makes_of_the_libraries(
    files: dict[str, bytes], name: str, place: int, bit: int, cut: bool
) -> None:
    damaged, path = bytearray(files[name]), Path(files["folder"].decode()) / f"damaged-{name}"
    place %= len(damaged)
    damaged[place] ^= 1 << bit
    path.write_bytes(damaged[:place] if cut else damaged)
    load: Any = PathTable.load if name == "t.npz" else load_tensors
    said = ""
    try:
        load(path)
    except MethodError as error:
        said = str(error)
    assert "\n" not in said
    if name == "t.npz":
        with contextlib.suppress(ValueError):  # and nothing else
            arrays(path)
