"""Networks cut into backbones: their own outputs bit for bit, exits on them, and what is refused in one line."""

import copy
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from cut_networks import NETWORKS, SHAPE
from torch import Tensor, nn
from toys import images, lively, make, table_of

from methods.adaptiveexit import AdaptiveExit
from methods.backbones import cut
from methods.backbones.base import Pooling
from methods.backbones.sequence import SequenceBackbone
from methods.base import AdjustableModel
from methods.counting import count
from methods.earlyexit import EarlyExit
from methods.errors import MethodError
from methods.routers import Constant, Router
from methods.routing import closest, simulate, trail_macs
from methods.sdpoint import SDPoint

X = images(12, 32)


@cache
def pair(name: str) -> tuple[SequenceBackbone, nn.Module]:
    """A backbone and the network it was cut from, in evaluation mode; batch norms are not the identity."""
    make_network, parts = NETWORKS[name]
    torch.manual_seed(0)
    network = make_network()
    with torch.no_grad():
        network.train()(X * 3)
    return cut(copy.deepcopy(network), SHAPE, **parts).eval(), network.eval()


# What is cut --------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_are_the_networks_own_bit_for_bit(name: str) -> None:
    backbone, network = pair(name)
    assert torch.equal(backbone(X), network(X))
    assert torch.equal(backbone(X[:1]), network(X[:1]))
    assert [f"network.{key}" for key in network.state_dict()] == list(backbone.state_dict())


@pytest.mark.parametrize("name", ["resnet18", "convnext", "vit"])  # the other one has dropout
def test_training_gives_the_networks_own_outputs_statistics_and_gradients(name: str) -> None:
    backbone, network = (copy.deepcopy(one).train() for one in pair(name))
    ours, theirs = backbone(X), network(X)
    assert torch.equal(ours, theirs)
    ours.square().sum().backward()
    theirs.square().sum().backward()
    for p, q in zip(backbone.parameters(), network.parameters(), strict=True):
        assert p.grad is not None
        assert q.grad is not None
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-3, atol=1e-4)
    assert all(torch.equal(p, q) for p, q in zip(backbone.buffers(), network.buffers(), strict=True))


def test_what_can_be_seen_of_states_need_not_be_said() -> None:
    facts = {name: pair(name)[0] for name in NETWORKS}
    assert {name for name, one in facts.items() if one.post_activation} == {"resnet18"}
    assert all(one.chains for one in facts.values())
    assert [one.stages for one in facts.values()] == [(2, 2, 2, 2), (2, 1), (1, 2), (1, 1, 1)]
    assert pair("resnet18")[0].work()[:3] == (("stem",), ("stem_pool",), ("body", 1))
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 6, 1), nn.ReLU(), nn.Conv2d(6, 8, 1), nn.ReLU())
    network.extend([nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)])
    widening = cut(network, SHAPE, stem="0", stages=[[("1", "2"), ("3", "4")]], head=["5", "6", "7"])
    assert widening.post_activation
    assert not widening.chains


@torch.no_grad()
@pytest.mark.parametrize("name", NETWORKS)
def test_a_copy_is_independent_and_the_mode_is_the_networks(name: str) -> None:
    backbone, _ = pair(name)
    before, twin = backbone(X), copy.deepcopy(backbone)
    assert torch.equal(twin(X), before)
    for values in twin.parameters():
        values.zero_()
    assert torch.equal(backbone(X), before)
    assert not twin(X).any()
    make_network, parts = NETWORKS[name]
    assert cut(make_network().train(), SHAPE, **parts).training
    assert not cut(make_network().eval(), SHAPE, **parts).training


@torch.no_grad()
@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_pooled_is_the_mean_over_places_or_the_class_token(name: str) -> None:
    backbone, _ = pair(name)
    x = backbone.step(("stem",), X)
    expected = x[:, 0] if name == "vit" else x.mean((2, 3))
    torch.testing.assert_close(backbone.pooled(x), expected, rtol=1e-5, atol=1e-6)
    assert backbone.pooled(x).shape == (len(X), x.shape[2 if name == "vit" else 1])


def test_tokens_may_stand_for_an_image_by_their_mean_and_other_states_cannot_be_pooled() -> None:
    tokens = torch.randn(2, 5, 3)
    torch.testing.assert_close(Pooling("mean")(tokens), tokens.mean(1))
    torch.testing.assert_close(Pooling("class")(tokens), tokens[:, 0])
    with pytest.raises(MethodError, match=r"^a state \[2, 5, 3\] cannot be pooled: expected maps \[n, c, h, w\]$"):
        Pooling(None)(tokens)
    with pytest.raises(MethodError, match=r"^a state \[2, 5\] cannot be pooled: expected maps .* or tokens"):
        Pooling("mean")(tokens[..., 0])


# Exits on them ------------------------------------------------------------------------------------


