"""Probes and learned routers on real networks: executed equals simulated, each piece of work once, all of it paid."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from toys import images, lively, make, ran, sums, table_of

from methods.base import AdjustableModel, Answer, Probe
from methods.cost import Costs
from methods.counting import count
from methods.errors import MethodError
from methods.graph import Graph
from methods.routers import Argmax, Constant, Learned, OperatingPoint, Policy, Router
from methods.routing import closest, simulate, trail_macs
from methods.storage import load, save
from methods.table import PathTable

SMALL = (3, 16, 16)
ANSWERS = 3  # of every model here


def ready(method: str, backbone: str = "resnet8:width=4", **given: str) -> AdjustableModel:
    model: AdjustableModel = make(method, backbone, SMALL, **given)
    lively(model)
    model.collect_statistics([images(64, 16, seed=1)])
    return model


@pytest.fixture(scope="module")
def dynres() -> AdjustableModel:
    """Sides 8, 12 and 16; the predictor sees 8 pixels, so it shares their resizing with the first answer."""
    return ready("dynres", predictor="resnet8:width=2", predictor_size="8")


@pytest.fixture(scope="module")
def exits() -> AdjustableModel:
    return ready("earlyexit")


@pytest.fixture(scope="module")
def networks() -> AdjustableModel:
    return ready("netselect", networks="resnet8:width=2,resnet8:width=3")


def learned(table: PathTable, *, jumps: bool = False, history: bool = False) -> Learned:
    """Goes on below a quantile of the confidence; decisions differ between samples everywhere."""
    cut = [float(np.quantile(row, 0.6)) for row in table.max_prob]
    more = [0.7 * value for value in cut]
    first = Policy(weights=((-1.0, 0.0),), bias=(cut[0],))
    if jumps:
        first = Policy(weights=((-1.0, 0.0), (-1.0, 0.0)), bias=(cut[0], more[0]))
    second = Policy(weights=(((0.0,) * 2 if history else ()) + (-1.0, 0.01),), bias=(cut[1],))
    return Learned(
        cascade=tuple(range(ANSWERS)), features=("max_prob", "entropy"), history=history, policies=(first, second)
    )


def argmax(table: PathTable) -> Argmax:
    """The predictor's scores, with biases that make every option the best for some."""
    (scores,) = table.probes.values()
    bias = -np.quantile(scores, 0.5, axis=0)
    return Argmax(probe=ANSWERS, options=tuple(range(ANSWERS)), bias=tuple(bias.tolist()))


def routers(model: AdjustableModel, table: PathTable) -> list[Router]:
    found: list[Router] = [learned(table), learned(table, history=True), learned(table, jumps=True)]
    return [*found, argmax(table)] if table.probes else found


# Executed equals simulated ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dynres", "exits", "networks"])
@pytest.mark.parametrize("batch", [1, 7, 64])
@torch.no_grad()
def test_executed_equals_simulated(name: str, batch: int, request: pytest.FixtureRequest) -> None:
    model: AdjustableModel = request.getfixturevalue(name)
    x = images(128, 16, seed=3)
    table = table_of(model, x, 128)
    for router in routers(model, table):
        routing = simulate(table, router)
        assert set(routing.answer.tolist()) == set(range(ANSWERS))
        executed = [model.execute(part, router) for part in x.split(batch)]
        answer = torch.cat([r.answer for r in executed]).numpy()
        logits = torch.cat([r.logits for r in executed])
        clear = closest(table, router) > 1e-4
        assert clear.mean() > 0.95
        assert (answer == routing.answer)[clear].all()
        expected = table.prediction[answer, np.arange(len(x))]
        sure = table.margin[answer, np.arange(len(x))] > 1e-4
        assert (logits.argmax(1).numpy() == expected)[sure].all()


@pytest.mark.parametrize("name", ["dynres", "exits", "networks"])
@torch.no_grad()
def test_a_batch_in_another_order_gives_the_same(name: str, request: pytest.FixtureRequest) -> None:
    model: AdjustableModel = request.getfixturevalue(name)
    x = images(64, 16, seed=4)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    for router in routers(model, table_of(model, x, 64)):
        logits, answer = model.execute(x, router)
        there, there_answer = model.execute(x[order], router)
        assert torch.equal(there_answer, answer[order])
        torch.testing.assert_close(there, logits[order], rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["dynres", "exits", "networks"])
