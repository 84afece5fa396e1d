"""ONNX Runtime on the CPU: static points, each exported as one graph."""

import logging
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from benchmarks.backends.errors import Unsupported
from benchmarks.backends.frozen import Path, freeze
from methods.base import AdjustableModel
from methods.routers import OperatingPoint
from methods.running import Routed

if TYPE_CHECKING:
    from onnxruntime import SessionOptions

NEEDED = ("onnx", "onnxscript", "onnxruntime")


def backend(
    model: AdjustableModel, point: OperatingPoint, dtype: torch.dtype, inputs: Tensor
) -> Callable[[Tensor], Routed]:
    """A static point as a session for inputs of this shape [n, c, h, w]."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise Unsupported(f'{" and ".join(missing)} is not installed: pip install -e ".[onnx]"')
    if dtype is not torch.float32 or inputs.device.type != "cpu":
        raise Unsupported("ONNX Runtime is measured in float32 on the CPU only")
    path = freeze(model, point, dtype, inputs)
    from onnxruntime import InferenceSession

    session = InferenceSession(exported(path, inputs), options(), providers=["CPUExecutionProvider"])
    (name,) = (given.name for given in session.get_inputs())
    answer = torch.full((len(inputs),), path.answer)

    def execute(images: Tensor) -> Routed:
        (logits,) = session.run(None, {name: images.contiguous().numpy()})
        return Routed(torch.from_numpy(logits), answer)

    return execute


def exported(path: Path, inputs: Tensor) -> bytes:
    """The path as an ONNX model for inputs of this shape."""
    # torch 2.6 warns of every operator of torchvision's whose types it cannot read
    logging.getLogger("torch.onnx._internal.exporter._schemas").setLevel(logging.ERROR)
    program = torch.onnx.export(path, (inputs.contiguous(),), dynamo=True, verbose=False)
    assert program is not None
    model: bytes = program.model_proto.SerializeToString()
    return model


def options() -> "SessionOptions":
    """One operator after the other, each on as many threads as torch has; they stop spinning when a call is over."""
    from onnxruntime import ExecutionMode, SessionOptions

    chosen = SessionOptions()
    chosen.intra_op_num_threads = torch.get_num_threads()
    chosen.inter_op_num_threads = 1
    chosen.log_severity_level = 3  # errors only
    chosen.execution_mode = ExecutionMode.ORT_SEQUENTIAL
    chosen.add_session_config_entry("session.force_spinning_stop", "1")
    return chosen
