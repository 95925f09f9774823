"""Tiles that cover an image, and their way back into it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, overload

import numpy as np
import tensorflow as tf

from tf_patches import windows
from tf_patches.arguments import (
    checked,
    invalid,
    read_integers,
    read_mode,
    shape_text,
)
from tf_patches.dispatch import not_converted, read_tensor
from tf_patches.placed import extract_patches_at, fold_patches_at
from tf_patches.typing import (
    Array,
    Blend,
    Integers,
    Mode,
    Number,
    Reduction,
    Remainder,
    Shape,
    Structure,
    TensorLike,
)
from tf_patches.windows import array_module

_REMAINDERS = ("shift", "pad", "spread", "drop")
_LARGEST = 2**62  # so that sums of two positions have 64 bits
_AXES = ("planes", "rows", "cols")
# Factors that are equal for all tiles, and factors that depend on the neighbours.
_WINDOWS: dict[str, Callable[[int], np.ndarray]] = {
    "gaussian": windows.gaussian,
    "hann": windows.hann,
    "linear": windows.linear,
}
_PLACED_WINDOWS: dict[str, Callable[[Any, int], Any]] = {
    "cosine": windows.cosine,
    "crop": windows.crop,
}
_REDUCTIONS: dict[str, Reduction] = {
    "crop": "sum",
    "max": "max",
    "min": "min",
}  # of all others: the mean
_BLENDS = ("average", *_WINDOWS, *_PLACED_WINDOWS, "max", "min")


class _Axis(NamedTuple):
    name: str
    image: Any  # pixels: an int, or an int64 tensor if it is unknown
    tile: int
    starts: Any  # of tiles: an int64 array or tensor


class _Part(NamedTuple):
    """Pixels of a merged image."""

    begin: Sequence[int]
    size: Sequence[int]


class Tiling:
    """A plan of equal tiles that cover an image, and their way back into it.

    Images have one, two or three axes of space, and channels last: `[batch, cols,
    depth]`, `[batch, rows, cols, depth]` or `[batch, planes, rows, cols, depth]`. Along
    each axis tiles begin at `0, stride, 2 * stride, …`, until a tile reaches the end.
    The tiles are numbered with the last axis fastest.

    `remainder` says what happens if the last tile does not end with the image:

        shift    the last tile moves inward, so that it shows only real pixels (as
        MONAI) spread   all tiles move, to nearly even distances (as nnU-Net)
        pad      the last tile stays; `mode` says what it shows beyond the image
        drop     the last tile is left out; the last pixels lie under no tile

    An image smaller than a tile has one tile. `mode` fills the tile around the image:
    half of the missing pixels before the image, rounded down, the rest after it. With
    "pad" all missing pixels come after the image; with "drop" there is no tile. The
    result of `merge` always has the size of the image.

    If the size is known, a plan can be used everywhere: eagerly, in `tf.function`, in
    `tf.data`, for any number of images. If the size is unknown, a plan can be used only
    in the `tf.function` that made it.

    Args:
      image_size: The pixels along each axis of space: a list, a tuple, a
        `tf.TensorShape`, a NumPy array, or a tensor. For images of unknown size in a
        `tf.function`: `tf.shape(images)[1:-1]`; axes of known size stay known. A list
        may hold scalar tensors too.
      tile_size: The pixels of a tile: an int, or an int for each axis.
      overlap: What neighbours share: a float below 1 is a fraction of the tile, an int
        is a number of pixels. One number, or a number for each axis. A fraction gives
        `stride = max(1, int(tile_size * (1 - overlap)))`, as in MONAI. By default tiles
        lie side by side.
      stride: Instead of `overlap`: the pixels from one tile to the next, at most
        `tile_size`. An int, or an int for each axis.
      remainder: "shift", "pad", "spread" or "drop".
      mode: What tiles show outside of the image: "CONSTANT", "REFLECT", "SYMMETRIC",
        "EDGE" or "WRAP", as in `numpy.pad`. With REFLECT a model sees no false edge,
        and only pixels like those inside of the image.
      constant_values: The number outside of the image with mode CONSTANT.

    Attributes:
      image_size, tile_size, stride: A tuple, with a number for each axis.
      positions: The first pixel of each tile, int64 `[count, axes]`: a NumPy array, or
        a tensor if the size of the image is unknown.
      counts: The number of tiles along each axis: a tuple of ints, or of tensors.
      count: The number of all tiles: an int, or a tensor.

    Raises:
      tf.errors.InvalidArgumentError: If `image_size`, `tile_size`, `overlap` or
        `stride` is out of range or does not match the others; or if `remainder` is not
        one of the names. While a graph is built: `ValueError`.
      TypeError: If an argument has a wrong type.

    Examples:
      >>> images = tf.random.stateless_uniform([1, 100, 90, 3], seed=[1, 2])
      >>> tiling = tf_patches.Tiling([100, 90], tile_size=32, overlap=0.25)
      >>> tiling.counts, tiling.count
      ((4, 4), 16)
      >>> tiling.positions[-1]
      array([68, 58])
      >>> tiles = tiling.cut(images)
      >>> tiles.shape
      TensorShape([1, 16, 32, 32, 3])

      A model takes tiles as a batch. Its results are merged with a window that hides
      the seams:

      >>> model = lambda tiles: tf.reduce_mean(tiles, -1, keepdims=True)
      >>> made = model(tf.reshape(tiles, [-1, 32, 32, 3]))
      >>> merged = tiling.merge(tf.reshape(made, [1, -1, 32, 32, 1]), "gaussian")
      >>> merged.shape
      TensorShape([1, 100, 90, 1])
      >>> tf.debugging.assert_near(merged, model(images))

      A heat map with a number for each tile. And only some of the tiles:

      >>> scores = tf.reduce_max(tiles, axis=[2, 3, 4])
      >>> heat_map = tf.reshape(scores, [1, *tiling.counts])
      >>> some = heat_map[0] > 0.999
      >>> tiles = tiling.cut(images, indices=some)
      >>> tiling.merge(tiles, "crop", indices=some).shape
      TensorShape([1, 100, 90, 3])
    """

    @not_converted
    def __init__(
        self,
        image_size: TensorLike | Shape,
        tile_size: Integers,
        overlap: float | Sequence[float] | None = None,
        stride: Integers | None = None,
        remainder: Remainder = "shift",
        mode: Mode = "REFLECT",
        constant_values: Number = 0,
    ) -> None:
        self.image_size = _read_image_size(image_size)
        self.tile_size = _read_sizes(tile_size, "tile_size", len(self.image_size))
        self.stride = _read_stride(overlap, stride, self.tile_size)
        self.remainder: Remainder = _read_name(remainder, "remainder", _REMAINDERS)
        self.mode: Any = read_mode(mode)
        self.constant_values = constant_values
        names = _AXES[-len(self.image_size) :]
        self._axes = [
            _Axis(name, image, tile, _starts(image, tile, step, self.remainder))
            for name, image, tile, step in zip(
                names, self.image_size, self.tile_size, self.stride, strict=True
            )
        ]
        self.counts = tuple(_length(axis.starts) for axis in self._axes)
        self.count = math.prod(self.counts)
        self.positions = _positions(self._axes, self._places(self._numbers(None)))

    def __repr__(self) -> str:
        """The plan, as Python code."""
        size = ["?" if tf.is_tensor(pixels) else pixels for pixels in self.image_size]
        return (
            f"Tiling(image_size=[{', '.join(map(str, size))}], "
            f"tile_size={list(self.tile_size)}, stride={list(self.stride)}, "
            f"remainder={self.remainder!r}, mode={self.mode!r})"
        )

    @overload
    def cut(
        self,
        images: Array,
        indices: TensorLike | None = None,
        name: str | None = None,
    ) -> tf.Tensor: ...

    @overload
    def cut(
        self,
        images: Structure,
        indices: TensorLike | None = None,
        name: str | None = None,
    ) -> Any: ...

    @not_converted
    def cut(
        self,
        images: Array | Structure,
        indices: TensorLike | None = None,
        name: str | None = None,
    ) -> Any:
        """Cuts images into tiles.

        Args:
          images: A tensor `[batch, *image_size, depth]` with any dtype of
            `extract_patches_at`. Or a structure of such tensors (`tf.nest`), with any
            depths and dtypes: images and their masks.
          indices: Which tiles to cut: integers `[count]`, in any order; or bools, one
            for each tile, with shape `[count]` or `counts`. The default is all tiles.
          name: A name for the operation.

        Returns:
          A tensor `[batch, count, *tile_size, depth]`, or a structure of them.

        Raises:
          tf.errors.InvalidArgumentError: If images do not have the size of the plan, or
            if `indices` holds a number that no tile has. While a graph is built:
            `ValueError`.
          TypeError: If `indices` are neither integers nor bools.
        """
        positions = _positions(self._axes, self._places(self._numbers(indices)))
        return tf.nest.map_structure(
            lambda tensor: extract_patches_at(
                self._checked_images(read_tensor(tensor, "images")),
                positions,
                self.tile_size,
                name=name,
                mode=self.mode,
                constant_values=self.constant_values,
            ),
            images,
        )

    @overload
    def merge(
        self,
        tiles: Array,
        blend: Blend | TensorLike = "average",
        indices: TensorLike | None = None,
        name: str | None = None,
    ) -> tf.Tensor: ...

    @overload
    def merge(
        self,
        tiles: Structure,
        blend: Blend | TensorLike = "average",
        indices: TensorLike | None = None,
        name: str | None = None,
    ) -> Any: ...

    @not_converted
    def merge(
        self,
        tiles: Array | Structure,
        blend: Blend | TensorLike = "average",
        indices: TensorLike | None = None,
        name: str | None = None,
    ) -> Any:
        """Puts tiles back where they were cut.

        A pixel under several tiles is their mean, weighted by a window. A window is the
        product of a factor for each axis. Let n be the size of the tile along the axis,
        i a pixel of the tile, and x = i - (n - 1) / 2:

            average    1
            gaussian   max(exp(-x² / 2 (n / 8)²), 0.001): as MONAI, which limits the
                       product from below, not each factor
            hann       ½ (1 - cos(2π (i + 1) / (n + 1))): as TorchIO
            linear     min(i + 1, n - i)
            cosine     sin²(π (i + ½) / 2o) over the o pixels that a tile shares with
                       its neighbour, 1 elsewhere

        No window is 0 anywhere, so every pixel under a tile gets a value. Three names
        do not average, and take integers and bools too:

            crop       each tile gives its middle, and its border if there is no
                       neighbour: of the pixels that two tiles share, each tile gives
                       half. What a model made near the border of a tile is not read
            max, min   the largest or smallest value; NaN if one of the values is NaN

        Tiles may have another depth than the images, and another size than `tile_size`.
        If a model halves its input, the result is half as large as the image.

        Args:
          tiles: A tensor `[batch, count, *size, depth]` with known `size`: tiles from
            `cut`, or what a model made of them. Or a structure of such tensors
            (`tf.nest`).
          blend: "average", "gaussian", "hann", "linear", "cosine", "crop", "max" or
            "min". Or a window of your own: an array or a tensor of shape `size`, or a
            list or tuple with a factor for each axis.
          indices: Which tiles these are, as given to `cut`. The default is all tiles.
            Pixels under no tile are 0. With "crop" a tile gives the same pixels as if
            all tiles were there, and each tile may occur only once. Means count a tile
            as often as it occurs.
          name: A name for the operation.

        Returns:
          A tensor `[batch, *image_size, depth]` with the dtype of `tiles`, at the scale
          of `tiles`, or a structure of such tensors. It has a gradient with respect to
          `tiles` and to a window of your own.

        Raises:
          tf.errors.InvalidArgumentError: If `tiles` does not have the shape above; if
            the scale of `tiles` does not divide the image or a position; if integers
            are averaged; if `blend` is not one of the names; or if `indices` holds a
            number that no tile has. While a graph is built: `ValueError`.
          TypeError: If `blend` or `indices` has a wrong type.
        """
        blend = _read_blend(blend)
        numbers = self._numbers(indices)
        if isinstance(blend, str) and blend == "crop":
            _check_once(numbers)
        places = self._places(numbers)
        return tf.nest.map_structure(
            lambda tensor: self._merge(
                read_tensor(tensor, "tiles"), blend, places, name
            ),
            tiles,
        )

    @not_converted
    def merge_part(
        self,
        tiles: TensorLike,
        begin: Sequence[int],
        size: Sequence[int],
        blend: Blend | TensorLike = "average",
        indices: TensorLike | None = None,
    ) -> tf.Tensor:
        """Returns a part of what `merge` returns, with the same bits.

        Args:
          tiles: As for `merge`, a tensor. Tiles that do not reach these pixels may be
            missing.
          begin: The first pixel of the result along each axis.
          size: How many pixels along each axis.
          blend: As for `merge`.
          indices: As for `merge`.

        Returns:
          A tensor `[batch, *size, depth]`.
        """
        places = self._places(self._numbers(indices))
        part = _Part(begin, size)
        tensor = read_tensor(tiles, "tiles")
        return self._merge(tensor, _read_blend(blend), places, None, part)

    @not_converted
    def merged_axes(self, sizes: Sequence[int]) -> list[_Axis]:
        """The axes of what `merge` returns if a model makes tiles of `sizes`."""
        return [_scaled(*pair) for pair in zip(self._axes, sizes, strict=True)]

    def _merge(
        self,
        tiles: tf.Tensor,
        blend: Any,
        places: list[Any],
        name: str | None,
        part: _Part | None = None,
    ) -> tf.Tensor:
        self._check_tiles(tiles, places)
        name_of_blend = blend if isinstance(blend, str) else "window"
        reduction = _REDUCTIONS.get(name_of_blend, "mean")
        if tiles.dtype.is_bool and reduction != "mean":
            numbers = self._merge(tf.cast(tiles, tf.uint8), blend, places, name, part)
            return tf.cast(numbers, tf.bool)
        _check_dtype(tiles.dtype, reduction)
        axes = self.merged_axes(tiles.shape[2:-1].as_list())
        positions = _positions(axes, places)
        size = [axis.image for axis in axes]
        if part is not None:
            positions, size = positions - np.array(part.begin), list(part.size)
        depth = tiles.shape[-1]
        if depth is None:
            depth = tf.shape(tiles, out_type=tf.int64)[-1]
        return fold_patches_at(
            tiles,
            positions,
            [None, *size, depth],
            name=name,
            reduction=reduction,
            weights=_weights(blend, axes, places, tiles.dtype),
        )

    def _numbers(self, indices: Any) -> Any:
        """The numbers of all tiles, or of the tiles that `indices` names."""
        if indices is None:
            return _range(self.count)
        return _read_indices(indices, self.count)

    def _places(self, numbers: Any) -> list[Any]:
        """The places of tiles along each axis, from the numbers of tiles."""
        places = []
        for along in reversed(self.counts[1:]):
            places.append(numbers % along)
            numbers = numbers // along
        return [numbers, *reversed(places)]

    def _checked_images(self, images: tf.Tensor) -> tf.Tensor:
        """Images of the plan's size, whether that is known now or at run time."""
        space = None if images.shape.rank is None else images.shape[1:-1]
        known = [None if tf.is_tensor(n) else n for n in self.image_size]
        message = (
            "images must be [batch, "
            f"{', '.join('?' if n is None else str(n) for n in known)}, depth], with "
            f"the image_size of {self}, but got shape {shape_text(images.shape)}."
        )
        if images.shape.rank == len(known) + 1:
            message += " If the batch axis is missing, add it: images[tf.newaxis]."
        if space is not None and not space.is_compatible_with(known):
            invalid(message)
        if space is not None and space.is_fully_defined() and None not in known:
            return images
        size = tf.stack([tf.cast(n, tf.int64) for n in self.image_size])
        given = tf.shape(images, out_type=tf.int64)[1:-1]
        return checked(images, tf.reduce_all(tf.equal(given, size)), message)

    def _check_tiles(self, tiles: tf.Tensor, places: list[Any]) -> None:
        count = places[0].shape[0]
        expected = [None, count, *[None] * len(self._axes), None]
        shape = tiles.shape
        size = ", ".join(map(str, self.tile_size))
        wanted = f"[batch, {'count' if count is None else count}, {size}, depth]"
        if not shape.is_compatible_with(expected):
            message = (
                f"tiles must be {wanted}, or of another scale, but got shape "
                f"{shape_text(shape)}."
            )
            if shape.rank == len(expected) - 1:
                message += (
                    " If batch and count are one axis, or depth is missing, pass "
                    f"tf.reshape(tiles, {wanted})."
                )
            invalid(message)
        if shape.rank is None or None in shape[2:-1].as_list() or 0 in shape[2:-1]:
            invalid(
                f"tiles must have a known size of 1 or more, but got shape "
                f"{shape_text(shape)}. Make it known: tf.ensure_shape(tiles, [None, "
                f"None, {size}, None])."
            )


