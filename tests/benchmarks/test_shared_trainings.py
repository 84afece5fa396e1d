"""A network is trained once a run and seed, whoever asks for it; and the new methods keep the rules of honest runs."""

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from harness import Finished, do, job_keys, points, poisoned, same, small, tables

import benchmarks.data
from benchmarks import trainings
from benchmarks.core.progress import Progress
from benchmarks.outcome import Outcome, Result
from methods.storage import load_tensors
from methods.table import PathTable

BACKBONE = "resnet8:width=4"
SHARING = "adaptiveexit,netselect,static,earlyexit:init=plain"
METHODS = f"{SHARING},dynres,multiscale:sizes=2:bn=private"
SETTINGS = {"netselect.networks": "resnet8:width=2", "static.networks": "resnet8:width=2", "static.sizes": "4"}
PLAINS = {"plain resnet8:width=4", "plain resnet8:width=2", "plain:size=4 resnet8:width=4"}


def config(folder: Path, methods: str = METHODS, **changes: Any) -> Any:
    """A small run; `set` of methods that are not asked for is left out."""
    asked = {part.partition(":")[0] for part in methods.split(",")}
    given = {key: value for key, value in SETTINGS.items() if key.partition(".")[0] in asked}
    return small(folder, **{"backbone": BACKBONE, "points": 6, "methods": methods, "set": given, **changes})


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("shared") / "run"
    return Finished(folder, *do(config(folder)))


def trained(outcome: Outcome) -> Counter[str]:
    """How often each network was trained, by method, settings and backbone."""
    found: Counter[str] = Counter()
    for record in outcome.records:
        if record.kind == "train":
            given = record.inputs["settings"]
            size = given.get("size")
            name = record.inputs["method"] + (f":size={size}" if size else "")
            found[f"{name} {record.inputs['backbone']}"] += 1
    return found


def result_of(found: Finished | Outcome, method: str) -> Result:
    outcome = found.outcome if isinstance(found, Finished) else found
    (result,) = [r for r in outcome.results if r.candidate.name == method]
    return result


def table_of(folder: Path, method: str, split: str = "test") -> PathTable:
    (table,) = [table for name, table in tables(folder, split).items() if name.startswith(method)]
    return table


def same_answer(one: PathTable, name: str, other: PathTable, other_name: str) -> bool:
    """Whether two answers of two tables say the same, bit for bit."""
    a, b = one.answers.index(name), other.answers.index(other_name)
    columns = ("prediction", "label_rank", "max_prob", "margin", "entropy", "loss")
    return all(np.array_equal(getattr(one, c)[a], getattr(other, c)[b]) for c in columns)


# Once ---------------------------------------------------------------------------------------------


def test_every_network_is_trained_once_whoever_asks_for_it(shared: Finished) -> None:
    assert not shared.outcome.failures
    found = trained(shared.outcome)
    own = {
        f"{method} {BACKBONE}" for method in (*SHARING.replace(":init=plain", "").split(","), "dynres", "multiscale")
    }
    assert set(found) == PLAINS | own
    assert set(found.values()) == {1}
    checkpoints = [path.name for path in (shared.folder / "checkpoints").iterdir()]
    assert len(checkpoints) == len(found)
    assert len([name for name in checkpoints if name.startswith("plain")]) == len(PLAINS)


@pytest.mark.parametrize(
    ("methods", "reference"), [("adaptiveexit,plain", False), ("earlyexit:init=plain,adaptiveexit", False)]
)
def test_neither_the_order_of_methods_nor_the_reference_matters(
    methods: str, reference: bool, shared: Finished, tmp_path: Path
) -> None:
    _, outcome = do(config(tmp_path, methods, reference=reference))
    assert not outcome.failures
    assert trained(outcome)[f"plain {BACKBONE}"] == 1
    assert {r.candidate.name for r in outcome.results} == {part.partition(":")[0] for part in methods.split(",")}
    before, after = job_keys(shared.outcome), job_keys(outcome)
    assert all(before[job] == key for job, key in after.items() if job in before)
    assert {kind for _, kind in after if (_, kind) in before} >= {"train", "statistics", "table-test"}
    for name, table in tables(tmp_path, "test").items():
        assert same(table, tables(shared.folder, "test")[name])


