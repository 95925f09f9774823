"""What the ops compute, worked out one pixel at a time from the documentation."""

import itertools

import numpy as np
import tensorflow as tf


def count_and_pad(image, size, stride, rate, padding):
    """The number of patches along an axis, and the pixels before the first."""
    span = (size - 1) * rate + 1
    if padding == "VALID":
        return _ceil_divide(image - span + 1, stride), 0
    count = _ceil_divide(image, stride)
    return count, max(0, (count - 1) * stride + span - image) // 2


def patches_shape(image_shape, sizes, strides, rates, padding):
    batch, *space, depth = image_shape
    counts = [
        count_and_pad(image, *axis, padding)[0]
        for image, *axis in _axes(space, sizes, strides, rates)
    ]
    return (batch, *counts, sizes[1] * sizes[2] * depth)


def extract(images, sizes, strides, rates, padding):
    shape = patches_shape(images.shape, sizes, strides, rates, padding)
    patches = np.zeros((*shape[:3], *sizes[1:3], images.shape[3]), images.dtype)
    taps = _taps(images.shape, sizes, strides, rates, padding)
    for (i, p, row), (j, q, col) in taps:
        patches[:, i, j, p, q] = images[:, row, col]
    return patches.reshape(shape)


@np.errstate(all="ignore")  # of random bits some are NaN, some too large to add
def fold(patches, image_shape, sizes, strides, rates, padding):
    """The sum over patches, rounded to the dtype at every addition."""
    images = np.zeros(image_shape, patches.dtype)
    patches = patches.reshape(*patches.shape[:3], *sizes[1:3], image_shape[3])
    taps = _taps(image_shape, sizes, strides, rates, padding)
    for (i, p, row), (j, q, col) in taps:
        images[:, row, col] = _add(images[:, row, col], patches[:, i, j, p, q])
    return images


def _ceil_divide(a, b):
    return -(-a // b)


def _axes(space, sizes, strides, rates):
    return zip(space, sizes[1:3], strides[1:3], rates[1:3], strict=True)


def _taps(image_shape, sizes, strides, rates, padding):
    """All taps of patches on pixels: (i, p, row), (j, q, col).

    Those on one pixel come in the order in which the patches are stored.
    """
    axes = _axes(image_shape[1:3], sizes, strides, rates)
    return itertools.product(*(_taps_of_axis(*axis, padding) for axis in axes))


def _taps_of_axis(image, size, stride, rate, padding):
    """All (patch, tap, pixel) with the pixel inside the image."""
    count, pad = count_and_pad(image, size, stride, rate, padding)
    for patch, tap in itertools.product(range(count), range(size)):
        pixel = patch * stride - pad + tap * rate
        if 0 <= pixel < image:
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
