"""Every test on one thread: bit-for-bit facts must not depend on how work is split, and machines are shared.

For the same reason no example of a property has a deadline. Runs of the tests execute fewer images by themselves than
runs of users do: one image after another, which is most of the time of a run of seconds.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")

FEW = ((1, 8), (7, 28), (256, 256))
"""Batch size, and how many test images are executed with it: `evaluation.execution.CHECKS` of a run in a test."""


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    import torch  # not above: whoever only hands out the tests needs none

    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def users_checks() -> Iterator[Any]:
    """What `FEW` stands in for."""
    from benchmarks.evaluation import execution

    with pytest.MonkeyPatch.context() as patched:
        users = execution.CHECKS
        patched.setattr(execution, "CHECKS", FEW)
        yield users


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """The data sets that need no files, as users get them: drawn once, as shapes take seconds."""
    import benchmarks.data

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("COST_ADJUSTABLE_CACHE", str(tmp_path_factory.mktemp("embedded")))
        return {name: benchmarks.data.load(name) for name in ("digits", "shapes")}
