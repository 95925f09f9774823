"""Predictions for the pixels of a slide, merged of overlapping tiles as they come."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_patches.arguments import invalid
from tf_patches.dispatch import not_converted
from tf_patches.slides.grid import (
    Grid,
    blocks_of,
    make_rows,
    over_mask,
    pair,
    tile_starts,
)
from tf_patches.slides.job import Job
from tf_patches.slides.merging import Merging, Piece
from tf_patches.slides.models import (
    Predict,
    load_model,
    predict_padded,
    read_model,
    try_model,
    weights_digest,
)
from tf_patches.slides.progress import Advance, progress_bar
from tf_patches.slides.resolution import View
from tf_patches.slides.slide import Slide, open_slide
from tf_patches.slides.tissue import read_mask
from tf_patches.tiling import Tiling
from tf_patches.typing import (
    Array,
    Blend,
    FilePath,
    Integers,
    Mask,
    Model,
    Reduce,
    Remainder,
    SlideMode,
    TensorLike,
)


def predict(
    slide: Slide | FilePath | Array,
    model: Model,
    tile_size: Integers,
    overlap: float | Sequence[float] = 0.25,
    *,
    blend: Blend | TensorLike = "gaussian",
    reduce: Reduce | None = None,
    batch_size: int = 8,
    output: FilePath | None = None,
    resume: bool = False,
    progress: bool = True,
    remainder: Remainder = "shift",
    mode: SlideMode = "REFLECT",
    mask: Mask | None = None,
    min_mask_ratio: float = 0.0,
    level: int | None = None,
    mpp: float | None = None,
    power: float | None = None,
    parallel_reads: int = 2,
) -> Any:
    """Runs a model on overlapping tiles of a slide and merges what it makes of them.

    The result has the bits that `Tiling` gives in memory: `cut`, the model on batches
    of `batch_size` tiles, `merge`. But rows of the result are written as soon as no
    later tile reaches them, and memory holds what the tiles of a row share with the
    next row: as much for a slide of any height.

    Args:
      slide: A `Slide`, or what `open` takes.
      model: A Keras model, a SavedModel, the path of either, or a function. It takes a
        batch of tiles `[batch_size, *tile_size, depth]` with numbers from 0 to 255, and
        gives `[batch_size, rows, cols, channels]`. Its rows and cols may be of another
        scale than those of `tile_size`; then the result is too, and where the scale
        does not divide the slide, `mode` says what lies beyond.
      tile_size: As for `Tiling`: an int, or `[rows, cols]`.
      overlap: As for `Tiling`: what neighbours share, a fraction or pixels.
      blend: As for `Tiling.merge`: how tiles are weighted where they overlap.
      reduce: What is kept of the channels of a pixel: None for all; "argmax" for the
        number of the largest, uint8 or, of more than 256 channels, int32; or a function
        of `[rows, cols, channels]` that treats each pixel by itself and gives
        `[rows, cols]` or `[rows, cols, …]`.
      batch_size: How many tiles the model sees at a time. The last batch is filled up.
      output: A file for the result, `.npy`, `.zarr`, or `.tif`: a tiled TIFF with
        smaller levels, means or, of integers, every second pixel. By default the result
        is in memory.
      resume: Whether to go on with an `output` that the same request began. A model is
        the same if its weights are; functions are not compared. The result has the same
        bits as without the interruption. A finished `output` of the same request is
        returned as it is.
      progress: Whether to show a bar with tiles a second and the time left.
      remainder: As for `Tiling`: what happens where the last tile does not end with the
        slide.
      mode: What tiles show outside of the slide: "CONSTANT", for the slide's
        background, "REFLECT", "SYMMETRIC" or "EDGE".
      mask: As for `Slide.patches`: where predictions are wanted. Other tiles are not
        predicted, and pixels under none are 0, as in `Tiling.merge`.
      min_mask_ratio: How much of a tile must lie under the mask; by default anything.
      level: As for `Slide.patches`, as are all that follow.
      mpp: Micrometres a pixel.
      power: The objective's power.
      parallel_reads: How many parts of a row of tiles are read at a time.

    Returns:
      An array `[rows, cols, channels]`, or as `reduce` makes it, of the model's dtype
      (float32 for bfloat16); one whose values are in `output`, if that is given.

    Raises:
      tf.errors.InvalidArgumentError: If an argument cannot be, or the model's result
        does not fit. While a job is resumed: if `output` belongs to another request.
      tf.errors.NotFoundError, tf.errors.DataLossError: If the slide has vanished or is
        damaged. What was merged before is kept in `output`.

    Examples:
      >>> image = tf.random.stateless_uniform([300, 500, 3], [1, 2], 0, 256, tf.int32)
      >>> image = tf.cast(image, tf.uint8)
      >>> model = lambda tiles: tf.cast(tiles[..., :2], tf.float32)
      >>> classes = tf_patches.slides.predict(
      ...     image, model, 128, 0.5, reduce="argmax", progress=False)
      >>> classes.shape, classes.dtype
      ((300, 500), dtype('uint8'))
      >>> tf.debugging.assert_equal(classes == 1, image[..., 1] > image[..., 0])
    """
    slide = open_slide(slide)
    view = slide.view(level, mpp, power)
    tiling = Tiling(
        [view.rows, view.cols], tile_size, overlap, remainder=remainder, mode=mode
    )
    model = load_model(model)
    run = read_model(model)
    tile = _try_model(run, view, tiling, batch_size)
    tiling = _with_whole_scale(tiling, tile.shape[:2])
    merging = Merging(tiling, tile.shape, tile.dtype, blend)
    reduced = _read_reduce(reduce, tile.shape[-1])
    sample = reduced(merging.sample())
    wanted = _wanted(tiling, view, read_mask(mask, slide.thumbnail), min_mask_ratio)
    shape = [*merging.size, *sample.shape[2:]]
    request = {
        "slide": slide.identity(),
        "model": weights_digest(model),
        "tiles": make_rows(view, tiling, wanted).fingerprint(),
        "batch_size": batch_size,
        "blend": _name_of(blend),
        "reduce": _name_of(reduce),
        "result": shape,
        "dtype": sample.dtype.name,
    }
    job = Job(output, shape, sample.dtype, 0, request, resume)
    if job.is_finished:
        return job.finish()
    with contextlib.closing(job):
        band = next(n for n in itertools.count() if n not in job.done)
        todo = wanted[_first_needed(wanted, merging, band, batch_size) :]
        grid = make_rows(view, tiling, todo)
        with progress_bar(len(wanted), progress) as advance:
            advance(len(wanted) - len(todo), is_new=False)
            batches = _batches(run, grid, batch_size, parallel_reads, advance)
            for piece, pixels in _merged(merging, band, todo, batches):
                job.output.write(*piece.begin, reduced(pixels))
                if piece.is_last:
                    job.mark(piece.band)
        return job.finish(_mpp(slide, view, tiling, merging))


def _try_model(run: Predict, view: View, tiling: Tiling, batch_size: int) -> np.ndarray:
    """What the model makes of a tile."""
    tile = try_model(run, view.source, tiling.tile_size, batch_size)
    if tile.ndim != 3 or 0 in tile.shape:
        invalid(
            "model must give [batch, rows, cols, channels], none of them 0, but gave "
            f"shape {[batch_size, *tile.shape]}."
        )
    return tile


def _with_whole_scale(tiling: Tiling, sizes: Sequence[int]) -> Tiling:
    """The tiling, of an image that the scale of a model divides."""
    image_size = []
    for image, tile, size in zip(
        tiling.image_size, tiling.tile_size, sizes, strict=True
    ):
        over = tile // math.gcd(tile, size)
        image_size.append(-(-image // over) * over)
    return Tiling(
        image_size,
        tiling.tile_size,
        stride=tiling.stride,
        remainder=tiling.remainder,
        mode=tiling.mode,
    )


def _wanted(
    tiling: Tiling, view: View, mask: np.ndarray | None, min_mask_ratio: float
) -> np.ndarray:
    """The numbers of the tiles that are predicted."""
    if mask is None:
        return np.arange(tiling.count)
    space = (view.rows, view.cols)
    sizes = pair(tiling.tile_size)
    return np.flatnonzero(
        over_mask(mask, tile_starts(tiling), sizes, space, min_mask_ratio)
    )


def _first_needed(
    wanted: np.ndarray, merging: Merging, band: int, batch_size: int
) -> int:
    """Where among the wanted tiles the first batch begins that a band needs.

    Batches are the same whatever was done before: a model may make other bits of a
    tile in another batch.
    """
    if band == merging.band_count:
        return len(wanted)
    first = int(np.searchsorted(wanted, merging.first_tile_over(band)))
    return first - first % batch_size


def _batches(
    run: Predict, grid: Grid, batch_size: int, parallel_reads: int, advance: Advance
) -> Iterator[np.ndarray]:
    """What the model makes of the tiles of a grid, batch by batch."""
    data = blocks_of(grid, range(grid.block_count), parallel_reads)
    tiles_of = not_converted(lambda block: block["patches"])
    for tiles in data.map(tiles_of).rebatch(batch_size).prefetch(1):
        yield predict_padded(run, tiles, batch_size)
        advance(len(tiles))


def _merged(
    merging: Merging, band: int, numbers: np.ndarray, batches: Iterator[np.ndarray]
) -> Iterator[tuple[Piece, tf.Tensor]]:
    """The merged pixels from a band on, of batches of tiles of these numbers."""
    added = 0
    for piece in merging.pieces(band):
        while added < len(numbers) and numbers[added] < piece.ready:
            tiles = next(batches)
            merging.add(numbers[added : added + len(tiles)].tolist(), tiles)
            added += len(tiles)
        yield piece, merging.finish(piece)


def _read_reduce(reduce: Any, channels: int) -> Callable[[tf.Tensor], np.ndarray]:
    """What is kept of merged pixels, as a function to NumPy's arrays."""
    if reduce is None:
        return _to_numpy
    if callable(reduce):
        return lambda pixels: _checked(_to_numpy(reduce(pixels)), pixels)
    if not isinstance(reduce, str):
        raise TypeError(f"reduce must be 'argmax' or a function, but got {reduce!r}.")
    if reduce.lower() != "argmax":
        invalid(f"reduce must be 'argmax' or a function, but got {reduce!r}.")
    if channels == 1:
        invalid(
            "reduce='argmax' chooses among channels, but model gives only one. For "
            "numbers above a threshold: reduce=lambda pixels: pixels[..., 0] > 0.5."
        )
    dtype = np.uint8 if channels <= 256 else np.int32
    return lambda pixels: tf.argmax(pixels, -1).numpy().astype(dtype)


