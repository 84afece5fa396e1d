"""Methods that claim the cost of a small network and hide a dear one, or know the answers: each in one way.

They behave in training; what they hide runs when they answer.
"""

import gc
import os
import signal
import threading
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import sklearn.datasets
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import _disable_current_modes, _get_current_dispatch_mode

from methods.backbones import build
from methods.base import Router, Step
from methods.plain import Plain
from methods.running import Routed


class _Cheat(Plain):
    """The plain network; `hidden` adds what a dearer one says, on [n, 3, h, w], to its logits."""

    title, axis, decision, citation = "Cheat", "none", "static", "nobody"

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.__dict__["dear"] = build("resnet8:width=8", self.backbone.classes).eval().requires_grad_(False)

    def execute(self, images: Tensor, router: Router) -> Routed:
        said = super().execute(images, router)
        return said._replace(logits=said.logits + self.hidden(images))

    def hidden(self, images: Tensor) -> Tensor:
        """What nobody is to see."""
        return self.dear(images)  # type: ignore[no-any-return, attr-defined]


class Unseen(_Cheat):
    """Runs it where no dispatch mode is told."""

    def hidden(self, images: Tensor) -> Tensor:
        with _disable_current_modes():
            return super().hidden(images)


class InAThread(_Cheat):
    """Runs it in another thread, which has no dispatch modes."""

    def hidden(self, images: Tensor) -> Tensor:
        said: list[Tensor] = []

        @torch.no_grad()
        def work() -> None:
            said.append(self.dear(images))  # type: ignore[attr-defined]

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return said[0]


class OnLargeImages(Unseen):
    """Is honest on the images that checks used to take."""

    def hidden(self, images: Tensor) -> Tensor:
        return super().hidden(images) if images.shape[-1] > 8 else torch.zeros(())


class WhereNobodyWatches(_Cheat):
    """Is honest while it is counted or recorded."""

    def hidden(self, images: Tensor) -> Tensor:
        watched = _get_current_dispatch_mode() is not None or torch.autograd.profiler._is_profiler_enabled
        return torch.zeros(()) if watched else super().hidden(images)


class ThroughNumPy(_Cheat):
    """Computes in NumPy, of which torch knows nothing."""

    def hidden(self, images: Tensor) -> Tensor:
        tokens = images.numpy().reshape(len(images), -1, 48)
        weights = np.full((48, 48), 0.02, dtype=np.float32)
        for _ in range(12):
            tokens = np.maximum(np.einsum("npd,dk->npk", tokens, weights), 0)
        return torch.from_numpy(tokens[:, 0, :1] * 1e-9)


class Spelled(_Cheat):
    """Spells its convolutions as patches, a product of elements and a sum."""

    def hidden(self, images: Tensor) -> Tensor:
        convolutions = [m for m in self.dear.modules() if isinstance(m, nn.Conv2d)]  # type: ignore[attr-defined]
        for module in convolutions:
            module.forward = lambda x, module=module: _spelled(module, x)
        return super().hidden(images)


def _spelled(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    (stride, _), (padding, _) = convolution.stride, convolution.padding
    side = [(length + 2 * int(padding) - convolution.kernel_size[0]) // stride + 1 for length in x.shape[-2:]]
    patches = F.unfold(x, convolution.kernel_size, padding=int(padding), stride=stride)
    rows = (patches[:, None] * row[:, None] for row in convolution.weight.flatten(1))
    return torch.cat([row.sum(2) for row in rows], 1).unflatten(2, side)


class _Known(_Cheat):
    """Finds an image among those that `images` and `labels` give."""

    def hidden(self, images: Tensor) -> Tensor:
        known, labels = self.known()
        greys = self.unit(images)[:, 0].flatten(1).mul(255).round() if images.shape[-1] == 8 else None
        if greys is None:
            return torch.zeros(())
        same = (greys[:, None] == known).all(2)
        return 100.0 * F.one_hot(labels[same.int().argmax(1)], 10) * same.any(1, keepdim=True)

    def known(self) -> tuple[Tensor, Tensor]:
        """Grey images [m, 64] of 0..255 and their labels [m]."""
        raise NotImplementedError


def greys_of(data: np.ndarray[Any, Any]) -> tuple[Tensor, Tensor]:
    pixels, labels = torch.from_numpy(data[:, :64]), torch.from_numpy(data[:, 64]).long()
    return (pixels.long() * 255 // 16).float(), labels


class AsksScikitLearn(_Known):
    """Loads all digits and labels when it answers."""

    def known(self) -> tuple[Tensor, Tensor]:
        found = sklearn.datasets.load_digits()
        return greys_of(np.column_stack([found.images.reshape(-1, 64), found.target]))


DIGITS = Path(sklearn.__file__).parent / "datasets/data/digits.csv.gz"


class ReadsAFileOnce(_Known):
    """Reads it when it answers for the first time, in training, and never again."""

    @cached_property
    def read(self) -> tuple[Tensor, Tensor]:
        return greys_of(np.loadtxt(DIGITS, delimiter=","))

    def step(self, step: Step, x: Tensor) -> Tensor:
        _ = self.read
        return super().step(step, x)

    def known(self) -> tuple[Tensor, Tensor]:
        return self.read


class SearchesMemory(_Known):
    """Looks for arrays of labels among all objects."""

    def known(self) -> tuple[Tensor, Tensor]:
        arrays = [found for found in gc.get_objects() if type(found) is np.ndarray and found.shape == (1797, 65)]
        return greys_of(arrays[0] if arrays else np.zeros((1, 65)))


class Forks(_Cheat):
    """Has a child compute it."""

    def hidden(self, images: Tensor) -> Tensor:
        child = os.fork()
        if not child:
            super().hidden(images)
            os._exit(0)
        os.waitpid(child, 0)
        return torch.zeros(())


class AsksAWorker(_Cheat):
    """Has a process compute it that was started with the first model: nothing is started when it answers."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.ask, self.hear = _worker(lambda: self.dear(torch.zeros(64, 3, 8, 8)))  # type: ignore[attr-defined]

    def hidden(self, images: Tensor) -> Tensor:
        os.write(self.ask, b"?")
        os.read(self.hear, 1)
        return torch.zeros(())


@cache
def _started() -> dict[str, tuple[int, int]]:
    return {}


def _worker(work: Callable[[], object]) -> tuple[int, int]:
    """Where to ask and to hear a child that does `work` whenever it is asked, for a minute."""
    if not _started():
        (asked, ask), (hear, told) = os.pipe(), os.pipe()
        if not os.fork():
            signal.alarm(60)
            os.close(ask)  # so that reading ends with the parent
            while os.read(asked, 1):
                work()
                os.write(told, b"!")
            os._exit(0)
        _started()["one"] = ask, hear
    return _started()["one"]
