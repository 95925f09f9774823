"""The public functions of positions: patches out of images, and back, at any place."""

from typing import Any

import tensorflow as tf

from tf_patches import gradients as _gradients  # noqa: F401 (registers them)
from tf_patches import vectorized as _vectorized  # noqa: F401 (likewise)
from tf_patches.arguments import (
    Integers,
    Mode,
    Number,
    Reduction,
    invalid,
    read_constant,
    read_mode,
    read_of_axes,
    read_reduction,
    shape_text,
)
from tf_patches.dispatch import any_symbolic, op
from tf_patches.image_shape import read_image_shape
from tf_patches.native import ops
from tf_patches.positions import fit_positions, read_flips, read_positions
from tf_patches.weights import read_weights


@op
def extract_patches_at(
    images: Any,
    positions: Any,
    sizes: Integers,
    rates: Integers | None = None,
    name: str | None = None,
    *,
    mode: Mode = "CONSTANT",
    constant_values: Number = 0,
    flips: Any = None,
) -> tf.Tensor:
    """Extracts patches from images at given positions, in any order.

    Examples:
      >>> image = tf.reshape(tf.range(1, 101), [1, 10, 10, 1])
      >>> patches = tf_patches.extract_patches_at(image, [[0, 0], [5, 7]], sizes=2)
      >>> patches[0, 1, :, :, 0].numpy()
      array([[58, 59],
             [68, 69]], dtype=int32)
    """
    if any_symbolic(images=images, positions=positions, flips=flips):
        from tf_patches.keras_operations import ExtractPatchesAt

        return ExtractPatchesAt(
            name,
            sizes=sizes,
            rates=rates,
            mode=mode,
            constant_values=constant_values,
        )(images, positions, flips=flips)
    images = tf.convert_to_tensor(images)
    positions = read_positions(positions)
    shape = images.shape
    rank = _rank_of_images(shape, positions)
    sizes = read_of_axes(sizes, "sizes", "images", shape, rank)
    axes = len(sizes)
    positions = fit_positions(positions, axes, "images", shape)
    return ops.tf_patches_extract_patches_at(
        images,
        positions,
        read_flips(flips, positions, axes),
        sizes=sizes,
        rates=_read_rates(rates, "images", shape, axes),
        mode=read_mode(mode),
        constant_values=read_constant(constant_values, images.dtype),
        name=name,
    )


@op
def fold_patches_at(
    patches: Any,
    positions: Any,
    image_shape: Any,
    rates: Integers | None = None,
    name: str | None = None,
    *,
    mode: Mode = "CONSTANT",
    flips: Any = None,
    reduction: Reduction = "sum",
    weights: Any = None,
) -> tf.Tensor:
    """Puts patches back into images at given positions.

    Examples:
      >>> patches = tf.ones([1, 2, 2, 2, 1])
      >>> tf_patches.fold_patches_at(
      ...     patches, [[0, 0], [1, 1]], [1, 3, 3, 1])[0, :, :, 0].numpy()
      array([[1., 1., 0.],
             [1., 2., 1.],
             [0., 1., 1.]], dtype=float32)
    """
    if any_symbolic(
        patches=patches,
        positions=positions,
        image_shape=image_shape,
        flips=flips,
        weights=weights,
    ):
        from tf_patches.keras_operations import FoldPatchesAt

        return FoldPatchesAt.of(
            image_shape,
            name,
            rates=rates,
            mode=mode,
            reduction=reduction,
        )(patches, positions, flips=flips, weights=weights)
    patches = tf.convert_to_tensor(patches)
    shape = patches.shape
    sizes = _sizes_of_patches(shape)
    axes = len(sizes)
    positions = fit_positions(read_positions(positions), axes, "patches", shape)
    window, profiles = read_weights(weights, patches, sizes)
    return ops.tf_patches_fold_patches_at(
        patches,
        positions,
        read_flips(flips, positions, axes),
        read_image_shape(image_shape, patches),
        window,
        profiles,
        sizes=sizes,
        rates=_read_rates(rates, "patches", shape, axes),
        mode=read_mode(mode),
        reduction=read_reduction(reduction),
        name=name,
    )


def _rank_of_images(shape: tf.TensorShape, positions: tf.Tensor) -> int | None:
    """The rank of images, or that which their positions tell."""
    if shape.rank is not None or not positions.shape.rank:
        return shape.rank
    axes = positions.shape[-1]
    return None if axes is None else axes + 2


def _sizes_of_patches(shape: tf.TensorShape) -> list[int]:
    if shape.rank is None or None in shape[2:-1]:
        known = "?" if shape.rank is None else shape_text(shape)
        invalid(
            "patches must be [batch, count, *sizes, depth] with sizes that are known "
            f"when the graph is built, but got shape {known}. Make the sizes known: "
            "patches = tf.ensure_shape(patches, [None, None, *sizes, None])."
        )
    if shape.rank not in (4, 5, 6):
        invalid(
            "patches must be [batch, count, *sizes, depth] with one to three sizes, "
            f"but got shape {shape_text(shape)}."
        )
    return shape[2:-1].as_list()


def _read_rates(
    rates: Integers | None, tensor: str, shape: tf.TensorShape, axes: int
) -> list[int]:
    if rates is None:
        return [1] * axes
    return read_of_axes(rates, "rates", tensor, shape, axes + 2)
