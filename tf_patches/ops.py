"""The public functions for patches on a grid: out of images and back into them."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tf_patches import gradients as _gradients  # noqa: F401 (registers them)
from tf_patches import vectorized as _vectorized  # noqa: F401 (likewise)
from tf_patches.arguments import (
    are_plain,
    invalid,
    read_attributes,
    read_constant,
    read_integers,
    read_reduction,
    shape_text,
)
from tf_patches.dispatch import any_symbolic, is_symbolic, op
from tf_patches.image_shape import read_image_shape
from tf_patches.native import ops
from tf_patches.typing import (
    GridReduction,
    Integers,
    Mode,
    Number,
    Padding,
    Shape,
    TensorLike,
)
from tf_patches.weights import read_window


@op
def extract_patches(
    images: TensorLike,
    sizes: Integers,
    strides: Integers | None = None,
    rates: Integers | None = None,
    padding: Padding = "VALID",
    name: str | None = None,
    *,
    mode: Mode = "CONSTANT",
    constant_values: Number = 0,
) -> tf.Tensor:
    """Extracts patches from images, as `tf.image.extract_patches` does, and more.

    Images have one, two or three axes of space, and channels last: `[batch, cols,
    depth]` (signals), `[batch, rows, cols, depth]` or `[batch, planes, rows, cols,
    depth]` (volumes). The result is `[batch, out_rows, out_cols, size_rows * size_cols
    * depth]`: each patch is flattened in the last axis, planes first, then rows, then
    cols, then depth. To see its pixels, reshape the result to `[batch, out_rows,
    out_cols, size_rows, size_cols, depth]`. Every bit is copied, NaN payloads included.

    Patch `[i, j]` holds, for every tap `p < size_rows`, `q < size_cols`, the pixel

        image[i * stride_rows + p * rate_rows - pad_top,
              j * stride_cols + q * rate_cols - pad_left]

    where `pad_top` and `pad_left` are the pixels of padding before the image. Along
    each axis a patch spans `span = (size - 1) * rate + 1` pixels.

    - With padding VALID all patches lie inside the image. There are `(image - span) //
      stride + 1`. An image smaller than a patch, `image < span`, has no patches: the
      result is empty. An image that is smaller by two strides or more is an error, that
      is, if `span - image >= 2 * stride`. TensorFlow does the same.
    - With SAME there are `out = ceil(image / stride)` patches. They need
      `pad = max((out - 1) * stride + span - image, 0)` pixels outside the image:
      `pad // 2` before it, the rest after it. These are the formulas of
      `tf.nn.convolution`. If strides are larger than sizes, `tf.extract_volume_patches`
      begins inside the image instead, and so does `tf_patches.extract_volume_patches`.
    - With pairs of pixels, patches lie as with VALID on an image that has these pixels
      before and after it. There are `(before + image + after - span) // stride + 1`.

    No padded copy of the image is made. `mode` says what patches show outside of the
    image. It means what it means in `numpy.pad`, even if the padding is wider than the
    image. For the row `a b c d`:

        mode         before   image     after
        CONSTANT     0 0 0    a b c d   0 0 0
        REFLECT      d c b    a b c d   c b a
        SYMMETRIC    c b a    a b c d   d c b
        EDGE         a a a    a b c d   d d d
        WRAP         b c d    a b c d   a b c

    Args:
      images: A tensor `[batch, rows, cols, depth]`, or a tensor with one or three axes
        of space. Its dtype is bool, bfloat16, float16, float32, float64, complex64,
        complex128, or a signed or unsigned integer of 8 to 64 bits. Or anything that
        converts to such a tensor, or a `KerasTensor` in a functional model of Keras 3
        (not of `tf_keras`). A single image needs a batch axis: `image[tf.newaxis]`.
      sizes: The pixels in a patch: an int for all axes of space; an int for each axis,
        `[rows, cols]`; or TensorFlow's list, `[1, rows, cols, 1]`. A list, a tuple or a
        NumPy array. If the rank of `images` is unknown, only TensorFlow's list can be
        read.
      strides: The pixels from one patch to the next, in the forms of `sizes`. The
        default is `sizes`: patches lie side by side.
      rates: The pixels from one tap of a patch to the next (dilation), in the forms of
        `sizes`. The default is 1: a patch is solid.
      padding: "VALID" or "SAME", in upper or lower case. Or pairs of pixels, before and
        after each axis, as for `tf.nn.conv2d`: `[[0, 0], [top, bottom], [left, right],
        [0, 0]]`.
      name: A name for the operation.
      mode: "CONSTANT", "REFLECT", "SYMMETRIC", "EDGE" or "WRAP", in upper or lower
        case.
      constant_values: The number outside of the image with mode CONSTANT: a number of
        Python or NumPy, or a tensor that is known when the graph is built. It has no
        gradient.

    Returns:
      A tensor `[batch, out_rows, out_cols, size_rows * size_cols * depth]` with the
      dtype of `images` and as many axes. It has a gradient of any order.

    Raises:
      tf.errors.InvalidArgumentError: If an argument has a wrong length, rank or dtype;
        if `padding` or `mode` is not one of the names; if a patch is larger than the
        image and its padding by two strides or more; if the dtype of `images` does not
        hold `constant_values`; if an image without pixels needs another mode than
        CONSTANT; or if a patch has more than 2147483647 values or spans more pixels.
        While a graph is built: `ValueError`.
      tf.errors.OutOfRangeError: If a size, stride or rate is less than 1.
      tf.errors.UnimplementedError: If batch or depth has a size, stride or rate other
        than 1, or a padding.
      tf.errors.ResourceExhaustedError: If there is no memory for the result.
      TypeError: If `sizes`, `strides` or `rates` is a tensor or does not hold integers;
        if `padding`, `mode` or `constant_values` has a wrong type; or if an argument is
        missing.
      ValueError: If `images` is ragged (in a graph `TypeError`), or cannot be
        converted to a tensor.

    Examples:
      >>> image = tf.reshape(tf.range(1, 101), [1, 10, 10, 1])
      >>> patches = tf_patches.extract_patches(
      ...     image, sizes=[1, 3, 3, 1], strides=[1, 5, 5, 1],
      ...     rates=[1, 1, 1, 1], padding="VALID")
      >>> patches.shape
      TensorShape([1, 2, 2, 9])
      >>> patches[0, 0].numpy()
      array([[ 1,  2,  3, 11, 12, 13, 21, 22, 23],
             [ 6,  7,  8, 16, 17, 18, 26, 27, 28]], dtype=int32)

      The same with ints. And tiles of volumes; the last tiles reach beyond the volume
      and show it reflected:

      >>> same = tf_patches.extract_patches(image, 3, strides=5)
      >>> bool(tf.reduce_all(same == patches))
      True
      >>> volumes = tf.zeros([2, 30, 100, 100, 1])
      >>> tf_patches.extract_patches(
      ...     volumes, [8, 32, 32], padding="SAME", mode="REFLECT").shape
      TensorShape([2, 4, 4, 4, 8192])

      A signal, with a border of a tap before it:

      >>> signal = tf.reshape(tf.range(1.0, 5.0), [1, 4, 1])
      >>> tf_patches.extract_patches(
      ...     signal, 2, strides=1, padding=[[0, 0], [1, 0], [0, 0]],
      ...     mode="WRAP")[0].numpy()
      array([[4., 1.],
             [1., 2.],
             [2., 3.],
             [3., 4.]], dtype=float32)
    """
    if isinstance(images, tf.Tensor) and are_plain(
        images.shape.rank, sizes, strides, rates, padding, mode, constant_values
    ):
        return ops.tf_patches_extract_patches(
            images, sizes, strides, rates, padding, name=name
        )
    return _extract(images, sizes, strides, rates, padding, name, mode, constant_values)


@op
def extract_image_patches(
    images: TensorLike,
    ksizes: Integers | None = None,
    strides: Integers | None = None,
    rates: Integers | None = None,
    padding: Padding | None = None,
    name: str | None = None,
    sizes: Integers | None = None,
    *,
    mode: Mode = "CONSTANT",
    constant_values: Number = 0,
) -> tf.Tensor:
    """Extracts patches from images, with the names of TensorFlow 1.

    This is `extract_patches` with the arguments of
    `tf.compat.v1.extract_image_patches`.

    Args:
      images: As for `extract_patches`.
      ksizes: The old name of `sizes`.
      strides: As for `extract_patches`, but required.
      rates: As for `extract_patches`, but required.
      padding: As for `extract_patches`, but required.
      name: A name for the operation.
      sizes: Instead of `ksizes`.
      mode: As for `extract_patches`.
      constant_values: As for `extract_patches`.

    Returns:
      As `extract_patches`.

    Raises:
      ValueError: If both `ksizes` and `sizes` are given.
      OpError, TypeError, ValueError: As `extract_patches`; and if `strides`, `rates` or
        `padding` is missing, although the signature has defaults, as TensorFlow 1's.

    Examples:
      >>> image = tf.zeros([1, 10, 10, 3])
      >>> tf_patches.extract_image_patches(
      ...     image, ksizes=[1, 4, 4, 1], strides=[1, 7, 7, 1],
      ...     rates=[1, 1, 1, 1], padding="SAME").shape
      TensorShape([1, 2, 2, 48])
    """
    if ksizes is not None and sizes is not None:
        raise ValueError("Cannot specify both 'ksizes' and 'sizes'.")
    sizes_name = "ksizes" if sizes is None else "sizes"
    sizes = ksizes if sizes is None else sizes
    for given, argument in (
        (sizes, sizes_name),
        (strides, "strides"),
        (rates, "rates"),
    ):
        if given is None:
            read_integers(None, argument)  # raises the error
    return _extract(
        images, sizes, strides, rates, padding, name, mode, constant_values, sizes_name
    )


def _extract(
    images: Any,
    sizes: Any,
    strides: Any,
    rates: Any,
    padding: Any,
    name: str | None,
    mode: Any,
    constant_values: Any,
    sizes_name: str = "sizes",
) -> tf.Tensor:
    if not isinstance(images, tf.Tensor):
        if is_symbolic(images, "images"):
            from tf_patches.keras_operations import ExtractPatches

            return ExtractPatches(
                name,
                sizes=sizes,
                strides=strides,
                rates=rates,
                padding=padding,
                mode=mode,
                constant_values=constant_values,
            )(images)
        images = tf.convert_to_tensor(images)
    attributes = read_attributes(
        "images", images.shape, sizes, strides, rates, padding, mode, sizes_name
    )
    constant = read_constant(constant_values, images.dtype)
    return ops.tf_patches_extract_patches(
        images, **attributes, constant_values=constant, name=name
    )


@op
def extract_volume_patches(
    input: TensorLike,
    ksizes: Integers,
    strides: Integers,
    padding: Padding,
    name: str | None = None,
    *,
    rates: Integers | None = None,
    mode: Mode = "CONSTANT",
    constant_values: Number = 0,
) -> tf.Tensor:
    """Extracts patches from volumes, as `tf.extract_volume_patches` does.

    This is `extract_patches` of volumes, except with padding SAME and strides larger
    than sizes. Then `extract_patches` begins at the first pixel of an axis, like all
    other ops of TensorFlow. `tf.extract_volume_patches` and this function begin inside
    the volume: at pixel `(image - (out - 1) * stride - span) // 2`, where `out =
    ceil(image / stride)`.

    Args:
      input: As the `images` of `extract_patches`: `[batch, planes, rows, cols, depth]`.
      ksizes: As the `sizes` of `extract_patches`: an int, `[planes, rows, cols]` or
        `[1, planes, rows, cols, 1]`.
      strides: As for `extract_patches`, but required.
      padding: As for `extract_patches`, but required.
      name: A name for the operation.
      rates: As for `extract_patches`.
      mode: As for `extract_patches`.
      constant_values: As for `extract_patches`.

    Returns:
      A tensor `[batch, out_planes, out_rows, out_cols, size_planes * size_rows *
      size_cols * depth]` of the dtype of `input`. It has a gradient of any order.

    Raises:
      OpError, TypeError, ValueError: As `extract_patches`.

    Examples:
      >>> volume = tf.reshape(tf.range(6), [1, 6, 1, 1, 1])
      >>> tf_patches.extract_volume_patches(
      ...     volume, ksizes=[1, 1, 1, 1, 1], strides=[1, 3, 1, 1, 1],
      ...     padding="SAME")[0, :, 0, 0, 0].numpy()
      array([1, 4], dtype=int32)
      >>> tf_patches.extract_patches(
      ...     volume, 1, strides=[3, 1, 1], padding="SAME")[0, :, 0, 0, 0].numpy()
      array([0, 3], dtype=int32)
    """
    if is_symbolic(input, "input"):
        from tf_patches.keras_operations import ExtractVolumePatches

        return ExtractVolumePatches(
            name,
            ksizes=ksizes,
            strides=strides,
            padding=padding,
            rates=rates,
            mode=mode,
            constant_values=constant_values,
        )(input)
    volumes = tf.convert_to_tensor(input)
    if volumes.shape.rank is None:
        volumes = tf.ensure_shape(volumes, [None] * 5)
    if volumes.shape.rank != 5:
        invalid(
            "input must be [batch, planes, rows, cols, depth], but got shape "
            f"{shape_text(volumes.shape)}. If the batch axis is missing, add it: "
            "input[tf.newaxis]."
        )
    attributes = read_attributes(
        "input", volumes.shape, ksizes, strides, rates, padding, mode, "ksizes"
    )
    if attributes["padding"] == "SAME":
        attributes["padding"] = "SAME_UNCLAMPED"
    constant = read_constant(constant_values, volumes.dtype)
    return ops.tf_patches_extract_patches(
        volumes, **attributes, constant_values=constant, name=name
    )


@op
def fold_patches(
    patches: TensorLike,
    image_shape: TensorLike | Shape,
    sizes: Integers,
    strides: Integers | None = None,
    rates: Integers | None = None,
    padding: Padding = "VALID",
    name: str | None = None,
    *,
    mode: Mode = "CONSTANT",
    constant_values: Number = 0,
    reduction: GridReduction = "sum",
    weights: TensorLike | None = None,
) -> tf.Tensor:
    """Puts patches back into images: the adjoint of `extract_patches`, or a mean.

    Each pixel becomes the sum of all values that patches hold for it. So patches that
    do not overlap are put back as they were. If patches overlap, `reduction="mean"`
    averages them. `weights`, which are the same for every patch, multiply its values:

        sum:   image[pixel] = sum(weight * value)
        mean:  image[pixel] = sum(weight * value) / sum(weight)

    A pixel under no patch is zero, and the mean is zero if the sum of weights is zero.
    A value with weight zero does not count, even if it is NaN or infinite. With mode
    CONSTANT, values outside of the image are dropped. With another mode, each of them
    is added to the pixel that the patch shows there.

    Values are added axis by axis, planes first, then rows, then cols. Along each axis
    the first patch comes first, and in it the first tap. This is the order of the loop

        for i, p in patches and taps of rows:
            for j, q in patches and taps of cols:
                image[source_row(i, p), source_col(j, q)] += patches[i, j][p, q]

    The loop begins with zero and rounds to the dtype at every addition. So the sum is
    the same on every run. It equals TensorFlow's own gradient to the bit, except for
    NaN payloads if several NaNs are added. Weighted sums and means have the same order.
    For float16 and bfloat16 they are computed in float32 and rounded once at the end.

    Args:
      patches: A tensor `[batch, out_rows, out_cols, size_rows * size_cols * depth]`, as
        `extract_patches` returns, with one to three axes of space. Its dtype is
        floating, complex or integer; integer sums wrap around. Or a `KerasTensor`.
      image_shape: The shape of the images, `[batch, rows, cols, depth]`: a list, a
        tuple, a `tf.TensorShape`, or an int32 or int64 tensor or NumPy array. If the
        batch is None, it is the batch of `patches`. Or the images, or any tensor of
        their shape. If `patches` is a `KerasTensor`, such a tensor, or a number in the
        list, may be a `KerasTensor` too.
      sizes: As given to `extract_patches`.
      strides: As given to `extract_patches`.
      rates: As given to `extract_patches`.
      padding: As given to `extract_patches`.
      name: A name for the operation.
      mode: As given to `extract_patches`.
      constant_values: Not used. It is here so that the same arguments serve
        `extract_patches` and this function.
      reduction: "sum" or "mean", in lower or upper case. Integers have no mean: cast
        them to float32.
      weights: A window `[size_rows, size_cols]`: a tensor with the dtype of `patches`,
        or an array of numbers. Or a list of factors, a vector `[size]` for each axis of
        space: their outer product is the window.

    Returns:
      A tensor of shape `image_shape` with the dtype of `patches`. It has a gradient of
      any order with respect to `patches` and `weights`. The gradient of a value with
      weight zero is zero. A value that is not finite adds nothing to the gradient of a
      weight that is zero.

    Raises:
      tf.errors.InvalidArgumentError: If `image_shape` does not hold an integer of at
        least 0 for each axis of `patches`; if `patches` do not match `image_shape`; if
        `reduction` is not one of the names, or is the mean of integers; or if `weights`
        do not have the shape of a patch.
      ValueError: If more of `image_shape` than the batch is None.
      OpError, TypeError, ValueError: As `extract_patches`, for all other arguments.

    Examples:
      >>> grid = dict(sizes=2, strides=1)
      >>> patches = tf_patches.extract_patches(tf.ones([1, 3, 3, 1]), **grid)
      >>> tf_patches.fold_patches(patches, [1, 3, 3, 1], **grid)[0, :, :, 0].numpy()
      array([[1., 2., 1.],
             [2., 4., 2.],
             [1., 2., 1.]], dtype=float32)
      >>> tf_patches.fold_patches(
      ...     patches, [1, 3, 3, 1], **grid, reduction="mean")[0, :, :, 0].numpy()
      array([[1., 1., 1.],
             [1., 1., 1.],
             [1., 1., 1.]], dtype=float32)
    """
    if not isinstance(patches, tf.Tensor) or weights is not None:
        if any_symbolic(patches=patches, weights=weights):
            from tf_patches.keras_operations import FoldPatches

            return FoldPatches.of(
                image_shape,
                name,
                sizes=sizes,
                strides=strides,
                rates=rates,
                padding=padding,
                mode=mode,
                reduction=reduction,
            )(patches, weights=weights)
        patches = tf.convert_to_tensor(patches)
    image_shape = read_image_shape(image_shape, patches)
    shape = _known_rank(patches, image_shape)
    kind = read_reduction(reduction, ("SUM", "MEAN"))
    is_plain_sum = kind == "SUM" and weights is None
    if is_plain_sum and are_plain(shape.rank, sizes, strides, rates, padding, mode):
        return ops.tf_patches_fold_patches(
            patches, image_shape, sizes, strides, rates, padding, name=name
        )
    attributes = read_attributes("patches", shape, sizes, strides, rates, padding, mode)
    if is_plain_sum:
        return ops.tf_patches_fold_patches(
            patches, image_shape, **attributes, name=name
        )
    taps = attributes["ksizes"][1:-1]
    window = read_window(weights, patches, taps)
    return ops.tf_patches_fold_weighted_patches(
        patches, image_shape, window, **attributes, reduction=kind, name=name
    )


def _known_rank(patches: tf.Tensor, image_shape: Any) -> tf.TensorShape:
    """The shape of patches. If its rank is unknown, `image_shape` may tell the rank."""
    if patches.shape.rank is None and tf.is_tensor(image_shape):
        rank = image_shape.shape.num_elements()
        if rank in (3, 4, 5):
            return tf.TensorShape([None] * rank)
    return patches.shape
