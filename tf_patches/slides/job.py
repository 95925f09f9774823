"""Work in units that can be interrupted at any moment, and goes on later."""

import contextlib
import fcntl
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tf_patches.arguments import invalid
from tf_patches.slides.outputs import (
    ArrayOutput,
    NpyOutput,
    Output,
    TiffOutput,
    ZarrOutput,
    open_zarr,
    write_whole,
)
from tf_patches.slides.tiff import TiffImage

_KINDS: dict[str, type[NpyOutput] | type[ZarrOutput]] = {
    ".npy": NpyOutput,
    ".zarr": ZarrOutput,
    ".tif": TiffOutput,
    ".tiff": TiffOutput,
}


class Job:
    """A result that is written unit by unit.

    While it is written the result has the name `OUT.partial`; `OUT.progress` lists the
    request, then the units whose numbers are safely in it. Only a whole result gets the
    name `OUT`, and its request the name `OUT.json`. Without a path the result is in
    memory.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        shape: Sequence[int],
        dtype: Any,
        fill: Any,
        request: dict[str, Any],
        resume: bool,
    ) -> None:
        self.done: set[int] = set()
        self.is_finished = False
        self._opened = contextlib.ExitStack()
        self._path = None if path is None else Path(path)
        if self._path is None:
            if resume:
                invalid("resume=True needs an output that is a file.")
            self._in_memory = ArrayOutput(shape, dtype, fill)
            self.output: Output = self._in_memory
            return
        kind = _KINDS.get(self._path.suffix)
        if kind is None:
            names = ", ".join(_KINDS)
            invalid(f"output must end with one of {names}, but got {str(path)!r}.")
        self._head = json.dumps(request, sort_keys=True) + "\n"
        self._record = _beside(self._path, ".json")
        partial = _beside(self._path, ".partial")
        progress = _beside(self._path, ".progress")
        if resume and not progress.exists() and self._has_the_result():
            self.is_finished = True
            return
        with contextlib.ExitStack() as opened:
            self._progress = opened.enter_context(
                contextlib.closing(_Progress(progress, self._head))
            )
            begun = resume and partial.exists() and self._progress.is_begun
            if begun:
                self.done = self._progress.read()
            else:  # or else it would tell of a result that is not there any more
                self._progress.clear()
            self._file = opened.enter_context(
                contextlib.closing(kind(partial, shape, dtype, fill, begun))
            )
            self.output = self._file
            if not begun:
                self._file.flush()
                self._progress.begin()
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Closes the files; a later job can go on with them."""
        self._opened.close()

    def _has_the_result(self) -> bool:
        """Whether an earlier job has finished the same request."""
        assert self._path is not None
        if not self._path.exists() or not self._record.exists():
            return False
        return self._record.read_text(encoding="utf-8") == self._head

    def mark(self, unit: int) -> None:
        """Notes that a unit is in the output, after making sure that it is."""
        self.done.add(unit)
        if self._path is None:
            return
        self._file.flush()
        self._progress.add(unit)

    def finish(self, mpp: float | None = None) -> Any:
        """Gives the result its name; returns it as an array."""
        if self._path is None:
            return self._in_memory.array
        if not self.is_finished:
            self._file.flush()
            self._record.unlink(missing_ok=True)  # it tells of an earlier result
            self._file.finish(self._path, mpp)
            write_whole(self._record, lambda file: file.write(self._head.encode()))
            self._progress.remove()
            self._opened.close()
        return open_result(self._path)


class _Progress:
    """The file of a request and of the units that are done; one process has it."""

    def __init__(self, path: Path, head: str) -> None:
        self._path = path
        self._head = head
        self._file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 (close closes it)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise tf.errors.FailedPreconditionError(
                None,
                None,
                f"Another process writes {path.with_suffix('')}. Wait for it, or write "
                "to another output.",
            ) from None
        self._file.seek(0)
        self._text = self._file.read()

    @property
    def is_begun(self) -> bool:
        """Whether a request was written, all of it."""
        return "\n" in self._text

    def read(self) -> set[int]:
        """The units that are done."""
        first, *lines = self._text.split("\n")
        if first + "\n" != self._head:
            invalid(
                f"{self._path} belongs to another request, {first}, not to "
                f"{self._head.strip()}. Repeat that request, write to another output, "
                "or leave resume out."
            )
        *whole, torn = lines  # a line without its end was not all written
        kept = self._text.removesuffix(torn)
        self._file.truncate(len(kept.encode()))
        return {int(line) for line in whole if line}

    def clear(self) -> None:
        self._file.truncate(0)
        os.fsync(self._file.fileno())

    def begin(self) -> None:
        self._write(self._head)

    def add(self, unit: int) -> None:
        self._write(f"{unit}\n")

    def remove(self) -> None:
        self._path.unlink()

    def close(self) -> None:
        """Closes the file, and leaves none where nothing was begun."""
        if os.fstat(self._file.fileno()).st_size == 0:
            self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # what could not be written was reported
            self._file.close()

    def _write(self, text: str) -> None:
        """Returns when the text will outlive the process and the machine."""
        self._file.write(text)
        self._file.flush()
        os.fsync(self._file.fileno())


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def open_result(path: str | os.PathLike[str]) -> Any:
    """A finished result: an array whose values stay in the file."""
    path = Path(path)
    if path.suffix == ".npy":
        return np.load(path, mmap_mode="r")
    return open_zarr(path, "r") if path.suffix == ".zarr" else TiffImage(path)