@torch.no_grad()
def test_an_empty_batch_gives_empty_outputs(name: str, request: pytest.FixtureRequest) -> None:
    model: AdjustableModel = request.getfixturevalue(name)
    for router in routers(model, table_of(model, images(64, 16), 64)):
        logits, answer = model.execute(images(2, 16)[:0], router)
        assert (tuple(logits.shape), tuple(answer.shape)) == ((0, 10), (0,))


@pytest.mark.parametrize("name", ["dynres", "exits", "networks"])
@torch.no_grad()
def test_executing_one_image_costs_exactly_what_its_trail_claims(name: str, request: pytest.FixtureRequest) -> None:
    """The counter sees the executed work and the router's own; nothing is declared."""
    model: AdjustableModel = request.getfixturevalue(name)
    x = images(64, 16, seed=5)
    table = table_of(model, x, 1)
    for router in routers(model, table):
        routing = simulate(table, router)
        claimed = trail_macs(table, routing)
        for kind in range(ANSWERS):  # one image of every trail's end
            sample = int(np.flatnonzero(routing.answer == kind)[0])
            macs = count(lambda s=sample, r=router: model.execute(x[s : s + 1], r).logits).macs  # type: ignore[misc]
            assert macs == claimed[sample]


# Exactly one resolution runs ----------------------------------------------------------------------


def test_every_image_runs_the_predictor_and_exactly_one_resolution(dynres: AdjustableModel) -> None:
    x = images(64, 16, seed=6)
    router = argmax(table_of(dynres, x, 64))
    shares = np.bincount(simulate(table_of(dynres, x, 64), router).answer, minlength=ANSWERS)
    assert (shares > 0).all()
    for name, sizes in ran(dynres, router, x).items():
        if name.startswith("predictor"):
            assert sizes == [64], name
        else:  # one call a resolution, each on those that were sent there
            assert sorted(sizes) == sorted(shares), name


def test_an_image_alone_runs_every_convolution_once(dynres: AdjustableModel) -> None:
    x = images(8, 16, seed=7)
    router = argmax(table_of(dynres, images(64, 16), 64))
    for sample in x.split(1):
        assert set(map(tuple, ran(dynres, router, sample).values())) == {(1,)}


def test_a_static_resolution_does_not_run_the_predictor(dynres: AdjustableModel) -> None:
    for k in range(ANSWERS):
        found = ran(dynres, Constant(answer=k), images(3, 16))
        assert all(sizes == ([] if name.startswith("predictor") else [3]) for name, sizes in found.items())