@pytest.mark.parametrize("spelling", ["resnet8:width=04", "resnet8:dropout=0,width=4"])
def test_another_spelling_of_the_backbone_is_the_same_network(spelling: str, shared: Finished, tmp_path: Path) -> None:
    _, outcome = do(config(tmp_path, "adaptiveexit", backbone=spelling))
    assert not outcome.failures
    assert trained(outcome) == Counter({f"plain {BACKBONE}": 1, f"adaptiveexit {BACKBONE}": 1})
    assert result_of(outcome, "adaptiveexit").job == result_of(shared, "adaptiveexit").job


def test_a_second_run_repeats_nothing(shared: Finished) -> None:
    before = {p: p.stat().st_mtime_ns for p in shared.folder.rglob("*") if p.suffix in (".npz", ".safetensors")}
    runner, outcome = do(config(shared.folder))
    assert {record.key for record in outcome.records} == runner.store.reused
    assert not runner.store.done
    assert before == {p: p.stat().st_mtime_ns for p in before}


def test_a_member_asked_for_by_name_is_found_trained(shared: Finished, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shared.folder, tmp_path / "run"))
    runner, outcome = do(config(folder, "static,plain:size=4"))
    assert trained(outcome)["plain:size=4 " + BACKBONE] == 1
    done = [record for record in outcome.records if record.key in runner.store.done]
    assert "train" not in {record.kind for record in done}
    (small_one,) = [r for r in outcome.results if r.candidate.label == "plain:size=4"]
    static = result_of(outcome, "static")
    for ours, theirs in ((small_one.tables.test, static.tables.test), (small_one.tables.fit, static.tables.fit)):
        assert same_answer(ours, "full", theirs, "4px")


# What is shared is the same -----------------------------------------------------------------------


def test_the_plain_network_answers_the_same_wherever_it_stands_bit_for_bit(shared: Finished) -> None:
    for split in ("test", "calibration"):
        plain = table_of(shared.folder, "plain-default", split)
        for method, name in (("adaptiveexit", "exit3"), ("netselect", "full"), ("static", "full")):
            assert same_answer(table_of(shared.folder, method, split), name, plain, "full"), method
        assert same_answer(
            table_of(shared.folder, "netselect", split), "resnet8:width=2",
            table_of(shared.folder, "static", split), "resnet8:width=2",
        )  # fmt: skip


def test_a_static_member_is_the_network_that_is_trained_alone_with_that_backbone(
    shared: Finished, tmp_path: Path
) -> None:
    _, outcome = do(config(tmp_path, "plain", backbone="resnet8:width=2"))
    alone = result_of(outcome, "plain").tables.test
    assert same_answer(table_of(shared.folder, "static"), "resnet8:width=2", alone, "full")


def checkpoint(folder: Path, method: str) -> dict[str, torch.Tensor]:
    (path,) = (folder / "checkpoints").glob(f"{method}*.safetensors")
    return load_tensors(path)[0]


def test_training_exits_leaves_weights_and_buffers_of_the_trunk_as_they_were(shared: Finished) -> None:
    plain, exits = (checkpoint(shared.folder, name) for name in ("plain-default-resnet8_width=4", "adaptiveexit"))
    trunk = {name: value for name, value in exits.items() if name.startswith("backbone.")}
    assert trunk.keys() == plain.keys()
    assert all(torch.equal(value, plain[name]) for name, value in trunk.items())
    heads = {name: value for name, value in exits.items() if name.startswith("heads.")}
    fresh = shared.runner.plan.model(result_of(shared, "adaptiveexit").candidate, 0).state_dict()
    assert len(heads) == 4  # two exits, a weight and a bias each
    assert not any(torch.equal(value, fresh[name]) for name, value in heads.items())


def test_a_family_holds_the_weights_of_its_members_as_they_were(shared: Finished) -> None:
    for family in ("netselect", "static"):
        held = checkpoint(shared.folder, family)
        for name, value in checkpoint(shared.folder, "plain-default-resnet8_width=4").items():
            assert torch.equal(held[name], value)


def test_what_a_training_starts_from_is_part_of_its_key(shared: Finished) -> None:
    records = {(r.inputs["method"], r.inputs["backbone"]): r for r in shared.outcome.records if r.kind == "train"}
    exits, families = records["adaptiveexit", BACKBONE], [records[name, BACKBONE] for name in ("netselect", "static")]
    keys = {r.key for r in shared.outcome.records if r.kind == "train" and r.inputs["method"] == "plain"}
    assert set(exits.inputs["starts"]) == {"backbone"}
    assert exits.inputs["starts"]["backbone"] in keys
    assert set(families[0].inputs["starts"].values()) < set(families[1].inputs["starts"].values()) == keys


