"""Tiled TIFF files of several levels, as viewers of slides open them."""

import contextlib
import itertools
import math
import operator
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from tf_patches.arguments import invalid

_TILE = 256
_KINDS = "biuf"
_CLASSIC_BYTES = 2 << 30  # of a file whose places have 32 bits, with room to spare


def _tifffile() -> Any:
    try:
        import tifffile
    except ImportError:
        raise ImportError(
            "TIFF files are written by tifffile. Install it: pip install tifffile"
        ) from None
    return tifffile


def check_tiff(shape: Sequence[int], dtype: Any) -> None:
    """Refuses what no TIFF can hold, before hours of work."""
    _tifffile()
    kind = np.dtype(dtype).kind
    if len(shape) not in (2, 3) or 0 in shape or kind not in _KINDS:
        invalid(
            "A TIFF holds real numbers [rows, cols] or [rows, cols, depth], none of "
            f"them 0, but the result is {np.dtype(dtype)} of shape {list(shape)}. "
            "Write it to .npy or .zarr."
        )


class _Rows(NamedTuple):
    """An array in a file, of which some rows are in memory at a time."""

    file: Any
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype

    def read(self, begin: int, end: int) -> np.ndarray:
        begin, end = min(begin, self.shape[0]), min(end, self.shape[0])
        row = int(np.prod(self.shape[1:]))
        self.file.seek(self.offset + begin * row * self.dtype.itemsize)
        rows = np.fromfile(self.file, self.dtype, (end - begin) * row)
        return rows.reshape(end - begin, *self.shape[1:])


def write_tiff(path: Path, npy: Path, mpp: float | None) -> None:
    """Writes the array of a `.npy` file as a tiled TIFF of several levels.

    A pixel of a level is the mean of four pixels of the level before it; where numbers
    are labels, the first of the four. Memory holds a row of tiles at a time.
    """
    with open(npy, "rb") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        if shape[2:] == (1,):  # as a TIFF has it
            shape = shape[:2]
        rows = _Rows(file, file.tell(), shape, dtype)
        is_large = math.prod(shape) * dtype.itemsize > _CLASSIC_BYTES
        with _tifffile().TiffWriter(path, bigtiff=is_large) as writer:
            _write_levels(writer, rows, mpp, path.parent)
    with open(path, "rb") as whole:
        os.fsync(whole.fileno())


def _write_levels(writer: Any, rows: _Rows, mpp: float | None, folder: Path) -> None:
    """Writes `rows` and then, of files that vanish by themselves, smaller levels."""
    _write_level(writer, rows, _tiles(rows), mpp, is_smaller=False)
    with contextlib.ExitStack() as files:
        while max(rows.shape[:2]) > _TILE and min(rows.shape[:2]) > 1:
            file = files.enter_context(tempfile.TemporaryFile(dir=folder))
            rows = _halved(rows, file)
            mpp = None if mpp is None else 2 * mpp
            _write_level(writer, rows, _tiles(rows), mpp, is_smaller=True)


def _write_level(
    writer: Any,
    rows: _Rows,
    tiles: Iterator[np.ndarray],
    mpp: float | None,
    is_smaller: bool,
) -> None:
    options: dict[str, Any] = {"photometric": "rgb" if _is_rgb(rows) else "minisblack"}
    if len(rows.shape) == 3:
        options["planarconfig"] = "contig"
    if mpp is not None:
        options["resolution"] = (1e4 / mpp, 1e4 / mpp)
        options["resolutionunit"] = "CENTIMETER"
    writer.write(
        tiles,
        shape=rows.shape,
        dtype=_stored(rows.dtype),
        tile=(_TILE, _TILE),
        compression="zlib",
        subfiletype=int(is_smaller),
        metadata=None,
        maxworkers=1,
        **options,
    )


def _tiles(rows: _Rows) -> Iterator[np.ndarray]:
    dtype = _stored(rows.dtype)
    for row in range(0, rows.shape[0], _TILE):
        band = rows.read(row, row + _TILE).astype(dtype, copy=False)
        for col in range(0, rows.shape[1], _TILE):
            tile = np.zeros([_TILE, _TILE, *rows.shape[2:]], dtype)
            part = band[:, col : col + _TILE]
            tile[: part.shape[0], : part.shape[1]] = part
            yield tile


