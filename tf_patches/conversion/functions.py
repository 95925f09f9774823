"""The ops as functions of operations that every exporter knows.

They move pixels by slices and gathers, one axis after the other. What is shown outside,
or added where no patch lies, is appended to an axis as one more pixel.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_patches.conversion import ConversionError
from tf_patches.conversion.axis import Axis, AxisSpec

_MOST_ADDITIONS = 4096  # more take too long to trace and to load


def extract_patches(
    images: tf.Tensor, specs: Sequence[AxisSpec], constant: bytes = b""
) -> tf.Tensor:
    """Does what `tf_patches.extract_patches` does; `constant` is the op's attribute."""
    batch, *space, depth = _shape(images)
    axes = [Axis.of(extent, spec) for extent, spec in zip(space, specs, strict=True)]
    images = _append(images, [axis.needs_constant for axis in axes], constant)
    extents = _shape(images)[1:]
    count, taps = batch, 1
    for i, axis in enumerate(axes):
        rest = math.prod(extents[i + 1 :])
        images = _reshape(images, count, taps, extents[i], rest)
        images = axis.take_taps(images, 2)
        images = _reshape(images, count, taps, axis.count, axis.size * rest)
        images = tf.transpose(images, [0, 2, 1, 3]) if i else images
        count, taps = count * axis.count, taps * axis.size
    counts = [axis.count for axis in axes]
    return _reshape(images, batch, *counts, taps * depth)


def fold_patches(
    patches: tf.Tensor,
    image_shape: tf.Tensor,
    space: Sequence[int | None],
    specs: Sequence[AxisSpec],
) -> tf.Tensor:
    """Does what `tf_patches.fold_patches` does; `space` has the known extents."""
    given = tf.cast(image_shape[1:-1], tf.int32)
    extents = [given[i] if extent is None else extent for i, extent in enumerate(space)]
    axes = [Axis.of(extent, spec) for extent, spec in zip(extents, specs, strict=True)]
    covers = [axis.covers() for axis in axes]
    if (additions := math.prod(map(len, covers))) > _MOST_ADDITIONS:
        raise ConversionError(
            f"A fold that adds {additions} values to a pixel cannot be converted: the "
            f"most is {_MOST_ADDITIONS}. Use larger strides or smaller sizes"
        )
    batch, *_, patch_depth = _shape(patches)
    depth = patch_depth // math.prod(axis.size for axis in axes)
    taps = _append(_part_axes(patches, axes, batch, depth), [True] * len(axes))
    # TensorFlow's optimiser would change the order of additions and remove zeros. It
    # does not if zeros are read from a tensor, sums wait for each other, and a reshape
    # follows them.
    zero = taps[(slice(1), *[-1] * (len(axes) - 1), slice(-1, None))]
    lines = [
        [batch * math.prod(extents[:i]), *_shape(taps)[i + 1 : -1], depth]
        for i in range(1, len(axes))
    ]
    images = _add(zero, taps, covers, lines)
    return _reshape(images, batch, *extents, depth)


def _part_axes(
    patches: tf.Tensor, axes: Sequence[Axis], batch: Any, depth: Any
) -> tf.Tensor:
    """The taps of the first patch, of the second patch, and so on, along every axis."""
    counts, sizes = [axis.count for axis in axes], [axis.size for axis in axes]
    rest = depth
    for i in reversed(range(1, len(axes))):
        count, taps = batch * math.prod(counts[:i]), math.prod(sizes[:i])
        patches = _reshape(patches, count, counts[i], taps, sizes[i] * rest)
        patches = tf.transpose(patches, [0, 2, 1, 3])
        rest = counts[i] * sizes[i] * rest
    extents = [count * size for count, size in zip(counts, sizes, strict=True)]
    return _reshape(patches, batch, *extents, depth)


def _add(
    images: tf.Tensor, taps: tf.Tensor, covers: list[list[Any]], lines: list[list[Any]]
) -> tf.Tensor:
    """Adds the values over each pixel to `images`, the first patch first.

    `covers` belong to the remaining axes, `lines` are the shapes of taps after each
    axis.
    """
    for cover in covers[0]:
        if lines:
            line = _reshape(tf.gather(taps, cover, axis=1), *lines[0])
            images = _add(images, line, covers[1:], lines[1:])
        else:
            with tf.control_dependencies([images]):
                images += tf.gather(taps, cover, axis=1)
    return images


def _append(
    images: tf.Tensor, axes: Sequence[bool], constant: bytes = b""
) -> tf.Tensor:
    """Appends a pixel to the axes of space that need it."""
    if not any(axes):
        return images
    value: Any = 0
    if constant:
        value = tf.constant(np.frombuffer(constant, images.dtype.as_numpy_dtype)[0])
    paddings = [[0, 0], *([0, int(needed)] for needed in axes), [0, 0]]
    return tf.pad(images, paddings, constant_values=value)


def _shape(tensor: tf.Tensor) -> list[Any]:
    """A tensor's extents: ints if they are known."""
    known = tensor.shape.as_list()
    return [tf.shape(tensor)[i] if n is None else n for i, n in enumerate(known)]


def _reshape(tensor: tf.Tensor, *shape: Any) -> tf.Tensor:
    known = [extent for extent in shape if not tf.is_tensor(extent)]
    if len(known) == len(shape) - 1 and all(known):
        shape = tuple(-1 if tf.is_tensor(extent) else extent for extent in shape)
    return tf.reshape(tensor, shape)
