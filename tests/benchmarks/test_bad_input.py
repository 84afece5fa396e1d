"""What a user gets wrong: one line that says what, exit status 2, before any training, nothing left."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import cli
from benchmarks import runner as runner_module
from benchmarks.config import configure
from benchmarks.store import safe

DIGITS = ["--dataset", "digits", "--methods", "sdpoint"]


def refused(
    arguments: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """The one line that `run` says, after all that must hold of a refusal."""
    monkeypatch.setattr(runner_module.Runner, "run", lambda self: pytest.fail("it began to run"))
    own = [] if "--output" in arguments else ["--output", str(folder / "out")]
    monkeypatch.setattr(sys, "argv", ["benchmarks", "run", *arguments, *own])
    before = sorted(folder.rglob("*"))
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    written = capsys.readouterr()
    assert stopped.value.code == 2
    assert written.err.startswith("error: ")
    assert written.err.count("\n") == 1
    assert "Traceback" not in written.err
    assert written.out == ""
    assert [path for path in sorted(folder.rglob("*")) if "cache" not in path.parts] == before
    return written.err


ON_DIGITS = [
    (["--methods", "sdpont"], "'sdpoint'"),
    (["--methods", ""], "methods"),
    (["--methods", " "], "is no method"),
    (["--methods", "sdpoint:ratios=0.5,0.75"], "ratios=0.5/0.75"),
    (["--methods", "sdpoint:"], "key=value"),
    (["--methods", "sdpoint:bn"], "key=value"),
    (["--methods", "sdpoint:bn=uniform:bn=instance"], "'bn' is set twice"),
    (["--methods", "sdpoint:ratio=0.5"], "'ratios'"),
    (["--methods", "sdpoint:ratios=2"], "less than 1"),
    (["--methods", "sdpoint:ratios=nan"], "less than 1"),
    (["--methods", "sdpoint:ratios="], "valid number"),
    (["--methods", "sdpoint:ratios=0.5/0.5"], "differ"),
    (["--methods", "sdpoint:ratios=0.1"], "too small"),
    (["--methods", "earlyexit:weights=1"], "one per exit"),
    (["--methods", "earlyexit:init=/nowhere/weights"], "/nowhere/weights"),
    (["--dataset", "digit"], "digits"),
    (["--dataset", "d" * 300], "data set"),
    (["--dataset", "imagefolder"], "--data-root"),
    (["--dataset", "imagefolder", "--data-root", "/nowhere"], "/nowhere"),
    (["--backbone", "resnt8"], "resnet8"),
    (["--backbone", ""], "resnet8"),
    (["--backbone", "../résnet8"], "unknown backbone"),
    (["--backbone", "b" * 500], "unknown backbone"),
    (["--backbone", "resnet8:width=0"], "at least 1"),
    (["--recipe", "smok"], "'smoke'"),
    (["--recipe", "title"], "unknown recipe"),
    (["--metods", "sdpoint"], "--methods"),
    (["more"], "more"),
    (["--epochs", "0"], "epochs"),
    (["--epochs", "-3"], "epochs"),
    (["--epochs", "1.5"], "epochs"),
    (["--threads", "0"], "threads"),
    (["--points", "0"], "points"),
    (["--seeds", "abc"], "seeds"),
    (["--seeds", ""], "seeds"),
    (["--seeds", "-1"], "seeds"),
    (["--seeds", "4-0"], "4-0 names no seeds"),
    (["--seeds", "0-9999"], "more than 1,000"),
    (["--seeds", str(2**64)], "seeds"),
    (["--seeds", "3,3"], "seed"),
    (["--device", "tpu"], "'cuda'"),
    (["--latency", "slow"], "'quick'"),
    (["--set", "ratios=0.5"], "sdpoint.ratios"),
    (["--set", "nonsense"], "key=value"),
    (["--set", "earlyexit.rule=margin"], "not part of this run"),
    (["--set", "sdpoint.every=1", "--set", "sdpoint.every=2"], "twice"),
    (["--set", "digits.size=3"], "size"),
    (["--set", "recipe.lrr=1"], "'lr'"),
    (["--set", "recipe.title=mine"], "'title'"),
    (["--set", "recipe.lr=nan"], "recipe.lr"),
    (["--set", "recipe.lr=inf"], "recipe.lr"),
    (["--set", "recipe.momentum=0"], "nesterov"),
    (["--set", "recipe.momentum=1"], "recipe.momentum"),
    (["--set", "recipe.gamma=0"], "recipe.gamma"),
    (["--set", "recipe.batch=1"], "recipe.batch"),
    (["--set", "recipe.milestones=x"], "recipe.milestones"),
    (["--config", "/nowhere/run.toml"], "/nowhere/run.toml"),
]


@pytest.mark.parametrize(
    ("arguments", "said"),
    ON_DIGITS,
    ids=lambda value: value if isinstance(value, str) else " ".join(value)[:60],
)
def test_a_mistake_is_one_line_before_anything_is_done(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    given = dict(zip(DIGITS[::2], DIGITS[1::2], strict=True))
    defaults = [text for key, value in given.items() if key not in arguments for text in (key, value)]
    assert said in refused([*defaults, *arguments], tmp_path, monkeypatch, capsys)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_where_there_is_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--device cpu" in refused([*DIGITS, "--device", "cuda"], tmp_path, monkeypatch, capsys)


def pictures(root: Path, size: tuple[int, int] = (8, 8), classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    """A folder of pictures (width, height), eight to train and four to test on a class."""
    draws = np.random.default_rng(0)
    for part, count in (("train", 8), ("test", 4)):
        for name in classes:
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = draws.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{number}.png")
    return root


def spoil_image(root: Path) -> None:
    (root / "train/dog/3.png").write_bytes(b"not a picture")


def truncate_image(root: Path) -> None:
    path = root / "test/dog/3.png"
    path.write_bytes(path.read_bytes()[:60])


def empty_class(root: Path) -> None:
    for part in ("train", "test"):
        (root / part / "bird").mkdir()


def few_images(root: Path) -> None:
    for number in range(5):
        (root / f"train/dog/{number}.png").unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(spoil_image, "3.png"), (truncate_image, "3.png"), (empty_class, "bird"), (few_images, "too few")],
)
def test_spoiled_pictures_are_refused(
    spoil: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = pictures(tmp_path / "data")
    spoil(root)
    arguments = ["--dataset", "imagefolder", "--data-root", str(root)]
    assert said in refused(arguments, tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("size", "methods"),
    [((8, 8), "sdpoint:ratios=0.1"), ((1, 1), "sdpoint"), ((8, 3), "sdpoint"), ((3, 40), "sdpoint")],
)
def test_images_too_small_for_a_point_are_refused(
    size: tuple[int, int], methods: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    root = pictures(tmp_path / "data", size)
    arguments = ["--dataset", "imagefolder", "--data-root", str(root), "--methods", methods]
    assert "image is too small" in refused(arguments, tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x80\x04\x95pickle", b"\x02\0\0\0\0\0\0\0{}"])
def test_a_corrupt_or_foreign_checkpoint_is_refused(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    arguments = ["--dataset", "digits", "--methods", f"earlyexit:init={path}"]
    assert str(path) in refused(arguments, tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize("below", ["", "/run"])
def test_an_output_that_is_a_file_or_below_one_is_refused(
    below: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    arguments = [*DIGITS, "--output", f"{tmp_path}/file{below}"]
    assert "choose another --output" in refused(arguments, tmp_path, monkeypatch, capsys)
    assert (tmp_path / "file").read_text() == "mine"


def test_an_output_of_too_long_a_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*DIGITS, "--output", str(tmp_path / ("x" * 300))]
    assert "choose another --output" in refused(arguments, tmp_path, monkeypatch, capsys)


def test_a_read_only_output_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def touch(self: Path, *given: Any, **named: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", touch)
    assert "Permission denied" in refused(DIGITS, tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize(
    "text",
    [
        "= =", "methods = 3", "methods = []", "methods = [1]", "epochs = 'x'", "epochz = 3", "set = 3",
        "seeds = [0, 'x']", "seeds = 1.5", "threads = inf", "points = nan", "[set]\nratios = [1]",
        "[set.sdpoint.deep]\nx = 1",
    ],
)  # fmt: skip
def test_a_file_with_a_mistake_is_refused(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.toml"
    file.write_text(text)
    refused(["--dataset", "digits", "--config", str(file)], tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize("name", ["a/b", "../../x", "/etc/x", "ünï", "n" * 400])
def test_whatever_a_data_set_is_called_its_files_stay_in_the_runs_folder(name: str) -> None:
    folder = configure({"dataset_name": name}).folder()
    assert folder.parent == Path("runs")
    assert len(folder.name) < 150


def test_long_names_that_differ_at_their_ends_stay_apart() -> None:
    assert safe("x" * 300 + "1") != safe("x" * 300 + "2")
    assert len(safe("x" * 300)) == 150


def test_a_mistake_outside_of_any_test_is_one_line_too(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "run", "--latency", "fast", "--output", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: latency: Input should be 'quick', 'full' or 'off'\n"
    assert not list(tmp_path.iterdir())


def test_no_arguments_print_the_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 0
    assert "run" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["methods", "backbones", "datasets", "recipes"])
def test_every_list_names_its_entries(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "list", kind])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 0
    expected = {"methods": "sdpoint", "backbones": "resnet14", "datasets": "imagefolder", "recipes": "smoke"}
    assert expected[kind] in capsys.readouterr().out
