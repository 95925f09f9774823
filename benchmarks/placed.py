"""Patches at any place: what is measured, and beside whom."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import tensorflow as tf

import tf_patches
from benchmarks.measure import Call
from benchmarks.peers import COPY, FUNCTION, US, WARM_COPY, Peer, warm_copy_of

SEED = 1, 2
BOUNDING_BOX = "a loop over tf.image.crop_to_bounding_box"
CROP_AND_RESIZE = "tf.image.crop_and_resize"
GATHER_ND = "tf.gather_nd"
MAP_FN = "tf.map_fn over tf.image.stateless_random_crop"
MAP_FN_IN_A_FUNCTION = f"{MAP_FN}, tf.function"
FOLD_MEAN = "tf_patches.fold_patches, weighted mean"
FOLD_TWICE = "tf_patches.fold_patches twice, and a division"
ACCUMULATOR = "a NumPy accumulator"


@dataclass(frozen=True)
class Cut:
    """So many square patches of each picture."""

    name: str
    images: tuple[int, int, int, int]
    size: int
    count: int

    def out_bytes(self, dtype: str) -> int:
        values = self.images[0] * self.count * self.size**2 * self.images[-1]
        return values * np.dtype(dtype).itemsize

    @property
    def positions(self) -> np.ndarray:
        """Places in one picture, the same on every run."""
        last = np.subtract(self.images[1:3], self.size)
        return np.random.default_rng(1).integers(0, last + 1, (self.count, 2))


@dataclass(frozen=True)
class Merge:
    """Square tiles of one picture, a quarter of which neighbours share."""

    name: str
    images: tuple[int, int, int, int]
    size: int
    blend: str = "gaussian"

    @property
    def stride(self) -> int:
        return self.size - self.size // 4

    @property
    def tiling(self) -> tf_patches.Tiling:
        return tf_patches.Tiling(self.images[1:3], self.size, stride=self.stride)

    def out_bytes(self, dtype: str) -> int:
        """Of the tiles, which are most of what moves."""
        values = self.tiling.count * self.size**2 * self.images[-1]
        return values * np.dtype(dtype).itemsize


class Task(NamedTuple):
    """Peers, and the cases and dtypes to measure them in; the first is quick."""

    peers: list[Peer]
    contests: list[tuple[Cut | Merge, str]]


# The peers of a case may share its tensors, which are large.
@lru_cache(maxsize=1)
def _images(case: Cut, dtype: str) -> tf.Tensor:
    random = np.random.default_rng(0)
    return tf.constant(random.integers(0, 255, case.images).astype(dtype))


@lru_cache(maxsize=1)
def _tiles(case: Merge, dtype: str) -> tf.Tensor:
    shape = (1, case.tiling.count, case.size, case.size, case.images[-1])
    return tf.constant(np.random.default_rng(0).random(shape, np.float32), dtype)


Wrap = Callable[[Callable], Callable]


def eagerly(function: Callable) -> Callable:
    """In place of `tf.function`."""
    return function


def _copy_of(tensor: tf.Tensor) -> Call:
    return lambda: tf.raw_ops.DeepCopy(x=tensor)


# Patches at given places of a picture.


def _extract(case: Cut, dtype: str) -> Call:
    images, positions = _images(case, dtype), tf.constant(case.positions)
    return lambda: tf_patches.extract_patches_at(images, positions, case.size)


def _bounding_boxes(case: Cut, dtype: str) -> Call:
    picture, size, positions = _images(case, dtype)[0], case.size, case.positions

    def call() -> tf.Tensor:
        crops = [
            tf.image.crop_to_bounding_box(picture, row, col, size, size)
            for row, col in positions
        ]
        return tf.stack(crops)

    return call


def _crop_and_resize(case: Cut, dtype: str) -> Call:
    images, size = _images(case, dtype), case.size
    first, last = case.positions, case.positions + size - 1
    corners = np.concatenate([first, last], -1)
    boxes = tf.constant(
        corners / np.tile(np.subtract(case.images[1:3], 1), 2), tf.float32
    )
    of_image = tf.zeros(case.count, tf.int32)
    return lambda: tf.image.crop_and_resize(images, boxes, of_image, [size, size])


def _gather_nd(case: Cut, dtype: str) -> Call:
    picture, positions = _images(case, dtype)[0], tf.constant(case.positions)
    pixels = tf.range(case.size, dtype=tf.int64)
    taps = tf.stack(tf.meshgrid(pixels, pixels, indexing="ij"), -1)

    @tf.function
    def gather(picture: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        return tf.gather_nd(picture, positions[:, tf.newaxis, tf.newaxis] + taps)

    return lambda: gather(picture, positions)


# Random patches of a batch.


def _random(case: Cut, dtype: str, wrap: Wrap = eagerly) -> Call:
    images = _images(case, dtype)
    cut = wrap(
        lambda images: tf_patches.stateless_random_patches(
            images, case.count, case.size, SEED
        )
    )
    return lambda: cut(images)


def _map_fn(case: Cut, dtype: str, wrap: Wrap = eagerly) -> Call:
    images, crop_shape = _images(case, dtype), [case.size, case.size, case.images[-1]]

    def crops(number_and_image: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        number, image = number_and_image
        seed = tf.random.fold_in(SEED, number)
        return tf.stack(
            [
                tf.image.stateless_random_crop(
                    image, crop_shape, tf.random.fold_in(seed, k)
                )
                for k in range(case.count)
            ]
        )

    def map_images(images: tf.Tensor) -> tf.Tensor:
        numbers = tf.range(len(images))
        return tf.map_fn(crops, (numbers, images), fn_output_signature=images.dtype)

    cut = wrap(map_images)
    return lambda: cut(images)


def _copy_of_cuts(cut: Callable[[Cut, str], Call]) -> Callable[[Cut, str], Call]:
    return lambda case, dtype: _copy_of(cut(case, dtype)())


def _warm_copy_of_cuts(cut: Callable[[Cut, str], Call]) -> Callable[[Cut, str], Call]:
    return lambda case, dtype: warm_copy_of(cut(case, dtype)().numpy())


# Tiles merged.


def _merge(case: Merge, dtype: str) -> Call:
    tiles, tiling = _tiles(case, dtype), case.tiling
    return lambda: tiling.merge(tiles, case.blend)


def _window(case: Merge) -> np.ndarray:
    """As Tiling's Gaussian."""
    x = np.arange(case.size) - (case.size - 1) / 2
    factor = np.maximum(np.exp(-((x / (case.size / 8)) ** 2) / 2), 1e-3)
    return np.multiply.outer(factor, factor)


