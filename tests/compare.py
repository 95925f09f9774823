"""Equality to the bit, of results and of failures."""

import functools

import numpy as np
import pytest
import tensorflow as tf


def assert_same_bits(ours, expected):
    ours, expected = np.asarray(ours), np.asarray(expected)
    assert ours.dtype == expected.dtype
    assert ours.shape == expected.shape
    ours, expected = _bytes(ours), _bytes(expected)
    if not np.array_equal(ours, expected):
        np.testing.assert_array_equal(ours, expected)  # says where


def assert_same_numbers(ours, expected):
    """Equality to the bit, but any NaN equals any other."""
    assert_same_bits(_one_nan(np.asarray(ours)), _one_nan(np.asarray(expected)))


def nans_as_summed(values):
    """`values`, their NaNs without payload where TensorFlow's own sums have none.

    TensorFlow 2.20 adds float16 numbers so: of a NaN it keeps the sign, 2.21 all.
    """
    if values.dtype != np.float16 or _sums_of_halves_keep_payloads():
        return values
    bits = values.view(np.uint16)
    return np.where(np.isnan(values), bits & 0xFE00, bits).view(np.float16)


def assert_same_outcome(ours, builtin, same=assert_same_bits):
    """Calls both: the same result, or an exception of the same class."""
    try:
        expected = builtin()
    except Exception as error:
        with pytest.raises(type(error)) as caught:
            ours()
        assert caught.type is type(error), caught.value
    else:
        same(ours(), expected)


def refused_late(function):
    """Calls `function`; what a graph refused as it was built counts as refused.

    While a graph is built an InvalidArgumentError appears as a ValueError. Ours
    may see sooner than the built-in op that no run can succeed.
    """
    try:
        return function()
    except ValueError as error:
        raise tf.errors.InvalidArgumentError(None, None, str(error)) from error


@functools.cache
def _sums_of_halves_keep_payloads():
    nan = np.array(0x7E05, np.uint16).view(np.float16)
    return (tf.constant(nan) + 0).numpy().tobytes() == nan.tobytes()


def _bytes(array):
    return np.ascontiguousarray(array).view(np.uint8)


def _one_nan(array):
    if array.dtype.kind == "c":
        part = array.real.dtype
        return _one_nan(np.ascontiguousarray(array).view(part))
    if array.dtype.kind in "iu":
        return array
    return np.where(array == array, array, array.dtype.type("nan"))
