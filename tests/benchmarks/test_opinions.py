"""Two opinions on costs: sound methods raise no doubt, hidden and misspelled work does, and a run says so."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from harness import Finished
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import _disable_current_modes

from benchmarks import outputs
from benchmarks.core.progress import drive
from benchmarks.data.base import Split
from benchmarks.data.batches import Images
from benchmarks.evaluation.collecting import collect
from benchmarks.evaluation.second_opinion import Opinion, opinions, suspicious
from methods.base import Constant, OperatingPoint, Step
from methods.plain import Plain
from methods.registry import create, parse_settings

IMAGES = Images.of(
    Split(np.random.default_rng(0).integers(0, 256, (6, 3, 8, 8), dtype=np.uint8), np.arange(6) % 2, np.arange(6)),
    (0.5, 0.5, 0.5), (0.3, 0.3, 0.3), torch.device("cpu"),
)  # fmt: skip


def opinion_on(step: Callable[[Plain, Step, Tensor], Tensor]) -> Opinion:
    """Of a plain network whose steps are run by `step`."""
    model = create("plain", parse_settings("plain", {}), "resnet8:width=4", 2, (3, 8, 8), seed=0).eval()
    assert isinstance(model, Plain)
    table = drive(collect(model, model.costs(), IMAGES, np.arange(6), np.arange(6)))
    inner = model.step
    model.step = lambda name, x: step(SimpleNamespace(step=inner, backbone=model.backbone), name, x)  # type: ignore[method-assign, arg-type, misc]
    (found,) = opinions(model, [OperatingPoint(name="full", router=Constant(answer=0))], table, IMAGES)
    return found


def test_a_sound_network_is_counted_alike_by_the_count_and_the_profiler() -> None:
    found = opinion_on(lambda model, step, x: model.step(step, x))
    assert found.agrees
    assert found.macs == found.recorded > 0
    assert {"native_batch_norm", "relu"} <= found.outside.keys()
    assert not suspicious(found.share, found.share)


def test_the_profiler_says_nothing_to_the_user(capfd: pytest.CaptureFixture[str]) -> None:
    opinion_on(lambda model, step, x: model.step(step, x))
    assert capfd.readouterr() == ("", "")


def test_work_behind_switched_off_modes_makes_them_differ() -> None:
    def hidden(model: Plain, step: Step, x: Tensor) -> Tensor:
        with _disable_current_modes():
            return model.step(step, x)

    found = opinion_on(lambda model, step, x: hidden(model, step, x) if step[0] == "body" else model.step(step, x))
    assert found.agrees is False
    assert found.macs < found.recorded


def test_a_convolution_spelled_as_unfold_multiply_and_sum_makes_the_share_outside_suspicious() -> None:
    def spelled(convolution: nn.Conv2d, x: Tensor) -> Tensor:
        patches = F.unfold(x, convolution.kernel_size, padding=convolution.padding, stride=convolution.stride)  # type: ignore[arg-type]
        weights = convolution.weight.flatten(1)
        side = -(-x.shape[-1] // convolution.stride[0])
        return (patches[:, None] * weights[None, :, :, None]).sum(2).unflatten(2, (side, side))

    def step(model: Plain, name: Step, x: Tensor) -> Tensor:
        changed = [m for m in model.backbone.modules() if isinstance(m, nn.Conv2d)]
        for module in changed:
            module.forward = lambda x, module=module: spelled(module, x)  # type: ignore[method-assign, misc]
        return model.step(name, x)

    sound, found = opinion_on(lambda model, name, x: model.step(name, x)), opinion_on(step)
    assert found.agrees
    assert suspicious(found.share, sound.share)


def test_costs_that_shapes_do_not_tell_are_not_cross_checked_and_no_mismatch() -> None:
    def step(model: Plain, name: Step, x: Tensor) -> Tensor:
        y = model.step(name, x)
        return y @ torch.eye(2).to_sparse_csr() if name[0] == "head" else y

    found = opinion_on(step)
    assert (found.agrees, found.untold) == (None, ["mm"])


def _result(**changes: Any) -> Any:
    sound = {
        "point": "full",
        "images": 1,
        "macs": 100,
        "recorded": 100,
        "untold": [],
        "outside": {"relu": 10},
        "alike": True,
    }
    return SimpleNamespace(job="plain-s0", opinions=[Opinion.model_validate(sound | changes)])


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, None),
        ({"recorded": 4800}, "plain-s0 at full: 100 MACs are counted and 4,800 recorded by torch's profiler: work is"),
        ({"alike": False}, "plain-s0 at full: what is answered changes while it is counted"),
        ({"outside": {"mul": 90}}, "plain-s0 at full: operators outside the convention touch 0.90 elements for every"),
        ({"recorded": 0, "untold": ["linear"]}, "plain-s0: costs are not cross-checked, the profiler cannot tell lin"),
    ],
)  # fmt: skip
def test_a_run_warns_of_a_series_whose_costs_are_doubtful(changes: dict[str, Any], line: str | None) -> None:
    found = outputs._costs(_result(**changes), plain=0.1)
    assert len(found) == (line is not None)
    assert line is None or found[0].startswith(line)


@pytest.mark.parametrize(
    ("counters", "lines"),
    [
        ({"torch": 1000, "profiler": 1000, "ptflops": 1009}, 0),
        ({"torch": 1000, "profiler": None, "ptflops": None}, 0),
        ({"torch": 1000, "profiler": 1001, "ptflops": 1000}, 1),
        ({"torch": 1000, "profiler": 1000, "ptflops": 500}, 1),
    ],
)
def test_counters_that_disagree_on_the_plain_network_are_a_warning(counters: dict[str, Any], lines: int) -> None:
    assert len(outputs._counters(counters)) == lines


def test_a_run_records_both_opinions_on_every_trail_and_warns_of_none(finished: Finished) -> None:
    record = json.loads((Path(finished.folder) / "run.json").read_text())
    for model in record["models"]:
        found = [Opinion.model_validate(one) for one in model["costs_counted_twice"]]
        static = {point["name"] for point in model["points"] if point["router"]["kind"] == "constant"}
        routed = {point["name"] for point in model["points"]} - static
        images = {one.point: one.images for one in found}
        assert dict.fromkeys(static, 1).items() <= images.items()
        assert bool(routed) == bool(images.keys() - static) == (model["method"] == "earlyexit")
        assert sum(images[name] for name in images.keys() - static) <= 3  # trails through the cascade
        assert all(one.agrees for one in found)
    counters = record["plain_macs"]
    assert counters["torch"] == counters["profiler"] == counters["ptflops"] - 10
    assert not [line for line in record["warnings"] if "counted" in line or "outside" in line]
