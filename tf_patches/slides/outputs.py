"""Where results go that may be larger than memory."""

import contextlib
import itertools
import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tf_patches.arguments import invalid
from tf_patches.slides.tiff import check_tiff, write_tiff

_BYTES_AT_ONCE = 1 << 24


class Output(Protocol):
    """An array `[rows, cols, …]` that is written piece by piece."""

    def write(self, row: int, col: int, values: np.ndarray) -> None:
        """Writes values `[rows, cols, …]` from `[row, col]` on."""
        ...


class ArrayOutput:
    """An array in memory."""

    def __init__(self, shape: Sequence[int], dtype: Any, fill: Any) -> None:
        self.array = np.full(shape, fill, dtype)

    def write(self, row: int, col: int, values: np.ndarray) -> None:
        rows, cols = values.shape[:2]
        self.array[row : row + rows, col : col + cols] = values


class NpyOutput:
    """A `.npy` file, written by plain writes.

    A write to a full disk is an error then; through a memory map it would end the
    process.
    """

    def __init__(
        self, path: Path, shape: Sequence[int], dtype: Any, fill: Any, reopen: bool
    ) -> None:
        self._path = path
        self._shape = tuple(shape)
        self._dtype = np.dtype(dtype)
        self._file = open(path, "r+b" if reopen else "w+b")  # noqa: SIM115 (close closes it)
        if reopen:
            self._check()
        else:
            np.lib.format.write_array_header_1_0(self._file, self._header())
        self._start = self._file.tell()
        if not reopen:
            self._fill(fill)

    def _header(self) -> dict[str, Any]:
        descr = np.lib.format.dtype_to_descr(self._dtype)
        return {"descr": descr, "fortran_order": False, "shape": self._shape}

    def _check(self) -> None:
        np.lib.format.read_magic(self._file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(self._file)
        size = self._file.tell() + math.prod(self._shape) * self._dtype.itemsize
        if (shape, dtype) != (self._shape, self._dtype) or (
            os.fstat(self._file.fileno()).st_size != size
        ):
            invalid(
                f"{self._path} holds {dtype} of shape {list(shape)}, but {self._dtype} "
                f"of shape {list(self._shape)} is to be written. Remove the file, or "
                "write to another one."
            )

    def _fill(self, fill: Any) -> None:
        row = np.full(self._shape[1:], fill, self._dtype).tobytes()
        if not any(row):  # a file has zeros where nothing was written
            self._file.truncate(self._start + self._shape[0] * len(row))
            return
        at_once = max(1, _BYTES_AT_ONCE // max(1, len(row)))
        for first in range(0, self._shape[0], at_once):
            self._file.write(row * min(at_once, self._shape[0] - first))

    def write(self, row: int, col: int, values: np.ndarray) -> None:
        values = np.ascontiguousarray(values, self._dtype)
        item = math.prod(self._shape[2:]) * self._dtype.itemsize
        whole = values.shape[1] == self._shape[1]
        for line in values[np.newaxis] if whole else values:
            self._file.seek(self._start + (row * self._shape[1] + col) * item)
            self._file.write(line.data)
            row += 1

    def flush(self) -> None:
        """Returns when everything written will outlive the process and the machine."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what could not be written was reported
            self._file.close()

    def finish(self, path: Path, mpp: float | None) -> None:
        """Gives the whole result its name."""
        self._file.close()
        os.replace(self._path, path)


class TiffOutput(NpyOutput):
    """A tiled TIFF of several levels, written of a `.npy` file when that is whole."""

    def __init__(
        self, path: Path, shape: Sequence[int], dtype: Any, fill: Any, reopen: bool
    ) -> None:
        check_tiff(shape, dtype)
        super().__init__(path, shape, dtype, fill, reopen)

    def finish(self, path: Path, mpp: float | None) -> None:
        self._file.close()
        new = path.with_name(path.name + ".new")
        write_tiff(new, self._path, mpp)
        os.replace(new, path)
        self._path.unlink()


class ZarrOutput:
    """A zarr array in a folder."""

    def __init__(
        self, path: Path, shape: Sequence[int], dtype: Any, fill: Any, reopen: bool
    ) -> None:
        self._path = path
        if reopen:
            self._array = open_zarr(path, "r+")
            return
        chunks = [min(512, n) for n in shape[:2]]
        self._array = _zarr().create_array(
            store=str(path),
            shape=tuple(shape),
            dtype=np.dtype(dtype),
            chunks=(*chunks, *shape[2:]),
            fill_value=fill,
            overwrite=True,
        )

    def write(self, row: int, col: int, values: np.ndarray) -> None:
        rows, cols = values.shape[:2]
        self._array[row : row + rows, col : col + cols] = values

    def flush(self) -> None:
        os.sync()  # the files of chunks are many

    def close(self) -> None:
        """Nothing is open between writes."""

    def finish(self, path: Path, mpp: float | None) -> None:
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(self._path, path)


def write_whole(path: str | os.PathLike[str], write: Callable[[Any], Any]) -> None:
    """Writes a file that appears when it is whole."""
    path = Path(path)
    new = path.with_name(path.name + ".new")
    with open(new, "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def _zarr() -> Any:
    try:
        import zarr
    except ImportError:
        raise ImportError(
            "A .zarr output is written by zarr. Install it: pip install 'zarr>=3'"
        ) from None
    return zarr


def open_zarr(path: Path, mode: str) -> Any:
    """The array in a folder."""
    return _zarr().open_array(str(path), mode=mode)


def runs(cells: np.ndarray) -> Iterator[tuple[int, int, slice]]:
    """Cells `[count, 2]` as runs along rows: row, first col, and which of the cells."""
    if len(cells) == 0:
        return
    breaks = np.any(np.diff(cells, axis=0) != [0, 1], axis=1)
    begins = [0, *(np.flatnonzero(breaks) + 1), len(cells)]
    for begin, end in itertools.pairwise(begins):
        yield int(cells[begin, 0]), int(cells[begin, 1]), slice(int(begin), int(end))
