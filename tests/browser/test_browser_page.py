"""The page in a real browser: it draws, filters, sorts and loads nothing, on a desktop and on a phone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from made_up import write_run
from opened import DESKTOP, PHONE
from unpacked import page_data, rows

from reports.data import tables
from reports.data.records import Run, read
from reports.html import site
from reports.html.render import page

pytestmark = pytest.mark.browser
Look = Callable[..., Any]
EVIL = "</script><script>document.title = 'taken'</script><img src=x onerror=document.title='taken'>"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Five seeds of made-up methods, timed under two conditions, with a family of plain networks, and loadable."""
    folder = write_run(tmp_path_factory.mktemp("browser") / "run", seeds=5)
    (folder / "models").mkdir()
    made = read(folder)
    plain = made.points[made.points["method"] == "plain"]
    small = plain.assign(
        method="static", point="small", macs=plain["macs"] * 0.4, calibration_macs=plain["macs"] * 0.4,
        accuracy=0.8, calibration_accuracy=0.8,
    )  # fmt: skip
    latency = pd.concat([made.latency, made.latency.assign(batch_size=64, scenario="batched")], ignore_index=True)
    return replace(made, points=pd.concat([made.points, small], ignore_index=True), latency=latency)


@pytest.fixture(scope="module")
def several(run: Run) -> list[Run]:
    """The run, and another on other images."""
    data = run.section("data") | {"name": "digits"}
    record = run.record | {"name": "another", "data": data}
    points = run.points[run.points["method"] != "earlyexit"].assign(dataset="digits", seed=lambda t: t["seed"])
    return [run, replace(run, record=record, points=points.reset_index(drop=True), latency=run.latency.head(0))]


@pytest.fixture(scope="module")
def file(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page([run]), encoding="utf-8")
    return path


def test_it_opens_without_a_network_and_draws_its_charts(file: Path, look: Look) -> None:
    opened = look(file)
    assert opened.marks() > 40
    assert len(opened.tab.query_selector_all("#chart-speedup svg .mark-symbol path")) > 5
    assert "of plain" in opened.tab.inner_text("#chart-frontier")


def test_it_says_first_which_method_wins_at_which_budget(file: Path, run: Run, look: Look) -> None:
    opened = look(file)
    cards = opened.texts("#winners .card")
    assert [card.split("\n")[0] for card in cards] == [f"{share}% of the plain cost" for share in (25, 50, 75, 100)]
    assert "no point is so cheap" in cards[0]
    budgets = tables.budgets(run).query("share == 0.5 and series in ['sdpoint', 'earlyexit']").dropna()
    best = budgets.loc[budgets["accuracy"].idxmax()]
    name, figure = cards[1].split("\n")[1:3]
    assert (name, float(figure.rstrip("%"))) == (best["series"], pytest.approx(100 * best["accuracy"], abs=0.06))
    words = opened.tab.text_content("#frontier-words")
    assert f"At 50% of the plain cost the best method is {best['series']}" in words
    assert "plain family" in words


def test_filters_leave_what_they_say_and_the_count_is_announced(file: Path, look: Look) -> None:
    opened = look(file)
    before, status = opened.marks(), opened.tab.locator("#count")
    assert status.inner_text().startswith("4 of 4 series")
    opened.tab.get_by_label("sdpoint", exact=True).check()
    assert status.inner_text().startswith("1 of 4 series")
    assert set(opened.column("points", "method")) == {"sdpoint"}
    opened.tab.wait_for_function(
        "before => document.querySelectorAll('#chart-frontier svg .mark-symbol path').length < before", arg=before
    )
    opened.tab.get_by_text("Intervals, controls and more filters").click()
    opened.tab.get_by_label("depth", exact=True).check()
    assert status.inner_text().startswith("0 of 4 series")
    opened.tab.get_by_role("button", name="Show everything").click()
    assert status.inner_text().startswith("4 of 4 series")


def test_a_filter_with_one_value_is_not_shown(several: list[Run], file: Path, look: Look, tmp_path: Path) -> None:
    assert look(file).texts("#one select") == []
    both = tmp_path / "both.html"
    both.write_text(page(several), encoding="utf-8")
    opened = look(both)
    assert opened.tab.locator("#one select").get_attribute("name") == "dataset"
    opened.tab.select_option("#one-dataset", "digits")
    assert set(opened.column("summary", "method")) == {"plain", "sdpoint", "static"}


