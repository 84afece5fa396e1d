"""One trial each: a kill, two processes in one folder, a flipped bit, a truncation; and how it ended.

An outcome is the first of these that fits a command: `stuck`, `trace`, `wrong` (other results and status 0, and no
line says so), `line` (a status and one line), `said` (made again, or left out, and said so), `same`.
"""

import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import run
from commands import Fork, Said, called

WORST = ("stuck", "trace", "wrong", "line", "said", "same")
BAD = WORST[:3]
SPOKEN = ("made again: ", "left out: ", "is damaged")
IN_USE = "is in use by "
UNTIMED, LEFT_OUT = "time it again", "is left out; repeat them"


@dataclass
class Base:
    """The run as it is undisturbed, with what its readers say, and where trials take place; `timed`: the same after it
    was timed, which is what is damaged; `seconds`: what the run takes from nothing."""

    folder: Path
    state: dict[str, Any]
    timed: dict[str, Any]
    readers: dict[str, Said]
    seconds: float
    work: Path

    @cached_property
    def both(self) -> list[dict[str, Any]]:
        """The same with another command's method beside it, whichever came first."""
        return [self._both(*methods) for methods in (("earlyexit", "multiscale"), ("multiscale", "earlyexit"))]

    def _both(self, *commands: str) -> dict[str, Any]:
        folder = fresh(self, empty=True)
        for methods in commands:
            said = forked(self, run.command(folder, methods)).wait()
            assert said is not None
            assert said["status"] == 0, said
        return run.state(folder)


Trial = Callable[[Base, random.Random], dict[str, Any]]


def forked(base: Base, command: list[str], name: str = "said") -> Fork:
    """A command in a process of its own."""
    return Fork(lambda: called(command), base.work / f"{name}.json")


def made(work: Path) -> Base:
    """The base, made in this process: everything is imported then."""
    folder = work / "here" / "run"
    shutil.rmtree(work, ignore_errors=True)
    said = called(run.command(folder, "multiscale"))  # imports take time, too
    shutil.rmtree(folder)
    began = time.monotonic()
    said = called(run.command(folder))
    seconds = time.monotonic() - began
    assert said["status"] == 0, said
    state = run.state(folder)
    said = called(run.timed(folder))
    assert said["status"] == 0, said
    readers = run.read(folder, work / "elsewhere")
    refused = {name for name, one in readers.items() if one["status"]}  # on a busy machine all timings are flagged
    assert refused <= {"in time"}, refused
    shutil.copytree(folder, work / "base")
    return Base(work / "base", state, run.state(folder), readers, seconds, work)


def kill(base: Base, draw: random.Random) -> dict[str, Any]:
    """The command is killed at a random time, sometimes twice, and repeated."""
    folder, times = fresh(base, empty=True), draw.choice([1, 1, 1, 2])
    waits = [draw.uniform(0, base.seconds * 1.1) for _ in range(times)]
    for seconds in waits:
        first = forked(base, run.command(folder))
        time.sleep(seconds)
        first.kill()
    return {"seconds": waits, **repeated(base, folder)}


def pair(base: Base, draw: random.Random) -> dict[str, Any]:
    """Two commands begin in one folder nearly at once; then each is repeated."""
    other = draw.choice(["earlyexit", "multiscale"])
    expected = [base.state] if other == "earlyexit" else base.both
    folder = fresh(base, empty=True)
    wait = draw.choice([[], ["--wait"]])
    apart = draw.uniform(0, base.seconds / 2)
    one = forked(base, run.command(folder), "one")
    time.sleep(apart)
    two = forked(base, run.command(folder, other, *wait), "two")
    ends = [one.wait(), two.wait()]
    about = {"other": other, "wait": bool(wait), "apart": apart, "ends": [said and said["status"] for said in ends]}
    if None in ends:
        return about | {"outcome": "stuck"}
    done = [said["status"] == 0 for said in ends]
    refused = [said["status"] == 2 and IN_USE in said["err"] for said in ends]
    if not any(done) or not all(one or other for one, other in zip(done, refused, strict=True)):
        return about | {"outcome": "wrong", "detail": [said["err"][-500:] + said["trace"] for said in ends if said]}
    if other != "earlyexit":
        forked(base, run.command(folder, other)).wait()
    return about | repeated(base, folder, expected)


