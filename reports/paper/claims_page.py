"""The page of claims: what the papers say, what was measured here, and a verdict a data set, as Markdown.

What the papers say and print is data. Everything else is computed from runs and their findings.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reports.data import claims, tables, time_saved
from reports.data.provenance import command
from reports.data.records import Run

Spec = Mapping[str, Any]
"""A paper's claim: `title, paper, says, here, of, lines, decides`, and where there are any `quoted` and `whole`."""
NO_FINDING = "the run lacks the method"


@dataclass(frozen=True)
class Checked:
    """A run and its findings, the entries of claims.json."""

    run: Run
    findings: Sequence[claims.Finding]


def page(checked: Sequence[Checked], claims: Sequence[Spec], papers: Mapping[str, str], name: str) -> str:
    """The page about all runs, as Markdown; `papers`: as they are cited; `name`: the file it goes to."""
    titles = _titles([one.run for one in checked])
    judged = [{**spec, "verdicts": [_verdict(spec, one.findings) for one in checked]} for spec in claims]
    text = (
        _environment()
        .get_template("claims.md")
        .render(
            runs=list(zip(titles, [_setting(one) for one in checked], strict=True)),
            claims=judged,
            papers=papers,
            page=name,
        )
    )
    return re.sub(r"\n{3,}", "\n\n", re.sub(r" +\n", "\n", text)).strip() + "\n"


def _titles(runs: Sequence[Run]) -> list[str]:
    """Data set and backbone, and the run's name where that is not enough."""
    short = [f"{run.section('data').get('name')}, {run.points['backbone'].iloc[0]}" for run in runs]
    return [f"{text}, {run.name}" if short.count(text) > 1 else text for text, run in zip(short, runs, strict=True)]


def _setting(checked: Checked) -> dict[str, Any]:
    """In what setting a run measured, and what repeats it."""
    run = checked.run
    configuration, recipe, data = (run.section(name) for name in ("configuration", "recipe", "data"))
    points = tables.labelled(run)
    timed = time_saved.headline(time_saved.realised(tables.timed(run)))
    return {
        "folder": _folder(run),
        "recipe": f"{configuration.get('recipe')}, {recipe.get('optimizer')}, {recipe.get('schedule')}",
        "epochs": recipe.get("epochs"),
        "seeds": ", ".join(map(str, run.seeds)),
        "count": f"{len(run.seeds)} seed{'s' * (len(run.seeds) > 1)}",
        "images": " / ".join(f"{data.get(f'{part}_images'):,}" for part in ("train", "calibration", "test")),
        "plain": f"{points['plain_macs'].iloc[0]:,.0f}",
        "training": _training(points),
        "timed": f"{timed['condition'].iloc[0]}; {run.section('environment').get('cpu')}"
        if len(timed)
        else "not timed",
        "suite": _suite(run.section("environment")),
        "torch": run.section("environment").get("torch"),
        "command": f"{command(run)} --output {_folder(run)}",
        "scales": _scales(checked),
    }


def _scales(checked: Checked) -> str:
    """The command that measured similarities, of as many images."""
    run = checked.run
    root, images = run.section("configuration").get("data_root"), run.section("data").get("test_images")
    seen = {seed["images"] for one in checked.findings if one["unit"] == "similarity" for seed in one["seeds"]}
    words = [f"python -m benchmarks scales {_folder(run)}"]
    words += [f"--data-root {shlex.quote(str(root))}"] if root else []
    words += [f"--limit {max(seen)}"] if seen and max(seen) != images else []
    return " ".join(words)


def _folder(run: Run) -> str:
    """Where a run lies for whoever repeats it, as a word of a command: in one line, whatever its name is."""
    return shlex.quote(f"runs/{' '.join(run.name.split())}")


def _suite(environment: Mapping[str, Any]) -> str:
    """The suite's version and commit."""
    commit = str(environment.get("commit") or "unknown")[:12]
    return (
        f"{environment.get('suite_version')}, {commit}{' and changes' * bool(environment.get('uncommitted_changes'))}"
    )


def _training(points: pd.DataFrame) -> list[tuple[str, str]]:
    """Training MACs of every method: of plain as they are, of the others over plain's."""
    cost = points[points["kind"] == "point"].groupby("series", sort=False)["train_macs"].mean()
    plain = cost.get("plain")
    return [
        (str(name), f"{macs:.3g} MACs" if name == "plain" or plain is None else f"{macs / plain:.2f}×")
        for name, macs in cost.items()
    ]


def _verdict(spec: Spec, findings: Sequence[claims.Finding]) -> dict[str, Any]:
    """What one run says of one claim: a word, the lines it rests on, why there are none, and all lines."""
    lines = [one for one in findings if one["claim"] in spec["of"] and re.match(spec["lines"], one["line"])]
    deciding = [one for one in findings if one["decides"] == spec["title"]]
    word, worst = claims.summed(deciding, spec.get("whole", False))
    compared = [one for one in deciding if one["seeds"]]
    general = [one for one in findings if one["claim"] in spec["of"] and not one["subject"]]  # what the check needs
    lacking = dict.fromkeys(one["note"] for one in deciding or general if not one["seeds"])
    return {
        "word": word,
        "shown": [_row(one) for one in (compared if spec.get("whole") else [worst] if worst else [])],
        "of": f"{len(compared)} of {len(deciding)}" if len(deciding) > 1 else "",
        "why": "; ".join(lacking or [NO_FINDING]) if word == claims.NOTHING else "",
        "lines": [_row(one) for one in lines],
    }


def _row(finding: claims.Finding) -> dict[str, Any]:
    """A finding as text."""
    mean, interval, above, own = claims.figures_of(finding)
    p, seeds = finding["p_holm"], finding["seeds"]
    return {
        "line": finding["line"], "verdict": finding["verdict"], "decides": bool(finding["decides"]),
        "note": _note(finding["note"]), "mean": f"{mean}{_UNITS[finding['unit']]}" if seeds else "",
        "interval": interval, "both": claims.over_both(finding),
        "above": above, "own": own, "macs": _macs(seeds), "seeds": len(seeds) or "",
        "p": "" if p is None or pd.isna(p) else "<0.001" if p < 0.001 else f"{p:.3f}",
        "images": f"{seeds[0]['images']:,}" if seeds else "",
    }  # fmt: skip


def _note(note: str) -> str:
    """Without how many seeds there are, which has a column."""
    return "; ".join(part for part in note.split("; ") if not part.endswith("no claim of significance"))


_UNITS = {"accuracy": " points", "rho": " (rank correlation)", "share": "", "similarity": ""}


def _macs(seeds: Sequence[Mapping[str, Any]]) -> str:
    """The mean test costs of the two points that were compared, in MMACs."""
    pairs = [(one["macs"], one["against_macs"]) for one in seeds if one["macs"]]
    if not pairs:
        return ""
    return " vs ".join(f"{sum(side) / len(side) / 1e6:.2f}" for side in zip(*pairs, strict=True))


def _cell(text: object) -> str:
    """Text inside a Markdown table."""
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", str(text)).replace("<", "&lt;").replace("\n", " ")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), undefined=StrictUndefined, autoescape=False,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["cell"] = _cell
    return environment
