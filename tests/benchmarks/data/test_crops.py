"""Random-resized crops as functions of uniform numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.data.crops import DRAWS, RATIO, SCALE, crop_box, mirrored

UNIFORM = st.floats(0, 1, exclude_max=True, width=32)


@given(st.integers(1, 3000), st.integers(1, 3000), st.lists(UNIFORM, min_size=DRAWS, max_size=DRAWS))
def test_a_box_lies_within_the_image(width: int, height: int, draws: list[float]) -> None:
    left, top, right, bottom = crop_box(width, height, np.array(draws))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_area_ratio_and_place_are_distributed_as_they_should_be() -> None:
    draws = np.random.default_rng(0).random((4000, DRAWS))
    left, top, right, bottom = np.array([crop_box(1000, 1000, row) for row in draws]).T
    width, height = right - left, bottom - top
    area, slant = width * height / 1e6, np.log(width / height)
    assert SCALE[0] - 0.01 <= area.min() <= area.max() <= SCALE[1]
    assert np.abs(slant).max() <= np.log(RATIO[1]) + 0.01
    assert slant.mean() == pytest.approx(0, abs=0.01)
    # up to 3/4 of the area every ratio fits, so there areas are uniform
    small = area[area < 0.75]
    assert np.histogram(small, 4, (0.08, 0.75))[0] / len(small) == pytest.approx(0.25, abs=0.03)
    free = width < 900
    assert (left[free] / (1000 - width[free])).mean() == pytest.approx(0.5, abs=0.02)
    assert np.mean([mirrored(row) for row in draws]) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("size", "box"), [((1000, 10), (493, 0, 506, 10)), ((9, 900), (0, 444, 9, 456)), ((1, 1), (0, 0, 1, 1))]
)
def test_where_no_try_fits_the_largest_middle_box_is_taken(size: tuple[int, int], box: tuple[int, ...]) -> None:
    draws = np.full(DRAWS, 0.99)  # nearly the whole area, nearly 4:3
    assert crop_box(*size, draws) == box


def test_the_first_try_that_fits_is_taken() -> None:
    draws = np.full(DRAWS, 0.999)
    draws[2:4] = 0.0, 0.5  # the second: 8% of the area, a square
    draws[-3:-1] = 0.0, 0.5
    # the first would be 115 wide; the side of the second is the root of 800
    assert crop_box(100, 100, draws) == (0, 36, 28, 64)
