"""Charts as specifications: pure functions from tables (see `reports.tables`) to Vega-Lite through altair.

Colours are Okabe and Ito's, then Tol's, told apart by the colour-blind; the plain backbone has the colour of the text.
MACs are means per image in millions (MMACs), accuracies are percentages.
"""

import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from reports.realised import ENOUGH
from reports.tables import BUDGETS, mean_steps, series_of

COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255",
    "#44AA99", "#999933", "#332288", "#AA4499", "#661100", "#6699CC", "#117733",
)  # fmt: skip
SHAPES = {"static": "circle", "per-sample": "triangle-up"}
TIMED_SHAPES = {**SHAPES, "composed": "diamond"}
CONTROLS = {"mixture": [7, 4], "random": [2, 3]}
QUIET = "#808080"  # grey that reads on light and on dark
WIDTH, HEIGHT = 720, 400
_TIMED_TEXTS = {
    "series": "method", "point": "point", "decision": "decision", "execution": "execution", "condition": "measured",
    "cause": "lost to", "flags": "flags",
}  # fmt: skip
_TIMED_NUMBERS = {
    "p50_ms": "p50 ms", "macs_speedup": "speed-up in MACs", "time_speedup": "speed-up in time",
    "time_speedup_low": "interval from", "time_speedup_high": "interval to", "realised": "time / MACs",
}  # fmt: skip
CROWDED = 2  # methods with controls: more would bury the points, and their controls are drawn on demand


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
    pick = alt.selection_point(name="pick", fields=["series"], bind="legend")
    axes = {"x": _cost_axis(shown), "y": _accuracy_axis(shown)}
    layers = [
        *_budget_marks(shown),
        *_controls(shown[shown["kind"] != "point"], axes),
        *_steps(points, axes, names, pick),
        *_points(adjustable, axes, names, pick),
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
    """Random and mixture as grey broken lines, the oracle as a grey diamond; a box shows or hides them."""
    crowded = controls["series"].nunique() > CROWDED
    toggle = alt.param(name="show_controls", value=not crowded, bind=alt.binding_checkbox(name="controls "))
    seen = alt.ExprRef("show_controls ? 0.8 : 0")
    lines = controls[controls["kind"].isin(list(CONTROLS))]
    oracles = controls[controls["kind"] == "oracle"]
    layers: list[alt.Chart] = []
    if len(lines):
        dash = alt.Scale(domain=list(CONTROLS), range=list(CONTROLS.values()))
        legend = None if crowded else alt.Legend(title="control", symbolStrokeColor=QUIET, symbolSize=300)
        line = alt.Chart(lines).mark_line(color=QUIET, strokeWidth=1.3, opacity=seen)
        kind = alt.StrokeDash("kind:N", scale=dash, legend=legend)
        layers.append(line.encode(**axes, strokeDash=kind, detail=["series:N", "seed:N"]))
    if len(oracles):
        marks = alt.Chart(oracles).mark_point(shape="diamond", size=60, color=QUIET, strokeWidth=1.3, opacity=seen)
        layers.append(marks.encode(**axes, tooltip=_tooltip()))
        name = oracles.drop_duplicates("series")
        label = name["series"] + ": oracle" if crowded else name["point"] + " (upper bound)"
        name = name.assign(label=label)
        text = alt.Chart(name).encode(**axes, text="label:N")
        layers.append(text.mark_text(dx=9, align="left", fontSize=11, style="quiet-text", opacity=seen))
    if layers:
        layers[0] = layers[0].add_params(toggle)
    return layers


def _steps(points: pd.DataFrame, axes: dict[str, Any], names: list[str], pick: alt.Parameter) -> list[alt.Chart]:
    steps = mean_steps(points[points["method"] != "plain"])
    steps = steps.assign(mmacs=steps["macs"] / 1e6, accuracy=steps["accuracy"] * 100)
    line = alt.Chart(steps).mark_line(interpolate="step-after", strokeWidth=1.8)
    opacity = alt.condition(pick, alt.value(0.9), alt.value(0.08))
    return [line.encode(**axes, color=_colour(names), opacity=opacity)]


def _points(own: pd.DataFrame, axes: dict[str, Any], names: list[str], pick: alt.Parameter) -> list[alt.Chart]:
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
    opacity = alt.condition(pick, strength, alt.value(0.05))
    drawn = dots.encode(
        **axes, color=_colour(names), shape=shape, size=size, opacity=opacity, tooltip=_tooltip()
    ).add_params(pick)
    if not one_seed:
        return [drawn]
    bars = alt.Chart(own[own["selected"]]).mark_rule(strokeWidth=1)
    ends = {"x": axes["x"], "y": alt.Y("accuracy_low:Q"), "y2": alt.Y2("accuracy_high:Q")}
    fade = alt.condition(pick, alt.value(0.45), alt.value(0.05))
    return [bars.encode(**ends, color=_colour(names), opacity=fade), drawn]


def _plain(plain: pd.DataFrame, axes: dict[str, Any]) -> list[alt.Chart]:
    """The plain backbone: a large mark with its name and interval, one a seed."""
    if plain.empty:
        return []
    base = alt.Chart(plain).encode(**axes)
    bar = base.mark_rule(style="plain-mark", strokeWidth=1.2).encode(
        y=alt.Y("accuracy_low:Q"), y2=alt.Y2("accuracy_high:Q")
    )
    mark = base.mark_point(style="plain-mark", shape="cross", size=150, filled=True).encode(tooltip=_tooltip())
    best = plain.loc[[plain["accuracy"].idxmax()]]
    text = alt.Chart(best).encode(**axes, text="series:N")
    name = text.mark_text(style="plain-text", align="right", dx=-10, dy=-9, fontSize=12, fontWeight="bold")
    return [bar, mark, name]


def _palette(names: list[str]) -> alt.Scale:
    return alt.Scale(domain=names, range=[COLOURS[place % len(COLOURS)] for place in range(len(names))])


def _colour(names: list[str]) -> alt.Color:
    legend = alt.Legend(title="method", symbolType="circle", symbolOpacity=1)
    return alt.Color("series:N", scale=_palette(names), legend=legend)


def _tooltip() -> list[alt.Tooltip]:
    fields = {
        "series": ("series:N", "method"), "point": ("point:N", "point"), "kind": ("kind:N", "kind"),
        "decision": ("decision:N", "decision"), "execution": ("execution:N", "execution"),
        "seed": ("seed:N", "seed"), "selected": ("selected:N", "selected"),
    }  # fmt: skip
    numbers = {
        "mmacs": "MMACs per image", "mflops": "MFLOPs per image", "share": "% of plain MACs",
        "accuracy": "accuracy %", "accuracy_low": "interval from %", "accuracy_high": "interval to %",
    }  # fmt: skip
    texts = [alt.Tooltip(field, title=title) for field, title in fields.values()]
    values = [alt.Tooltip(f"{name}:Q", title=title, format=".2f") for name, title in numbers.items()]
    return [*texts, *values, alt.Tooltip("samples:Q", title="test images", format=",d")]


def speedup(rows: pd.DataFrame, names: list[str]) -> alt.LayerChart:
    """Speed-up in time against speed-up in MACs, both over the plain backbone (`realised.realised`, with rows).

    One condition is seen at a time, the first until another is chosen. `names` are the series in the order of their
    colours. On the upper line time follows MACs, on the lower one ENOUGH of the speed-up is left; a point below 1×
    is slower than the plain backbone. Flagged timings are hollow.
    """
    data = (
        rows[[*_TIMED_TEXTS, *_TIMED_NUMBERS]]
        .round(4)
        .assign(
            kind=rows["decision"].where(rows["execution"] == "executed", rows["execution"]),
            fill=(rows["flags"] == "").map({True: 1.0, False: 0.0}),
        )
    )
    domain = _reach(data["macs_speedup"])
    axes = {
        "x": _ratio(alt.X("macs_speedup:Q"), domain, "MACs"),
        "y": _ratio(alt.Y("time_speedup:Q"), _reach(data["time_speedup_low"], data["time_speedup_high"]), "time"),
    }
    conditions = list(dict.fromkeys(data["condition"]))
    select = alt.binding_select(options=conditions, name="measured: ") if len(conditions) > 1 else alt.Undefined
    chosen = alt.param(name="condition", value=conditions[0], bind=select)
    seen = alt.Chart(data).transform_filter(alt.datum.condition == chosen)
    pick = alt.selection_point(name="pick", fields=["series"], bind="legend")
    ends = {"y": alt.Y("time_speedup_low:Q"), "y2": alt.Y2("time_speedup_high:Q")}
    bars = seen.mark_rule(strokeWidth=1).encode(
        x=axes["x"], **ends, color=_colour(names), opacity=alt.condition(pick, alt.value(0.4), alt.value(0.05))
    )
    kinds = [kind for kind in TIMED_SHAPES if (data["kind"] == kind).any()]
    shapes = alt.Scale(domain=kinds, range=[TIMED_SHAPES[kind] for kind in kinds])
    legend = alt.Legend(title="point", symbolFillColor=QUIET, symbolStrokeColor=QUIET, symbolOpacity=1)
    dots = seen.mark_point(size=65).encode(
        **axes, color=_colour(names), fill=alt.Fill("series:N", scale=_palette(names), legend=None),
        fillOpacity=alt.FillOpacity("fill:Q", scale=None, legend=None),
        shape=alt.Shape("kind:N", scale=shapes, legend=legend),
        opacity=alt.condition(pick, alt.value(0.8), alt.value(0.08)),
        tooltip=[
            *(alt.Tooltip(f"{name}:N", title=title) for name, title in _TIMED_TEXTS.items()),
            *(alt.Tooltip(f"{name}:Q", title=title, format=".3~g") for name, title in _TIMED_NUMBERS.items()),
        ],
    ).add_params(pick)  # fmt: skip
    lines = [_follows(axes, domain, 1.0).add_params(chosen), _follows(axes, domain, ENOUGH)]
    sized: alt.LayerChart = alt.LayerChart(layer=[*lines, bars, dots]).properties(width=WIDTH, height=HEIGHT * 0.8)
    return sized


def _reach(*columns: pd.Series) -> list[float]:
    """The domain of a ratio's axis: all values and 1."""
    values = pd.concat([*columns, pd.Series([1.0])])
    return [float(values.min()) / 1.05, float(values.max()) * 1.05]


def _follows(axes: dict[str, Any], domain: list[float], part: float) -> alt.Chart:
    """The line on which a part of the speed-up in MACs is speed-up in time."""
    ends = pd.DataFrame({"macs_speedup": domain, "time_speedup": [part * end for end in domain]})
    dash = [2, 3] if part == 1 else [1, 5]
    line: alt.Chart = alt.Chart(ends).mark_line(color=QUIET, strokeDash=dash, strokeWidth=1, clip=True).encode(**axes)
    return line


def _ratio(axis: Any, domain: list[float], what: str) -> Any:
    ticks = alt.Axis(values=log_ticks(*domain), format="~g", labelExpr="datum.label + '×'")
    scale = alt.Scale(type="log", domain=domain, nice=False)
    return axis.scale(scale).axis(ticks).title(f"Speed-up over plain in {what}")
