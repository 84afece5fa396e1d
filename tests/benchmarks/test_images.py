"""Images on a device: batches, standardisation, and augmentation against a naive one."""

from collections.abc import Mapping
from pathlib import Path

import harness
import numpy as np
import pandas as pd
import pytest
import torch
from harness import do, points, small
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks.data import load
from benchmarks.data.base import DataSet, Split
from benchmarks.data.batches import Images, InMemory, Streamed, shifted


def some(count: int, height: int, width: int) -> torch.Tensor:
    draws = torch.Generator().manual_seed(count)
    return torch.randint(1, 256, (count, height, width, 3), dtype=torch.uint8, generator=draws)


def naive(pixels: torch.Tensor, rows: torch.Tensor, flip: bool, crop: int, generator: torch.Generator) -> torch.Tensor:
    """One image after the other: shift, reflecting at the edges, then mirror."""
    n = len(rows)
    down = torch.randint(-crop, crop + 1, (n, 1), generator=generator)[:, 0]
    right = torch.randint(-crop, crop + 1, (n, 1), generator=generator)[:, 0]
    mirrored = torch.rand(n, 1, generator=generator)[:, 0] < 0.5 if flip else torch.zeros(n)
    height, width = pixels.shape[1:3]
    found = torch.zeros(n, height, width, 3, dtype=torch.uint8)
    for i, row in enumerate(rows):
        for y in range(height):
            for x in range(width):
                source_y = y + int(down[i])
                source_x = (width - 1 - x if mirrored[i] else x) + int(right[i])
                found[i, y, x] = pixels[row, reflected(source_y, height), reflected(source_x, width)]
    return found


def reflected(place: int, size: int) -> int:
    if place < 0:
        place = -place
    if place > size - 1:
        place = 2 * (size - 1) - place
    return min(max(place, 0), size - 1)


@given(
    st.integers(1, 5), st.integers(1, 6), st.integers(1, 6), st.booleans(), st.integers(0, 3), st.integers(0, 2**31)
)  # fmt: skip
def test_augmentation_is_the_naive_one_image_by_image(
    count: int, height: int, width: int, flip: bool, crop: int, seed: int
) -> None:
    pixels = some(4, height, width)
    rows = torch.randint(0, 4, (count,), generator=torch.Generator().manual_seed(seed))
    fast = shifted(pixels, rows, flip, crop, torch.Generator().manual_seed(seed))
    slow = naive(pixels, rows, flip, crop, torch.Generator().manual_seed(seed))
    assert torch.equal(fast, slow)


def test_without_flip_and_crop_images_stay_as_they_are() -> None:
    pixels, rows = some(5, 4, 4), torch.tensor([4, 0, 0])
    assert torch.equal(shifted(pixels, rows, False, 0, torch.Generator()), pixels[rows])


def test_flips_and_shifts_are_as_likely_as_they_should_be() -> None:
    pixels = torch.zeros(1, 7, 7, 3, dtype=torch.uint8)
    pixels[0, 3, 2] = 255  # left of the middle, and so far from the edge that no reflection shows it
    rows = torch.zeros(4000, dtype=torch.int64)
    found = shifted(pixels, rows, True, 1, torch.Generator().manual_seed(0))[..., 0] > 0
    assert (found.sum((1, 2)) == 1).all()
    by_row, by_column = found.sum((0, 2)) / 4000, found.sum((0, 1)) / 4000
    assert by_row.tolist() == pytest.approx([0, 0, 1 / 3, 1 / 3, 1 / 3, 0, 0], abs=0.03)
    # the pixel at 2 goes to 1, 2, 3; mirrored, at 4, to 3, 4, 5
    assert by_column.tolist() == pytest.approx([0, 1 / 6, 1 / 6, 1 / 3, 1 / 6, 1 / 6, 0], abs=0.03)