def test_who_starts_from_a_network_pays_for_its_training(shared: Finished) -> None:
    macs = {r.candidate.name: r.identity.train_macs for r in shared.outcome.results}
    plain = macs["plain"]
    (record,) = [r for r in shared.outcome.records if r.kind == "train" and r.inputs["method"] == "adaptiveexit"]
    images = record.result["images"]
    own = result_of(shared, "adaptiveexit").candidate.training_macs
    assert own > 0
    assert macs["adaptiveexit"] == pytest.approx(plain + own * images)
    members = {"netselect": 2, "static": 3}
    for family, count in members.items():
        assert macs[family] > plain
        assert len(result_of(shared, family).candidate.starts) == count
    small_one = macs["netselect"] - plain
    assert macs["static"] == pytest.approx(plain + small_one + plain / 4, rel=0.02)  # 4 pixels of 8


def test_every_answer_of_a_trained_model_is_checked_and_every_point_executed(shared: Finished) -> None:
    rows = points(shared.folder)
    own = rows[rows["kind"] == "point"]
    assert set(own["execution"]) == {"executed"}
    assert set(own["method"]) == {"plain", *(part.partition(":")[0] for part in METHODS.split(","))}
    kinds = rows.groupby("method")["kind"].agg(set)
    assert kinds["dynres"] == {"point", "random", "mixture", "oracle"}
    assert kinds["static"] == kinds["multiscale"] == kinds["plain"] == {"point"}


def test_every_method_offers_its_full_answer_and_no_two_points_of_one_name(shared: Finished) -> None:
    for result in shared.outcome.results:
        names = [point.name for point in result.points]
        assert len(set(names)) == len(names) <= 6
        assert result.tables.test.answers[-1] in names


# Failures and interruptions -----------------------------------------------------------------------


def test_a_shared_training_that_fails_is_reported_for_all_who_need_it_and_tried_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    own = trainings.train

    def train(model: Any, *given: Any, **named: Any) -> Any:
        tried.append(f"{type(model).__name__} {getattr(model.settings, 'size', None)} {model.backbone.spec}")
        return own(model, *given, **named)

    def loss(self: Any, images: torch.Tensor, labels: Any, generator: Any) -> torch.Tensor:
        return next(self.parameters()).sum() * float("nan")

    monkeypatch.setattr(trainings, "train", train)
    monkeypatch.setattr("methods.plain.Plain.loss", loss)
    _, outcome = do(config(tmp_path, f"{SHARING},multiscale:sizes=2"))
    assert [r.candidate.name for r in outcome.results] == ["multiscale"]
    failed = {failure["name"]: failure["message"] for failure in outcome.failures}
    assert {name.partition(":")[0] for name in failed} == {"plain", *(m.partition(":")[0] for m in SHARING.split(","))}
    assert len(failed) == 5
    for name, message in failed.items():
        assert "not a finite number" in message, name
        assert "\n" not in message
    assert "training of plain" in failed["adaptiveexit"]
    assert tried.count(f"Plain None {BACKBONE}") == 1
    assert set(Counter(tried).values()) == {1}


@contextmanager
def stopping(description: str) -> Iterator[Any]:
    """A display that the user stops with Control-C in the middle of the training of exits."""

    def update(progress: Progress) -> None:
        if description.startswith("adaptiveexit") and description.endswith("training") and progress.done > 200:
            raise KeyboardInterrupt

    yield update


def test_a_stopped_run_goes_on_with_what_is_shared_as_it_was(shared: Finished, tmp_path: Path) -> None:
    asked = config(tmp_path, "adaptiveexit,netselect")
    with pytest.raises(KeyboardInterrupt):
        do(asked, stopping)
    runner, outcome = do(asked)
    reused = {
        (r.inputs["method"], r.inputs["backbone"])
        for r in outcome.records
        if r.kind == "train" and r.key in runner.store.reused
    }
    assert reused == {("plain", BACKBONE)}
    for name, table in tables(tmp_path, "test").items():
        assert same(table, tables(shared.folder, "test")[name])
    assert [r.points for r in outcome.results if r.candidate.name == "adaptiveexit"] == [
        result_of(shared, "adaptiveexit").points
    ]


# The user's own networks --------------------------------------------------------------------------

MODULE = """
import torch
def network():
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Flatten(),
                                 torch.nn.Linear(72, 10))
    weights = {weights!r}
    if weights:
        layers.load_state_dict(torch.load(weights))
    return layers
"""


def foreign(folder: Path, file: Path) -> tuple[Any, Outcome]:
    return do(
        small(folder, backbone=BACKBONE, points=4, methods="netselect", set={"netselect.networks": f"{file}:network"})
    )