def _halved(rows: _Rows, file: IO[bytes]) -> _Rows:
    """Rows and cols by two, written to a file."""
    height, width = rows.shape[0] // 2, rows.shape[1] // 2
    are_labels = rows.dtype.kind in "biu" and not _is_rgb(rows)
    for row in range(0, 2 * height, _TILE):
        band = rows.read(row, min(row + _TILE, 2 * height))[:, : 2 * width]
        file.write(_first(band) if are_labels else _means(band))
    file.flush()
    return _Rows(file, 0, (height, width, *rows.shape[2:]), rows.dtype)


def _first(band: np.ndarray) -> bytes:
    return band[::2, ::2].tobytes()


def _means(band: np.ndarray) -> bytes:
    rows, cols, *depth = band.shape
    fours = band.reshape(rows // 2, 2, cols // 2, 2, *depth)
    means = fours.mean((1, 3), dtype=np.float64 if band.itemsize == 8 else np.float32)
    return (
        (np.rint(means) if band.dtype.kind == "u" else means)
        .astype(band.dtype)
        .tobytes()
    )


def _is_rgb(rows: _Rows) -> bool:
    return rows.dtype == np.uint8 and rows.shape[2:] == (3,)


def _stored(dtype: np.dtype) -> np.dtype:
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype


class TiffImage:
    """The first level of a tiled TIFF, as an array whose values stay in the file.

    It is read by slices; `numpy.asarray` reads all of it. An image of one channel has
    no axis for it: it is `[rows, cols]`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._page = _tifffile().TiffFile(path).pages[0]
        self._lock = threading.Lock()  # of the place in the file
        self.shape: tuple[int, ...] = self._page.shape
        self.dtype: np.dtype = self._page.dtype
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        """The rows."""
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All of it."""
        return self[:].astype(self.dtype if dtype is None else dtype, copy=False)

    def __getitem__(self, key: Any) -> np.ndarray:
        """Numbers, as ints and slices choose them."""
        keys = key if isinstance(key, tuple) else (key,)
        row, col, *rest = (*keys, slice(None), slice(None))[: max(2, len(keys))]
        (rows, row), (cols, col) = _span(row, self.shape[0]), _span(col, self.shape[1])
        return self._read(rows, cols)[(row, col, *rest)]

    def _read(self, rows: range, cols: range) -> np.ndarray:
        pixels = np.empty([len(rows), len(cols), *self.shape[2:]], self.dtype)
        across = -(-self.shape[1] // _TILE)
        for down, right in itertools.product(_tiles_of(rows), _tiles_of(cols)):
            row_in, row_of = _common(rows, down * _TILE)
            col_in, col_of = _common(cols, right * _TILE)
            tile = self._tile(down * across + right)
            pixels[row_in, col_in] = tile[row_of, col_of]
        return pixels

    def _tile(self, index: int) -> np.ndarray:
        with self._lock:
            file = self._page.parent.filehandle
            file.seek(self._page.dataoffsets[index])
            data = file.read(self._page.databytecounts[index])
        tile = self._page.decode(data, index)[0][0]
        return tile if len(self.shape) == 3 else tile[..., 0]


def _span(key: Any, size: int) -> tuple[range, Any]:
    """The pixels from the first to the last that a key chooses, and a key of those."""
    if not isinstance(key, slice):
        index = range(size)[operator.index(key)]
        return range(index, index + 1), 0
    chosen = range(size)[key]
    if not chosen:
        return range(0), slice(None)
    first, last = min(chosen[0], chosen[-1]), max(chosen[0], chosen[-1])
    return range(first, last + 1), slice(None, None, chosen.step)


def _tiles_of(pixels: range) -> range:
    return range(pixels.start // _TILE, -(-pixels.stop // _TILE))


def _common(pixels: range, first: int) -> tuple[slice, slice]:
    """What pixels share with a tile that begins at `first`: among them, and in it."""
    begin, end = max(pixels.start, first), min(pixels.stop, first + _TILE)
    return (
        slice(begin - pixels.start, end - pixels.start),
        slice(begin - first, end - first),
    )
