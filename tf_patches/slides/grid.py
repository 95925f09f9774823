"""Where the patches of a slide lie, and in which blocks its pixels are read."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_patches.arguments import Integers, invalid, read_integers, read_mode
from tf_patches.placed import extract_patches_at
from tf_patches.slides.resolution import View
from tf_patches.slides.tissue import covered_ratio
from tf_patches.tiling import Tiling

# Pixels of a block: large enough that what neighbours share is little, small enough
# that the first block is soon read.
_BLOCK_SIDE = 2048
_MODES = ("CONSTANT", "REFLECT", "SYMMETRIC", "EDGE")


class Grid(NamedTuple):
    """The patches of a slide that are wanted, block after block.

    The patches of a block are cut out of one region of the slide. Their order is the
    order of `cells`.
    """

    view: View
    sizes: tuple[int, int]
    strides: tuple[int, int]
    mode: Any
    counts: tuple[int, int]  # rows and cols of all patches, wanted or not
    cells: np.ndarray  # [count, 2], row and col among all patches
    positions: np.ndarray  # [count, 2], first row and col in pixels of the view
    begins: np.ndarray  # [blocks + 1], where each block begins among the patches
    regions: np.ndarray  # [blocks, 4], what is read for each

    @property
    def block_count(self) -> int:
        return len(self.regions)

    def fingerprint(self) -> str:
        """What tells this grid from others."""
        digest = hashlib.sha256()
        for array in (self.cells, self.positions, self.begins, self.regions):
            digest.update(np.ascontiguousarray(array).tobytes())
        resolution = (self.view.level, self.view.scale, self.sizes, self.mode)
        digest.update(repr(resolution).encode())
        return digest.hexdigest()[:16]

    def pixels(self, number: Any) -> tf.Tensor:
        """Reads the pixels of a block."""
        return self.view.read(tf.gather(tf.constant(self.regions), number))

    def cut(self, number: Any, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        """Cuts the patches of a block, as `Slide.patches` describes them."""
        corner = tf.gather(tf.constant(self.regions), number)[:2]
        begin, end = tf.unstack(
            tf.gather(tf.constant(self.begins), [number, number + 1])
        )
        positions = tf.constant(self.positions)[begin:end]
        patches = extract_patches_at(
            pixels[tf.newaxis], positions - corner, self.sizes, mode=self.mode
        )
        return {
            "patches": tf.squeeze(patches, 0),
            "index": tf.range(begin, end),
            "cell": tf.constant(self.cells)[begin:end],
            "position": positions,
        }

    def block(self, number: Any) -> dict[str, tf.Tensor]:
        """Reads the patches of a block."""
        return self.cut(number, self.pixels(number))


def blocks_of(
    grid: Grid, numbers: Sequence[int], parallel_reads: int
) -> tf.data.Dataset:
    """The patches of blocks of a grid, a block at a time, in that order."""
    data = tf.data.Dataset.from_tensor_slices(np.array(numbers, np.int64))
    return data.map(grid.block, num_parallel_calls=parallel_reads, deterministic=True)


def make_grid(
    view: View,
    size: Integers,
    stride: Integers | None,
    padding: str,
    mode: str,
    mask: np.ndarray | None,
    min_mask_ratio: float,
) -> Grid:
    """Lays patches over a view and keeps those with enough of the mask under them."""
    sizes = _read_pair(size, "size")
    strides = sizes if stride is None else _read_pair(stride, "stride")
    mode = _read_mode(mode)
    space = (view.rows, view.cols)
    axes = [_lay(*axis, padding) for axis in zip(space, sizes, strides, strict=True)]
    counts = axes[0][0], axes[1][0]
    before = np.array([pad for _, pad in axes])
    cells = _cells_by_block(counts, sizes, strides)
    positions = cells * np.array(strides) - before
    _check_ratio(min_mask_ratio)
    if mask is not None:
        wanted = over_mask(mask, positions, sizes, space, min_mask_ratio)
        cells, positions = cells[wanted], positions[wanted]
    begins = _begins(cells, sizes, strides)
    regions = _regions(positions, begins, sizes, space, mode)
    return Grid(view, sizes, strides, mode, counts, cells, positions, begins, regions)


def make_rows(view: View, tiling: Tiling, wanted: np.ndarray) -> Grid:
    """The wanted tiles of a tiling, by number, in the order of their numbers.

    A block is a part of a row of tiles: tiles that touch, and lie within the width of
    a block.
    """
    sizes, strides = pair(tiling.tile_size), pair(tiling.stride)
    mode = _read_mode(tiling.mode)
    counts = pair(tiling.counts)
    cells = np.stack(np.unravel_index(wanted, counts), 1).astype(np.int64)
    positions = tiling.positions[wanted].astype(np.int64)
    row, col = positions.T
    width = max(1, _BLOCK_SIDE**2 // sizes[0])
    breaks = (np.diff(row) != 0) | (np.diff(col // width) != 0)
    breaks |= np.diff(col) > sizes[1]
    begins = _begins_at(breaks, len(cells))
    regions = _regions(positions, begins, sizes, (view.rows, view.cols), mode)
    return Grid(view, sizes, strides, mode, counts, cells, positions, begins, regions)


def over_mask(
    mask: np.ndarray,
    positions: np.ndarray,
    sizes: tuple[int, int],
    space: tuple[int, int],
    min_mask_ratio: float,
) -> np.ndarray:
    """Which patches have enough of the mask under them, and not nothing."""
    _check_ratio(min_mask_ratio)
    ratio = covered_ratio(mask, positions, sizes, space)
    return (ratio >= min_mask_ratio) & (ratio > 0)


def _check_ratio(min_mask_ratio: Any) -> None:
    is_number = isinstance(min_mask_ratio, (int, float, np.number))
    if not is_number or not 0 <= min_mask_ratio <= 1:
        invalid(f"min_mask_ratio must be 0 to 1, but got {min_mask_ratio!r}.")


def pair(values: Sequence[int]) -> tuple[int, int]:
    """Rows and cols, of which there are two."""
    rows, cols = values
    return rows, cols


def _lay(image: int, size: int, stride: int, padding: str) -> tuple[int, int]:
    """The number of patches along an axis, and the pixels before the first."""
    name = padding.upper() if isinstance(padding, str) else padding
    if name == "VALID":
        return max(0, (image - size) // stride + 1), 0
    if name != "SAME":
        invalid(f"padding must be 'VALID' or 'SAME', but got {padding!r}.")
    count = -(-image // stride)
    return count, max(0, (count - 1) * stride + size - image) // 2


def _patches_of_block(size: int, stride: int) -> int:
    return max(1, (_BLOCK_SIDE - size) // stride + 1)


def _cells_by_block(
    counts: tuple[int, int], sizes: tuple[int, int], strides: tuple[int, int]
) -> np.ndarray:
    """All cells, those of a block one after the other."""
    blocks = [
        np.arange(count) // _patches_of_block(*axis)
        for count, *axis in zip(counts, sizes, strides, strict=True)
    ]
    block_rows, block_cols = (
        grid.ravel() for grid in np.meshgrid(*blocks, indexing="ij")
    )
    order = np.lexsort((block_cols, block_rows))
    return np.stack(np.unravel_index(order, counts), 1).astype(np.int64)


def _begins(
    cells: np.ndarray, sizes: tuple[int, int], strides: tuple[int, int]
) -> np.ndarray:
    per_block = [_patches_of_block(*axis) for axis in zip(sizes, strides, strict=True)]
    blocks = cells // np.array(per_block)
    return _begins_at(np.any(np.diff(blocks, axis=0) != 0, axis=1), len(cells))


def _begins_at(breaks: np.ndarray, count: int) -> np.ndarray:
    """Where blocks begin, of which some patches break with those before them."""
    ends = [count] if count else []
    return np.concatenate([[0], np.flatnonzero(breaks) + 1, ends]).astype(np.int64)


def _regions(
    positions: np.ndarray,
    begins: np.ndarray,
    sizes: tuple[int, int],
    space: tuple[int, int],
    mode: str,
) -> np.ndarray:
    """The pixels that each block's patches show.

    Where a mode shows the slide's pixels outside of it, those that lie inside.
    """
    if len(begins) == 1:
        return np.zeros([0, 4], np.int64)
    first = np.minimum.reduceat(positions, begins[:-1])
    last = np.maximum.reduceat(positions, begins[:-1]) + np.array(sizes)
    if mode != "CONSTANT":
        # What is shown outside lies as far inside, at most a patch.
        reach = np.array(sizes)
        first = np.where(first < 0, 0, np.where(last > space, first - reach, first))
        last = np.where(last > space, space, np.where(first <= 0, last + reach, last))
        first, last = np.clip(first, 0, space), np.clip(last, 0, space)
    return np.concatenate([first, last - first], 1).astype(np.int64)


def read_count(value: Any, name: str) -> int:
    """An integer above 0."""
    if not isinstance(value, (int, np.integer)) or value < 1:
        invalid(f"{name} must be an integer above 0, but got {value!r}.")
    return int(value)


def _read_pair(values: Any, name: str) -> tuple[int, int]:
    given = read_integers(values, name)
    pair = [given] * 2 if isinstance(given, int) else given
    if len(pair) != 2 or min(pair) < 1:
        invalid(f"{name} must be an int, or [rows, cols], above 0, but got {values!r}.")
    return pair[0], pair[1]


def _read_mode(mode: Any) -> str:
    name = read_mode(mode)
    if name not in _MODES:
        invalid(
            f"mode must be {', '.join(_MODES)} for slides, but got {mode!r}: the other "
            "end of a slide is not read."
        )
    return name
