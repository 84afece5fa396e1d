"""Whose work runs: units by hand, nested, at single positions; what cannot be told is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from inventions import Gated
from test_inventions import X, made, tabled
from torch import Tensor, nn
from toys import images, table_of

from methods.backbones import build
from methods.base import AdjustableModel
from methods.cost import Costs
from methods.counting import count
from methods.errors import MethodError
from methods.graph import State
from methods.metering import Meter, VariesError, decides, drawn, fixed, units, where
from methods.table import PathTable

LINEAR = nn.Linear(3, 5, bias=False)  # 15 MACs a row


def spent(work: Callable[[], object], n: int) -> list[int]:
    meter = Meter(n)
    with torch.no_grad():
        meter.run(work)
    return meter.spent.tolist()


def test_without_a_word_every_image_did_the_same() -> None:
    assert spent(lambda: LINEAR(torch.ones(4, 3)), 4) == [15] * 4
    assert spent(lambda: LINEAR(torch.ones(4, 6, 3)), 4) == [90] * 4


@given(st.lists(st.booleans(), min_size=1, max_size=9))
def test_only_chosen_images_pay_and_the_others_keep_what_they_had(chosen: list[bool]) -> None:
    mask, x = torch.tensor(chosen), torch.randn(len(chosen), 3)
    square = nn.Linear(3, 3, bias=False)
    with torch.no_grad():
        y = where(mask, square, x)
        assert isinstance(y, Tensor)
        assert torch.equal(y[~mask], x[~mask])
        assert torch.allclose(y[mask], square(x[mask]))
    assert spent(lambda: where(mask, square, x), len(chosen)) == [9 * one for one in chosen]


def test_units_nest_and_may_be_positions_of_images() -> None:
    x = torch.randn(3, 3, 2, 2)
    active = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0]]).view(3, 2, 2).bool()

    def positions(maps: State) -> State:
        assert isinstance(maps, Tensor)
        places = active.nonzero()
        with units(places[:, 0]):
            rows = LINEAR(maps.permute(0, 2, 3, 1)[active])
            with units(torch.tensor([0, 4])):  # the first position of image 0, the last of image 2
                LINEAR(rows[[0, 4], :3])
        return maps

    assert spent(lambda: positions(x), 3) == [2 * 15 + 15, 0, 3 * 15 + 15]

    def gated(maps: State) -> State:
        return where(torch.tensor([False, True]), lambda kept: LINEAR(kept.flatten(1)[:, :3]).sum() + kept, maps)

    outer = torch.tensor([True, False, True])  # then the second of these two
    assert spent(lambda: where(outer, gated, x), 3) == [0, 0, 15]


def test_states_of_several_tensors_are_gathered_and_put_back_together() -> None:
    pair: State = (torch.arange(3.0), torch.arange(3.0) * 10)
    found = where(torch.tensor([True, False, True]), lambda kept: (kept[0] + 1, kept[1] + 1), pair)
    assert [part.tolist() for part in found] == [[1, 1, 3], [1, 10, 21]]
    with pytest.raises(MethodError, match="of the form"):
        where(torch.tensor([True, False, True]), lambda kept: kept[0], pair)


def test_work_for_nobody_is_not_called_and_still_varies() -> None:
    meter = Meter(2)
    meter.run(lambda: where(torch.zeros(2, dtype=torch.bool), lambda _: pytest.fail("called"), torch.ones(2, 3)))
    assert meter.varied
    assert meter.spent.tolist() == [0, 0]


def test_products_that_cannot_be_split_are_refused_with_what_to_do() -> None:
    with pytest.raises(MethodError, match="cannot tell for whom"):
        spent(lambda: LINEAR(torch.ones(3, 3)), 2)
    with pytest.raises(MethodError, match="say by `units`"):
        spent(lambda: _inside(torch.zeros(0, dtype=torch.int64)), 2)
    with pytest.raises(MethodError, match=r"one truth value a unit: bool \[2\]"):
        where(torch.tensor([1, 0]), lambda kept: kept, torch.ones(2, 3))
    with pytest.raises(MethodError, match="4 scores decide about 2 units"):
        Meter(2).run(lambda: decides(torch.ones(4), 0.5))


def _inside(owner: Tensor) -> Tensor:
    with units(owner):
        return LINEAR(torch.ones(2, 3))


def test_distances_are_the_least_of_all_decisions_of_an_image() -> None:
    meter, x = Meter(3), torch.tensor([0.1, 0.7, 0.9])

    def work() -> State:
        first = decides(x, 0.5)
        return where(first, lambda kept: _decided(kept), x)

    def _decided(kept: State) -> State:
        decides(kept, 0.75)
        return kept

    meter.run(work)
    assert meter.distance.tolist() == pytest.approx([0.4, 0.05, 0.15])
    apart = Meter(2)
    apart.run(lambda: decides(torch.tensor([[0.4, 0.9], [0.0, 1.0]]), 0.5))
    assert apart.distance.tolist() == pytest.approx([0.1, 0.5])


def test_drawn_scores_are_those_of_other_images_of_the_same_batch() -> None:
    scores = torch.arange(100) / 100
    with drawn(torch.Generator().manual_seed(0)):
        once, again = decides(scores, 0.25), decides(scores, 0.25)
    assert int(once.sum()) == int(again.sum()) == int(decides(scores, 0.25).sum())
    assert not torch.equal(once, again)
    assert not torch.equal(once, decides(scores, 0.25))


def test_work_that_begins_to_depend_on_the_image_after_it_was_counted_is_named() -> None:
    with fixed("full: body 1"), pytest.raises(VariesError, match="'full: body 1' depends on the image here"):
        decides(torch.ones(2), 0.5)


# In tables and models ---------------------------------------------------------------------------


def test_a_table_with_spent_costs_survives_its_file(tmp_path: Path) -> None:
    table = tabled("Gated")
    path = tmp_path / "t.npz"
    table.save(path)
    again = PathTable.load(path)
    assert again.costs.varying == table.costs.varying
    assert np.array_equal(again.spent, table.spent)
    assert np.array_equal(again.distance, table.distance)
    half = table.part(np.arange(5, 10))
    assert half.macs_of_each.tolist() == table.macs_of_each[:, 5:10].tolist()


def test_costs_that_depend_on_the_image_are_not_given_without_it() -> None:
    costs = tabled("Gated").costs
    with pytest.raises(ValueError, match="give what each spent"):
        costs.along([(0,)])
    with pytest.raises(ValueError, match="give what each spent"):
        costs.trails(np.array([[True, False, False]]))
    assert costs.along([(2,)]).tolist() == [[costs.outputs()[2]]]


def test_decisions_at_random_take_as_much_but_not_for_the_same_images() -> None:
    table = tabled("Gated")
    with drawn(torch.Generator().manual_seed(0)):
        random = table_of(made("Gated"), X, 8)
    assert random.macs_of_each[0].tolist() != table.macs_of_each[0].tolist()
    assert random.macs[0] == pytest.approx(table.macs[0], rel=0.2)
    assert random.prediction[2].tolist() == table.prediction[2].tolist()  # the full answer decides nothing


def test_the_training_of_gates_is_counted_on_its_loss_which_runs_every_block() -> None:
    model: AdjustableModel = Gated(build("resnet14:width=2", 10), Gated.Settings(), (3, 8, 8))
    costs, before = model.costs(), {name: value.clone() for name, value in model.state_dict().items()}
    plain, gates = int(costs.outputs()[2]), 2 + 2 + 4 + 8
    assert model.training_macs(costs) == 3 * (plain + gates)
    assert 3 * costs.outputs()[0] < model.training_macs(costs)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert count(lambda: model(images(2, 8)).logits).macs == 2 * plain
    assert isinstance(costs, Costs)
