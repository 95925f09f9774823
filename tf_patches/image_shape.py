"""Reads the shape of the images that a fold makes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_patches.arguments import invalid

_LARGEST = 2**63 - 1
_RANKS = (3, 4, 5)  # of images


def read_dimensions(image_shape: Any) -> Any:
    """`image_shape`; a list if it is a `tf.TensorShape` or images of known shape."""
    dimensions = image_shape
    if isinstance(image_shape, (tf.Tensor, tf.Variable, np.ndarray)):
        dimensions = _known_dimensions(image_shape)
    if isinstance(image_shape, tf.TensorShape):
        known = image_shape.rank is not None
        dimensions = image_shape.as_list() if known else [None, None]
    if isinstance(dimensions, (list, tuple)) and any(n is None for n in dimensions[1:]):
        raise ValueError(
            f"Only the batch of image_shape may be None, but got {image_shape!r}. "
            "If more is unknown, pass a tensor of this shape as image_shape, such as "
            "the images."
        )
    return dimensions


def _known_dimensions(tensor: Any) -> Any:
    """The dimensions of images of known shape; anything else as it is."""
    shape = tf.TensorShape(tensor.shape)
    known = shape.rank in _RANKS and shape.is_fully_defined()
    return shape.as_list() if known else tensor


def read_image_shape(image_shape: Any, patches: tf.Tensor) -> Any:
    """`image_shape` as a vector, if it is a list or images; the batch may be None.

    TensorFlow would cast lists to int32 and drop the upper bits, or a fraction.
    """
    dimensions = read_dimensions(image_shape)
    if isinstance(dimensions, np.ndarray):
        return tf.constant(dimensions)
    if tf.is_tensor(dimensions) and dimensions.shape.rank in _RANKS:
        return tf.shape(dimensions, out_type=tf.int64)
    if not isinstance(dimensions, (list, tuple)):
        return dimensions
    if dimensions and dimensions[0] is None:
        rest = _vector(dimensions[1:])
        batch = tf.shape(patches, out_type=rest.dtype)[:1]
        return tf.concat([batch, rest], 0)
    return _vector(dimensions)


def _vector(dimensions: Sequence[Any]) -> tf.Tensor:
    for dimension in dimensions:
        if type(dimension) is int and abs(dimension) > _LARGEST:
            invalid(f"image_shape must hold integers of 64 bits, but got {dimension}.")
    if all(type(dimension) is int for dimension in dimensions):
        return tf.constant(dimensions, tf.int64)
    return tf.stack(
        [
            tf.cast(n, tf.int64) if tf.is_tensor(n) and n.dtype.is_integer else n
            for n in dimensions
        ]
    )
