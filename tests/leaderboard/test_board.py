"""The board: classes, ranks, what is stale, what is significant, and texts that nobody can break out of."""

import csv
import io
import json
import re
from collections.abc import Sequence

import pytest
from entering import Made, changed, restated

from benchmarks.leaderboard.entry import Entry
from benchmarks.leaderboard.registered import Registered, registered
from benchmarks.leaderboard.standing import class_of, compared, duels, paired, standings
from benchmarks.stats.inference import holm
from reports.paper import board

VERSIONS = {"plain": 1, "sdpoint": 1, "earlyexit": 1}
HOSTILE = "x|</td><script>alert(1)</script> *b* `c` [l](http://e) & \\input{f} 50% $a_b$"


@pytest.fixture(scope="module")
def known() -> dict[str, Registered]:
    return registered()


def boards(entries: Sequence[Entry], known: dict[str, Registered], **versions: int) -> board.Boards:
    return standings(entries, known, VERSIONS | versions)


def with_summaries(entry: Entry, method: str, accuracies: Sequence[float], train: float = 1.0) -> Entry:
    """An entry as far as standings look: one point a seed at the plain cost, that is right so often."""
    template, rows, seeds = entry.seeds[0], [], []
    for number, accuracy in enumerate(accuracies):
        row = entry.figures.points[0].model_copy(
            update={
                "seed": number, "selected": True, "accuracy": accuracy, "calibration_accuracy": accuracy,
                "macs": entry.costs.plain_macs / 8, "calibration_macs": entry.costs.plain_macs / 8,
            }
        )  # fmt: skip
        rows.append(row)
        seeds.append(template.model_copy(update={"seed": number, "train_macs": train}))
    mean = sum(accuracies) / len(accuracies)
    stated = entry.figures.model_copy(
        update={"points": tuple(rows), "summary": entry.figures.summary.model_copy(update={"mean": mean})}
    )
    return changed(entry, method=method, variant="default", figures=stated, seeds=tuple(seeds))


@pytest.mark.parametrize(
    ("training", "name"),
    [(0.6, "up to 1.1 trainings"), (1.1, "up to 1.1 trainings"), (1.11, "up to 3.3 trainings"), (3.31, "beyond")],
)
def test_classes_go_by_training_macs_over_the_plain_networks(training: float, name: str) -> None:
    assert class_of(training) == name
    assert class_of(None) == "not known"


def test_the_best_summary_of_a_class_has_the_first_rank(early: Entry, known: dict[str, Registered]) -> None:
    entries = [
        with_summaries(early, "plain", [0.1, 0.1, 0.1]),
        with_summaries(early, "sdpoint", [0.6, 0.6, 0.7]),
        with_summaries(early, "earlyexit", [0.9, 0.9, 0.9], train=2.0),
    ]
    (lines,) = boards(entries, known).values()
    assert [(line.entry.method, line.group, line.rank) for line in lines] == [
        ("sdpoint", "up to 1.1 trainings", 1),
        ("plain", "up to 1.1 trainings", 2),
        ("earlyexit", "up to 3.3 trainings", 1),
    ]


def test_trainings_are_measured_by_the_plain_network_of_today(early: Entry, known: dict[str, Registered]) -> None:
    entries = [
        changed(with_summaries(early, "plain", [0.1] * 3, train=30.0), protocol=0),
        with_summaries(early, "plain", [0.1] * 3, train=10.0),
        with_summaries(early, "sdpoint", [0.6] * 3, train=20.0),
    ]
    (lines,) = boards(entries, known).values()
    assert {line.entry.method: line.training for line in lines if not line.stale} == {"sdpoint": 2.0, "plain": 1.0}


def test_the_open_division_is_measured_by_the_closed_plain_network(early: Entry, known: dict[str, Registered]) -> None:
    closed = with_summaries(early, "plain", [0.1] * 3, train=10.0)
    mine = [
        changed(with_summaries(early, method, [0.6] * 3, train=train), division="open")
        for method, train in (("plain", 100.0), ("sdpoint", 28.0))
    ]
    lines = boards([*mine, closed], known)["digits", "resnet8", "open"]
    assert {line.entry.method: line.training for line in lines} == {"sdpoint": 2.8, "plain": 10.0}


