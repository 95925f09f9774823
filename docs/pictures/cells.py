"""Pixels drawn as cells, legible on a white page and on a black one."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

INK = "#7d8794"
COLOURS = "#2f81c7", "#d2691e", "#2e9d62", "#a05bc7", "#b8861c", "#c94f6d"
_GAP = 0.07

matplotlib.rcParams.update(
    {
        "svg.fonttype": "none",  # letters stay letters: small, and found by a search
        "svg.hashsalt": "tf_patches",  # the same file on every run
        "font.family": "sans-serif",
        "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans"],
        "text.color": INK,
    }
)


def panels(
    across: int, cols: float, rows: float, inches: float = 0.3
) -> tuple[Figure, list[Axes]]:
    """Panels side by side, in each of which a cell is 1 wide and 1 high.

    Args:
      across: How many panels.
      cols: The cells across a panel.
      rows: The cells down a panel; row 0 is at the top.
      inches: The side of a cell.
    """
    figure = Figure(figsize=(across * cols * inches, rows * inches))
    every = []
    for i in range(across):
        axes = figure.add_axes((i / across, 0, 1 / across, 1))
        axes.set(xlim=(0, cols), ylim=(rows, 0))
        axes.set_axis_off()
        every.append(axes)
    return figure, every


def cell(
    axes: Axes, col: float, row: float, text: object = "", colour: str | None = None
) -> None:
    """A pixel: filled with a colour, or hollow."""
    corner, side = (col + _GAP, row + _GAP), 1 - 2 * _GAP
    look = {"color": colour} if colour else {"edgecolor": INK, "facecolor": "none"}
    axes.add_patch(Rectangle(corner, side, side, linewidth=0.8, **look))
    write(axes, col + 0.5, row + 0.52, text, 8.5, "white" if colour else INK, "center")


def cells(
    axes: Axes,
    col: float,
    row: float,
    texts: Sequence[object],
    colours: Sequence[str | None] | str | None = None,
) -> None:
    """Pixels in a row."""
    if colours is None or isinstance(colours, str):
        colours = [colours] * len(texts)
    for i, (text, colour) in enumerate(zip(texts, colours, strict=True)):
        cell(axes, col + i, row, text, colour)


def shade(axes: Axes, cols: np.ndarray, rows: np.ndarray, colour: str) -> None:
    """The pixels of a patch in an image, and a frame around all of them."""
    for col, row in zip(cols, rows, strict=True):
        side = 1 - 2 * _GAP
        corner = col + _GAP, row + _GAP
        axes.add_patch(Rectangle(corner, side, side, color=colour, alpha=0.6, lw=0))
    frame(axes, cols.min(), rows.min(), np.ptp(cols) + 1, np.ptp(rows) + 1, colour)


def frame(
    axes: Axes, col: float, row: float, cols: float, rows: float, colour: str
) -> None:
    """A line around pixels."""
    look = {"fill": False, "edgecolor": colour, "linewidth": 2, "joinstyle": "round"}
    axes.add_patch(Rectangle((col, row), cols, rows, **look))


def write(
    axes: Axes,
    col: float,
    row: float,
    text: object,
    size: float = 10,
    colour: str = INK,
    align: str = "left",
    weight: str = "normal",
) -> None:
    """Text, whose middle lies at a row."""
    look = {"color": colour, "ha": align, "va": "center", "weight": weight}
    axes.text(col, row, str(text), fontsize=size, **look)
