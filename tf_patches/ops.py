"""The public functions: patches out of images, and patches back into images."""

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

import numpy as np
import tensorflow as tf

from tf_patches import gradients as _gradients  # noqa: F401 (registers them)
from tf_patches.native import ops

_Function = TypeVar("_Function", bound=Callable[..., Any])

_LEAST, _LARGEST = -(2**31), 2**31 - 1  # of an attribute
_LARGEST_DIMENSION = 2**63 - 1
_PADDINGS = {"VALID": "VALID", "SAME": "SAME", b"VALID": "VALID", b"SAME": "SAME"}


def _op(function: _Function) -> _Function:
    """Makes a function one that TensorFlow treats as its own.

    It can be dispatched on its arguments' types, and AutoGraph leaves it alone.
    """
    signature, defaults = inspect.signature(function), function.__defaults__
    # Given defaults, TensorFlow's dispatcher leaves it to Python to say which
    # argument is missing.
    function.__defaults__ = (None,) * len(signature.parameters)
    op = tf.__internal__.dispatch.add_dispatch_support(function)
    function.__defaults__, op.__signature__ = defaults, signature
    # The mark that AutoGraph looks for, without a wrapper's microsecond.
    mark = tf.autograph.experimental.do_not_convert(function)
    vars(op).update(vars(mark) | vars(op))
    return op


@_op
def extract_patches(
    images: Any,
    sizes: Sequence[int],
    strides: Sequence[int],
    rates: Sequence[int],
    padding: str,
    name: str | None = None,
) -> tf.Tensor:
    """Extracts patches from images, as `tf.image.extract_patches` does.

    Patch `[i, j]` of an image holds the pixels `[i * stride_rows + p * rate_rows,
    j * stride_cols + q * rate_cols]` for every tap `p < size_rows`,
    `q < size_cols`, counted from the image's corner with padding VALID, and from
    `(pad_rows // 2, pad_cols // 2)` pixels before it with SAME. Its values lie
    flattened in the last axis, rows first, then cols, then depth: reshape the
    result to `[batch, out_rows, out_cols, size_rows, size_cols, depth]` to see
    them. Every bit is copied as it is, NaN payloads included.

    Along each axis a patch spans `span = (size - 1) * rate + 1` pixels. With
    VALID only patches inside the image count: `(image - span) // stride + 1` of
    them. Where the image is smaller than a patch, `image < span`, there are no
    patches and the result is empty, as TensorFlow's; from
    `span - image >= 2 * stride` on that is an error, as in TensorFlow. With SAME
    there are `out = ceil(image / stride)` patches, which need
    `pad = max((out - 1) * stride + span - image, 0)` pixels outside the image,
    all zero. These are the formulas of `tf.nn.convolution`.

    Args:
      images: A tensor `[batch, rows, cols, depth]` of any of the dtypes bool,
        bfloat16, float16, float32, float64, complex64, complex128, and the
        signed and unsigned integers of 8 to 64 bits; or anything that converts
        to one; or a `KerasTensor`, in a Keras functional model.
      sizes: `[1, size_rows, size_cols, 1]`, the pixels in a patch. Integers: a
        list, a tuple or a NumPy array, as for strides and rates.
      strides: `[1, stride_rows, stride_cols, 1]`, the pixels from one patch to
        the next.
      rates: `[1, rate_rows, rate_cols, 1]`, the pixels from one tap of a patch
        to the next (dilation): 1 for a solid patch.
      padding: "VALID" or "SAME".
      name: A name for the operation.

    Returns:
      A tensor `[batch, out_rows, out_cols, size_rows * size_cols * depth]` of
      the dtype of `images`. It has a gradient, of any order.

    Raises:
      tf.errors.InvalidArgumentError: If an argument has the wrong length, rank
        or dtype, if `padding` is neither of the two, if a VALID patch exceeds
        the image by two strides or more, or if a patch would exceed 2147483647
        values or pixels of span. While a graph is built: `ValueError`.
      tf.errors.OutOfRangeError: If a size, stride or rate is less than 1.
      tf.errors.UnimplementedError: If the first or last entry of `sizes`,
        `strides` or `rates` is not 1.
      tf.errors.ResourceExhaustedError: If the result cannot be allocated.
      TypeError: If `sizes`, `strides` or `rates` is a tensor or no list, or if an
        argument is missing.
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
    """
    return _extract(images, sizes, strides, rates, padding, name)


