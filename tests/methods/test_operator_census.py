"""A census of this torch's operators (`tox -e census`): what a new torch brings that the count does not know.

Nothing here can go wrong in silence: an operator that is not known is refused wherever it is met. The lists beside this
file say which are known to be refused, and which contract something and are outside the convention on purpose.
"""

import tomllib
import warnings
from collections.abc import Iterator
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from methods.counting import count
from methods.counting.kinds import Kind, kind_of
from methods.errors import MethodError

pytestmark = pytest.mark.census

KNOWN = tomllib.loads(Path(__file__).with_name("operator_census.toml").read_text(encoding="utf-8"))
SPACES = ("aten", "quantized", "mkldnn", "torchvision")
ELEMENTS, SAMPLES, ROWS = 400, 4, 30
"""Sizes of a sample, samples of an operator, and rows of a derivative that are looked at."""


def unknown() -> set[str]:
    """Names of forward operators that the count refuses."""
    found = set()
    for full in torch._C._dispatch_get_all_op_names():
        space, _, rest = full.partition("::")
        name, _, overload = rest.partition(".")
        if space in SPACES and "backward" not in name and not name.startswith("_test"):
            packet = getattr(getattr(torch.ops, space), name)
            if kind_of(getattr(packet, overload or "default")) is Kind.UNKNOWN:
                found.add(f"{space}.{name}")
    return found


def test_no_operator_is_new_to_the_count() -> None:
    new = sorted(unknown() - set(KNOWN["refused"]))
    assert new == [], "sort these into methods/counting (a formula, free, outside) or list them as refused"


def test_no_operator_of_torchs_own_samples_contracts_and_counts_nothing() -> None:
    pytest.importorskip("expecttest", reason="torch's samples need it: tox -e census has it")
    from torch.testing._internal.common_methods_invocations import op_db

    counted, hollow = 0, set()
    for operator in op_db:
        if torch.float64 in operator.supported_dtypes("cpu") and operator.supports_autograd:
            for inputs, result, macs in samples(operator):
                counted += macs > 0
                if not macs and contracts(inputs, result):
                    hollow.add(operator.name)
    assert counted > 20
    assert sorted(hollow - set(KNOWN["elementwise"])) == []


def samples(operator: Any) -> Iterator[tuple[list[Tensor], Tensor, int]]:
    """Inputs that have a gradient, the first output and MACs, of a few small samples that can be counted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        drawn = islice(operator.sample_inputs("cpu", torch.float64, requires_grad=True), 3 * SAMPLES)
        for sample in islice((s for s in drawn if 0 < elements(s) <= ELEMENTS), SAMPLES):
            try:
                done = count(lambda sample=sample: operator(sample.input, *sample.args, **sample.kwargs))  # type: ignore[misc]
            except MethodError:
                return
            outputs = [y for y in tree_leaves(done.result) if isinstance(y, Tensor) and y.requires_grad and _dense(y)]
            if outputs:
                yield learnable(sample), outputs[0].flatten(), done.macs


def learnable(sample: Any) -> list[Tensor]:
    found = tree_leaves((sample.input, sample.args, sample.kwargs))
    return [x for x in found if isinstance(x, Tensor) and x.requires_grad and _dense(x)]


def _dense(x: Tensor) -> bool:
    return x.layout == torch.strided and x.numel() > 0


def elements(sample: Any) -> int:
    return sum(x.numel() for x in learnable(sample))


def contracts(inputs: list[Tensor], result: Tensor) -> bool:
    """Whether one number of the result mixes several of one input with several of another: a product, summed."""
    number = result[result.detach().abs().nan_to_num().argmax()]
    for one, other in combinations(inputs, 2):
        try:
            (slope,) = torch.autograd.grad(number, one, create_graph=True, allow_unused=True)
            rows = [] if slope is None else [x for x in slope.flatten()[:ROWS] if x.requires_grad]
            mixed = [torch.autograd.grad(row, other, retain_graph=True, allow_unused=True)[0] for row in rows]
        except RuntimeError:  # it has no such derivative: no product lacks one
            continue
        found = [row.flatten() != 0 for row in mixed if row is not None]
        if found and min(int(torch.stack(found).any(dim).sum()) for dim in (0, 1)) > 1:
            return True
    return False
