"""One training loop for every method, over the stages the method declares."""

import hashlib
import json
import math
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.core.errors import TrainingError
from benchmarks.core.progress import Progress
from benchmarks.data.batches import Images
from benchmarks.training.layout import channels_last
from benchmarks.training.recipes import Recipe
from methods.backbones import Backbone
from methods.base import AdjustableModel, Stage
from methods.errors import MethodError
from methods.storage import load_tensors, save_tensors


@dataclass(frozen=True)
class TrainingSet:
    """What a model is trained on: images, which of them, and the augmentation they allow."""

    images: Images
    samples: NDArray[np.int64]
    flip: bool
    crop: int


@dataclass(frozen=True)
class Trained:
    """What a training did: images seen, seconds, and the mean loss of each epoch."""

    images: int
    seconds: float
    losses: tuple[float, ...]


def stream(*numbers: int) -> torch.Generator:
    """A random stream of its own for every tuple of numbers: (seed, stage, epoch, use)."""
    state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)


def train(
    model: AdjustableModel, data: TrainingSet, recipe: Recipe, seed: int, checkpoint: Path
) -> Generator[Progress, None, Trained]:
    """Train `model` in place, yielding progress in images.

    After every epoch the state is written to `checkpoint`; a training that finds one goes on from
    there, with the same result as one that was never interrupted. TrainingError if the loss stops
    being finite.
    """
    model.label_smoothing = recipe.label_smoothing
    with channels_last(model, data.images.device):
        return (yield from _trained(model, data, recipe, seed, checkpoint))


def _trained(
    model: AdjustableModel, data: TrainingSet, recipe: Recipe, seed: int, checkpoint: Path
) -> Generator[Progress, None, Trained]:
    """The same with a model that lies in memory as it should."""
    device = data.images.device
    plan = epochs_per_stage(recipe.epochs, [stage.share for stage in model.stages()])
    size = min(recipe.batch, len(data.samples))
    steps = len(data.samples) // size
    total = sum(plan) * steps * size
    done, losses, started = 0, [], time.perf_counter()
    resume = _Resume.read(checkpoint)
    seconds_before = resume.seconds if resume else 0.0
    for number, (stage, epochs) in enumerate(zip(model.stages(), plan, strict=True)):
        optimizer = _optimizer(stage, recipe)
        for epoch in range(epochs):
            if resume and (number, epoch) <= resume.position:
                done += steps * size
                if (number, epoch) == resume.position:
                    resume.restore(model, optimizer)
                    losses = list(resume.losses)
                continue
            sums = torch.zeros((), device=device)
            model.train()
            _freeze(model, stage)
            for step, loss in enumerate(
                _epoch(model, stage, data, recipe, optimizer, (seed, number, epoch), epochs, steps)
            ):
                sums += loss
                done += size
                if (device.type == "cpu" or step % 50 == 0 or step == steps - 1) and not math.isfinite(sums):
                    raise TrainingError(
                        f"the loss is not a finite number any more (epoch {epoch + 1}, step {step + 1}): "
                        f"lower the learning rate, now {recipe.lr:g}"
                    )
                yield Progress(done, total)
            losses.append(float(sums) / steps)
            elapsed = seconds_before + time.perf_counter() - started
            _Resume.write(checkpoint, model, optimizer, (number, epoch), losses, elapsed)
    model.eval()
    return Trained(total, seconds_before + time.perf_counter() - started, tuple(losses))


def epochs_per_stage(epochs: int, shares: list[float]) -> list[int]:
    """Whole epochs per stage: proportional to the shares, at least one each.

    Where the shares make up one whole, the last takes what is left.
    """
    plan = [max(1, round(epochs * share)) for share in shares]
    if math.isclose(sum(shares), 1):
        plan[-1] = max(1, epochs - sum(plan[:-1]))
    return plan


def _freeze(model: nn.Module, stage: Stage) -> None:
    """Let gradients reach everything but the stage's frozen modules, which run as in evaluation."""
    model.requires_grad_(True)
    for module in stage.frozen:
        module.eval().requires_grad_(False)


