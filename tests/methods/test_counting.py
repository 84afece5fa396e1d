"""What operators count: every kind, against MACs derived by hand, and what is refused."""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.flop_counter import flop_registry, register_flop_formula
from torch.utils.mkldnn import to_mkldnn

from benchmarks.evaluation.profiler import record
from methods.backbones import build
from methods.backbones.specification import families
from methods.counting import count, refuse_scripts
from methods.errors import MethodError

A, B, C = torch.ones(3, 4), torch.ones(4, 5), torch.ones(5, 6)
V, S = torch.ones(4), torch.ones(6, 2, 3)
TOKENS = torch.ones(1, 5, 8)
QUERY, FOUR, KEY, VALUE = (torch.ones(1, heads, n, 4) for heads, n in ((2, 5), (4, 5), (2, 7), (2, 7)))
MASK = torch.ones(5, 7, dtype=torch.bool).tril(5)
SPARSE = torch.ones(3, 4) * torch.tensor([[0.0], [1], [1]])  # 8 of 12 numbers are stored


class Case(NamedTuple):
    """Something that runs, and the MACs it takes by hand; `exact`: shapes alone tell them."""

    macs: int
    run: Callable[[], Tensor]
    exact: bool = True


def quantised(layer: nn.Module, x: Tensor) -> Callable[[], Tensor]:
    """A layer with weights and activations in 8 bits, on `x`."""
    from torch.ao import quantization as q

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = nn.Sequential(q.QuantStub(), layer, q.DeQuantStub()).eval()
        network.qconfig = q.default_qconfig
        prepared = q.prepare(network)
        prepared(x)
        converted = q.convert(prepared)
    return lambda: converted(x)  # type: ignore[no-any-return]


