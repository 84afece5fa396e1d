"""Multiply-accumulates of the operators that are counted, from their arguments by the names of their schemas.

Products: a convolution, a linear layer or a matrix product takes one multiply-accumulate for every pair of numbers
it multiplies and adds up; padding counts in full, so does attention under a causal mask, and of sparse factors the
stored numbers count. What has no formula here has torch's own, in FLOPs (`torch.utils.flop_counter`), where users
register theirs.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._ops import OpOverload, OpOverloadPacket
from torch.utils.flop_counter import flop_registry

Arguments = Mapping[str, Any]
Formula = Callable[[Arguments], int]
"""MACs from arguments by name. Tensors may be anything that has a `shape`: a record has no numbers."""


def formula_of(overload: OpOverload) -> "Formula | Callable[..., int] | None":
    """The formula of an operator, its own or its functional form's: `addmm_` and `addmm(out=)` are `addmm`."""
    own = own_formula(overload.namespace, overload._opname)
    return own if own is not None else registered(overload)


@cache
def own_formula(namespace: str, name: str) -> Formula | None:
    """The formula of this file for an operator called `name`, in place or not."""
    table = _FORMULAS.get(namespace, {})
    return table.get(name) or table.get(name.removesuffix("_"))


def registered(overload: OpOverload) -> Callable[..., int] | None:
    """The formula that torch or the user has registered, in FLOPs."""
    return next((flop_registry[packet] for packet in forms(overload)[:2] if packet in flop_registry), None)


@cache
def forms(overload: OpOverload) -> tuple[OpOverloadPacket, ...]:
    """The operator, and what it is a form of: `relu_` of `relu`, `view_copy` of `view`."""
    namespace, name = overload.namespace, overload._opname
    plain = [other for other in (name.removesuffix("_"), name.removesuffix("_copy")) if other != name]
    library = getattr(torch.ops, namespace)
    return overload.overloadpacket, *(getattr(library, other) for other in plain if f"{namespace}::{other}" in _names())


@cache
def _names() -> frozenset[str]:
    return frozenset(full.partition(".")[0] for full in torch._C._dispatch_get_all_op_names())