def _starts(image: Any, tile: int, stride: int, remainder: str) -> Any:
    """The first pixels of tiles along an axis."""
    lib = array_module(image)
    last = lib.maximum(image - tile, 0)  # the last start that shows only real pixels
    if remainder == "drop":
        count = lib.maximum((image - tile) // stride + 1, 0)
    else:
        count = (last + stride - 1) // stride + 1
    # An image without pixels has no tiles.
    i = _range(lib.minimum(count, image))
    before = lib.maximum(tile - image, 0) // 2
    if remainder == "shift":
        return lib.minimum(i * stride, last) - before
    if remainder == "spread":  # rounded, halves up
        steps = lib.maximum(count - 1, 1)
        return (2 * i * last + steps) // (2 * steps) - before
    return i * stride


def _scaled(axis: _Axis, size: int) -> _Axis:
    """The axis at the scale of a model that makes tiles of `size` pixels."""
    common = math.gcd(size, axis.tile)
    times, over = size // common, axis.tile // common
    if over == 1:
        return axis._replace(
            image=axis.image * times, tile=size, starts=axis.starts * times
        )
    lib = array_module(axis.starts)
    divide = lib.all(lib.equal(axis.starts % over, 0))
    divide &= lib.equal(axis.image % over, 0)
    starts = checked(
        axis.starts,
        divide,
        f"tiles have {size} {axis.name} for a tile_size of {axis.tile}, a scale of "
        f"{times}/{over}, but the {axis.name} of the image or a position of tiles is "
        f"not a multiple of {over}. Choose multiples of {over} for image_size, "
        "tile_size and stride, and remainder='pad' or 'drop', which do not move tiles.",
    )
    return axis._replace(
        image=axis.image // over * times, tile=size, starts=starts // over * times
    )


def _check_dtype(dtype: tf.DType, reduction: Reduction) -> None:
    if reduction == "mean" and not (dtype.is_floating or dtype.is_complex):
        invalid(
            f"tiles of {dtype.name} cannot be averaged. Cast them: tf.cast(tiles, "
            "tf.float32). Or pass blend='crop', 'max' or 'min', which take integers."
        )
    if reduction in ("max", "min") and dtype.is_complex:
        invalid(f"blend={reduction!r} needs real numbers, but tiles are {dtype.name}.")


def _positions(axes: list[_Axis], places: list[Any]) -> Any:
    columns = [
        _take(axis.starts, place) for axis, place in zip(axes, places, strict=True)
    ]
    if any(tf.is_tensor(column) for column in columns):
        return tf.stack(columns, axis=-1)
    return np.stack(columns, axis=-1)


def _weights(blend: Any, axes: list[_Axis], places: list[Any], dtype: tf.DType) -> Any:
    """The window as `fold_patches_at` takes it."""
    if not isinstance(blend, str):
        return _read_window(blend, axes, dtype)
    if blend in _WINDOWS:
        factors = [_WINDOWS[blend](axis.tile) for axis in axes]
    elif blend in _PLACED_WINDOWS:
        window = _PLACED_WINDOWS[blend]
        factors = [
            _take(window(axis.starts, axis.tile), place)
            for axis, place in zip(axes, places, strict=True)
        ]
    else:
        return None
    return [tf.cast(factor, dtype) for factor in factors]


def _read_window(window: Any, axes: list[_Axis], dtype: tf.DType) -> Any:
    sizes = [axis.tile for axis in axes]
    is_separable = isinstance(window, (list, tuple))
    if not (is_separable or isinstance(window, np.ndarray) or tf.is_tensor(window)):
        raise TypeError(
            f"blend must be {', '.join(_BLENDS)}, an array or tensor of the size of "
            f"tiles, or a list with a factor for each axis, but got {window!r}."
        )
    factors = (
        [tf.convert_to_tensor(factor) for factor in window] if is_separable else []
    )
    window = None if is_separable else tf.convert_to_tensor(window)
    shapes = [factor.shape for factor in factors] or [window.shape]
    expected = [[size] for size in sizes] if is_separable else [sizes]
    if len(shapes) != len(expected) or not all(
        shape.is_compatible_with(wanted)
        for shape, wanted in zip(shapes, expected, strict=True)
    ):
        invalid(
            f"blend must be a window of shape {sizes}, the size of tiles, or a list of "
            f"{len(sizes)} factors of these sizes, but got "
            f"{', '.join(shape_text(shape) for shape in shapes)}."
        )
    if is_separable:
        return [tf.cast(factor, dtype) for factor in factors]
    return tf.cast(window, dtype)


def _range(count: Any) -> Any:
    return tf.range(count) if tf.is_tensor(count) else np.arange(count)


def _take(values: Any, indices: Any) -> Any:
    if tf.is_tensor(values) or tf.is_tensor(indices):
        return tf.gather(values, indices)
    return values[indices]


def _length(starts: Any) -> Any:
    length = starts.shape[0]
    return tf.size(starts, out_type=tf.int64) if length is None else length


def _read_image_size(image_size: Any) -> tuple[Any, ...]:
    """For each axis an int, or an int64 tensor if it is unknown."""
    given = image_size
    if isinstance(given, np.ndarray):
        given = given.tolist()
    if tf.is_tensor(given):
        given = _unstacked(given)
    elif isinstance(given, tf.TensorShape):
        given = None if given.rank is None else given.as_list()
    message = (
        "image_size must be the pixels along one to three axes of space, such as "
        f"[rows, cols], but got {image_size!r}."
    )
    if not isinstance(given, (list, tuple)):
        raise TypeError(message)
    if None in [n if n is None else 0 for n in given]:
        invalid(
            f"image_size must be known, or a tensor, but got {image_size!r}. For "
            "images of unknown size, pass tf.shape(images)[1:-1]."
        )
    if not 1 <= len(given) <= 3:
        invalid(message)
    pixels = tuple(_read_pixels(n, message) for n in given)
    if any(not 0 <= n <= _LARGEST for n in pixels if isinstance(n, int)):
        invalid(message)
    return pixels


def _unstacked(size: tf.Tensor) -> list[Any] | None:
    if size.shape.rank != 1 or size.shape[0] is None or not size.dtype.is_integer:
        return None
    if isinstance(size, tf.__internal__.EagerTensor):
        return size.numpy().tolist()
    # TensorFlow's inference of shapes finds the known sizes in `tf.shape(images)`.
    known = tf.fill(size, False).shape
    return [
        size[axis] if pixels is None else pixels for axis, pixels in enumerate(known)
    ]


def _read_pixels(pixels: Any, message: str) -> Any:
    if isinstance(pixels, (int, np.integer)):
        return int(pixels)
    if not tf.is_tensor(pixels) or not pixels.dtype.is_integer:
        raise TypeError(message)
    if pixels.shape.rank not in (0, None):
        invalid(message)
    known = tf.get_static_value(pixels)
    return tf.cast(pixels, tf.int64) if known is None else int(known)


def _read_sizes(
    values: Any, name: str, axes: int, largest: tuple[int, ...] | None = None
) -> tuple[int, ...]:
    """For each axis an integer, at least 1 and at most `largest`."""
    given = read_integers(values, name)
    sizes = [given] * axes if isinstance(given, int) else given
    if len(sizes) != axes or any(size < 1 for size in sizes):
        invalid(
            f"{name} must be an int of at least 1, or a list of {axes} such ints, as "
            f"many as image_size has axes, but got {values!r}."
        )
    if largest and any(n > most for n, most in zip(sizes, largest, strict=True)):
        invalid(
            f"{name} must be at most tile_size, {list(largest)}, or some pixels lie "
            f"under no tile, but got {values!r}."
        )
    return tuple(sizes)


def _read_stride(
    overlap: Any, stride: Any, tile_size: tuple[int, ...]
) -> tuple[int, ...]:
    if stride is None:
        return _read_overlap(0 if overlap is None else overlap, tile_size)
    if overlap is not None:
        invalid(
            "Pass overlap or stride, not both, but got overlap="
            f"{overlap!r} and stride={stride!r}."
        )
    return _read_sizes(stride, "stride", len(tile_size), largest=tile_size)


def _read_overlap(overlap: Any, tile_size: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of tiles that overlap so."""
    given = overlap.tolist() if isinstance(overlap, np.ndarray) else overlap
    overlaps = given if isinstance(given, (list, tuple)) else [given] * len(tile_size)
    message = (
        "overlap must be a fraction of at least 0 and below 1, or a number of pixels "
        f"below tile_size, {list(tile_size)}, or a list with a number for each axis, "
        f"but got {overlap!r}."
    )
    if not all(isinstance(o, (int, float, np.integer, np.floating)) for o in overlaps):
        raise TypeError(message)
    if len(overlaps) != len(tile_size):
        invalid(message)
    strides = []
    for shared, tile in zip(overlaps, tile_size, strict=True):
        is_pixels = isinstance(shared, (int, np.integer))
        if not 0 <= shared < (tile if is_pixels else 1):
            invalid(message)
        strides.append(
            tile - int(shared) if is_pixels else max(1, int(tile * (1 - shared)))
        )
    return tuple(strides)


def _read_indices(indices: Any, count: Any) -> Any:
    """The numbers of tiles, int64."""
    given = indices if tf.is_tensor(indices) else np.asarray(indices)
    is_known = not tf.is_tensor(given) or tf.get_static_value(given) is not None
    if tf.is_tensor(given) and is_known:
        given = np.asarray(tf.get_static_value(given))
    dtype = tf.as_dtype(given.dtype)
    if not is_known or tf.is_tensor(count):
        given = tf.convert_to_tensor(given)
    if dtype.is_bool:
        return _read_mask(given, count)
    if not dtype.is_integer and given.shape != (0,):
        raise TypeError(
            f"indices must be integers, or a bool for each tile, but got {indices!r}."
        )
    if len(given.shape) != 1:
        shape = shape_text(tf.TensorShape(given.shape))
        invalid(f"indices must be of shape [count], but got shape {shape}.")
    lib = array_module(given)
    given = lib.asarray(given, np.int64)
    return checked(
        given,
        lib.all((given >= 0) & (given < count)),
        f"indices must be at least 0 and below the count of tiles, {_text(count)}.",
    )


def _check_once(numbers: Any) -> None:
    """Refuses a tile that occurs twice, if indices are known."""
    if isinstance(numbers, np.ndarray) and len(np.unique(numbers)) < len(numbers):
        invalid(
            "indices must hold each number only once, because blend='crop' adds tiles, "
            f"but got {numbers.tolist()}."
        )


def _read_mask(mask: Any, count: Any) -> Any:
    is_tensor = tf.is_tensor(mask)
    mask = checked(
        mask,
        tf.equal(tf.size(mask, out_type=tf.int64), count),
        f"indices must hold a bool for each of the {_text(count)} tiles, but got shape "
        f"{shape_text(tf.TensorShape(mask.shape))}.",
    )
    if is_tensor:
        return tf.reshape(tf.where(tf.reshape(mask, [-1])), [-1])
    return np.flatnonzero(mask)


def _text(count: Any) -> str:
    return "?" if tf.is_tensor(count) else str(count)


def _read_blend(blend: Any) -> Any:
    """A name in lower case, or a window as it is."""
    return _read_name(blend, "blend", _BLENDS) if isinstance(blend, str) else blend


def _read_name(name: Any, argument: str, names: Sequence[str]) -> Any:
    """A name in lower case, one of `names`."""
    message = f"{argument} must be {', '.join(names)}, but got {name!r}."
    if not isinstance(name, str):
        raise TypeError(message)
    if name.lower() not in names:
        invalid(message)
    return name.lower()
