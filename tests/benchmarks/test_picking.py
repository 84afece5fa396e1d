"""A run's best point within a budget: what chooses it, what is said of it, and what test images do not touch."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from harness import Finished, do, points, small, unsealed

from benchmarks import stored
from benchmarks.cli.pick import pick as verb
from benchmarks.core.errors import UsageError
from benchmarks.selection.budget import Budget, Offer
from benchmarks.selection.pick import bound, pick
from benchmarks.selection.timed import Wanted
from benchmarks.stats.inference import mcnemar
from methods.routers import Argmax, Constant, Learned, Policy, Threshold
from methods.routing import simulate
from methods.table import PathTable

ACROSS = [Budget(macs=x) for x in (4e5, 5e5, 6e5, 7e5, 8e5)] + [Budget(accuracy=x) for x in (0.2, 0.3, 0.4)]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run of three seeds."""
    folder = tmp_path_factory.mktemp("picking") / "seeded"
    do(small(folder, methods="sdpoint,earlyexit", seeds="0,1,2", backbone="resnet8:width=4"))
    return folder


@pytest.fixture
def copy(finished: Finished, tmp_path: Path) -> Path:
    """The records of a finished run, without its models."""
    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder, ignore=shutil.ignore_patterns("models", "checkpoints", "jobs"))
    return unsealed(folder)


def poison(folder: Path) -> None:
    """Another test split: labels, predictions and every figure that was made of them."""
    rng = np.random.default_rng(0)
    for path in (folder / "paths").glob("*.test.npz"):
        table = PathTable.load(path)
        labels = rng.permutation(table.labels)
        replace(table, labels=labels, prediction=rng.permuted(table.prediction, axis=1)).save(path)
    rows = points(folder)
    for column in ("macs", "macs_max", "accuracy", "accuracy_low", "accuracy_high", "on_frontier"):
        rows[column] = rng.permutation(rows[column])
    rows.to_csv(folder / "points.csv", index=False)


def timed(folder: Path, change: dict[tuple[str, str], dict[str, object]] | None = None) -> None:
    """Latencies for every point: a millisecond for every 100,000 MACs, its p99 the double."""
    rows = points(folder).query("kind == 'point'")
    condition = {"scenario": "single", "backend": "eager", "precision": "float32", "device": "cpu", "threads": 1,
                 "batch_size": 1, "protocol": "quick-2", "execution": "executed", "flags": ""}  # fmt: skip
    found = rows[["method", "variant", "backbone", "dataset", "seed", "point"]].assign(**condition)
    found["p50_ms"] = rows["macs"] / 1e5
    found["p99_ms"] = rows["macs"] / 5e4
    for (method, point), values in (change or {}).items():
        for column, value in values.items():
            found.loc[(found["method"] == method) & (found["point"] == point), column] = value
    found.to_csv(folder / "latency.csv", index=False)


@pytest.mark.parametrize("budget", ACROSS, ids=str)
def test_the_choice_is_the_best_row_on_select(finished: Finished, budget: Budget) -> None:
    rows = points(finished.folder).query("kind == 'point'")
    if budget.macs is not None:
        best = rows[rows["calibration_macs"] <= budget.macs].sort_values(
            ["calibration_accuracy", "calibration_macs"], ascending=[False, True], kind="stable"
        )
    else:
        best = rows[rows["calibration_accuracy"] >= budget.accuracy].sort_values("calibration_macs", kind="stable")
    chosen = pick(stored.read(finished.folder), budget).use
    row = best.iloc[0]
    assert chosen.offer.point == row["point"]
    assert chosen.offer.accuracy == pytest.approx(row["calibration_accuracy"])
    assert chosen.accuracy == pytest.approx(row["accuracy"])
    assert (chosen.low, chosen.high) == pytest.approx((row["accuracy_low"], row["accuracy_high"]))
    assert (chosen.macs, chosen.macs_max) == pytest.approx((row["macs"], row["macs_max"]))


