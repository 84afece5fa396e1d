"""The data that methods are compared on: named, split, fingerprinted. `load("shapes").train.images` is uint8
[6000, 3, 32, 32].

Importing it costs next to nothing: numpy and Pillow come with the first data set that is loaded.
"""

from benchmarks.data.errors import DataError
from benchmarks.data.registry import load

__all__ = ["DataError", "load"]
