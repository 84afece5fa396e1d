"""Methods that no registered one is like: MACs by hand, counted = executed image by image, simulated = executed."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from inventions import Averaging, Fractal, Gated, ThreeWidths, TwoScales
from torch import Tensor
from toys import images, lively, table_of

from methods.backbones import build
from methods.base import AdjustableModel
from methods.counting import count
from methods.routers import Constant, Router
from methods.routing import closest, simulate, trail_macs
from methods.table import PathTable

SHAPE = (3, 8, 8)
X = images(24, 8)
KINDS: Mapping[str, type[Any]] = {
    kind.__name__: kind for kind in (Gated, TwoScales, ThreeWidths, Fractal, Averaging)
}  # fmt: skip


@cache
def made(name: str) -> AdjustableModel:
    torch.manual_seed(0)
    kind = KINDS[name]
    model: AdjustableModel = kind(build("resnet14:width=2", 10), kind.Settings(), SHAPE).eval()
    lively(model)
    model.collect_statistics([X])
    return model


@cache
def tabled(name: str) -> PathTable:
    return table_of(made(name), X, 8)


def routers(name: str) -> list[Router]:
    """Every answer alone, and whatever points the method offers."""
    table = tabled(name)
    alone: list[Router] = [Constant(answer=answer) for answer in range(len(table.answers))]
    return [*alone, *(point.router for point in made(name).operating_points(table, 8))]


def macs_of(model: AdjustableModel, router: Router, x: Tensor) -> int:
    with torch.no_grad():
        return count(lambda: model.execute(x, router).logits).macs


@pytest.mark.parametrize("name", KINDS)
def test_what_is_claimed_of_every_image_is_what_it_executes_alone_and_in_a_batch(name: str) -> None:
    model, table = made(name), tabled(name)
    for router in routers(name):
        clear = np.flatnonzero(closest(table, router) > 1e-4)
        claimed = trail_macs(table, simulate(table, router))
        assert [macs_of(model, router, X[[row]]) for row in clear] == claimed[clear].tolist()
        assert macs_of(model, router, X[clear]) == claimed[clear].sum()


@pytest.mark.parametrize("name", KINDS)
def test_simulated_routing_is_executed_routing(name: str) -> None:
    model, table = made(name), tabled(name)
    for router in routers(name):
        clear = np.flatnonzero(closest(table, router) > 1e-4)
        answer = simulate(table, router).answer
        for batch in (1, 5, len(clear)):
            for rows in np.split(clear, range(batch, len(clear), batch)):
                with torch.no_grad():
                    routed = model.execute(X[rows], router)
                assert routed.answer.tolist() == answer[rows].tolist()
                assert routed.logits.argmax(1).tolist() == table.prediction[answer[rows], rows].tolist()


# By hand ----------------------------------------------------------------------------------------


def test_a_fractal_costs_its_columns_and_their_joins_share_them() -> None:
    shallow = 3 * 4 * 9 * 64 + 4 * 8 * 9 * 16
    deep = (3 * 4 + 4 * 4) * 9 * 64 + (4 * 8 + 8 * 8) * 9 * 16
    classify = 8 * 2 * 2 * 10
    costs = made("Fractal").costs()
    assert costs.outputs().tolist() == [shallow + classify, deep + classify, shallow + deep + classify]
    assert costs.outputs().tolist() == [11_840, 30_272, 41_792]
    first = 3 * 4 * 9 * 64  # only the first blocks of the columns have the images as their input in all three
    assert costs.along([(0, 2)])[0, 0] == 41_792 + shallow - first + classify
    assert costs.along([(0, 1, 2)])[0, 0] == 41_792 + shallow + deep - (2 * first + 4 * 4 * 9 * 64) + 2 * classify


def test_two_scales_pass_on_as_one_state_and_the_exit_needs_no_more_than_the_first() -> None:
    scales, last = 3 * 4 * 9 * 64 + 4 * 8 * 9 * 16, 4 * 4 * 9 * 64 + 12 * 8 * 9 * 16
    costs = made("TwoScales").costs()
    assert costs.outputs().tolist() == [scales + 80, scales + last + 80]
    assert costs.along([(0, 1)])[0, 0] == scales + last + 160


def test_widths_share_nothing_and_cost_as_the_square_of_their_width() -> None:
    costs = made("ThreeWidths").costs()
    assert costs.outputs().tolist() == [(3 * w + w * w) * 9 * 64 + 10 * w for w in (2, 4, 8)]
    assert costs.along([(0, 1, 2)])[0, 0] == costs.outputs().sum()


def test_an_average_costs_the_networks_that_are_averaged_and_a_probe_of_them_costs_nothing_more() -> None:
    one = 3 * 4 * 9 * 64 + 16 * 10
    costs = made("Averaging").costs()
    assert costs.outputs().tolist() == [one, 2 * one, 3 * one, 2 * one]
    assert costs.along([(3, 1), (3, 2), (0, 1, 2)])[:, 0].tolist() == [2 * one, 3 * one, 3 * one]
    assert len(set(simulate(tabled("Averaging"), routers("Averaging")[-1]).answer)) == 2


def test_an_image_pays_for_the_blocks_that_its_gates_open_and_for_every_gate() -> None:
    model, table = made("Gated"), tabled("Gated")
    plain = int(table.costs.outputs()[2])
    sizes = {1: (2, 64), 2: (2, 64), 4: (4, 16), 6: (8, 4)}  # channels and places of the blocks that change no shape
    blocks = {block: 2 * c * c * 9 * places for block, (c, places) in sizes.items()}
    gates = sum(c for c, _ in sizes.values())
    opened = np.zeros((2, len(X)), dtype=np.int64)

    for answer, threshold in enumerate((0.4, 0.6)):
        for row in range(len(X)):
            x = X[[row]]
            with torch.no_grad():
                for step in model._work(threshold):
                    if step[0] == "gate" and float(model.score(step[1], x)) > threshold:
                        opened[answer, row] += blocks[step[1]]
                    x = model.step(step, x)
    expected = plain - sum(blocks.values()) + gates + opened
    assert table.macs_of_each[:2].tolist() == expected.tolist()
    assert table.macs[:2].tolist() == expected.mean(axis=1).tolist()
    assert len(set(table.macs_of_each[1].tolist())) > 3
    assert [table.decision(point) for point in model.operating_points(table, 3)] == ["per-sample"] * 2 + ["static"]
