"""Work in units that can be interrupted at any moment, and goes on later."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tf_patches.arguments import invalid
from tf_patches.slides.outputs import (
    ArrayOutput,
    NpyOutput,
    Output,
    TiffOutput,
    ZarrOutput,
    open_zarr,
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
    name `OUT`. Without a path the result is in memory.
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
        self._partial = self._path.with_name(self._path.name + ".partial")
        self._progress = self._path.with_name(self._path.name + ".progress")
        head = json.dumps(request, sort_keys=True)
        begun = resume and self._progress.exists() and self._partial.exists()
        if begun:
            self.done = self._read_progress(head)
        else:  # or else it would tell of a result that is not there any more
            self._progress.unlink(missing_ok=True)
        self._file = kind(self._partial, shape, dtype, fill, begun)
        self.output = self._file
        if not begun:
            self._file.flush()
            self._begin(head)
        self._log = open(self._progress, "a", encoding="utf-8")  # noqa: SIM115 (finish closes it)

    def _begin(self, head: str) -> None:
        """Writes the request: whole, or not at all."""
        new = self._progress.with_name(self._progress.name + ".new")
        with open(new, "w", encoding="utf-8") as file:
            file.write(head + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self._progress)

    def _read_progress(self, head: str) -> set[int]:
        text = self._progress.read_text(encoding="utf-8")
        first, *lines = text.split("\n")
        if first != head:
            invalid(
                f"{self._progress} belongs to another request, {first}, not to {head}. "
                "Repeat that request, or write to another output, or leave resume out."
            )
        whole = lines[:-1]  # what follows the last newline was not all written
        if not text.endswith("\n"):
            kept = "\n".join([first, *whole]) + "\n"
            os.truncate(self._progress, len(kept.encode()))
        return {int(line) for line in whole if line}

    def mark(self, unit: int) -> None:
        """Notes that a unit is in the output, after making sure that it is."""
        self.done.add(unit)
        if self._path is None:
            return
        self._file.flush()
        self._log.write(f"{unit}\n")
        self._log.flush()
        os.fsync(self._log.fileno())

    def finish(self, mpp: float | None = None) -> Any:
        """Gives the result its name; returns it as an array."""
        if self._path is None:
            return self._in_memory.array
        self._file.flush()
        self._log.close()
        self._file.finish(self._path, mpp)
        self._progress.unlink()
        return open_result(self._path)


def open_result(path: str | os.PathLike[str]) -> Any:
    """A finished result: an array whose values stay in the file."""
    path = Path(path)
    if path.suffix == ".npy":
        return np.load(path, mmap_mode="r")
    return open_zarr(path, "r") if path.suffix == ".zarr" else TiffImage(path)
