"""The process's global random generators: a method may neither read nor move them."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


@contextmanager
def seeded(seed: int) -> Iterator[list[str]]:
    """Python's, numpy's and torch's generators at `seed` inside, and as they were afterwards.

    The list names, in the end, those that were drawn from meanwhile.
    """
    before, moved = _state(), list[str]()
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)
    start = _state()
    try:
        yield moved
        moved += [name for name, state in _state().items() if repr(state) != repr(start[name])]
    finally:
        random.setstate(before["random"])
        np.random.set_state(before["numpy"])  # noqa: NPY002
        torch.set_rng_state(torch.tensor(before["torch"], dtype=torch.uint8))


def _state() -> dict[str, Any]:
    legacy: Any = np.random.get_state()  # noqa: NPY002
    kind, keys, *rest = legacy
    return {
        "random": random.getstate(),
        "numpy": (kind, keys.tolist(), *rest),
        "torch": torch.get_rng_state().tolist(),
    }
