"""Gradients: to the bit as TensorFlow's own, and right where its own are wrong."""

from functools import partial

import hypothesis.strategies as st
import numpy as np
import oracle
import pytest
import tensorflow as tf
from cases import (
    COMPLEX,
    FLOATS,
    SHARED_OUT,
    any_cases,
    case,
    cases,
    denormals,
    examples,
    random_bits,
    seeds,
    signatures,
)
from compare import assert_same_bits, assert_same_numbers, nans_as_summed
from derivatives import pullback
from graphs import in_graph
from hypothesis import given

import tf_patches

DIFFERENTIABLE = [*FLOATS, *COMPLEX]


def ours(images, upstream, grid):
    return pullback(partial(tf_patches.extract_patches, **grid), images, upstream)


def builtin(images, upstream, grid):
    return pullback(partial(tf.image.extract_patches, **grid), images, upstream)


def tensors(case, dtype, seed, random=random_bits):
    """Images, and a gradient of their patches."""
    patches_shape = oracle.patches_shape(case.shape, **case.grid)
    return tf.zeros(case.shape, dtype), tf.constant(random(patches_shape, dtype, seed))


def assert_same_gradient(ours, expected, upstream, case):
    """Equality to the bit, but for the payload of a NaN that is a sum of several.

    There even TensorFlow's own gradient takes that of one or that of another, by
    how many values lie side by side; and with bfloat16 the sign of any NaN.
    """
    ours, expected, upstream = (_parts(t) for t in (ours, expected, upstream))
    free = _is_sum_of_nans(upstream, case)
    ours, expected = nans_as_summed(ours.numpy()), expected.numpy()
    if upstream.dtype == tf.bfloat16:
        free = np.isnan(expected)
    assert np.isnan(ours[free]).all()
    ours[free] = expected[free]
    assert_same_bits(ours, expected)


