"""Heat maps as others see them: a picture over the slide, cells for a viewer."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from tf_patches.arguments import invalid
from tf_patches.slides.heat_map import HeatMap
from tf_patches.slides.outputs import write_whole
from tf_patches.typing import TensorLike

# Colors at equal distances of matplotlib's perceptually uniform maps of these names,
# by S. van der Walt and N. Smith (CC0).
_COLORMAPS = {
    "viridis": "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 "
    "28ae80 3fbc73 5ec962 84d44b addc30 d8e219 fde725",
    "magma": "000004 0a0822 1d1147 36106b 51127c 6a1c81 832681 9c2e7f b73779 d0416f "
    "e75263 f56b5c fc8961 fea772 fec488 fde2a3 fcfdbf",
}


def overlay(
    heat_map: HeatMap,
    path: str | os.PathLike[str] | None = None,
    *,
    channel: int = -1,
    colormap: Literal["viridis", "magma"] | TensorLike = "viridis",
    limits: tuple[float, float] | None = None,
    alpha: float = 0.5,
    most: int = 1024,
) -> np.ndarray:
    """Draws scores over the slide's thumbnail.

    A score has the cell around the middle of its patch: as many pixels as from one
    patch to the next, but no more than the patch has. Where there is no score, or NaN,
    the thumbnail stays as it is.

    Args:
      heat_map: What `score` returns.
      path: A PNG file to write the picture to.
      channel: Which of several scores of a patch is drawn; by default the last.
      colormap: "viridis", "magma", or an array of colors `[count, 3]`, 0 to 255, from
        that of the lowest score to that of the highest.
      limits: The scores with the first and the last color. By default 0 and 1, if all
        scores lie between, or else the lowest and the highest.
      alpha: How much the colors hide the slide, 0 to 1.
      most: The most rows and cols of the picture.

    Returns:
      The picture, uint8 `[rows, cols, 3]`.

    Raises:
      tf.errors.InvalidArgumentError: If an argument cannot be.

    Examples:
      >>> image = tf.random.stateless_uniform([300, 500, 3], [1, 2], 0, 256, tf.int32)
      >>> image = tf.cast(image, tf.uint8)
      >>> model = lambda patches: tf.reduce_mean(tf.cast(patches, tf.float32), [1, 2])
      >>> heat_map = tf_patches.slides.score(image, model, 64, 32, progress=False)
      >>> tf_patches.slides.overlay(heat_map, most=250).shape
      (150, 250, 3)
    """
    if not 0 <= alpha <= 1:
        invalid(f"alpha must be 0 to 1, but got {alpha!r}.")
    colors = _read_colormap(colormap)
    scores = _read_channel(heat_map.scores, channel)
    low, high = _read_limits(limits, scores)
    picture = _as_rgb(heat_map.slide.thumbnail(most))
    shown = _scores_over(heat_map, scores, picture.shape[:2], most)
    is_shown = ~np.isnan(shown)
    place = (shown[is_shown] - low) / max(high - low, np.finfo(np.float64).tiny)
    steps = np.linspace(0, 1, len(colors))
    painted = np.stack([np.interp(place, steps, color) for color in colors.T], -1)
    blended = (1 - alpha) * picture[is_shown] + alpha * painted
    picture[is_shown] = np.rint(blended).astype(np.uint8)
    if path is not None:
        png = tf.io.encode_png(picture).numpy()
        write_whole(path, lambda file: file.write(png))
    return picture


def to_geojson(
    heat_map: HeatMap,
    path: str | os.PathLike[str],
    *,
    classes: Sequence[str] | None = None,
) -> None:
    """Writes the cells of a heat map as GeoJSON, as QuPath and others read it.

    Each patch with a score is a tile, a polygon in pixels of level 0, x before y: its
    cell, as `overlay` draws it, as far as it lies in the slide. Its scores are
    measurements, and the class with the highest score is its classification.

    Args:
      heat_map: What `score` returns.
      path: The file, which appears when it is whole.
      classes: Names of the scores of a patch. Without names there is no classification.

    Raises:
      tf.errors.InvalidArgumentError: If `classes` are not as many as scores.
    """
    scores = _read_scores(heat_map.scores)
    outputs = scores.shape[-1]
    if classes is not None and len(classes) != outputs:
        invalid(f"classes must be {outputs} names, as many as scores: {classes!r}.")
    names = classes or (
        ["score"] if outputs == 1 else [f"score {n}" for n in range(outputs)]
    )

    def write(file: Any) -> None:
        head = '{"type": "FeatureCollection", "features": ['
        for feature in _features(heat_map, scores, names, classes is not None):
            file.write((head + "\n" + json.dumps(feature)).encode())
            head = ","
        file.write(b"\n]}\n" if head == "," else (head + "]}\n").encode())

    write_whole(path, write)


def _features(
    heat_map: HeatMap, scores: np.ndarray, names: Sequence[str], are_classes: bool
) -> Iterator[dict[str, Any]]:
    for (row, col), (top, left, bottom, right) in _cells(heat_map):
        values = scores[row, col]
        known = {
            name: float(value)
            for name, value in zip(names, values, strict=True)
            if np.isfinite(value)
        }
        if not known:
            continue
        properties: dict[str, Any] = {"objectType": "tile", "measurements": known}
        if are_classes:
            best = max(known, key=lambda name: known[name])
            properties["classification"] = {"name": best}
        ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
        yield {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": properties,
        }


def _cell_size(heat_map: HeatMap) -> np.ndarray:
    return np.minimum(heat_map.grid.sizes, heat_map.grid.strides)


def _margin(heat_map: HeatMap) -> np.ndarray:
    """Pixels of the grid's view from where a patch begins to where its cell does."""
    return (np.array(heat_map.grid.sizes) - _cell_size(heat_map)) / 2


