"""Networks of the user's whose state is more than plain tensors: stored as content, compared when they are loaded."""

import warnings
from pathlib import Path

import pytest
import torch

from methods.base import AdjustableModel
from methods.errors import MethodError
from methods.foreign import Foreign
from methods.registry import create, parse_settings
from methods.storage import load, save

SHAPE = (3, 8, 8)
NETWORKS = """
import torch
from torch import nn
from torch.ao import quantization

def plain():
    torch.manual_seed({seed})
    convolution = nn.Conv2d(3, 4, 3, stride=2)
    return nn.Sequential(convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))

def dynamic():
    return quantization.quantize_dynamic(plain(), {{nn.Linear}}, dtype=torch.qint8)

def static():
    net = nn.Sequential(quantization.QuantStub(), plain(), quantization.DeQuantStub()).eval()
    net.qconfig = quantization.get_default_qconfig("onednn")
    quantization.prepare(net, inplace=True)
    net(torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)))
    return quantization.convert(net)

def sparse():
    net = plain()
    net.register_buffer("more", torch.eye(3).to_sparse())
    return net

def odd():
    net = plain()
    net.register_module("odd", Odd())
    return net

class Odd(nn.Identity):
    def get_extra_state(self):
        return {extra}
    def set_extra_state(self, state):
        assert state == {extra}
"""


def model(path: Path, *functions: str) -> AdjustableModel:
    with warnings.catch_warnings(action="ignore"):  # torch moves its quantisation elsewhere
        given = {"networks": ",".join(f"{path}:{function}" for function in functions)}
        return create("netselect", parse_settings("netselect", given), "resnet8:width=4", 10, SHAPE, seed=0)


def written(folder: Path, seed: int = 0, extra: object = ()) -> Path:
    path = folder / "nets.py"
    path.write_text(NETWORKS.format(seed=seed, extra=extra))
    return path


@pytest.mark.parametrize("function", ["plain", "dynamic", "static", "odd"])
def test_a_network_says_the_same_after_it_was_stored(tmp_path: Path, function: str) -> None:
    path = written(tmp_path, extra=(1, 2.5, "x", None, [True]))
    first = model(path, function)
    first.collect_statistics([torch.zeros(4, *SHAPE)])
    save(first, tmp_path / "m.safetensors", "netselect", "resnet8:width=4")
    with warnings.catch_warnings(action="ignore"):
        again = load(tmp_path / "m.safetensors", trust=True)
    images = torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        own, loaded = (m.eval().trace(images) for m in (first, again))
    assert all(torch.equal(logits, loaded[name]) for name, logits in own.items())


@pytest.mark.parametrize("function", ["dynamic", "static"])
def test_the_bytes_of_packed_weights_count_as_stored(tmp_path: Path, function: str) -> None:
    (network,) = (m for m in model(written(tmp_path), function).modules() if isinstance(m, Foreign))
    state = network.state_dict()
    assert all(value.layout == torch.strided and not value.is_quantized for value in state.values())
    packed = [value for value in state.values() if value.dtype == torch.uint8]
    assert sum(map(len, packed)) >= 4 * 10 + 4 * 10


@pytest.mark.parametrize("function", ["dynamic", "static"])
def test_other_packed_weights_do_not_fit(tmp_path: Path, function: str) -> None:
    first = model(written(tmp_path), function)
    other = model(written(tmp_path, seed=1), function)
    with pytest.raises(MethodError, match=r"^the weights do not fit this model: '.*' is (not what|\[)"):
        other.load_tensors(first.tensors())


@pytest.mark.parametrize(("function", "extra", "kind"), [("sparse", (), "layout"), ("odd", "{1, 2}", "set")])
def test_a_state_that_cannot_be_stored_is_one_line(tmp_path: Path, function: str, extra: object, kind: str) -> None:
    with pytest.raises(MethodError, match=f"^'.*' of a network of yours is .*{kind}") as told:
        model(written(tmp_path, extra=extra), function).tensors()
    assert "\n" not in str(told.value)
