"""Path tables: what every answer says on every sample of a split, and nothing the model has to run again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from methods.cost import Costs
from methods.errors import MethodError
from methods.received import DigestError, SizeError, arrays
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

    @property
    def macs(self) -> NDArray[np.int64]:
        """MACs per image of each answer alone, [a]."""
        return self.costs.outputs()[: len(self.answers)]

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each answer is right, [a, n]."""
        correct: NDArray[np.bool_] = self.prediction == self.labels
        return correct

    def part(self, samples: NDArray[np.int64]) -> "PathTable":
        """The table of these samples only."""
        columns = {f: getattr(self, f)[:, samples] for f in PER_ANSWER}
        probes = {name: said[samples] for name, said in self.probes.items()}
        return replace(self, labels=self.labels[samples], sample_id=self.sample_id[samples], probes=probes, **columns)

    def save(self, path: Path) -> None:
        """Write as .npz without pickles; `path` is whole or as it was before."""
        arrays = {name: getattr(self, name) for name in _ARRAYS} | {_PROBE + k: v for k, v in self.probes.items()}
        costs = self.costs
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
            probes = {visible(k.removeprefix(_PROBE)): stored[k] for k in stored if k.startswith(_PROBE)}
        except DigestError:
            raise MethodError(f"{path} is not the file that was recorded: its hash differs; run it again") from None
        except SizeError as error:
            raise MethodError(f"{path} is not read: {error}") from None
        except (OSError, ValueError, KeyError, EOFError):
            raise MethodError(f"{path} is not a whole path table: delete it and run again") from None
        work, uncounted, answers = (_names(columns.pop(name)) for name in ("work", "uncounted", "answers"))
        costs = Costs(work, columns.pop("work_macs"), columns.pop("uses"), uncounted)
        table = cls(answers, costs, probes=probes, **columns)
        if not table.whole:
            raise MethodError(f"{path} is not a whole path table: delete it and run again")
        return table

    @property
    def whole(self) -> bool:
        """Whether all columns are about the same answers, samples and work."""
        a, n, w = len(self.answers), len(self.labels), len(self.costs.work)
        columns = [getattr(self, name) for name in PER_ANSWER]
        return (
            self._numbers
            and all(column.shape == (a, n) for column in columns)
            and all(said.ndim == 2 and len(said) == n for said in self.probes.values())
            and self.labels.shape == self.sample_id.shape == (n,)
            and self.costs.macs.shape == (w,)
            and self.costs.uses.shape == (a + len(self.probes), w)
        )

    @property
    def _numbers(self) -> bool:
        """Whether every column holds what it is read as: whole numbers are not shares, and labels are no texts."""
        whole = (self.labels, self.costs.macs)
        said = (*(getattr(self, name) for name in PER_ANSWER), *self.probes.values())
        return (
            all(column.dtype.kind in "iu" for column in whole)
            and all(column.dtype.kind in "iuf" for column in said)
            and self.costs.uses.dtype.kind in "biu"
            and self.sample_id.dtype.kind in "iuU"
        )


PER_ANSWER = ("prediction", "label_rank", "max_prob", "margin", "entropy", "loss")
_ARRAYS = tuple(f.name for f in fields(PathTable) if f.name not in ("answers", "costs", "probes"))
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
