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
    return _shown(pixels, image, mode)


def _shown(pixels, image, mode):
    """The pixels of an axis that lie where `pixels` are, -1 where none."""
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


def fold_weighted(
    patches,
    image_shape,
    sizes,
    strides,
    rates,
    padding,
    mode="CONSTANT",
    constant_values=0,
    reduction="sum",
    weights=None,
):
    """As `fold`, with a window of weights, or the mean."""
    patches = patches.reshape(*patches.shape[:-1], *sizes[1:-1], image_shape[-1])
    weights = _ones(sizes[1:-1], patches) if weights is None else weights
    total = _Total(image_shape, patches.dtype)
    axes = _axes(image_shape, sizes, strides, rates, padding, mode)
    for taps in itertools.product(*(_taps(*axis) for axis in axes)):
        patch, tap, pixel = zip(*taps, strict=True)
        values = patches[(slice(None), *patch, *tap)]
        total.add((slice(None), *pixel), values, weights[tap])
    return total.reduced(reduction)


def extract_at(
    images, positions, sizes, rates, mode="CONSTANT", constant_values=0, flips=None
):
    """`[batch, count, *sizes, depth]`; places are for all images or for each."""
    batch, *space, depth = images.shape
    more = [(0, 0), *[(0, 1)] * len(space), (0, 0)]
    images = np.pad(images, more, constant_values=constant_values)
    places = _places(positions, flips, space, sizes, rates, mode)
    patches = np.empty((batch, positions.shape[-2], *sizes, depth), images.dtype)
    for index in np.ndindex(patches.shape[:2]):
        patches[index] = images[index[0]][np.ix_(*places(*index))]
    return patches


def fold_at(
    patches,
    positions,
    image_shape,
    rates,
    mode="CONSTANT",
    flips=None,
    reduction="sum",
    weights=None,
):
    """Value by value, in the order in which patches hold them.

    `weights` are a window, or a list of factors of the axes, for all patches or each.
    """
    sizes = patches.shape[2:-1]
    places = _places(positions, flips, image_shape[1:-1], sizes, rates, mode)
    windows = _windows(weights, patches)
    if weights is None and reduction == "sum":
        total = _Sum(image_shape, patches.dtype)
    elif reduction in ("sum", "mean"):
        total = _Total(image_shape, patches.dtype)
    else:
        total = _Most(image_shape, patches.dtype)
    for n, k, *tap in np.ndindex(patches.shape[:-1]):
        pixel = [shown[t] for shown, t in zip(places(n, k), tap, strict=True)]
        if min(pixel) >= 0:
            total.add((n, *pixel), patches[(n, k, *tap)], windows(k)[tuple(tap)])
    return total.reduced(reduction)


def _places(positions, flips, space, sizes, rates, mode):
    """A function of image and patch: the pixels that its taps show along each axis."""
    flips = np.zeros(len(space), bool) if flips is None else np.asarray(flips)

    @functools.cache
    def places(n, k):
        position = positions[k] if positions.ndim == 2 else positions[n, k]
        flip = (
            flips if flips.ndim == 1 else flips[k] if flips.ndim == 2 else flips[n, k]
        )
        shown = []
        for first, is_flipped, image, size, rate in zip(
            position, flip, space, sizes, rates, strict=True
        ):
            pixels = _shown(first + np.arange(size) * rate, image, mode)
            shown.append(pixels[::-1] if is_flipped else pixels)
        return shown

    return places


def _windows(weights, patches):
    """A function of the patch: its window."""
    if weights is None:
        ones = _ones(patches.shape[2:-1], patches)
        return lambda k: ones
    if not isinstance(weights, list):
        return lambda k: weights

    @functools.cache
    def window(k):
        factors = [_wide(f[k] if f.ndim == 2 else f) for f in weights]
        return functools.reduce(np.multiply.outer, factors)

    return window


def _ones(sizes, patches):
    return np.ones(sizes, patches.dtype)


def _wide(values):
    """Numbers as they are weighted: those of 16 bits in float32."""
    is_short = values.dtype in (np.float16, tf.bfloat16.as_numpy_dtype)
    return values.astype(np.float32) if is_short else values


class _Sum:
    """Sums that are rounded to the dtype at every addition."""

    def __init__(self, shape, dtype):
        self.images = np.zeros(shape, dtype)

    @np.errstate(all="ignore")
    def add(self, at, values, weight):
        self.images[at] = _add(self.images[at], values)

    def reduced(self, reduction):
        return self.images


class _Total:
    """Sums of products, and of weights, that are rounded at the end."""

    def __init__(self, shape, dtype):
        self.dtype = dtype
        self.images = _wide(np.zeros(shape, dtype))
        self.weights = np.zeros(shape, self.images.dtype)

    @np.errstate(all="ignore")
    def add(self, at, values, weight):
        weight = np.full_like(_wide(values), weight)
        self.weights[at] = _add(self.weights[at], weight)
        if weight.size and weight.flat[0] != 0:
            product = _multiply(weight, _wide(values))
            self.images[at] = _add(self.images[at], product)

    @np.errstate(all="ignore")
    def reduced(self, reduction):
        if reduction == "sum":
            return self.images.astype(self.dtype)
        mean = np.where(self.weights == 0, 0, self.images / self.weights)
        return _flush(mean.astype(self.images.dtype)).astype(self.dtype)


class _Most:
    """The largest or the smallest, the first of equals; a NaN is more than any."""

    def __init__(self, shape, dtype):
        self.values = {}
        self.images = np.zeros(shape, dtype)

    def add(self, at, values, weight):
        self.values.setdefault(at, []).append(values)

    @np.errstate(invalid="ignore")
    def reduced(self, reduction):
        for at, (first, *rest) in self.values.items():
            most = first
            for values in rest:
                wins = values > most if reduction == "max" else values < most
                most = np.where(wins | (values != values), values, most)
            self.images[at] = most
        return self.images


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


def _multiply(a, b):
    """As `_add`; of complex numbers by the parts."""
    if a.dtype.kind == "c":
        real = _add(_multiply(a.real, b.real), -_multiply(a.imag, b.imag))
        imag = _add(_multiply(a.real, b.imag), _multiply(a.imag, b.real))
        product = np.empty(a.shape, a.dtype)
        product.real, product.imag = real, imag
        return product
    return _flush(_flush(a) * _flush(b))


def _flush(values):
    # Sums of float16 are made in float32, where its denormals are normal.
    if not tf.as_dtype(values.dtype).is_floating or values.dtype == np.float16:
        return values
    smallest = np.ldexp(1.0, -1022 if values.dtype == np.float64 else -126)
    denormal = np.abs(values) < values.dtype.type(smallest)
    return np.where(denormal, np.copysign(values.dtype.type(0), values), values)
