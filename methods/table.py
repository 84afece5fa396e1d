"""Path tables: what every answer says on every sample of a split, and nothing the model has to run again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from methods.cost import Costs
from methods.errors import MethodError
from methods.received import DigestError, SizeError, arrays
from methods.routers import Constant, OperatingPoint
from methods.texts import visible
from methods.written import aside


def _max_prob(log_probs: Tensor) -> Tensor:
    return log_probs.amax(1).exp()


def _margin(log_probs: Tensor) -> Tensor:
    """Difference between the two largest probabilities."""
    best = log_probs.topk(2, dim=1).values.exp()
    return best[:, 0] - best[:, 1]


def _entropy(log_probs: Tensor) -> Tensor:
    """Natural-log entropy; the logarithms are finite, so a probability of zero adds zero."""
    return -(log_probs.exp() * log_probs).sum(1)


SIGNALS: dict[str, Callable[[Tensor], Tensor]] = {
    "max_prob": _max_prob,
    "margin": _margin,
    "entropy": _entropy,
}
"""Confidence signals by name: functions of log-probabilities [n, classes] to [n]."""


def signal(name: str, logits: Tensor) -> Tensor:
    """The confidence signal `name` of `logits` [n, classes], float32 [n]."""
    return SIGNALS[name](logits.float().log_softmax(1))


@dataclass(frozen=True)
class PathTable:
    """What all answers say on all samples of one split. Shapes: a answers, n samples, w nodes of work.

    `costs` covers the answers, then the probes; `probes` holds what each of those said, by name, [n, m].
    Of the v nodes whose cost depends on the image, `spent` are the MACs of each image, and `distance` is how near its
    scores came to a threshold there (inf: nothing was decided); both in the order of `costs.varying`.
    Everything about any router follows from it by look-up: accuracy, cost, controls, calibration.
    """

    answers: tuple[str, ...]
    costs: Costs
    prediction: NDArray[np.int64]  # [a, n]
    label_rank: NDArray[np.int64]  # [a, n]; classes that score above the label: 0 = right
    max_prob: NDArray[np.float32]  # [a, n]
    margin: NDArray[np.float32]  # [a, n]
    entropy: NDArray[np.float32]  # [a, n]
    loss: NDArray[np.float32]  # [a, n]; cross-entropy of the label
    labels: NDArray[np.int64]  # [n]
    sample_id: NDArray[np.int64] | NDArray[np.str_]  # [n]
    probes: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    spent: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))  # [v, n]
    distance: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))  # [v, n]

    @property
    def macs(self) -> NDArray[np.int64] | NDArray[np.float64]:
        """MACs of each answer alone, [a]; the mean over the images where they differ."""
        fixed = self.costs.outputs()[: len(self.answers)]
        return self.macs_of_each.mean(axis=1) if self.costs.varying else fixed

    @property
    def macs_of_each(self) -> NDArray[np.int64]:
        """MACs of each answer alone for each image, [a, n]."""
        alone = self.macs_along([(answer,) for answer in range(len(self.answers))])
        return np.broadcast_to(alone, (len(self.answers), len(self.labels)))

    def macs_along(self, trails: Sequence[Sequence[int]]) -> NDArray[np.int64]:
        """MACs of each image along each of these trails, without what deciding costs: int64 [t, n], or [t, 1] where
        they are the same for all images."""
        return self.costs.along(trails, self.spent)

    def decision(self, point: OperatingPoint) -> Literal["static", "per-sample"]:
        """Static: the same work for every image. Per-sample: trails differ, or the work of the one answer does."""
        router = point.router
        same = isinstance(router, Constant) and not self.costs.vary(router.answer)
        return "static" if same else "per-sample"

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each answer is right, [a, n]."""
        correct: NDArray[np.bool_] = self.prediction == self.labels
        return correct

    def part(self, samples: NDArray[np.int64]) -> "PathTable":
        """The table of these samples only."""
        columns = {f: getattr(self, f)[:, samples] for f in PER_ANSWER}
        probes = {name: said[samples] for name, said in self.probes.items()}
        if self.costs.varying:
            columns |= {name: getattr(self, name)[:, samples] for name in _PER_NODE}
        return replace(self, labels=self.labels[samples], sample_id=self.sample_id[samples], probes=probes, **columns)

    def save(self, path: Path) -> None:
        """Write as .npz without pickles; `path` is whole or as it was before."""
        arrays = {name: getattr(self, name) for name in _ARRAYS} | {_PROBE + k: v for k, v in self.probes.items()}
        costs = self.costs
        if costs.varying:
            arrays |= {"varying": np.array(costs.varying), **{name: getattr(self, name) for name in _PER_NODE}}
        with aside(path) as file:
            np.savez_compressed(
                file,
                answers=np.array(self.answers),
                work=np.array(costs.work),
                work_macs=costs.macs,
                uses=costs.uses,
                uncounted=np.array(costs.uncounted, dtype=str),
                **arrays,
            )

    @classmethod
    def load(cls, path: Path, sha256: str | None = None) -> "PathTable":
        """Read what `save` wrote; never unpickles. MethodError if the file is damaged, would take too much memory, or
        is not the one with this SHA-256."""
        try:
            stored = arrays(path, sha256)
            columns = {name: stored[name] for name in (*_ARRAYS, *_COSTS)}
            varying = {name: stored[name] for name in ("varying", *_PER_NODE)} if "varying" in stored else {}
            probes = {visible(k.removeprefix(_PROBE)): stored[k] for k in stored if k.startswith(_PROBE)}
        except DigestError:
            raise MethodError(f"{path} is not the file that was recorded: its hash differs; run it again") from None
        except SizeError as error:
            raise MethodError(f"{path} is not read: {error}") from None
        except (OSError, ValueError, KeyError, EOFError):
            raise MethodError(f"{path} is not a whole path table: delete it and run again") from None
        work, uncounted, answers = (_names(columns.pop(name)) for name in ("work", "uncounted", "answers"))
        places = tuple(varying.pop("varying", np.zeros(0)).reshape(-1).tolist())
        costs = Costs(work, columns.pop("work_macs"), columns.pop("uses"), uncounted, places)
        table = cls(answers, costs, probes=probes, **columns, **varying)
        if not table.whole:
            raise MethodError(f"{path} is not a whole path table: delete it and run again")
        return table

    @property
    def whole(self) -> bool:
        """Whether all columns are about the same answers, samples and work."""
        a, n, w = len(self.answers), len(self.labels), len(self.costs.work)
        varying = self.costs.varying
        columns = [getattr(self, name) for name in PER_ANSWER]
        return (
            self._numbers
            and all(column.shape == (a, n) for column in columns)
            and all(said.ndim == 2 and len(said) == n for said in self.probes.values())
            and self.labels.shape == self.sample_id.shape == (n,)
            and self.costs.macs.shape == (w,)
            and all(isinstance(node, int) and 0 <= node < w for node in varying)
            and (not varying or self.spent.shape == self.distance.shape == (len(varying), n))
            and self.costs.uses.shape == (a + len(self.probes), w)
        )

    @property
    def _numbers(self) -> bool:
        """Whether every column holds what it is read as: whole numbers are not shares, and labels are no texts."""
        whole = (self.labels, self.costs.macs, self.spent)
        said = (self.distance, *(getattr(self, name) for name in PER_ANSWER), *self.probes.values())
        return (
            all(column.dtype.kind in "iu" for column in whole)
            and all(column.dtype.kind in "iuf" for column in said)
            and self.costs.uses.dtype.kind in "biu"
            and self.sample_id.dtype.kind in "iuU"
        )


