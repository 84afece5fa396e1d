"""Learning: the loss is finite, everything that should learn does, and what is frozen stays."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.conformance.subject import Finding, Subject, named
from benchmarks.core.progress import drive
from benchmarks.training.loop import TrainingSet, train
from methods.base import AdjustableModel


@dataclass(frozen=True)
class Lesson:
    """A model trained here and now: its losses, the parameters that got a gradient, its tensors before."""

    model: AdjustableModel
    losses: tuple[float, ...]
    reached: frozenset[str]
    before: dict[str, Tensor]


def lesson(subject: Subject) -> Lesson:
    """Train a fresh model as a run does; what it would begin with does not matter here."""
    plan = subject.world.plan
    model = plan.model(subject.world.result.candidate, plan.config.seeds[0])
    before, reached = {name: value.clone() for name, value in model.state_dict().items()}, set[str]()

    def reach(name: str, gradient: Tensor) -> None:
        if bool(gradient.isfinite().all()):
            reached.add(name)

    for name, parameter in model.named_parameters():
        parameter.requires_grad_(True).register_hook(lambda gradient, name=name: reach(name, gradient))  # type: ignore[no-untyped-call]
    data = TrainingSet(plan.train_images, plan.parts.train, plan.data.flip, plan.data.crop)
    checkpoint = subject.folder / "lesson.safetensors"
    trained = drive(train(model, data, plan.recipe, plan.config.seeds[0], checkpoint))
    checkpoint.unlink(missing_ok=True)  # another lesson begins anew
    return Lesson(model, trained.losses, frozenset(reached), before)


def everything_learns(subject: Subject) -> Finding:
    """Every parameter gets a finite gradient in some stage or is frozen in all; what is frozen does not change."""
    stages = subject.model().stages()
    if not stages:
        return Finding(None, "it trains nothing itself: its networks are trainings of their own")
    taught = lesson(subject)
    model, stages = taught.model, taught.model.stages()
    frozen = frozenset.intersection(*(_within(model, stage.frozen) for stage in stages))
    learners = {id(p) for stage in stages for group in stage.groups for p in group.parameters}
    names = dict(model.named_parameters())
    wrong = [f"{name} is in no stage" for name, p in names.items() if id(p) not in learners and name not in frozen]
    wrong += [f"{n} gets no gradient" for n, p in names.items() if id(p) in learners and n not in taught.reached]
    state = model.state_dict()
    wrong += [
        f"{n} is frozen and changed"
        for n in sorted(frozen & state.keys())
        if not torch.equal(state[n], taught.before[n])
    ]
    wrong += [f"{name} is frozen and got a gradient" for name in sorted(frozen & taught.reached)]
    if wrong:
        return Finding(False, named(wrong))
    still, losses = len(frozen & names.keys()), " -> ".join(f"{loss:.2f}" for loss in taught.losses)
    return Finding(
        True,
        f"{len(names) - still} parameters learn, {still} are frozen; loss {losses}",
    )


def _within(model: AdjustableModel, modules: tuple[nn.Module, ...]) -> frozenset[str]:
    """Names of the parameters and buffers of these modules."""
    tensors = {id(t) for module in modules for t in (*module.parameters(), *module.buffers())}
    every = [*model.named_parameters(), *model.named_buffers()]
    return frozenset(name for name, tensor in every if id(tensor) in tensors)