def test_a_table_is_sorted_by_the_heading_that_is_pressed(file: Path, look: Look) -> None:
    opened = look(file)
    for direction in ("ascending", "descending"):
        opened.tab.get_by_role("region", name="Operating points").get_by_role("button", name="accuracy %").click()
        heading = opened.tab.locator("#table-points th[aria-sort]")
        assert (heading.inner_text(), heading.get_attribute("aria-sort")) == ("accuracy %", direction)
        shown = [float(text) for text in opened.column("points", "accuracy %")]
        assert shown == sorted(shown, reverse=direction == "descending")


def test_long_tables_show_more_on_demand(file: Path, look: Look) -> None:
    opened = look(file)
    assert len(opened.column("points", "point")) == 50
    opened.tab.locator("#table-points").get_by_role("button", name="Show more").click()
    assert len(opened.column("points", "point")) > 100


def test_the_cost_axis_switches_between_macs_latency_and_memory(file: Path, look: Look) -> None:
    opened = look(file)
    for cost, axis in (("Latency", "p50 ms a batch"), ("Memory", "MiB"), ("MACs", "MMACs")):
        opened.tab.get_by_role("radio", name=cost).check()
        opened.tab.wait_for_function(
            "text => document.querySelector('#chart-frontier svg')?.textContent.includes(text)", arg=axis
        )
        assert opened.marks() > 0
        assert opened.tab.get_by_label("measured").first.is_visible() == (cost == "Latency")


def test_flagged_timings_are_hollow(file: Path, look: Look) -> None:
    opened = look(file, "#cost=time")
    hollow = opened.tab.query_selector_all('#chart-frontier svg .mark-symbol path[fill-opacity="0"]')
    assert len(hollow) == 1


def test_controls_are_drawn_on_demand(file: Path, look: Look) -> None:
    def lines(view: str) -> int:
        return len(look(file, view).tab.query_selector_all("#chart-frontier svg .mark-line path[stroke-dasharray]"))

    assert lines("#layers=family+random+mixture") == lines("#layers=family") + 10  # of two kinds, five seeds each


def test_a_view_is_an_address(file: Path, look: Look) -> None:
    first = look(file)
    first.tab.get_by_label("earlyexit", exact=True).check()
    first.tab.get_by_role("radio", name="Memory").check()
    first.tab.get_by_role("region", name="Frontier summaries").get_by_role("button", name="summary").click()
    address = first.tab.evaluate("location.hash")
    again = look(file, address)
    assert again.tab.get_by_role("radio", name="Memory").is_checked()
    assert again.texts("#count") == first.texts("#count")
    assert again.tab.locator("#table-summary th[aria-sort]").inner_text().startswith("summary")
    assert look(file, "#cost=nonsense&method=unknown&sort.points=-nothing").marks() > 0


def test_a_point_shows_the_command_that_selects_it_and_the_python_that_loads_it(
    file: Path, run: Run, look: Look
) -> None:
    opened = look(file, "#method=sdpoint")
    asked = [row for row in rows(page_data(file.read_text())["points"]) if row["seed"] == 0 and row["asked"]]
    name, macs = next((row["point"], row["asked"]) for row in asked if row["point"].startswith("p"))
    opened.tab.locator("#table-points tbody").get_by_role("button", name=name, exact=True).first.focus()
    opened.tab.keyboard.press("Enter")
    command, lines = opened.texts("#point-code pre")
    assert command == f"python -m benchmarks pick {run.folder} --max-macs {macs / 1e6:.6f}".rstrip("0") + "M --seed 0"
    assert lines.split("\n")[0] == "import benchmarks"
    assert f"benchmarks.load('{run.folder}').at('sdpoint/" in lines
    assert lines.count("\n") == 3
    opened.tab.keyboard.press("Escape")
    assert not opened.tab.locator("#point").is_visible()
    opened.tab.locator("#chart-frontier svg .mark-symbol path").last.click()
    assert opened.tab.locator("#point").is_visible()


def test_hovering_a_point_tells_its_settings_and_its_command(file: Path, look: Look) -> None:
    opened = look(file)
    opened.tab.locator("#chart-frontier svg .mark-symbol path").last.hover()
    tip = opened.tab.locator("#vg-tooltip-element")
    tip.wait_for(state="visible")
    assert {"method", "point", "decision", "accuracy %", "select it"} <= set(
        tip.inner_text().replace("\t", "\n").split("\n")
    )


def test_who_beats_whom_needs_no_arithmetic(file: Path, look: Look) -> None:
    opened = look(file)
    verdicts = opened.column("versus", "verdict")
    assert any(verdict.endswith("is better") for verdict in verdicts)
    assert all(difference[0] in "+±" for difference in opened.column("versus", "difference, points"))


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light"), (PHONE, "dark")])
def test_it_fits_the_screen_and_its_text_stands_out(file: Path, look: Look, size: tuple[int, int], scheme: str) -> None:
    opened = look(file, "#layers=family+bands+random+mixture+oracle+pale", size=size, scheme=scheme)
    assert opened.tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert opened.tab.evaluate(
        "document.querySelector('#chart-frontier svg').getBoundingClientRect().right <= window.innerWidth"
    )
    for selector in ("body", ".quiet", "#winners p", "#table-points tr.faint td", "a"):
        assert contrast(opened, selector) >= 4.5, selector


