"""Numbers, weights and derivatives for the tests of folds that are reduced."""

import numpy as np
import tensorflow as tf
from cases import COMPLEX, FLOATS, INTEGERS


def numbers(shape, dtype, seed):
    """Any numbers, and of real ones one that is not finite."""
    values = np.random.default_rng(seed).normal(size=shape) * 30
    if dtype in COMPLEX:
        values = values * (1 - 2j)
    with np.errstate(invalid="ignore"):  # negative numbers as unsigned integers
        values = values.astype(tf.as_dtype(dtype).as_numpy_dtype)
    if dtype in FLOATS and values.size:
        values.flat[seed % values.size] = [np.nan, np.inf, -np.inf][seed % 3]
    return values


def some_weights(shape, dtype, seed):
    """Small numbers with zeros among them."""
    weights = np.random.default_rng(seed).integers(0, 4, shape)
    if dtype not in INTEGERS:
        weights = weights / 3
    if dtype in COMPLEX:
        weights = weights * (1 - 0.5j)
    return weights.astype(tf.as_dtype(dtype).as_numpy_dtype)


def normal(shape, dtype, seed):
    real, imaginary = np.random.default_rng(seed).normal(size=(2, *shape))
    numbers = real + 1j * imaginary if dtype in COMPLEX else real
    return tf.constant(numbers, dtype)


def derivatives(function, inputs, directions):
    """The first of the energy of a function, and the second along directions."""
    with tf.GradientTape() as outer:
        outer.watch(inputs)
        with tf.GradientTape() as inner:
            inner.watch(inputs)
            result = function(*inputs)
            energy = tf.reduce_sum(tf.math.real(result * tf.math.conj(result)) ** 2)
        first = inner.gradient(energy, inputs, unconnected_gradients="zero")
        along = tf.add_n(
            [
                tf.reduce_sum(tf.math.real(a * tf.math.conj(b)))
                for a, b in zip(first, directions, strict=True)
            ]
        )
    second = outer.gradient(along, inputs, unconnected_gradients="zero")
    return [*first, *second]


def assert_same_derivatives(ours, composed, inputs, seed):
    dtype = inputs[0].dtype.name
    directions = [normal(x.shape, dtype, seed + 1) for x in inputs]
    expected = derivatives(composed, inputs, directions)
    actual = derivatives(ours, inputs, directions)
    for mine, theirs in zip(actual, expected, strict=True):
        scale = 1 + np.abs(theirs).max(initial=0)
        np.testing.assert_allclose(mine / scale, theirs / scale, rtol=0, atol=1e-10)
