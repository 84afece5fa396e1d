"""A frozen path is what eager computes, with batch norms folded where that is right, and costs the model nothing."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from measured import images, measured, static
from torch import Tensor, nn

from benchmarks.backends.errors import Unsupported
from benchmarks.backends.frozen import Path, freeze
from methods.backbones import build
from methods.base import AdjustableModel, Answer, Step
from methods.batchnorm import BatchNorm, PrivateBatchNorm

METHODS = [
    ("plain", {}),
    ("plain", {"size": "12"}),
    ("sdpoint", {}),
    ("sdpoint", {"bn": "uniform"}),
    ("earlyexit", {}),
    ("earlyexit", {"heads": "branchynet"}),
    ("earlyexit", {"heads": "sdpoint-paper"}),
    ("multiscale", {"sizes": "3"}),
    ("multiscale", {"sizes": "3", "bn": "private"}),
    ("adaptiveexit", {}),
    ("netselect", {}),
    ("dynres", {}),
    ("static", {}),
]


def frozen(model: AdjustableModel, answer: int = -1) -> Path:
    return freeze(model, static(model, answer), torch.float32, images(2))


def normalised(path: Path) -> int:
    """How many batch norms run."""
    ran: list[nn.Module] = []
    for module in path.modules():
        if isinstance(module, nn.BatchNorm2d | PrivateBatchNorm):
            module.register_forward_hook(lambda module, *_: ran.append(module))
    path(images(1))
    return len(ran)


@pytest.mark.parametrize("backbone", ["resnet8:width=4", "preresnet8:width=4"])
@pytest.mark.parametrize(("method", "settings"), METHODS, ids=str)
@torch.no_grad()
def test_frozen_is_eager_at_every_answer_of_every_method(method: str, settings: dict[str, str], backbone: str) -> None:
    model, x = measured(method, settings, backbone), images(3)
    for answer in range(len(model.graph.names)):
        expected = model.execute(x, static(model, answer).router).logits
        found = frozen(model, answer)(x)
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@torch.no_grad()
def test_every_batch_norm_of_a_post_activation_network_is_folded() -> None:
    model = measured("sdpoint")
    assert [normalised(frozen(model, answer)) for answer in range(len(model.graph.names))] == [0] * 7


@torch.no_grad()
def test_batch_norms_that_no_convolution_precedes_stay() -> None:
    """A pre-activation block begins with one, and so does the head; the second of each block is folded.

    The first block's follows the stem's convolution, whose output the shortcut reads too.
    """
    assert normalised(frozen(measured(backbone="preresnet8:width=4"))) == 3 + 1


def test_answers_have_their_own_statistics() -> None:
    model = measured("sdpoint")
    one, other = (frozen(model, answer).model.backbone.get_submodule("stem.0") for answer in (0, -1))
    assert torch.equal(one.weight, other.weight)  # before the point both run the shared prefix
    one, other = (frozen(model, answer).model.backbone.get_submodule("blocks.2.conv1") for answer in (0, -1))
    assert not torch.equal(one.weight, other.weight)


@pytest.mark.parametrize(("method", "settings"), [("sdpoint", {}), ("multiscale", {"sizes": "3", "bn": "private"})])
def test_freezing_leaves_the_model_as_it_was(method: str, settings: dict[str, str]) -> None:
    model = measured(method, settings)
    before = {name: value.clone() for name, value in model.tensors().items()}
    modules, learns = list(model.modules()), [p.requires_grad for p in model.parameters()]
    path = freeze(model, static(model, 0), torch.bfloat16, images(1))
    after = model.tensors()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) and after[name].dtype == before[name].dtype for name in before)
    assert all(one is other for one, other in zip(modules, model.modules(), strict=True))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in modules)
    assert learns == [p.requires_grad for p in model.parameters()]
    assert not {p.data_ptr() for p in path.parameters()} & {p.data_ptr() for p in model.parameters()}


class Twice(AdjustableModel):
    """The first block may run twice, with one set of batch norms."""

    def answers(self) -> Sequence[Answer]:
        work = self.backbone.work()
        return [Answer("twice", (*work[:3], *work[1:])), Answer("once", work)]

    def loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        raise NotImplementedError


def test_a_batch_norm_that_is_two_variants_on_one_path_is_refused() -> None:
    model = Twice(build("resnet8:width=4", 10), Twice.Settings(), (3, 16, 16))
    model.collect_statistics([images(8)])
    with pytest.raises(Unsupported, match=r"^one batch norm has the statistics of once and of twice on the same path$"):
        frozen(model, 0)


@torch.no_grad()
def test_a_convolution_that_runs_twice_into_one_uniform_batch_norm_is_folded_once() -> None:
    model, x = Twice(build("resnet8:width=4", 10), Twice.Settings(), (3, 16, 16)).eval(), images(2)
    model.backbone.get_submodule("blocks.0.bn1").running_var.fill_(0.3)  # type: ignore[union-attr,operator]
    path = frozen(model, 0)
    assert normalised(path) == 0
    torch.testing.assert_close(path(x), model.execute(x, static(model, 0).router).logits)


class Kin(nn.BatchNorm2d):
    """A user's own batch norm."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / 2


class Normalised(AdjustableModel):
    """Its batch norms are of three kinds, one of them behind the classifier."""

    def answers(self) -> Sequence[Answer]:
        return [Answer("full", (*self.backbone.work(), ("normalise",)))]

    def step(self, step: Step, x: Any) -> Any:
        return self.norm(x) if step == ("normalise",) else super().step(step, x)

    def loss(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        raise NotImplementedError


@torch.no_grad()
def test_norms_of_other_kinds_stay_norms_of_their_kind() -> None:
    model, x = Normalised(build("resnet8:width=4", 10), Normalised.Settings(), (3, 16, 16)), images(2)
    block = model.backbone.get_submodule("blocks.1")
    model.norm, block.bn1, block.bn2 = nn.BatchNorm1d(10), Kin(8), nn.SyncBatchNorm(8)
    model.collect_statistics([images(8, seed=1)])
    path = frozen(model)
    kinds = [type(module) for module in path.modules() if isinstance(module, BatchNorm)]
    assert kinds == [Kin, nn.SyncBatchNorm, nn.BatchNorm1d]  # all others are folded
    torch.testing.assert_close(path(x), model.execute(x, static(model).router).logits)