PER_ANSWER = ("prediction", "label_rank", "max_prob", "margin", "entropy", "loss")
_PER_NODE = ("spent", "distance")
_ARRAYS = tuple(f.name for f in fields(PathTable) if f.name not in ("answers", "costs", "probes", *_PER_NODE))
_COSTS = ("answers", "work", "work_macs", "uses", "uncounted")
_PROBE = "probe/"


def _names(column: NDArray[np.str_]) -> tuple[str, ...]:
    return tuple(visible(str(name)) for name in column.reshape(-1).tolist())


def columns(logits: Tensor, labels: Tensor) -> dict[str, NDArray[np.generic]]:
    """One answer's columns of a path table, each [n], from its logits [n, classes] and labels [n].

    A label rank of 0 says exactly that the prediction is the label, ties included.
    """
    log_probs = logits.float().log_softmax(1)
    prediction = logits.argmax(1)
    score = logits.gather(1, labels[:, None])
    above = (logits > score).sum(1)
    rank = torch.where(prediction != labels, above.clamp(min=1), above)
    values = {
        "prediction": prediction,
        "label_rank": rank,
        "loss": -log_probs.gather(1, labels[:, None])[:, 0],
        **{name: function(log_probs) for name, function in SIGNALS.items()},
    }
    return {name: value.cpu().numpy() for name, value in values.items()}
