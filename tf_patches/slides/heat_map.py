"""A score for each patch of a slide, laid out over the slide."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_patches.slides.grid import Grid, blocks_of, read_count
from tf_patches.slides.job import Job
from tf_patches.slides.models import (
    load_model,
    predict_padded,
    read_model,
    try_model,
    weights_digest,
)
from tf_patches.slides.outputs import runs
from tf_patches.slides.progress import progress_bar
from tf_patches.slides.service import find_dispatcher, served
from tf_patches.slides.slide import Slide, open_slide
from tf_patches.typing import (
    Array,
    FilePath,
    Integers,
    Mask,
    Model,
    SlideMode,
    SlidePadding,
)


class HeatMap(NamedTuple):
    """Scores of patches, and where the patches lie.

    Attributes:
      scores: `[rows, cols, …]`: a score, or several, for each patch of the grid; NaN
        where no patch was wanted. An array in memory, or one whose values are in a
        file.
      slide: The slide.
      grid: Where the patches lie, and at which resolution.
    """

    scores: Any
    slide: Slide
    grid: Grid


def score(
    slide: Slide | FilePath | Array,
    model: Model,
    size: Integers,
    stride: Integers | None = None,
    *,
    batch_size: int = 32,
    output: FilePath | None = None,
    resume: bool = False,
    service: str | None = None,
    progress: bool = True,
    padding: SlidePadding = "VALID",
    mode: SlideMode = "CONSTANT",
    mask: Mask | None = None,
    min_mask_ratio: float = 0.1,
    level: int | None = None,
    mpp: float | None = None,
    power: float | None = None,
    parallel_reads: int = 2,
) -> HeatMap:
    """Runs a model on the patches of a slide and lays its scores out as a heat map.

    Every batch that the model sees has `batch_size` patches of one block of the slide,
    so scores do not depend on what else is scored, on interruptions or on machines.

    Args:
      slide: A `Slide`, or what `open` takes.
      model: A Keras model, a SavedModel, the path of either, or a function. It takes a
        batch of patches `[batch_size, rows, cols, depth]` with numbers from 0 to 255,
        and gives a result for each.
      size: As for `Slide.patches`.
      stride: As for `Slide.patches`.
      batch_size: How many patches the model sees at a time.
      output: A `.npy` or `.zarr` file for the scores; by default they are in memory.
      resume: Whether to go on with an `output` that the same request began. A model is
        the same if its weights are; functions are not compared. A finished `output` of
        the same request is returned as it is.
      service: The address of a dispatcher of tf.data service, "grpc://HOST:PORT", that
        `python -m tf_patches slide-dispatcher` started: its workers, `slide-worker`,
        read the slide.
      progress: Whether to show a bar with patches a second and the time left.
      padding: As for `Slide.patches`, as are all that follow.
      mode: What patches show outside of the slide.
      mask: Which patches are wanted.
      min_mask_ratio: How much of a patch must lie under the mask.
      level: The level.
      mpp: Micrometres a pixel.
      power: The objective's power.
      parallel_reads: How many blocks are read at a time.

    Returns:
      A `HeatMap`.

    Raises:
      tf.errors.InvalidArgumentError: If an argument cannot be, or the model's result
        is not one for each patch.
      tf.errors.NotFoundError, tf.errors.DataLossError: If the slide has vanished or is
        damaged. What was scored before is kept in `output`.
    """
    batch_size = read_count(batch_size, "batch_size")
    parallel_reads = read_count(parallel_reads, "parallel_reads")
    if service is not None:
        find_dispatcher(service)
    slide = open_slide(slide)
    grid = slide.grid(
        size,
        stride,
        padding=padding,
        mode=mode,
        mask=mask,
        min_mask_ratio=min_mask_ratio,
        level=level,
        mpp=mpp,
        power=power,
    )
    model = load_model(model)
    predict = read_model(model)
    sample = try_model(predict, grid.view.source, grid.sizes, batch_size)
    shape = [*grid.counts, *sample.shape]
    dtype = sample.dtype if sample.dtype.kind in "fc" else np.dtype(np.float32)
    request = {
        "slide": slide.identity(),
        "model": weights_digest(model),
        "grid": grid.fingerprint(),
        "batch_size": batch_size,
        "scores": shape,
        "dtype": dtype.name,
    }
    job = Job(output, shape, dtype, np.nan, request, resume)
    if job.is_finished:
        return HeatMap(job.finish(), slide, grid)
    with contextlib.closing(job):
        blocks = _blocks(grid, job.done, service, parallel_reads)
        with progress_bar(grid.patch_count, progress) as advance:
            for number in job.done:
                begin, end = grid.begins[number : number + 2].tolist()
                advance(end - begin, is_new=False)
            for number, block in blocks:
                scores = predict_padded(predict, block["patches"], batch_size)
                for row, col, which in runs(block["cell"].numpy()):
                    job.output.write(row, col, scores[which][np.newaxis])
                job.mark(number)
                advance(len(scores))
        return HeatMap(job.finish(), slide, grid)


def _blocks(
    grid: Grid, done: set[int], service: str | None, parallel_reads: int
) -> Iterator[tuple[int, dict[str, tf.Tensor]]]:
    """The blocks that are not done, each with its number, and each once."""
    wanted = [n for n in range(grid.block_count) if n not in done]
    if service is not None:
        yield from served(grid, wanted, service)
        return
    data = blocks_of(grid, wanted, parallel_reads).prefetch(1)
    yield from zip(wanted, data, strict=True)