def test_augmentation_keeps_the_mean_and_the_deviation_of_the_images() -> None:
    """Else batch-norm statistics of unaugmented images would not be those that training saw."""
    smooth = torch.nn.functional.interpolate(torch.rand(64, 3, 6, 6), size=(32, 32), mode="bilinear")
    pixels = (255 * smooth).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    moved = shifted(pixels, torch.arange(64), True, 4, torch.Generator().manual_seed(0)).float()
    assert moved.mean().item() == pytest.approx(pixels.float().mean().item(), rel=0.01)
    assert moved.std().item() == pytest.approx(pixels.float().std().item(), rel=0.03)


def test_inputs_of_the_training_images_have_mean_zero_and_deviation_one() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 3, 8, 6), dtype=np.uint8)
    scaled = pixels / 255
    mean, std = (tuple(map(float, f((0, 2, 3)))) for f in (scaled.mean, scaled.std))
    images = Images.of(Split(pixels, np.arange(50), np.arange(50)), mean, std, torch.device("cpu"))
    inputs = images.inputs(images.take(np.arange(50)))
    assert inputs.shape == (50, 3, 8, 6)
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    assert inputs.mean((0, 2, 3)).tolist() == pytest.approx([0, 0, 0], abs=1e-5)
    assert inputs.std((0, 2, 3), correction=0).tolist() == pytest.approx([1, 1, 1], abs=1e-5)


CHANNEL = st.tuples(st.floats(0, 1), st.floats(1e-3, 1))
"""Mean and deviation of a channel."""


def everywhere(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    """The inputs of every value a pixel can have, from the harness and from a model, whatever their layout."""
    values = torch.arange(256, dtype=torch.uint8).view(2, 1, 8, 16).expand(2, 3, 8, 16).contiguous()
    split = Split(values.numpy(), np.zeros(2, dtype=np.int64), np.arange(2))
    measured = Images.of(split, mean, std, torch.device("cpu"))
    network = harness.model()
    network.mean, network.std = mean, std  # type: ignore[assignment]
    expected = measured.inputs(measured.take(np.arange(2)))
    for layout in (torch.contiguous_format, torch.channels_last):
        found = network.standardise(values.contiguous(memory_format=layout))
        assert torch.equal(found, expected)
        assert found.is_contiguous(memory_format=layout)
        assert torch.equal(network.standardise(values[:1].contiguous(memory_format=layout)), expected[:1])
    assert (network.unit(expected) - values / 255).abs().max() < 1e-6


def test_a_models_inputs_are_the_harness_ones_bit_for_bit(embedded: Mapping[str, DataSet]) -> None:
    for data in embedded.values():
        everywhere(data.mean, data.std)


@settings(max_examples=25)
@given(st.tuples(CHANNEL, CHANNEL, CHANNEL))
def test_a_models_inputs_are_the_harness_ones_whatever_the_moments(moments: tuple[tuple[float, float], ...]) -> None:
    everywhere(tuple(mean for mean, _ in moments), tuple(std for _, std in moments))


def test_pixels_that_are_floats_already_are_not_written_over() -> None:
    pixels = some(2, 4, 4).float().permute(0, 3, 1, 2)
    before = pixels.clone()
    assert harness.model().standardise(pixels).ne(before).any()
    assert torch.equal(pixels, before)


@given(st.integers(0, 60), st.integers(1, 20))
def test_batches_are_complete_in_order_and_nearly_equal(count: int, size: int) -> None:
    pixels = some(60, 2, 2)
    images = InMemory(pixels, torch.arange(60), torch.ones(3), torch.zeros(3))
    samples = np.arange(60)[::-1][:count].copy()
    batches = list(images.batches(samples, size))
    labels = [int(label) for _, batch in batches for label in batch]
    assert labels == samples.tolist()
    sizes = [len(inputs) for inputs, _ in batches]
    assert not sizes or max(sizes) <= size
    assert not sizes or max(sizes) - min(sizes) <= 1
    for inputs, batch in batches:
        assert torch.equal(inputs, images.inputs(pixels[batch]))


@given(st.integers(2, 2000))
def test_no_batch_of_one_image_is_left_over_to_measure_batch_norms_on(count: int) -> None:
    images = InMemory(torch.zeros(2000, 1, 1, 3, dtype=torch.uint8), torch.zeros(2000), torch.ones(3), torch.zeros(3))
    assert min(len(inputs) for inputs, _ in images.batches(np.arange(count), 256)) > 1


def test_augmented_batches_are_the_shifted_ones_draw_for_draw() -> None:
    pixels, rows = some(30, 6, 5), torch.arange(30).flip(0).split(7)
    images = InMemory(pixels, torch.zeros(30), torch.ones(3), torch.zeros(3))
    draws = torch.Generator().manual_seed(3)
    expected = [shifted(pixels, batch, True, 2, draws) for batch in rows]
    found = list(images.augmented(rows, True, 2, torch.Generator().manual_seed(3)))
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Images, Images]:
    """The same twenty pictures of 16 x 16 pixels, streamed and in memory."""
    root = tmp_path_factory.mktemp("pictures")
    for part, count in (("train", 10), ("test", 2)):
        for label in range(2):
            (root / part / str(label)).mkdir(parents=True)
            for k in range(count):
                colours = np.random.default_rng([label, k]).integers(0, 256, (16, 16 + k, 3), dtype=np.uint8)
                Image.fromarray(colours).save(root / part / str(label) / f"{k}.png")
    streamed, whole = (
        Images.of(data.train, data.mean, data.std, torch.device("cpu"))
        for data in (load("imagefolder", root, {"size": "16", "stream": text}) for text in ("true", "false"))
    )
    assert isinstance(streamed, Streamed)
    assert isinstance(whole, InMemory)
    return streamed, whole


