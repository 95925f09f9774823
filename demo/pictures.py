"""The pictures that the demo draws: figures of square panels side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

INK, SOFT_INK = "#1f2328", "#656d76"
SCORE_COLOURS = colormaps["inferno"]
PATCH_COLOURS = colormaps["hsv"]
PANEL, GAP, MARGIN, HEADING, BAR = 3.8, 0.25, 0.15, 0.62, 0.85  # inches
CHOSEN_ACROSS = 4


@dataclass(frozen=True)
class ScoredSlide:
    """A square slide with the score of each of its patches.

    Attributes:
      picture: The slide to look at, of any resolution.
      pixels: The rows, and cols, of the slide that was scored.
      size: The rows, and cols, of a patch.
      stride: The pixels from one patch to the next.
      scores: From 0 to 1, `[rows, cols]`, of the patches with padding SAME.
    """

    picture: np.ndarray
    pixels: int
    size: int
    stride: int
    scores: np.ndarray

    @property
    def extent(self) -> tuple[int, int, int, int]:
        """Where to draw it: left, right, bottom, top."""
        return _extent(0, 0, self.pixels)

    def corner(self, index: int) -> int:
        """The first row, or col, of a patch."""
        covered = (len(self.scores) - 1) * self.stride + self.size
        return index * self.stride - (covered - self.pixels) // 2


def patches_figure(picture: np.ndarray, patches: np.ndarray) -> Figure:
    """A picture with a grid on it, and beside it the patches that the grid cuts."""
    rows, cols, size = patches.shape[:3]
    figure, (left, right) = _panels(2)
    _show(left, picture, "A picture", f"{_by(*picture.shape[:2])} pixels")
    _draw_grid(left, size, rows, cols)
    _show(
        right,
        _contact_sheet(patches, gap=size // 8),
        "Its patches",
        f"{_by(rows, cols)} of {_by(size, size)} pixels",
    )
    return figure


def random_patches_figure(
    picture: np.ndarray, patches: np.ndarray, masks: np.ndarray, positions: np.ndarray
) -> Figure:
    """A picture, and random patches of it and of its mask.

    Args:
      picture: The picture.
      patches: `[count, size, size, 3]`.
      masks: `[count, size, size, 1]`, 1 or 0.
      positions: The first row and col of each patch, `[count, 2]`.
    """
    size = patches.shape[1]
    gap = size // 6
    figure, (left, middle, right) = _panels(3)
    _show(left, picture, "A picture", f"{len(patches)} patches at random places")
    note = f"{_by(size, size)} pixels; half show vessels in the middle"
    _show(middle, _contact_sheet(_square(patches), gap), "Its patches, flipped", note)
    white = np.repeat(masks * np.uint8(255), 3, axis=-1)
    note = "the same places, the same flips"
    _show(right, _contact_sheet(_square(white), gap), "Their vessels", note)
    for i, (row, col) in enumerate(positions):
        colour = PATCH_COLOURS(i / len(positions))
        _draw_frame(left, (col, row), size, color=colour, linewidth=1.6)
        down, across = divmod(i, CHOSEN_ACROSS)
        corner = across * (size + gap), down * (size + gap)
        for sheet in (middle, right):
            _draw_frame(sheet, corner, size, color=colour, linewidth=2.2)
    return figure


def tiles_figure(
    picture: np.ndarray,
    found: Mapping[str, np.ndarray],
    corner: tuple[int, int],
    size: int,
    tile_size: int,
) -> Figure:
    """A square part of a picture, and what a model made of it in tiles.

    Args:
      picture: The picture.
      found: What the model made of it, `[rows, cols, 1]` from 0 to 1, by the way in
        which the tiles were put together.
      corner: The first row and col of the part.
      size: The rows, and cols, of the part.
      tile_size: The rows, and cols, of a tile.
    """
    (top, left), extent = corner, _extent(*corner, size)
    part = slice(top, top + size), slice(left, left + size)
    figure, (first, *others) = _panels(1 + len(found))
    note = f"{_by(size, size)} pixels of {_by(*picture.shape[:2])}"
    _show(first, picture[part], "A picture", note, extent=extent)
    first.autoscale(False)
    _draw_grid(first, tile_size, *(n // tile_size + 1 for n in picture.shape[:2]))
    for axes, (way, values) in zip(others, found.items(), strict=True):
        _show(
            axes,
            values[part],
            f"Tiles {way}",
            "vessels that a small CNN finds",
            extent=extent,
            cmap=SCORE_COLOURS,
            vmin=0,
            vmax=1,
        )
    return figure


def slide_figure(
    slide: ScoredSlide, places: Sequence[tuple[int, int]], patches: np.ndarray
) -> Figure:
    """A slide, some of its patches, and its heat map.

    Args:
      slide: The slide.
      places: The row and col of those patches.
      patches: The patches, `[count, size, size, depth]`.
    """
    figure, (left, middle, right) = _panels(3, with_bar=True)
    _show_slide(left, slide)
    gap = slide.size // 6
    _show(
        middle,
        _contact_sheet(_square(patches), gap),
        "Some of its patches",
        "framed in the colour of their scores",
    )
    for i, (row, col) in enumerate(places):
        colour = SCORE_COLOURS(slide.scores[row, col])
        corner = slide.corner(col), slide.corner(row)
        _draw_frame(left, corner, slide.size, color="white", linewidth=2.6)
        _draw_frame(left, corner, slide.size, color=colour, linewidth=1.4)
        down, across = divmod(i, CHOSEN_ACROSS)
        corner = across * (slide.size + gap), down * (slide.size + gap)
        _draw_frame(middle, corner, slide.size, color=colour, linewidth=2.2)
    _show_heat_map(right, slide)
    return figure


def places_to_show(scores: np.ndarray) -> list[tuple[int, int]]:
    """The row and col of patches from low score to high, apart from each other."""
    rows, cols = np.indices(scores.shape)
    # Those at the border have black beyond it.
    free = np.zeros(scores.shape, bool)
    free[1:-1, 1:-1] = True
    places = []
    for target in np.linspace(scores.min(), scores.max(), CHOSEN_ACROSS**2):
        distance = np.where(free, np.abs(scores - target), np.inf)
        row, col = np.unravel_index(distance.argmin(), scores.shape)
        places.append((int(row), int(col)))
        free &= (np.abs(rows - row) > 2) | (np.abs(cols - col) > 2)
    return places


def save(figure: Figure, path: Path, dots_per_inch: int = 160) -> Path:
    """Writes a figure as PNG."""
    figure.savefig(path, dpi=dots_per_inch)
    return path


def save_small(figure: Figure, path: Path) -> Path:
    """Writes a figure as a PNG of 256 colours, which a web page loads quickly."""
    save(figure, path, dots_per_inch=100)
    picture = Image.open(path).convert("RGB")
    # The colours that suit the picture best: a bar of colours stays smooth.
    picture.quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=3).save(
        path, optimize=True
    )
    return path


def _panels(count: int, with_bar: bool = False) -> tuple[Figure, list[Axes]]:
    width = 2 * MARGIN + count * PANEL + (count - 1) * GAP + with_bar * BAR
    height = HEADING + PANEL + MARGIN
    figure = Figure(figsize=(width, height))
    lefts = [(MARGIN + i * (PANEL + GAP)) / width for i in range(count)]
    size = PANEL / width, PANEL / height
    return figure, [figure.add_axes((left, MARGIN / height, *size)) for left in lefts]


def _show(axes: Axes, picture: np.ndarray, title: str, note: str, **how: Any) -> None:
    """Shows a picture under a title and a note."""
    axes.imshow(picture, **how)
    axes.set_axis_off()
    lines = (title, 22, 13, INK), (note, 7, 10, SOFT_INK)
    for text, points_above, fontsize, color in lines:
        axes.annotate(
            text,
            xy=(0, 1),
            xycoords="axes fraction",
            xytext=(0, points_above),
            textcoords="offset points",
            fontsize=fontsize,
            color=color,
        )


def _show_slide(axes: Axes, slide: ScoredSlide) -> None:
    _show(
        axes,
        slide.picture,
        f"A slide, enlarged to {_by(slide.pixels, slide.pixels)}",
        f"{_by(slide.size, slide.size)} patches, one every {slide.stride} pixels",
        extent=slide.extent,
    )
    _draw_grid(axes, slide.stride, *slide.scores.shape, linewidth=0.3, alpha=0.5)


def _show_heat_map(axes: Axes, slide: ScoredSlide) -> None:
    _show(
        axes,
        slide.picture.mean(-1),
        f"Its heat map, {_by(*slide.scores.shape)}",
        "scores of a small CNN, trained on the lower half",
        extent=slide.extent,
        cmap="gray",
    )
    axes.imshow(
        slide.scores,
        cmap=SCORE_COLOURS,
        vmin=0,
        vmax=1,
        alpha=0.65,
        extent=slide.extent,
    )
    box, width = axes.get_position(), axes.figure.get_figwidth()
    bar_axes = axes.figure.add_axes(
        (box.x1 + 0.14 / width, box.y0, 0.13 / width, box.height)
    )
    bar = axes.figure.colorbar(ScalarMappable(cmap=SCORE_COLOURS), cax=bar_axes)
    bar.set_label("stained part of a patch", color=SOFT_INK, fontsize=10)
    bar.outline.set_visible(False)
    bar_axes.tick_params(length=0, labelsize=9, labelcolor=SOFT_INK)


def _draw_grid(
    axes: Axes,
    stride: int,
    rows: int,
    cols: int,
    linewidth: float = 0.8,
    alpha: float = 0.9,
) -> None:
    lines = {"color": "white", "linewidth": linewidth, "alpha": alpha}
    for row in range(1, rows):
        axes.axhline(row * stride, **lines)
    for col in range(1, cols):
        axes.axvline(col * stride, **lines)


def _draw_frame(axes: Axes, corner: tuple[int, int], size: int, **line: Any) -> None:
    axes.add_patch(Rectangle(corner, size, size, fill=False, clip_on=False, **line))


def _extent(top: int, left: int, size: int) -> tuple[int, int, int, int]:
    """Where to draw a square: left, right, bottom, top."""
    return left, left + size, top + size, top


def _square(pictures: np.ndarray) -> np.ndarray:
    """As many pictures down as across."""
    return pictures.reshape(CHOSEN_ACROSS, CHOSEN_ACROSS, *pictures.shape[1:])


def _contact_sheet(pictures: np.ndarray, gap: int) -> np.ndarray:
    """Lays `[rows, cols, size, size, depth]` pictures out on white, a gap apart."""
    gaps = [(0, 0), (0, 0), (0, gap), (0, gap), (0, 0)]
    apart = np.pad(pictures, gaps, constant_values=255)
    rows, cols, height, width, depth = apart.shape
    sheet = apart.swapaxes(1, 2).reshape(rows * height, cols * width, depth)
    return sheet[:-gap, :-gap]


def _by(*lengths: int) -> str:
    return " \N{MULTIPLICATION SIGN} ".join(map(str, lengths))
