"""Every test on one thread: bit-for-bit facts must not depend on how work is split, and machines are shared.

For the same reason no example of a property has a deadline.
"""

import pytest
import torch
from hypothesis import settings

settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)
