"""Draws the pictures of the documentation: `python docs/pictures/draw.py [FOLDER]`.

The package itself says where pixels lie: images hold the numbers of their pixels, and
patches show them.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from cells import COLOURS, INK, cell, cells, frame, panels, shade, write
from matplotlib.figure import Figure

import tf_patches
from tf_patches import windows

HERE = Path(__file__).parent


def apart() -> Figure:
    """Patches that lie apart, of the image of TensorFlow's documentation."""
    return _grid(3, strides=5)


def overlapping() -> Figure:
    """Patches that overlap: the first three of a row."""
    return _grid(3, strides=2)


def spread() -> Figure:
    """Patches whose pixels are spread."""
    return _grid(3, strides=5, rates=2)


def _grid(sizes: int, **more: int) -> Figure:
    """An image, ten rows of ten, and some of its patches."""
    numbers = np.arange(100).reshape(1, 10, 10, 1)
    patches = tf_patches.extract_patches(numbers, sizes, **more)[0].numpy()
    rows, cols, _ = patches.shape
    figure, (axes,) = panels(1, 10.4, 13.2, inches=0.225)
    title = ", ".join(f"{name}={value}" for name, value in more.items())
    write(axes, 0.1, 0.6, f"sizes={sizes}, {title}", 10.5, weight="bold")
    write(axes, 0.1, 1.9, f"{rows} × {cols} patches", 10)
    for number in range(100):
        cell(axes, number % 10, number // 10 + 3)
    shown = patches[0, :3] if rows > 2 else patches.reshape(rows * cols, -1)
    for patch, colour in zip(shown, COLOURS, strict=False):
        row, col = np.divmod(patch, 10)
        shade(axes, col, row + 3, colour)
    return figure


def flat() -> Figure:
    """A patch of two rows, two cols and three channels, in the last axis."""
    channels = "#c9414f", "#2e9d62", "#2f81c7"
    figure, (axes,) = panels(1, 15, 9.6, inches=0.3)
    write(axes, 0, 0.5, "a patch of 2 × 2 pixels, RGB", 10.5, weight="bold")
    write(axes, 0, 6, "the same in the last axis of the result", 10.5, weight="bold")
    for number in range(4):
        row, col = divmod(number, 2)
        for left, top in (0.2 + 3.5 * col, 1.4 + 1.6 * row), (0.2 + 3.7 * number, 7):
            cells(axes, left, top, "RGB", channels)
            frame(axes, left, top, 3, 1, INK)
        write(
            axes, 1.7 + 3.7 * number, 8.7, f"row {row}, col {col}", 8.5, align="center"
        )
    return figure


def padding() -> Figure:
    """A row of ten pixels, and which patches each padding gives."""
    pixels = np.arange(1, 11).reshape(1, 10, 1)
    requests = {
        'padding="VALID"': "VALID",
        'padding="SAME"': "SAME",
        "padding=[[0, 0], [2, 0], [0, 0]]": [[0, 0], [2, 0], [0, 0]],
    }
    figure, (axes,) = panels(1, 15.2, 22.4)
    left, top = 2.6, 0.0
    for title, given in requests.items():
        patches = tf_patches.extract_patches(pixels, 4, strides=3, padding=given)
        count = patches.shape[1]
        write(axes, 0, top + 0.6, title, 10.5, weight="bold")
        write(axes, 14.9, top + 0.6, f"{count} patches", 10, align="right")
        cells(axes, left, top + 1.4, range(1, 11), INK)
        for k, patch in enumerate(patches[0].numpy()):
            tap = (patch > 0).argmax()  # the first that lies on the image
            start = patch[tap] - 1 - tap
            colours = [COLOURS[k] if value else None for value in patch]
            cells(axes, left + start, top + 2.7 + 1.1 * k, patch, colours)
        top += 3.8 + 1.1 * count
    return figure


def borders() -> Figure:
    """What lies outside of a row of four pixels in each mode."""
    wide, colours = 5, dict(zip("abcd", COLOURS, strict=False))
    letters = np.frombuffer(b"abcd", np.uint8).reshape(1, 4, 1)
    figure, (axes,) = panels(1, 19, 8.6)
    for text, middle in ("before", 2.5), ("image", 7), ("after", 11.5):
        write(axes, 4.6 + middle, 0.5, text, 10, align="center")
    for k, mode in enumerate(["CONSTANT", "REFLECT", "SYMMETRIC", "EDGE", "WRAP"]):
        whole = tf_patches.extract_patches(
            letters,
            4 + 2 * wide,
            padding=[[0, 0], [wide, wide], [0, 0]],
            mode=mode,
            constant_values=ord("0"),
        )
        texts = bytes(whole[0, 0].numpy()).decode()
        top = 1.2 + 1.5 * k
        write(axes, 0, top + 0.5, mode, 10.5, weight="bold")
        cells(axes, 4.6, top, texts, [colours.get(text) for text in texts])
        frame(axes, 4.6 + wide, top, 4, 1, INK)
    return figure


def fold() -> Figure:
    """Patches of a row of seven pixels, and what a fold makes of them."""
    pixels = np.arange(1.0, 8.0).reshape(1, 7, 1)
    patches = tf_patches.extract_patches(pixels, 3, strides=2)
    figure, (axes,) = panels(1, 15.4, 11.2)
    left = 8
    write(axes, 0, 0.8, "image", 10.5, weight="bold")
    cells(axes, left, 0.3, range(1, 8), INK)
    write(axes, 0, 2.6, "extract_patches", 10.5, weight="bold")
    write(axes, 0, 3.7, "sizes=3, strides=2", 10)
    for k, patch in enumerate(patches[0].numpy()):
        cells(
            axes, left + 2 * k, 2.1 + 1.2 * k, [f"{v:.0f}" for v in patch], COLOURS[k]
        )
    for k, reduction in enumerate(["sum", "mean"]):
        folded = tf_patches.fold_patches(
            patches, pixels.shape, 3, strides=2, reduction=reduction
        )
        write(axes, 0, 7.1 + 2.3 * k, "fold_patches", 10.5, weight="bold")
        write(axes, 0, 8.1 + 2.3 * k, f'reduction="{reduction}"', 10)
        texts = [f"{value:.0f}" for value in folded.numpy().ravel()]
        cells(axes, left, 6.8 + 2.3 * k, texts, INK)
    return figure


def remainder() -> Figure:
    """How tiles of four pixels cover eleven, with one shared by neighbours."""
    notes = {
        "shift": "the last tile moves inward",
        "spread": "all tiles move a little",
        "pad": "the last tile reaches beyond",
        "drop": "the last pixels get no tile",
    }
    figure, (axes,) = panels(1, 15.4, 30.2)
    left, top = 1, 0.0
    for name, note in notes.items():
        tiling = tf_patches.Tiling([11], 4, overlap=1, remainder=name)
        write(axes, 0, top + 0.6, f'remainder="{name}"', 10.5, weight="bold")
        write(axes, 15.2, top + 0.6, note, 10, align="right")
        cells(axes, left, top + 1.4, range(1, 12), INK)
        for k, start in enumerate(tiling.positions[:, 0]):
            row, shown = top + 2.7 + 1.05 * k, range(start + 1, start + 5)
            colours = [COLOURS[k] if pixel <= 11 else None for pixel in shown]
            texts = [pixel if pixel <= 11 else "" for pixel in shown]
            cells(axes, left + start, row, texts, colours)
        top += 3.6 + 1.05 * tiling.count
    return figure


def blends() -> Figure:
    """The weights of the pixels of the middle one of three tiles."""
    size, shared = 64, 16
    starts = np.arange(3) * (size - shared)
    weights = {
        "average": np.ones(size),
        "cosine": windows.cosine(starts, size)[1],
        "crop": windows.crop(starts, size)[1],
        "linear": windows.linear(size),
        "hann": windows.hann(size),
        "gaussian": windows.gaussian(size),
    }
    figure, every = panels(2, 10.2, 14.2, inches=0.25)
    for k, (name, values) in enumerate(weights.items()):
        axes, ground = every[k % 2], 4.2 + 4.7 * (k // 2)
        write(axes, 0.4, ground - 3.6, f'blend="{name}"', 10.5, weight="bold")
        across = np.repeat(np.arange(size + 1), 2)[1:-1] * 9.4 / size + 0.4
        height = ground - 2.7 * np.repeat(values / values.max(), 2)
        axes.fill_between(across, ground, height, color=COLOURS[k], linewidth=0)
        axes.plot([0.4, 9.8], [ground, ground], color=INK, linewidth=0.8)
    return figure


PICTURES = (apart, overlapping, spread, flat, padding, borders, fold, remainder, blends)


def main(arguments: Sequence[str]) -> None:
    """Writes every picture into a folder; by default into the one of this script."""
    folder = Path(arguments[0]) if arguments else HERE
    tf.config.set_visible_devices([], "GPU")
    for picture in PICTURES:
        path = folder / f"{picture.__name__}.svg"
        picture().savefig(path, transparent=True, metadata={"Date": None})
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
