"""Seeing what runs: how many images each step and each module of a model is given."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from methods.backbones.base import Step
from methods.base import AdjustableModel
from methods.graph import IMAGES, Node, State, length, tensors

STEP = "step "
"""What names of steps begin with; others are those of modules."""


@contextmanager
def watched(model: AdjustableModel) -> Iterator[Counter[str]]:
    """Counts the rows (first dimension) that steps and modules are given while inside, by name."""
    seen: Counter[str] = Counter()
    inner = model.step

    def step(name: Step, x: Any) -> Any:
        seen[STEP + " ".join(map(str, name))] += length(x)
        return inner(name, x)

    def hook(name: str) -> Any:
        def count(module: nn.Module, given: tuple[Any, ...]) -> None:
            tensors = [value for value in given if isinstance(value, Tensor) and value.ndim]
            seen[name] += len(tensors[0]) if tensors else 0

        return count

    hooks = [m.register_forward_pre_hook(hook(name)) for name, m in model.named_modules() if m is not model]
    try:
        with _instead(model, step):
            yield seen
    finally:
        for handle in hooks:
            handle.remove()


@contextmanager
def _instead(model: AdjustableModel, step: Callable[[Step, Any], Any]) -> Iterator[None]:
    """Execute steps of a model by this function meanwhile."""
    model.step = step  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        del model.step  # the class's own is below


@contextmanager
def written(model: AdjustableModel) -> Iterator[list[str]]:
    """Names the steps that write into what they are given while inside; not in inference mode."""
    found: list[str] = []
    inner = model.step

    def step(name: Step, x: Any) -> Any:
        given = tensors(x)
        before = [tensor._version for tensor in given]
        y = inner(name, x)
        if before != [tensor._version for tensor in given]:
            found.append(STEP + " ".join(map(str, name)))
        return y

    with _instead(model, step):
        yield found


@torch.no_grad()
def rows_per_image(model: AdjustableModel, images: Tensor, varying: Sequence[int] = ()) -> list[Counter[str]]:
    """What each node of the graph gives its step and its modules for one image, [nodes].

    Measured on two images, one and both: what is not given twice as much for both is left out, and so are modules of
    the nodes `varying`, whose work depends on the image: their MACs are counted image by image.
    """
    one, both = (_rows(model, images[:count]) for count in (1, 2))
    every = _rows(model, images) if varying else []
    loose = {name for node in varying for name in every[node] if not name.startswith(STEP)}
    return [
        Counter({k: r for k, r in first.items() if second[k] == 2 * r and k not in loose})
        for first, second in zip(one, both, strict=True)
    ]


def _rows(model: AdjustableModel, images: Tensor) -> list[Counter[str]]:
    found: list[Counter[str]] = []

    def run(node: Node, x: State) -> State:
        with watched(model) as seen:
            y = model.run_node(node, x)
        found.append(Counter(seen))
        return y

    for _ in model.graph.sweep(run, {IMAGES: images}):
        pass
    return found
