"""Means and weighted folds of a grid: as the naive loop, and their gradients."""

import composed
import numpy as np
import oracle
import pytest
import tensorflow as tf
from cases import (
    COMPLEX,
    FLOATS,
    SHARED_OUT,
    SHARED_OUT_ANY,
    any_cases,
    case,
    examples,
    seeds,
    signatures,
)
from compare import assert_same_bits, assert_same_numbers
from derivatives import pullback
from graphs import in_graph
from hypothesis import given
from hypothesis import strategies as st
from reductions import assert_same_derivatives, normal, numbers, some_weights

import tf_patches


@examples(200)
@given(
    st.sampled_from([*FLOATS, *COMPLEX, "uint8", "int64"]),
    st.sampled_from(["sum", "mean", "MEAN"]),
    st.booleans(),
    st.data(),
    any_cases(small=True),
    seeds,
)
def test_equals_naive_loop(dtype, reduction, is_weighted, data, case, seed):
    shape, grid = case
    reduction = "sum" if dtype in ("uint8", "int64") else reduction
    patches = numbers(oracle.patches_shape(shape, **grid), dtype, seed)
    sizes = grid["sizes"][1:-1]
    weights = some_weights(sizes, dtype, seed) if is_weighted else None

    def fold(patches, shape):
        return tf_patches.fold_patches(
            patches, shape, **grid, reduction=reduction, weights=weights
        )

    images = fold(patches, shape)
    if reduction == "sum" and not is_weighted:
        expected = oracle.fold(patches, shape, **grid)
    else:
        expected = oracle.fold_weighted(
            patches, shape, **grid, reduction=reduction.lower(), weights=weights
        )
    if dtype in COMPLEX:
        close = 1e-5 if dtype == "complex64" else 1e-12
        np.testing.assert_allclose(images, expected, rtol=close, atol=close)
    else:
        assert_same_numbers(images, expected)
    known = data.draw(signatures(patches.shape))
    in_one_graph = in_graph(
        fold, patches, np.array(shape), signature=[known, [len(shape)]]
    )
    assert_same_numbers(in_one_graph, images)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("shape, grid", [*SHARED_OUT[:6], *SHARED_OUT_ANY[:8]])
def test_shared_out(shape, grid, dtype):
    """The mean is what covers each pixel, and is that of the pixel itself."""
    grid = {**grid, "constant_values": 0}
    images = np.random.default_rng(1).integers(0, 99, shape).astype(dtype)
    patches = tf_patches.extract_patches(images, **grid)
    covered = oracle.coverage(shape, **grid)[None, ..., None] > 0
    mean = tf_patches.fold_patches(patches, shape, **grid, reduction="mean")
    assert_same_bits(mean, np.where(covered, images, 0).astype(dtype))


@examples(60)
@given(st.sampled_from(["float32", "float64"]), any_cases(small=True), seeds)
def test_mean_is_the_sum_by_the_fold_of_ones(dtype, case, seed):
    shape, grid = case
    patches = normal(oracle.patches_shape(shape, **grid), dtype, seed)
    mean = tf_patches.fold_patches(patches, shape, **grid, reduction="mean")
    sums = tf_patches.fold_patches(patches, shape, **grid)
    ones = tf_patches.fold_patches(tf.ones_like(patches), shape, **grid)
    close = 1e-5 if dtype == "float32" else 1e-12
    expected = tf.math.divide_no_nan(sums, ones)
    np.testing.assert_allclose(mean, expected, rtol=close, atol=close)


@examples(40)
@given(
    st.sampled_from(["float64", "complex128"]),
    st.sampled_from(["sum", "mean"]),
    st.booleans(),
    any_cases(small=True),
    seeds,
)
def test_derivatives(dtype, reduction, is_weighted, case, seed):
    """The first and the second, as those of TensorFlow's own ops."""
    shape, grid = case
    if not np.prod(shape[:-1]):
        return  # TensorFlow's fail on images without pixels
    sizes = grid["sizes"][1:-1]
    patches = normal(oracle.patches_shape(shape, **grid), dtype, seed)
    window = [normal(sizes, dtype, seed + 1) + 2] if is_weighted else []
    numbered = np.arange(np.prod(shape[:-1])).reshape(*shape[:-1], 1)
    outside = {"constant_values": -1}
    shown = oracle.extract(numbered, **(grid | outside))  # one channel: taps alone

    def ours(patches, *window):
        return tf_patches.fold_patches(
            patches,
            shape,
            **grid,
            reduction=reduction,
            weights=window[0] if window else None,
        )

    def theirs(patches, *window):
        taps = tf.reshape(patches, [*shown.shape, shape[-1]])
        weights = tf.reshape(window[0], [-1, 1]) if window else None
        return composed.fold_pixels(taps, shown, shape, reduction, weights)

    assert_same_derivatives(ours, theirs, [patches, *window], seed)


