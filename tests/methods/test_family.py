"""Several networks behind one interface: network selection and static families, the user's own modules among them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toys import alone, images, lively, make, same, snapshot, table_of

from methods.backbones.specification import relatives
from methods.base import AdjustableModel, Network
from methods.batchnorm import variant_norms
from methods.counting import count
from methods.errors import MethodError
from methods.netselect import NetSelect
from methods.registry import parse_settings, variant
from methods.routers import Learned, Policy
from methods.routing import simulate, trail_macs
from methods.storage import load, save

SMALL = (3, 16, 16)
PLAIN = "resnet8:width=4"

MODULES = '''
"""Networks that a user brings."""
import torch
from torch import nn

seen = []

class Mine(nn.Module):
    def __init__(self, classes=10, width=2):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.conv = nn.Conv2d(3, width, 3, stride=4, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.linear = nn.Linear(width, classes)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
            self.norm.running_mean.fill_(0.25)

    def forward(self, x):
        seen.append((float(x.min()), float(x.max()), self.training))
        return self.linear(self.norm(self.conv(x - 0.5)).mean((2, 3)))

def mine():
    return Mine()

def wider():
    return Mine(width=3)

def three_classes():
    return Mine(classes=3)

def maps():
    return nn.Conv2d(3, 10, 1)

def several():
    class Several(Mine):
        def forward(self, x):
            return super().forward(x), x
    return Several()

def tied():
    conv = nn.Conv2d(3, 3, 3)
    return nn.Sequential(conv, conv, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 10))

def large_kernel():
    return nn.Sequential(nn.Conv2d(3, 10, 40), nn.Flatten())

def nothing():
    return None

def breaks():
    raise FileNotFoundError("weights.pt")

number = 3
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "nets.py"
    path.write_text(MODULES)
    return path


def netselect(networks: str, backbone: str = PLAIN, **given: str) -> NetSelect:
    model: NetSelect = make("netselect", backbone, SMALL, networks=networks, **given)
    return model


def foreign(file: Path, function: str = "mine", *others: str) -> NetSelect:
    return netselect(",".join([f"{file}:{function}", *others]))


def foreign_part(model: AdjustableModel) -> nn.Module:
    return model.get_submodule("networks.0")


# Members ------------------------------------------------------------------------------------------


def test_members_are_ordered_by_cost_and_the_backbone_is_last() -> None:
    model = netselect("resnet8:width=3,resnet8:width=1,resnet8:width=2")
    assert model.graph.names == ("resnet8:width=1", "resnet8:width=2", "resnet8:width=3", "full")
    macs = model.costs().outputs()
    assert (np.diff(macs) > 0).all()
    for name, cost in zip((*model.graph.names[:-1], PLAIN), macs, strict=True):
        assert make("plain", name, SMALL).costs().outputs().tolist() == [cost]


def test_every_member_but_the_users_is_trained_as_a_plain_network_of_its_own(file: Path) -> None:
    model = netselect(f"resnet8:width=2,{file}:mine")
    wanted = {model.members[-1].part: Network(PLAIN), "networks.0": Network("resnet8:width=2")}
    assert model.initial_weights() == wanted
    sizes = make("static", PLAIN, SMALL, networks="resnet8:width=2", sizes="8")
    assert set(sizes.initial_weights().values()) == {Network(PLAIN), Network("resnet8:width=2"), Network(PLAIN, 8)}
    assert list(model.stages()) == list(sizes.stages()) == []


@pytest.mark.parametrize(
    ("method", "given", "reason"),
    [
        ("netselect", {"networks": PLAIN}, "resnet8:width=4 is a member without being named"),
        ("netselect", {"networks": "resnet8:width=2,resnet8:width=2"}, "resnet8:width=2.*twice|twice.*resnet8:width=2"),
        ("netselect", {"networks": "resnet9"}, "resnet9"),
        ("static", {"networks": "resnet8:width=2", "sizes": "8,8"}, "twice"),
        ("static", {"networks": "resnet8:width=2", "sizes": "16"}, "is a member without being named"),
        ("static", {"networks": "resnet8:width=2", "sizes": "0"}, "sizes"),
        ("static", {"networks": "resnet8:width=2", "sizes": "-4"}, "sizes"),
        ("static", {"networks": "resnet8:width=2", "sizes": "half"}, "sizes"),
    ],
)
def test_what_does_not_belong_is_refused_in_one_line(method: str, given: dict[str, str], reason: str) -> None:
    with pytest.raises(MethodError, match=reason) as refused:
        make(method, PLAIN, SMALL, **given)
    assert "\n" not in str(refused.value)


def test_a_network_may_be_dearer_than_the_backbone_and_is_then_the_last() -> None:
    model = make("netselect", PLAIN, SMALL, networks="resnet8:width=2,resnet14:width=4")
    assert model.graph.names == ("resnet8:width=2", "full", "resnet14:width=4")
    assert (np.diff(model.costs().outputs()) > 0).all()


def test_two_spellings_of_one_network_are_one_network() -> None:
    with pytest.raises(MethodError, match="twice"):
        make("netselect", "resnet14", SMALL, networks="resnet8,resnet8:width=16")
    model = make("netselect", "resnet14", SMALL, networks="resnet8:width=16")
    assert model.initial_weights()["networks.0"] == Network("resnet8")


# Relatives ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backbone", "expected"),
    [
        ("resnet8", ("resnet8:width=8", "resnet8:width=12", "full")),
        ("resnet20", ("resnet8", "resnet14", "full")),
        ("wrn-16-4", ("wrn-10-4", "full")),
    ],
)
def test_by_default_shallower_relatives_come_first_or_narrower_ones_where_there_are_none(
    backbone: str, expected: tuple[str, ...]
) -> None:
    with torch.device("meta"):
        assert relatives(backbone)
    assert make("netselect", backbone, (3, 8, 8)).graph.names == expected


@pytest.mark.parametrize("backbone", ["resnet8", "resnet20", "wrn-16-4"])
def test_a_static_family_has_depths_widths_and_sizes(backbone: str) -> None:
    model = make("static", backbone, (3, 8, 8))
    known = relatives(backbone)
    assert set(model.graph.names) == {*known.depths, *known.widths, "4px", "6px", "full"}
    assert model.graph.names[-1] == "full"
    assert (np.diff(model.costs().outputs()) >= 0).all()


def test_all_relatives_cost_less() -> None:
    for backbone in ("resnet8", "resnet20", "preresnet14", "wrn-16-4", "resnext29-4x8d", "densenet-bc-40-12"):
        known = relatives(backbone)
        whole = make("plain", backbone, (3, 8, 8)).costs().outputs()[-1]
        for relative in (*known.depths, *known.widths):
            assert make("plain", relative, (3, 8, 8)).costs().outputs()[-1] < whole, (backbone, relative)


# Trails -------------------------------------------------------------------------------------------


def test_networks_share_no_work_and_a_trail_pays_for_every_one_that_ran() -> None:
    model = netselect("resnet8:width=2,resnet8:width=3")
    lively(model)
    model.collect_statistics([images(32, 16, seed=1)])
    table = table_of(model, images(32, 16, seed=2), 32)
    alone_macs = table.costs.outputs()
    cut = np.quantile(table.max_prob[0], [0.7, 0.3])
    jumps = Policy(weights=((-1.0,), (-1.0,)), bias=(float(cut[0]), float(cut[1])))
    router = Learned(
        cascade=(0, 1, 2), features=("max_prob",), policies=(jumps, Policy(weights=((0.0,),), bias=(1.0,)))
    )
    routing = simulate(table, router)
    assert {tuple(row) for row in routing.visited.tolist()} == {
        (True, False, False), (True, True, True), (True, False, True),
    }  # fmt: skip
    assert (trail_macs(table, routing) == routing.visited @ alone_macs + routing.router_macs).all()


@torch.no_grad()
def test_each_member_is_the_plain_network_of_its_name_bit_for_bit() -> None:
    model = make("static", PLAIN, SMALL, networks="resnet8:width=2", sizes="8")
    plains = {
        "resnet8:width=2": make("plain", "resnet8:width=2", SMALL, seed=1),
        "8px": make("plain", PLAIN, SMALL, seed=2, size="8"),
        "full": make("plain", PLAIN, SMALL, seed=3),
    }
    assert set(model.graph.names) == set(plains)
    for member in model.members:
        lively(plains[member.name])
        model.get_submodule(member.part).load_state_dict(plains[member.name].backbone.state_dict())
    x = images(8, 16, seed=2)
    for network in (model, *plains.values()):
        network.collect_statistics([images(32, 16, seed=1)])
    for name, plain in plains.items():
        assert torch.equal(alone(model, name, x), alone(plain, "full", x))


# A module of the user's ---------------------------------------------------------------------------


def test_a_module_of_the_users_is_an_answer_of_counted_cost(file: Path) -> None:
    model = foreign(file)
    network = foreign_part(model)
    macs = count(lambda: network(torch.zeros(1, *SMALL))).macs
    assert model.costs().outputs()[0] == macs == 4 * 4 * 9 * 3 * 2 + 20  # 4x4 places of a 3x3 kernel, a classifier
    assert len(model.graph.names) == 2


def test_two_functions_of_one_file_are_two_networks(file: Path) -> None:
    model = foreign(file, "wider", f"{file}:mine")
    assert len(set(model.graph.names)) == 3
    macs = model.costs().outputs()
    assert macs[0] < macs[1] < macs[2]
    with pytest.raises(MethodError, match="twice"):
        foreign(file, "mine", f"{file}:mine")


def test_two_files_with_functions_of_one_name_are_two_networks(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "more.py"
    other.write_text(MODULES.replace("width=2", "width=3"))
    assert len(set(foreign(file, "mine", f"{other}:mine").graph.names)) == 3


@torch.no_grad()
def test_it_is_given_the_images_themselves_from_zero_to_one(file: Path) -> None:
    model = foreign(file)
    model.mean, model.std = (0.4, 0.5, 0.6), (0.1, 0.2, 0.3)
    pixels = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pixels[0, 0, 0, 0], pixels[1, 2, 3, 3] = 0, 255
    given: list[Tensor] = []
    network = foreign_part(model).get_submodule("network")
    network.register_forward_hook(lambda _m, x, _y: given.append(x[0]))
    inputs = model.standardise(pixels)
    before = inputs.clone()
    model.step(("on", 0, "all"), inputs)
    torch.testing.assert_close(given[0], pixels / 255, rtol=0, atol=1e-6)
    assert torch.equal(given[0].mul(255).round().byte(), pixels)
    assert 0 <= float(given[0].min()) < float(given[0].max()) <= 1
    assert torch.equal(inputs, before)


def test_its_batch_norms_keep_their_statistics_whatever_is_collected(file: Path) -> None:
    model = foreign(file)
    before = snapshot(foreign_part(model))
    model.train()
    assert not any(module.training for module in foreign_part(model).modules())
    with torch.no_grad():
        model.trace(images(8, 16))
    model.collect_statistics([images(32, 16, seed=1)])
    assert same(snapshot(foreign_part(model)), before)
    assert set(variant_norms(model)) == {n for n in variant_norms(model) if n.startswith("backbone.")} != set()


def test_its_weights_do_not_learn(file: Path) -> None:
    assert not any(parameter.requires_grad for parameter in foreign_part(foreign(file)).parameters())


@torch.no_grad()
def test_it_answers_as_it_does_alone(file: Path) -> None:
    model = foreign(file)
    model.mean, model.std = (0.4, 0.5, 0.6), (0.1, 0.2, 0.3)
    model.collect_statistics([images(16, 16)])
    x = images(6, 16)
    network = foreign_part(model).get_submodule("network")
    assert torch.equal(alone(model, model.graph.names[0], x), network(model.unit(x)))


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("three_classes", r"gives \[1, 3\], expected \[1, 10\] logits"),
        ("maps", r"gives \[1, 10, 16, 16\], expected \[1, 10\] logits"),
        ("several", "gives tuple, expected"),
        ("large_kernel", r"cannot run on an image \[3, 16, 16\]"),
        ("nothing", "no function 'nothing' that returns a torch.nn.Module"),
        ("absent", "no function 'absent' that returns a torch.nn.Module"),
        ("number", "no function 'number' that returns a torch.nn.Module"),
        ("breaks", "weights.pt"),
    ],
)
def test_a_function_that_gives_no_classifier_is_refused_in_one_line(file: Path, function: str, reason: str) -> None:
    with pytest.raises(MethodError, match=reason) as refused:
        foreign(file, function)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["def broken(:\n", "import no_such_package\n", "1 / 0\n"])
def test_a_file_that_cannot_be_run_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(text)
    with pytest.raises(MethodError, match=r"bad\.py") as refused:
        foreign(path)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(MethodError, match="there is no file"):
        foreign(tmp_path / "none.py")


# Storage ------------------------------------------------------------------------------------------


@torch.no_grad()
def test_a_stored_model_with_the_users_file_loads_only_with_trust(file: Path, tmp_path: Path) -> None:
    model, x = foreign(file, "mine", "resnet8:width=3"), images(4, 16)
    model.collect_statistics([images(16, 16)])
    path = tmp_path / "m.safetensors"
    save(model, path, "netselect", PLAIN)
    ran = tmp_path / "ran"
    file.write_text(MODULES + f"\nimport pathlib\npathlib.Path({str(ran)!r}).touch()\n")
    with pytest.raises(MethodError, match="trust") as refused:
        load(path)
    assert "nets.py" in str(refused.value)
    assert not ran.exists()  # nothing of the file was run
    again = load(path, trust=True)
    assert ran.exists()
    expected = model.trace(x)
    assert all(torch.equal(value, expected[name]) for name, value in again.trace(x).items())


@torch.no_grad()
def test_its_weights_are_those_stored_not_those_the_file_makes_now(file: Path, tmp_path: Path) -> None:
    model = foreign(file)
    model.collect_statistics([images(16, 16)])
    save(model, tmp_path / "m.safetensors", "netselect", PLAIN)
    file.write_text(MODULES.replace("fill_(0.25)", "fill_(7.0)").replace("manual_seed(0)", "manual_seed(9)"))
    assert same(snapshot(foreign_part(load(tmp_path / "m.safetensors", trust=True))), snapshot(foreign_part(model)))


@torch.no_grad()
def test_a_module_with_tied_weights_is_stored_and_comes_back(file: Path, tmp_path: Path) -> None:
    model, x = foreign(file, "tied"), images(4, 16)
    model.collect_statistics([images(16, 16)])
    save(model, tmp_path / "m.safetensors", "netselect", PLAIN)
    again = load(tmp_path / "m.safetensors", trust=True)
    assert torch.equal(again.trace(x)["nets.tied"], model.trace(x)["nets.tied"])


def test_models_without_files_need_no_trust(tmp_path: Path) -> None:
    model = netselect("resnet8:width=2")
    model.collect_statistics([images(16, 16)])
    save(model, tmp_path / "m.safetensors", "netselect", PLAIN)
    assert load(tmp_path / "m.safetensors").graph.names == model.graph.names


# Settings -----------------------------------------------------------------------------------------


def test_how_networks_are_selected_does_not_change_what_is_trained() -> None:
    default = parse_settings("netselect", {})
    other = parse_settings("netselect", {"jumps": "false", "history": "true", "features": "entropy"})
    assert default.for_training() == other.for_training()
    assert variant(default.for_training()) == "default"


@pytest.mark.parametrize(
    "given",
    [
        {"history": "true"},  # and jumps, by default
        {"features": ""},
        {"features": "entropy,entropy"},
        {"features": "depth"},
        {"target": "regret"},
    ],
)
def test_policies_that_make_no_sense_are_refused_in_one_line(given: dict[str, Any]) -> None:
    with pytest.raises(MethodError) as refused:
        parse_settings("netselect", given)
    assert "\n" not in str(refused.value)


def test_a_family_has_no_loss_of_its_own() -> None:
    model = netselect("resnet8:width=2")
    with pytest.raises(NotImplementedError):
        model.loss(images(2, 16), torch.zeros(2, dtype=torch.int64), torch.Generator())
    assert model.training_macs(model.costs()) == 0
