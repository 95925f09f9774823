"""How patches lie along one axis of images, in numbers or in tensors of a graph.

If the image's extent is known while a function is traced, everything is a number or an
array of numbers; otherwise a tensor.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_patches.conversion import ConversionError


class AxisSpec(NamedTuple):
    """The attributes of an op for an axis."""

    size: int
    stride: int
    rate: int
    before: int  # pixels of an explicit padding
    after: int
    padding: str
    mode: str


class Axis(NamedTuple):
    """Tap `tap` of patch `i` lies on pixel `i * stride + tap * rate - before`."""

    image: Any  # pixels
    size: int
    stride: int
    rate: int
    count: Any  # patches
    before: Any  # pixels from the first patch to the image
    mode: str
    reaches_outside: bool  # or may reach outside

    @classmethod
    def of(cls, image: Any, spec: AxisSpec) -> "Axis":
        """Counts as TensorFlow does."""
        size, stride, rate, before, after, padding, mode = spec
        span = (size - 1) * rate + 1
        if padding in ("VALID", "EXPLICIT"):
            room = before + image + after - span
            count = _maximum((room + stride) // stride, 0)
        else:
            count = (image + stride - 1) // stride
            missing = (count - 1) * stride + span - image
            before = _maximum(missing, 0) // 2
            if padding == "SAME_UNCLAMPED":
                before = before - _maximum(-missing, 0) // 2
        outside = padding != "VALID"
        if outside and not tf.is_tensor(image):
            outside = before > 0 or (count - 1) * stride + span - before > image
        return cls(image, size, stride, rate, count, before, mode, outside)

    @property
    def needs_constant(self) -> bool:
        """Whether taps may lie on no pixel of the image."""
        return self.reaches_outside and self.mode == "CONSTANT"

    def take_taps(self, images: tf.Tensor, axis: int) -> tf.Tensor:
        """The pixels under all taps of the first patch, of the second, and so on.

        If they are needed, pixels outside follow the image's pixels.
        """
        side_by_side = (self.stride, self.rate) == (self.size, 1)
        if side_by_side and not self.reaches_outside:
            return images[(slice(None),) * axis + (slice(self.count * self.size),)]
        return tf.gather(images, tf.reshape(self._sources(), [-1]), axis=axis)

    def _sources(self) -> Any:
        """The pixel that each tap of each patch shows; `image` if there is none."""
        starts = _range(self.count) * self.stride - self.before
        pixels = starts[:, None] + np.arange(self.size, dtype=np.int32) * self.rate
        return self._shown(pixels) if self.reaches_outside else pixels

    def _shown(self, pixels: Any) -> Any:
        image = self.image
        if self.mode == "CONSTANT":
            return _where((pixels >= 0) & (pixels < image), pixels, image)
        if self.mode == "EDGE":
            return _minimum(_maximum(pixels, 0), image - 1)
        if self.mode == "WRAP":
            return _modulo(pixels, image)
        if self.mode == "SYMMETRIC":
            pixels = _modulo(pixels, 2 * image)
            return _minimum(pixels, 2 * image - 1 - pixels)
        period = _maximum(2 * image - 2, 1)  # of REFLECT
        pixels = _modulo(pixels, period)
        return _minimum(pixels, period - pixels)

    def covers(self) -> list[Any]:
        """`patch * size + tap` over each pixel, vector by vector in the fold's order.

        A pixel with fewer values has `count * size` instead.
        """
        if tf.is_tensor(self.image):
            return self._computed_covers()
        sources = self._sources().reshape(-1)
        taps = np.argsort(sources, kind="stable")
        taps = taps[sources[taps] < self.image]
        pixels = sources[taps]
        turns = np.arange(len(taps)) - np.searchsorted(pixels, pixels)
        covers = np.full(
            (max(turns, default=0) + 1, self.image), self.count * self.size, np.int32
        )
        covers[turns, pixels] = taps
        return list(covers)

    def _computed_covers(self) -> list[Any]:
        """`covers` by a formula: `patch * stride + tap * rate` is `distance`."""
        if self.reaches_outside and self.mode != "CONSTANT":
            raise ConversionError(
                f"A fold with mode {self.mode} can be converted only if it knows the "
                "planes, rows and cols of images: save the model with known ones"
            )
        divisor = math.gcd(self.stride, self.rate)
        step = self.stride // divisor  # from a tap over a pixel to the next
        inverse = pow(self.rate // divisor, -1, step)
        distance = tf.range(self.image) + self.before
        wide = tf.cast(distance // divisor % step, tf.int64)  # for the product
        first_tap = tf.cast(wide * inverse % step, tf.int32)
        covers = []
        for i in reversed(range(-(-self.size // step))):
            tap = first_tap + i * step
            patch = (distance - tap * self.rate) // self.stride
            exists = (distance % divisor == 0) & (tap < self.size)
            exists = exists & (patch >= 0) & (patch < self.count)
            index = patch * self.size + tap
            covers.append(tf.where(exists, index, self.count * self.size))
        return covers


def _range(count: Any) -> Any:
    return tf.range(count) if tf.is_tensor(count) else np.arange(count, dtype=np.int32)


def _where(condition: Any, a: Any, b: Any) -> Any:
    is_tensor = tf.is_tensor(condition)
    return tf.where(condition, a, b) if is_tensor else np.where(condition, a, b)


def _minimum(a: Any, b: Any) -> Any:
    return tf.minimum(a, b) if tf.is_tensor(a) else np.minimum(a, b)


def _maximum(a: Any, b: Any) -> Any:
    return tf.maximum(a, b) if tf.is_tensor(a) else np.maximum(a, b)


def _modulo(a: Any, b: Any) -> Any:
    """Python's remainder, even if an exporter's remainder has the sign of `a`."""
    remainder = a % b
    return _where(remainder < 0, remainder + b, remainder)
