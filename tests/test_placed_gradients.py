"""Gradients of patches at positions: as those of TensorFlow's own ops, composed."""

import composed
import numpy as np
import pytest
import tensorflow as tf
from cases import COMPLEX, FLOATS, examples, placed_cases, random_bits, seeds
from compare import assert_same_bits
from derivatives import pullback
from graphs import in_graph
from hypothesis import given
from hypothesis import strategies as st
from reductions import assert_same_derivatives, normal

import tf_patches

DIFFERENTIABLE = [*FLOATS, *COMPLEX]

# TensorFlow's gradients fail on images without pixels.
with_pixels = placed_cases().filter(lambda case: np.prod(case.shape[:-1]) > 0)


def extract(images, case):
    return tf_patches.extract_patches_at(
        images, case.positions, list(case.sizes), **case.place
    )


def fold(patches, case, **how):
    return tf_patches.fold_patches_at(
        patches, case.positions, case.shape, **case.place, **how
    )


@examples(100)
@given(st.sampled_from(DIFFERENTIABLE), placed_cases(), seeds)
def test_gradients_are_each_other(dtype, case, seed):
    images = tf.constant(random_bits(case.shape, dtype, seed))
    patches = tf.constant(random_bits(case.patches_shape, dtype, seed))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([images, patches])
        extracted, folded = extract(images, case), fold(patches, case)
    assert_same_bits(tape.gradient(extracted, images, patches), folded)
    assert_same_bits(tape.gradient(folded, patches, images), extracted)


WEIGHTS = [None, "window", "factors", "factors of each"]


def weights_of(case, dtype, form, seed):
    """What is given as weights, some of it zero, as tensors."""
    count = case.positions.shape[-2]
    shapes = {
        None: [],
        "window": [case.sizes],
        "factors": [(size,) for size in case.sizes],
        "factors of each": [
            [(size,), (count, size)][i % 2 == 0] for i, size in enumerate(case.sizes)
        ],
    }[form]
    numbers = [normal(shape, dtype, seed + i) for i, shape in enumerate(shapes)]
    return [tf.where(tf.math.real(x) < -0.8, tf.zeros_like(x), x + 2) for x in numbers]


def written(weights, form):
    """As users give weights."""
    return {None: None, "window": weights[:1] and weights[0]}.get(form, list(weights))


def as_patches(weights, form, axes):
    """Weights that patches can be multiplied by."""
    if form in (None, "window"):
        return weights[0][..., tf.newaxis] if weights else None
    product = tf.ones([], weights[0].dtype)
    for axis, factor in enumerate(weights):
        after = [1] * (axes - 1 - axis)
        count = factor.shape[0] if factor.shape.rank == 2 else 1
        shape = [count, *[1] * axis, factor.shape[-1], *after, 1]
        product *= tf.reshape(factor, shape)
    return product


@examples(60)
@given(
    st.sampled_from(["float64", "complex128"]),
    st.sampled_from(["sum", "mean"]),
    st.sampled_from(WEIGHTS),
    with_pixels,
    seeds,
)
def test_sums_and_means(dtype, reduction, form, case, seed):
    weights = weights_of(case, dtype, form, seed)
    patches = normal(case.patches_shape, dtype, seed)

    def ours(patches, *weights):
        how = dict(reduction=reduction, weights=written(weights, form))
        return fold(patches, case, **how)

    def theirs(patches, *weights):
        return composed.fold_at(
            patches,
            case.positions,
            case.shape,
            **case.place,
            reduction=reduction,
            weights=as_patches(weights, form, len(case.sizes)),
        )

    assert_same_derivatives(ours, theirs, [patches, *weights], seed)


@examples(60)
@given(st.sampled_from(["max", "min"]), with_pixels, seeds)
def test_largest_and_smallest(reduction, case, seed):
    """Equal values share the gradient."""
    random = np.random.default_rng(seed)
    patches = tf.constant(random.integers(0, 3, case.patches_shape), tf.float64)

    def theirs(patches):
        return composed.fold_at(
            patches, case.positions, case.shape, **case.place, reduction=reduction
        )

    assert_same_derivatives(
        lambda patches: fold(patches, case, reduction=reduction),
        theirs,
        [patches],
        seed,
    )