def flip(base: Base, draw: random.Random) -> dict[str, Any]:
    """A single bit of a file of the run is another one."""

    def damage(content: bytes) -> bytes:
        place, bit = draw.randrange(len(content)), draw.randrange(8)
        return content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]

    return damaged(base, draw, damage)


def truncation(base: Base, draw: random.Random) -> dict[str, Any]:
    """A file of the run ends early."""
    return damaged(base, draw, lambda content: content[: draw.randrange(len(content))])


TRIALS: dict[str, Trial] = {"kills": kill, "pairs": pair, "flips": flip, "truncations": truncation}


def damaged(base: Base, draw: random.Random, damage: Callable[[bytes], bytes]) -> dict[str, Any]:
    """Every reader on the damaged run, then the command again, and every reader once more."""
    folder = fresh(base)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    path = draw.choice(files)
    path.write_bytes(damage(path.read_bytes()))
    about = {"file": path.relative_to(folder).as_posix()}
    found = Fork(lambda: run.read(folder, base.work / "elsewhere"), base.work / "readers.json").wait()
    if found is None:
        return about | {"outcome": "stuck", "detail": "a reader"}
    pairs = {name: (said, base.readers[name]) for name, said in found.items()}
    outcomes = {name: "same" if one == other else judged(one, same(one, other)) for name, (one, other) in pairs.items()}
    worst = min(outcomes.values(), key=WORST.index)
    if worst in BAD:
        bad = {name: found[name] for name, outcome in outcomes.items() if outcome == worst}
        return about | {"outcome": worst, "readers": outcomes, "detail": shortened(bad)}
    again = repeated(base, folder, [base.timed])
    worst = min(worst, again["outcome"], key=WORST.index)
    return about | {"readers": outcomes, **again, "outcome": worst}


def repeated(base: Base, folder: Path, expected: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The same command again, to its end, and whether the results are those of the undisturbed run."""
    said = forked(base, run.command(folder)).wait()
    if said is None:
        return {"outcome": "stuck", "detail": "the command again"}
    try:
        equal = said["status"] == 0 and run.state(folder) in (expected or [base.state])
        if UNTIMED in said["err"]:  # all but the times
            equal = run.state(folder, times=False) == run.state(base.folder, times=False)
        elif LEFT_OUT in said["err"]:  # run.json is damaged, which alone knows where it was timed
            found = run.state(folder)
            found["record"]["timing_environment"] = base.timed["record"]["timing_environment"]
            equal = found == base.timed
    except (OSError, ValueError):
        equal = False
    outcome = judged(said, equal)
    if outcome == "said" and not equal:
        return {"outcome": "wrong", "detail": shortened({"again": said})}
    return {"outcome": outcome, **({"detail": shortened({"again": said})} if outcome in (*BAD, "line") else {})}


def judged(said: Said, equal: bool) -> str:
    """The outcome of one command."""
    lines = [line for line in said["err"].splitlines() if line.startswith("error: ")]
    spoken = any(text in said["err"] for text in SPOKEN)
    if said["trace"] or "Traceback" in said["err"]:
        return "trace"
    if said["status"]:
        return "line" if len(lines) == 1 or "failed: " in said["err"] else "trace"
    if equal:
        return "said" if spoken else "same"
    return "said" if spoken else "wrong"


def same(said: Said, expected: Said) -> bool:
    return all(said.get(part) == expected.get(part) for part in ("status", "out", "wrote"))


def shortened(said: dict[str, Said]) -> dict[str, Any]:
    return {name: {key: str(value)[-1500:] for key, value in one.items()} for name, one in said.items()}


def fresh(base: Base, empty: bool = False) -> Path:
    """The run's folder under the name it always has, as it was, or with nothing in it."""
    folder = base.work / "here" / "run"
    shutil.rmtree(folder, ignore_errors=True)
    if not empty:
        shutil.copytree(base.folder, folder)
    return folder
