"""The one reader of stored models. Before anything is built, the file has to be the one that was measured and to hold
what it says, and every Python file that building it would execute has to be one that this call allowed."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.core import trust as trusting
from benchmarks.core.errors import UsageError
from benchmarks.core.trust import Trust
from benchmarks.stored import StoredRun, Trained
from methods import plugins, storage
from methods.base import AdjustableModel
from methods.storage import Stored


class Checked(NamedTuple):
    """A stored model that may be built: its file, the hash it has to have, and whether building it executes Python
    files, which this call allowed."""

    path: Path
    sha256: str
    executes: bool = False

    def request(self) -> dict[str, str | bool]:
        """As a worker process is told of it."""
        return {"path": str(self.path.absolute()), "sha256": self.sha256, "trust": self.executes}


def checked(run: StoredRun, model: Trained, trust: Trust) -> Checked:
    """A run's model, looked at and not built; UsageError or MethodError, one line, where it must not be built."""
    return Checked(model.weights, model.sha256, bool(_looked_at(run, model, trust).files))


def built(run: StoredRun, model: Trained, trust: Trust) -> AdjustableModel:
    """A run's model in evaluation mode; UsageError or MethodError, one line, where it must not be built."""
    return storage.built(_looked_at(run, model, trust))


def add_methods(files: Iterable[Path], runs: Sequence[StoredRun]) -> tuple[Path, ...]:
    """Make the methods in the files that a call names known; gives those files.

    A file that models of `runs` take networks from holds no methods: it is executed when such a model is built.
    """
    networks = {
        trusting.resolved(trusting.file_of(location))
        for run in runs
        for model in run.models
        for location in trusting.locations(model.settings)
    }
    found = tuple(file for file in files if trusting.resolved(file) not in networks)
    for file in found:
        plugins.add(file)
    return found


def _looked_at(run: StoredRun, model: Trained, trust: Trust) -> Stored:
    path, data = model.weights, run.record["data"]
    if not path.is_file():
        raise UsageError(f"{path} is missing: the run's models were not kept with it")
    if trusting.sha256(path) != model.sha256:
        raise UsageError(f"{path} is not the file that was measured: its hash differs from run.json")
    stored = storage.read(path)
    trust.check(str(path), stored.files, model.files)
    about = stored.described
    said = (about.method, about.settings, about.backbone, about.classes, list(about.image_shape))
    if said != (model.method, model.settings, model.backbone, len(data["classes"]), data["image_shape"]):
        raise UsageError(f"{path} describes another model than run.json does: run it again")
    stored.check_size()
    return stored