def _grid(case: Merge) -> dict[str, object]:
    """Tiles as patches of a grid: the last of them reach beyond the picture."""
    rows, cols = (
        (count - 1) * case.stride + case.size - pixels
        for count, pixels in zip(case.tiling.counts, case.images[1:3], strict=True)
    )
    padding = [[0, 0], [0, rows], [0, cols], [0, 0]]
    return {"sizes": case.size, "strides": case.stride, "padding": padding}


def _patches(case: Merge, dtype: str) -> tf.Tensor:
    return tf.reshape(_tiles(case, dtype), [1, *case.tiling.counts, -1])


def _fold_mean(case: Merge, dtype: str) -> Call:
    patches, grid = _patches(case, dtype), _grid(case)
    window = tf.constant(_window(case), dtype)
    return lambda: tf_patches.fold_patches(
        patches, case.images, **grid, reduction="mean", weights=window
    )


def _fold_twice(case: Merge, dtype: str) -> Call:
    patches, grid = _patches(case, dtype), _grid(case)
    window = tf.constant(_window(case), dtype)
    of_patch = tf.reshape(tf.repeat(window[..., tf.newaxis], case.images[-1], -1), [-1])
    windows = tf.tile(tf.reshape(window, [1, 1, 1, -1]), [1, *case.tiling.counts, 1])

    def call() -> tf.Tensor:
        total = tf_patches.fold_patches(patches * of_patch, case.images, **grid)
        weight = tf_patches.fold_patches(windows, [*case.images[:-1], 1], **grid)
        return total / weight

    return call


def _accumulator(case: Merge, dtype: str) -> Call:
    tiles, positions = _tiles(case, dtype).numpy()[0], case.tiling.positions
    window = _window(case).astype(dtype)[..., np.newaxis]

    def call() -> np.ndarray:
        total = np.zeros(case.images[1:], dtype)
        weight = np.zeros([*case.images[1:3], 1], dtype)
        for tile, (row, col) in zip(tiles, positions, strict=True):
            part = slice(row, row + case.size), slice(col, col + case.size)
            total[part] += tile * window
            weight[part] += window
        return total / weight

    return call


_SLIDE = (1, 2048, 2048, 3)
_BATCH = (32, 256, 256, 3)

TASKS = {
    "at places": Task(
        [
            Peer(US, _extract),
            Peer(WARM_COPY, _warm_copy_of_cuts(_extract)),
            Peer(COPY, _copy_of_cuts(_extract)),
            Peer(BOUNDING_BOX, _bounding_boxes),
            Peer(CROP_AND_RESIZE, _crop_and_resize),
            Peer(GATHER_ND, _gather_nd),
        ],
        [
            (Cut("1000 of 64x64", _SLIDE, 64, 1000), "uint8"),
            (Cut("1000 of 64x64", _SLIDE, 64, 1000), "float32"),
        ],
    ),
    "at random": Task(
        [
            Peer(US, _random),
            Peer(WARM_COPY, _warm_copy_of_cuts(_random)),
            Peer(COPY, _copy_of_cuts(_random)),
            Peer(MAP_FN, _map_fn),
            Peer(FUNCTION, partial(_random, wrap=tf.function)),
            Peer(MAP_FN_IN_A_FUNCTION, partial(_map_fn, wrap=tf.function)),
        ],
        [
            (Cut("8 of 64x64 of each of 32", _BATCH, 64, 8), "uint8"),
            (Cut("8 of 64x64 of each of 32", _BATCH, 64, 8), "float32"),
        ],
    ),
    "merge": Task(
        [
            Peer(US, _merge),
            Peer(WARM_COPY, lambda *case: warm_copy_of(_tiles(*case).numpy())),
            Peer(COPY, lambda *case: _copy_of(_tiles(*case))),
            Peer(FOLD_TWICE, _fold_twice),
            Peer(FOLD_MEAN, _fold_mean),
            Peer(ACCUMULATOR, _accumulator),
        ],
        [
            (Merge("1024x1024x8 of 256x256", (1, 1024, 1024, 8), 256), "float32"),
            (Merge("4096x4096x8 of 512x512", (1, 4096, 4096, 8), 512), "float32"),
        ],
    ),
}