def named(overload: OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by the names of the operator's schema; those left out have their defaults."""
    names, defaults = _schema(overload)
    return {**defaults, **dict(zip(names, args, strict=False)), **kwargs}


@cache
def _schema(overload: OpOverload) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Names of all arguments, and what stands for those that are left out."""
    arguments = overload._schema.arguments
    defaults = {argument.name: argument.default_value for argument in arguments if argument.has_default_value()}
    return tuple(argument.name for argument in arguments), defaults


def _first(arguments: Arguments, *names: str) -> Any:
    return next(arguments[name] for name in names if name in arguments)


def size(x: Any) -> int:
    """Numbers in a tensor."""
    return int(math.prod(x.shape))


# Matrix products ------------------------------------------------------------------------------------------------


def product(a: Any, b: Any) -> int:
    """`a` [..., m, k] times `b` [..., k, n] or [k]; of a sparse factor its stored numbers count."""
    columns, rows = (b.shape[-1] if len(b.shape) > 1 else 1), size(a) // a.shape[-1] if a.shape[-1] else 0
    sparse = [_stored(x) is not None for x in (a, b)]
    if all(sparse):
        return _sparse_product(a, b)
    if sparse[0]:
        return int(_stored(a)) * int(columns)  # type: ignore[arg-type]
    if sparse[1]:
        return int(_stored(b)) * rows  # type: ignore[arg-type]
    return size(a) * int(columns)


def _stored(x: Any) -> int | None:
    """Stored numbers of a sparse tensor; None of a dense one."""
    layout = getattr(x, "layout", torch.strided)
    if layout in (torch.strided, torch._mkldnn):  # type: ignore[attr-defined]
        return None
    return int((x._values() if layout == torch.sparse_coo else x.values()).numel())


def _sparse_product(a: Tensor, b: Tensor) -> int:
    """Both sparse: every stored number of `a` meets those in the row of `b` that its column names."""
    inner = a.shape[-1]
    columns, rows = (x.to_sparse(sparse_dim=2)._indices()[place] for x, place in ((a, 1), (b, 0)))
    pairs = torch.bincount(columns, minlength=inner) * torch.bincount(rows, minlength=inner)
    return int(pairs.sum())


def _factors(*names: str) -> Formula:
    """The product of two arguments."""
    return lambda arguments: product(arguments[names[0]], arguments[names[1]])


def _linear(arguments: Arguments) -> int:
    """`input` [..., k] times the transpose of `weight` [n, k]."""
    weight = _first(arguments, "weight", "W")
    return size(_first(arguments, "input", "self", "X")) * int(weight.shape[0] if len(weight.shape) > 1 else 1)


def _outer_sum(arguments: Arguments) -> int:
    """addr: every pair of two vectors is multiplied and added to a matrix."""
    return size(arguments["vec1"]) * size(arguments["vec2"])


def _sampled(arguments: Arguments) -> int:
    """sampled_addmm: an inner product for every stored number of the mask."""
    return int(_stored(arguments["self"]) or 0) * int(arguments["mat1"].shape[-1])


def _trilinear(arguments: Arguments) -> int:
    """The two products that Bilinear takes for every output: of the first two factors, and of that with the third."""
    shapes = []
    for place in ("1", "2", "3"):
        shape = list(arguments[f"i{place}"].shape)
        for dim in sorted(arguments[f"expand{place}"]):
            shape.insert(dim, 1)
        shapes.append(shape)
    first, second, third = shapes
    pair = list(np.broadcast_shapes(first, second))
    left = [1 if dim in arguments["sumdim"] and third[dim] == 1 else n for dim, n in enumerate(pair)]
    return int(math.prod(pair) + math.prod(np.broadcast_shapes(left, third)))


def _distances(arguments: Arguments) -> int:
    """Every pair of rows of `x1` [..., p, m] and `x2` [..., r, m], coordinate by coordinate."""
    one, other = arguments["x1"].shape, arguments["x2"].shape
    batch = math.prod(np.broadcast_shapes(one[:-2], other[:-2]))
    return int(batch * one[-2] * other[-2] * one[-1])


def _distances_as_product(arguments: Arguments) -> int:
    """Squared distances as one matrix product, of rows that hold their squared norm and a one besides."""
    x1, x2 = arguments["x1"].shape, arguments["x2"].shape
    return _distances(arguments) // int(x1[-1] or 1) * (int(x1[-1]) + 2) if x2[-1] else 0


def _own_distances(arguments: Arguments) -> int:
    rows, width = arguments["self"].shape
    return int(rows * (rows - 1) // 2 * width)


def _affine_grid(arguments: Arguments) -> int:
    """A matrix `theta` [n, d, d + 1] times every position of the grid."""
    return size(arguments["theta"]) * int(math.prod(arguments["size"][2:]))


def _weighted_bags(arguments: Arguments) -> int:
    """Rows of an embedding times their weights, added up; bags without weights only add."""
    weighted = arguments.get("per_sample_weights") is not None
    return size(arguments["indices"]) * int(arguments["weight"].shape[1]) if weighted else 0


# Convolutions ---------------------------------------------------------------------------------------------------


def convolution(
    x: Any, weight: Any, stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], transposed: bool
) -> int:
    """Every weight is used once at every position: of the output, or transposed of the input.

    `x` [n, c, ...], `weight` [out, in / groups, ...], transposed [in, out / groups, ...]; the lists have an entry
    for every dimension of space, or one for all.
    """
    space, kernel = list(x.shape[2:]), list(weight.shape[-len(x.shape[2:]) :])
    if transposed:
        return int(x.shape[0] * math.prod(space)) * size(weight)
    dims = len(space)
    lists = (list(v) * dims if len(v) == 1 else list(v)[-dims:] for v in (stride, padding, dilation))
    places = zip(space, kernel, *lists, strict=True)
    positions = math.prod((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in places)
    return int(x.shape[0] * positions) * size(weight)


def _convolution(transposed: bool = False) -> Formula:
    def macs(arguments: Arguments) -> int:
        x, weight = _first(arguments, "input", "self", "X"), _first(arguments, "weight", "W")
        stride, padding = arguments.get("stride") or [1], arguments.get("padding") or [0]
        turned = bool(arguments.get("transposed", transposed))
        return convolution(x, weight, stride, padding, arguments.get("dilation") or [1], turned)

    return macs


def _convolution_of_sequences(arguments: Arguments) -> int:
    """conv_tbc: `self` [t, n, in] with `weight` [k, in, out]."""
    steps, images, _ = arguments["self"].shape
    kernel = arguments["weight"].shape[0]
    return int((steps + 2 * arguments["pad"] - kernel + 1) * images) * size(arguments["weight"])


def _deformed_convolution(arguments: Arguments) -> int:
    """`offset` [n, 2 * k * k * groups, h, w] has the positions of the output."""
    offset = arguments["offset"].shape
    return int(offset[0] * offset[2] * offset[3]) * size(arguments["weight"])


# Attention and recurrent layers ---------------------------------------------------------------------------------


def _attention(arguments: Arguments) -> int:
    """Scores and their sums of values, for every query [b, heads, l, e]; keys [b, h, s, e], values [b, h, s, ev].

    Groups of queries that share keys count each; a causal mask counts in full.
    """
    query, key, value = (arguments[name] for name in ("query", "key", "value"))
    width = int(query.shape[-1])
    return size(query) // (width or 1) * int(key.shape[-2]) * (width + int(value.shape[-1]))


def _recurrent_layer(arguments: Arguments) -> int:
    """One direction of one layer: two matrices for every token; `input` [steps, n, features]."""
    x = arguments["input"]
    tokens = size(x) // int(x.shape[-1])
    return tokens * (size(arguments["weight0"]) + size(arguments["weight1"]))


def _recurrent_network(arguments: Arguments) -> int:
    """All layers at once: every matrix for every token; `input` [..., features]."""
    x = arguments["input"]
    tokens = size(x) // int(x.shape[-1])
    return tokens * sum(size(matrix) for matrix in arguments["weight"] if len(matrix.shape) == 2)


# Quantised layers, whose weights are packed ---------------------------------------------------------------------


def _quantised_linear(arguments: Arguments) -> int:
    packed = _first(arguments, "W_prepack", "packed_weight", "W")
    weight = packed.unpack()[0]
    return size(_first(arguments, "X", "qx", "input")) * int(weight.shape[0])


def _quantised_convolution(arguments: Arguments) -> int:
    packed = _first(arguments, "packed_weight", "packed_params")
    weight, x = packed.weight(), _first(arguments, "qx", "input")
    if len(x.shape) < len(weight.shape):  # one dimension of space, packed as two
        weight = weight.squeeze(2)
    return convolution(x, weight, packed.stride(), packed.padding(), packed.dilation(), bool(packed.transpose()))


def _quantised_product(arguments: Arguments) -> int:
    return product(arguments["qa"], arguments["qb"])


_RECURRENT = {"_cudnn_rnn": _recurrent_network, "miopen_rnn": _recurrent_network, "mkldnn_rnn_layer": _recurrent_layer}
_CONVOLUTIONS = (
    "convolution", "_convolution", "convolution_overrideable", "mkldnn_convolution", "cudnn_convolution",
    "cudnn_convolution_relu", "cudnn_convolution_add_relu", "miopen_convolution", "miopen_convolution_relu",
    "miopen_convolution_add_relu", "miopen_depthwise_convolution", "_slow_conv2d_forward", "slow_conv3d_forward",
    "slow_conv_dilated2d", "slow_conv_dilated3d", "_conv_depthwise2d", "conv_depthwise3d",
    "_nnpack_spatial_convolution",
)  # fmt: skip
_TRANSPOSED = (
    "cudnn_convolution_transpose", "miopen_convolution_transpose", "slow_conv_transpose2d", "slow_conv_transpose3d",
)  # fmt: skip
_ATTENTIONS = (
    "_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_fused_attention_overrideable", "_scaled_dot_product_attention_math_for_mps",
)  # fmt: skip
_FORMULAS: Mapping[str, Mapping[str, Formula]] = {
    "aten": {
        "mm": _factors("self", "mat2"),
        "bmm": _factors("self", "mat2"),
        "addmm": _factors("mat1", "mat2"),
        "_addmm_activation": _factors("mat1", "mat2"),
        "_sparse_addmm": _factors("mat1", "mat2"),
        "sspaddmm": _factors("mat1", "mat2"),
        "hspmm": _factors("mat1", "mat2"),
        "_int_mm": _factors("self", "mat2"),
        "_sparse_sparse_matmul": _factors("self", "other"),
        "baddbmm": _factors("batch1", "batch2"),
        "addbmm": _factors("batch1", "batch2"),
        "mv": _factors("self", "vec"),
        "addmv": _factors("mat", "vec"),
        "dot": _factors("self", "tensor"),
        "vdot": _factors("self", "other"),
        "addr": _outer_sum,
        "sparse_sampled_addmm": _sampled,
        "linear": _linear,
        "mkldnn_linear": _linear,
        "_weight_int8pack_mm": lambda arguments: size(arguments["self"]) * int(arguments["mat2"].shape[0]),
        "_trilinear": _trilinear,
        "_cdist_forward": _distances,
        "_euclidean_dist": _distances_as_product,
        "_pdist_forward": _own_distances,
        "affine_grid_generator": _affine_grid,
        "_embedding_bag": _weighted_bags,
        "_embedding_bag_forward_only": _weighted_bags,
        "conv_tbc": _convolution_of_sequences,
        **dict.fromkeys(_CONVOLUTIONS, _convolution()),
        **dict.fromkeys(_TRANSPOSED, _convolution(transposed=True)),
        **dict.fromkeys(_ATTENTIONS, _attention),
        **_RECURRENT,
    },
    "mkldnn": {
        "_convolution_pointwise": _convolution(),
        "_convolution_transpose_pointwise": _convolution(transposed=True),
        "_linear_pointwise": _linear,
    },
    "torchvision": {"deform_conv2d": _deformed_convolution},
    "quantized": {
        **dict.fromkeys(
            ("linear", "linear_relu", "linear_dynamic", "linear_relu_dynamic", "linear_dynamic_fp16",
             "linear_relu_dynamic_fp16", "linear_leaky_relu", "linear_tanh"),
            _quantised_linear,
        ),
        **dict.fromkeys(
            ("conv1d", "conv1d_relu", "conv2d", "conv2d_relu", "conv2d_add", "conv2d_add_relu", "conv3d",
             "conv3d_relu", "conv1d_dynamic", "conv2d_dynamic", "conv3d_dynamic", "conv_transpose1d",
             "conv_transpose2d", "conv_transpose3d", "conv_transpose1d_dynamic", "conv_transpose2d_dynamic",
             "conv_transpose3d_dynamic"),
            _quantised_convolution,
        ),
        "matmul": _quantised_product,
    },
}  # fmt: skip