@_op
def extract_image_patches(
    images: Any,
    ksizes: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
    rates: Sequence[int] | None = None,
    padding: str | None = None,
    name: str | None = None,
    sizes: Sequence[int] | None = None,
) -> tf.Tensor:
    """Extracts patches from images, by TensorFlow 1's name and argument names.

    The same as `extract_patches`, whose arguments, result and errors see;
    called as `tf.compat.v1.extract_image_patches` is.

    Args:
      images: As for `extract_patches`.
      ksizes: The old name of `sizes`.
      strides: As for `extract_patches`.
      rates: As for `extract_patches`.
      padding: As for `extract_patches`.
      name: A name for the operation.
      sizes: As for `extract_patches`; instead of `ksizes`.

    Returns:
      As `extract_patches`.

    Raises:
      ValueError: If both `ksizes` and `sizes` are given.
      OpError, TypeError, ValueError: As `extract_patches`; `strides`, `rates` and
        `padding` must be given, though TensorFlow 1's signature has defaults.

    Examples:
      >>> image = tf.zeros([1, 10, 10, 3])
      >>> tf_patches.extract_image_patches(
      ...     image, ksizes=[1, 4, 4, 1], strides=[1, 7, 7, 1],
      ...     rates=[1, 1, 1, 1], padding="SAME").shape
      TensorShape([1, 2, 2, 48])
    """
    if ksizes is not None and sizes is not None:
        raise ValueError("Cannot specify both 'ksizes' and 'sizes'.")
    sizes = ksizes if sizes is None else sizes
    return _extract(images, sizes, strides, rates, padding, name)


def _extract(
    images: Any, sizes: Any, strides: Any, rates: Any, padding: Any, name: str | None
) -> tf.Tensor:
    if _is_symbolic(images, "images"):
        from tf_patches.keras_operations import ExtractPatches

        return ExtractPatches(
            name, sizes=sizes, strides=strides, rates=rates, padding=padding
        )(images)
    grid = plain_grid(sizes, strides, rates, padding)
    return ops.tf_patches_extract_patches(images, *grid, name)


@_op
def fold_patches(
    patches: Any,
    image_shape: Any,
    sizes: Sequence[int],
    strides: Sequence[int],
    rates: Sequence[int],
    padding: str,
    name: str | None = None,
) -> tf.Tensor:
    """Sums patches back into images: the adjoint of `extract_patches`.

    Each pixel becomes the sum of the values that the patches over it hold for
    it; a pixel in no patch becomes zero. Patches that do not overlap are thus
    put back as they were. Where they overlap, divide by the fold of ones to
    average them, with `tf.math.divide_no_nan`: the fold of ones is zero where no
    patch lies. The sum is taken in the order in which the patches are
    stored, rounded to the dtype at every addition. So it is the same on every
    run, and equals TensorFlow's own gradient to the bit, except for NaN payloads
    where several NaNs are added.

    Args:
      patches: A tensor `[batch, out_rows, out_cols, size_rows * size_cols *
        depth]`, as `extract_patches` returns, of a floating, complex or integer
        dtype (integer sums wrap around); or a `KerasTensor`.
      image_shape: `[batch, rows, cols, depth]` of the images: a list, a tuple, a
        `tf.TensorShape`, or an int32 or int64 tensor or NumPy array. The batch
        may be None, for that of `patches`.
      sizes: As given to `extract_patches`.
      strides: As given to `extract_patches`.
      rates: As given to `extract_patches`.
      padding: As given to `extract_patches`.
      name: A name for the operation.

    Returns:
      A tensor of shape `image_shape` and the dtype of `patches`. It has a
      gradient, of any order, with respect to `patches`.

    Raises:
      tf.errors.InvalidArgumentError: If `image_shape` is not four integers of at
        least 0, or if `patches` does not have the shape of its patches.
      ValueError: If `image_shape` leaves more open than the batch.
      OpError, TypeError, ValueError: As `extract_patches`, for every other
        argument.

    Examples:
      >>> grid = dict(sizes=[1, 2, 2, 1], strides=[1, 1, 1, 1],
      ...             rates=[1, 1, 1, 1], padding="VALID")
      >>> patches = tf_patches.extract_patches(tf.ones([1, 3, 3, 1]), **grid)
      >>> tf_patches.fold_patches(patches, [1, 3, 3, 1], **grid)[0, :, :, 0].numpy()
      array([[1., 2., 1.],
             [2., 4., 2.],
             [1., 2., 1.]], dtype=float32)
    """
    if _is_symbolic(patches, "patches"):
        from tf_patches.keras_operations import FoldPatches

        dimensions = _dimensions(image_shape)
        return FoldPatches(
            dimensions, name, sizes=sizes, strides=strides, rates=rates, padding=padding
        )(patches)
    grid = plain_grid(sizes, strides, rates, padding)
    return ops.tf_patches_fold_patches(
        patches, _shape(image_shape, patches), *grid, name
    )


def _invalid(message: str) -> NoReturn:
    """Raises the class that TensorFlow's op raises: a graph has one of its own."""
    if tf.executing_eagerly():
        raise tf.errors.InvalidArgumentError(None, None, message)
    raise ValueError(message)


