"""The ops as functions of TensorFlow's ops; those for `plain`, every exporter knows.

They move pixels by slices and gathers, one axis after the other. A row and a col of
zeros are appended for all that is outside. Extents that are known while a function is
traced make constants; others are computed when it runs.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_patches.conversion.errors import ConversionError

_MOST_ADDITIONS = 1024  # more make a model that takes minutes to load


class Axis(NamedTuple):
    """How patches lie along rows or cols of `image` pixels, an int if known."""

    image: Any
    size: int
    stride: int
    rate: int
    padding: str

    @property
    def span(self) -> int:
        return (self.size - 1) * self.rate + 1

    @property
    def count(self) -> Any:
        """The number of patches, as TensorFlow counts them."""
        if self.padding == "SAME":
            return (self.image + self.stride - 1) // self.stride
        return _maximum((self.image - self.span + self.stride) // self.stride, 0)

    @property
    def pad(self) -> Any:
        """The pixels before the image where the first patch begins."""
        if self.padding == "VALID":
            return 0
        end = (self.count - 1) * self.stride + self.span
        return _maximum(end - self.image, 0) // 2

    @property
    def reaches_outside(self) -> bool:
        """Whether patches may cover pixels outside the image."""
        if self.padding == "VALID" or self.span == 1:
            return False
        return tf.is_tensor(self.image) or bool((self.pixels() == self.image).any())

    @property
    def most_covers(self) -> int:
        """The most patches that cover a pixel."""
        return -(-self.size // (self.stride // math.gcd(self.stride, self.rate)))

    def pixels(self) -> Any:
        """The pixel under each tap, `[count, size]`; `image` if it is outside."""
        starts = _range(self.count) * self.stride - self.pad
        pixels = starts[:, None] + np.arange(self.size, dtype=np.int32) * self.rate
        return _where((pixels >= 0) & (pixels < self.image), pixels, self.image)

    def covers(self) -> list[Any]:
        """The taps over each pixel, in the order of their patches.

        Each is a vector of `patch * size + tap`, or `count * size` where there is
        none: a patch covers a pixel if `patch * stride + tap * rate` is `distance`.
        """
        divisor = math.gcd(self.stride, self.rate)
        step = self.stride // divisor  # from a tap over a pixel to the next
        inverse = pow(self.rate // divisor, -1, step)
        distance = _range(self.image) + self.pad
        first_tap = distance // divisor % step * inverse % step
        covers = []
        for i in reversed(range(self.most_covers)):
            tap = first_tap + i * step
            patch = (distance - tap * self.rate) // self.stride
            exists = (distance % divisor == 0) & (tap < self.size)
            exists = exists & (patch >= 0) & (patch < self.count)
            index = patch * self.size + tap
            covers.append(_where(exists, index, self.count * self.size))
        return covers

    def take_taps(self, images: tf.Tensor, axis: int) -> tf.Tensor:
        """The pixels under all taps of the first patch, of the second, and so on."""
        tiles = self.stride == self.size and self.rate == 1
        if tiles and not self.reaches_outside:
            return images[(slice(None),) * axis + (slice(self.count * self.size),)]
        pixels = self.pixels()
        known = not tf.is_tensor(pixels)
        flat = pixels.reshape(-1) if known else tf.reshape(pixels, [-1])
        return tf.gather(images, flat, axis=axis)


def extract_patches(images: tf.Tensor, grid: list[tuple[Any, ...]]) -> tf.Tensor:
    """As `tf_patches.extract_patches`; `grid` has what an `Axis` has after `image`."""
    batch, *image, depth = _shape(images)
    rows, cols = (Axis(image[i], *grid[i]) for i in (0, 1))
    images = _append_zeros(images, rows.reaches_outside, cols.reaches_outside)
    taps = cols.take_taps(rows.take_taps(images, 1), 2)
    taps = _reshape(taps, batch * rows.count, rows.size, cols.count, cols.size * depth)
    patches = tf.transpose(taps, [0, 2, 1, 3])
    patch_depth = rows.size * cols.size * depth
    return _reshape(patches, batch, rows.count, cols.count, patch_depth)


def fold_patches(
    patches: tf.Tensor,
    image_shape: tf.Tensor,
    image: list[int | None],
    grid: list[tuple[Any, ...]],
) -> tf.Tensor:
    """As `tf_patches.fold_patches`; `image` has the rows and cols that are known."""
    batch, _, _, patch_depth = _shape(patches)
    rows, cols = _axes(image_shape, image, grid)
    additions = rows.most_covers * cols.most_covers
    if additions > _MOST_ADDITIONS:
        raise ConversionError(
            f"{additions} patches cover a pixel, and a fold by plain operations adds at "
            f"most {_MOST_ADDITIONS}: use smaller sizes or larger strides, or convert "
            "without plain"
        )
    depth = patch_depth // (rows.size * cols.size)
    taps = _reshape(
        patches, batch * rows.count, cols.count, rows.size, cols.size * depth
    )
    taps = tf.transpose(taps, [0, 2, 1, 3])
    taps = _reshape(taps, batch, rows.count * rows.size, cols.count * cols.size, depth)
    taps = _append_zeros(taps, True, True)
    images = taps[:, -1:, -1:]  # a zero that is not known as such: -0 + 0 is +0
    for row in rows.covers():
        lines = tf.gather(taps, row, axis=1)
        for col in cols.covers():
            # Otherwise TensorFlow's optimiser would add in an order of its own.
            with tf.control_dependencies([images]):
                images += tf.gather(lines, col, axis=2)
    return images


def fold_by_segments(
    patches: tf.Tensor,
    image_shape: tf.Tensor,
    image: list[int | None],
    grid: list[tuple[Any, ...]],
) -> tf.Tensor:
    """As `fold_patches`, for patches of any size, by an op that few exporters know."""
    batch, _, _, patch_depth = _shape(patches)
    rows, cols = _axes(image_shape, image, grid)
    depth = patch_depth // (rows.size * cols.size)
    row = tf.cast(rows.pixels(), tf.int64)[:, None, :, None]
    col = tf.cast(cols.pixels(), tf.int64)[None, :, None, :]
    height, width = tf.cast(rows.image, tf.int64), tf.cast(cols.image, tf.int64)
    # Negative segments are dropped.
    pixels = tf.where((row < height) & (col < width), row * width + col, -1)
    taps = rows.count * cols.count * rows.size * cols.size
    values = tf.transpose(_reshape(patches, batch, taps, depth), [1, 0, 2])
    sums = tf.math.unsorted_segment_sum(
        _reshape(values, taps, batch * depth), tf.reshape(pixels, [-1]), height * width
    )
    images = _reshape(sums, rows.image, cols.image, batch, depth)
    return tf.transpose(images, [2, 0, 1, 3])


def _axes(
    image_shape: tf.Tensor, known: list[int | None], grid: list[tuple[Any, ...]]
) -> list[Axis]:
    image = [
        tf.cast(image_shape[i + 1], tf.int32) if extent is None else extent
        for i, extent in enumerate(known)
    ]
    return [Axis(image[i], *grid[i]) for i in (0, 1)]


def _append_zeros(images: tf.Tensor, row: bool, col: bool) -> tf.Tensor:
    if not (row or col):
        return images
    return tf.pad(images, [[0, 0], [0, int(row)], [0, int(col)], [0, 0]])


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
    return tf.range(count) if tf.is_tensor(count) else np.arange(count, dtype=np.int32)


def _maximum(a: Any, b: int) -> Any:
    return tf.maximum(a, b) if tf.is_tensor(a) else max(a, b)


def _where(condition: Any, a: Any, b: Any) -> Any:
    return (tf if tf.is_tensor(condition) else np).where(condition, a, b)
