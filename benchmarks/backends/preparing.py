"""From an operating point to what executes it, compared with eager float32 before anyone times it."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.backends import compiled, eager, onnxruntime
from benchmarks.backends.errors import Unsupported
from benchmarks.core.errors import disk_is_full, out_of_memory
from methods.base import AdjustableModel
from methods.errors import MethodError
from methods.routers import Constant, OperatingPoint
from methods.running import Routed

Execute = Callable[[Tensor], Routed]
Backend = Callable[[AdjustableModel, OperatingPoint, torch.dtype, Tensor], Execute]

TABLE: dict[str, Backend] = {"eager": eager.backend, "compile": compiled.backend, "onnx": onnxruntime.backend}
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 5e-2}
"""Largest relative error of logits; bfloat16 keeps 8 bits of every number."""
TINY = 1e-30
CPUINFO = Path("/proc/cpuinfo")
BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""What Linux calls a processor's instructions for bfloat16; `bf16` on ARM."""


@torch.inference_mode(False)  # what is copied here has to be ordinary tensors, wherever the caller is
def prepared(
    model: AdjustableModel, point: OperatingPoint, backend: str, precision: str, inputs: Tensor
) -> tuple[Callable[[Tensor], Tensor], float]:
    """What executes the point, and its relative error; see `prepare`."""
    dtype = getattr(torch, precision)
    if dtype is torch.bfloat16 and not has_bfloat16(inputs.device):
        raise Unsupported(f"this machine's {inputs.device.type} has no bfloat16 instructions: use float32")
    try:
        execute = TABLE[backend](model, point, dtype, inputs)

        @torch.inference_mode()
        def run(images: Tensor) -> Tensor:
            return execute(images).logits

        with torch.inference_mode():
            difference = relative_error(model, inputs, execute(inputs))
    except (Unsupported, MethodError):
        raise
    except Exception as error:  # compilers and exporters raise whatever they like
        if out_of_memory(error) or disk_is_full(error):
            raise
        raise Unsupported(f"{backend} in {precision} fails: {_first_line(error)}") from error
    if not difference <= TOLERANCE[dtype]:  # also where it is not a number
        raise Unsupported(
            f"{backend} in {precision} computes something else: logits differ from eager float32 by {difference:.1%} "
            f"of the largest, more than {TOLERANCE[dtype]:.1%}"
        )
    return run, difference


def relative_error(model: AdjustableModel, inputs: Tensor, routed: Routed) -> float:
    """The largest difference of logits [n, classes] to eager float32, relative to the largest there.

    Each image is compared at the answer it was routed to: rounding may send it elsewhere than in float32.
    """
    expected = torch.empty_like(routed.logits)
    for answer in sorted(set(routed.answer.tolist())):
        rows = routed.answer == answer
        expected[rows] = model.execute(inputs[rows], Constant(answer=answer)).logits
    return float((routed.logits - expected).abs().max() / expected.abs().max().clamp(min=TINY))


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 itself; without, torch emulates it slowly."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return CPUINFO.exists() and not BFLOAT16.isdisjoint(CPUINFO.read_text().split())


def _first_line(error: Exception) -> str:
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text}"
