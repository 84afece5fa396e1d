"""The records of a run that somebody else made: of a bounded size, typed, and shown as text wherever they are shown."""

import json
import shutil
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from harness import Finished, unsealed
from typer.testing import CliRunner

from benchmarks import cli, stored
from benchmarks.cli import app
from benchmarks.cli.pick import lines, told
from benchmarks.config import configure
from benchmarks.core import received
from benchmarks.core.errors import UsageError
from benchmarks.core.written import write_text
from benchmarks.selection.budget import Budget
from benchmarks.selection.pick import pick
from methods.storage import save_tensors
from reports.data import records
from reports.data.provenance import command
from reports.html import render
from reports.html.pictures import sheets

Record = dict[str, Any]


@pytest.fixture
def copy(finished: Finished, tmp_path: Path) -> Path:
    """A copy of a finished run without its models."""
    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder, ignore=shutil.ignore_patterns("models", "checkpoints", "jobs"))
    return unsealed(folder)


def rewritten(folder: Path, change: Callable[[Record], object]) -> None:
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    change(record)
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")


OTHERWISE: list[Callable[[Record], object]] = [
    lambda r: r.update(warnings=["x", 3]),
    lambda r: r.update(failures=[{"name": "x"}]),
    lambda r: r.update(jobs={}),
    lambda r: r["jobs"][0].pop("reused"),
    lambda r: r.update(environment={"cpu": ["x"]}),
    lambda r: r["configuration"].update(set={"a.b": {"c": 1}}),
    lambda r: r["configuration"].update(plugin="x.py"),
    lambda r: r["data"].update(classes=[1]),
    lambda r: r["data"].update(image_shape=["3\nimport os", 8, 8]),
    lambda r: r["data"].update(image_shape=[3, 8, 10**6]),
    lambda r: r["data"].update(test_images="many"),
    lambda r: r["models"][0].update(settings=[]),
    lambda r: r["models"][0].update(weights_sha256=None),
    lambda r: r["models"][0]["executed_against_simulated"][0].pop("near"),
    lambda r: r.update(plain_macs={"torch": "x"}),
    lambda r: r.update(name=["x"]),
]


@pytest.mark.parametrize("change", OTHERWISE)
def test_a_field_of_another_kind_is_one_line_to_every_reader(copy: Path, change: Callable[[Record], object]) -> None:
    rewritten(copy, change)
    for read, error in ((stored.read, UsageError), (records.read, records.RecordError)):
        with pytest.raises(error, match="was written by another version") as told_:
            read(copy)
        assert "\n" not in str(told_.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda job: job.rpartition("-")[0] + "-/../../x",
        lambda job: job.rpartition("-")[0] + "-/etc/passwd",
        lambda job: job.rpartition("-")[0] + "-",
        lambda job: job + "/",
    ],
)
def test_a_job_names_no_file_outside_of_the_run(copy: Path, change: Callable[[str], str]) -> None:
    rewritten(copy, lambda r: [model.update(job=change(model["job"])) for model in r["models"]])
    with pytest.raises(UsageError, match="is no job's name"):
        stored.read(copy)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("seed", "0/.."), ("seed", "-1"), ("macs", "inf"), ("accuracy", "x"), ("calibration_macs", ""),
        ("storage_bytes", "1e400"), ("point", "elsewhere"), ("variant", "other"),
    ],
)  # fmt: skip
def test_a_row_of_another_kind_is_one_line(copy: Path, column: str, value: str) -> None:
    rows = pd.read_csv(copy / "points.csv", dtype=str, keep_default_na=False)
    rows.loc[rows.index[rows["kind"] == "point"][0], column] = value
    rows.to_csv(copy / "points.csv", index=False)
    with pytest.raises(UsageError, match="was written by another version") as told_:
        stored.read(copy)
    assert "\n" not in str(told_.value)


def test_lines_of_other_lengths_are_no_table(tmp_path: Path) -> None:
    for content in ("a,b\n1\n", "a,b\n1,2,3\n", 'a,b\n"' + "x" * 200_000 + '",1\n'):
        (tmp_path / "t.csv").write_text(content)
        with pytest.raises(ValueError, match=r"^t\.csv: "):
            received.rows(tmp_path / "t.csv")


def test_a_record_is_of_a_bounded_size_and_depth(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copy / "run.json").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(UsageError, match=r"run\.json is nested too deeply"):
        stored.read(copy)
    monkeypatch.setattr(received, "RECORD", 1000)
    for read, error in ((stored.read, UsageError), (records.read, records.RecordError)):
        with pytest.raises(error, match="more than 1,000 bytes"):
            read(copy)


STEERING = "\x1b]0;owned\x07\x9b2J\u202e"
SHOWN = "\\u001b]0;owned\\u0007\\u009b2J\\u202e"


