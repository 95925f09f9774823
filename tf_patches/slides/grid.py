"""Where the patches of a slide lie, and in which blocks its pixels are read."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_patches.arguments import invalid, read_integers, read_mode
from tf_patches.dispatch import not_converted
from tf_patches.placed import extract_patches_at
from tf_patches.slides.resolution import View
from tf_patches.slides.tissue import covered_ratio
from tf_patches.tiling import Tiling
from tf_patches.typing import Integers

# Pixels of a block: large enough that what neighbours share is little, small enough
# that the first block is soon read.
_BLOCK_SIDE = 2048
# Cells whose part under the mask is computed at a time.
_CELLS_AT_ONCE = 1 << 20
_MODES = ("CONSTANT", "REFLECT", "SYMMETRIC", "EDGE")


class Grid(NamedTuple):
    """The patches of a slide that are wanted, block after block.

    A cell is the place of a patch among all patches. A block is a rectangle of cells;
    its patches are cut out of one region of the slide. Blocks tell where patches lie,
    since a list of the patches themselves may not fit in memory.
    """

    view: View
    sizes: tuple[int, int]
    strides: tuple[int, int]
    mode: Any
    starts: tuple[np.ndarray, np.ndarray]  # pixels of the view: of cells' rows, of cols
    wanted: np.ndarray | None  # bools [rows, cols] of cells; None is all
    blocks: np.ndarray  # [blocks, 4], first row and col, and the rows and cols of cells
    begins: np.ndarray  # [blocks + 1], where each block begins among the patches
    regions: np.ndarray  # [blocks, 4], the pixels that are read for each

    @property
    def counts(self) -> tuple[int, int]:
        """Rows and cols of all cells, wanted or not."""
        rows, cols = self.starts
        return len(rows), len(cols)

    @property
    def block_count(self) -> int:
        return len(self.blocks)

    @property
    def patch_count(self) -> int:
        return int(self.begins[-1])

    def cells(self, number: int) -> np.ndarray:
        """The wanted cells of a block, `[count, 2]`, in the order of its patches."""
        first, extent = np.split(self.blocks[number], 2)
        cells = np.indices(tuple(extent)).reshape(2, -1).T + first
        if self.wanted is None:
            return cells
        return cells[self.wanted[tuple(cells.T)]]

    def positions(self, cells: np.ndarray) -> np.ndarray:
        """The first row and col of the patches of cells, in pixels of the view."""
        return np.stack(
            [starts[cells[:, n]] for n, starts in enumerate(self.starts)], 1
        )

    def fingerprint(self) -> str:
        """What tells this grid from others."""
        digest = hashlib.sha256()
        wanted = [] if self.wanted is None else [self.wanted]
        for array in (*self.starts, self.blocks, self.regions, *wanted):
            digest.update(np.ascontiguousarray(array).tobytes())
        resolution = (self.view.level, self.view.scale, self.sizes, self.mode)
        digest.update(repr(resolution).encode())
        return digest.hexdigest()[:16]

    @not_converted
    def pixels(self, number: Any) -> tf.Tensor:
        """Reads the pixels of a block."""
        return self.view.read(tf.gather(tf.constant(self.regions), number))

    @not_converted
    def cut(self, number: Any, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        """Cuts the patches of a block, as `Slide.patches` describes them."""
        begin, end = tf.unstack(
            tf.gather(tf.constant(self.begins), [number, number + 1])
        )
        cells = self._cells(number)
        positions = [
            tf.gather(starts, cells[:, n]) for n, starts in enumerate(self.starts)
        ]
        position = tf.ensure_shape(tf.stack(positions, 1), [None, 2])
        corner = tf.gather(tf.constant(self.regions), number)[:2]
        patches = extract_patches_at(
            pixels[tf.newaxis], position - corner, self.sizes, mode=self.mode
        )
        return {
            "patches": tf.squeeze(patches, 0),
            "index": tf.range(begin, end),
            "cell": cells,
            "position": position,
        }

    @not_converted
    def block(self, number: Any) -> dict[str, tf.Tensor]:
        """Reads the patches of a block."""
        return self.cut(number, self.pixels(number))

    def _cells(self, number: Any) -> tf.Tensor:
        """`cells` in a graph."""
        row, col, rows, cols = tf.unstack(tf.gather(tf.constant(self.blocks), number))
        axes = tf.meshgrid(
            tf.range(row, row + rows), tf.range(col, col + cols), indexing="ij"
        )
        cells = tf.reshape(tf.stack(axes, -1), [-1, 2])
        if self.wanted is None:
            return cells
        return tf.boolean_mask(cells, tf.gather_nd(self.wanted, cells))


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
    rows, cols = (
        _lay(*axis, padding) for axis in zip(space, sizes, strides, strict=True)
    )
    starts = rows, cols
    _check_ratio(min_mask_ratio)
    wanted = None
    if mask is not None:
        wanted = over_mask(mask, starts, sizes, space, min_mask_ratio)
    blocks = _squares(starts, sizes, strides)
    if wanted is not None:
        blocks = _shrunk(blocks, wanted)
    return _with_blocks(view, sizes, strides, mode, starts, wanted, blocks)


def make_rows(view: View, tiling: Tiling, numbers: np.ndarray) -> Grid:
    """The tiles of a tiling with these numbers, in that order, which rises.

    A block is a part of a row of tiles: tiles that touch, and lie within the width of
    a block.
    """
    sizes, strides = pair(tiling.tile_size), pair(tiling.stride)
    mode = _read_mode(tiling.mode)
    starts = tile_starts(tiling)
    wanted = np.zeros(pair(tiling.counts), np.bool_)
    wanted.flat[numbers] = True
    rows, cols = np.unravel_index(numbers, wanted.shape)
    left = starts[1][cols]
    width = max(1, _BLOCK_SIDE**2 // sizes[0])
    breaks = (np.diff(rows) != 0) | (np.diff(left // width) != 0)
    breaks |= np.diff(left) > sizes[1]
    first = np.flatnonzero(np.append(True, breaks)[: len(numbers)])
    last = np.flatnonzero(np.append(breaks, True)[: len(numbers)])
    ones = np.ones_like(first)
    blocks = np.stack([rows[first], cols[first], ones, cols[last] - cols[first] + 1], 1)
    return _with_blocks(view, sizes, strides, mode, starts, wanted, blocks)


def tile_starts(tiling: Tiling) -> tuple[np.ndarray, np.ndarray]:
    """Where the tiles of each row begin, and those of each col."""
    rows, cols = tiling.merged_axes(tiling.tile_size)
    return rows.starts.astype(np.int64), cols.starts.astype(np.int64)


def over_mask(
    mask: np.ndarray,
    starts: tuple[np.ndarray, np.ndarray],
    sizes: tuple[int, int],
    space: tuple[int, int],
    min_mask_ratio: float,
) -> np.ndarray:
    """Which patches have enough of the mask under them, and not nothing."""
    _check_ratio(min_mask_ratio)
    rows, cols = starts
    wanted = np.zeros([len(rows), len(cols)], np.bool_)
    at_once = _CELLS_AT_ONCE // max(1, len(cols)) + 1
    for first in range(0, len(rows), at_once):
        part = slice(first, first + at_once)
        ratio = covered_ratio(mask, (rows[part], cols), sizes, space)
        wanted[part] = (ratio >= min_mask_ratio) & (ratio > 0)
    return wanted


def _check_ratio(min_mask_ratio: Any) -> None:
    is_number = isinstance(min_mask_ratio, (int, float, np.number))
    if not is_number or not 0 <= min_mask_ratio <= 1:
        invalid(f"min_mask_ratio must be 0 to 1, but got {min_mask_ratio!r}.")


def pair(values: Sequence[int]) -> tuple[int, int]:
    """Rows and cols, of which there are two."""
    rows, cols = values
    return rows, cols


def _lay(image: int, size: int, stride: int, padding: str) -> np.ndarray:
    """Where patches begin along an axis."""
    name = padding.upper() if isinstance(padding, str) else padding
    if name == "VALID":
        return np.arange(0, max(0, image - size + 1), stride, dtype=np.int64)
    if name != "SAME":
        invalid(f"padding must be 'VALID' or 'SAME', but got {padding!r}.")
    count = -(-image // stride)
    before = max(0, (count - 1) * stride + size - image) // 2
    return np.arange(count, dtype=np.int64) * stride - before


def _squares(
    starts: tuple[np.ndarray, np.ndarray],
    sizes: tuple[int, int],
    strides: tuple[int, int],
) -> np.ndarray:
    """Blocks of all cells, each of as many as a square of pixels holds."""
    first, count = [], []
    for begins, size, stride in zip(starts, sizes, strides, strict=True):
        together = max(1, (_BLOCK_SIDE - size) // stride + 1)
        first.append(np.arange(0, len(begins), together))
        count.append(np.minimum(together, len(begins) - first[-1]))
    corners, extents = (np.meshgrid(*axes, indexing="ij") for axes in (first, count))
    return np.stack([*corners, *extents], -1).reshape(-1, 4)


def _shrunk(blocks: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Blocks without the rows and cols at their sides in which no cell is wanted."""
    shrunk = []
    for row, col, rows, cols in blocks.tolist():
        cells = np.argwhere(wanted[row : row + rows, col : col + cols])
        if len(cells):
            (top, left), (bottom, right) = cells.min(0), cells.max(0) + 1
            shrunk.append([row + top, col + left, bottom - top, right - left])
    return np.array(shrunk, np.int64).reshape(-1, 4)