def _to_numpy(pixels: Any) -> np.ndarray:
    if tf.is_tensor(pixels) and pixels.dtype == tf.bfloat16:  # files do not know it
        pixels = tf.cast(pixels, tf.float32)
    return np.asarray(pixels)


def _checked(reduced: np.ndarray, pixels: tf.Tensor) -> np.ndarray:
    if reduced.shape[:2] != pixels.shape[:2]:
        invalid(
            "reduce must give [rows, cols] or [rows, cols, …] for pixels of shape "
            f"{pixels.shape.as_list()}, but gave shape {list(reduced.shape)}."
        )
    return reduced


def _name_of(option: Any) -> str:
    """What tells an option of a request from others."""
    if option is None or isinstance(option, str):
        return str(option).lower()
    if callable(option):
        return getattr(option, "__qualname__", type(option).__qualname__)
    digest = hashlib.sha256()
    for array in tf.nest.flatten(option):
        digest.update(np.asarray(array).tobytes())
    return digest.hexdigest()[:16]


def _mpp(slide: Slide, view: View, tiling: Tiling, merging: Merging) -> float | None:
    """Micrometres a pixel of the result."""
    if slide.mpp is None:
        return None
    return slide.mpp * view.downsample * tiling.image_size[1] / merging.size[1]
