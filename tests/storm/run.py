"""The tiny run that is damaged: its command, what reads it, and what of it has to be the same."""

import hashlib
import json
from pathlib import Path
from typing import Any

from commands import Said, called

OPTIONS = (
    "--dataset", "digits", "--backbone", "resnet8:width=2", "--epochs", "1", "--points", "6", "--latency", "off",
    "--device", "cpu",
)  # fmt: skip
VOLATILE = ("seal", "jobs", "environment")
"""What of run.json may differ: seconds, and which jobs had been done before."""
TIMES = ("timing", "timing_environment", "files")
"""What of it says when something took how long: another time, another answer."""


def command(folder: Path, methods: str = "earlyexit", *more: str) -> list[str]:
    """The command line of the run."""
    return ["run", "--methods", methods, *OPTIONS, "--output", str(folder), *more]


def readers(folder: Path, elsewhere: Path) -> dict[str, list[str]]:
    """Every verb that reads a run, by name; what they write goes elsewhere."""
    return {
        "report": ["report", str(folder), "--output", str(elsewhere / "page.html")],
        "text": ["report", str(folder), "--text"],
        "csv": ["report", str(folder), "--csv"],
        "cite": ["report", str(folder), "--bibtex"],
        "pick": ["pick", str(folder), "--max-macs", "1G", "--json"],
        "in time": ["pick", str(folder), "--max-latency-ms", "1000", "--json"],
        "analyse": ["analyse", str(folder), "--output", str(elsewhere / "analysis")],
    }


def read(folder: Path, elsewhere: Path) -> dict[str, Said]:
    """What every reader says, with what it writes."""
    elsewhere.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, arguments in readers(folder, elsewhere).items():
        for path in [path for path in elsewhere.rglob("*") if path.is_file()]:
            path.unlink()
        said = called(arguments)
        said["wrote"] = {p.name: digest(p) for p in sorted(elsewhere.rglob("*")) if p.is_file()}
        found[name] = said
    found["load"] = loaded(folder)
    return found


def loaded(folder: Path) -> Said:
    """The logits of one image at every point of every model, as `benchmarks.load` gives them."""
    import torch

    import benchmarks
    from benchmarks.core.errors import UsageError
    from methods.errors import MethodError

    try:
        run = benchmarks.load(folder)
        shape = run.stored.record["data"]["image_shape"]
        images = (torch.arange(2 * torch.Size(shape).numel()) % 251).to(torch.uint8).reshape(2, *shape)
        logits = [run.at(point.name)(images).tolist() for point in run.points]
        return {"status": 0, "out": repr(logits), "err": "", "trace": ""}
    except (UsageError, MethodError) as error:
        return {"status": 2, "out": "", "err": f"error: {error}", "trace": ""}
    except Exception as error:
        return {"status": 1, "out": "", "err": "", "trace": repr(error)}


def timed(folder: Path) -> list[str]:
    """The command line that times the run."""
    return ["time", str(folder), "--batch-sizes", "1", "--points", "2"]


def state(folder: Path, times: bool = True) -> dict[str, Any]:
    """What of a run has to be the same, whatever happened on the way; without `times`, were it timed again."""
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    kept = {key: value for key, value in record.items() if key not in (*VOLATILE, *([] if times else TIMES))}
    files = [*folder.glob("models/*"), *folder.glob("paths/*"), folder / "points.csv"]
    files += folder.glob("latency*.csv") if times else ()
    return {"record": kept, "files": {path.relative_to(folder).as_posix(): digest(path) for path in sorted(files)}}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
