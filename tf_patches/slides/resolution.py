"""At which resolution a slide is seen, and how its pixels are read there."""

import math
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from tf_patches.arguments import invalid
from tf_patches.dispatch import not_converted

# A level this near to the resolution asked for is taken as it is.
TOLERANCE = 0.05

# Pixels of a level that are read at a time where means of them are wanted.
_PIXELS_AT_ONCE = 2e6

# Shares are multiples of 1/_SHARES: sums of pixels of 16 bits or less are exact in
# float64 then, and have the same bits whichever way a graph computes them.
_SHARES = 2.0**18


class Level(NamedTuple):
    """A picture of the whole slide; level 0 is the largest."""

    rows: int
    cols: int
    downsample: float  # pixels of level 0 along a side of one of its pixels


class Source(Protocol):
    """Where pixels come from, whatever holds them."""

    @property
    def levels(self) -> list[Level]: ...

    @property
    def dtype(self) -> tf.DType: ...

    @property
    def depth(self) -> int: ...

    @property
    def background(self) -> np.ndarray:
        """A number for each channel."""
        ...

    @property
    def can_be_served(self) -> bool:
        """Whether other processes can read it."""
        ...

    def read(self, level: int, region: tf.Tensor) -> tf.Tensor:
        """The pixels of a region `[row, col, rows, cols]` inside of a level."""
        ...


