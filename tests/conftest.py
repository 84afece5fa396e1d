"""Every test on one thread: bit-for-bit facts must not depend on how work is split, and machines are shared."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)
