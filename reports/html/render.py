"""The files a person opens: the frontier as SVG and PNG, and the report as one offline HTML page."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from benchmarks.core.written import write as write_whole
from reports.data import provenance, tables, time_saved
from reports.data.method_cards import cards
from reports.data.records import Run, read
from reports.data.series import Gathered, gather
from reports.figures import charts
from reports.html import pictures
from reports.html.packing import packed, script
from reports.html.payload import payload

PNG_SCALE = 2
"""A fact that greys its series out: why it no longer counts; empty where it does."""


def write(run_folder: Path) -> list[Path]:
    """Writes `pareto.svg`, `pareto.png` and `report.html` into a run folder and returns their paths.

    Each file is written aside and renamed: a reader sees the old one or the new one. Raises RecordError where
    the folder is no run.
    """
    run = read(run_folder)
    picture = charts.frontier(tables.labelled(run), title_of(gather([run]))).to_dict()
    light = charts.THEMES["light"]
    contents: dict[str, bytes] = {
        "pareto.svg": vl_convert.vegalite_to_svg(picture, config=light).encode(),
        "pareto.png": vl_convert.vegalite_to_png(picture, config=light, scale=PNG_SCALE),
        "report.html": page([run]).encode(),
    }
    return [replace(run_folder / name, content) for name, content in contents.items()]


def replace(path: Path, content: bytes) -> Path:
    """Write a whole file; returns its path. A link that lies there is not followed."""
    write_whole(path, content)
    return path


def page(
    runs: Sequence[Run],
    title: str | None = None,
    facts: Sequence[str] = (),
    links: Mapping[str, str] | None = None,
    vega: str | None = None,
    home: str | None = None,
    of: str = "runs",
) -> str:
    """The page over one run or many, as HTML text. Everything the runs say is escaped, also inside scripts.

    `facts` are columns of the points that say something of a series, such as its tier: each is a column of the
    table of frontiers and, where it is no number and has several values, a filter; STALE greys a series out.
    `links`: addresses of runs by their names. `vega`: the address of the script that `vega_script` is; without one
    it is in the page, and the page is one file. `home`: the address of the page over all runs. `of`: what several
    runs are called. Raises ValueError without runs.
    """
    if not runs:
        raise ValueError("a page needs a run")
    gathered = gather(runs, facts)
    headline, detail = title_of(gathered, of)
    table = provenance.table(runs)
    figures = payload(gathered, facts) | {
        "runs": packed(table.assign(link=table["name"].map(dict(links or {})))),
        "colours": {"light": charts.COLOURS, "dark": charts.DARK_COLOURS},
        "themes": charts.THEMES,
    }
    sheets, left_out = pictures.sheets(runs)
    return _environment().get_template("page.html").render(
        title=title or headline,
        detail=detail,
        home=home,
        runs=runs,
        data=Markup(script(figures)),
        vega=Markup(vega_script()) if vega is None else None,
        vega_address=vega,
        cards=cards(gathered.lines["method"]),
        sheets=sheets,
        left_out=left_out,
        timed=len(gathered.timed) > 0,
        headline=time_saved.summary(_headline_rows(gathered)),
        condition=gathered.timed["condition"].iloc[0] if len(gathered.timed) else "",
        limits=time_saved,
        chance=sorted({run.chance for run in runs if run.chance is not None}),
        provenance=provenance,
        detailed=len(runs) <= provenance.DETAILED,
    )  # fmt: skip


def title_of(gathered: Gathered, of: str = "runs") -> tuple[str, str]:
    """What was compared on what, and with how many images and seeds."""
    lines, runs = gathered.lines, gathered.runs
    parts = {name: list(dict.fromkeys(lines[name])) for name in ("dataset", "backbone", "training", "method")}
    methods = [name for name in parts["method"] if name != "plain"]
    where = ", ".join(_few(parts[name], f"{name.replace('dataset', 'data set')}s") for name in ("dataset", "backbone"))
    headline = f"{_few(methods, 'methods', 6) or 'plain'} on {where}"
    images = f"{int(gathered.points['samples'].max()):,} test images"
    seeds = gathered.points["seed"].nunique()
    counts = [*([f"{len(runs):,} {of}"] if len(runs) > 1 else []), f"{seeds} seed{'s' * (seeds != 1)}"]
    return headline, " · ".join([_few(parts["training"], "training set-ups"), images, *counts])


def _few(names: Sequence[str], what: str, most: int = 2) -> str:
    return ", ".join(names) if len(names) <= most else f"{len(names)} {what}"


def _headline_rows(gathered: Gathered) -> Any:
    """The rows of `time_saved.headline`, of points that can be compared with plain."""
    rows = gathered.timed
    compared = rows[rows["cause"].notna()]
    own = compared[compared["condition"] == (compared["condition"].iloc[0] if len(compared) else "")]
    return own.assign(realised=own["share"] / own["ratio_to_plain"])


@cache
def vega_script() -> str:
    """Vega, Vega-Lite and vega-embed as one script (it takes two seconds to bundle)."""
    bundled = str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
    return bundled.replace("</script", "<\\/script").replace("<!--", "<\\!--")


@cache
def _environment() -> Environment:
    folder = Path(__file__).parent / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["whole"] = lambda value: f"{100 * value:.0f}%"
    environment.filters["two"] = lambda value: f"{value:.2f}"
    return environment
