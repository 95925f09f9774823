"""Patches in Keras' own operations, and Keras' own patches in ours."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from tf_patches.conversion.error import ConversionError
from tf_patches.keras_operations import ExtractPatches
from tf_patches.ops import extract_patches


class Grid(NamedTuple):
    """Where patches lie, as given to `tf_patches.extract_patches`."""

    sizes: Sequence[int]
    strides: Sequence[int]
    rates: Sequence[int]
    padding: str | bytes


class _Axis(NamedTuple):
    """The taps of patches along an axis of an image."""

    pixels: np.ndarray  # [patches, taps]: in the padded image
    pad: tuple[int, int]
    padded: int  # the pixels of the padded image


def extract(images: Any, grid: Grid) -> Any:
    """As `tf_patches.extract_patches`, gradient included, to the bit."""
    _, *space, depth = images.shape
    rows, cols = _axes(space, depth, grid)
    padded = images
    if any((*rows.pad, *cols.pad)):
        padded = ops.pad(images, [(0, 0), rows.pad, cols.pad, (0, 0)])
    flat = ops.reshape(padded, (-1, rows.padded * cols.padded, depth))
    patches = ops.take(flat, _pixels(images, rows, cols), axis=1)
    shape = len(rows.pixels), len(cols.pixels), grid.sizes[1] * grid.sizes[2] * depth
    return ops.reshape(patches, (-1, *shape))


def fold(patches: Any, image_shape: Sequence[Any], grid: Grid) -> Any:
    """As `tf_patches.fold_patches`, to the bit."""
    batch, *space, depth = image_shape
    rows, cols = _axes(space, depth, grid)
    taps = rows.pixels.size * cols.pixels.size
    values = ops.transpose(ops.reshape(patches, (-1, taps, depth)), (1, 0, 2))
    sums = ops.segment_sum(
        ops.reshape(values, (taps, -1)),
        ops.reshape(_pixels(patches, rows, cols), (taps,)),
        rows.padded * cols.padded,
    )
    padded = ops.reshape(sums, (rows.padded, cols.padded, -1, depth))
    first_row, first_col = rows.pad[0], cols.pad[0]
    images = ops.transpose(padded, (2, 0, 1, 3))[
        :, first_row : first_row + space[0], first_col : first_col + space[1], :
    ]
    return ops.reshape(images, (-1 if batch is None else batch, *space, depth))


def unfold(images: Any, operation: Any) -> Any:
    """As `keras.ops.unfold`, an operation of which is given, by our op."""
    sizes, strides = _pair(operation.kernel_size), _pair(operation.stride)
    rates, pads = _pair(operation.dilation), _pair(operation.padding)
    padded = ops.pad(images, [(0, 0), (0, 0), *((pad, pad) for pad in pads)])
    grid = Grid((1, *sizes, 1), (1, *strides, 1), (1, *rates, 1), "VALID")
    patches = extract_patches(ops.transpose(padded, (0, 2, 3, 1)), *grid)
    _, rows, cols, _ = patches.shape
    taps, depth = sizes[0] * sizes[1], images.shape[1]
    if None in (rows, cols, depth):
        raise _unknown("keras.ops.unfold", images.shape)
    values = ops.reshape(patches, (-1, rows * cols, taps, depth))
    return ops.reshape(
        ops.transpose(values, (0, 3, 2, 1)), (-1, depth * taps, rows * cols)
    )


def our_extract(operation: Any, shape: Sequence[int | None]) -> Any:
    """Our operation for one of `keras.ops.image.extract_patches`, or None."""
    if len(shape) != 4 or len(operation.size) != 2:
        return None
    if operation.data_format != "channels_last":
        return None
    return ExtractPatches(
        [1, *operation.size, 1],
        [1, *_pair(operation.strides), 1],
        [1, *_pair(operation.dilation_rate), 1],
        operation.padding.upper(),
        name=operation.name,
    )


def _pair(value: int | Sequence[int]) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _axes(space: Sequence[Any], depth: int | None, grid: Grid) -> tuple[_Axis, _Axis]:
    if None in (*space, depth):
        raise _unknown("tf_patches", (None, *space, depth))
    padding = grid.padding if isinstance(grid.padding, str) else grid.padding.decode()
    rows, cols = (
        _axis(image, grid.sizes[i], grid.strides[i], grid.rates[i], padding)
        for i, image in enumerate(space, start=1)
    )
    return rows, cols


def _axis(image: int, size: int, stride: int, rate: int, padding: str) -> _Axis:
    span = (size - 1) * rate + 1
    if padding == "SAME":
        count = -(-image // stride)
        missing = max((count - 1) * stride + span - image, 0)
    else:
        count = (image - span) // stride + 1
        missing = 0
    pad = missing // 2, missing - missing // 2
    pixels = np.arange(count)[:, None] * stride + np.arange(size) * rate
    return _Axis(pixels, pad, image + missing)


def _pixels(tensor: Any, rows: _Axis, cols: _Axis) -> Any:
    """The pixel under each tap of each patch: `[rows, cols, row taps, col taps]`.

    Made when the model runs, as a model's file would hold all of a constant:
    of `tensor` it takes a zero.
    """
    first = tensor[:1, :1, :1, :1]
    zero = ops.sum(ops.zeros_like(first, dtype="int32"))
    row = (rows.pixels * cols.padded)[:, None, :, None]
    col = cols.pixels[None, :, None, :]
    return ops.add(ops.add(zero, row.astype(np.int32)), col.astype(np.int32))


def _unknown(what: str, shape: Sequence[int | None]) -> ConversionError:
    return ConversionError(
        f"{what} is used on images of shape {tuple(shape)}; in Keras' operations that "
        "can be expressed where rows, cols and depth are known. Convert to a "
        "SavedModel instead: name a folder, not a .keras file."
    )