def test_streamed_images_give_the_inputs_of_those_in_memory(both: tuple[Images, Images]) -> None:
    streamed, whole = both
    samples = np.array([3, 19, 0, 4, 3, 11, 12])
    assert streamed.size == whole.size == (16, 16)
    assert torch.equal(streamed.take(samples), whole.take(samples))
    found, expected = (list(images.batches(samples, 3)) for images in both)
    assert [len(labels) for _, labels in found] == [3, 2, 2]
    for (inputs, labels), (others, other_labels) in zip(found, expected, strict=True):
        assert torch.equal(inputs, others)
        assert torch.equal(labels, other_labels)


def test_streamed_training_images_depend_on_the_seed_alone(both: tuple[Images, Images]) -> None:
    streamed, _ = both

    def augmented(seed: int, size: int, flip: bool = True) -> torch.Tensor:
        draws = torch.Generator().manual_seed(seed)
        return torch.cat(list(streamed.augmented(torch.arange(20).split(size), flip, 0, draws)))

    first = augmented(1, 10)
    assert first.shape == (20, 16, 16, 3)
    assert torch.equal(augmented(1, 10), first)
    assert not torch.equal(augmented(2, 10), first)
    mirrored = (augmented(1, 10, flip=False).flip(2) == first).flatten(1).all(1)
    kept = (augmented(1, 10, flip=False) == first).flatten(1).all(1)
    assert (mirrored ^ kept).all()
    assert 4 <= mirrored.sum() <= 16


def test_a_run_on_streamed_pictures_is_the_same_every_time(tmp_path: Path) -> None:
    for part, count in (("train", 12), ("val", 3)):
        for label in range(2):
            (tmp_path / "data" / part / f"n{label}").mkdir(parents=True)
            for k in range(count):
                image = Image.new("RGB", (20 + k, 24), (200 * label, 9 * k, 50))
                image.save(tmp_path / "data" / part / f"n{label}" / f"{k}.JPEG")
    tables = []
    for name in ("one", "two"):
        config = small(
            tmp_path / name, dataset="imagenet", data_root=tmp_path / "data", set={"imagenet.size": "16"}, epochs=2
        )
        _, outcome = do(config)
        assert not outcome.failures
        tables.append(points(tmp_path / name))
    assert set(tables[0]["dataset"]) == {"imagenet-2classes-size16"}
    assert set(tables[0]["samples"]) == {6}
    pd.testing.assert_frame_equal(*tables)
