"""The public functions for patches at positions: out of images and back into them."""

from __future__ import annotations

import tensorflow as tf

from tf_patches import gradients as _gradients  # noqa: F401 (registers them)
from tf_patches import vectorized as _vectorized  # noqa: F401 (likewise)
from tf_patches.arguments import (
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
from tf_patches.typing import Integers, Mode, Number, Reduction, Shape, TensorLike
from tf_patches.weights import read_weights


@op
def extract_patches_at(
    images: TensorLike,
    positions: TensorLike,
    sizes: Integers,
    rates: Integers | None = None,
    name: str | None = None,
    *,
    mode: Mode = "CONSTANT",
    constant_values: Number = 0,
    flips: TensorLike | None = None,
) -> tf.Tensor:
    """Extracts patches from images at given positions, in any order.

    A position is the pixel under the first tap of a patch, `[row, col]`. Patch `k` of
    an image holds, for every tap `p < size_rows`, `q < size_cols`,

        patches[k, p, q] = image[row[k] + p * rate_rows, col[k] + q * rate_cols]

    Positions may be unknown until the op runs. Patches may overlap, be equal, and lie
    partly or wholly outside of the image. `mode` says what they show there, as for
    `extract_patches`. Every bit is copied.

    `flips` reverse each patch along the axes for which its flip is true. They do so
    after the patch is cut, so its position does not change.

    Args:
      images: As for `extract_patches`: `[batch, rows, cols, depth]`, or a tensor with
        one or three axes of space.
      positions: Integers `[count, 2]`, the same for all images, or `[batch, count, 2]`.
        For signals `[..., 1]`, for volumes `[..., 3]`, planes first. An int32 or int64
        tensor (other integers are cast to int64), an array, a list, or a `KerasTensor`.
      sizes: As for `extract_patches`: an int, `[rows, cols]` or `[1, rows, cols, 1]`.
        If the rank of `images` is unknown, an int or an int for each axis can be read
        if the last dimension of `positions` is known.
      rates: The pixels from one tap of a patch to the next, in the forms of `sizes`.
        The default is 1.
      name: A name for the operation.
      mode: As for `extract_patches`.
      constant_values: As for `extract_patches`.
      flips: Bools in the form of positions, `[count, 2]` or `[batch, count, 2]`, or
        `[2]` for all patches. By default no patch is flipped.

    Returns:
      A tensor `[batch, count, size_rows, size_cols, depth]` with the dtype of `images`.
      It has a gradient of any order with respect to `images`.

    Raises:
      tf.errors.InvalidArgumentError: If an argument has a wrong length, rank or shape;
        if a patch reaches beyond 2^62 pixels from the image; or as `extract_patches`.
        While a graph is built: `ValueError`.
      TypeError: If `positions` are not integers, or `flips` are not bools.
      OpError, TypeError, ValueError: As `extract_patches`, for all other arguments.

    Examples:
      >>> image = tf.reshape(tf.range(1, 101), [1, 10, 10, 1])
      >>> positions = [[5, 7], [0, 0], [-1, 4]]
      >>> patches = tf_patches.extract_patches_at(image, positions, sizes=2)
      >>> patches.shape
      TensorShape([1, 3, 2, 2, 1])
      >>> patches[0, :, :, :, 0].numpy()
      array([[[58, 59],
              [68, 69]],
      <BLANKLINE>
             [[ 1,  2],
              [11, 12]],
      <BLANKLINE>
             [[ 0,  0],
              [ 5,  6]]], dtype=int32)

      The first patch mirrored. The last patch shows the image reflected:

      >>> patches = tf_patches.extract_patches_at(
      ...     image, positions, 2, mode="REFLECT",
      ...     flips=[[False, True], [False, False], [False, False]])
      >>> patches[0, 0, :, :, 0].numpy()
      array([[59, 58],
             [69, 68]], dtype=int32)
      >>> patches[0, 2, :, :, 0].numpy()
      array([[15, 16],
             [ 5,  6]], dtype=int32)
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
    tensor = tf.convert_to_tensor(images)
    places = read_positions(positions)
    shape = tensor.shape
    rank = _rank_of_images(shape, places)
    sizes = read_of_axes(sizes, "sizes", "images", shape, rank)
    axes = len(sizes)
    places = fit_positions(places, axes, "images", shape)
    return ops.tf_patches_extract_patches_at(
        tensor,
        places,
        read_flips(flips, places, axes),
        sizes=sizes,
        rates=_read_rates(rates, "images", shape, axes),
        mode=read_mode(mode),
        constant_values=read_constant(constant_values, tensor.dtype),
        name=name,
    )


@op
def fold_patches_at(
    patches: TensorLike,
    positions: TensorLike,
    image_shape: TensorLike | Shape,
    rates: Integers | None = None,
    name: str | None = None,
    *,
    mode: Mode = "CONSTANT",
    flips: TensorLike | None = None,
    reduction: Reduction = "sum",
    weights: TensorLike | None = None,
) -> tf.Tensor:
    """Puts patches back into images, at the positions where they were cut.

    A sum is the adjoint of `extract_patches_at`. Each pixel is made of all values that
    patches hold for it:

        sum:   image[pixel] = sum(weight * value)
        mean:  image[pixel] = sum(weight * value) / sum(weight)
        max:   image[pixel] = max(value), and likewise min

    Weights are 1 unless they are given. A pixel under no patch is zero, and the mean is
    zero if the sum of weights is zero. A value with weight zero does not count, even if
    it is NaN or infinite. The largest and the smallest of values with a NaN is NaN.
    With mode CONSTANT, values outside of the image are dropped. With another mode, each
    of them counts for the pixel that the patch shows there.

    Values are added in the order of `patches`: the first patch first, and in it plane
    by plane, row by row, col by col. Sums begin with zero and are rounded to the dtype
    at every addition. Weighted sums and all means of float16 and bfloat16 are computed
    in float32 and rounded once at the end. So the result is the same to the bit for any
    number of threads.

    Args:
      patches: A tensor `[batch, count, size_rows, size_cols, depth]`, as
        `extract_patches_at` returns, or a `KerasTensor`. Its dtype is floating, complex
        or integer; integer sums wrap around. The sizes must be known when a graph is
        built.
      positions: As given to `extract_patches_at`.
      image_shape: `[batch, rows, cols, depth]` of the images, as for `fold_patches`.
      rates: As given to `extract_patches_at`.
      name: A name for the operation.
      mode: As given to `extract_patches_at`.
      flips: As given to `extract_patches_at`: patches are flipped back.
      reduction: "sum", "mean", "max" or "min", in lower or upper case. Integers have no
        mean: cast them to float32. Complex numbers have no "max" and "min".
      weights: A window `[size_rows, size_cols]`: a tensor with the dtype of `patches`,
        or an array of numbers. Or a list of factors, for each axis of space a vector
        `[size]`, or `[count, size]` if each patch has its own: their outer product is
        the window. A list with an item for each axis always holds factors. A flipped
        patch is flipped back together with its weights. "max" and "min" take no
        weights.

    Returns:
      A tensor of shape `image_shape` with the dtype of `patches`. It has a gradient of
      any order with respect to `patches` and `weights`. The gradient of a value with
      weight zero is zero. A value that is not finite adds nothing to the gradient of a
      weight if the weight, or the gradient of the pixel, is zero. With "max" and "min"
      equal values share the gradient of their pixel; a pixel that is NaN passes no
      gradient on.

    Raises:
      tf.errors.InvalidArgumentError: If an argument has a wrong length, rank or shape;
        if `reduction` is not one of the names, or does not suit the dtype of `patches`;
        if the dtype of `patches` does not hold the weights; or as `extract_patches_at`.
        While a graph is built: `ValueError`.
      ValueError: If more of `image_shape` than the batch is None.
      TypeError: If `weights` are not numbers, or are a tensor of another dtype.
      OpError, TypeError, ValueError: As `extract_patches_at`, for all other arguments.

    Examples:
      >>> positions = [[0, 0], [1, 1]]
      >>> patches = tf.ones([1, 2, 2, 2, 1]) * [[[[1]]], [[[5]]]]
      >>> patches.shape
      TensorShape([1, 2, 2, 2, 1])
      >>> def fold(**how):
      ...   return tf_patches.fold_patches_at(
      ...       patches, positions, [1, 3, 3, 1], **how)[0, :, :, 0].numpy()
      >>> fold()
      array([[1., 1., 0.],
             [1., 6., 5.],
             [0., 5., 5.]], dtype=float32)
      >>> fold(reduction="mean")
      array([[1., 1., 0.],
             [1., 3., 5.],
             [0., 5., 5.]], dtype=float32)
      >>> fold(reduction="mean", weights=[[3, 1], [1, 1]])
      array([[1., 1., 0.],
             [1., 4., 5.],
             [0., 5., 5.]], dtype=float32)
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
    tensor = tf.convert_to_tensor(patches)
    shape = tensor.shape
    sizes = _sizes_of_patches(shape)
    axes = len(sizes)
    places = fit_positions(read_positions(positions), axes, "patches", shape)
    window, profiles = read_weights(weights, tensor, sizes)
    return ops.tf_patches_fold_patches_at(
        tensor,
        places,
        read_flips(flips, places, axes),
        read_image_shape(image_shape, tensor),
        window,
        profiles,
        sizes=sizes,
        rates=_read_rates(rates, "patches", shape, axes),
        mode=read_mode(mode),
        reduction=read_reduction(reduction),
        name=name,
    )


def _rank_of_images(shape: tf.TensorShape, positions: tf.Tensor) -> int | None:
    """The rank of images. If it is unknown, positions may tell it."""
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
