"""`trace`: all answers in one sweep, as if each had been computed alone."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from toys import alone, images, lively, make, sums

from methods.base import AdjustableModel
from methods.errors import MethodError

MODELS = [
    ("plain", "resnet8:width=4"),
    ("sdpoint", "resnet8:width=4"),
    ("sdpoint", "preresnet8:width=4"),
    ("earlyexit", "resnet8:width=4"),
    ("earlyexit", "preresnet8:width=4"),
]


@pytest.fixture(params=MODELS, ids="-".join)
def model(request: pytest.FixtureRequest) -> AdjustableModel:
    made = make(*request.param)
    lively(made)
    made.collect_statistics([images(16, seed=1)])
    assert isinstance(made, AdjustableModel)
    return made


def convolutions(model: AdjustableModel) -> Counter[str]:
    """How often each convolution has run so far, counted by hooks."""
    calls: Counter[str] = Counter()
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _m, _i, _o, name=name: calls.update([name]))
    return calls


@torch.no_grad()
def test_every_answer_is_bit_for_bit_what_it_is_alone(model: AdjustableModel) -> None:
    x = images(6)
    logits = model.trace(x)
    assert tuple(logits) == model.graph.names
    for name, found in logits.items():
        assert torch.equal(found, alone(model, name, x)), name


@torch.no_grad()
def test_the_images_and_shared_states_are_not_written_to(model: AdjustableModel) -> None:
    x = images(4)
    first, again = model.trace(x), model.trace(x)
    assert torch.equal(x, images(4))
    assert all(torch.equal(first[name], again[name]) for name in first)


@torch.no_grad()
def test_each_distinct_node_is_executed_once(model: AdjustableModel) -> None:
    calls = convolutions(model)
    model.trace(images(2))
    contexts = Counter(str(node.step[1]) for node in model.graph.nodes if node.step[0] == "body")
    for block, times in contexts.items():
        assert calls[f"backbone.blocks.{int(block) - 1}.conv1"] == times
    assert calls["backbone.stem.0"] == 1


@torch.no_grad()
def test_a_subset_runs_only_what_it_needs_and_says_the_same(model: AdjustableModel) -> None:
    x = images(4)
    names = model.graph.names[:: max(1, len(model.graph.names) - 1)]
    everything = model.trace(x)
    calls = convolutions(model)
    some = model.trace(x, names)
    assert some.keys() == set(names)
    assert all(torch.equal(some[name], everything[name]) for name in names)
    needed = model.graph.plan(model.graph.index(name) for name in names).nodes
    bodies = Counter(node.step[1] for node in needed if node.step[0] == "body")
    conv1 = {name: n for name, n in calls.items() if name.startswith("backbone") and name.endswith("conv1")}
    assert conv1 == {f"backbone.blocks.{int(block) - 1}.conv1": n for block, n in bodies.items()}


def test_every_parameter_gets_a_gradient_through_the_shared_work(model: AdjustableModel) -> None:
    model.train()
    torch.stack([logits.square().mean() for logits in model.trace(images(4)).values()]).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_the_gradient_of_a_sum_of_answers_is_the_sum_of_their_gradients() -> None:
    model = make("earlyexit").double()
    x = images(4).double()

    def gradient(*answers: str) -> torch.Tensor:
        model.zero_grad()
        torch.stack([y.square().mean() for y in model.trace(x, answers).values()]).sum().backward()
        return model.backbone.stem[0].weight.grad.clone()  # type: ignore[no-any-return]

    torch.testing.assert_close(gradient("exit1", "exit3"), gradient("exit1") + gradient("exit3"))


def test_an_unknown_answer_is_an_error(model: AdjustableModel) -> None:
    with pytest.raises(MethodError, match="unknown answer 'exit9'"):
        model.trace(images(1), ["exit9"])


@given(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=5), min_size=1, max_size=6, unique_by=tuple))
@settings(max_examples=50, deadline=None)
def test_any_tree_answers_right_and_runs_each_node_once(works: list[list[float]]) -> None:
    model = sums(*works)
    logits = model.trace(torch.zeros(3, 2))
    assert {name: float(y[0, 0]) for name, y in logits.items()} == {f"a{i}": sum(work) for i, work in enumerate(works)}
    assert len(model.ran) == len(model.graph.nodes)