@examples(60)
@given(st.sampled_from(["float64", "complex128"]), with_pixels, seeds)
def test_extraction(dtype, case, seed):
    def theirs(images):
        return composed.extract_at(images, case.positions, case.sizes, **case.place)

    images = normal(case.shape, dtype, seed)
    assert_same_derivatives(lambda x: extract(x, case), theirs, [images], seed)


SHAPE = (2, 4, 3, 2)
POSITIONS = [[0, 0], [1, 1], [-1, 2], [1, 1]]
FACTORS = [[1.0, 0.5, 2.0], [0.25, 1.0]]


def mean(patches, weights=None, **how):
    return tf_patches.fold_patches_at(
        patches, POSITIONS, SHAPE, reduction="mean", weights=weights, **how
    )


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("mode", ["CONSTANT", "REFLECT"])
def test_derivatives_equal_differences(mode, dtype):
    patches = normal((2, 4, 3, 2, 2), dtype, seed=1)
    window = normal((3, 2), dtype, seed=2) + 3
    factors = [tf.cast(factor, dtype) for factor in FACTORS]

    def of_patches(patches):
        return mean(patches, window, mode=mode)

    def of_window(window):
        return mean(patches, window, mode=mode)

    def of_rows(rows):
        return mean(patches, [rows, factors[1]], mode=mode)

    def of_cols(cols):
        each = tf.tile(cols[tf.newaxis], [4, 1])
        return mean(patches, [factors[0], each], mode=mode)

    for function, at in [
        (of_patches, patches),
        (of_window, window),
        (of_rows, factors[0]),
        (of_cols, factors[1]),
    ]:
        (theory,), (numeric,) = tf.test.compute_gradient(function, [at], delta=1e-4)
        assert np.abs(theory).max() > 0.1
        np.testing.assert_allclose(theory, numeric, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("weights", [None, FACTORS])
def test_short_floats_as_float32(weights, dtype):
    """Gradients of 16 bits are those of float32, rounded."""
    patches = tf.cast(normal((2, 4, 3, 2, 2), "float32", seed=1), dtype)
    upstream = tf.cast(normal(SHAPE, "float32", seed=2), dtype)
    weights = weights and [tf.cast(factor, dtype) for factor in weights]

    def gradients(dtype):
        inputs = [tf.cast(x, dtype) for x in [patches, *(weights or [])]]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            images = mean(inputs[0], inputs[1:] or None)
            # Of the same images, which float16 would round.
            energy = tf.reduce_sum(images * tf.cast(upstream, dtype))
        return tape.gradient(energy, inputs)

    for ours, expected in zip(gradients(dtype), gradients("float32"), strict=True):
        assert ours.dtype == dtype
        close = 0.02 if dtype == "bfloat16" else 0.003
        ours = tf.cast(ours, tf.float32)
        np.testing.assert_allclose(ours, expected, rtol=close, atol=close)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("form", ["window", "factors"])
def test_what_is_left_out_has_no_gradient(form, reduction):
    """Values of weight zero, NaN among them, and infinite gradients of no value."""
    patches = np.random.default_rng(1).normal(size=(1, 2, 2, 2, 1)).astype(np.float32)
    patches[:, :, 1] = np.nan
    weights = [tf.constant([2.0, 0.0]), tf.constant([1.0, 3.0])]
    if form == "window":
        weights = [tf.einsum("i,j->ij", *weights)]
    patches = tf.constant(patches)
    call = dict(positions=[[0, 0], [2, 0]], image_shape=[1, 4, 2, 1])
    with tf.GradientTape() as tape:
        tape.watch([patches, weights])
        images = tf_patches.fold_patches_at(
            patches, **call, reduction=reduction, weights=written(weights, form)
        )
        energy = tf.reduce_sum(images**2)
    at_patches, at_weights = tape.gradient(energy, [patches, weights])
    assert np.isfinite(images).all()
    assert np.isfinite(at_patches).all()
    assert (at_patches.numpy()[:, :, 1] == 0).all()
    assert (at_patches.numpy()[:, :, 0] != 0).all()
    for gradient in at_weights:
        assert np.isfinite(gradient).all()

    upstream = np.full([1, 4, 2, 1], np.inf, np.float32)
    gradient = pullback(
        lambda patches: tf_patches.fold_patches_at(
            patches, **call, reduction=reduction, weights=written(weights, form)
        ),
        patches,
        tf.constant(upstream),
    ).numpy()
    assert (gradient[:, :, 1] == 0).all()
    assert np.isposinf(gradient[:, :, 0]).all()


def test_largest_that_is_nan_has_no_gradient():
    patches = tf.constant([np.nan, 1.0, np.nan, 3.0], shape=[1, 4, 1, 1])

    def most(patches):
        at = [[0], [0], [1], [2]]
        return tf_patches.fold_patches_at(patches, at, [1, 4, 1], reduction="max")

    assert_same_bits(tf.squeeze(most(patches)), np.float32([np.nan, np.nan, 3, 0]))
    gradient = pullback(most, patches, tf.ones([1, 4, 1]))
    assert_same_bits(tf.squeeze(gradient), np.float32([0, 0, 0, 1]))


def test_what_a_tape_does_not_watch():
    patches = normal((2, 4, 3, 2, 2), "float64", seed=1)
    factors = [tf.constant(factor, tf.float64) for factor in FACTORS]

    def gradients(*watched):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(watched)
            energy = tf.reduce_sum(mean(patches, factors) ** 2)
        return tape.gradient(energy, watched)

    both = gradients(patches, *factors)
    assert_same_bits(gradients(patches)[0], both[0])
    assert_same_bits(gradients(factors[1])[0], both[2])


def test_nan_that_lies_outside_has_no_effect():
    patches = np.ones([1, 1, 2, 2, 1], np.float32)
    patches[0, 0, 0] = np.nan
    window = tf.constant([[1.0, 2.0], [3.0, 4.0]])

    def of_window(window):
        return tf_patches.fold_patches_at(
            patches, [[-1, 0]], [1, 2, 2, 1], reduction="mean", weights=window
        )

    assert np.isfinite(of_window(window)).all()
    assert np.isfinite(pullback(of_window, window)).all()


@pytest.mark.parametrize("reduction", ["sum", "mean", "max"])
@pytest.mark.parametrize("flips", [None, [True, False]])
def test_where_little_is_known_of_shapes(flips, reduction):
    patches = normal((2, 4, 3, 2, 2), "float32", seed=1)
    upstream = normal(SHAPE, "float32", seed=2)
    positions = np.array([POSITIONS, POSITIONS[::-1]], np.int32)
    weights = None if reduction == "max" else [tf.constant(f) for f in FACTORS]

    def gradients(patches, upstream, positions, shape, *weights):
        inputs = [patches, *weights]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            images = tf_patches.fold_patches_at(
                patches,
                positions,
                shape,
                flips=flips,
                reduction=reduction,
                weights=list(weights) or None,
            )
        return tape.gradient(images, inputs, upstream)

    given = [patches, upstream, positions, np.array(SHAPE), *(weights or [])]
    expected = gradients(*given)
    signature = [[None, None, 3, 2, None], None, None, None, *[[None]] * len(given[4:])]
    actual = in_graph(gradients, *given, signature=signature)
    for ours, theirs in zip(actual, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_positions_have_no_gradient():
    images = tf.ones([1, 4, 4, 1])
    with tf.Graph().as_default():
        images = tf.ones([1, 4, 4, 1])
        positions = tf.constant([[0, 0]])
        patches = tf_patches.extract_patches_at(images, positions, 2)
        assert tf.gradients(patches, [positions]) == [None]
        counts = tf.cast(images, tf.int32)
        patches = tf_patches.extract_patches_at(counts, positions, 2)
        assert tf.gradients(patches, [counts]) == [None]