@pytest.mark.parametrize("worst_case", [False, True])
def test_poisoned_test_images_change_no_choice_and_no_runner_up(copy: Path, worst_case: bool) -> None:
    near_the_best = [Budget(accuracy=x) for x in (0.66, 0.68, 0.7)]
    budgets = [replace(budget, worst_case=worst_case) for budget in (*ACROSS, *near_the_best)]
    before = [pick(stored.read(copy), budget) for budget in budgets]
    poison(copy)
    after = [pick(stored.read(copy), budget) for budget in budgets]
    assert [one.use.offer for one in before] == [one.use.offer for one in after]
    assert [one.use.accuracy for one in before] != [one.use.accuracy for one in after]
    both = [(a.runner_up, b.runner_up) for a, b in zip(before, after, strict=True) if a.runner_up and b.runner_up]
    assert both
    assert all(a.offer == b.offer for a, b in both)


def right_at(run: stored.StoredRun, offer: Offer) -> np.ndarray:
    """Which test images an offer gets right."""
    (model,) = (model for model in run.models if model.label == offer.series)
    (point,) = (point for point in model.points if point.name == offer.point)
    table = model.test()
    return table.correct[simulate(table, point.router).answer, np.arange(len(table.labels))]


def test_the_runner_up_is_another_series_compared_image_by_image(finished: Finished) -> None:
    run = stored.read(finished.folder)
    picks = [found for budget in ACROSS if (found := pick(run, budget)).runner_up]
    assert picks
    for found in picks:
        assert found.runner_up is not None
        assert found.runner_up.offer.series != found.use.offer.series
        first, second = (right_at(run, one.offer) for one in (found.use, found.runner_up))
        (against,) = found.against
        assert against.p == mcnemar(int((first & ~second).sum()), int((second & ~first).sum()))
        assert against.difference == pytest.approx(first.mean() - second.mean())
        assert against.p >= 0.05 or against.difference <= 0


def test_over_seeds_the_mean_on_select_chooses_the_series(seeded: Path) -> None:
    rows = points(seeded).query("kind == 'point'")
    found = pick(stored.read(seeded), Budget(macs=1e9))
    best = rows.groupby(["method", "seed"])["calibration_accuracy"].max().groupby("method").mean()
    assert found.use.offer.series == best.idxmax()
    assert found.select_accuracy == pytest.approx(best.max())
    assert [one.offer.seed for one in found.seeds] == [0, 1, 2]
    assert found.use.offer.accuracy == max(one.offer.accuracy for one in found.seeds)
    assert found.runner_up is None or len(found.against) == 3


def test_one_seed_alone_can_be_asked_for(seeded: Path) -> None:
    found = pick(stored.read(seeded), Budget(macs=1e9), seed=1)
    assert {one.offer.seed for one in found.seeds} == {1}
    with pytest.raises(UsageError, match="has no seed 7; it has 0, 1, 2"):
        pick(stored.read(seeded), Budget(macs=1e9), seed=7)


def test_a_series_that_lacks_a_seed_is_left_out_and_named(seeded: Path, tmp_path: Path) -> None:
    shutil.copytree(seeded, tmp_path / "copy", ignore=shutil.ignore_patterns("models", "checkpoints", "jobs"))
    unsealed(tmp_path / "copy")
    rows = points(seeded)
    rows[(rows["method"] != "earlyexit") | (rows["seed"] != 2)].to_csv(tmp_path / "copy/points.csv", index=False)
    spoil = json.loads((tmp_path / "copy/run.json").read_text())
    spoil["models"] = [m for m in spoil["models"] if (m["method"], m["seed"]) != ("earlyexit", 2)]
    (tmp_path / "copy/run.json").write_text(json.dumps(spoil))
    found = pick(stored.read(tmp_path / "copy"), Budget(macs=1e9))
    assert found.left_out == ("earlyexit",)
    assert found.use.offer.series != "earlyexit"


