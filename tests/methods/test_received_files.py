"""Files of tables and weights that somebody else made: what they would take in memory is known before they take it."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from methods import received, sizes
from methods.backbones import build
from methods.errors import MethodError
from methods.registry import entries, method_class
from methods.sizes import outline
from methods.storage import load_tensors
from methods.table import PathTable
from methods.texts import visible

SHAPE = (3, 32, 32)


def archive(path: Path, compression: int = zipfile.ZIP_DEFLATED, **members: bytes) -> Path:
    """An .npz file with these bytes as its arrays."""
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


def npy(shape: tuple[int, ...], content: bytes, descr: str = "<i8") -> bytes:
    """An array whose header may say anything."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": descr, "fortran_order": False, "shape": shape})
    return header.getvalue() + content


@given(st.lists(st.integers(-5, 5), max_size=9), st.sampled_from(["int64", "float32", "bool", "U3"]))
def test_arrays_come_back_as_numpy_reads_them(values: list[int], dtype: str) -> None:
    file = io.BytesIO()
    np.savez_compressed(file, a=np.array(values).astype(dtype), b=np.array(1.5))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table.npz"
        path.write_bytes(file.getvalue())
        found = received.arrays(path)
    assert found["a"].dtype == np.dtype(dtype)
    assert found["a"].tolist() == np.array(values).astype(dtype).tolist()
    assert found["b"] == 1.5


def test_arrays_that_unfold_to_too_much_are_not_unfolded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(received, "SMALL", 10_000)
    path = archive(tmp_path / "bomb.npz", a=npy((100_000,), bytes(800_000)))
    assert path.stat().st_size < 2_000
    with pytest.raises(received.SizeError, match=r"its arrays take 800,\d+ bytes, \d+,\d+ at most"):
        received.arrays(path)
    with pytest.raises(MethodError, match="is not read: its arrays take"):
        PathTable.load(path)


@pytest.mark.parametrize(
    "content",
    [
        npy((10**15,), bytes(80)), npy((10**9, 10**9), bytes(8)), npy((-1,), bytes(8)), npy((9,), bytes(80)),
        npy((2,), b"", "|O"), b"\x93NUMPY\x07\x00", b"", b"no array",
    ],
    ids=["more", "far more", "less than none", "less", "objects", "format", "empty", "text"],
)  # fmt: skip
def test_no_memory_is_reserved_for_what_a_header_only_promises(tmp_path: Path, content: bytes) -> None:
    path = archive(tmp_path / "table.npz", a=content)
    with pytest.raises(ValueError, match=r"header|objects|format|magic|EOF|reading"):
        received.arrays(path)
    with pytest.raises(MethodError, match="is not a whole path table"):
        PathTable.load(path)


def test_an_archive_that_numpy_does_not_write_is_not_unfolded(tmp_path: Path) -> None:
    path = archive(tmp_path / "table.npz", zipfile.ZIP_LZMA, a=npy((2,), bytes(16)))
    with pytest.raises(ValueError, match="packed in another way"):
        received.arrays(path)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
def test_a_damaged_table_is_one_line(tmp_path: Path, share: float) -> None:
    path = tmp_path / "table.npz"
    np.savez(path, a=np.arange(999))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(MethodError, match="is not a whole path table"):
        PathTable.load(path)


@pytest.mark.parametrize("name", ["prediction", "loss", "labels", "sample_id", "uses", "work_macs", "answers"])
def test_a_table_whose_columns_do_not_fit_each_other_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "table.npz"
    a, n, w = 2, 6, 3
    arrays: dict[str, Any] = {
        "answers": np.array(["one", "two"]), "work": np.array(["a", "b", "c"]), "uncounted": np.array([], dtype=str),
        "work_macs": np.ones(w, dtype=np.int64), "uses": np.ones((a, w), dtype=bool),
        "labels": np.zeros(n, dtype=np.int64), "sample_id": np.arange(n),
        **{name: np.zeros((a, n)) for name in ("prediction", "label_rank", "max_prob", "margin", "entropy", "loss")},
    }  # fmt: skip
    np.savez(path, **arrays)
    assert PathTable.load(path).answers == ("one", "two")
    np.savez(path, **arrays | {name: arrays[name][..., :-1]})
    with pytest.raises(MethodError, match="is not a whole path table"):
        PathTable.load(path)