@cache
def made(name: str, method: str) -> AdjustableModel:
    """A method on a copy of a network that was cut."""
    torch.manual_seed(0)
    backbone = copy.deepcopy(pair(name)[0])
    model: AdjustableModel
    if method == "adaptiveexit":
        model = AdaptiveExit(backbone, AdaptiveExit.Settings(positions=backbone.stage_ends()[:-1]), SHAPE)
    else:
        model = EarlyExit(backbone, EarlyExit.Settings(), SHAPE)
    model.eval()
    lively(model)
    model.collect_statistics([X])
    return model


@torch.no_grad()
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("method", ["adaptiveexit", "earlyexit"])
def test_exits_cost_what_they_execute_and_stop_where_they_are_simulated_to(name: str, method: str) -> None:
    model = made(name, method)
    table = table_of(model, X, 6)
    last = len(table.answers) - 1
    with torch.enable_grad():
        points = [point.router for point in model.operating_points(table, last + 4)]
    routed = [router for router in points if not isinstance(router, Constant)]
    assert routed
    for router in (Constant(answer=0), Constant(answer=last), *routed):
        clear = np.flatnonzero(closest(table, router) > 1e-4)
        simulated = simulate(table, router)
        claimed = trail_macs(table, simulated)
        for row in clear[::4]:
            assert macs_of(model, router, X[[row]]) == claimed[row]
        assert macs_of(model, router, X[clear]) == claimed[clear].sum()
        for batch in (1, 5, len(clear)):
            for rows in np.split(clear, range(batch, len(clear), batch)):
                executed = model.execute(X[rows], router)
                assert executed.answer.tolist() == simulated.answer[rows].tolist()
                prediction = table.prediction[simulated.answer[rows], rows]
                assert executed.logits.argmax(1).tolist() == prediction.tolist()


def macs_of(model: AdjustableModel, router: Router, x: Tensor) -> int:
    return count(lambda: model.execute(x, router).logits).macs


@torch.no_grad()
def test_an_exit_on_tokens_is_the_networks_norm_its_class_token_and_a_linear_layer() -> None:
    model: Any = made("vit", "earlyexit")
    norm, pooling, linear = model.heads[0]
    assert norm.eps == model.backbone.network.encoder.ln.eps
    assert norm.weight is not model.backbone.network.encoder.ln.weight
    x = model.backbone.step(("body", 1), model.backbone.step(("stem",), X))
    torch.testing.assert_close(model.step(("exit", 1), x), linear(norm(x)[:, 0]))
    assert model.trace(X)["exit1"].shape == (len(X), 10)
    assert isinstance(pooling, Pooling)


@pytest.mark.parametrize("heads", ["sdpoint-paper", "branchynet"])
def test_heads_of_convolutions_refuse_tokens_by_name(heads: str) -> None:
    settings = EarlyExit.Settings.model_validate({"heads": heads})
    with pytest.raises(MethodError) as caught:
        EarlyExit(copy.deepcopy(pair("vit")[0]), settings, SHAPE)
    line = f"heads={heads} take maps, and the states of VisionTransformer are tokens: use heads=light"
    assert str(caught.value) == line


def test_downsampling_points_refuse_tokens() -> None:
    model = SDPoint(copy.deepcopy(pair("vit")[0]), SDPoint.Settings(), SHAPE)
    with pytest.raises(MethodError, match=r"^sdpoint downsamples maps, and the states of VisionTransformer are tokens"):
        _ = model.graph


@torch.no_grad()
def test_downsampling_points_work_on_maps_of_a_network_that_was_cut() -> None:
    model = SDPoint(copy.deepcopy(pair("convnext")[0]), SDPoint.Settings(ratios=(0.5,)), SHAPE).eval()
    model.collect_statistics([X])
    said, costs = model.trace(X), model.costs()
    assert torch.equal(said["full"], model.backbone(X))
    assert (np.diff(costs.outputs()[:-1]) > 0).all()
    assert not make("sdpoint").backbone.tokens


def test_no_fresh_copy_is_made_of_a_part_that_is_a_function() -> None:
    def last(network: Any, x: Tensor) -> Tensor:
        logits: Tensor = network.fc(network.avgpool(x).flatten(1))
        return logits

    make_network, parts = NETWORKS["resnet18"]
    backbone = cut(make_network(), SHAPE, **{**parts, "head": last})
    with pytest.raises(MethodError, match=r"^ResNet calls a function there, of which there is no fresh copy"):
        backbone.new_head()
    assert backbone.head(torch.zeros(1, 512, 1, 1)).shape == (1, 10)


# What is refused ----------------------------------------------------------------------------------


def writes(network: Any, x: Tensor) -> Tensor:
    y: Tensor = network.layer1(x.relu_())
    return y