SHAPE, GRID = case((2, 5, 4, 3), (3, 2), (2, 1), (1, 1), "SAME")
PATCHES = np.random.default_rng(1).normal(size=oracle.patches_shape(SHAPE, **GRID))
WINDOW = np.outer([1, 2, 0], [0.5, 3])

WEIGHT_FORMS = {
    "array": WINDOW,
    "tensor": tf.constant(WINDOW),
    "nested list": WINDOW.tolist(),
    "factors": [[1, 2, 0], [0.5, 3]],
    "arrays": (np.array([1, 2, 0]), np.float32([0.5, 3])),
    "tensors": [tf.constant([1.0, 2, 0], tf.float64), [0.5, 3]],
}


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("form", WEIGHT_FORMS)
def test_takes_weights_as(form, reduction):
    expected = oracle.fold_weighted(
        PATCHES, SHAPE, **GRID, reduction=reduction, weights=WINDOW
    )
    images = tf_patches.fold_patches(
        PATCHES, SHAPE, **GRID, reduction=reduction, weights=WEIGHT_FORMS[form]
    )
    assert_same_bits(images, expected)


def test_nothing_covers_a_pixel():
    grid = dict(sizes=2, strides=3)
    patches = tf.fill([1, 2, 2, 4], 7.0)
    mean = tf_patches.fold_patches(patches, [1, 6, 6, 1], **grid, reduction="mean")
    covered = oracle.coverage((1, 6, 6, 1), *[[1, n, n, 1] for n in (2, 3, 1)], "VALID")
    assert_same_bits(mean[0, :, :, 0], np.float32(7 * covered))


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_what_is_left_out_has_no_effect(reduction):
    patches = np.ones([1, 2, 2, 4], np.float32)
    patches[..., 3] = np.nan
    window = tf.constant([[1.0, 2.0], [3.0, 0.0]])
    call = dict(image_shape=[1, 3, 3, 1], sizes=2, strides=1, reduction=reduction)

    def of_patches(patches):
        return tf_patches.fold_patches(patches, **call, weights=window)

    def of_window(window):
        return tf_patches.fold_patches(patches, **call, weights=window)

    images = of_patches(patches)
    assert np.isfinite(images).all()
    assert images[0, 2, 2, 0] == 0
    at_patches = pullback(of_patches, tf.constant(patches))
    assert np.isfinite(at_patches).all()
    assert (at_patches.numpy()[..., 3] == 0).all()
    assert np.isfinite(pullback(of_window, window)).all()


def test_sums_without_weights_are_the_same_op():
    with tf.Graph().as_default():
        images = tf_patches.fold_patches(
            tf.zeros([2, 3, 4, 18]), SHAPE, **GRID, reduction="SUM", weights=None
        )
    assert images.op.type == "TFPatches>FoldPatches"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_short_floats_are_rounded_once(dtype):
    """Where 300 ones meet, whose sums in 8 bits would end at 256."""
    patches = tf.ones([1, 1, 300, 1], dtype)
    call = dict(image_shape=[1, 1, 1, 1], sizes=1, strides=1, mode="EDGE")
    call |= dict(padding=[[0, 0], [0, 0], [0, 299], [0, 0]])
    mean = tf_patches.fold_patches(patches, **call, reduction="mean")
    assert_same_bits(mean, tf.ones([1, 1, 1, 1], dtype))
    weights = tf.fill([1, 1], tf.constant(1, dtype))
    total = tf_patches.fold_patches(patches, **call, weights=weights)
    assert_same_bits(total, tf.fill([1, 1, 1, 1], tf.cast(300, dtype)))
