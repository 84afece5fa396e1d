"""Batches: what an image is told depends on the image alone."""

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.conformance.subject import Finding, Subject, answered, counted, named
from methods.base import AdjustableModel
from methods.errors import MethodError
from methods.routers import OperatingPoint
from methods.running import Routed

ROUNDING, AT_MOST = 1e-4, 1e-2
"""Largest difference of logits, relative to 1 or the largest of them, that another batch shape may make; and where
the network amplifies rounding (small variances at maps of one pixel), up to how much more."""
NUDGE = 1e-6
"""Change of the inputs, a few roundings, by which it is measured how much the network amplifies."""
ALONE = 8
SHAPES = ((1, 8, 8), (5, 9, 11), (5, 12, 7), (1, 16, 16))
"""Images, height and width; the method was trained on 8 x 8."""


def order_does_not_matter(subject: Subject) -> Finding:
    """The same images in another order are given the same answers and logits, within rounding."""
    model, shuffle = subject.model(), torch.Generator().manual_seed(0)
    largest, wrong = 0.0, []
    for point in subject.points:
        images = subject.images[subject.clear(point)]
        order = torch.randperm(len(images), generator=shuffle)
        straight, other = answered(model, point, images), answered(model, point, images[order])
        difference = _difference(Routed(straight.logits[order], straight.answer[order]), other)
        largest = max(largest, difference)
        if difference > _allowed(model, point, images):
            wrong.append(f"{point.name}: logits differ by {difference:.2g}")
    return Finding(
        not wrong, named(wrong) or f"{counted(len(subject.points), 'point')}, largest difference {largest:.1g}"
    )


def company_does_not_matter(subject: Subject) -> Finding:
    """An image alone is given the same answer and logits as in a batch, within rounding."""
    model, largest, wrong = subject.model(), 0.0, []
    for point in subject.points:
        images = subject.images[subject.clear(point)]
        batch, allowed = answered(model, point, images), _allowed(model, point, images)
        for row in range(min(ALONE, len(images))):
            one = slice(row, row + 1)
            alone = answered(model, point, images[one])
            difference = _difference(Routed(batch.logits[one], batch.answer[one]), alone)
            largest = max(largest, difference)
            if difference > allowed:
                wrong.append(f"{point.name}: alone, logits differ by {difference:.2g}")
                break
    return Finding(
        not wrong, named(wrong) or f"{counted(len(subject.points), 'point')}, largest difference {largest:.1g}"
    )


def _allowed(model: AdjustableModel, point: OperatingPoint, images: Tensor) -> float:
    """How far logits may differ: ten times what a nudge of the images makes."""
    nudge = NUDGE * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    change = _difference(answered(model, point, images), answered(model, point, images + nudge))
    return min(ROUNDING + 10 * change, AT_MOST)


def _difference(one: Routed, other: Routed) -> float:
    """The largest difference of logits, relative to 1 or the largest of them; infinite where answers differ."""
    if not len(one.logits):
        return 0.0
    if not torch.equal(one.answer, other.answer):
        return float("inf")
    return float((one.logits - other.logits).abs().max() / one.logits.abs().max().clamp(min=1))


def odd_images_work(subject: Subject) -> Finding:
    """One image, odd and non-square images are answered at every point, or refused in one line."""
    model, draws = subject.model(), torch.Generator().manual_seed(0)
    classes, refused, wrong = len(subject.world.plan.data.classes), [], []
    for count, height, width in SHAPES:
        images = torch.randn(count, 3, height, width, generator=draws)
        for point in subject.points:
            problem = _problem(lambda point=point, images=images: answered(model, point, images), images, classes)  # type: ignore[misc]
            if isinstance(problem, MethodError):
                refused.append(f"{height}x{width}: {problem}")
            elif problem is not None:
                wrong.append(f"{point.name} on {count} of {height}x{width}: {problem}")
    if wrong:
        return Finding(False, named(wrong, 1))
    shapes = ", ".join(f"{n} of {h}x{w}" for n, h, w in SHAPES)
    return Finding(
        True, f"refused: {named(refused, 1)}" if refused else f"{shapes} at {counted(len(subject.points), 'point')}"
    )


def _problem(run: Callable[[], Routed], images: Tensor, classes: int) -> MethodError | str | None:
    try:
        logits = run().logits
    except MethodError as error:
        return error if "\n" not in str(error) else "an error of several lines"
    except Exception as error:  # whatever a method raises
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    if logits.shape != (len(images), classes):
        return f"logits {list(logits.shape)}"
    return None if bool(logits.isfinite().all()) else "logits that are not finite"
