"""What executes an operating point whose latency is measured: a backend at a precision.

The names cost nothing to import; torch, its compiler and ONNX Runtime are loaded by the backend that needs them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.backends.errors import Unsupported

if TYPE_CHECKING:
    from torch import Tensor

    from methods.base import AdjustableModel
    from methods.routers import OperatingPoint

BACKENDS = ("eager", "compile", "onnx")
PRECISIONS = ("float32", "bfloat16")

Run = Callable[["Tensor"], "Tensor"]
"""Inputs float32 [n, c, h, w] -> logits float32 [n, classes]; converting the inputs is part of it."""


@dataclass(frozen=True)
class Prepared:
    """An operating point ready to be timed, for inputs of exactly the shape and layout it was prepared with.

    `error` is the largest difference of its logits to those of eager float32, relative to the largest logit.
    """

    run: Run
    error: float


def prepare(
    model: "AdjustableModel", point: "OperatingPoint", backend: str, precision: str, inputs: "Tensor"
) -> Prepared:
    """`point` of `model`, both left as they are, on inputs [n, c, h, w] with the threads that torch now has.

    What it computes is compared with eager float32. Raises Unsupported where the point cannot be had so, or
    computes something else; MethodError where the model cannot run at all.
    """
    from benchmarks.backends.preparing import prepared

    return Prepared(*prepared(model, point, backend, precision, inputs))


__all__ = ["BACKENDS", "PRECISIONS", "Prepared", "Run", "Unsupported", "prepare"]