def _is_sum_of_nans(upstream, case):
    """Where several NaNs meet; the sum of infinity and -infinity makes one too."""
    taps = case.grid["sizes"][1] * case.grid["sizes"][2]
    images = tf.zeros([*case.shape[:3], upstream.shape[3] // taps], upstream.dtype)
    zeros = tf.zeros_like(upstream)
    is_nan = tf.math.is_nan(upstream)
    nans = builtin(images, tf.where(is_nan, zeros + 1, zeros), case.grid)
    rest = builtin(images, tf.where(is_nan, zeros, upstream), case.grid)
    return (nans.numpy() + np.isnan(rest)) > 1


def _parts(tensor):
    """A complex tensor as one of twice the depth: real, imaginary, real, ..."""
    if not tensor.dtype.is_complex:
        return tensor
    return tf.constant(tensor.numpy().view(tensor.dtype.real_dtype.as_numpy_dtype))


# TensorFlow's gradient fails on images without a batch or depth.
not_empty = cases(fits=True).filter(lambda case: case.shape[0] * case.shape[3] > 0)


@examples(800)
@given(st.sampled_from(DIFFERENTIABLE), not_empty, seeds)
def test_eager_equals_builtin(dtype, case, seed):
    images, upstream = tensors(case, dtype, seed)
    expected = builtin(images, upstream, case.grid)
    gradient = ours(images, upstream, case.grid)
    assert_same_gradient(gradient, expected, upstream, case)


@examples(200)
@given(st.sampled_from(DIFFERENTIABLE), st.data(), not_empty, seeds)
def test_graph_equals_builtin(dtype, data, case, seed):
    images, upstream = tensors(case, dtype, seed)
    known = [data.draw(signatures(tensor.shape)) for tensor in (images, upstream)]
    expected = in_graph(lambda x, g: builtin(x, g, case.grid), images, upstream)
    gradient = in_graph(
        lambda x, g: ours(x, g, case.grid), images, upstream, signature=known
    )
    assert_same_gradient(gradient, expected, upstream, case)


@examples(600)
@given(st.sampled_from(DIFFERENTIABLE), any_cases(small=True), seeds)
def test_equals_naive_loop(dtype, case, seed):
    images, upstream = tensors(case, dtype, seed)
    expected = oracle.fold(upstream.numpy(), case.shape, **case.grid)
    assert_same_numbers(ours(images, upstream, case.grid), expected)


@pytest.mark.parametrize("dtype", DIFFERENTIABLE)
@pytest.mark.parametrize("case", SHARED_OUT)
def test_shared_out_equals_builtin(dtype, case):
    images, upstream = tensors(case, dtype, seed=1)
    expected = builtin(images, upstream, case.grid)
    gradient = ours(images, upstream, case.grid)
    assert_same_gradient(gradient, expected, upstream, case)


# TensorFlow's threads take denormal numbers for zero, on one side of an addition
# or the other, whatever thread the addition is made on.
@pytest.mark.parametrize("dtype", DIFFERENTIABLE)
@pytest.mark.parametrize("side", [6, 500])
def test_denormals_equal_builtin(dtype, side):
    small = case((1, side, side, 2), (3, 3), (2, 2), (1, 1), "SAME")
    images, upstream = tensors(small, dtype, seed=1, random=denormals)
    expected = builtin(images, upstream, small.grid)
    assert_same_bits(ours(images, upstream, small.grid), expected)
    in_one_graph = in_graph(lambda x, g: ours(x, g, small.grid), images, upstream)
    assert_same_bits(in_one_graph, expected)


@pytest.mark.parametrize("shape", [(0, 4, 5, 3), (2, 4, 5, 0), (0, 4, 5, 0)])
def test_images_without_batch_or_depth(shape):
    grid = case(shape, (2, 2), (1, 1), (1, 1), "VALID").grid
    images = tf.zeros(shape)
    upstream = tf.zeros(oracle.patches_shape(shape, **grid))
    assert ours(images, upstream, grid).shape == shape


def test_images_without_patches():
    grid = case((1, 2, 2, 1), (3, 3), (2, 2), (1, 1), "VALID").grid
    upstream = tf.zeros([1, 0, 0, 9])
    gradient = ours(tf.ones([1, 2, 2, 1]), upstream, grid)
    assert_same_bits(gradient, tf.zeros([1, 2, 2, 1]))


def test_gradient_that_comes_as_slices():
    shape, grid = case((3, 5, 4, 2), (2, 2), (1, 1), (1, 1), "SAME")
    images = tf.constant(np.random.default_rng(1).normal(size=shape))

    def gradient(op):
        def picked(images):
            return tf.gather(op(images, **grid), [2, 0, 2])

        return pullback(picked, images, tf.square)

    assert_same_bits(
        gradient(tf_patches.extract_patches), gradient(tf.image.extract_patches)
    )


# TensorFlow's own numbers pixels in float32, which counts to 2^24.
def test_more_than_2_to_the_24_pixels():
    shape, grid = case((1, 4200, 4200, 1), (2, 2), (2, 2), (1, 1), "VALID")
    assert np.prod(shape) > 2**24
    images = tf.constant(random_bits(shape, "int32", seed=1) % 1000, tf.float32)
    patches = tf_patches.extract_patches(images, **grid)
    # Every pixel is in one patch: the sum's gradient is all ones, and the
    # pixels themselves come back.
    assert_same_bits(ours(images, tf.ones_like(patches), grid), tf.ones(shape))
    assert_same_bits(ours(images, patches, grid), images)


GRIDS = [
    case((1, 3, 4, 2), (2, 3), (1, 2), (1, 1), "SAME"),
    case((2, 5, 5, 1), (2, 2), (2, 1), (2, 3), "VALID"),
]
ANY_GRIDS = [
    *GRIDS,
    case((2, 7, 2), (3,), (2,), (2,), "SAME", mode="REFLECT"),
    case((1, 2, 3, 4, 1), (2, 2, 3), (1, 2, 2), (1, 1, 2), "SAME"),
    case((1, 3, 2, 2, 2), (2, 3, 2), (1, 1, 2), (1, 2, 1), "SAME", mode="SYMMETRIC"),
    case((1, 3, 4, 2), (2, 2), (1, 3), (1, 1), [(2, 4), (9, 0)], mode="WRAP"),
    case((1, 3, 4, 1), (3, 3), (2, 1), (1, 1), [(5, 0), (1, 2)], mode="EDGE"),
    case((1, 3, 3, 1), (3, 3), (2, 1), (1, 1), "SAME", constant_values=0.5),
]


def _normal(shape, dtype):
    real, imaginary = np.random.default_rng(1).normal(size=(2, *shape))
    return tf.cast(real if dtype == "float64" else real + 1j * imaginary, dtype)


def _assert_derivative(function, argument):
    """Compares the derivative with differences; it must not be zero."""
    (theory,), (numeric,) = tf.test.compute_gradient(function, [argument], delta=1e-4)
    assert np.abs(theory).max() > 0.1
    np.testing.assert_allclose(theory, numeric, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("shape, grid", ANY_GRIDS)
def test_first_derivatives_equal_differences(shape, grid, dtype):
    def extract(images):
        return tf_patches.extract_patches(images, **grid)

    def fold(patches):
        return tf_patches.fold_patches(patches, shape, **grid)

    images = _normal(shape, dtype)
    _assert_derivative(extract, images)
    _assert_derivative(fold, _normal(extract(images).shape, dtype))


@pytest.mark.parametrize("shape, grid", ANY_GRIDS)
def test_second_derivatives_equal_differences(shape, grid):
    def energy_of_patches(images):
        return tf.reduce_sum(tf_patches.extract_patches(images, **grid) ** 3)

    def energy_of_fold(patches):
        return tf.reduce_sum(tf_patches.fold_patches(patches, shape, **grid) ** 3)

    images = _normal(shape, "float64")
    patches = _normal(oracle.patches_shape(shape, **grid), "float64")
    _assert_derivative(lambda x: pullback(energy_of_patches, x), images)
    _assert_derivative(lambda x: pullback(energy_of_fold, x), patches)


@pytest.mark.parametrize("shape, grid", GRIDS)
def test_second_derivatives_equal_builtin(shape, grid):
    images, direction = _normal(shape, "float64"), _normal(shape, "float64")

    def second(op):
        def energy(images):
            return tf.reduce_sum(op(images, **grid) ** 3)

        def along(images):
            return tf.reduce_sum(pullback(energy, images) * direction)

        return pullback(along, images)

    assert_same_bits(
        second(tf_patches.extract_patches), second(tf.image.extract_patches)
    )


@examples(300)
@given(any_cases(), seeds)
def test_fold_is_the_adjoint_of_extract(case, seed):
    shape, grid = case
    random = np.random.default_rng(seed)
    images = random.integers(-1000, 1000, shape).astype(np.float64)
    patches = tf_patches.extract_patches(images, **grid)
    other = random.integers(-1000, 1000, patches.shape).astype(np.float64)
    folded = tf_patches.fold_patches(other, shape, **grid)
    # Integers, whose products and sums are exact.
    assert np.sum(patches * other) == np.sum(images * folded)


@examples(400)
@given(st.sampled_from(DIFFERENTIABLE), any_cases(), seeds)
def test_gradients_are_each_other(dtype, case, seed):
    shape, grid = case
    images = tf.constant(random_bits(shape, dtype, seed))
    patches_shape = oracle.patches_shape(shape, **grid)
    patches = tf.constant(random_bits(patches_shape, dtype, seed))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([images, patches])
        extracted = tf_patches.extract_patches(images, **grid)
        folded = tf_patches.fold_patches(patches, shape, **grid)
    assert_same_bits(tape.gradient(extracted, images, patches), folded)
    assert_same_bits(tape.gradient(folded, patches, images), extracted)


def test_fold_has_a_gradient_where_nothing_is_known_of_shapes():
    shape, grid = case((2, 5, 4, 3), (2, 2), (1, 2), (1, 1), "SAME")
    images = tf.constant(random_bits(shape, "float32", seed=1))
    patches = tf.zeros(oracle.patches_shape(shape, **grid))

    def gradient(patches, images):
        def fold(patches):
            return tf_patches.fold_patches(patches, tf.shape(images), **grid)

        return pullback(fold, patches, images)

    assert_same_bits(
        in_graph(gradient, patches, images, signature=[None, None]),
        tf_patches.extract_patches(images, **grid),
    )
