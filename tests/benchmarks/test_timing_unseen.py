"""No call of a timing process is on an image that the process has executed before."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from harness import training_set

from benchmarks.core.progress import drive
from benchmarks.core.trust import sha256
from benchmarks.models import Checked
from benchmarks.timing import worker
from benchmarks.timing.worker import Served, Unseen
from methods import plugins
from methods.base import Constant, OperatingPoint
from methods.registry import create, parse_settings
from methods.storage import save

FAULTS = Path(__file__).parents[1] / "conformance/faults.py"
MEAN, STD = (0.2, 0.5, 0.5), (0.1, 0.25, 0.3)


def batches(count: int = 3, size: int = 4) -> list[torch.Tensor]:
    """Standardised images [size, 3, 8, 8] of all pixel values, black and white among them."""
    pixels = torch.randint(0, 256, (count * size, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    pixels[:, :, 0], pixels[:, :, 1] = 0, 255
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (MEAN, STD))
    inputs = ((pixels / 255 - mean) / std).contiguous(memory_format=torch.channels_last)
    return list(inputs.split(size))


def levels(inputs: torch.Tensor) -> torch.Tensor:
    """Pixel levels, 0 to 255, of standardised inputs."""
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (MEAN, STD))
    return (inputs * std + mean) * 255


def test_every_look_is_another_image_and_at_most_one_level_away() -> None:
    shown = batches()
    unseen = Unseen(shown, MEAN, STD)
    assert len(unseen) == 3
    seen = [unseen[place % 3] for place in range(30)]
    assert len({image.numpy().tobytes() for batch in (*shown, *seen) for image in batch}) == 12 + 120
    for place, batch in enumerate(seen):
        away = (levels(batch) - levels(shown[place % 3])).abs()
        assert float(away.max()) == pytest.approx(1, abs=1e-3)
        assert 0.5 < float((away > 0.5).float().mean()) < 0.7  # two thirds, but where black or white cannot go on
        assert -1e-3 <= float(levels(batch).min()) < float(levels(batch).max()) <= 255 + 1e-3
        assert batch.is_contiguous(memory_format=torch.channels_last)


def test_two_processes_see_the_same_images_at_the_same_number_and_no_number_those_of_another() -> None:
    one, other = Unseen(batches(), MEAN, STD), Unseen(batches(), MEAN, STD)
    _ = one[0]  # warmed up for another time
    looks: list[list[bytes]] = []
    for unseen in (one, other):
        looks.append([])
        for number in range(3):
            unseen.turn_to(number)
            looks[-1] += [image.numpy().tobytes() for batch in (unseen[0], unseen[0]) for image in batch]
    assert looks[0] == looks[1]
    assert len(set(looks[0])) == 3 * 2 * 4


class Nobody:
    def look(self) -> None: ...
    def others(self) -> float:
        return 0.0

    def flags(self, others: float) -> list[str]:
        return []


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Served:
    """A worker with a method that answers from memory at the third visit, at two points, and 80 images."""
    plugins.add(FAULTS)
    model = create("fromthethirdvisit", parse_settings("fromthethirdvisit", {}), "resnet8:width=2", 10, (3, 8, 8), 0)
    model.points = tuple(OperatingPoint(name=name, router=Constant(answer=0)) for name in ("a", "b"))
    save(model, tmp_path / "model.safetensors", "fromthethirdvisit", "resnet8:width=2")
    data = training_set(80)
    np.save(tmp_path / "images.npy", data.images.inputs(data.images.take(np.arange(80))).contiguous().numpy())
    monkeypatch.setattr("benchmarks.timing.signs.Signs", lambda *given: Nobody())
    return Served()


def loaded(served: Served, folder: Path, batch: int) -> Any:
    path = folder / "model.safetensors"
    asked = Checked(path, sha256(path)).request()
    served.load([asked], str(folder / "images.npy"), batch, 1, [], plugins=[str(FAULTS)])
    return served.models[0]


@pytest.mark.parametrize("batch", [1, 64])
def test_a_memory_of_images_serves_no_timed_call(served: Served, tmp_path: Path, batch: int) -> None:
    model = loaded(served, tmp_path, batch)
    drive(served.session([(0, "a"), (0, "b")], 0.1, (3, 5), 0, []))
    for number in range(3):
        served.warm(0, "a")
        served.block(0, "a", 0, 3, number)
    served.peaks([(0, "a"), (0, "b")], [0, 0])
    served.nodes()
    assert model.served == 0
    assert len(model.memory) > 100


def test_without_the_noise_the_memory_serves(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "Unseen", lambda batches, mean, std: batches)
    model = loaded(served, tmp_path, 64)
    drive(served.session([(0, "a"), (0, "b")], 0.1, (3, 5), 0, []))
    assert model.served > 5