def test_texts_of_a_run_steer_no_terminal(copy: Path) -> None:
    rewritten(copy, lambda r: r.update(warnings=[f"w{STEERING}"], failures=[{"name": "f", "message": STEERING}]))
    table = (copy / "points.csv").read_text()
    (copy / "points.csv").write_text(table.replace("p1_r0.5", f"p1{STEERING}"))
    printed = CliRunner().invoke(app, ["report", str(copy), "--text"], standalone_mode=False).output
    assert f"warning: w{SHOWN}" in "".join(printed.split("\n"))
    assert SHOWN.replace(" ", "") in printed.replace("\n", "").replace(" ", "")
    assert not set(STEERING) & set(printed) - set("0;ownedJ2]")


def test_an_error_steers_no_terminal(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "pick", str(copy / STEERING), "--max-macs", "1M"])
    with pytest.raises(SystemExit):
        cli.main()
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert SHOWN in said
    assert "\x1b" not in said


HOSTILE = "x'; touch owned; echo '\n```\n<script>alert(1)</script>"


def test_commands_that_repeat_a_run_are_one_line_and_run_nothing_else(copy: Path, tmp_path: Path) -> None:
    rewritten(copy, lambda r: (r.update(name=HOSTILE), r["configuration"].update(dataset_name=HOSTILE)))
    assert "\n" not in command(records.read(copy))
    page = tmp_path / "claims.md"
    done = CliRunner().invoke(app, ["claims", str(copy), "--page", str(page)], standalone_mode=False)
    assert done.exception is None
    text = page.read_text()
    assert "\n```\n<script>" not in text
    assert text.count("```") % 2 == 0
    (line,) = (line for line in text.splitlines() if line.startswith("python -m benchmarks scales"))
    assert line.startswith("python -m benchmarks scales 'runs/x'\"'\"'; touch owned; echo")


def test_the_lines_that_load_a_pick_name_files_and_no_folders(copy: Path) -> None:
    rewritten(copy, lambda r: r["configuration"].update(plugin=["/tmp/elsewhere/twin.py"]))
    (_, load, *_) = lines(pick(stored.read(copy), Budget(macs=1e9)))
    assert "plugins=['twin.py']" in load


def test_a_pick_says_which_python_its_networks_come_from(copy: Path) -> None:
    rewritten(copy, lambda r: [model["settings"].update(networks=["nets/mine.py:make"]) for model in r["models"]])
    found = pick(stored.read(copy), Budget(macs=1e9))
    assert "  runs:   nets/mine.py:make, Python that is executed when it is loaded" in told(found)
    assert "plugins=['nets/mine.py']" in lines(found)[1]


@pytest.mark.parametrize(
    "text",
    ['[set.netselect]\nnetworks = "resnet8,x.py:make"', '[set]\n"netselect.networks" = ["x.py:make"]'],
)
def test_networks_that_a_configuration_file_names_have_to_be_named_or_trusted(tmp_path: Path, text: str) -> None:
    file = tmp_path / "study.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"study\.toml names .*x\.py:make, which would be executed: .* --trust"):
        configure({}, file)
    named = {"set": {"netselect.networks": "x.py:make"}}
    assert configure(named, file).set == configure({}, file, trust=True).set | named["set"]


def test_what_is_written_follows_no_link(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    for name in ("a.txt", "b.html", "c.safetensors", "run.json"):
        (tmp_path / name).symlink_to(mine)
    write_text(tmp_path / "a.txt", "text")
    write_text(tmp_path / "run.json", "text")
    render.replace(tmp_path / "b.html", b"text")
    save_tensors({"x": torch.zeros(1)}, tmp_path / "c.safetensors", {})
    assert mine.read_text() == "mine"
    assert not any((tmp_path / name).is_symlink() for name in ("a.txt", "b.html", "c.safetensors", "run.json"))


def png(width: int, height: int) -> bytes:
    """The beginning of a picture that says it is so large."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


def test_pictures_that_are_no_sheets_are_left_out(copy: Path) -> None:
    (copy / "analysis").mkdir()
    for name, content in {"large": png(60_000, 60_000), "cut": png(10, 10), "none": b"x", "empty": b""}.items():
        (copy / "analysis" / f"sheet-{name}-00000000.png").write_bytes(content)
    assert sheets([records.read(copy)]) == ([], 4)


def test_reading_changes_nothing_that_the_suite_wrote_and_its_tables_are_far_from_the_bound(finished: Finished) -> None:
    assert received.record(finished.folder / "run.json") == json.loads((finished.folder / "run.json").read_text())
    assert received.table(finished.folder / "points.csv") == (finished.folder / "points.csv").read_text()
    for path in (finished.folder / "paths").iterdir():
        with np.load(path) as arrays:
            kept = sum(arrays[name].nbytes for name in arrays.files)
        assert kept < 16 * path.stat().st_size
