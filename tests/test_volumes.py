"""Volumes: to the bit as `tf.extract_volume_patches`, where that is right."""

import hypothesis.strategies as st
import numpy as np
import oracle
import pytest
import tensorflow as tf
from cases import (
    COMPLEX,
    FLOATS,
    NUMBERS,
    SHARED_OUT_ANY,
    bordered_cases,
    case,
    examples,
    random_bits,
    seeds,
    signatures,
)
from compare import (
    assert_same_bits,
    assert_same_numbers,
    assert_same_outcome,
    refused_late,
)
from derivatives import pullback
from graphs import in_graph
from hypothesis import given

import tf_patches

BUILTIN_DTYPES = [dtype for dtype in NUMBERS if dtype not in COMPLEX]


def volumes(fits=True):
    return bordered_cases(axes=[3], modes=["CONSTANT"], explicit=False, fits=fits)


def ours(volumes, grid):
    return tf_patches.extract_volume_patches(volumes, *_arguments(grid))


def builtin(volumes, grid):
    return tf.extract_volume_patches(volumes, *_arguments(grid))


def _arguments(grid):
    return grid["sizes"], grid["strides"], grid["padding"]


def documented(grid):
    """The grid by the oracle's names."""
    same = grid["padding"] == "SAME"
    padding = "SAME_UNCLAMPED" if same else "VALID"
    return {**grid, "rates": [1] * 5, "padding": padding}


@examples(1500)
@given(st.sampled_from(BUILTIN_DTYPES), volumes(fits=False), seeds)
def test_eager_equals_builtin(dtype, case, seed):
    images = tf.constant(random_bits(case.shape, dtype, seed))
    assert_same_outcome(
        lambda: ours(images, case.grid), lambda: builtin(images, case.grid)
    )


@examples(300)
@given(st.sampled_from(BUILTIN_DTYPES), st.data(), volumes(fits=False), seeds)
def test_graph_equals_builtin(dtype, data, case, seed):
    images = random_bits(case.shape, dtype, seed)
    known = data.draw(signatures(case.shape))

    def run(op):
        return in_graph(lambda x: op(x, case.grid), images, signature=[known])

    assert_same_outcome(
        lambda: refused_late(lambda: run(ours)),
        lambda: refused_late(lambda: run(builtin)),
    )


# Those of SHARED_OUT_ANY that the built-in can do.
SHARED_OUT = [
    case
    for case in SHARED_OUT_ANY
    if len(case.shape) == 5 and case.grid["rates"] == [1] * 5 and len(case.grid) == 4
]