def test_names_in_a_table_steer_no_terminal(tmp_path: Path) -> None:
    assert visible("a\x1b[2Jb\u202ec\ttab\nline é 数") == "a\\u001b[2Jb\\u202ec\ttab\nline é 数"


@given(st.text(st.characters(categories=["Cc", "Cf", "Cs", "L", "Zl", "Zp"])))
def test_what_is_shown_holds_nothing_that_steers(text: str) -> None:
    shown = visible(text)
    assert visible(shown) == shown
    assert not set(shown) & {*map(chr, range(9)), "\x1b", "\x7f", "\x9b", "\u2028", "\u202e", "\u2066"}
    shown.encode()


def test_the_header_of_weights_is_of_a_bounded_size(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    with path.open("wb") as file:
        file.write((received.HEADER + 1).to_bytes(8, "little") + b"{")
        file.truncate(received.HEADER + 100)
    with pytest.raises(MethodError, match="is not read: its header takes 8,388,609 bytes"):
        load_tensors(path)


# Models -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(entries()))
def test_an_outline_has_the_weights_of_the_model(name: str) -> None:
    settings = method_class(name).Settings()
    found = outline(name, settings, "resnet8:width=4", 10, SHAPE)
    model = method_class(name)(build("resnet8:width=4", 10), settings, SHAPE)
    assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in model.state_dict().items()}
    assert all(value.is_meta for value in found.values())


def test_an_outline_draws_nothing() -> None:
    before = torch.get_rng_state()
    outline("plain", method_class("plain").Settings(), "resnet8", 10, SHAPE)
    assert torch.equal(torch.get_rng_state(), before)


MANY = [f"resnet20:width={width}" for width in range(400, 440)]


@pytest.mark.parametrize(
    ("name", "settings", "backbone", "classes", "shape"),
    [
        ("plain", {}, "resnet8:width=100000", 10, SHAPE),
        ("plain", {}, "resnet8", 10**9, SHAPE),
        ("plain", {}, "resnet8", 10, (3, 100_000, 100_000)),
        ("plain", {"size": 50_000}, "resnet8", 10, SHAPE),
        ("static", {"sizes": [50_000]}, "resnet8", 10, SHAPE),
        ("sdpoint", {"ratios": [0.001 * number for number in range(1, 900)]}, "resnet8", 10, SHAPE),
        ("netselect", {"networks": MANY}, "resnet20:width=500", 10, SHAPE),
    ],
    ids=["width", "classes", "images", "plain", "static", "sdpoint", "networks"],
)
def test_a_model_that_would_not_fit_memory_is_said_to_be(
    name: str, settings: dict[str, Any], backbone: str, classes: int, shape: tuple[int, int, int]
) -> None:
    with pytest.raises(MethodError, match=r"^it (takes a tensor of|has more than)|^its settings hold") as told:
        outline(name, method_class(name).Settings.model_validate(settings), backbone, classes, shape)
    assert "\n" not in str(told.value)


def test_weights_of_too_many_tensors_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "TENSORS", 10)
    with pytest.raises(MethodError, match="10 tensors"):
        outline("plain", method_class("plain").Settings(), "resnet8", 10, SHAPE)


def test_what_makes_an_outline_loads_no_compiler() -> None:
    """It is made wherever a model is read: it has to be quick."""
    code = (
        "import sys\nfrom methods.registry import method_class\nfrom methods.sizes import outline\n"
        f"outline('sdpoint', method_class('sdpoint').Settings(), 'resnet8', 10, {json.dumps(SHAPE)})\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
