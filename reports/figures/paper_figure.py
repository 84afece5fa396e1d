"""Frontiers as a figure for a paper: one or two columns wide, and told apart in print without colour.

Every series has a dash and a mark of its own beside its colour. Sizes are points, 72 to the inch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd
import vl_convert

from reports.data.comparison import Place
from reports.data.tables import mean_steps, series_of
from reports.figures.charts import COLOURS, log_ticks

INK = "#000000"
FAINT = "#dddddd"
FONT = "Arial, Helvetica, 'Liberation Sans', sans-serif"
"""A font of every reader, or one with its measures: a PDF embeds it, an SVG finds it."""
MARKS = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-left", "triangle-right")
DASHES: tuple[list[int], ...] = ([], [5, 2], [2, 2], [7, 2, 2, 2], [4, 4])
PNG_SCALE = 4
FORMATS = (".svg", ".pdf", ".png")


@dataclass(frozen=True)
class Layout:
    """Panels side by side, the size of what is drawn in each, and the columns of the legend with their width."""

    panels: int
    width: int
    height: int
    legend: int
    label: int


LAYOUTS = {1: Layout(1, 205, 150, 2, 100), 2: Layout(2, 205, 150, 4, 110)}
"""By columns of text: 3.3 and 6.9 inches."""
ALONE = Layout(1, 465, 200, 4, 110)
"""A single panel over both columns."""


def render(places: Sequence[Place], columns: int, suffix: str) -> bytes:
    """The figure as the file of that `suffix`, one of FORMATS, over 1 or 2 columns of text."""
    spec, config = figure(places, columns).to_dict(), theme()
    if suffix == ".svg":
        return str(vl_convert.vegalite_to_svg(spec, config=config)).encode()
    if suffix == ".pdf":
        return bytes(vl_convert.vegalite_to_pdf(spec, config=config))
    return bytes(vl_convert.vegalite_to_png(spec, config=config, scale=PNG_SCALE))


def figure(places: Sequence[Place], columns: int) -> alt.ConcatChart:
    """Accuracy against MACs (log scale) of the chosen points of every series, a panel a place.

    Lines are means over seeds (`tables.mean_steps`); bars are the lowest and the highest seed, or the 95% interval
    over test images where there is one.
    """
    layout = ALONE if columns == 2 and len(places) == 1 else LAYOUTS[columns]
    names = list(dict.fromkeys(name for place in places for name in series_of(place.points)))
    panels = [_panel(place, names, layout, title=len(places) > 1) for place in places]
    chart: alt.ConcatChart = alt.concat(*panels, columns=layout.panels, spacing=12)
    return chart


def theme() -> dict[str, Any]:
    """Small black print with hair lines."""
    return {
        "background": "white", "font": FONT, "view": {"stroke": None}, "padding": 2,
        "axis": {
            "gridColor": FAINT, "gridWidth": 0.4, "domainColor": INK, "domainWidth": 0.6, "tickColor": INK,
            "tickWidth": 0.6, "tickSize": 3, "labelColor": INK, "titleColor": INK, "labelFontSize": 7.5,
            "titleFontSize": 8, "titleFontWeight": "normal", "titlePadding": 4,
        },
        "legend": {
            "labelColor": INK, "labelFontSize": 7.5, "symbolSize": 26, "symbolStrokeWidth": 0, "rowPadding": 1,
            "columnPadding": 6, "titleColor": INK, "offset": 4,
        },
        "title": {"color": INK, "fontSize": 8, "fontWeight": "normal", "anchor": "start", "offset": 3},
    }  # fmt: skip


def _panel(place: Place, names: list[str], layout: Layout, *, title: bool) -> alt.LayerChart:
    own = place.points[place.points["kind"] == "point"]
    steps, marks = _percent(mean_steps(own)), _percent(_spread(own))
    axes = {"x": _cost(marks["mmacs"]), "y": _accuracy(marks)}
    colours = [INK, *COLOURS] if "plain" in names else COLOURS  # the plain network comes first
    colour = alt.Color("series:N", scale=_scale(names, colours), legend=_legend(layout))
    dash = alt.StrokeDash("series:N", scale=_scale(names, DASHES), legend=None)
    shape = alt.Shape("series:N", scale=_scale(names, MARKS), legend=_legend(layout))
    line = alt.Chart(steps).mark_line(interpolate="step-after", strokeWidth=0.9)
    bars = alt.Chart(marks).mark_rule(strokeWidth=0.6, opacity=0.7)
    dots = alt.Chart(steps).mark_point(filled=True, size=16, opacity=1)
    layers = [
        bars.encode(x=axes["x"], y=alt.Y("low:Q"), y2=alt.Y2("high:Q"), color=colour),
        line.encode(**axes, color=colour, strokeDash=dash),
        dots.encode(**axes, color=colour, shape=shape),
    ]
    heading = {"title": alt.TitleParams(place.title, limit=layout.width + 20)} if title else {}
    sized: alt.LayerChart = alt.LayerChart(layer=layers).properties(width=layout.width, height=layout.height, **heading)
    return sized


def _spread(own: pd.DataFrame) -> pd.DataFrame:
    """`series, macs, low, high` of every chosen point: over seeds of the same point, or over test images."""
    chosen = own[own["selected"]]
    rows = []
    for (series, _), point in chosen.groupby(["series", "point"], sort=False):
        several = len(point) > 1
        low = point["accuracy"].min() if several else point["accuracy_low"].iloc[0]
        high = point["accuracy"].max() if several else point["accuracy_high"].iloc[0]
        rows.append({"series": series, "macs": point["macs"].mean(), "low": low, "high": high})
    return pd.DataFrame(rows)


def _percent(table: pd.DataFrame) -> pd.DataFrame:
    percent = {name: 100 * table[name] for name in ("accuracy", "low", "high") if name in table}
    return table.assign(mmacs=table["macs"] / 1e6, **percent)


def _cost(mmacs: pd.Series) -> alt.X:
    low, high = float(mmacs.min()) / 1.06, float(mmacs.max()) * 1.06
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    axis = alt.Axis(values=log_ticks(low, high), format="~g", labelFlush=False)
    return alt.X("mmacs:Q", scale=scale, axis=axis, title="Million MACs per image (log scale)")


def _accuracy(marks: pd.DataFrame) -> alt.Y:
    domain = [float(marks["low"].min()) - 0.5, float(marks["high"].max()) + 0.5]
    scale = alt.Scale(domain=domain, nice=False, zero=False)
    return alt.Y("accuracy:Q", scale=scale, title="Test accuracy (%)")


def _scale(names: list[str], values: Sequence[Any]) -> alt.Scale:
    return alt.Scale(domain=names, range=[values[place % len(values)] for place in range(len(names))])


def _legend(layout: Layout) -> alt.Legend:
    return alt.Legend(title=None, orient="bottom", columns=layout.legend, labelLimit=layout.label, symbolOpacity=1)