def test_a_network_of_the_users_is_selected_stored_and_left_as_it_came(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MODULE.format(weights=""))
    _, outcome = foreign(tmp_path / "run", file)
    assert not outcome.failures
    result = result_of(outcome, "netselect")
    assert result.executed == {point.name for point in result.points}
    stored = load_tensors(result.model)[0]
    own = {name: value for name, value in stored.items() if name.startswith("networks.0.")}
    assert torch.equal(own["networks.0.network.1.running_mean"], torch.zeros(2))
    assert not any(name.startswith("statistics/networks.0") for name in stored)
    assert trained(outcome)[f"plain {BACKBONE}"] == 1


@pytest.mark.parametrize("change", ["the file", "its weights"])
def test_a_network_of_the_users_that_changed_is_measured_again(change: str, tmp_path: Path) -> None:
    file, weights = tmp_path / "mine.py", tmp_path / "weights.pt"
    made = torch.nn.Sequential(
        torch.nn.Conv2d(3, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Flatten(), torch.nn.Linear(72, 10)
    )
    torch.save(made.state_dict(), weights)
    file.write_text(MODULE.format(weights=str(weights)))
    _, first = foreign(tmp_path / "run", file)
    if change == "the file":
        file.write_text(
            file.read_text().replace("return layers", "return torch.nn.Sequential(*layers, torch.nn.Tanh())")
        )
    else:
        made[3].weight.data.mul_(-1)
        torch.save(made.state_dict(), weights)
    runner, second = foreign(tmp_path / "run", file)
    assert not second.failures
    before, after = (result_of(outcome, "netselect").tables.test for outcome in (first, second))
    assert not np.array_equal(before.loss[0], after.loss[0])
    assert np.array_equal(before.loss[1], after.loss[1])
    assert [r.inputs["method"] for r in second.records if r.kind == "train" and r.key in runner.store.reused] == [
        "plain"
    ]


# Rules --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def after_poisoning(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The run of `shared` again, elsewhere, with noise and permuted labels to test on."""
    folder = tmp_path_factory.mktemp("poisoned") / "run"
    clean = benchmarks.data.load
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmarks.data, "load", lambda *given: poisoned(clean(*given)))
        return Finished(folder, *do(config(folder)))


def test_test_images_change_no_weight_no_statistic_no_policy_and_no_point(
    shared: Finished, after_poisoning: Finished
) -> None:
    before, after = (job_keys(found.outcome) for found in (shared, after_poisoning))
    assert before.keys() == after.keys()
    assert {kind for job in before if before[job] != after[job] for kind in job[1:]} == {"table-test", "execution"}
    for one, other in zip(shared.outcome.results, after_poisoning.outcome.results, strict=True):
        assert one.points == other.points
        assert one.remarks == other.remarks
        weights, again = load_tensors(one.model)[0], load_tensors(other.model)[0]
        assert weights.keys() == again.keys()
        assert all(torch.equal(value, again[name]) for name, value in weights.items())
        assert not same(one.tables.test, other.tables.test)


def test_test_images_change_nothing_that_is_selected(shared: Finished, after_poisoning: Finished) -> None:
    chosen = ["method", "variant", "point", "selected", "calibration_macs", "calibration_accuracy", "decision"]
    before, after = points(shared.folder), points(after_poisoning.folder)
    own = before["kind"] == "point"
    assert before.loc[own, chosen].equals(after.loc[own, chosen])
    assert own.sum() > 20


def test_statistics_of_every_method_are_measured_anew_not_those_of_training(shared: Finished) -> None:
    """Of the stem, on the one list of training images: its mean is that of the convolution's outputs."""
    plan = shared.runner.plan
    images = plan.train_images
    for result in shared.outcome.results:
        stored = load_tensors(result.model)[0]
        names = {name for name in stored if name.startswith("statistics/")}
        norms = {name.removesuffix(".running_mean") for name in stored if name.endswith(".running_mean")}
        assert {name.split("/")[1] for name in names} == norms, result.candidate.label
        kernel = stored["backbone.stem.0.weight"]
        inputs = torch.cat([x for x, _ in images.batches(plan.statistics_samples, 256)])
        expected = torch.nn.functional.conv2d(inputs, kernel, padding=1).mean((0, 2, 3))
        end = f"/{result.tables.test.answers[-1]}/mean"
        (full,) = [n for n in names if n.startswith("statistics/backbone.stem.1") and n.endswith(end)]
        torch.testing.assert_close(stored[full], expected, rtol=1e-4, atol=1e-4)