def steps_run(model: AdjustableModel, router: Router, x: Tensor, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []
    own = model.step

    def step(step: Any, x: Tensor) -> Tensor:
        found.append((step, len(x)))
        return own(step, x)

    with monkeypatch.context() as patch, torch.no_grad():
        patch.setattr(model, "step", step)
        model.execute(x, router)
    return found


def test_a_first_step_that_probe_and_answer_share_runs_once(
    dynres: AdjustableModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = Argmax(probe=ANSWERS, options=(0, 1, 2), bias=(1e6, 0.0, 0.0))  # everybody to 8 pixels
    found = steps_run(dynres, router, images(5, 16), monkeypatch)
    assert found[:2] == [(("resize", 8), 5), (("predict",), 5)]
    assert [step for step in found if step[0][0] == "resize"] == [(("resize", 8), 5)]
    other = Argmax(probe=ANSWERS, options=(0, 1, 2), bias=(0.0, 1e6, 0.0))
    found = steps_run(dynres, other, images(5, 16), monkeypatch)
    assert [step for step in found if step[0][0] == "resize"] == [(("resize", 8), 5), (("resize", 12), 5)]


def test_the_probe_is_paid_whoever_it_sends_where(dynres: AdjustableModel) -> None:
    table = table_of(dynres, images(64, 16), 64)
    *alone, probe = table.costs.outputs().tolist()
    routing = simulate(table, argmax(table))
    assert (trail_macs(table, routing) == np.array(alone)[routing.answer] + probe).all()
    assert probe > 0
    assert routing.visited[:, ANSWERS].all()
    assert (routing.visited[:, :ANSWERS].sum(axis=1) == 1).all()


# Probes in trees ----------------------------------------------------------------------------------


def test_what_a_probe_shares_is_paid_once_and_what_a_trail_does_not_visit_is_not_paid() -> None:
    tree = Graph(
        [Answer("a", (("x",), ("a",))), Answer("b", (("y",), ("b",)))], [Probe("p", (("x",), ("p",)))]
    )  # fmt: skip
    macs = {"x": 1, "a": 10, "y": 100, "b": 1000, "p": 10_000}
    costs = Costs(("",) * 5, np.array([macs[str(n.step[0])] for n in tree.nodes]), tree.uses)
    assert costs.outputs().tolist() == [11, 1100, 10_001]
    to_a, to_b = [True, False, True], [False, True, True]
    assert costs.trails(np.array([to_a, to_b])).tolist() == [10_011, 11_101]
    assert {n.owner for n in tree.nodes if n.step == ("x",)} == {"a"}  # the answer's statistics, not the probe's


def test_an_answer_may_be_the_beginning_of_a_probe() -> None:
    model = sums((1, 2))
    tree = Graph(model.answers(), [Probe("p", ((1,), (2,), (3,)))])
    assert [(n.step, n.output) for n in tree.nodes] == [((1,), None), ((2,), 0), ((3,), 1)]


def test_tables_keep_what_probes_said_through_parts_and_files(dynres: AdjustableModel, tmp_path: Path) -> None:
    table = table_of(dynres, images(20, 16), 20)
    table.save(tmp_path / "t.npz")
    again = PathTable.load(tmp_path / "t.npz")
    router = argmax(table)
    assert again.probes.keys() == {"predictor"}
    assert (simulate(again, router).answer == simulate(table, router).answer).all()
    rows = np.array([3, 17, 4])
    assert (simulate(table.part(rows), router).answer == simulate(table, router).answer[rows]).all()


def test_points_of_probes_survive_the_model_file(dynres: AdjustableModel, tmp_path: Path) -> None:
    x = images(16, 16)
    router = argmax(table_of(dynres, images(64, 16), 64))
    dynres.points = (OperatingPoint(name="chosen", router=router),)
    save(dynres, tmp_path / "m.safetensors", "dynres", "resnet8:width=4")
    again = load(tmp_path / "m.safetensors")
    again.point = "chosen"
    with torch.no_grad():
        logits, answer = again(x)
        expected, expected_answer = dynres.execute(x, router)
    assert torch.equal(logits, expected)
    assert torch.equal(answer, expected_answer)


@pytest.mark.parametrize(
    "router",
    [
        Constant(answer=ANSWERS),  # the probe's scores as logits
        Argmax(probe=2, options=(0, 1), bias=(0.0, 0.0)),  # an answer's logits as scores
        Argmax(probe=ANSWERS + 1, options=(0, 1), bias=(0.0, 0.0)),
        Argmax(probe=ANSWERS, options=(0, 7), bias=(0.0, 0.0)),
        Learned(
            cascade=(0, ANSWERS), features=("entropy",), policies=(Policy(weights=((1.0,),), bias=(0.0,)),)
        ),
    ],
    ids=["probe as answer", "answer as probe", "no such probe", "no such answer", "probe in a cascade"],
)  # fmt: skip
def test_a_stored_point_that_takes_probes_for_answers_is_refused(
    router: Any, dynres: AdjustableModel, tmp_path: Path
) -> None:
    dynres.points = (OperatingPoint(name="odd", router=router),)
    save(dynres, tmp_path / "m.safetensors", "dynres", "resnet8:width=4")
    with pytest.raises(MethodError, match="point 'odd' asks for an answer that the model does not have"):
        load(tmp_path / "m.safetensors")