@pytest.mark.parametrize("dtype", ["uint8", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("shape, grid", SHARED_OUT)
def test_shared_out_equals_builtin(dtype, shape, grid):
    images = tf.constant(random_bits(shape, dtype, seed=1))
    assert_same_bits(ours(images, grid), builtin(images, grid))


# TensorFlow's gradient of half-precision volumes sums in single precision, and
# its gradient of images rounds at every addition, as ours does of both. It
# fails on volumes without a batch or depth.
@examples(300)
@given(st.sampled_from(FLOATS), volumes(), seeds)
def test_gradient_equals_builtin(dtype, case, seed):
    shape, grid = case
    patches_shape = oracle.patches_shape(shape, **documented(grid))
    upstream = random_bits(patches_shape, dtype, seed)
    if dtype == "float16":
        integers = np.random.default_rng(seed).integers(-4, 5, patches_shape)
        upstream = integers.astype(dtype)

    def gradient(op):
        return pullback(lambda x: op(x, grid), tf.zeros(shape, dtype), upstream)

    expected = oracle.fold(upstream, shape, **documented(grid))
    assert_same_numbers(gradient(ours), expected)
    if shape[0] * shape[-1] > 0:
        assert_same_numbers(gradient(builtin), expected)


def test_gradient_where_nothing_is_known_of_shapes():
    shape, grid = case((2, 3, 4, 5, 2), (2, 2, 3), (1, 3, 4), (1, 1, 1), "SAME")
    upstream = random_bits(
        oracle.patches_shape(shape, **documented(grid)), "float32", seed=1
    )

    def gradient(images, upstream):
        return pullback(lambda x: ours(x, grid), images, upstream)

    images = tf.zeros(shape)
    expected = pullback(lambda x: builtin(x, grid), images, upstream)
    given_nothing = in_graph(gradient, images, upstream, signature=[None, None])
    assert_same_numbers(given_nothing, expected)


def _second(op, images, direction):
    """The derivative of the gradient, of a function of which it is not constant."""

    def energy(images):
        return tf.reduce_sum(op(images) ** 3)

    return pullback(lambda x: tf.reduce_sum(pullback(energy, x) * direction), images)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_second_derivatives_equal_builtin(padding):
    shape, grid = case((2, 3, 4, 5, 2), (2, 1, 3), (1, 2, 2), (1, 1, 1), padding)
    # Integers, whose sums are exact: the two add in another order.
    random = np.random.default_rng(1)
    images, direction = tf.constant(random.integers(-9, 9, (2, *shape)), tf.float64)
    second = _second(lambda x: ours(x, grid), images, direction)
    expected = _second(lambda x: builtin(x, grid), images, direction)
    assert np.abs(expected).max() > 0
    assert_same_bits(second, expected)


# Along an axis, patches of one pixel, and patches that leave pixels out before
# the first and after the last: an even number of them, and an odd.
@pytest.mark.parametrize("image", range(1, 9))
@pytest.mark.parametrize("size", [1, 2, 3])
def test_same_begins_inside_of_the_volume_as_builtin_does(image, size):
    volume = tf.reshape(tf.range(1, image + 1), [1, 1, 1, image, 1])
    for stride in range(1, 10):
        arguments = [1, 1, 1, size, 1], [1, 1, 1, stride, 1], "SAME"
        assert_same_bits(
            tf_patches.extract_volume_patches(volume, *arguments),
            tf.extract_volume_patches(volume, *arguments),
        )


@examples(100)
@given(st.sampled_from(BUILTIN_DTYPES), volumes(), seeds)
def test_extract_patches_does_the_same_where_patches_touch(dtype, case, seed):
    shape, grid = case
    reach = zip(grid["sizes"], grid["strides"], strict=True)
    grid = {**grid, "rates": [1] * 5, "strides": [min(pair) for pair in reach]}
    images = random_bits(shape, dtype, seed)
    assert_same_bits(tf_patches.extract_patches(images, **grid), ours(images, grid))


@examples(100)
@given(volumes(), seeds)
def test_rates_and_modes_of_volumes(case, seed):
    """What the built-in has not: as the oracle, of the padding that it has."""
    shape, grid = case
    images = random_bits(shape, "float32", seed)
    given_more = {"rates": grid["rates"], "mode": "SYMMETRIC"}
    padding = documented(grid)["padding"]
    patches = tf_patches.extract_volume_patches(images, *_arguments(grid), **given_more)
    expected = oracle.extract(images, **{**grid, **given_more, "padding": padding})
    assert_same_bits(patches, expected)


BY_NAME = dict(ksizes=[1, 2, 1, 2, 1], strides=[1, 1, 2, 1, 1], padding="SAME")


def test_takes_builtin_s_arguments_by_name_and_by_position():
    volume = random_bits((1, 4, 3, 4, 2), "float32", seed=1)
    expected = tf.extract_volume_patches(volume, **BY_NAME)
    extract = tf_patches.extract_volume_patches
    assert_same_bits(extract(input=volume, **BY_NAME), expected)
    assert_same_bits(extract(volume, *BY_NAME.values(), "name"), expected)
    with tf.Graph().as_default():
        patches = extract(tf.zeros([1, 4, 3, 4, 2]), **BY_NAME, name="cut")
    assert patches.op.name == "cut"


REFUSED = {
    "patch too large": dict(ksizes=[1, 2, 9, 2, 1], padding="VALID"),
    "zero size": dict(ksizes=[1, 2, 0, 2, 1]),
    "negative size": dict(ksizes=[1, 2, -1, 2, 1]),
    "zero stride": dict(strides=[1, 0, 1, 1, 1]),
    "batch": dict(ksizes=[2, 2, 2, 2, 1]),
    "depth": dict(strides=[1, 1, 1, 1, 2]),
    "short list": dict(ksizes=[1, 2, 2, 1]),
    "no padding": dict(padding="FOO"),
    "an image": dict(input=np.zeros([1, 4, 4, 1], np.float32)),
    "six axes": dict(input=np.zeros([1, 1, 4, 4, 4, 1], np.float32)),
}


@pytest.mark.parametrize("wrong", REFUSED.values(), ids=REFUSED)
def test_refuses_what_builtin_refuses(wrong):
    call = {"input": np.zeros([1, 4, 4, 4, 1], np.float32), **BY_NAME, **wrong}
    assert_same_outcome(
        lambda: tf_patches.extract_volume_patches(**call),
        lambda: tf.extract_volume_patches(**call),
    )
    with pytest.raises(Exception) as caught:
        tf_patches.extract_volume_patches(**call)
    name = next(iter(wrong)).removeprefix("k")  # as the op itself calls it
    assert name in str(caught.value), caught.value