class View(NamedTuple):
    """A slide as it is seen at one resolution."""

    source: Source
    level: int
    scale: float  # pixels of the level along a side of one of the view's pixels

    @property
    def downsample(self) -> float:
        """Pixels of level 0 along a side of one of the view's pixels."""
        return self.source.levels[self.level].downsample * self.scale

    @property
    def rows(self) -> int:
        return max(1, int(self.source.levels[self.level].rows / self.scale))

    @property
    def cols(self) -> int:
        return max(1, int(self.source.levels[self.level].cols / self.scale))

    @not_converted
    def read(self, region: Any) -> tf.Tensor:
        """Reads `[row, col, rows, cols]`; the background lies outside of the slide.

        A pixel is the same whatever the region that it is read in.
        """
        region = tf.cast(region, tf.int64)
        first, size = region[:2], region[2:]
        begin = tf.clip_by_value(first, 0, [self.rows, self.cols])
        end = tf.clip_by_value(first + size, begin, [self.rows, self.cols])
        inside = self._read_inside(begin, end)
        before = tf.clip_by_value(begin - first, 0, size)
        return self._surround(inside, before, size - before - (end - begin))

    def _surround(self, pixels: tf.Tensor, before: Any, after: Any) -> tf.Tensor:
        """Adds so many rows and cols of the background."""
        background = tf.constant(self.source.background, self.source.dtype)
        for axis in (0, 1):
            shape = tf.shape(pixels, out_type=tf.int64)
            sides = [
                tf.broadcast_to(
                    background, tf.tensor_scatter_nd_update(shape, [[axis]], [count])
                )
                for count in (before[axis], after[axis])
            ]
            pixels = tf.concat([sides[0], pixels, sides[1]], axis)
        return pixels

    def _read_inside(self, begin: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
        if self.scale == 1:
            return self.source.read(self.level, tf.concat([begin, end - begin], 0))
        # Strips, as the pixels of the level may be many more.
        per_row = self.scale**2 * tf.cast(end[1] - begin[1], tf.float64)
        height = tf.cast(_PIXELS_AT_ONCE / (per_row + 1), tf.int64) + 1
        count = tf.maximum(1, tf.cast(-(-(end[0] - begin[0]) // height), tf.int32))
        strips = tf.TensorArray(self.source.dtype, size=count, infer_shape=False)

        def add_strip(number: tf.Tensor, strips: tf.TensorArray) -> Any:
            top = begin[0] + tf.cast(number, tf.int64) * height
            bottom = tf.minimum(top + height, end[0])
            means = self._means(tf.stack([top, begin[1]]), tf.stack([bottom, end[1]]))
            return number + 1, strips.write(number, means)

        _, strips = tf.while_loop(
            lambda number, _: number < count,
            add_strip,
            [tf.constant(0), strips],
            parallel_iterations=1,
        )
        return strips.concat()

    def _means(self, begin: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
        level = self.source.levels[self.level]
        limits = tf.constant([level.rows, level.cols], tf.int64)
        first = _floor(tf.cast(begin, tf.float64) * self.scale)
        last = _floor(tf.cast(end, tf.float64) * self.scale) + 1
        last = tf.maximum(tf.minimum(last, limits), first)
        pixels = self.source.read(self.level, tf.concat([first, last - first], 0))
        pixels = tf.cast(pixels, tf.float64)
        for axis in (0, 1):
            pixels = self._mean(pixels, axis, begin[axis], end[axis], first[axis])
        if self.source.dtype.is_integer:
            pixels = tf.round(pixels)
        return tf.cast(pixels, self.source.dtype)

    def _mean(
        self, pixels: tf.Tensor, axis: int, begin: Any, end: Any, first: Any
    ) -> tf.Tensor:
        """Means over the pixels that each pixel of the view covers, along an axis."""
        start = tf.range(begin, end, dtype=tf.int64)
        start = tf.cast(start, tf.float64) * self.scale
        shape = [1, 1, 1]
        shape[axis] = -1
        total: Any = 0
        last = tf.shape(pixels, out_type=tf.int64)[axis] - 1
        for tap in range(math.ceil(self.scale) + 1):
            pixel = _floor(start) + tap
            left = tf.maximum(tf.cast(pixel, tf.float64), start)
            right = tf.minimum(tf.cast(pixel + 1, tf.float64), start + self.scale)
            share = tf.maximum(right - left, 0) / self.scale
            share = tf.reshape(tf.round(share * _SHARES) / _SHARES, shape)
            index = tf.clip_by_value(pixel - first, 0, tf.maximum(last, 0))
            total += share * tf.gather(pixels, index, axis=axis)
        return total


def _floor(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.floor(values), tf.int64)


def choose_view(
    source: Source,
    level: int | None,
    mpp: float | None,
    power: float | None,
    slide_mpp: float | None,
    slide_power: float | None,
) -> View:
    """The view of a level, or of the finest level that gives a resolution.

    One of `level`, `mpp` and `power` is given, or none, for level 0.
    """
    given = {"level": level, "mpp": mpp, "power": power}
    wanted = {name: value for name, value in given.items() if value is not None}
    if len(wanted) > 1:
        invalid(
            "Give one of level, mpp and power, but got "
            f"{' and '.join(f'{name}={value!r}' for name, value in wanted.items())}."
        )
    if level is not None or not wanted:
        return View(source, _read_level(level or 0, len(source.levels)), 1.0)
    ((name, value),) = wanted.items()
    own = {"mpp": slide_mpp, "power": slide_power}[name]
    read_number(value, name)
    if own is None:
        invalid(
            f"The slide does not say its {name}, so {name}={value} cannot be found. "
            f"Say it when the slide is opened, slides.open(path, {name}=…), or give "
            "level."
        )
    downsample = value / own if name == "mpp" else own / value
    if downsample < 1 - TOLERANCE:
        invalid(
            f"{name}={value} is finer than the slide, whose {name} is {own:g}. Give "
            f"{name}={own:g}, or level=0."
        )
    fitting = [
        number
        for number, one in enumerate(source.levels)
        if one.downsample <= downsample * (1 + TOLERANCE)
    ]
    number = max(fitting, key=lambda n: source.levels[n].downsample)
    scale = downsample / source.levels[number].downsample
    return View(source, number, 1.0 if abs(scale - 1) <= TOLERANCE else scale)


def read_number(value: Any, name: str) -> None:
    """Refuses what is neither None nor a number above 0."""
    if value is None:
        return
    is_number = isinstance(value, (int, float, np.number))
    if not is_number or not 0 < value < math.inf:
        invalid(f"{name} must be a number above 0, but got {value!r}.")


def _read_level(level: Any, count: int) -> int:
    if not isinstance(level, (int, np.integer)) or not 0 <= level < count:
        invalid(
            f"level must be 0 to {count - 1}, as the slide has {count}, but got "
            f"{level!r}."
        )
    return int(level)