def without_dropout(network: Any, images: Tensor) -> Tensor:
    patches = network._process_input(images)
    tokens = torch.cat([network.class_token.expand(len(patches), -1, -1), patches], dim=1)
    embedded: Tensor = tokens + network.encoder.pos_embedding
    return embedded


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("resnet18", {"stem": ["conv1", "bn2", "relu"]}, r"ResNet has no part 'bn2'; it has bn1"),
    ("resnet18", {"stem": ["conv1", "bn1"]}, r"the parts of ResNet leave out 'relu', which its forward calls"),
    ("resnet18", {"pool": None}, r"the parts of ResNet leave out 'maxpool'"),
    ("resnet18", {"stages": ["layer1", "layer2", "layer4"]}, r"part 'layer4' of ResNet cannot take \[2, 128, 4, 4\]"),
    ("resnet18", {"stages": ["layer1", "layer2", "layer3", "layer4", "layer4.1"]}, r"call 'layer4\.1\.\w+', .* more"),
    ("resnet18", {"stem": ["conv1", "relu", "bn1"]}, r"call 'relu' where its forward calls 'bn1'"),
    ("resnet18", {"head": ["avgpool", "fc"]}, r"part 'fc' of ResNet cannot take \[2, 512, 1, 1\], .*: RuntimeError"),
    ("resnet18", {"head": ["avgpool", "flatten", "fc", lambda _, x: 2 * x]}, r"other outputs .* behind its last layer"),
    ("resnet18", {"stem": ["conv1", "bn1", "relu", lambda _, x: 2 * x]}, r"other outputs than its forward from 'maxpo"),
    ("resnet18", {"stages": [writes, "layer2", "layer3", "layer4"]}, r"part 'writes' of ResNet writes into what it"),
    (
        "resnet18",
        {"stages": ["layer1", "layer2", "layer3", ["layer4", "avgpool", "flatten"]]},
        r"block 6 .* \[2, 512\],",
    ),
    ("resnet18", {"stages": []}, r"ResNet needs at least one stage"),
    ("resnet18", {"stages": [["layer1"], []]}, r"ResNet needs .* each of its stages a block"),
    ("resnet18", {"head": []}, r"no parts of ResNet are named for its head"),
    ("resnet18", {"tokens": "mean"}, r"stem of ResNet gives \[2, 64, 16, 16\], maps: leave out tokens"),
    ("resnet18", {"stem": ["conv1", "bn1", "relu", lambda _, x: (x, x)]}, r"part '<lambda>' of ResNet gives tuple"),
    ("vit", {"tokens": None}, r"stem of VisionTransformer gives \[2, 17, 16\], tokens: say tokens='class' if"),
    ("vit", {"tokens": "mean"}, r"other outputs than its forward from 'heads\.head' on"),
    ("vit", {"head": [lambda _, x: x[:, 0], "encoder.ln", "heads"]}, r"other outputs .* from 'encoder\.ln' on"),
    ("vit", {"stem": "conv_proj"}, r"stem .* gives \[2, 16, 4, 4\], maps: leave out tokens, or make them in the stem"),
    (
        "vit",
        {"stem": without_dropout},
        r"VisionTransformer leave out 'encoder\.dropout', which",
    ),
    (
        "convnext",
        {"head": ["avgpool", "flatten", "classifier"]},
        r"part 'classifier' of ConvNeXt cannot take \[2, 16\]",
    ),
]


@pytest.mark.parametrize(("name", "changed", "line"), WRONG)
def test_what_is_missing_or_differs_is_one_line(name: str, changed: dict[str, Any], line: str) -> None:
    make_network, parts = NETWORKS[name]
    with pytest.raises(MethodError, match=line) as caught:
        cut(make_network(), SHAPE, **{**parts, **changed})
    assert "\n" not in str(caught.value)


def test_a_layer_that_adds_nothing_yet_is_missed_all_the_same() -> None:
    """A branch that starts from zero changes no output."""

    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.branch = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
            self.fc = nn.Linear(4, 10)
            nn.init.zeros_(self.branch.weight)
            nn.init.zeros_(self.branch.bias)  # type: ignore[arg-type]

        def forward(self, x: Tensor) -> Tensor:
            x = self.second(self.first(x))
            y: Tensor = self.fc((x + self.branch(x)).mean((2, 3)))
            return y

    with pytest.raises(MethodError, match="the parts of Late leave out 'branch', which its forward calls"):
        cut(Late(), SHAPE, stem="first", stages=["second"], head=[lambda _, x: x.mean((2, 3)), "fc"])


def test_a_network_that_cannot_run_or_gives_no_logits_is_refused() -> None:
    make_network, parts = NETWORKS["vit"]
    with pytest.raises(MethodError, match=r"^VisionTransformer on images \[2, 3, 40, 40\] fails: AssertionError: W"):
        cut(make_network(), (3, 40, 40), **parts)
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1))
    with pytest.raises(MethodError, match=r"gives \[2, 4, 32, 32\], expected logits \[2, classes\]"):
        cut(network, SHAPE, stem="0", stages=["1"], head="flatten")


def test_what_works_in_place_is_reset_and_a_state_that_is_kept_is_safe() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.Sequential(nn.Hardswish(inplace=True), nn.Conv2d(4, 4, 1)),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10),
    )  # fmt: skip
    expected = copy.deepcopy(network)(X)
    backbone = cut(network, SHAPE, stem="0", stages=["1"], head=["2", "3", "4"])
    x = backbone.step(("stem",), X)
    before = x.clone()
    backbone.step(("body", 1), x)
    assert torch.equal(x, before)
    assert torch.equal(backbone(X), expected)
