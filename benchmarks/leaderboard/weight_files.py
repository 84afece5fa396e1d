"""The weights' files of an entry, looked at before anything of their size, or of anybody's making, is built."""

from pathlib import Path

from torch import Tensor

from benchmarks.core.errors import UsageError
from benchmarks.leaderboard.entry import Entry
from benchmarks.leaderboard.recount import weights_of
from methods.base import check_fit
from methods.batchnorm import STATISTICS
from methods.storage import Stored, load_tensors, read


def tensors_of(entry: Entry, path: Path) -> dict[str, Tensor]:
    """The weights in a file, by name; MethodError where they are not those that models of the entry have."""
    found = {name: value for name, value in load_tensors(path)[0].items() if not name.startswith(STATISTICS)}
    check_fit(weights_of(entry), found)
    return found


def stored_of(entry: Entry, path: Path) -> Stored:
    """What a file holds; UsageError or MethodError where it is not of the method, the images and the size that the
    entry says, or takes networks from Python files."""
    stored = read(path)
    about, data = stored.described, entry.dataset
    if stored.files:
        raise UsageError(f"{path} takes networks from Python files: an entry is of the suite's networks")
    own = (about.method, about.backbone, about.classes, about.image_shape)
    if own != (entry.method, entry.backbone, data.classes, data.image_shape):
        raise UsageError(f"{path} is of another method, network, size of images or number of classes than the entry")
    stored.check_size()
    return stored
