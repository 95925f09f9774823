"""How `tf.vectorized_map` and jacobians map the ops: all turns at once."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from tf_patches.native import ops
from tf_patches.registry import GRID, PLACES, attributes, register
from tf_patches.weights import counted, outer_product, wide

try:
    from tensorflow.python.ops.parallel_for import pfor
except ImportError:  # The module is private. Without it TensorFlow uses a loop.
    pfor = None

_RegisterPFor = getattr(pfor, "RegisterPFor", None)


def _merge_batch(stacked: tf.Tensor) -> tf.Tensor:
    """Joins the batches of all turns into a single batch."""
    shape = tf.shape(stacked, out_type=tf.int64)
    return tf.reshape(stacked, tf.concat([[shape[0] * shape[1]], shape[2:]], 0))


def _split_batch(merged: tf.Tensor, stacked: tf.Tensor) -> tf.Tensor:
    """Splits a batch into the batches of all turns, which `stacked` has."""
    batches = tf.shape(stacked, out_type=tf.int64)[:2]
    shape = tf.shape(merged, out_type=tf.int64)[1:]
    return tf.reshape(merged, tf.concat([batches, shape], 0))


def register_extraction(
    name: str, extract: Callable[..., tf.Tensor], names: Sequence[str]
) -> None:
    """Makes the op `name` do all turns as one batch.

    Args:
      name: The op.
      extract: The function that runs the op, on images and keyword arguments.
      names: The attributes that become keyword arguments.
    """

    @register(_RegisterPFor, name)
    def convert(pfor_input: Any) -> Any:
        images = pfor_input.stacked_input(0)
        patches = extract(_merge_batch(images), **attributes(pfor_input, names))
        return pfor.wrap(_split_batch(patches, images), True)


register_extraction(
    "TFPatches>ExtractPatches",
    ops.tf_patches_extract_patches,
    (*GRID, "constant_values"),
)


def _common_shape(image_shapes: tf.Tensor) -> tf.Tensor:
    """The shape of the images of every turn. It must be the same, to stack results."""
    same = tf.debugging.assert_equal(
        image_shapes,
        image_shapes[:1],
        "image_shape must be the same for every element that is mapped, but got",
    )
    with tf.control_dependencies([] if same is None else [same]):
        return tf.identity(image_shapes[0])


def _image_shape(pfor_input: Any, index: int) -> tf.Tensor:
    image_shape, is_stacked, _ = pfor_input.input(index)
    if is_stacked:
        image_shape = _common_shape(image_shape)
    return tf.cast(image_shape, tf.int64)


def _fold_turns(
    fold: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    patches: tf.Tensor,
    image_shape: tf.Tensor,
) -> tf.Tensor:
    """The images of all turns, from the patches of all turns, folded as one batch."""
    turns = tf.shape(patches, out_type=tf.int64)[0]
    merged = tf.concat([[turns * image_shape[0]], image_shape[1:]], 0)
    images = fold(_merge_batch(patches), merged)
    return tf.reshape(images, tf.concat([[turns], image_shape], 0))


@register(_RegisterPFor, "TFPatches>FoldPatches")
def _convert_fold_patches(pfor_input: Any) -> Any:
    pfor_input.stack_inputs([0])
    grid = attributes(pfor_input, GRID)

    def fold(patches: tf.Tensor, image_shape: tf.Tensor) -> tf.Tensor:
        return ops.tf_patches_fold_patches(patches, image_shape, **grid)

    images = _fold_turns(fold, pfor_input.stacked_input(0), _image_shape(pfor_input, 1))
    return pfor.wrap(images, True)


@register(_RegisterPFor, "TFPatches>FoldWeightedPatches")
def _convert_fold_weighted_patches(pfor_input: Any) -> Any:
    pfor_input.stack_inputs([0])
    patches, image_shape = pfor_input.stacked_input(0), _image_shape(pfor_input, 1)
    window, is_stacked, _ = pfor_input.input(2)
    grid = attributes(pfor_input, GRID)
    reduction = pfor_input.get_attr("reduction")

    def fold(patches: tf.Tensor, image_shape: tf.Tensor) -> tf.Tensor:
        return ops.tf_patches_fold_weighted_patches(
            patches, image_shape, window, **grid, reduction=reduction
        )

    def fold_sum(patches: tf.Tensor, image_shape: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(patches)[:-2]
        patches = tf.reshape(patches, tf.concat([shape, [-1]], 0))
        return ops.tf_patches_fold_patches(patches, image_shape, **grid)

    if not is_stacked:
        return pfor.wrap(_fold_turns(fold, patches, image_shape), True)
    taps = math.prod(grid["ksizes"])
    shape = tf.shape(patches, out_type=tf.int64)
    split = tf.stack([tf.constant(taps, tf.int64), shape[-1] // taps])
    ones = [1] * (len(grid["ksizes"]) - 1)
    images = _fold_weighted_turns(
        fold_sum,
        tf.reshape(patches, tf.concat([shape[:-1], split], 0)),
        image_shape,
        tf.reshape(window, tf.stack([shape[0], *ones, taps, 1])),
        reduction,
    )
    return pfor.wrap(images, True)


def _fold_weighted_turns(
    fold_sum: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    values: tf.Tensor,
    image_shape: tf.Tensor,
    weights: tf.Tensor,
    reduction: bytes,
) -> tf.Tensor:
    """Images of turns that each have their own weights, which an op cannot take.

    They are folds of products, divided by folds of weights, as in the op.
    """
    dtype = values.dtype
    values, weights = wide(values), wide(weights)
    products = weights * counted(values, weights)
    images = _fold_turns(fold_sum, products, image_shape)
    if reduction == b"MEAN":
        shape = tf.concat([tf.shape(values)[:-1], [1]], 0)
        cover = tf.broadcast_to(weights, shape)
        one_channel = tf.concat([image_shape[:-1], [1]], 0)
        images = tf.math.divide_no_nan(
            images, _fold_turns(fold_sum, cover, one_channel)
        )
    return tf.cast(images, dtype)


@register(_RegisterPFor, "TFPatches>ExtractPatchesAt")
def _convert_extract_patches_at(pfor_input: Any) -> Any:
    images, are_stacked, _ = pfor_input.input(0)
    turns = tf.cast(pfor_input.pfor.loop_len_vector[0], tf.int64)
    extract = partial(
        ops.tf_patches_extract_patches_at,
        **attributes(pfor_input, (*PLACES, "constant_values")),
    )
    if are_stacked:
        places = _places_of_batch(pfor_input, tf.shape(images, out_type=tf.int64)[1])
        patches = extract(_merge_batch(images), *places)
        return pfor.wrap(_split_batch(patches, images), True)
    # All turns cut the same images, so images are not copied. The patches of a turn
    # follow the patches of the turn before.
    batch = tf.shape(images, out_type=tf.int64)[0]
    patches = extract(images, *_places_of_count(pfor_input, batch))
    shape = tf.shape(patches, out_type=tf.int64)
    ends = [batch, turns, tf.shape(pfor_input.input(1)[0], out_type=tf.int64)[-2]]
    patches = tf.reshape(patches, tf.concat([ends, shape[2:]], 0))
    rank = len(pfor_input.get_attr("sizes")) + 4
    return pfor.wrap(tf.transpose(patches, [1, 0, *range(2, rank)]), True)


@register(_RegisterPFor, "TFPatches>FoldPatchesAt")
def _convert_fold_patches_at(pfor_input: Any) -> Any:
    pfor_input.stack_inputs([0])
    patches, image_shape = pfor_input.stacked_input(0), _image_shape(pfor_input, 3)
    window, window_is_stacked, _ = pfor_input.input(4)
    profiles, profiles_are_stacked, _ = pfor_input.input(5)
    batch = tf.shape(patches, out_type=tf.int64)[1]
    places = _places_of_batch(pfor_input, batch)
    lists = attributes(pfor_input, PLACES)
    reduction = pfor_input.get_attr("reduction")

    def fold(patches: tf.Tensor, image_shape: tf.Tensor) -> tf.Tensor:
        return ops.tf_patches_fold_patches_at(
            patches,
            *places,
            image_shape,
            window,
            profiles,
            **lists,
            reduction=reduction,
        )

    def fold_sum(patches: tf.Tensor, image_shape: tf.Tensor) -> tf.Tensor:
        none = tf.constant([], patches.dtype)
        return ops.tf_patches_fold_patches_at(
            patches, *places, image_shape, none, none, **lists
        )

    if not window_is_stacked and not profiles_are_stacked:
        return pfor.wrap(_fold_turns(fold, patches, image_shape), True)
    images = _fold_weighted_turns(
        fold_sum,
        patches,
        image_shape,
        _weights_of_turns(pfor_input, lists["sizes"]),
        reduction,
    )
    return pfor.wrap(images, True)


def _weights_of_turns(pfor_input: Any, sizes: Sequence[int]) -> tf.Tensor:
    """The weights of turns, [turns, 1, count or 1, *sizes, 1]."""
    window, is_stacked, _ = pfor_input.input(4)
    if is_stacked:
        return tf.reshape(window, [-1, 1, 1, *sizes, 1])
    profiles = pfor_input.stacked_input(5)
    shape = tf.shape(profiles)
    windows = outer_product(tf.reshape(profiles, [-1, sum(sizes)]), sizes)
    return tf.reshape(windows, tf.stack([shape[0], 1, shape[1], *sizes, 1]))


def _places_of_batch(pfor_input: Any, batch: tf.Tensor) -> list[tf.Tensor]:
    """Positions and flips for the images of all turns as a single batch."""
    places = []
    for index in (1, 2):
        place, is_stacked, _ = pfor_input.input(index)
        if is_stacked or place.shape.rank not in (1, 2):  # images differ
            place = _merge_batch(_of_every_turn(pfor_input, index, batch))
        places.append(place)
    return places


def _places_of_count(pfor_input: Any, batch: tf.Tensor) -> list[tf.Tensor]:
    """Positions and flips of all turns, one after the other for each image."""
    places = []
    for index in (1, 2):
        place, is_stacked, _ = pfor_input.input(index)
        if is_stacked or place.shape.rank != 1:  # they are given
            turns = _of_every_turn(pfor_input, index, batch)
            shape = tf.shape(turns, out_type=tf.int64)
            place = tf.reshape(
                tf.transpose(turns, [1, 0, 2, 3]),
                tf.stack([batch, shape[0] * shape[2], shape[3]]),
            )
        places.append(place)
    return places


def _of_every_turn(pfor_input: Any, index: int, batch: tf.Tensor) -> tf.Tensor:
    """Positions or flips, [turns, batch, count, axes]."""
    place, is_stacked, _ = pfor_input.input(index)
    turns = tf.cast(pfor_input.pfor.loop_len_vector, tf.int64)
    shape = tf.shape(place, out_type=tf.int64)
    first = 1 if is_stacked else 0
    images = tf.reduce_prod(shape[first:-2], keepdims=True)  # 1 if for all images
    whole = tf.concat([shape[:1] if is_stacked else [1], images, shape[-2:]], 0)
    every = tf.concat([turns, [batch], shape[-2:]], 0)
    return tf.broadcast_to(tf.reshape(place, whole), every)
