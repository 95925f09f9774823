"""What the ops compute, worked out one pixel at a time from the documentation."""

import functools
import itertools
import math

import numpy as np
import tensorflow as tf


def count_and_pad(image, size, stride, rate, padding):
    """The number of patches along an axis, and the pixels before the first.

    `padding` is a name, or the pixels (before, after) of an explicit one.
    """
    span = (size - 1) * rate + 1
    if not isinstance(padding, str):
        before, after = padding
        return _ceil_divide(before + image + after - span + 1, stride), before
    if padding == "VALID":
        return _ceil_divide(image - span + 1, stride), 0
    count = _ceil_divide(image, stride)
    before = int(((count - 1) * stride + span - image) / 2)  # rounded towards zero
    # tf.extract_volume_patches begins inside of an image that is not all covered.
    return count, before if padding == "SAME_UNCLAMPED" else max(0, before)


def patches_shape(image_shape, sizes, strides, rates, padding, **border):
    batch, *_, depth = image_shape
    axes = _axes(image_shape, sizes, strides, rates, padding)
    counts = [count_and_pad(*axis)[0] for axis in axes]
    return (batch, *counts, math.prod(sizes[1:-1]) * depth)


def sources(image, size, stride, rate, padding, mode="CONSTANT"):
    """The pixel that each tap of each patch shows, `[count, size]`; -1 where none."""
    count, before = count_and_pad(image, size, stride, rate, padding)
    pixels = np.add.outer(np.arange(count) * stride, np.arange(size) * rate) - before
    if pixels.size == 0:
        return pixels
    outside = max(0, -pixels.min()), max(0, pixels.max() - image + 1)
    constant = {"constant_values": -1} if mode == "CONSTANT" else {}
    wide = np.pad(np.arange(image), outside, mode.lower(), **constant)
    return wide[pixels + outside[0]]


def extract(images, sizes, strides, rates, padding, mode="CONSTANT", constant_values=0):
    shape = patches_shape(images.shape, sizes, strides, rates, padding)
    axes = _axes(images.shape, sizes, strides, rates, padding, mode)
    space = len(axes)
    # A pixel more at the end of each axis, which is index -1: the constant.
    more = [(0, 0), *[(0, 1)] * space, (0, 0)]
    images = np.pad(images, more, constant_values=constant_values)
    # Indices of [counts, sizes], of which each axis has one and one.
    pixels = [
        np.expand_dims(sources(*axis), _without(i, space + i, of=2 * space))
        for i, axis in enumerate(axes)
    ]
    return images[(slice(None), *pixels)].reshape(shape)


@np.errstate(all="ignore")  # of random bits some are NaN, some too large to add
def fold(
    patches,
    image_shape,
    sizes,
    strides,
    rates,
    padding,
    mode="CONSTANT",
    constant_values=0,
):
    """The sum over patches, rounded to the dtype at every addition.

    Axis by axis, patch by patch, tap by tap.
    """
    images = np.zeros(image_shape, patches.dtype)
    patches = patches.reshape(*patches.shape[:-1], *sizes[1:-1], image_shape[-1])
    axes = _axes(image_shape, sizes, strides, rates, padding, mode)
    for taps in itertools.product(*(_taps(*axis) for axis in axes)):
        patch, tap, pixel = zip(*taps, strict=True)
        at = (slice(None), *pixel)
        images[at] = _add(images[at], patches[(slice(None), *patch, *tap)])
    return images


def coverage(
    image_shape, sizes, strides, rates, padding, mode="CONSTANT", constant_values=0
):
    """How many taps of patches see each pixel of space."""
    axes = _axes(image_shape, sizes, strides, rates, padding, mode)
    counts = (
        np.bincount([pixel for _, _, pixel in _taps(*axis)], minlength=axis[0])
        for axis in axes
    )
    return functools.reduce(np.multiply.outer, counts)


def _ceil_divide(a, b):
    return -(-a // b)


def _axes(image_shape, *attributes):
    """What is said of each axis of space: its pixels, and its part of each list."""
    lists = [
        [values] * len(image_shape) if isinstance(values, str) else values
        for values in (image_shape, *attributes)
    ]
    return list(zip(*lists, strict=True))[1:-1]


def _without(*numbers, of):
    return tuple(n for n in range(of) if n not in numbers)


def _taps(*axis):
    """All (patch, tap, pixel) along an axis with the pixel inside the image."""
    for (patch, tap), pixel in np.ndenumerate(sources(*axis)):
        if pixel >= 0:
            yield patch, tap, pixel


def _add(a, b):
    """As TensorFlow adds: its threads take denormal numbers for zero."""
    if a.dtype.kind == "c":
        part = a.real.dtype
        return _add(a.view(part), b.view(part)).view(a.dtype)
    return _flush(_flush(a) + _flush(b))


def _flush(values):
    # Sums of float16 are made in float32, where its denormals are normal.
    if not tf.as_dtype(values.dtype).is_floating or values.dtype == np.float16:
        return values
    smallest = np.ldexp(1.0, -1022 if values.dtype == np.float64 else -126)
    denormal = np.abs(values) < values.dtype.type(smallest)
    return np.where(denormal, np.copysign(values.dtype.type(0), values), values)
