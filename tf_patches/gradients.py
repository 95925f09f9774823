"""Gradients of the ops, made of the ops.

The gradient of extraction is the fold, and the gradient of the fold is extraction. So
derivatives of any order exist.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import tensorflow as tf

from tf_patches.native import ops
from tf_patches.registry import GRID, PLACES, attributes, register
from tf_patches.weights import (
    are_given,
    as_patches_have_them,
    counted,
    profiles_gradient,
    wide,
)


@register(tf.RegisterGradient, "TFPatches>ExtractPatches")
def _extract_patches_gradient(op: tf.Operation, gradient: Any) -> tf.Tensor:
    return fold_gradient(op, gradient, **attributes(op, GRID))


def fold_gradient(op: tf.Operation, gradient: Any, **grid: Any) -> tf.Tensor:
    """The gradient of an op that extracts patches, whatever the name of the op."""
    images = op.inputs[0]
    folded = ops.tf_patches_fold_patches(
        tf.convert_to_tensor(gradient), _shape_of(images), **grid
    )
    folded.set_shape(images.shape)
    return folded


def _shape_of(images: tf.Tensor) -> tf.Tensor:
    static = images.shape
    if static.is_fully_defined():
        return tf.constant(static.as_list(), tf.int64)
    return tf.shape(images, out_type=tf.int64)


@register(tf.RegisterGradient, "TFPatches>FoldPatches")
def _fold_patches_gradient(op: tf.Operation, gradient: Any) -> tuple[tf.Tensor, None]:
    patches = ops.tf_patches_extract_patches(
        tf.convert_to_tensor(gradient), **attributes(op, GRID)
    )
    patches.set_shape(op.inputs[0].shape)
    return patches, None


@register(tf.RegisterGradient, "TFPatches>ExtractPatchesAt")
def _extract_patches_at_gradient(
    op: tf.Operation, gradient: Any
) -> tuple[tf.Tensor, None, None]:
    images, positions, flips = op.inputs
    none = tf.constant([], images.dtype)
    folded = ops.tf_patches_fold_patches_at(
        tf.convert_to_tensor(gradient),
        positions,
        flips,
        _shape_of(images),
        none,
        none,
        **attributes(op, PLACES),
    )
    folded.set_shape(images.shape)
    return folded, None, None


class _Fold(NamedTuple):
    """A fold with a reduction or weights, on a grid or at positions.

    Numbers of 16 bits are float32 here, as inside the ops.
    """

    values: tf.Tensor  # of patches, with separate axes for taps and depth
    weights: tf.Tensor | None  # of values
    is_wanted_at_weights: bool
    extract: Callable[[tf.Tensor], tf.Tensor]  # values out of images
    cover: Callable[[], tf.Tensor]  # the sum of weights, of one channel


def _at_values(
    op: tf.Operation, gradient: tf.Tensor, fold: _Fold
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """The gradients of the values of a fold, and of each weight if it is asked for.

    With `E` the extraction and `F` the fold of sums, its adjoint: the sum is
    `F(w p)`, so its gradient at `p` is `w E(g)`, at `w` `p E(g)`. The mean is
    `F(w p) / F(w)`, so with `G = g / F(w)` they are `w E(G)` and `(p - E(mean)) E(G)`.
    """
    reduction = op.get_attr("reduction")
    gradient, images = wide(gradient), wide(op.outputs[0])
    if reduction == b"MEAN":
        gradient = tf.math.divide_no_nan(gradient, tf.math.conj(fold.cover()))
    spread = fold.extract(gradient)
    if fold.weights is None:
        return spread, None
    at_values = tf.math.conj(fold.weights) * counted(spread, fold.weights)
    if not fold.is_wanted_at_weights:
        return at_values, None
    values = counted(fold.values, fold.weights, spread)
    if reduction == b"MEAN":
        values -= fold.extract(images)
    return at_values, tf.math.conj(values) * spread


def _is_wanted(op: tf.Operation, *inputs: int) -> bool:
    """Whether the gradient of any of these inputs is: only eager tapes say no."""
    skipped = getattr(op, "skip_input_indices", None) or ()
    return not set(inputs) <= set(skipped)


def _like(gradient: tf.Tensor, tensor: tf.Tensor) -> tf.Tensor:
    """A gradient with the dtype and shape of a tensor."""
    gradient = tf.reshape(gradient, _shape_of(tensor))
    return tf.cast(gradient, tensor.dtype)


@register(tf.RegisterGradient, "TFPatches>FoldPatchesAt")
def _fold_patches_at_gradient(op: tf.Operation, gradient: Any) -> list[Any]:
    gradient = tf.convert_to_tensor(gradient)
    patches, *_, window, profiles = op.inputs
    reduction = op.get_attr("reduction")
    at_window = at_profiles = None
    if reduction in (b"MAX", b"MIN"):
        at_patches = _at_most(op, gradient)
    elif reduction == b"SUM" and not are_given(window) and not are_given(profiles):
        at_patches = _extract_there(op, gradient)
    else:
        at_patches, at_weights = _at_values(op, gradient, _placed_fold(op))
        if at_weights is not None and are_given(window):
            at_window = _like(tf.reduce_sum(at_weights, [0, 1, -1]), window)
        elif at_weights is not None:
            at_windows = tf.reduce_sum(at_weights, [0, -1])
            sizes = op.get_attr("sizes")
            at_profiles = profiles_gradient(at_windows, wide(profiles), sizes)
            at_profiles = _like(at_profiles, profiles)
    return [_like(at_patches, patches), None, None, None, at_window, at_profiles]


def _at_most(op: tf.Operation, gradient: tf.Tensor) -> tf.Tensor:
    """The gradient of a maximum or minimum: values equal to the pixel share it."""
    is_chosen = tf.equal(op.inputs[0], _extract_there(op, op.outputs[0]))
    gradient = wide(gradient)
    count = _sum_there(op, tf.cast(is_chosen, gradient.dtype))
    shares = _extract_there(op, tf.math.divide_no_nan(gradient, count))
    return tf.where(is_chosen, shares, tf.zeros([], shares.dtype))


def _placed_fold(op: tf.Operation) -> _Fold:
    patches, positions, flips, _, window, profiles = op.inputs
    sizes = op.get_attr("sizes")
    window, profiles = wide(window), wide(profiles)

    def cover() -> tf.Tensor:
        are_of_all = positions.shape.rank == 2 and flips.shape.rank in (1, 2)
        batch = 1 if are_of_all else tf.shape(patches)[0]
        shape = tf.stack([batch, tf.shape(patches)[1], *sizes, 1])
        return _sum_there(op, tf.ones(shape, window.dtype), window, profiles)

    return _Fold(
        wide(patches),
        as_patches_have_them(window, profiles, sizes),
        _is_wanted(op, 4, 5),
        partial(_extract_there, op),
        cover,
    )


def _extract_there(op: tf.Operation, images: tf.Tensor) -> tf.Tensor:
    """What images show where an op folds patches."""
    _, positions, flips, *_ = op.inputs
    return ops.tf_patches_extract_patches_at(
        images, positions, flips, **attributes(op, PLACES)
    )


def _sum_there(op: tf.Operation, values: tf.Tensor, *weights: tf.Tensor) -> tf.Tensor:
    """The sum of values where an op folds patches; `weights`: window and profiles."""
    _, positions, flips, image_shape, *_ = op.inputs
    none = tf.constant([], values.dtype)
    return ops.tf_patches_fold_patches_at(
        values,
        positions,
        flips,
        _with_ends(image_shape, values),
        *(weights or (none, none)),
        **attributes(op, PLACES),
    )


def _with_ends(image_shape: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """The shape of images that have the batch and the depth of values."""
    ends = tf.shape(values, out_type=image_shape.dtype)
    return tf.concat([ends[:1], image_shape[1:-1], ends[-1:]], 0)


@register(tf.RegisterGradient, "TFPatches>FoldWeightedPatches")
def _fold_weighted_patches_gradient(op: tf.Operation, gradient: Any) -> list[Any]:
    patches, _, window = op.inputs
    gradient = tf.convert_to_tensor(gradient)
    at_patches, at_weights = _at_values(op, gradient, _grid_fold(op))
    at_window = None
    if at_weights is not None:
        others = tf.range(tf.rank(at_weights) - 2)
        at_window = tf.reduce_sum(at_weights, tf.concat([others, [-1]], 0))
        at_window = _like(at_window, window)
    return [_like(at_patches, patches), None, at_window]


def _grid_fold(op: tf.Operation) -> _Fold:
    patches, image_shape, window = op.inputs
    window = wide(window)
    grid = attributes(op, GRID)
    taps = math.prod(grid["ksizes"])

    def split(patches: tf.Tensor) -> tf.Tensor:
        """Patches with separate axes for taps and depth."""
        shape = tf.shape(patches, out_type=tf.int64)
        ends = tf.stack([tf.constant(taps, tf.int64), shape[-1] // taps])
        return tf.reshape(patches, tf.concat([shape[:-1], ends], 0))

    def extract(images: tf.Tensor) -> tf.Tensor:
        return split(ops.tf_patches_extract_patches(images, **grid))

    def cover() -> tf.Tensor:
        counts = tf.shape(patches, out_type=tf.int64)[1:-1]
        ones = tf.ones(tf.concat([[1], counts, [taps]], 0), window.dtype)
        shape = _with_ends(image_shape, split(ones))
        return ops.tf_patches_fold_weighted_patches(ones, shape, window, **grid)

    return _Fold(
        split(wide(patches)),
        tf.reshape(window, [taps, 1]) if are_given(window) else None,
        _is_wanted(op, 2),
        extract,
        cover,
    )