def dynamic(layer: nn.Module) -> nn.Module:
    """A layer whose weights have 8 bits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(nn.Sequential(layer), dtype=torch.qint8)  # type: ignore[no-any-return]


def recurrent(layer: nn.Module, steps: object = S) -> Callable[[], Tensor]:
    def run() -> Tensor:
        said = layer(steps)[0]
        return said if isinstance(said, Tensor) else said.data  # type: ignore[no-any-return]

    return run


def attention(layer: nn.MultiheadAttention, weights: bool) -> Callable[[], Tensor]:
    return lambda: layer(TOKENS, TOKENS, TOKENS, need_weights=weights)[0]  # type: ignore[no-any-return]


DYNAMIC_LSTM, DYNAMIC_LINEAR = dynamic(nn.LSTM(3, 4)), dynamic(nn.Linear(4, 5))
MHA = nn.MultiheadAttention(8, 2, batch_first=True)
EVALUATED = nn.MultiheadAttention(8, 2, batch_first=True).eval()
ATTENTION = 2 * 5 * 7 * (4 + 4)  # heads, queries, keys, scores and values
TWO_LAYERS = nn.LSTM(3, 4, 2, bidirectional=True)
CASES = {
    "attention": Case(ATTENTION, lambda: F.scaled_dot_product_attention(QUERY, KEY, VALUE)),
    "attention masked": Case(ATTENTION, lambda: F.scaled_dot_product_attention(QUERY, KEY, VALUE, attn_mask=MASK)),
    "attention causal": Case(ATTENTION, lambda: F.scaled_dot_product_attention(QUERY, KEY, VALUE, is_causal=True)),
    "attention grouped": Case(
        2 * ATTENTION, lambda: F.scaled_dot_product_attention(FOUR, KEY, VALUE, enable_gqa=True)
    ),
    "MultiheadAttention training": Case(5 * 4 * 64 + 2 * 25 * 8, attention(MHA.train(), False)),
    "MultiheadAttention evaluation": Case(5 * 4 * 64 + 2 * 25 * 8, attention(EVALUATED, True)),
    "LSTM": Case(12 * 16 * (3 + 4), recurrent(nn.LSTM(3, 4))),
    "LSTM of two layers, both ways": Case(12 * 2 * 16 * (3 + 4 + 8 + 4), recurrent(TWO_LAYERS)),
    "LSTM projected": Case(12 * (16 * (3 + 2) + 4 * 2), recurrent(nn.LSTM(3, 4, proj_size=2))),
    "LSTM packed": Case((6 + 4) * 16 * 7, recurrent(nn.LSTM(3, 4), pack_padded_sequence(S, torch.tensor([6, 4])))),
    "LSTMCell": Case(2 * 16 * 7, recurrent(nn.LSTMCell(3, 4), S[0])),
    "GRU": Case(12 * 12 * 7, recurrent(nn.GRU(3, 4))),
    "RNN": Case(12 * 4 * 7, recurrent(nn.RNN(3, 4))),
    "mv": Case(12, lambda: torch.mv(A, V)),
    "matrix @ vector": Case(12, lambda: A @ V),
    "dot": Case(4, lambda: torch.dot(V, V)),
    "vdot": Case(4, lambda: torch.vdot(V, V)),
    "inner": Case(36, lambda: torch.inner(A, A)),
    "addmv": Case(12, lambda: torch.addmv(torch.zeros(3), A, V)),
    "addr": Case(16, lambda: torch.addr(torch.zeros(4, 4), V, V)),
    "outer": Case(0, lambda: torch.outer(V, V)),  # torch multiplies, and adds nothing up
    "addbmm": Case(2 * 60, lambda: torch.addbmm(torch.zeros(3, 5), A.expand(2, 3, 4), B.expand(2, 4, 5))),
    "addmm_": Case(60, lambda: torch.zeros(3, 5).addmm_(A, B)),
    "baddbmm_": Case(2 * 60, lambda: torch.zeros(2, 3, 5).baddbmm_(A.expand(2, 3, 4), B.expand(2, 4, 5))),
    "mm(out=)": Case(60, lambda: torch.mm(A, B, out=torch.zeros(3, 5))),
    "matmul(out=)": Case(60, lambda: torch.matmul(A, B, out=torch.zeros(3, 5))),
    "linear(out=)": Case(60, lambda: torch._C._nn.linear(A, B.t(), out=torch.zeros(3, 5))),
    "multi_dot": Case(60 + 90, lambda: torch.linalg.multi_dot([A, B, C])),
    "matrix_power": Case(2 * 27, lambda: torch.linalg.matrix_power(torch.ones(3, 3), 3)),
    "tensordot": Case(60, lambda: torch.tensordot(A, B, 1)),
    "Bilinear": Case(2 * 5 * (3 * 4 + 4), lambda: nn.Bilinear(3, 4, 5)(torch.ones(2, 3), torch.ones(2, 4)).detach()),
    "cdist": Case(3 * 5 * 4, lambda: torch.cdist(A, torch.ones(5, 4))),
    "cdist as a product": Case(30 * 5 * (4 + 2), lambda: torch.cdist(torch.ones(30, 4), torch.ones(5, 4))),
    "cdist by sums": Case(60, lambda: torch.cdist(A, torch.ones(5, 4), p=1)),
    "pdist": Case(3 * 4, lambda: torch.pdist(A)),
    "sparse COO": Case(8 * 5, lambda: torch.sparse.mm(SPARSE.to_sparse(), B), exact=False),
    "sparse CSR": Case(8 * 5, lambda: SPARSE.to_sparse_csr() @ B, exact=False),
    "sparse vector": Case(8, lambda: SPARSE.to_sparse_csr() @ V, exact=False),
    "sparse addmm": Case(8 * 5, lambda: torch.sparse.addmm(torch.zeros(3, 5), SPARSE.to_sparse(), B), exact=False),
    "dense @ sparse": Case(8 * 5, lambda: B.t() @ SPARSE.t().to_sparse_csr(), exact=False),
    "sparse @ sparse": Case(8 * 5, lambda: torch.sparse.mm(SPARSE.to_sparse(), B.to_sparse()).to_dense(), exact=False),
    "sparse batches": Case(
        2 * 8 * 5, lambda: torch.bmm(SPARSE.expand(2, 3, 4).to_sparse(), B.expand(2, 4, 5)), exact=False
    ),
    "sampled_addmm": Case(
        3 * 4, lambda: torch.sparse.sampled_addmm(torch.eye(3).to_sparse_csr(), A, A.t()).to_dense(), exact=False
    ),
    "linear of sparse weights": Case(2 * 8, lambda: F.linear(torch.ones(2, 4), SPARSE.to_sparse_csr()), exact=False),
    "quantised convolution": Case(
        4 * 16 * 27, quantised(nn.Conv2d(3, 4, 3, stride=2), torch.ones(1, 3, 9, 9)), exact=False
    ),
    "quantised convolution in one dimension": Case(
        9 * 4 * 6, quantised(nn.Conv1d(4, 4, 3, padding=1, groups=2), torch.ones(1, 4, 9)), exact=False
    ),
    "quantised linear": Case(60, quantised(nn.Linear(4, 5), A), exact=False),
    "quantised dynamically": Case(60, lambda: DYNAMIC_LINEAR(A), exact=False),
    "grouped convolution": Case(
        16 * 6 * 18, lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2)(torch.ones(1, 4, 8, 8))
    ),
    "depthwise convolution": Case(36 * 36, lambda: nn.Conv2d(4, 4, 3, groups=4)(torch.ones(1, 4, 8, 8))),
    "dilated convolution": Case(
        64 * 54, lambda: nn.Conv2d(2, 3, 3, dilation=2, padding="same")(torch.ones(1, 2, 8, 8))
    ),
    "transposed convolution": Case(
        25 * 4 * 27, lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2)(torch.ones(1, 4, 5, 5))
    ),
    "convolution in one dimension": Case(2 * 3 * 60, lambda: nn.Conv1d(3, 5, 4, stride=3)(torch.ones(2, 3, 10))),
    "convolution in three dimensions": Case(27 * 3 * 16, lambda: nn.Conv3d(2, 3, 2)(torch.ones(1, 2, 4, 4, 4))),
    "convolution without a batch": Case(36 * 216, lambda: nn.Conv2d(4, 6, 3)(torch.ones(4, 8, 8))),
    "mkldnn convolution": Case(
        16 * 108, lambda: to_mkldnn(nn.Conv2d(3, 4, 3).eval())(torch.ones(1, 3, 6, 6).to_mkldnn()).to_dense()  # type: ignore[no-untyped-call]
    ),
    "deformable convolution": Case(
        16 * 108,
        lambda: torchvision.ops.deform_conv2d(
            torch.ones(1, 3, 6, 6), torch.zeros(1, 18, 4, 4), torch.ones(4, 3, 3, 3)
        ),
    ),
    "einsum of batches": Case(120, lambda: torch.einsum("bij,bjk->bik", torch.ones(2, 3, 4), torch.ones(2, 4, 5))),
    "einsum of heads": Case(120, lambda: torch.einsum("bhqd,bhkd->bhqk", QUERY[:, :, :3], KEY[:, :, :5])),
    "einsum to a number": Case(12, lambda: torch.einsum("ij,ij->", A, A)),
    "einsum of three": Case(60 + 90, lambda: torch.einsum("ij,jk,kl->il", A, B, C)),
    "affine_grid": Case(4 * 5 * 6, lambda: F.affine_grid(torch.ones(1, 2, 3), [1, 1, 4, 5], align_corners=False)),
    "weighted EmbeddingBag": Case(
        6 * 4,
        lambda: F.embedding_bag(
            torch.arange(6).view(2, 3), torch.ones(10, 4), per_sample_weights=torch.ones(2, 3), mode="sum"
        ),
    ),
    "EmbeddingBag": Case(0, lambda: F.embedding_bag(torch.arange(6).view(2, 3), torch.ones(10, 4))),
}  # fmt: skip


def seeded(run: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """The same layers at every call."""

    def call() -> Tensor:
        torch.manual_seed(0)
        return run()

    return call


@pytest.mark.parametrize("name", CASES)
def test_an_operator_counts_what_is_derived_by_hand_and_counting_changes_no_bit(name: str) -> None:
    case = CASES[name]
    run = seeded(case.run)
    with torch.random.fork_rng(devices=[]):
        for mode in (torch.no_grad, torch.enable_grad, torch.inference_mode):
            if name == "linear of sparse weights" and mode is torch.inference_mode:
                continue  # torch itself cannot
            with mode():
                plain, counted = run(), count(run)
            assert counted.macs == case.macs, mode.__name__
            assert torch.equal(counted.result, plain), mode.__name__
            assert bool(counted.unshaped) != case.exact
        if case.exact:
            with torch.no_grad():
                assert record(run).macs == case.macs


@pytest.mark.parametrize(
    ("operator", "run"),
    [
        ("aten::_fft_r2c", lambda: torch.fft.fft(V).abs()),
        ("aten::_linalg_solve_ex", lambda: torch.linalg.solve(torch.eye(4), V)),
        ("aten::quantized_lstm", lambda: DYNAMIC_LSTM(S)[0]),
        ("aten::_transformer_encoder_layer_fwd", lambda: _fast_layer(TOKENS)),
    ],
)
def test_an_operator_that_is_not_known_is_refused_by_name_and_told_what_to_do(
    operator: str, run: Callable[[], Tensor]
) -> None:
    with pytest.raises(MethodError) as raised, torch.no_grad():
        count(run)
    assert f"cannot count {operator}" in str(raised.value)
    assert "register_flop_formula" in str(raised.value)
    assert "\n" not in str(raised.value)


def _fast_layer(x: Tensor) -> Tensor:
    """torch's fast path of a transformer layer, whatever is switched off."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    a, b, c, d = layer.self_attn, layer.norm1, layer.norm2, layer
    return torch._transformer_encoder_layer_fwd(
        x, 8, 2, a.in_proj_weight, a.in_proj_bias, a.out_proj.weight, a.out_proj.bias, False, False, 1e-5,
        b.weight, b.bias, c.weight, c.bias, d.linear1.weight, d.linear1.bias, d.linear2.weight, d.linear2.bias,
    )  # fmt: skip


