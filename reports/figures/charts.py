"""The frontier of a run as a picture: a pure function of `reports.data.tables` to Vega-Lite through altair.

Colours are Okabe and Ito's, then Tol's, told apart by the colour-blind; the plain backbone has the colour of the text.
MACs are means per image in millions (MMACs), accuracies are percentages.
"""

import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from reports.data.tables import BUDGETS, mean_steps, series_of

COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255",
    "#44AA99", "#999933", "#332288", "#AA4499", "#661100", "#6699CC", "#117733",
)  # fmt: skip
DARK_COLOURS = (
    "#3FA0E0", "#F07A2B", "#1DC08F", "#DB94BC", "#F0AE26", "#7CC8F2", "#D2699B",
    "#5CC0B0", "#B8B84D", "#9488E8", "#D184C4", "#D57359", "#86B6E3", "#4FBA73",
)  # fmt: skip
"""The same hues, of a lightness that reads on a dark page."""
SHAPES = {"static": "circle", "per-sample": "triangle-up"}
CONTROLS = {"mixture": [7, 4], "random": [2, 3]}
QUIET = "#808080"  # grey that reads on light and on dark
WIDTH, HEIGHT = 720, 400
CROWDED = 2  # methods with controls: more would bury the points, and are left to the page, which draws them on demand


def theme(ink: str, faint: str, background: str) -> dict[str, Any]:
    """The Vega configuration of a colour scheme: `ink` for text, `faint` for the grid."""
    font = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
    return {
        "background": background,
        "font": font,
        "view": {"stroke": None},
        "axis": {
            "gridColor": faint, "domainColor": ink, "tickColor": ink, "labelColor": ink, "titleColor": ink,
            "labelFontSize": 12, "titleFontSize": 13, "titleFontWeight": "normal", "gridOpacity": 0.6,
            "titlePadding": 10,
        },
        "legend": {
            "labelColor": ink, "titleColor": ink, "labelFontSize": 12, "titleFontSize": 12,
            "titleFontWeight": "normal", "symbolStrokeWidth": 2, "labelLimit": 260,
        },
        "title": {"color": ink, "subtitleColor": ink, "anchor": "start", "fontSize": 15},
        "style": {
            "plain-mark": {"color": ink, "opacity": 1},
            "plain-text": {"color": ink},
            "quiet-text": {"color": QUIET},
        },
    }  # fmt: skip


THEMES = {
    "light": theme("#1d232a", "#dfe3e8", "#ffffff"),
    "dark": theme("#dde3ea", "#39424d", "#161b22"),
}


def frontier(points: pd.DataFrame, title: Sequence[str] = ()) -> alt.LayerChart:
    """Accuracy against mean MACs of all operating points (`tables.labelled`), controls behind them.

    The step line of a method goes through its selected points; with several seeds it is the mean of theirs,
    and the points of single seeds are faint. `title` is a headline and its second line.
    """
    shown = _in_chart_units(points)
    own = shown[shown["kind"] == "point"]
    adjustable, plain = own[own["method"] != "plain"], own[own["method"] == "plain"]
    names = series_of(adjustable)
    axes = {"x": _cost_axis(shown), "y": _accuracy_axis(shown)}
    layers = [
        *_budget_marks(shown),
        *_controls(shown[shown["kind"] != "point"], axes),
        *_steps(points, axes, names),
        *_points(adjustable, axes, names),
        *_plain(plain, axes),
    ]
    chart = alt.layer(*layers).resolve_scale(strokeDash="independent", shape="independent")
    if title:
        chart = chart.properties(title=alt.TitleParams(title[0], subtitle=list(title[1:])))
    sized: alt.LayerChart = chart.properties(width=WIDTH, height=HEIGHT)
    return sized


def _in_chart_units(points: pd.DataFrame) -> pd.DataFrame:
    """The columns the chart shows, in MMACs and per cent, and nothing else."""
    columns = ["series", "method", "point", "kind", "decision", "execution", "seed", "samples", "selected"]
    percent = {name: points[name] * 100 for name in ("accuracy", "accuracy_low", "accuracy_high", "share")}
    millions = {"mmacs": points["macs"] / 1e6, "mflops": points["flops"] / 1e6}
    return points[columns].assign(**percent, **millions, plain_mmacs=points["plain_macs"] / 1e6)


