"""The factors that weight tiles, by the formulas of those who had them first."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_patches import windows

SIZES = [1, 2, 3, 7, 8, 64, 255, 512]


@pytest.mark.parametrize("size", SIZES)
def test_gaussian_is_that_of_monai(size):
    # As MONAI's compute_importance_map makes it along one axis, and its limit.
    sigma = 0.125 * size
    x = np.arange(-(size - 1) / 2, (size - 1) / 2 + 1)
    bell = np.exp(x**2 / (-2 * sigma**2))
    np.testing.assert_allclose(
        windows.gaussian(size), np.clip(bell, max(bell.min(), 1e-3), None), rtol=1e-13
    )


@pytest.mark.parametrize("size", SIZES)
def test_hann_is_that_of_torchio(size):
    np.testing.assert_allclose(windows.hann(size), np.hanning(size + 2)[1:-1])


@pytest.mark.parametrize("size", SIZES)
def test_linear_is_bartletts_without_zeros(size):
    bartlett = np.bartlett(size + 2)[1:-1]
    linear = windows.linear(size)
    np.testing.assert_allclose(linear, bartlett / bartlett[0], rtol=1e-12)


@st.composite
def places(draw, at_most_two=False):
    """A size, and the starts of tiles of it that leave no gap."""
    size = draw(st.integers(1, 20))
    least = (size + 1) // 2 if at_most_two else 1
    steps = draw(st.lists(st.integers(least, size), max_size=6))
    first = draw(st.integers(-9, 9))
    return size, first + np.cumsum([0, *steps], dtype=np.int64)


def _sums(starts, factors):
    """The sum of factors over each pixel under a tile."""
    sums = np.zeros(starts[-1] - starts[0] + factors.shape[1])
    for start, factor in zip(starts - starts[0], factors, strict=True):
        sums[start : start + len(factor)] += factor
    return sums


@given(places())
def test_crop_gives_each_pixel_to_the_tile_with_the_nearest_middle(case):
    size, starts = case
    factors = windows.crop(starts, size)
    np.testing.assert_array_equal(_sums(starts, factors), 1)
    pixels = starts[:, None] + np.arange(size)
    middles = starts + (size - 1) / 2
    distances = np.abs(pixels[..., None] - middles)
    own = np.abs(pixels - middles[:, None])
    nearest = distances.min(-1)
    assert (own[factors == 1] <= nearest[factors == 1] + 0.5).all()


@given(places(at_most_two=True))
def test_cosine_adds_up_to_one_where_two_tiles_meet(case):
    size, starts = case
    factors = windows.cosine(starts, size)
    np.testing.assert_allclose(_sums(starts, factors), 1, rtol=1e-14)


@given(places())
def test_cosine_is_never_zero_and_one_where_a_tile_is_alone(case):
    size, starts = case
    factors = windows.cosine(starts, size)
    assert factors.min() > 0 and factors.max() <= 1
    alone = (
        _sums(starts, np.ones_like(factors))[
            starts[:, None] - starts[0] + np.arange(size)
        ]
        == 1
    )
    np.testing.assert_array_equal(factors[alone], 1)


def test_cosine_by_hand():
    expected = np.sin(np.pi * (np.arange(3) + 0.5) / 6) ** 2
    factors = windows.cosine(np.array([0, 5]), 8)
    np.testing.assert_allclose(factors[1], [*expected, 1, 1, 1, 1, 1])
    np.testing.assert_allclose(factors[0], [1, 1, 1, 1, 1, *expected[::-1]])


@pytest.mark.parametrize("window", [windows.cosine, windows.crop])
def test_no_tiles(window):
    assert window(np.zeros(0, np.int64), 4).shape == (0, 4)
