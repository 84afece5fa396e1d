"""The peak of what a point needs beside weights and images."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.profiler import profile


@torch.inference_mode()
def peak_bytes(call: Callable[[Tensor], Any], draw: Callable[[], Tensor], device: torch.device) -> int:
    """The most bytes that were alive at once of those allocated while `call` runs on images [n, c, h, w] of `draw`.

    On a CPU every allocation and release that torch's allocator makes is added up in order: states, results, and
    what operators take for themselves (im2col, reordered weights). It repeats to the byte. Not seen: what a library
    allocates past torch (OpenMP's stacks, code that is compiled, oneDNN's caches that are kept between calls), and
    what the system rounds up. On CUDA: `max_memory_allocated` over what was there before, in blocks of 512 bytes.
    The first call is not counted, as it may fill caches. Never called inside a timed region.
    """
    call(draw())
    images = draw()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call(images)
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with profile(use_kineto=False, profile_memory=True) as profiled:
        kept = call(images)
    del kept
    events = sorted((e.start_ns(), e.nbytes()) for e in profiled.kineto_results.events() if e.name() == "[memory]")
    live = most = 0
    for _, nbytes in events:
        live += nbytes
        most = max(most, live)
    return most
