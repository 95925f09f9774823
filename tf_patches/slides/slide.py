"""A slide, whatever holds its pixels: its levels, its properties, its regions."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_patches.arguments import checked, invalid
from tf_patches.dispatch import not_converted
from tf_patches.slides.grid import Grid, blocks_of, make_grid, read_count
from tf_patches.slides.resolution import (
    Level,
    Source,
    View,
    choose_view,
    read_number,
)
from tf_patches.slides.tissue import read_mask
from tf_patches.typing import (
    Array,
    FilePath,
    Integer,
    Integers,
    Mask,
    SlideMode,
    SlidePadding,
)

_WHITE = 255
_FURTHEST = 2**40


class _File(NamedTuple):
    """Pixels of a file that OpenSlide reads."""

    path: str
    levels: list[Level]
    background: np.ndarray
    dtype: tf.DType = tf.uint8
    depth: int = 3
    can_be_served: bool = True

    def read(self, level: int, region: tf.Tensor) -> tf.Tensor:
        from tf_patches.slides.library import ops

        region = tf.concat([[tf.constant(level, tf.int64)], region], 0)
        return ops.tf_patches_read_slide(self.path, region, self.background)


class _Array(NamedTuple):
    """Pixels of anything that has a shape and can be sliced."""

    array: Any
    levels: list[Level]
    background: np.ndarray
    dtype: tf.DType
    depth: int
    can_be_served: bool = False

    def read(self, level: int, region: tf.Tensor) -> tf.Tensor:
        if tf.is_tensor(self.array):
            row, col, rows, cols = tf.unstack(region)
            return self.array[row : row + rows, col : col + cols]
        pixels = tf.numpy_function(self._slice, [region], self.dtype)
        return tf.ensure_shape(pixels, [None, None, self.depth])

    def _slice(self, region: np.ndarray) -> np.ndarray:
        row, col, rows, cols = map(int, region)
        pixels = np.asarray(self.array[row : row + rows, col : col + cols])
        return np.ascontiguousarray(pixels)


class Slide:
    """A slide: an image of several levels, larger than memory.

    Rows come before cols everywhere, unlike in OpenSlide, where x comes before y. Rows
    and cols count pixels of the resolution that is asked for, also where a region
    begins; in OpenSlide a region begins at a pixel of level 0.

    Attributes:
      name: The path, or the type of the array.
      levels: A `Level` of `rows`, `cols` and `downsample` for each picture of the
        whole slide; level 0 is the largest.
      mpp: Micrometres a pixel of level 0, or None if nobody says.
      power: The objective's power at level 0, or None if nobody says.
      properties: What the file says of itself, a dictionary of strings.
      images: The names of associated images, such as "label", "macro", "thumbnail".
    """

    def __init__(
        self,
        name: str,
        source: Source,
        mpp: float | None,
        power: float | None,
        properties: dict[str, str],
        images: Sequence[str] = (),
        read_image: Callable[[str], np.ndarray] | None = None,
    ) -> None:
        self.name = name
        self.levels = source.levels
        self.mpp = mpp
        self.power = power
        self.properties = properties
        self.images = list(images)
        self._source = source
        self._read_image = read_image

    def __repr__(self) -> str:
        """What the slide is, in a line."""
        rows, cols, _ = self.levels[0]
        return (
            f"<Slide {self.name}: {rows} rows, {cols} cols, {len(self.levels)} levels, "
            f"mpp {self.mpp}, power {self.power}>"
        )

    def identity(self) -> list[Any]:
        """What tells the slide from others, and from another file of that name."""
        digest = self.properties.get("openslide.quickhash-1")
        return [self.name, digest, self._source.background.tolist()]

    @not_converted
    def view(
        self,
        level: int | None = None,
        mpp: float | None = None,
        power: float | None = None,
    ) -> View:
        """The slide at one resolution: one of `level`, `mpp`, `power`; or level 0."""
        return choose_view(self._source, level, mpp, power, self.mpp, self.power)

    @not_converted
    def read(
        self,
        row: Integer | Array,
        col: Integer | Array,
        rows: Integer | Array,
        cols: Integer | Array,
        *,
        level: int | None = None,
        mpp: float | None = None,
        power: float | None = None,
    ) -> tf.Tensor:
        """Reads a region; it works in `tf.function` and in `tf.data` too.

        Args:
          row: The first row, in pixels of the resolution. It may lie outside of the
            slide, where the background is.
          col: The first col.
          rows: How many rows.
          cols: How many cols.
          level: The level to read; by default 0.
          mpp: Or the micrometres a pixel that are wanted. The nearest finer level is
            read; a level within 5 percent is taken as it is, another one is averaged
            over the area of each pixel.
          power: Or the objective's power that is wanted, likewise.

        Returns:
          A tensor `[rows, cols, depth]`, of uint8 with three channels where the slide
          is a file.

        Raises:
          tf.errors.InvalidArgumentError: If the region or the resolution cannot be, or
            the slide does not say what `mpp` or `power` ask for. While a graph is
            built: `ValueError`.
          tf.errors.NotFoundError, tf.errors.DataLossError: If the file has vanished or
            is damaged.
        """
        region = [
            _read_pixels(row, "row", -_FURTHEST),
            _read_pixels(col, "col", -_FURTHEST),
            _read_pixels(rows, "rows", 0),
            _read_pixels(cols, "cols", 0),
        ]
        return self.view(level, mpp, power).read(tf.stack(region))

    @not_converted
    def grid(
        self,
        size: Integers,
        stride: Integers | None = None,
        *,
        padding: SlidePadding = "VALID",
        mode: SlideMode = "CONSTANT",
        mask: Mask | None = None,
        min_mask_ratio: float = 0.1,
        level: int | None = None,
        mpp: float | None = None,
        power: float | None = None,
    ) -> Grid:
        """Lays patches over the slide; `patches` explains the arguments."""
        view = self.view(level, mpp, power)
        wanted = read_mask(mask, self.thumbnail)
        return make_grid(view, size, stride, padding, mode, wanted, min_mask_ratio)

    @not_converted
    def patches(
        self,
        size: Integers,
        stride: Integers | None = None,
        *,
        batch_size: int | None = None,
        padding: SlidePadding = "VALID",
        mode: SlideMode = "CONSTANT",
        mask: Mask | None = None,
        min_mask_ratio: float = 0.1,
        level: int | None = None,
        mpp: float | None = None,
        power: float | None = None,
        parallel_reads: int = 2,
    ) -> tf.data.Dataset:
        """The patches of the slide, as a dataset.

        The slide is read in blocks of about 2048x2048 pixels, and patches are cut out
        of the blocks. So a pixel under many patches is decoded once in its block, and
        memory holds some blocks, however large the slide is. The patches come block by
        block, always in the same order; `cell` says where each lies.

        Args:
          size: The pixels of a patch: an int, or `[rows, cols]`.
          stride: The pixels from one patch to the next; by default `size`.
          batch_size: How many patches make an element of the dataset; the last has
            fewer. By default each patch is an element.
          padding: "VALID" or "SAME", as for `extract_patches`.
          mode: What a patch shows outside of the slide: "CONSTANT", for the slide's
            background, "REFLECT", "SYMMETRIC" or "EDGE".
          mask: Which patches are wanted: those over the mask. "otsu" finds stained
            tissue in the thumbnail. An array `[rows, cols]` covers the whole slide, at
            any size. A function makes such an array of the thumbnail. By default all
            patches are wanted.
          min_mask_ratio: How much of a patch must lie under the mask, 0 to 1.
          level: The level, by default 0; or `mpp` or `power`, as for `read`.
          mpp: Micrometres a pixel.
          power: The objective's power.
          parallel_reads: How many blocks are read at a time.

        Returns:
          A `tf.data.Dataset` of dictionaries: `patches` `[batch, rows, cols, depth]`;
          `index` `[batch]`, which counts the patches from 0; `cell` `[batch, 2]`, the
          row and the col of the patch among all patches, as `extract_patches` would
          lay them; `position` `[batch, 2]`, its first pixel in the resolution asked
          for. Without `batch_size` the batch axis is missing.
        """
        parallel_reads = read_count(parallel_reads, "parallel_reads")
        if batch_size is not None:
            batch_size = read_count(batch_size, "batch_size")
        grid = self.grid(
            size,
            stride,
            padding=padding,
            mode=mode,
            mask=mask,
            min_mask_ratio=min_mask_ratio,
            level=level,
            mpp=mpp,
            power=power,
        )
        data = blocks_of(grid, range(grid.block_count), parallel_reads).prefetch(1)
        return data.unbatch() if batch_size is None else data.rebatch(batch_size)

    def image(self, name: str) -> np.ndarray:
        """Reads an associated image, one of `images`: uint8 `[rows, cols, 3]`."""
        if name not in self.images or self._read_image is None:
            invalid(f"image must be one of {self.images}, but got {name!r}.")
        return self._read_image(name)

    def thumbnail_downsample(self, most: int = 1024) -> float:
        """Pixels of level 0 along a side of a pixel of `thumbnail`."""
        return max(1.0, max(self.levels[0].rows, self.levels[0].cols) / most)

    def thumbnail(self, most: int = 1024) -> np.ndarray:
        """The whole slide, small: at most `most` rows and cols.

        It is made of the pixels of the smallest level that is as large, so that it
        lies over the slide exactly; a slide's own thumbnail often does not.
        """
        downsample = self.thumbnail_downsample(most)
        downsamples = [level.downsample for level in self.levels]
        level = max(n for n, d in enumerate(downsamples) if d <= downsample)
        scale = downsample / self.levels[level].downsample
        view = View(self._source, level, scale)
        return view.read([0, 0, view.rows, view.cols]).numpy()


def open_slide(
    slide: Slide | FilePath | Array,
    *,
    mpp: float | None = None,
    power: float | None = None,
    background: float | Sequence[float] | Array | None = None,
) -> Slide:
    """Opens a slide: a file that OpenSlide reads, or an array.

    The public name is `tf_patches.slides.open`. Files need the extra `slides`.

    Args:
      slide: The path of a file; or anything `[rows, cols, depth]` with a shape and
        slices: a NumPy array or memory map, a zarr array, a tensor. A `Slide` is
        returned as it is.
      mpp: Micrometres a pixel of level 0, if the file does not say so or is wrong.
      power: The power of the objective at level 0, likewise.
      background: The color outside of the slide: a number, or a number for each
        channel. By default the color that the file names, or white; 0 for arrays that
        are not uint8.

    Returns:
      A `Slide`.

    Raises:
      tf.errors.NotFoundError: If there is no such file.
      tf.errors.InvalidArgumentError: If an argument is out of range or has a wrong
        shape, or if OpenSlide cannot read the file.
      TypeError: If `slide` is no path and no array.

    Examples:
      >>> import numpy as np
      >>> from tf_patches import slides
      >>> slide = slides.open(np.zeros([300, 500, 3], np.uint8), mpp=0.5)
      >>> slide.read(row=100, col=200, rows=64, cols=32, mpp=1.0).shape
      TensorShape([64, 32, 3])
    """
    if isinstance(slide, Slide):
        return slide
    read_number(mpp, "mpp")
    read_number(power, "power")
    if isinstance(slide, (str, os.PathLike)):
        return _open_file(os.fspath(slide), mpp, power, background)
    return _open_array(slide, mpp, power, background)


def _open_file(path: str, mpp: Any, power: Any, background: Any) -> Slide:
    from tf_patches.slides.library import ops

    path = os.path.abspath(path)
    described = [part.numpy() for part in ops.tf_patches_describe_slide(path)]
    sizes, downsamples, names, values, images = described
    levels = [
        Level(int(rows), int(cols), float(downsample))
        for (rows, cols), downsample in zip(sizes, downsamples, strict=True)
    ]
    properties = {
        name.decode(errors="replace"): value.decode(errors="replace")
        for name, value in zip(names, values, strict=True)
    }
    own = _own_background(properties) if background is None else background
    color = _read_background(own, 3, np.uint8)

    def read_image(name: str) -> np.ndarray:
        return ops.tf_patches_read_slide_image(path, name, color).numpy()

    return Slide(
        path,
        _File(path, levels, color),
        _read_mpp(properties) if mpp is None else mpp,
        _number(properties, "openslide.objective-power") if power is None else power,
        properties,
        [name.decode(errors="replace") for name in images],
        read_image,
    )


def _open_array(array: Any, mpp: Any, power: Any, background: Any) -> Slide:
    shape = getattr(array, "shape", None)
    if shape is None or not hasattr(array, "__getitem__"):
        raise TypeError(
            "A slide is a path, or anything with a shape and slices, as a NumPy array "
            f"or a zarr array, but got {array!r}."
        )
    if len(shape) != 3 or not all(shape):
        invalid(
            f"A slide must be [rows, cols, depth], none of them 0, but got shape "
            f"{list(shape)}."
        )
    rows, cols, depth = map(int, shape)
    dtype = tf.as_dtype(array.dtype)
    if not dtype.is_numpy_compatible or dtype.as_numpy_dtype in (str, bytes, object):
        raise TypeError(f"A slide holds numbers, but got an array of {array.dtype}.")
    if background is None:
        background = [_WHITE if dtype == tf.uint8 else 0] * depth
    color = _read_background(background, depth, dtype.as_numpy_dtype)
    source = _Array(array, [Level(rows, cols, 1.0)], color, dtype, depth)
    return Slide(type(array).__name__, source, mpp, power, {})


def _read_pixels(value: Any, name: str, least: int) -> tf.Tensor:
    """An integer, which may be known only when the graph runs."""
    number = value
    if not tf.is_tensor(value):
        try:
            number = tf.constant(operator.index(value), tf.int64)
        except (TypeError, ValueError):
            raise TypeError(f"{name} must be an integer, but got {value!r}.") from None
    if number.shape.rank not in (0, None) or not number.dtype.is_integer:
        raise TypeError(f"{name} must be an integer, but got {value!r}.")
    number = tf.cast(number, tf.int64)
    condition = (least <= number) & (number <= _FURTHEST)
    return checked(
        number,
        condition,
        f"{name} must be {least} to {_FURTHEST} pixels, but got {value!r}.",
    )


def _read_background(background: Any, depth: int, dtype: Any) -> np.ndarray:
    message = (
        f"background must be a number of {np.dtype(dtype).name} for each of the "
        f"{depth} channels, but got {background!r}."
    )
    given = np.asarray(background)
    if given.dtype.kind not in "biufc" or given.shape not in ((), (1,), (depth,)):
        invalid(message)
    with np.errstate(invalid="ignore"):
        color = np.broadcast_to(given, [depth]).astype(dtype)
    if color.dtype.kind in "biu" and np.any(color != given):
        invalid(message)
    return color


def _own_background(properties: dict[str, str]) -> list[int]:
    """What the slide calls its background, white if it says nothing."""
    try:
        red, green, blue = bytes.fromhex(properties["openslide.background-color"])
    except (KeyError, ValueError):
        return [_WHITE] * 3
    return [red, green, blue]


def _read_mpp(properties: dict[str, str]) -> float | None:
    across = _number(properties, "openslide.mpp-x")
    down = _number(properties, "openslide.mpp-y")
    if across is None or down is None:
        return across or down
    return (across + down) / 2


def _number(properties: dict[str, str], name: str) -> float | None:
    try:
        number = float(properties[name])
    except (KeyError, ValueError):
        return None
    return number if 0 < number < float("inf") else None
