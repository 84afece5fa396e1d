"""Tables and lists of the pages are those of the code."""

import re

import pytest
import typer
from prose import HOUSE, links

from benchmarks.cli import app
from benchmarks.core import received as records
from benchmarks.evaluation import points
from benchmarks.leaderboard import reading
from benchmarks.leaderboard.entry import LOOKED_UP
from benchmarks.leaderboard.entry import MOST as ITEMS
from benchmarks.leaderboard.judging import INLINE, POINTS, RANKED_SEEDS
from benchmarks.leaderboard.packing import MOST
from benchmarks.leaderboard.rules import RULES
from benchmarks.leaderboard.standing import CLAIM, CLASSES
from benchmarks.timing import history
from methods import received, sizes
from methods.registry import entries
from reports.html import pictures

DOCS = HOUSE / "docs"


def section(page: str, title: str) -> str:
    """What stands below a heading, to the next of the same or a higher level."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.search(rf"^(#+) {re.escape(title)}$\n(.*?)(?=^#{{1,2}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return re.split(rf"^{found[1]} ", found[2], flags=re.MULTILINE)[0]


def first_column(text: str) -> list[str]:
    """The names between backticks in the first column of a table, several a line allowed."""
    rows = re.findall(r"^\| ((?:`[^`]+`(?:, )?)+) \|", text, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def test_the_rules_of_the_leaderboard_are_those_that_are_judged() -> None:
    rows = re.findall(
        r"^\| `([a-z0-9-]+)` \| .+ \| (refused|not ranked|warned) \|$", section("leaderboard.md", "Rules"), re.MULTILINE
    )
    assert rows == [(rule.name, rule.breach) for rule in RULES]


def test_the_numbers_of_the_rules_are_those_of_the_code() -> None:
    text = " ".join((DOCS / "leaderboard.md").read_text(encoding="utf-8").split())
    assert f"up to {CLASSES[0][0]} trainings, up to {CLASSES[1][0]}, and beyond" in text
    assert (POINTS, RANKED_SEEDS, CLAIM, INLINE) == (20, 3, 5, 5 * 2**20)
    assert f"at most {POINTS} operating points" in text
    assert f"up to {INLINE // 2**20} MB an entry" in text
    assert "at least three seeds (five for claims of significance)" in text


def test_every_column_of_the_records_is_explained_in_order() -> None:
    assert first_column(section("api.md", "points.csv")) == list(points.COLUMNS)
    own = [name for name in first_column(section("api.md", "latency.csv")) if name not in history.KEY]
    assert sorted(own) == sorted(set(history.COLUMNS) - set(history.KEY))


@pytest.mark.parametrize("name", sorted(entries()))
def test_every_method_has_a_section_with_its_paper_and_its_options(name: str) -> None:
    text, entry = section("methods.md", name), entries()[name]
    shared = section("methods.md", "adaptiveexit") if name == "netselect" else ""
    paper = re.search(r"arXiv:(\d+\.\d+)", entry.citation)
    if paper is not None and name != "netselect":
        assert paper[1] in text or "SDPoint paper" in text
    for option in entry.options:
        assert option.partition("=")[0] in text + shared, option


def test_every_verb_is_in_the_changelog() -> None:
    verbs = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    text = (HOUSE / "CHANGELOG.md").read_text(encoding="utf-8")
    assert not [verb for verb in verbs if f"`{verb}`" not in text]


def test_every_page_is_in_the_list_of_pages() -> None:
    listed = {(DOCS / link).resolve() for link in links(DOCS / "README.md")}
    assert set(DOCS.glob("*.md")) - {DOCS / "README.md", DOCS / "claims.md"} <= listed


def test_the_bounds_of_what_is_read_are_those_of_the_code() -> None:
    entry = " ".join(section("leaderboard.md", "What is read of an entry").split())
    for text in (
        f"at most {reading.FILE >> 20} MiB", f"up to 2^{reading.WHOLE.bit_length() - 1}", f"{reading.DEPTH} levels",
        f"{reading.TEXT:,} characters", f"holds at most 2^{MOST.bit_length() - 1} numbers",
        f"all of an entry 2^{reading.NUMBERS.bit_length() - 1}", f"at most {ITEMS:,} items",
        f"at most 2^{LOOKED_UP.bit_length() - 1}. What",
    ):  # fmt: skip
        assert text in entry, text
    assert reading.BLANKS == 4
    run = section("received.md", "What is read")
    for row in (
        f"| {records.RECORD >> 20} MiB |", f"| {records.TABLE >> 20} MiB |",
        f"| {received.SMALL >> 20} MiB, or {received.UNFOLDING} times their file |", f"| {received.HEADER >> 20} MiB |",
        f"| 2^{sizes.WEIGHTS.bit_length() - 1} weights in 2^{sizes.TENSORS.bit_length() - 1} tensors, "
        f"2^{sizes.MOST.bit_length() - 1} numbers in one tensor for one image, {sizes.VALUES} values of settings |",
        f"| 2^{pictures.MOST_PIXELS.bit_length() - 1} pixels |",
    ):  # fmt: skip
        assert row in run, row


def test_every_verb_is_named_where_it_says_what_is_executed() -> None:
    verbs = set(typer.main.get_command(app).commands) - {"baseline"}  # type: ignore[attr-defined]
    assert verbs == {name.split()[0] for name in first_column(section("received.md", "What is executed"))} & verbs