def _cells(heat_map: HeatMap) -> Iterator[tuple[list[int], list[float]]]:
    """Cells, each with its top, left, bottom and right in pixels of level 0."""
    grid = heat_map.grid
    rows, cols, _ = heat_map.slide.levels[0]
    for number in range(grid.block_count):
        cells = grid.cells(number)
        begins = grid.positions(cells) + _margin(heat_map)
        corners = np.stack([begins, begins + _cell_size(heat_map)], 1)
        corners = np.clip(corners * grid.view.downsample, 0, [rows, cols])
        corners = np.round(corners, 2).reshape(-1, 4)
        yield from zip(cells.tolist(), corners.tolist(), strict=True)


def _scores_over(
    heat_map: HeatMap, scores: np.ndarray, shape: Sequence[int], most: int
) -> np.ndarray:
    """For each pixel of a thumbnail the score over it, or NaN."""
    shown = np.full(shape, np.nan)
    grid = heat_map.grid
    if 0 in grid.counts:
        return shown
    first = [begins[0] for begins in grid.starts] + _margin(heat_map)
    scale = heat_map.slide.thumbnail_downsample(most) / grid.view.downsample
    pixels, cells = [], []
    for axis in (0, 1):
        middles = (np.arange(shape[axis]) + 0.5) * scale - first[axis]
        cell, place = np.divmod(middles, grid.strides[axis])
        is_in = (place < _cell_size(heat_map)[axis]) & (cell >= 0)
        is_in &= cell < grid.counts[axis]
        pixels.append(np.flatnonzero(is_in))
        cells.append(cell[is_in].astype(np.int64))
    shown[np.ix_(*pixels)] = scores[np.ix_(*cells)]
    return shown


def _as_rgb(thumbnail: np.ndarray) -> np.ndarray:
    """A thumbnail of any depth and dtype as a picture that can be drawn on."""
    if thumbnail.dtype != np.uint8:
        low, high = float(thumbnail.min()), float(thumbnail.max())
        thumbnail = np.rint((thumbnail - low) * (255 / max(high - low, 1e-12)))
    depth = thumbnail.shape[-1]
    picture = thumbnail[..., :3] if depth >= 3 else thumbnail[..., :1].repeat(3, -1)
    return picture.astype(np.uint8)


def _read_colormap(colormap: Any) -> np.ndarray:
    if isinstance(colormap, str):
        if colormap.lower() not in _COLORMAPS:
            invalid(
                f"colormap must be {', '.join(_COLORMAPS)} or an array of colors "
                f"[count, 3], but got {colormap!r}."
            )
        colors = _COLORMAPS[colormap.lower()].split()
        return np.array([list(bytes.fromhex(color)) for color in colors], np.float64)
    array = np.asarray(colormap, np.float64)
    if array.ndim != 2 or array.shape[1] != 3 or len(array) < 2:
        invalid(
            "colormap must be an array of two colors or more, [count, 3], but got "
            f"shape {list(array.shape)}."
        )
    return array


def _read_scores(scores: Any) -> np.ndarray:
    """Scores in memory, `[rows, cols, outputs]`."""
    array = np.asarray(scores[:], np.float64)
    return array.reshape(*array.shape[:2], math.prod(array.shape[2:]))


def _read_channel(scores: Any, channel: int) -> np.ndarray:
    array = _read_scores(scores)
    outputs = array.shape[2]
    if not isinstance(channel, int) or not -outputs <= channel < outputs:
        invalid(f"channel must be below {outputs}, the scores, but got {channel!r}.")
    return array[..., channel]


def _read_limits(limits: Any, scores: np.ndarray) -> tuple[float, float]:
    if limits is not None:
        low, high = limits
        if not low < high:
            invalid(f"limits must be a lower and a higher number, but got {limits!r}.")
        return low, high
    finite = scores[np.isfinite(scores)]
    if finite.size == 0 or (finite.min() >= 0 and finite.max() <= 1):
        return 0.0, 1.0
    return float(finite.min()), float(finite.max())