def contrast(opened: Any, selector: str) -> float:
    """The contrast of an element's text with what is behind it, as WCAG 2 defines it."""
    colours = opened.tab.evaluate(
        """selector => {
          let behind = document.querySelector(selector);
          const text = getComputedStyle(behind).color;
          const clear = (one) => getComputedStyle(one).backgroundColor === 'rgba(0, 0, 0, 0)';
          while (behind.parentElement && clear(behind)) behind = behind.parentElement;
          const numbers = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
          return [text, getComputedStyle(behind).backgroundColor].map(numbers);
        }""",
        selector,
    )

    def light(rgb: list[float]) -> float:
        parts = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    dim, bright = sorted(map(light, colours))
    return (bright + 0.05) / (dim + 0.05)


def test_the_keyboard_reaches_every_control_in_order_and_sees_where_it_is(file: Path, look: Look) -> None:
    opened = look(file)
    reached = []
    for _ in range(34):
        opened.tab.keyboard.press("Tab")
        reached.append(opened.tab.evaluate("document.activeElement.name || document.activeElement.textContent.trim()"))
        seen = opened.tab.evaluate(
            """[document.activeElement, document.activeElement.closest('label')].some((one) =>
                 one && getComputedStyle(one).outlineStyle !== 'none')"""
        )
        assert seen, reached[-1]
    assert reached[0] == "Skip to the results"
    assert reached.index("Winners") < reached.index("cost") < reached.index("method") < reached.index("Show everything")
    assert "Accuracy at shares" in opened.tab.locator("#table-budgets .box").get_attribute("aria-label")


def test_a_ticked_filter_keeps_the_focus(file: Path, look: Look) -> None:
    opened = look(file)
    opened.tab.get_by_label("earlyexit", exact=True).focus()
    opened.tab.keyboard.press("Space")
    focus = opened.tab.evaluate("[document.activeElement.name, document.activeElement.value]")
    assert focus == ["method", "earlyexit"]


def test_a_screen_reader_finds_landmarks_captions_and_names(file: Path, look: Look) -> None:
    opened = look(file)

    def none(selector: str, condition: str) -> bool:
        """Whether no element that `selector` finds meets a condition on `one`."""
        return not opened.tab.evaluate(f"[...document.querySelectorAll('{selector}')].some((one) => {condition})")

    assert none("table", "!one.caption?.textContent")
    assert none("main > section", "!document.getElementById(one.getAttribute('aria-labelledby'))")
    assert none("button, input, select", "!one.textContent.trim() && !one.labels?.length")
    assert none("[id]", "document.querySelectorAll('#' + CSS.escape(one.id)).length > 1")
    assert opened.tab.locator("main").count() == opened.tab.locator("header").count() == 1
    chart = opened.tab.locator("#chart-frontier")
    assert chart.get_attribute("role") == "img"
    assert opened.tab.locator(f"#{chart.get_attribute('aria-describedby')}").text_content()


def test_what_runs_say_is_text_and_never_markup(run: Run, look: Look, tmp_path: Path) -> None:
    record = run.record | {"name": EVIL, "warnings": [EVIL], "data": run.section("data") | {"name": EVIL}}
    points = run.points.replace({"point": {"p1_r0.5": EVIL}, "method": {"sdpoint": "sdpoint" + EVIL}})
    evil = tmp_path / "evil.html"
    evil.write_text(page([replace(run, record=record, points=points, latency=run.latency.head(0))]), encoding="utf-8")
    opened = look(evil)
    assert opened.tab.title() != "taken"
    assert opened.tab.locator("img").count() == 0
    assert EVIL in opened.texts("#table-points tbody button")
    opened.tab.locator("#chart-frontier svg .mark-symbol path").last.hover()
    opened.tab.locator("#vg-tooltip-element").wait_for(state="visible")
    assert opened.tab.title() != "taken"


def test_a_site_works_from_its_folder(several: list[Run], look: Look, tmp_path: Path) -> None:
    site.write(several, tmp_path)
    opened = look(tmp_path / "index.html")
    opened.tab.locator("#table-runs tbody a").first.click()
    opened.tab.wait_for_selector("#chart-frontier svg")
    assert "/runs/" in opened.tab.url
    assert opened.marks() > 0
