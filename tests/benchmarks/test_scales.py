"""Predictions over test sizes: similarity by hand, and the untouched image among the sizes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from harness import model

from benchmarks.core.errors import UsageError
from benchmarks.core.progress import drive
from benchmarks.data.base import Split
from benchmarks.data.batches import Images
from benchmarks.scales import RECORD, SIMILARITY, mean_similarity, scaled, sides, stored, write

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 3, 8, 8), dtype=np.uint8)
SPLIT = Split(PIXELS, np.arange(20) % 10, np.arange(20))
IMAGES = Images.of(SPLIT, (0.5,) * 3, (0.25,) * 3, torch.device("cpu"))
ALL = np.arange(20)


def test_similarity_is_the_mean_cosine_over_pairs() -> None:
    a, b, c = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]]), torch.tensor([[0.0, 1.0]])
    # 1/sqrt(2), 0 and 1/sqrt(2)
    assert mean_similarity([a, b, c]).item() == pytest.approx(2 / 3 / 2**0.5)


def test_equal_predictions_are_wholly_alike_whatever_their_scale() -> None:
    said = torch.rand(5, 10, generator=torch.Generator().manual_seed(0))
    assert mean_similarity([said, said / 2, said]).numpy() == pytest.approx(np.ones(5))


def test_sides_are_distinct_rounded_shares() -> None:
    assert sides(32, [1.0, 0.5, 0.75]) == (16, 24, 32)
    assert sides(8, [0.5, 0.55, 1.0]) == (4, 8)
    assert sides(8, [0.01, 1.5]) == (1, 12)


@pytest.mark.parametrize("method", ["plain", "sdpoint", "earlyexit"])
def test_the_full_side_is_the_full_model_on_the_image_untouched(method: str) -> None:
    network = model(method).eval()
    found = drive(scaled(network, IMAGES, ALL, [0.5, 1.0]))
    assert found.sides == (4, 8)
    (inputs, labels), *_ = IMAGES.batches(ALL, 20)
    with torch.inference_mode():
        right = network(inputs).logits.argmax(1) == labels
    assert found.correct[1].tolist() == right.tolist()
    assert found.similarity.shape == (20,)
    assert (found.similarity <= 1 + 1e-9).all()


def test_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    network = model().eval()
    whole = drive(scaled(network, IMAGES, ALL, [0.5, 0.75, 1.0]))
    monkeypatch.setattr("benchmarks.scales.batch_size", lambda images: 3)
    parts = drive(scaled(network, IMAGES, ALL, [0.5, 0.75, 1.0]))
    assert parts.similarity == pytest.approx(whole.similarity, abs=1e-5)


def test_some_images_are_those_images() -> None:
    network, some = model().eval(), np.array([3, 11, 19])
    few, whole = (drive(scaled(network, IMAGES, chosen, [0.5, 1.0])) for chosen in (some, ALL))
    assert few.similarity == pytest.approx(whole.similarity[some], abs=1e-5)


def test_a_damaged_table_of_similarities_is_one_line(tmp_path: Path) -> None:
    header = "method,variant,seed,images,similarity,low,high,above_plain,above_low,above_high\n"
    write(tmp_path, header + "sdpoint,default,0,40,0.9,0.8,0.95,0.1,0.05,0.15\n", "seed,side,accuracy\n0,8,0.5\n")
    (alike,) = stored(tmp_path)
    assert (alike.label, alike.above.mean, alike.sides) == ("sdpoint", 0.1, "8")
    whole = (tmp_path / SIMILARITY).read_text()
    for content in (whole.replace("0.1,", "0.5,"), whole[:-3], ""):
        (tmp_path / SIMILARITY).write_text(content)
        with pytest.raises(UsageError, match="is damaged or was changed"):
            stored(tmp_path)
    (tmp_path / RECORD).unlink()
    (tmp_path / SIMILARITY).write_text(header + "sdpoint,default,x,40,0.9,0.8,0.95,0.1,0.05,0.15\n")
    with pytest.raises(UsageError, match="is none of this version"):
        stored(tmp_path)
    (tmp_path / SIMILARITY).unlink()
    assert stored(tmp_path) == []
