"""Our ops as functions of TensorFlow's own ops, where no single one will do."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def fold_patches(
    patches: tf.Tensor,
    image_shape: tf.Tensor,
    *,
    ksizes: Sequence[int],
    strides: Sequence[int],
    rates: Sequence[int],
    padding: str,
) -> tf.Tensor:
    """As `tf_patches.fold_patches`, to the bit.

    Sums into each pixel in the order in which the patches are stored, as the
    built-in's gradient does, but numbers the pixels in int64.
    """
    batch, rows, cols, depth = tf.unstack(tf.cast(image_shape, tf.int64), num=4)
    row = _tap_pixels(rows, ksizes[1], strides[1], rates[1], padding)[:, None, :, None]
    col = _tap_pixels(cols, ksizes[2], strides[2], rates[2], padding)[None, :, None, :]
    inside = (row >= 0) & (row < rows) & (col >= 0) & (col < cols)
    # Negative segments are dropped.
    pixels = tf.reshape(tf.where(inside, row * cols + col, -1), [-1])
    taps = tf.size(pixels, tf.int64)
    values = tf.transpose(tf.reshape(patches, [batch, taps, depth]), [1, 0, 2])
    sums = tf.math.unsorted_segment_sum(
        tf.reshape(values, [taps, batch * depth]), pixels, rows * cols
    )
    return tf.transpose(tf.reshape(sums, [rows, cols, batch, depth]), [2, 0, 1, 3])


def extract_patches_of_bool(images: tf.Tensor, **grid: Any) -> tf.Tensor:
    """As `tf_patches.extract_patches`: the built-in has no kernel for bool."""
    return tf.cast(
        tf.raw_ops.ExtractImagePatches(images=tf.cast(images, tf.uint8), **grid),
        tf.bool,
    )


def _tap_pixels(
    image: tf.Tensor, size: int, stride: int, rate: int, padding: str
) -> tf.Tensor:
    """The pixel under each tap of each patch along an axis: `[patches, taps]`."""
    span = (size - 1) * rate + 1
    if padding == "SAME":
        count = -(-image // stride)
        pad = tf.maximum((count - 1) * stride + span - image, 0) // 2
    else:
        count = tf.maximum((image - span) // stride + 1, 0)
        pad = tf.constant(0, tf.int64)
    starts = tf.range(count) * stride - pad
    return starts[:, None] + tf.range(size, dtype=tf.int64) * rate
