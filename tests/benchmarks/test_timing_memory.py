"""The peak of live memory, against what is known by hand."""

import pytest
import torch

from benchmarks.timing.memory import peak_bytes

CPU = torch.device("cpu")


def kb() -> torch.Tensor:
    """1,024 bytes."""
    return torch.rand(256)


def test_the_peak_is_of_what_is_alive_at_once_and_repeats_to_the_byte() -> None:
    def work(x: torch.Tensor) -> torch.Tensor:
        for _ in range(10):
            x = x.neg()  # two at a time: the old one goes when the new one is there
        return x

    assert peak_bytes(work, kb, CPU) == peak_bytes(work, kb, CPU) == 2 * 1024


def test_what_was_there_before_does_not_count_and_what_is_returned_does() -> None:
    weights = torch.rand(1_000_000)
    assert peak_bytes(lambda x: x + weights[:256], kb, CPU) == 1024
    assert peak_bytes(lambda x: [x.neg(), x.abs(), x.exp()], kb, CPU) == 3 * 1024
    assert peak_bytes(lambda x: x, kb, CPU) == 0


def test_what_an_operator_takes_for_itself_counts() -> None:
    x = torch.rand(64, 64)
    once = peak_bytes(lambda x: x @ x, lambda: x, CPU)
    assert once >= 4 * 64 * 64
    assert peak_bytes(lambda x: (x @ x) @ x, lambda: x, CPU) == pytest.approx(once + 4 * 64 * 64)