def test_who_leads_is_known_from_the_same_figures_so_all_pairs_are_adjusted_together(early: Entry) -> None:
    entries = [
        with_summaries(early, method, accuracies)
        for method, accuracies in (
            ("plain", [0.90, 0.91, 0.92, 0.90, 0.91]),
            ("sdpoint", [0.88, 0.90, 0.90, 0.89, 0.88]),
            ("earlyexit", [0.87, 0.90, 0.89, 0.90, 0.88]),
        )
    ]
    every = [paired(one, other)[1] for one, other in ((entries[0], entries[1]), (entries[0], entries[2]))]
    every.append(paired(entries[1], entries[2])[1])
    found = [one.p for one in compared(entries) if one]
    assert found == pytest.approx(holm(every)[:2])
    assert found[0] == pytest.approx(3 * every[0])


def test_two_seeds_are_shown_and_not_ranked(early: Entry, known: dict[str, Registered]) -> None:
    entries = [with_summaries(early, "plain", [0.1] * 3), with_summaries(early, "sdpoint", [0.9, 0.9])]
    (lines,) = boards(entries, known).values()
    assert [(line.entry.method, line.rank, line.note) for line in lines] == [
        ("plain", 1, ""),
        ("sdpoint", None, "fewer than 3 seeds"),
    ]


def test_nothing_is_ranked_on_data_the_suite_designed(early: Entry, known: dict[str, Registered]) -> None:
    ours = known | {"digits": known["digits"].model_copy(update={"ranked": False, "reason": "ours"})}
    (lines,) = boards([with_summaries(early, "plain", [0.1] * 3)], ours).values()
    assert (lines[0].rank, lines[0].note) == (None, "ours")
    assert not known["shapes-v1"].ranked


@pytest.mark.parametrize("what", ["data", "protocol", "version", "gone"])
def test_entries_grey_out_when_what_they_are_of_changes(early: Entry, known: dict[str, Registered], what: str) -> None:
    other, versions, entry = known, VERSIONS, early
    if what == "data":
        other = known | {"digits": known["digits"].model_copy(update={"test_fingerprint": "0" * 64})}
    elif what == "protocol":
        entry = changed(early, protocol=0)
    else:
        versions = {"earlyexit": 2} if what == "version" else {}
    (lines,) = standings([entry], other, versions).values()
    assert lines[0].stale
    assert lines[0].rank is None
    text = board.as_markdown({("digits", "resnet8", "closed"): lines}, {})
    assert "### Out of date" in text
    assert f"<sub>{lines[0].entry.label}</sub>" in text


def test_a_difference_needs_five_seeds_to_be_called_significant(early: Entry) -> None:
    for seeds, mark in ((3, "<?"), (5, "<")):
        best = with_summaries(early, "sdpoint", [0.90 + 0.001 * (s % 2) for s in range(seeds)])
        worse = with_summaries(early, "earlyexit", [0.80 + 0.002 * (s % 2) for s in range(seeds)])
        leader, second = compared([best, worse])
        assert leader is None
        assert second is not None
        assert (second.mark, second.pairs) == (mark, seeds)
        assert second.difference < -0.09


def test_who_is_above_the_leader_where_both_have_seeds_is_not_called_below(early: Entry) -> None:
    best = with_summaries(early, "best", [0.5, 0.5, 0.5, 0.5, 0.5, 0.9, 0.9, 0.9])
    other = with_summaries(early, "other", [0.6, 0.6, 0.6, 0.6, 0.6001])
    second = compared([best, other])[1]
    assert second is not None
    assert second.difference > 0
    assert second.mark == "≈"


def test_differences_that_scatter_are_not_told_apart(early: Entry) -> None:
    best = with_summaries(early, "sdpoint", [0.9, 0.7, 0.9, 0.7, 0.9])
    other = with_summaries(early, "earlyexit", [0.7, 0.9, 0.7, 0.9, 0.8])
    second = compared([best, other])[1]
    assert second is not None
    assert second.mark == "≈"


