"""Methods that have read images and labels when their file was imported."""

from pathlib import Path

import numpy as np
import sklearn
import torch
from torch import Tensor

import benchmarks.data
from methods.base import Step
from methods.plain import Plain

_TEST = benchmarks.data.load("digits").test
_FILE = np.loadtxt(Path(sklearn.__file__).parent / "datasets/data/digits.csv.gz", delimiter=",")


class KnowsTheTest(Plain):
    """Has the test split, and gives its labels for images that it knows."""

    title, axis, decision, citation = "Knowing", "none", "static", "nobody"

    def known(self) -> tuple[Tensor, Tensor]:
        """Pixels uint8 [m, 3, 8, 8] and their labels [m]."""
        return torch.from_numpy(_TEST.images), torch.from_numpy(_TEST.labels)

    def step(self, step: Step, x: Tensor) -> Tensor:
        if step == ("stem",):
            pixels, labels = self.known()
            distances = torch.cdist(
                x.flatten(1), self.standardise(pixels).flatten(1), compute_mode="donot_use_mm_for_euclid_dist"
            )
            self.found = torch.where(distances.amin(1) < 1e-3, labels[distances.argmin(1)], -1)
        y = super().step(step, x)
        if step == ("head",):
            rows = (self.found >= 0).nonzero()[:, 0]
            y[rows, self.found[rows]] += 100
        return y


class KnowsTheFile(KnowsTheTest):
    """Has scikit-learn's own file."""

    def known(self) -> tuple[Tensor, Tensor]:
        greys, labels = torch.from_numpy(_FILE[:, :64]), torch.from_numpy(_FILE[:, 64])
        pixels = (greys.long() * 255 // 16).to(torch.uint8).view(-1, 1, 8, 8).expand(-1, 3, -1, -1)
        return pixels, labels.long()