def test_a_custom_operator_is_refused_until_its_formula_is_registered() -> None:
    @torch.library.custom_op("counting_test::times", mutates_args=())
    def times(a: Tensor, b: Tensor) -> Tensor:
        return a @ b

    with pytest.raises(MethodError, match="cannot count counting_test::times"):
        count(lambda: times(A, B))
    operator = torch.ops.counting_test.times
    register_flop_formula(operator)(lambda a, b, *_, out_shape=None, **__: 2 * a[0] * a[1] * b[1])
    try:
        assert count(lambda: times(A, B)).macs == record(lambda: times(A, B)).macs == 60
    finally:
        del flop_registry[operator]


def test_a_custom_operator_that_torch_can_take_apart_counts_its_parts() -> None:
    with torch.library._scoped_library("counting_test", "FRAGMENT") as library:
        library.define("parts(Tensor a, Tensor b) -> Tensor")
        library.impl("parts", lambda a, b: (a @ b).relu(), "CompositeImplicitAutograd")
        for mode in (torch.no_grad, torch.inference_mode):
            with mode():
                counted = count(lambda: torch.ops.counting_test.parts(A, B))
            assert (counted.macs, dict(counted.outside)) == (60, {"relu": 15})


def test_names_and_tags_are_not_believed_of_a_users_operator() -> None:
    with torch.library._scoped_library("counting_test", "FRAGMENT") as library:
        library.define("relu(Tensor a) -> Tensor", tags=(torch.Tag.pointwise,))
        library.impl("relu", lambda a: a @ a.t(), "CompositeExplicitAutograd")
        with pytest.raises(MethodError, match="cannot count counting_test::relu"):
            count(lambda: torch.ops.counting_test.relu(A))