def test_p_values_are_adjusted_over_the_class(early: Entry) -> None:
    best = with_summaries(early, "sdpoint", [0.9, 0.8, 0.9, 0.8, 0.9])
    other = with_summaries(early, "earlyexit", [0.88, 0.79, 0.87, 0.79, 0.88])
    _, p, _ = paired(best, other)
    alone, two = compared([best, other])[1], compared([best, other, other])[1]
    assert alone is not None
    assert two is not None
    assert alone.p == pytest.approx(p)
    assert two.p == pytest.approx(3 * p)  # three pairs, one of them of equals


def test_seeds_that_only_one_has_make_no_pair(early: Entry) -> None:
    best, other = with_summaries(early, "a", [0.9, 0.8]), with_summaries(early, "b", [0.7])
    assert paired(best, other)[2] == 1
    apart = changed(other, seeds=(other.seeds[0].model_copy(update={"seed": 7}),))
    assert paired(best, apart)[2] == 0


def test_duels_count_the_images_that_only_one_gets_right(made: Made) -> None:
    first, second = made.entries["plain"], made.entries["sdpoint"]
    rows = duels(first, second)
    assert {row["share"] for row in rows} == {1.0}
    told = {row.seed: row.accuracy for row in first.figures.points}
    for row, other in zip(rows, second.seeds, strict=True):
        gain = row["only_second"] - row["only_first"]
        full = told[row["seed"]] * 359 + gain
        theirs = [point.accuracy * 359 for point in second.figures.points if point.seed == other.seed]
        assert min(abs(full - one) for one in theirs) < 1e-6
        assert 0 < row["p"] <= 1
    elsewhere = changed(second, dataset=second.dataset.model_copy(update={"test_fingerprint": "0" * 64}))
    assert duels(first, elsewhere) == []


def test_what_an_author_writes_cannot_leave_its_cell(made: Made, known: dict[str, Registered]) -> None:
    entries = [made.entries["plain"], restated(changed(made.entries["sdpoint"], variant=HOSTILE, tuning=HOSTILE))]
    found = boards(entries, known)
    text = board.as_markdown(found, {"digits": HOSTILE})
    assert "<script" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {len(board.HEADER) + 1}
    tex = board.as_latex(found)
    assert r"\input" not in tex
    assert r"50\%" in tex
    assert all(len(re.findall(r"(?<!\\)&", row)) == 8 for row in tex.splitlines() if row.endswith(r"\\") and "&" in row)


def test_csv_and_json_have_a_row_an_entry_under_the_same_names(made: Made, known: dict[str, Registered]) -> None:
    found = boards(list(made.entries.values()), known)
    table = list(csv.DictReader(io.StringIO(board.as_csv(found))))
    entries = json.loads(board.as_json(found))["entries"]
    assert [row["method"] for row in table] == [row["method"] for row in entries]
    assert tuple(table[0]) == board.COLUMNS
    assert set(board.COLUMNS) < set(entries[0])
    assert {len(row["duels"]) > 0 for row in entries if row["difference"] is not None} == {True}


def test_a_spreadsheet_takes_no_text_for_a_formula(made: Made, known: dict[str, Registered]) -> None:
    found = boards([changed(made.entries["plain"], tuning="=HYPERLINK(1)")], known)
    assert "'=HYPERLINK(1)" in board.as_csv(found)


def test_every_board_says_what_one_network_costs_in_both_conventions(made: Made, known: dict[str, Registered]) -> None:
    text = board.as_markdown(boards(list(made.entries.values()), known), {})
    macs = made.run.plain_macs
    assert f"{macs / 1e6:,.2f} MMACs ({2 * macs / 1e6:,.2f} MFLOPs)" in text


def test_a_board_without_entries_says_so() -> None:
    assert "There are no entries yet." in board.as_markdown({}, {})


def test_the_page_reads_entries_as_runs(made: Made, known: dict[str, Registered]) -> None:
    found = board.runs(boards(list(made.entries.values()), known))
    assert {run.section("configuration")["methods"][0] for run in found} == set(made.entries)
    for run in found:
        assert {"division", "class", "tier", "stale"} <= set(run.points)
        assert run.chance == 0.1