def _with_blocks(
    view: View,
    sizes: tuple[int, int],
    strides: tuple[int, int],
    mode: str,
    starts: tuple[np.ndarray, np.ndarray],
    wanted: np.ndarray | None,
    blocks: np.ndarray,
) -> Grid:
    blocks = blocks.astype(np.int64)
    if wanted is None:
        counts = blocks[:, 2] * blocks[:, 3]
    else:
        counts = np.array(
            [
                np.count_nonzero(wanted[row : row + rows, col : col + cols])
                for row, col, rows, cols in blocks.tolist()
            ],
            np.int64,
        )
    begins = np.append(0, np.cumsum(counts, dtype=np.int64))
    regions = _regions(blocks, starts, sizes, (view.rows, view.cols), mode)
    return Grid(view, sizes, strides, mode, starts, wanted, blocks, begins, regions)


def _regions(
    blocks: np.ndarray,
    starts: tuple[np.ndarray, np.ndarray],
    sizes: tuple[int, int],
    space: tuple[int, int],
    mode: str,
) -> np.ndarray:
    """The pixels that the patches of each block show.

    Where a mode shows the slide's pixels outside of it, those that lie inside.
    """
    first_cell = blocks[:, :2]
    last_cell = first_cell + blocks[:, 2:] - 1
    first, last = (
        np.stack([starts[n][cells[:, n]] for n in (0, 1)], 1)
        for cells in (first_cell, last_cell)
    )
    last = last + np.array(sizes)
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
