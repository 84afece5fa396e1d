"""CIFAR-100 as torchvision downloads, checks and reads it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.data.about import About
from benchmarks.data.base import DataSet
from benchmarks.data.cifar import cifar

ABOUT: About = {
    "title": "CIFAR-100 by torchvision, fine classes",
    "classes": 100,
    "size": (32, 32),
    "train": 50_000,
    "test": 10_000,
    "download": True,
    "licence": "No licence stated; cite the report",
    "citation": "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
}


def load(root: Path | None) -> DataSet:
    """CIFAR-100: 50,000 and 10,000 colour photographs of 32 x 32 pixels, in its 100 fine classes."""
    return cifar("cifar100", "CIFAR100", root)