def _epoch(
    model: AdjustableModel, stage: Stage, data: TrainingSet, recipe: Recipe,
    optimizer: torch.optim.Optimizer, position: tuple[int, int, int], epochs: int, steps: int,
) -> Generator[Tensor, None, None]:  # fmt: skip
    """One pass over the data in random order; yields the loss of every step.

    Order, augmentation, the method and the network's own noise draw from four streams, so none disturbs another.
    """
    order_draws, image_draws, method_draws, network_draws = (stream(*position, use) for use in range(4))
    for module in model.modules():
        if isinstance(module, Backbone):
            module.generator = network_draws
    images, device = data.images, data.images.device
    samples = torch.from_numpy(data.samples)
    order = samples[torch.randperm(len(samples), generator=order_draws)].to(device)
    size = min(recipe.batch, len(order))
    low = device.type == "cuda" and torch.cuda.is_bf16_supported()
    batches = [order[step * size : (step + 1) * size] for step in range(steps)]
    for step, pixels in enumerate(images.augmented(batches, data.flip, data.crop, image_draws)):
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * recipe.rate(position[2] + step / steps, epochs)
        with torch.autocast(device.type, torch.bfloat16, enabled=low):
            loss = stage.loss(images.inputs(pixels), images.labels[batches[step]], method_draws)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        yield loss.detach()


def _optimizer(stage: Stage, recipe: Recipe) -> torch.optim.Optimizer:
    groups = [{"params": list(group.parameters), "rate": group.rate} for group in stage.groups]
    if recipe.optimizer == "adam":
        return torch.optim.Adam(groups, lr=recipe.lr, weight_decay=recipe.weight_decay)
    return torch.optim.SGD(
        groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
    )  # fmt: skip


def readable(checkpoint: Path) -> bool:
    """Whether a training can go on from this state: it is whole, and what was written."""
    return _Resume.read(checkpoint) is not None


def _digest(tensors: dict[str, Tensor], texts: dict[str, str]) -> str:
    """SHA-256 of a state: no record vouches for it, as it changes with every epoch."""
    digest = hashlib.sha256(json.dumps(texts, sort_keys=True).encode())
    for name, value in sorted(tensors.items()):
        content = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        digest.update(f"{name} {value.dtype} {list(value.shape)} ".encode() + content)
    return digest.hexdigest()


@dataclass(frozen=True)
class _Resume:
    """The state after an epoch: position (stage, epoch), weights, optimiser state, losses so far."""

    position: tuple[int, int]
    tensors: dict[str, Tensor]
    losses: tuple[float, ...]
    seconds: float

    @staticmethod
    def write(
        path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, position: tuple[int, int],
        losses: list[float], seconds: float,
    ) -> None:  # fmt: skip
        tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
        for index, state in optimizer.state_dict()["state"].items():
            for name, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer/{index}/{name}"] = value
        texts = {
            "stage": str(position[0]), "epoch": str(position[1]),
            "losses": ",".join(map(repr, losses)), "seconds": repr(seconds),
        }  # fmt: skip
        save_tensors(tensors, path, texts | {"sha256": _digest(tensors, texts)})

    @classmethod
    def read(cls, path: Path) -> "_Resume | None":
        """What `write` left; None if nothing usable is there, and training starts over."""
        try:
            tensors, texts = load_tensors(path)
            if texts.pop("sha256") != _digest(tensors, texts):
                return None
            losses = tuple(float(loss) for loss in texts["losses"].split(","))
            return cls((int(texts["stage"]), int(texts["epoch"])), tensors, losses, float(texts["seconds"]))
        except (MethodError, KeyError, ValueError):
            return None

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        model.load_state_dict({k.removeprefix("model/"): v for k, v in self.tensors.items() if k.startswith("model/")})
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in self.tensors.items():
            if key.startswith("optimizer/"):
                _, index, name = key.split("/")
                state.setdefault(int(index), {})[name] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