def _cost_axis(shown: pd.DataFrame) -> alt.X:
    low, high = shown["mmacs"].min() / 1.06, shown["mmacs"].max() * 1.06
    return alt.X(
        "mmacs:Q",
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        axis=alt.Axis(values=log_ticks(low, high), format="~g", labelFlush=False),
        title="MMACs per image, mean (log scale; FLOPs = 2 × MACs)",
    )


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high` for a log axis: evenly spaced where the range is narrow."""
    if high / low < 4:
        raw = (high - low) / 6
        unit = 10.0 ** math.floor(math.log10(raw))
        step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw)
        evenly = [step * place for place in range(math.ceil(low / step), math.floor(high / step) + 1)]
        return [tick for tick in evenly if low <= tick <= high]
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for steps in ((1,), (1, 2, 5), (1, 1.5, 2, 2.5, 3, 4, 5, 7)):
        ticks = [tick for power in powers for step in steps if low <= (tick := step * 10.0**power) <= high]
        if len(ticks) >= 5:
            break
    return ticks


def _accuracy_axis(shown: pd.DataFrame) -> alt.Y:
    low, high = shown["accuracy_low"].min(), shown["accuracy_high"].max()
    pad = max(0.04 * (high - low), 0.2)
    domain = [max(0.0, low - pad), min(100.0, high + pad)]
    scale = alt.Scale(domain=domain, nice=False, zero=False)
    return alt.Y("accuracy:Q", scale=scale, title="Accuracy on test images, %")


def _budget_marks(shown: pd.DataFrame) -> list[alt.Chart]:
    """Thin lines at the shares of the plain cost that the tables use, named along the top."""
    low, high = shown["mmacs"].min() / 1.06, shown["mmacs"].max() * 1.06
    plain = shown["plain_mmacs"].dropna().unique()
    if len(plain) != 1:
        return []
    marks = [{"mmacs": share * plain[0], "label": f"{share:.0%}"} for share in BUDGETS]
    marks = [mark for mark in marks if low <= mark["mmacs"] <= high]
    if not marks:
        return []
    marks[-1]["label"] += " of plain"
    base = alt.Chart(pd.DataFrame(marks)).encode(x="mmacs:Q")
    rule = base.mark_rule(color=QUIET, strokeWidth=0.8, strokeDash=[1, 3])
    text = base.mark_text(dy=-7, baseline="bottom", align="center", fontSize=11, style="quiet-text")
    return [rule, text.encode(text="label:N", y=alt.value(0))]


def _controls(controls: pd.DataFrame, axes: dict[str, Any]) -> list[alt.Chart]:
    """Random and mixture as grey broken lines, the oracle as a grey diamond; nothing where they are too many."""
    if controls["series"].nunique() > CROWDED:
        return []
    lines = controls[controls["kind"].isin(list(CONTROLS))]
    oracles = controls[controls["kind"] == "oracle"]
    layers: list[alt.Chart] = []
    if len(lines):
        dash = alt.Scale(domain=list(CONTROLS), range=list(CONTROLS.values()))
        legend = alt.Legend(title="control", symbolStrokeColor=QUIET, symbolSize=300)
        line = alt.Chart(lines).mark_line(color=QUIET, strokeWidth=1.3, opacity=0.8)
        kind = alt.StrokeDash("kind:N", scale=dash, legend=legend)
        layers.append(line.encode(**axes, strokeDash=kind, detail=["series:N", "seed:N"]))
    if len(oracles):
        marks = alt.Chart(oracles).mark_point(shape="diamond", size=60, color=QUIET, strokeWidth=1.3, opacity=0.8)
        layers.append(marks.encode(**axes))
        name = oracles.drop_duplicates("series")
        name = name.assign(label=name["point"] + " (upper bound)")
        text = alt.Chart(name).encode(**axes, text="label:N")
        layers.append(text.mark_text(dx=9, align="left", fontSize=11, style="quiet-text", opacity=0.8))
    return layers


def _steps(points: pd.DataFrame, axes: dict[str, Any], names: list[str]) -> list[alt.Chart]:
    steps = mean_steps(points[points["method"] != "plain"])
    steps = steps.assign(mmacs=steps["macs"] / 1e6, accuracy=steps["accuracy"] * 100)
    line = alt.Chart(steps).mark_line(interpolate="step-after", strokeWidth=1.8)
    return [line.encode(**axes, color=_colour(names), opacity=alt.value(0.9))]


def _points(own: pd.DataFrame, axes: dict[str, Any], names: list[str]) -> list[alt.Chart]:
    """All operating points; those chosen on calibration images are large, the others small and pale."""
    one_seed = len(set(own["seed"])) <= 1
    strengths = [1.0, 0.4] if one_seed else [0.5, 0.25]
    order = [True, False]
    strength = alt.Opacity("selected:N", scale=alt.Scale(domain=order, range=strengths), legend=None)
    size = alt.Size("selected:N", scale=alt.Scale(domain=order, range=[75, 26]), legend=None)
    shape = alt.Shape(
        "decision:N",
        scale=alt.Scale(domain=list(SHAPES), range=list(SHAPES.values())),
        legend=alt.Legend(title="decision", symbolFillColor=QUIET, symbolStrokeColor=QUIET, symbolOpacity=1),
    )
    dots = alt.Chart(own).mark_point(filled=True)
    drawn = dots.encode(**axes, color=_colour(names), shape=shape, size=size, opacity=strength)
    if not one_seed:
        return [drawn]
    bars = alt.Chart(own[own["selected"]]).mark_rule(strokeWidth=1)
    ends = {"x": axes["x"], "y": alt.Y("accuracy_low:Q"), "y2": alt.Y2("accuracy_high:Q")}
    return [bars.encode(**ends, color=_colour(names), opacity=alt.value(0.45)), drawn]


def _plain(plain: pd.DataFrame, axes: dict[str, Any]) -> list[alt.Chart]:
    """The plain backbone: a large mark with its name and interval, one a seed."""
    if plain.empty:
        return []
    base = alt.Chart(plain).encode(**axes)
    bar = base.mark_rule(style="plain-mark", strokeWidth=1.2).encode(
        y=alt.Y("accuracy_low:Q"), y2=alt.Y2("accuracy_high:Q")
    )
    mark = base.mark_point(style="plain-mark", shape="cross", size=150, filled=True)
    best = plain.loc[[plain["accuracy"].idxmax()]]
    text = alt.Chart(best).encode(**axes, text="series:N")
    name = text.mark_text(style="plain-text", align="right", dx=-10, dy=-9, fontSize=12, fontWeight="bold")
    return [bar, mark, name]


def _palette(names: list[str]) -> alt.Scale:
    return alt.Scale(domain=names, range=[COLOURS[place % len(COLOURS)] for place in range(len(names))])


def _colour(names: list[str]) -> alt.Color:
    legend = alt.Legend(title="method", symbolType="circle", symbolOpacity=1)
    return alt.Color("series:N", scale=_palette(names), legend=legend)