def plain_grid(
    sizes: Any, strides: Any, rates: Any, padding: Any
) -> tuple[list[int], list[int], list[int], str]:
    """The grid of patches as the ops take it: lists of integers and a string."""
    return (
        _integers(sizes, "sizes"),
        _integers(strides, "strides"),
        _integers(rates, "rates"),
        _padding(padding),
    )


def _integers(values: Any, name: str) -> list[int]:
    if type(values) is list:
        for value in values:  # A call of a function would take longer.
            if type(value) is not int or not _LEAST <= value <= _LARGEST:
                break
        else:
            return values
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        values = values.tolist() if values.ndim == 1 else values
    elif isinstance(values, tf.TensorShape):
        values = values.as_list()
    if isinstance(values, (list, tuple)):
        return [_integer(value, name) for value in values]
    message = f"{name} must be a list of 4 integers, [1, rows, cols, 1], but got "
    if values is None and tf.executing_eagerly():
        _invalid(f"{message}None.")
    fixed = "; they are fixed when a graph is built" if tf.is_tensor(values) else ""
    raise TypeError(f"{message}{values!r}{fixed}.")


def _integer(value: Any, name: str) -> int:
    """As TensorFlow does it: numbers lose what follows the point."""
    number = tf.get_static_value(value) if tf.is_tensor(value) else value
    try:
        if isinstance(number, (str, bytes)):
            raise TypeError
        integer = int(number)
    except (TypeError, ValueError, OverflowError):
        known = "integers"
        if tf.is_tensor(value):
            known += " that are known when the graph is built"
        raise TypeError(f"{name} must hold {known}, but got {value!r}.") from None
    if not _LEAST <= integer <= _LARGEST:
        _invalid(f"{name} must hold integers of 32 bits, but got {value!r}.")
    return integer


def _padding(padding: Any) -> str:
    if not isinstance(padding, (str, bytes)):
        raise TypeError(f'padding must be "VALID" or "SAME", but got {padding!r}.')
    if padding not in _PADDINGS:
        _invalid(f'padding must be "VALID" or "SAME", but got {padding!r}.')
    return _PADDINGS[padding]


def _is_symbolic(tensor: Any, name: str) -> bool:
    """Whether a tensor is a Keras tensor; refuses ragged tensors."""
    if isinstance(tensor, tf.Tensor):
        return False
    if isinstance(tensor, tf.RaggedTensor):
        kind = ValueError if tf.executing_eagerly() else TypeError  # TensorFlow's
        raise kind(
            f"{name} must be a dense tensor, but got a RaggedTensor. "
            f"Pass {name}.to_tensor()."
        )
    # Where Keras has not been imported there are no Keras tensors.
    symbolic: Any = getattr(sys.modules.get("keras"), "KerasTensor", ())
    if not isinstance(tensor, symbolic):
        return False
    if tensor.ragged:
        raise TypeError(
            f"{name} must be a dense tensor, but got a ragged KerasTensor. Make it "
            f"dense, as {name}.to_tensor() does for a RaggedTensor: "
            f"keras.ops.convert_to_tensor({name}, ragged=False)."
        )
    return True


def _dimensions(image_shape: Any) -> Any:
    """`image_shape`, as a list if it is a `tf.TensorShape`."""
    dimensions = image_shape
    if isinstance(image_shape, tf.TensorShape):
        known = image_shape.rank is not None
        dimensions = image_shape.as_list() if known else [None, None]
    if isinstance(dimensions, (list, tuple)) and any(n is None for n in dimensions[1:]):
        raise ValueError(
            f"Only the batch of image_shape may be None, but got {image_shape!r}."
        )
    return dimensions


def _shape(image_shape: Any, patches: Any) -> Any:
    """`image_shape` as the op takes it, with a batch of None filled in.

    Lists become tensors here. TensorFlow would cast them to int32, and so drop the
    upper bits, or what follows the point.
    """
    dimensions = _dimensions(image_shape)
    if isinstance(dimensions, np.ndarray):
        return tf.constant(dimensions)
    if not isinstance(dimensions, (list, tuple)):
        return dimensions
    if dimensions and dimensions[0] is None:
        rest = _vector(dimensions[1:])
        batch = tf.shape(patches, out_type=rest.dtype)[:1]
        return tf.concat([batch, rest], 0)
    return _vector(dimensions)


def _vector(dimensions: Sequence[Any]) -> tf.Tensor:
    for dimension in dimensions:
        if type(dimension) is int and abs(dimension) > _LARGEST_DIMENSION:
            _invalid(f"image_shape must hold integers of 64 bits, but got {dimension}.")
    if all(type(dimension) is int for dimension in dimensions):
        return tf.constant(dimensions, tf.int64)
    return tf.stack(
        [
            tf.cast(n, tf.int64) if tf.is_tensor(n) and n.dtype.is_integer else n
            for n in dimensions
        ]
    )
