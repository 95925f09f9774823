"""Patches at positions by TensorFlow's own ops, which have gradients of any order."""

import numpy as np
import oracle
import tensorflow as tf


def pixels(image_shape, positions, sizes, rates, mode="CONSTANT", flips=None):
    """The pixel of all images that each tap of each patch shows, -1 where none."""
    places = dict(rates=rates, mode=mode, flips=flips)
    numbers = np.arange(np.prod(image_shape[:-1])).reshape(*image_shape[:-1], 1)
    return oracle.extract_at(numbers, positions, sizes, **places, constant_values=-1)[
        ..., 0
    ]


def extract_at(images, positions, sizes, rates, mode="CONSTANT", flips=None):
    depth = images.shape[-1]
    shown = pixels(images.shape, positions, sizes, rates, mode, flips)
    flat = tf.concat(
        [tf.reshape(images, [-1, depth]), tf.zeros([1, depth], images.dtype)], 0
    )
    return tf.gather(flat, np.where(shown < 0, len(flat) - 1, shown))


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
    """`weights` have as many axes as patches without the batch."""
    sizes = patches.shape[2:-1]
    shown = pixels(image_shape, positions, sizes, rates, mode, flips)
    return fold_pixels(patches, shown, image_shape, reduction, weights)


def fold_pixels(values, shown, image_shape, reduction="sum", weights=None):
    """Folds values `[*shape of shown, depth]`, each into the pixel that it shows."""
    depth = image_shape[-1]
    count = np.prod(image_shape[:-1])

    def segments(reduce, values):
        flat = tf.reshape(values, [-1, depth])
        return tf.reshape(reduce(flat, shown.ravel(), count), image_shape)

    def total(values):
        return segments(tf.math.unsorted_segment_sum, values)

    ones = tf.ones_like(values)
    if reduction in ("max", "min"):
        reduce = getattr(tf.math, f"unsorted_segment_{reduction}")
        most = segments(reduce, values)
        return tf.where(total(ones) == 0, tf.zeros_like(most), most)
    weights = ones if weights is None else ones * weights
    if reduction == "sum":
        return total(weights * values)
    return tf.math.divide_no_nan(total(weights * values), total(weights))
