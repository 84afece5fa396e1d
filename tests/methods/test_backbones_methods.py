"""Every family of backbones under every way of being adjustable: works, or says in one line why not."""

from typing import Any

import pytest
import torch
from toys import alone, images, lively, make

from methods.base import AdjustableModel
from methods.batchnorm import VariantBatchNorm
from methods.errors import MethodError

# A small network of each family, and a side at which SDPoint leaves enough of every map.
FAMILIES = {
    "resnet8:width=4,dropout=0.2,stochastic_depth=0.5": 16,
    "preresnet8:width=4": 16,
    "wrn-10-1:width=4,dropout=0.3": 16,
    "resnext11-2x4d": 16,
    "densenet-bc-16-4": 16,
    "resnet18": 64,
    "densenet121": 64,
    "mobilenet_v2:width=0.1": 64,
    "googlenet": 48,
    "alexnet": 127,
}
WAYS: dict[str, tuple[str, dict[str, str]]] = {
    "plain": ("plain", {}),
    "sdpoint": ("sdpoint", {"every": "3"}),
    "light exits": ("earlyexit", {}),
    "exits of the SDPoint paper": ("earlyexit", {"heads": "sdpoint-paper"}),
    "exits of BranchyNet": ("earlyexit", {"heads": "branchynet"}),
}
WITHOUT_ENTRY_BLOCKS = {"densenet-bc-16-4", "densenet121", "googlenet", "alexnet"}


def ran(model: AdjustableModel, x: torch.Tensor) -> int:
    """How many steps a trace of all answers takes."""
    calls, step = list[Any](), model.step

    def counting(name: Any, state: torch.Tensor) -> torch.Tensor:
        calls.append(name)
        return step(name, state)

    model.step = counting  # type: ignore[method-assign]
    model.trace(x)
    del model.step  # type: ignore[method-assign]
    return len(calls)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("backbone", FAMILIES)
@torch.no_grad()
def test_answers_share_work_and_the_full_one_is_the_plain_network(backbone: str, way: str) -> None:
    side, (method, given) = FAMILIES[backbone], WAYS[way]
    if way == "exits of the SDPoint paper" and backbone in WITHOUT_ENTRY_BLOCKS:
        with pytest.raises(MethodError, match="differ in width within a stage"):
            make(method, backbone, (3, side, side), **given)
        return
    model: AdjustableModel = make(method, backbone, (3, side, side), **given)
    lively(model)
    x = images(2, side)
    found = model.trace(x)
    assert tuple(found) == model.graph.names
    assert torch.equal(found[model.graph.names[-1]], model.backbone(x))
    for answer in {model.graph.names[0], model.graph.names[len(found) // 2]}:
        assert torch.equal(found[answer], alone(model, answer, x))
    steps = sum(len(answer.work) for answer in model.answers())
    assert ran(model, x) == len(model.graph.nodes) <= steps
    assert len(found) == 1 or len(model.graph.nodes) < steps


@pytest.mark.parametrize(
    ("backbone", "variants"),
    # the last batch norm: in the head, behind all points; in the last block, before its own point
    [("densenet-bc-16-4", 6 + 1), ("mobilenet_v2:width=0.1", 17 + 1), ("resnext11-2x4d", 2 + 1)],
)
@torch.no_grad()
def test_every_instance_has_statistics_behind_its_point(backbone: str, variants: int) -> None:
    model = make("sdpoint", backbone, (3, 64, 64), ratios="0.5")
    model.collect_statistics([images(8, 64)])
    norms = [m for m in model.modules() if isinstance(m, VariantBatchNorm)]
    assert (len(norms[0].statistics), len(norms[-1].statistics)) == (1, variants)
    assert all(torch.isfinite(logits).all() for logits in model.trace(images(8, 64)).values())


@torch.no_grad()
def test_sdpoint_pools_right_behind_the_concatenation_and_before_the_transition() -> None:
    model = make("sdpoint", "densenet-bc-16-4", (3, 32, 32), ratios="0.5")
    backbone, x = model.backbone, images(2, 32)
    for step in (("stem",), ("body", 1), ("body", 2)):
        x = backbone.step(step, x)
    halved = torch.nn.functional.adaptive_avg_pool2d(x, 16)
    by_hand = backbone.block(3)[0](halved)
    assert by_hand.shape == (2, 8, 8, 8)
    for step in (("body", k) for k in range(3, 7)):
        halved = backbone.step(step, halved)
    assert torch.equal(model.trace(images(2, 32), ["p2_r0.5"])["p2_r0.5"], backbone.step(("head",), halved))


def test_a_training_step_with_noise_is_repeated_by_its_seeds() -> None:
    model = make("earlyexit", "resnet14:width=4,dropout=0.3,stochastic_depth=0.5", (3, 16, 16)).train()
    losses = []
    for seed in (1, 1, 2):
        model.backbone.generator = torch.Generator().manual_seed(seed)
        losses.append(model.loss(images(8, 16), torch.arange(8), torch.Generator().manual_seed(0)).item())
    assert losses[0] == losses[1] != losses[2]
