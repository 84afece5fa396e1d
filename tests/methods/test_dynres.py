"""DRNet: its settings, no noise at inference, its costs, and the curve that a bias makes of it."""

from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import alone, images, lively, make, ran, same, snapshot, table_of

from methods.cost import Costs
from methods.counting import count
from methods.dynres import PREDICTOR, DynRes, paper_predictor
from methods.errors import MethodError
from methods.registry import parse_settings
from methods.routers import Argmax, Constant
from methods.routing import simulate, trail_macs
from methods.table import PathTable

SIZE = 16
TINY = "resnet8:width=2"


def dynres(backbone: str = TINY, size: int = SIZE, **given: str) -> DynRes:
    return cast(DynRes, make("dynres", backbone, (3, size, size), **({"predictor": TINY} | given)))


# Settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "resolutions", "predictor_size"),
    [(32, (16, 24, 32), 16), (8, (4, 6, 8), 4), (224, (112, 168, 224), 128)],
)
def test_defaults_for_small_and_for_large_images(size: int, resolutions: tuple[int, ...], predictor_size: int) -> None:
    model = dynres(size=size)
    assert (model.resolutions, model.predictor_size) == (resolutions, predictor_size)
    assert model.graph.names == tuple(f"s{side}" for side in resolutions)
    assert model.graph.probes == (PREDICTOR,)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"resolutions": "8,12"}, "must be the images' own, 16"),
        ({"resolutions": "12,8,16"}, "must be positive and rise"),
        ({"resolutions": "0,16"}, "must be positive and rise"),
        ({"resolutions": "8,8,16"}, "must be positive and rise"),
        ({"alpha": "0"}, "alpha"),
        ({"eta": "-1"}, "eta"),
        ({"pretrain": "1"}, "pretrain"),
        ({"predictor": "resnet9"}, "resnet9"),
        ({"losses": "max"}, "losses"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(given: dict[str, str], reason: str) -> None:
    with pytest.raises(MethodError, match=reason) as refused:
        dynres(**given)
    assert "\n" not in str(refused.value)


def test_an_empty_list_of_resolutions_is_refused() -> None:
    with pytest.raises(ValueError, match="positive and rise"):
        DynRes.Settings(resolutions=())


# Inference ----------------------------------------------------------------------------------------


def ready(**given: str) -> DynRes:
    model = dynres(**given)
    lively(model)
    model.collect_statistics([images(64, SIZE, seed=1)])
    return model


@torch.no_grad()
def test_at_inference_there_is_no_noise() -> None:
    model, x = ready(), images(32, SIZE, seed=2)
    router = model._router(0.0)
    torch.manual_seed(1)
    first = model.execute(x, router)
    torch.manual_seed(2)
    again = model.execute(x, router)
    assert torch.equal(first.logits, again.logits)
    assert torch.equal(first.answer, again.answer)
    assert torch.equal(first.answer, model.trace(x, [PREDICTOR])[PREDICTOR].argmax(1))


@torch.no_grad()
def test_executing_changes_nothing_in_the_model() -> None:
    model = ready()
    before = snapshot(model)
    model.execute(images(16, SIZE), model._router(1.0))
    assert same(snapshot(model), before)


def test_static_points_cost_their_resolution_and_predictor_points_the_predictor_as_well() -> None:
    model = ready()
    table = table_of(model, images(64, SIZE, seed=2), 64)
    *sides, predictor = table.costs.outputs().tolist()
    for point in model.operating_points(table, 20):
        routing = simulate(table, point.router)
        extra = 0 if isinstance(point.router, Constant) else predictor
        assert (trail_macs(table, routing) == np.array(sides)[routing.answer] + extra).all()
    static = [p for p in model.operating_points(table, 20) if isinstance(p.router, Constant)]
    assert [p.name for p in static] == ["s8", "s12", "s16"]
    plain = make("plain", TINY, (3, SIZE, SIZE))
    assert sides[-1] == plain.costs().outputs()[-1]  # always-full with the predictor costs more than the plain network


@pytest.mark.parametrize("count_", [2, 3, 4, 5, 20])
def test_there_are_at_most_as_many_points_as_asked_for_with_distinct_names_and_the_predictor_among_them(
    count_: int,
) -> None:
    model = ready()
    found = model.operating_points(table_of(model, images(64, SIZE, seed=2), 64), count_)
    names = [p.name for p in found]
    assert len(found) <= count_
    assert len(set(names)) == len(names)
    assert PREDICTOR in names
    assert "s16" in names


_MADE: list[DynRes] = []


def _cached() -> DynRes:
    if not _MADE:
        _MADE.append(dynres())
    return _MADE[0]


# Costs of three resolutions and a predictor, none shared.
MACS = [27, 60, 100, 5]


def scored(scores: Any) -> PathTable:
    """A table whose predictor said these scores [n, 3]."""
    said = np.array(scores, dtype=np.float32)
    n = len(said)
    zeros = np.zeros((3, n), dtype=np.float32)
    whole = np.zeros((3, n), dtype=np.int64)
    costs = Costs(("a", "b", "c", "p"), np.array(MACS), np.eye(4, dtype=bool))
    return PathTable(
        ("s8", "s12", "s16"), costs, whole, whole, zeros, zeros, zeros, zeros, np.zeros(n, dtype=np.int64),
        np.arange(n), {PREDICTOR: said},
    )  # fmt: skip


def with_macs(model: DynRes) -> DynRes:
    model.__dict__["_resolution_macs"] = torch.tensor(MACS[:3]).float()
    return model


SCORES = st.lists(st.tuples(*(st.integers(-40, 40).map(lambda v: v / 8),) * 3), min_size=1, max_size=20)


@given(SCORES)
@settings(max_examples=80, deadline=None)
def test_a_stronger_bias_never_raises_the_mean_cost(scores: list[tuple[float, ...]]) -> None:
    model, table = with_macs(_cached()), scored(scores)
    strengths = [-1e3, *sorted(model._strengths(table)), 0.0, 1e3]
    macs = [float(trail_macs(table, simulate(table, model._router(s))).mean()) for s in sorted(strengths)]
    assert macs == sorted(macs, reverse=True)
    assert (macs[0], macs[-1]) == (105, 32)


@given(SCORES, st.integers(2, 20))
@settings(max_examples=80, deadline=None)
def test_points_rise_in_cost_with_distinct_names_whatever_the_predictor_says(
    scores: list[tuple[float, ...]], most: int
) -> None:
    model, table = with_macs(_cached()), scored(scores)
    found = model.operating_points(table, most)
    assert len({p.name for p in found}) == len(found) <= most
    swept = [p for p in found if p.name.startswith("bias=")]
    macs = [trail_macs(table, simulate(table, p.router)).mean() for p in swept]
    assert macs == sorted(macs)
    assert all(len(np.unique(simulate(table, p.router).answer)) > 1 for p in swept)


def test_two_resolutions_that_all_images_score_the_same_leave_no_curve_and_no_error() -> None:
    model = dynres(resolutions="8,16")
    model.__dict__["_resolution_macs"] = torch.tensor([27.0, 100.0])
    table = scored([[0.25, 0.5, 0.0]] * 6)
    said = {PREDICTOR: table.probes[PREDICTOR][:, :2]}
    table = PathTable(**{**vars(table), "probes": said})
    assert model._strengths(table) == []


def test_names_of_points_tell_close_strengths_apart() -> None:
    """A predictor that says nearly the same of every image: strengths differ in the sixth digit."""
    scores = [[0.0, 3.0, 9.0 + i * 1e-5] for i in range(40)]
    found = with_macs(_cached()).operating_points(scored(scores), 20)
    names = [p.name for p in found]
    assert len(names) > 5
    assert len(set(names)) == len(names)


# What is said of the trained model ----------------------------------------------------------------


def test_a_predictor_that_sends_all_to_one_resolution_is_said_to_have_collapsed() -> None:
    model = _cached()
    apart, together = [[1, 0, 0], [0, 0, 1]] * 50, [[0, 1, 0]] * 100
    assert model.remarks(scored(apart)) == []
    assert model.remarks(scored(together)) == [
        "the predictor collapsed: it sends 100.0% of the calibration images to s12"
    ]
    assert model.remarks(scored([*together[:98], *apart[:2]])) == []
    assert len(model.remarks(scored([*together[:99], apart[0]]))) == 1


def test_one_resolution_cannot_collapse_and_is_the_plain_network_with_the_predictors_cost() -> None:
    model, plain = dynres(resolutions=str(SIZE)), make("plain", TINY, (3, SIZE, SIZE))
    for name, value in plain.state_dict().items():
        parent, _, leaf = name.rpartition(".")
        own = f"{parent}.norms.s16.{leaf}"
        model.state_dict()[own if own in model.state_dict() else name].copy_(value)
    for network in (plain, model):
        network.collect_statistics([images(32, SIZE, seed=1)])
    x = images(8, SIZE, seed=2)
    table = table_of(model, x, 8)
    assert model.remarks(table) == []
    static, predicted = model.operating_points(table, 20)
    with torch.no_grad():
        expected = alone(plain, "full", x)
        assert torch.equal(model.execute(x, static.router).logits, expected)
        assert torch.equal(model.execute(x, predicted.router).logits, expected)
    full, predictor = table.costs.outputs().tolist()
    assert full == plain.costs().outputs()[-1]
    assert (trail_macs(table, simulate(table, predicted.router)) == full + predictor).all()
    assert isinstance(predicted.router, Argmax)


# The paper's predictor ----------------------------------------------------------------------------


def test_the_papers_predictor_has_its_parameters_and_its_macs_at_128_pixels() -> None:
    predictor = paper_predictor(3).eval()
    assert sum(p.numel() for p in predictor.parameters()) == 4_907_331
    with torch.no_grad():
        macs = count(lambda: predictor(torch.zeros(1, 3, 128, 128))).macs
    assert macs == pytest.approx(0.290e9, abs=0.0005e9)


def test_with_resnet50_the_parameters_are_those_of_the_paper() -> None:
    """25,557,032 of ResNet-50, two more sets of 53,120 batch norm parameters, 4,907,331 of the predictor."""
    with torch.device("meta"):
        backbone = make("plain", "resnet50", (3, 224, 224), classes=1000).backbone
    norms = sum(p.numel() for m in backbone.modules() if isinstance(m, torch.nn.BatchNorm2d) for p in m.parameters())
    whole = sum(p.numel() for p in backbone.parameters())
    assert (whole, norms) == (25_557_032, 53_120)
    model = DynRes(backbone, DynRes.Settings(), (3, 224, 224))
    assert sum(p.numel() for p in model.parameters()) == 30_570_603


def test_a_batch_runs_each_resolution_at_most_once() -> None:
    model = ready()
    table = table_of(model, images(64, SIZE, seed=2), 64)
    for point in model.operating_points(table, 20):
        found = ran(model, point.router, images(64, SIZE, seed=2))
        predicted = not isinstance(point.router, Constant)
        for name, sizes in found.items():
            assert sum(sizes) == 64 * (predicted if name.startswith("predictor") else 1), name


def test_settings_of_the_registry_parse() -> None:
    given = {"resolutions": "16,24,32", "alpha": "0.6", "eta": "0.2", "pretrain": "0.4", "predictor": TINY}
    found = cast(DynRes.Settings, parse_settings("dynres", given))
    assert found.resolutions == (16, 24, 32)


def test_a_predictor_that_eats_a_fifth_of_the_saving_is_warned_of() -> None:
    costs = Costs(("s4", "s8", "predictor"), np.array([20, 100, 16]), np.eye(3, dtype=bool))
    model = dynres(size=8, resolutions="4,8")
    (line,) = model.warnings(costs)
    assert line.startswith("the predictor costs 16.0% of the full resolution; the most that choosing can save is 80.0%")
    cheaper = Costs(costs.work, np.array([20, 100, 15]), costs.uses)
    assert list(model.warnings(cheaper)) == []
