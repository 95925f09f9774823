"""Gradients of the ops, and how `tf.vectorized_map` and jacobians map them.

The gradient of extraction is the fold, that of the fold is extraction, so
derivatives of any order are defined.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import tensorflow as tf

from tf_patches.native import ops

try:
    from tensorflow.python.ops.parallel_for import pfor
except ImportError:  # It is private. Without it TensorFlow maps ops in a loop.
    pfor = None

_RegisterPFor = getattr(pfor, "RegisterPFor", None)

# Those of both ops. The constant outside of images has no gradient.
_GRID = ("ksizes", "strides", "rates", "padding", "explicit_paddings", "mode")


def _register(registry: Any, name: str) -> Callable[[Callable], Callable]:
    """Registers a function, unless an earlier import of the package has done so."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        if registry is not None:
            with suppress(KeyError, AssertionError):  # gradient, converter
                registry(name)(function)
        return function

    return register


def attributes(op: Any, names: Sequence[str] = _GRID) -> dict[str, Any]:
    """Those attributes of an op that are named."""
    return {name: op.get_attr(name) for name in names}


@_register(tf.RegisterGradient, "TFPatches>ExtractPatches")
def _extract_patches_gradient(op: tf.Operation, gradient: Any) -> tf.Tensor:
    return fold_gradient(op, gradient, **attributes(op))


def fold_gradient(op: tf.Operation, gradient: Any, **grid: Any) -> tf.Tensor:
    """The gradient of an op that extracts patches, whatever the name of the op."""
    images = op.inputs[0]
    static = images.shape
    shape = (
        tf.constant(static.as_list(), tf.int64)
        if static.is_fully_defined()
        else tf.shape(images, out_type=tf.int64)
    )
    folded = ops.tf_patches_fold_patches(tf.convert_to_tensor(gradient), shape, **grid)
    folded.set_shape(static)
    return folded


@_register(tf.RegisterGradient, "TFPatches>FoldPatches")
def _fold_patches_gradient(op: tf.Operation, gradient: Any) -> tuple[tf.Tensor, None]:
    patches = ops.tf_patches_extract_patches(
        tf.convert_to_tensor(gradient), **attributes(op)
    )
    patches.set_shape(op.inputs[0].shape)
    return patches, None


def _merge_batch(stacked: tf.Tensor) -> tf.Tensor:
    """Makes one batch of the batches of all iterations."""
    shape = tf.shape(stacked, out_type=tf.int64)
    return tf.reshape(stacked, tf.concat([[shape[0] * shape[1]], shape[2:]], 0))


def _split_batch(merged: tf.Tensor, stacked: tf.Tensor) -> tf.Tensor:
    """Makes of one batch the batches of all iterations, as `stacked` has them."""
    batches = tf.shape(stacked, out_type=tf.int64)[:2]
    shape = tf.shape(merged, out_type=tf.int64)[1:]
    return tf.reshape(merged, tf.concat([batches, shape], 0))


def register_extraction(
    name: str, extract: Callable[..., tf.Tensor], names: Sequence[str]
) -> None:
    """Has the op `name`, run by `extract`, do all iterations as one batch.

    Args:
      name: The op.
      extract: The function that runs it, on images and keywords.
      names: The attributes that make the keywords.
    """

    @_register(_RegisterPFor, name)
    def convert(pfor_input: Any) -> Any:
        images = pfor_input.stacked_input(0)
        patches = extract(_merge_batch(images), **attributes(pfor_input, names))
        return pfor.wrap(_split_batch(patches, images), True)


register_extraction(
    "TFPatches>ExtractPatches",
    ops.tf_patches_extract_patches,
    (*_GRID, "constant_values"),
)


def _the_only_one(image_shapes: tf.Tensor) -> tf.Tensor:
    """The shape of every iteration's images: results of one shape are stacked."""
    same = tf.debugging.assert_equal(
        image_shapes,
        image_shapes[:1],
        "image_shape must be the same for every element that is mapped, but got",
    )
    with tf.control_dependencies([] if same is None else [same]):
        return tf.identity(image_shapes[0])


@_register(_RegisterPFor, "TFPatches>FoldPatches")
def _convert_fold_patches(pfor_input: Any) -> Any:
    pfor_input.stack_inputs([0])
    patches = pfor_input.stacked_input(0)
    image_shape, shape_is_stacked, _ = pfor_input.input(1)
    if shape_is_stacked:
        image_shape = _the_only_one(image_shape)
    image_shape = tf.cast(image_shape, tf.int64)
    iterations = tf.shape(patches, out_type=tf.int64)[0]
    images = ops.tf_patches_fold_patches(
        _merge_batch(patches),
        tf.concat([[iterations * image_shape[0]], image_shape[1:]], 0),
        **attributes(pfor_input),
    )
    return pfor.wrap(
        tf.reshape(images, tf.concat([[iterations], image_shape], 0)), True
    )
