"""The ops as functions of operations that every exporter knows.

They move pixels by slices and gathers, one axis after the other. A row and a col of
zeros are appended for all that is outside. Extents that are known while a function is
traced make constants; others are computed when it runs.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_patches.conversion import ConversionError

_MOST_ADDITIONS = 4096  # which take seconds to trace and to load

Grid = list[tuple[int, int, int, str]]  # what follows `image` in the Axis of rows, cols


class Axis(NamedTuple):
    """How patches lie along rows or cols; what depends on `image` may be a tensor."""

    image: Any  # pixels
    size: int
    stride: int
    rate: int
    count: Any  # patches
    outside: Any  # pixels that patches cover before and after the image

    @classmethod
    def of(cls, image: Any, size: int, stride: int, rate: int, padding: str) -> "Axis":
        """Counts as TensorFlow does."""
        span = (size - 1) * rate + 1
        count = _not_negative((image - span + stride) // stride)
        outside = 0
        if padding == "SAME":
            count = (image + stride - 1) // stride
            outside = _not_negative((count - 1) * stride + span - image)
        return cls(image, size, stride, rate, count, outside)

    def covers(self) -> list[Any]:
        """`patch * size + tap` over each pixel, vector by vector in the patches' order.

        It is `count * size` if a pixel has fewer; `patch * stride + tap * rate` is
        `distance`.
        """
        divisor = math.gcd(self.stride, self.rate)
        step = self.stride // divisor  # from a tap over a pixel to the next
        inverse = pow(self.rate // divisor, -1, step)
        distance = _range(self.image) + self.outside // 2
        first_tap = _multiplied(distance // divisor % step, inverse, step)
        covers = []
        for i in reversed(range(-(-self.size // step))):
            tap = first_tap + i * step
            patch = (distance - tap * self.rate) // self.stride
            exists = (distance % divisor == 0) & (tap < self.size)
            exists = exists & (patch >= 0) & (patch < self.count)
            index = patch * self.size + tap
            covers.append(_where(exists, index, self.count * self.size))
        return covers

    def take_taps(self, images: tf.Tensor, axis: int) -> tf.Tensor:
        """The pixels under all taps of the first patch, of the second, and so on."""
        if (self.stride, self.rate) == (self.size, 1) and not _may_be(self.outside):
            return images[(slice(None),) * axis + (slice(self.count * self.size),)]
        starts = _range(self.count) * self.stride - self.outside // 2
        pixels = starts[:, None] + np.arange(self.size, dtype=np.int32) * self.rate
        is_inside = (pixels >= 0) & (pixels < self.image)
        pixels = _where(is_inside, pixels, self.image)  # a pixel of appended zeros
        return tf.gather(images, tf.reshape(pixels, [-1]), axis=axis)


def extract_patches(images: tf.Tensor, grid: Grid) -> tf.Tensor:
    """As `tf_patches.extract_patches`."""
    batch, *image, depth = _shape(images)
    rows, cols = (Axis.of(image[i], *grid[i]) for i in (0, 1))
    images = _append_zeros(images, rows.outside, cols.outside)
    taps = cols.take_taps(rows.take_taps(images, 1), 2)
    taps = _reshape(taps, batch * rows.count, rows.size, cols.count, cols.size * depth)
    patches = tf.transpose(taps, [0, 2, 1, 3])
    patch_depth = rows.size * cols.size * depth
    return _reshape(patches, batch, rows.count, cols.count, patch_depth)


def fold_patches(
    patches: tf.Tensor, image_shape: tf.Tensor, image: list[int | None], grid: Grid
) -> tf.Tensor:
    """As `tf_patches.fold_patches`; `image` has the rows and cols that are known."""
    batch, _, _, patch_depth = _shape(patches)
    given = tf.cast(image_shape[1:3], tf.int32)
    extents = [given[i] if image[i] is None else image[i] for i in (0, 1)]
    rows, cols = (Axis.of(extents[i], *grid[i]) for i in (0, 1))
    over_rows, over_cols = rows.covers(), cols.covers()
    if (additions := len(over_rows) * len(over_cols)) > _MOST_ADDITIONS:
        raise ConversionError(
            f"A fold with up to {additions} patches over a pixel cannot be converted: "
            f"the most is {_MOST_ADDITIONS}. Use larger strides or smaller sizes"
        )
    depth = patch_depth // (rows.size * cols.size)
    line_taps, tap_depth = cols.count * cols.size, cols.size * depth
    taps = _reshape(patches, batch * rows.count, cols.count, rows.size, tap_depth)
    taps = tf.transpose(taps, [0, 2, 1, 3])
    taps = _reshape(taps, batch, rows.count * rows.size, line_taps, depth)
    taps = _append_zeros(taps, 1, 1)
    # TensorFlow's optimiser adds in an order of its own, and leaves out zeros, unless
    # zeros are read from a tensor, sums wait for each other, and a reshape parts them
    # from what comes after.
    images = taps[:1, -1, -1:]
    for row in over_rows:
        lines = tf.gather(taps, row, axis=1)
        lines = _reshape(lines, batch * rows.image, line_taps + 1, depth)
        for col in over_cols:
            with tf.control_dependencies([images]):
                images += tf.gather(lines, col, axis=1)
    return _reshape(images, batch, rows.image, cols.image, depth)


def _append_zeros(images: tf.Tensor, rows: Any, cols: Any) -> tf.Tensor:
    """Appends a row and a col, if pixels outside are, or may be, needed."""
    paddings = [[0, 0], [0, int(_may_be(rows))], [0, int(_may_be(cols))], [0, 0]]
    return tf.pad(images, paddings) if paddings != [[0, 0]] * 4 else images


def _may_be(pixels: Any) -> bool:
    return tf.is_tensor(pixels) or pixels > 0


def _shape(tensor: tf.Tensor) -> list[Any]:
    """A tensor's extents: ints where they are known."""
    known = tensor.shape.as_list()
    return [tf.shape(tensor)[i] if n is None else n for i, n in enumerate(known)]


def _reshape(tensor: tf.Tensor, *shape: Any) -> tf.Tensor:
    known = [extent for extent in shape if not tf.is_tensor(extent)]
    if len(known) == len(shape) - 1 and all(known):
        shape = tuple(-1 if tf.is_tensor(extent) else extent for extent in shape)
    return tf.reshape(tensor, shape)


def _range(count: Any) -> Any:
    return tf.range(count) if tf.is_tensor(count) else np.arange(count)


def _not_negative(count: Any) -> Any:
    return tf.maximum(count, 0) if tf.is_tensor(count) else max(count, 0)


def _multiplied(numbers: Any, factor: int, modulus: int) -> Any:
    """`numbers * factor % modulus`, by way of products of 64 bits."""
    if tf.is_tensor(numbers):
        return tf.cast(tf.cast(numbers, tf.int64) * factor % modulus, tf.int32)
    return numbers * factor % modulus


def _where(condition: Any, a: Any, b: Any) -> Any:
    if tf.is_tensor(condition):
        return tf.where(condition, a, b)
    return np.where(condition, a, b).astype(np.int32)
