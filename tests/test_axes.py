"""Signals are images of one row, and images are volumes of one plane."""

import hypothesis.strategies as st
import pytest
import tensorflow as tf
from cases import FLOATS, bordered_cases, examples, random_bits, seeds
from compare import assert_same_bits
from graphs import in_graph
from hypothesis import given

import tf_patches

LISTS = ("sizes", "strides", "rates")


def with_an_axis_more(shape, grid):
    """The same of images that have another axis, of one pixel."""
    more = {name: [1, *grid[name]] for name in LISTS}
    if not isinstance(grid["padding"], str):
        more["padding"] = [[0, 0], *grid["padding"]]
    return (shape[0], 1, *shape[1:]), {**grid, **more}


@examples(300)
@given(st.sampled_from(FLOATS), bordered_cases(axes=[1, 2]), seeds)
def test_an_axis_of_one_pixel_changes_nothing(dtype, case, seed):
    images = random_bits(case.shape, dtype, seed)
    shape, grid = with_an_axis_more(*case)
    patches = tf_patches.extract_patches(images, **case.grid)
    more = tf_patches.extract_patches(images.reshape(shape), **grid)
    assert_same_bits(more[:, 0], patches)
    assert_same_bits(
        tf_patches.fold_patches(more, shape, **grid)[:, 0],
        tf_patches.fold_patches(patches, case.shape, **case.grid),
    )


@examples(300)
@given(bordered_cases(axes=[1], modes=["CONSTANT"], explicit=False), seeds)
def test_signals_equal_builtin_on_a_row(case, seed):
    signals = random_bits(case.shape, "float32", seed)
    shape, grid = with_an_axis_more(*case)
    lists = [grid[name] for name in LISTS]
    rows = tf.image.extract_patches(signals.reshape(shape), *lists, grid["padding"])
    assert_same_bits(tf_patches.extract_patches(signals, **case.grid), rows[:, 0])


def test_three_values_mean_what_the_rank_says():
    """[1, 2, 1] is TensorFlow's form for signals, and one number an axis of volumes."""
    extract = tf_patches.extract_patches
    signal = random_bits((2, 9, 3), "float32", seed=1)
    volume = random_bits((2, 5, 8, 9, 3), "float32", seed=1)
    of_signal = extract(signal, [2])
    assert_same_bits(extract(signal, [1, 2, 1]), of_signal)
    assert_same_bits(
        in_graph(lambda x: extract(x, [1, 2, 1]), signal, signature=[None]), of_signal
    )
    assert_same_bits(extract(volume, [1, 2, 1]), extract(volume, [1, 1, 2, 1, 1]))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_there_and_back_where_nothing_is_known_of_shapes(axes):
    images = random_bits((2, *[5, 6, 7][-axes:], 3), "float32", seed=1)
    grid = dict(sizes=[1, *[3] * axes, 1], strides=[1, *[2] * axes, 1], mode="EDGE")

    def there_and_back(images):
        patches = tf_patches.extract_patches(images, **grid, padding="SAME")
        shape = tf.shape(images)
        return patches, tf_patches.fold_patches(patches, shape, **grid, padding="SAME")

    expected = there_and_back(tf.constant(images))
    for result, known in zip(
        in_graph(there_and_back, images, signature=[None]), expected, strict=True
    ):
        assert_same_bits(result, known)
