"""The files a person opens: the frontier as SVG and PNG, and the report as one offline HTML page."""

import os
import shlex
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reports import charts, realised, tables
from reports.records import Run, read

PNG_SCALE = 2
ROWS = 1_000
"""Of the table of realised speed-up; all timings are in latency.csv."""
# The options of `run` that a configuration answers, in the order in which they are written.
_OPTIONS = (
    "methods", "dataset", "data_root", "dataset_name", "backbone", "recipe", "epochs", "seeds", "device",
    "threads", "points", "latency",
)  # fmt: skip


def write(run_folder: Path) -> list[Path]:
    """Writes `pareto.svg`, `pareto.png` and `report.html` into a run folder and returns their paths.

    Each file is written aside and renamed: a reader sees the old one or the new one. Raises RecordError where
    the folder is no run.
    """
    run = read(run_folder)
    picture = charts.frontier(tables.labelled(run), _title(run)).to_dict()
    light = charts.THEMES["light"]
    contents: dict[str, bytes] = {
        "pareto.svg": vl_convert.vegalite_to_svg(picture, config=light).encode(),
        "pareto.png": vl_convert.vegalite_to_png(picture, config=light, scale=PNG_SCALE),
        "report.html": page(run).encode(),
    }
    return [_replace(run_folder / name, content) for name, content in contents.items()]


def _replace(path: Path, content: bytes) -> Path:
    aside = path.with_name(path.name + ".partial")
    aside.write_bytes(content)
    os.replace(aside, path)
    return path


def page(run: Run) -> str:
    """The report as HTML text. Everything the run says is escaped, also inside scripts."""
    points = tables.labelled(run)
    timed = tables.timed(run)
    against = realised.realised(timed)
    own = tables.in_order(points[points["kind"] == "point"], ["seed", "macs"])
    names = tables.series_of(points[points["method"] != "plain"])
    specs = {"frontier": _responsive(charts.frontier(points), 400)}
    if len(against):
        specs["speedup"] = _responsive(charts.speedup(against, names), 320)
    template = _environment().get_template("report.html")
    return template.render(
        run=run,
        title=_title(run),
        vega=_vega(),
        specs=specs,
        themes=charts.THEMES,
        colours=dict(zip(names, charts.COLOURS * (1 + len(names) // len(charts.COLOURS)), strict=False)),
        shares=tables.BUDGETS,
        budgets=_grouped(tables.budgets(run)),
        summaries=_rows(tables.summaries(run)),
        points=_rows(own),
        timed=_rows(timed),
        limits=realised,
        headline=realised.summary(realised.headline(against)),
        realised=realised.summaries(against),
        against=_rows(against.head(ROWS)),
        more=max(len(against) - ROWS, 0),
        controls=_rows(tables.controls(run)),
        oracles=_rows(points[points["kind"] == "oracle"]),
        command=command(run),
    )


def command(run: Run) -> str:
    """The command line that repeats the run, from its configuration."""
    configuration = run.section("configuration")
    words = ["python", "-m", "benchmarks", "run"]
    for option in _OPTIONS:
        value = configuration.get(option)
        if value not in (None, "", []):
            words += ["--" + option.replace("_", "-"), _text(value)]
    settings = configuration.get("set") or {}
    if isinstance(settings, dict):
        settings = [f"{name}={_text(value)}" for name, value in settings.items()]
    for setting in settings:
        words += ["--set", str(setting)]
    if configuration.get("reference") is False:
        words.append("--no-reference")
    return shlex.join(words)


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _title(run: Run) -> tuple[str, str]:
    """What was compared on what, and with how many images and seeds."""
    configuration, data = run.section("configuration"), run.section("data")
    names = tables.series_of(tables.labelled(run).query("method != 'plain'"))
    backbone = configuration.get("backbone") or run.points["backbone"].iloc[0]
    dataset = data.get("name") or run.points["dataset"].iloc[0]
    seeds = "1 seed" if len(run.seeds) == 1 else f"{len(run.seeds)} seeds"
    images = f"{int(run.points['samples'].max()):,} test images"
    epochs = configuration.get("epochs") or run.section("recipe").get("epochs")
    training = f"recipe {configuration.get('recipe')}" + (f", {epochs} epochs" if epochs else "")
    return f"{', '.join(names) or 'plain'} on {dataset}, {backbone}", f"{training} · {images} · {seeds}"


def _responsive(chart: Any, height: int) -> dict[str, Any]:
    spec: dict[str, Any] = chart.properties(width="container", height=height).to_dict()
    spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    return spec


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _grouped(budgets: pd.DataFrame) -> dict[str, dict[float, dict[str, Any]]]:
    grouped: dict[str, dict[float, dict[str, Any]]] = {}
    for row in _rows(budgets):
        grouped.setdefault(row["series"], {})[row["share"]] = row
    return grouped


@cache
def _vega() -> str:
    """Vega, Vega-Lite and vega-embed as one script (it takes two seconds to bundle)."""
    script = str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


@cache
def _environment() -> Environment:
    folder = Path(__file__).parent / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    filters: dict[str, Callable[[Any], str]] = {
        "millions": _or_dash(lambda value: f"{value / 1e6:,.2f}"),
        "percent": _or_dash(lambda value: f"{100 * value:.1f}"),
        "whole": _or_dash(lambda value: f"{100 * value:.0f}%"),
        "gain": _or_dash(lambda value: f"{100 * value:+.1f}".replace("-", "−")),
        "times": _or_dash(lambda value: f"{value:.2f}×"),
        "ms": _or_dash(tables.milliseconds),
        "two": _or_dash(lambda value: f"{value:.2f}"),
        "mib": _or_dash(lambda value: f"{value / 2**20:,.1f}"),
        "count": _or_dash(lambda value: f"{value:,.0f}"),
    }
    environment.filters.update(filters)
    return environment


def _or_dash(text: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: "–" if value is None or pd.isna(value) else text(value)
