"""Patches of slides: how many a second, how soon the first, and in how much memory.

`python -m benchmarks.slides` makes slides in a temporary folder, and prints a table.
Tiles are JPEG where imagecodecs is installed, or else zlib. Each measurement has a
process of its own, which runs on as many CPUs as the table says.
"""

import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

SIZE, STRIDE, BATCH = 299, 128, 32
TILE = 256
# A row of patches of a real slide does not fit OpenSlide's own cache, nor does it here.
TISSUE, LARGE = (2048, 32_768), (100_000, 100_000)
STRETCH = 300  # batches of the large slide
CODEC = "jpeg" if importlib.util.find_spec("imagecodecs") else "zlib"


# Slides.


def _encode(tile: np.ndarray) -> bytes:
    if CODEC == "zlib":
        return zlib.compress(tile.tobytes())
    import imagecodecs

    return imagecodecs.jpeg_encode(
        tile, level=85, colorspace="RGB", outcolorspace="YCBCR", subsampling="444"
    )


def _write(path: Path, shape: tuple[int, int], tiles: list[np.ndarray]) -> None:
    """A slide of one level, tiled with some tiles in turn."""
    import tifffile

    encoded = [_encode(tile) for tile in tiles]
    count = math.prod(-(-pixels // TILE) for pixels in shape)
    color = {"photometric": "rgb"}
    if CODEC == "jpeg":
        color = {"photometric": "ycbcr", "subsampling": (1, 1)}
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        file.write(
            (encoded[n % len(encoded)] for n in range(count)),
            shape=(*shape, 3),
            dtype=np.uint8,
            tile=(TILE, TILE),
            compression=CODEC,
            metadata=None,
            **color,
        )


def make_slides(folder: Path) -> dict[str, Path]:
    """A slide of stained tissue, and a large one of flat tiles, which is soon made."""
    from skimage import data

    picture = data.immunohistochemistry()
    tissue = [
        picture[row : row + TILE, col : col + TILE]
        for row in range(0, 512, TILE)
        for col in range(0, 512, TILE)
    ]
    flat = [np.full([TILE, TILE, 3], grey, np.uint8) for grey in (90, 160, 230)]
    paths = {"tissue": folder / "tissue.tif", "large": folder / "large.tif"}
    _write(paths["tissue"], TISSUE, tissue)
    _write(paths["large"], LARGE, flat)
    return paths


# What is measured, in a process of its own.


def _ours(path: str, threads: int) -> Iterator[Any]:
    from tf_patches import slides

    slide = slides.open(path)
    data = slide.patches(SIZE, STRIDE, batch_size=BATCH, parallel_reads=threads)
    return (batch["patches"] for batch in data)


def _read_region(path: str, threads: int) -> Iterator[np.ndarray]:
    """As is usual: each patch is asked for by itself, row by row."""
    import openslide

    slide = openslide.OpenSlide(path)
    cols, rows = slide.dimensions
    corners = [
        (x, y)
        for y in range(0, rows - SIZE + 1, STRIDE)
        for x in range(0, cols - SIZE + 1, STRIDE)
    ]

    def read(corner: tuple[int, int]) -> np.ndarray:
        region = slide.read_region(corner, 0, (SIZE, SIZE))
        return np.asarray(region.convert("RGB"))

    with ThreadPoolExecutor(threads) as pool:
        for first in range(0, len(corners), BATCH):
            yield np.stack(list(pool.map(read, corners[first : first + BATCH])))


def rate(make: Callable[[str, int], Iterator[Any]], path: str, threads: int) -> float:
    """Patches a second over the whole slide."""
    for batch in islice(make(path, threads), 1):  # loads libraries
        del batch
    start = time.perf_counter()
    count = sum(len(batch) for batch in make(path, threads))
    return count / (time.perf_counter() - start)


def first_batch(path: str, threads: int) -> float:
    """Seconds from the first call to the first batch; TensorFlow is imported."""
    import tensorflow as tf

    tf.constant(0)
    start = time.perf_counter()
    next(_ours(path, threads))
    return time.perf_counter() - start


def stretch(path: str, threads: int) -> float:
    """Megabytes that the process grows by at most over some batches."""
    import tensorflow as tf

    from benchmarks.memory import added_by

    tf.constant(0)

    def run() -> None:
        for batch in islice(_ours(path, threads), STRETCH):
            del batch

    return added_by(run) / 1e6


MEASURES: dict[str, tuple[str, Callable[[str, int], float]]] = {
    "patches/s, tf_patches": ("tissue", lambda *how: rate(_ours, *how)),
    "patches/s, read_region per patch": (
        "tissue",
        lambda *how: rate(_read_region, *how),
    ),
    "s to the first batch": ("large", first_batch),
    f"MB over {STRETCH} batches": ("large", stretch),
}


def _measure(name: str, path: str, threads: int) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    print(json.dumps(MEASURES[name][1](path, threads)))


def _measured(name: str, path: Path, threads: int) -> float:
    command = [sys.executable, "-m", "benchmarks.slides", name, str(path)]
    done = subprocess.run(
        [*command, str(threads)], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measures everything in turns, so that all have the same load."""
    rounds = 3
    found: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = make_slides(Path(folder))
        for _ in range(rounds):
            for threads in (1, 2):
                for name, (slide, _) in MEASURES.items():
                    value = _measured(name, paths[slide], threads)
                    found.setdefault((name, threads), []).append(value)
    tissue, large = ("x".join(map(str, shape)) for shape in (TISSUE, LARGE))
    print(
        f"{SIZE}x{SIZE} every {STRIDE}; {CODEC} tiles of {TILE}x{TILE}; slides of "
        f"{tissue} and {large} pixels; medians of {rounds} processes; load at the end "
        f"{os.getloadavg()[0]:.1f}.\n"
    )
    print("| | 1 thread | 2 threads |\n| --- | --- | --- |")
    for name in MEASURES:
        cells = [f"{median(found[name, threads]):.3g}" for threads in (1, 2)]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    else:
        main()
