"""Routers: what decides, after an answer or probe and from what it said, to stop or what to compute next.

Routers are data: they are stored as JSON and need nothing but torch to run. The loop that follows them is in
`routing.py`.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Literal, Protocol, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

STOP = -1
SCORES = "scores"
Said = Callable[[str], Tensor]
"""What an answer said to the samples at hand: the name of a signal -> its values [n]. Of a probe: SCORES ->
its output [n, m]."""
Heard = Mapping[int, Said]
"""What every answer and probe on the trail so far said to the samples at hand, oldest first."""
Signal = Literal["entropy", "max_prob", "margin"]


class Router(Protocol):
    """What every router offers. Answers and probes are positions in the graph's list of outputs."""

    @property
    def start(self) -> int:
        """The first answer or probe of every sample."""

    @property
    def outputs(self) -> tuple[int, ...]:
        """All answers and probes that a sample may be sent to."""

    @property
    def shortest(self) -> tuple[tuple[int, ...], ...]:
        """The shortest trail to each answer that a sample may end at."""

    def decide(self, at: int, heard: Heard, n: int) -> Tensor | None:
        """Where each of n samples goes after `at`: STOP or what to compute next, [n]; None: all stop."""

    def closeness(self, at: int, heard: Heard, n: int) -> Tensor:
        """How far a signal would have to move for another decision after `at`, [n]; inf where none is made."""

    def macs(self, at: int) -> int:
        """MACs of the decision after `at` for one sample, the router's own."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Cascade(_Data):
    """Answers in the order they may be asked."""

    cascade: tuple[int, ...]

    @property
    def start(self) -> int:
        return self.cascade[0]

    @property
    def outputs(self) -> tuple[int, ...]:
        return self.cascade


class Constant(_Data):
    """The same answer for everybody: a static operating point."""

    kind: Literal["constant"] = "constant"
    answer: int

    @property
    def start(self) -> int:
        return self.answer

    @property
    def outputs(self) -> tuple[int, ...]:
        return (self.answer,)

    @property
    def shortest(self) -> tuple[tuple[int, ...], ...]:
        return ((self.answer,),)

    def decide(self, at: int, heard: Heard, n: int) -> Tensor | None:
        return None

    def closeness(self, at: int, heard: Heard, n: int) -> Tensor:
        return torch.full((n,), torch.inf)

    def macs(self, at: int) -> int:
        return 0


class Threshold(_Cascade):
    """A cascade that stops at the first answer confident enough (BranchyNet, Fig. 2).

    `entropy` stops where the entropy is below the threshold (strictly, as in the paper), `max_prob`
    and `margin` where the value reaches it. A threshold None is a disabled exit: it never fires.
    The last answer of the cascade has none.
    """

    kind: Literal["threshold"] = "threshold"
    signal: Signal
    thresholds: tuple[float | None, ...]

    @model_validator(mode="after")
    def _one_threshold_for_every_answer_but_the_last(self) -> Self:
        if len(self.thresholds) != len(self.cascade) - 1 or len(set(self.cascade)) != len(self.cascade):
            raise ValueError("a cascade needs distinct answers, and a threshold for each but the last")
        return self

    @property
    def shortest(self) -> tuple[tuple[int, ...], ...]:
        return _prefixes(self.cascade)

    def decide(self, at: int, heard: Heard, n: int) -> Tensor | None:
        place = self.cascade.index(at)
        if place == len(self.cascade) - 1:
            return None
        following, threshold = self.cascade[place + 1], self.thresholds[place]
        if threshold is None:
            return torch.full((n,), following)
        value = heard[at](self.signal)
        stops = value < threshold if self.signal == "entropy" else value >= threshold
        return torch.where(stops, STOP, following)

    def closeness(self, at: int, heard: Heard, n: int) -> Tensor:
        place = self.cascade.index(at)
        threshold = self.thresholds[place] if place < len(self.thresholds) else None
        if threshold is None:
            return torch.full((n,), torch.inf)
        return (heard[at](self.signal) - threshold).abs()

    def macs(self, at: int) -> int:
        return 0


class Policy(_Data):
    """What to do after one answer: linear scores on features, tried in turn.

    The options are to stop, then the later answers of the cascade in order. Row i decides between option i
    (score <= 0) and all options behind it (score > 0), so r rows have r + 1 options and one row means "stop or
    go on to the next".
    """

    weights: tuple[tuple[float, ...], ...]  # [rows, features]
    bias: tuple[float, ...]  # [rows]

    @model_validator(mode="after")
    def _a_bias_for_every_row(self) -> Self:
        if len(self.bias) != len(self.weights) or not self.weights or len({len(row) for row in self.weights}) != 1:
            raise ValueError("a policy needs rows of equally many weights, and a bias for each")
        return self


class Learned(_Cascade):
    """A learned policy after every answer of a cascade but the last (Bolukbasi et al., ICML 2017).

    `features` are signals of the last answer, or with `history` of every answer of the trail, oldest first.
    A policy of several rows may jump over answers; then the last answer is all it knows.
    """

    kind: Literal["learned"] = "learned"
    features: tuple[Signal, ...]
    history: bool = False
    policies: tuple[Policy, ...]

    @model_validator(mode="after")
    def _a_policy_for_every_answer_but_the_last(self) -> Self:
        if len(self.policies) != len(self.cascade) - 1 or len(set(self.cascade)) != len(self.cascade):
            raise ValueError("a cascade needs distinct answers, and a policy for each but the last")
        for place, policy in enumerate(self.policies):
            columns = len(self.features) * (place + 1 if self.history else 1)
            if len(policy.weights[0]) != columns or len(policy.bias) > len(self.policies) - place:
                raise ValueError(f"policy {place} does not fit: it has {columns} features, and fewer answers behind it")
        if self.history and self.jumps:
            raise ValueError("a history needs the one trail that a cascade without jumps has")
        return self

    @property
    def jumps(self) -> bool:
        """Whether a sample may go past the next answer."""
        return any(len(policy.bias) > 1 for policy in self.policies)

    @property
    def shortest(self) -> tuple[tuple[int, ...], ...]:
        reach: dict[int, tuple[int, ...]] = {0: (self.start,)}
        for place, policy in enumerate(self.policies):
            for target in range(place + 1, place + 1 + len(policy.bias)):
                reach.setdefault(target, (*reach[place], self.cascade[target]))
        return tuple(reach.values())

    def decide(self, at: int, heard: Heard, n: int) -> Tensor | None:
        place = self.cascade.index(at)
        if place == len(self.policies):
            return None
        later = self._scores(place, heard)[0] > 0
        options = torch.tensor([STOP, *self.cascade[place + 1 :]], device=later.device)
        return options[later.int().cumprod(1).sum(1)]  # how many rows in turn say "a later option"

    def closeness(self, at: int, heard: Heard, n: int) -> Tensor:
        """The least that every feature together would have to move for another decision."""
        place = self.cascade.index(at)
        if place == len(self.policies):
            return torch.full((n,), torch.inf)
        scores, weights = self._scores(place, heard)
        near = (scores.abs() / weights.abs().sum(1)).nan_to_num(torch.inf, posinf=torch.inf)
        stopped_before = (scores[:, :-1] <= 0).cumsum(1) > 0  # rows behind one that stops are not asked
        near[:, 1:][stopped_before] = torch.inf
        return near.amin(1)

    def macs(self, at: int) -> int:
        place = self.cascade.index(at)
        return sum(len(row) for row in self.policies[place].weights) if place < len(self.policies) else 0

    def _scores(self, place: int, heard: Heard) -> tuple[Tensor, Tensor]:
        """Scores [n, rows], and the weights [rows, features] they come from."""
        asked = self.cascade[: place + 1] if self.history else (self.cascade[place],)
        features = torch.stack([heard[answer](name) for answer in asked for name in self.features], dim=1)
        weights, bias = _tensors(self.policies[place], features.device)
        return torch.addmm(bias, features, weights.T), weights


class Argmax(_Data):
    """What a probe scores highest: exactly one answer for each sample (DRNet, section 3.2).

    `options[j]` is the answer that score j speaks for; `bias[j]` is added to it, which turns one trained probe
    into a curve of operating points.
    """

    kind: Literal["argmax"] = "argmax"
    probe: int
    options: tuple[int, ...]
    bias: tuple[float, ...]

    @model_validator(mode="after")
    def _a_bias_for_every_option(self) -> Self:
        if len(self.options) != len(self.bias) or not self.options or len(set(self.outputs)) != len(self.outputs):
            raise ValueError("a choice needs distinct options, and a bias for each")
        return self

    @property
    def start(self) -> int:
        return self.probe

    @property
    def outputs(self) -> tuple[int, ...]:
        return (self.probe, *self.options)

    @property
    def shortest(self) -> tuple[tuple[int, ...], ...]:
        return tuple((self.probe, option) for option in self.options)

    def decide(self, at: int, heard: Heard, n: int) -> Tensor | None:
        if at != self.probe:
            return None
        scores = self._scores(heard)
        return torch.tensor(self.options, device=scores.device)[scores.argmax(1)]

    def closeness(self, at: int, heard: Heard, n: int) -> Tensor:
        if at != self.probe or len(self.options) == 1:
            return torch.full((n,), torch.inf)
        best = self._scores(heard).topk(2, dim=1).values
        return (best[:, 0] - best[:, 1]) / 2

    def macs(self, at: int) -> int:
        return 0

    def _scores(self, heard: Heard) -> Tensor:
        scores = heard[self.probe](SCORES)
        return scores + torch.tensor(self.bias, device=scores.device)


class OperatingPoint(_Data):
    """One setting a user can choose: a name and a router with its parameters."""

    name: str
    router: Annotated[Constant | Threshold | Learned | Argmax, Field(discriminator="kind")]


def _prefixes(cascade: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    return tuple(cascade[: k + 1] for k in range(len(cascade)))


@cache
def _tensors(policy: Policy, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.tensor(policy.weights, device=device), torch.tensor(policy.bias, device=device)
