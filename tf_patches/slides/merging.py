"""Merges the tiles of an image that is larger than memory, piece by piece."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_patches.tiling import Tiling

_PIECE_BYTES = 1 << 25
_ALIGNMENT = 64


class Piece(NamedTuple):
    """A part of the merged image that is finished at once."""

    band: int  # rows from the start of one row of tiles to that of the next
    begin: tuple[int, int]
    end: tuple[int, int]
    ready: int  # all wanted tiles of lower numbers must have been added
    is_last: bool  # of its band


class Merging:
    """Tiles that come in the order of their numbers, and wait for their neighbours.

    A band of rows is finished when the next row of tiles begins, from left to right.
    Of a tile only the rows are kept that are not finished. So memory holds what the
    tiles of a row share with the next row, however many rows there are. It is the same
    memory all the time, as the first touch of fresh memory takes longer than a copy.
    """

    def __init__(
        self, tiling: Tiling, tile_shape: Sequence[int], dtype: Any, blend: Any
    ) -> None:
        self._tiling = tiling
        self._tile_shape = tuple(tile_shape)
        self._dtype = np.dtype(dtype)
        self._blend = blend
        self._rows, self._cols = tiling.merged_axes(tile_shape[:2])
        self.size = self._rows.image, self._cols.image
        self._kept: dict[int, np.ndarray] = {}  # of each tile the last rows
        self._shared = self._memory_of_shared_rows()
        self._scratch = _aligned([0, *self._tile_shape], self._dtype)
        self._row_bounds = _bounds(self._rows, 1)
        col_bytes = np.prod(tile_shape, dtype=np.int64) * np.dtype(dtype).itemsize
        self._together = max(1, int(_PIECE_BYTES // col_bytes))
        self._col_bounds = _bounds(self._cols, self._together)

    @property
    def band_count(self) -> int:
        return len(self._row_bounds) - 1

    def first_tile_over(self, band: int) -> int:
        """The number of the first tile that reaches rows of a band or later ones."""
        row, _ = self._over(self._rows, self._row_bounds[band], self.size[0])
        return row * len(self._cols.starts)

    def pieces(self, first_band: int) -> Iterator[Piece]:
        """All pieces of the image from a band on, in the order of their tiles."""
        across = len(self._cols.starts)
        last = len(self._col_bounds) - 2
        for band in range(first_band, self.band_count):
            for part in range(last + 1):
                ready = band * across + min((part + 1) * self._together, across)
                yield Piece(
                    band,
                    (self._row_bounds[band], self._col_bounds[part]),
                    (self._row_bounds[band + 1], self._col_bounds[part + 1]),
                    ready,
                    part == last,
                )

    def add(self, numbers: Sequence[int], tiles: np.ndarray) -> None:
        """Adds tiles `[count, *tile_shape]`."""
        self._kept.update(zip(numbers, tiles, strict=True))

    def sample(self) -> tf.Tensor:
        """A pixel as `finish` makes it, `[1, 1, depth]`, where there is no tile."""
        tiles = np.zeros([1, 0, *self._tile_shape], self._dtype)
        return self._tiling.merge_part(tiles, [0, 0], [1, 1], self._blend, [])[0]

    def finish(self, piece: Piece) -> tf.Tensor:
        """The pixels of a piece, `[rows, cols, depth]`; all its tiles must be there."""
        numbers = [n for n in self._numbers_over(piece) if n in self._kept]
        size = np.subtract(piece.end, piece.begin).tolist()
        merged = self._tiling.merge_part(
            self._together_again(numbers, piece),
            piece.begin,
            size,
            self._blend,
            np.array(numbers, np.int64),
        )
        for number in numbers:
            self._trim(number, piece)
        return merged[0]

    def _memory_of_shared_rows(self) -> np.ndarray:
        """What is kept of each tile of some rows of tiles, when a band is finished."""
        height, *rest = self._tile_shape
        starts = self._rows.starts
        first = np.searchsorted(starts + height, starts[1:], side="right")
        rows = np.max(np.arange(1, len(starts)) - first, initial=0)
        left = height - np.min(np.diff(starts), initial=height)
        return np.empty([rows, len(self._cols.starts), left, *rest], self._dtype)

    def _together_again(self, numbers: Sequence[int], piece: Piece) -> tf.Tensor:
        """Tiles `[1, count, *tile_shape]`; outside of the piece they hold anything."""
        if len(self._scratch) < len(numbers):
            self._scratch = _aligned([len(numbers), *self._tile_shape], self._dtype)
        tiles = self._scratch[: len(numbers)]
        for tile, number in zip(tiles, numbers, strict=True):
            kept = self._kept[number]
            left = self._cols.starts[number % len(self._cols.starts)]
            cols = slice(max(0, piece.begin[1] - left), piece.end[1] - left)
            tile[len(tile) - len(kept) :, cols] = kept[:, cols]
        return _as_tensor(tiles[np.newaxis])

    def _numbers_over(self, piece: Piece) -> Iterator[int]:
        rows = self._over(self._rows, piece.begin[0], piece.end[0])
        cols = self._over(self._cols, piece.begin[1], piece.end[1])
        for row in range(*rows):
            for col in range(*cols):
                yield row * len(self._cols.starts) + col

    @staticmethod
    def _over(axis: Any, begin: int, end: int) -> tuple[int, int]:
        """The first tile along an axis over pixels, and the one after the last."""
        first = np.searchsorted(axis.starts + axis.tile, begin, side="right")
        last = np.searchsorted(axis.starts, end, side="left")
        return int(first), int(last)

    def _trim(self, number: int, piece: Piece) -> None:
        """Forgets the rows of a tile that are finished, if all its cols are."""
        row, col = divmod(number, len(self._cols.starts))
        if (
            not piece.is_last
            and self._cols.starts[col] + self._cols.tile > piece.end[1]
        ):
            return
        left = self._rows.starts[row] + self._rows.tile - piece.end[0]
        if left <= 0 or piece.band == self.band_count - 1:
            del self._kept[number]
            return
        kept = self._kept[number][-left:]
        if not np.may_share_memory(kept, self._shared):
            place = self._shared[row % len(self._shared), col, :left]
            place[...] = kept
            kept = place
        self._kept[number] = kept


def _bounds(axis: Any, together: int) -> list[int]:
    """Where parts of an axis begin, each with so many tiles; then its end."""
    inner = axis.starts[together::together].tolist()
    return [0, *inner, int(axis.image)]


def _aligned(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """Memory that a tensor can share."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT
    return memory[begin : begin + size].view(dtype).reshape(shape)


def _as_tensor(array: np.ndarray) -> tf.Tensor:
    """An array as a tensor that shares its memory, where NumPy can share it."""
    if array.size and array.dtype.kind in "fiu":
        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
    return tf.convert_to_tensor(array)