def test_the_worst_case_is_what_the_dearest_image_can_cost(finished: Finished) -> None:
    run = stored.read(finished.folder)
    rows = points(finished.folder).query("kind == 'point'").set_index(["method", "variant", "point"])
    for model in run.models:
        select = model.calibration()[1]
        for point in model.points:
            row = rows.loc[(model.method, model.variant, point.name)]
            dearest = bound(select, point.router)
            assert dearest is not None
            assert dearest >= row["macs_max"]
            if select.decision(point) == "static":
                assert dearest == row["macs_max"] == row["calibration_macs"]
    limit = rows.loc[("plain", "default", "full"), "macs"]
    chosen = pick(run, Budget(macs=limit, worst_case=True)).use  # the cascade to its end pays for heads besides
    assert chosen.macs_max <= limit
    assert "<" not in chosen.offer.point


def test_bounds_add_up_what_a_trail_can_run_by_hand() -> None:
    from hand import BOTH, EARLY, LATE, table

    by_hand = table([[1], [1]], [0.5])
    threshold = Threshold(signal="max_prob", cascade=(0, 1), thresholds=(0.0,))
    learned = Learned(cascade=(0, 1), features=("entropy",), policies=(Policy(weights=((1.0,),), bias=(0.0,)),))
    assert bound(by_hand, Constant(answer=0)) == EARLY
    assert bound(by_hand, Constant(answer=1)) == LATE
    assert bound(by_hand, threshold) == BOTH
    assert bound(by_hand, learned) == BOTH + 1
    assert bound(by_hand, Argmax(probe=0, options=(1,), bias=(0.0,))) == BOTH


def test_latency_is_the_timed_points(copy: Path) -> None:
    timed(copy)
    rows = points(copy).query("kind == 'point' and macs <= 6e5")
    found = pick(stored.read(copy), Budget(latency_ms=6.0))
    assert found.use.offer.accuracy == rows["calibration_accuracy"].max()
    assert found.use.offer.latency_ms == pytest.approx(found.use.macs / 1e5)
    assert found.timed is not None
    assert found.timed.condition.label == "batch 1, 1 thread, cpu, eager float32, quick-2"
    worst = pick(stored.read(copy), Budget(latency_ms=12.0, worst_case=True))
    assert worst.use.offer.point == found.use.offer.point
    assert worst.use.offer.latency_ms == pytest.approx(found.use.macs / 5e4)


def test_flagged_timings_are_left_out_and_counted(copy: Path) -> None:
    timed(copy)
    best = pick(stored.read(copy), Budget(latency_ms=9.0)).use.offer
    timed(copy, {(best.series.partition(":")[0], best.point): {"flags": "loaded+spread"}})
    found = pick(stored.read(copy), Budget(latency_ms=9.0))
    assert found.use.offer.point != best.point
    assert found.timed is not None
    assert found.timed.flagged >= 1


@pytest.mark.parametrize(
    ("column", "value", "wanted", "message"),
    [
        (
            "flags",
            "loaded",
            Wanted(),
            "all timings at batch 1, 1 thread, cpu, eager float32, quick-2 are flagged .loaded.",
        ),
        ("execution", "composed", Wanted(), "no latency at batch 1, eager: run `python -m benchmarks time "),
        ("precision", "bfloat16", Wanted(), "no latency at batch 1, eager"),
        ("batch_size", 64, Wanted(), "no latency at batch 1, eager"),
        ("threads", 2, Wanted(threads=1), "no latency at batch 1, eager, 1 thread: .*--batch-sizes 1 --threads 1`"),
        (
            "device",
            "cpu",
            Wanted(device="cuda"),
            "no latency at batch 1, eager, cuda: .*--batch-sizes 1 --device cuda`",
        ),
        ("backend", "eager", Wanted(backend="onnx"), "no latency at batch 1, onnx: .*--backends onnx"),
        ("p50_ms", None, Wanted(), "too few calls"),
        ("flags", "", Wanted(backend="tensorrt"), "--backend takes eager, compile, onnx; not 'tensorrt'"),
    ],
)
def test_what_was_not_timed_so_is_refused_with_the_command_that_times_it(
    copy: Path, column: str, value: object, wanted: Wanted, message: str
) -> None:
    timed(copy)
    pd.read_csv(copy / "latency.csv").assign(**{column: value}).to_csv(copy / "latency.csv", index=False)
    with pytest.raises(UsageError, match=message) as caught:
        pick(stored.read(copy), Budget(latency_ms=5), wanted=wanted)
    assert "\n" not in str(caught.value)