def test_no_operator_is_both_counted_and_listed() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)).eval()
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            counted = count(lambda: network(torch.ones(1, 3, 8, 8)))
        assert counted.macs == 36 * 108 + 288
        assert dict(counted.outside) == {"native_batch_norm": 144, "relu": 144}


def test_elements_outside_are_those_of_the_largest_tensor_touched() -> None:
    counted = count(lambda: torch.ones(2, 3, 4).sum() + torch.ones(2, 3))
    assert dict(counted.outside) == {"sum": 24, "add": 6}


@pytest.mark.parametrize("spec", [family["examples"][0] for family in families().values()])
def test_counting_changes_no_bit_of_what_a_backbone_says_and_the_profiler_agrees(spec: str) -> None:
    backbone = build(spec, 10).eval()
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        counted, recorded = count(lambda: backbone(x)), record(lambda: backbone(x))
    assert torch.equal(counted.result, recorded.result)
    assert counted.macs == recorded.macs > 0


def test_a_vision_transformer_costs_17563828224_macs() -> None:
    # 196 patches of 3 x 16 x 16 to 768; 12 layers of 197 tokens: four projections, scores and values, two layers of an
    # MLP of 3,072; 1,000 classes from one token. Shapes alone are needed: nothing is computed.
    patches, layer = 196 * 768 * 768, 197 * (4 * 768**2 + 2 * 768 * 3072) + 2 * 197**2 * 768
    with torch.device("meta"):
        network, x = torchvision.models.vit_b_16().eval(), torch.zeros(1, 3, 224, 224)
    assert count(lambda: network(x)).macs == patches + 12 * layer + 768 * 1000 == 17_563_828_224


def test_two_spellings_of_one_attention_cost_the_same() -> None:
    def spelled(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return (query @ key.transpose(-1, -2) / 2).softmax(-1) @ value

    by_hand = count(lambda: spelled(QUERY, KEY, VALUE))
    by_torch = count(lambda: F.scaled_dot_product_attention(QUERY, KEY, VALUE))
    assert by_hand.macs == by_torch.macs == ATTENTION


def test_torchscript_is_refused_because_its_optimised_code_passes_the_dispatcher_by() -> None:
    network = nn.Sequential(nn.Linear(4, 5))
    refuse_scripts(network)
    network.append(torch.jit.script(nn.Linear(5, 5)))
    with pytest.raises(MethodError, match="1 is TorchScript"):
        refuse_scripts(network)


def test_work_behind_switched_off_modes_is_in_the_profilers_record_alone() -> None:
    from torch.utils._python_dispatch import _disable_current_modes

    def hidden() -> Tensor:
        with _disable_current_modes():
            return A @ B

    assert count(hidden).macs == 0
    assert record(hidden).macs == 60
