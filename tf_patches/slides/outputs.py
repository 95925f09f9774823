"""Where results go that may be larger than memory."""

import itertools
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tf_patches.arguments import invalid

_BYTES_AT_ONCE = 1 << 24


class Output(Protocol):
    """An array `[rows, cols, …]` that is written piece by piece."""

    def write_row(self, row: int, col: int, values: np.ndarray) -> None:
        """Writes values from `[row, col]` on, within one row."""
        ...

    def write_rows(self, row: int, values: np.ndarray) -> None:
        """Writes whole rows."""
        ...

    def flush(self) -> None:
        """Returns when everything written will outlive the process and the machine."""
        ...

    def array(self) -> Any:
        """What was written, as something with a shape and slices."""
        ...


class ArrayOutput:
    """An array in memory."""

    def __init__(self, shape: Sequence[int], dtype: Any, fill: Any) -> None:
        self._array = np.full(shape, fill, dtype)

    def write_row(self, row: int, col: int, values: np.ndarray) -> None:
        self._array[row, col : col + len(values)] = values

    def write_rows(self, row: int, values: np.ndarray) -> None:
        self._array[row : row + len(values)] = values

    def flush(self) -> None:
        pass

    def array(self) -> np.ndarray:
        return self._array


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
        self._file = open(path, "r+b" if reopen else "w+b")  # noqa: SIM115
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
        at_once = max(1, _BYTES_AT_ONCE // max(1, len(row)))
        for first in range(0, self._shape[0], at_once):
            self._file.write(row * min(at_once, self._shape[0] - first))

    def write_row(self, row: int, col: int, values: np.ndarray) -> None:
        item = math.prod(self._shape[2:]) * self._dtype.itemsize
        self._file.seek(self._start + (row * self._shape[1] + col) * item)
        self._file.write(np.ascontiguousarray(values, self._dtype).data)

    def write_rows(self, row: int, values: np.ndarray) -> None:
        self.write_row(row, 0, values)

    def flush(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def array(self) -> np.ndarray:
        self._file.close()
        return np.load(self._path, mmap_mode="r")


class ZarrOutput:
    """A zarr array in a folder."""

    def __init__(
        self, path: Path, shape: Sequence[int], dtype: Any, fill: Any, reopen: bool
    ) -> None:
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

    def write_row(self, row: int, col: int, values: np.ndarray) -> None:
        self._array[row, col : col + len(values)] = values

    def write_rows(self, row: int, values: np.ndarray) -> None:
        self._array[row : row + len(values)] = values

    def flush(self) -> None:
        os.sync()  # the files of chunks are many

    def array(self) -> Any:
        return self._array


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