def test_a_run_without_latency_names_the_command_that_times_it(copy: Path) -> None:
    with pytest.raises(
        UsageError, match=f"has no latency: run `python -m benchmarks time {copy} --batch-sizes 1` first"
    ):
        pick(stored.read(copy), Budget(latency_ms=5))


def test_only_the_seed_that_was_timed_counts_for_a_latency(seeded: Path, tmp_path: Path) -> None:
    shutil.copytree(seeded, tmp_path / "copy", ignore=shutil.ignore_patterns("models", "checkpoints", "jobs"))
    unsealed(tmp_path / "copy")
    timed(tmp_path / "copy")
    rows = pd.read_csv(tmp_path / "copy/latency.csv")
    rows[rows["seed"] == 0].to_csv(tmp_path / "copy/latency.csv", index=False)
    found = pick(stored.read(tmp_path / "copy"), Budget(latency_ms=1e6))
    assert [one.offer.seed for one in found.seeds] == [0]
    with pytest.raises(UsageError, match="the points of seed 1 were not timed"):
        pick(stored.read(tmp_path / "copy"), Budget(latency_ms=1e6), seed=1)


def test_the_verb_says_the_choice_its_test_interval_and_four_lines(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    verb(finished.folder, max_macs="10M")
    said = capsys.readouterr().out.splitlines()
    found = pick(stored.read(finished.folder), Budget(macs=1e7))
    assert said[0] == found.use.offer.name
    assert f"{found.use.accuracy:.1%} ({100 * found.use.low:.1f} to {100 * found.use.high:.1f}, 359 images)" in said[2]
    assert said[-5] == ""
    assert said[-4:] == [
        "import benchmarks",
        f"model = benchmarks.load('{finished.folder}').at('{found.use.offer.name}')",
        "logits = model(images)  # images uint8 [n, 3, 8, 8], logits [n, 10]",
        "classes = [model.classes[i] for i in logits.argmax(1)]",
    ]


def test_the_verb_says_how_every_seed_stands(seeded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verb(seeded, max_macs="10M")
    said = capsys.readouterr().out
    found = pick(stored.read(seeded), Budget(macs=1e7))
    assert f"{found.use.offer.name}, seed {found.use.offer.seed}\n" in said
    assert all(f"{one.offer.seed}: {one.accuracy:.1%} ({one.offer.point})" in said for one in found.seeds)
    assert f", seed={found.use.offer.seed})" in said


def test_the_verb_prints_the_same_for_machines(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    timed(copy)
    verb(copy, max_latency_ms=5, min_accuracy="10%", as_json=True)
    entry = json.loads(capsys.readouterr().out)
    assert entry["pick"]["select"]["latency_ms"] <= 5
    assert entry["condition"]["batch_size"] == 1
    assert entry["budget"]["accuracy"] == 0.1
    assert len(entry["load"]) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "say what is wanted"),
        ({"max_macs": "cheap"}, "--max-macs takes MACs such as 20M"),
        ({"max_macs": "20M", "threads": 2}, "--threads says how latency was timed: it needs --max-latency-ms"),
        ({"max_macs": "1"}, "no point costs as little as 1 MACs: the cheapest is"),
        ({"min_accuracy": "100%"}, "no point reaches 1 on select: the best is"),
    ],
)
def test_the_verb_refuses_in_one_line(finished: Finished, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        verb(finished.folder, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_an_accuracy_that_test_images_leave_open_is_said_to_be(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    best = points(copy).query("kind == 'point'")["calibration_accuracy"].max()
    verb(copy, min_accuracy=str(best))
    chosen = pick(stored.read(copy), Budget(accuracy=best)).use
    state = "is open" if chosen.high >= best else "is unlikely"
    assert (state in capsys.readouterr().out) == (chosen.low < best)
