"""Slides made by tifffile, lossless, so that every pixel of every level is known."""

import zlib

import numpy as np
import tifffile

_MICROMETRES = 10_000  # in a centimetre


def stained(rows, cols, seed=0):
    """Tissue, pink and noisy, in the middle of a slide that is nearly white."""
    random = np.random.default_rng(seed)
    image = random.integers(235, 250, [rows, cols, 1]).repeat(3, axis=2)
    row, col = np.mgrid[:rows, :cols]
    is_tissue = ((row / rows - 0.5) / 0.3) ** 2 + ((col / cols - 0.4) / 0.25) ** 2 < 1
    noise = random.integers(-25, 25, [rows, cols, 3])
    image[is_tissue] = (np.array([190, 90, 150]) + noise)[is_tissue]
    return image.astype(np.uint8)


def pyramid(image, *downsamples):
    """The image, and levels of every so many of its pixels."""
    return [image, *(image[::n, ::n].copy() for n in downsamples)]


def write_slide(path, levels, mpp=0.5, tile=64, **options):
    """Writes the arrays of levels as a tiled TIFF; returns the path as a str."""
    _write(path, [(level, level.shape) for level in levels], mpp, tile, options)
    return str(path)


def write_large(path, side, downsamples=(8, 64), tile=1024):
    """A slide larger than memory, made of one tile; returns the tile.

    Each level repeats the tile, which is coarse, so that a few kilobytes hold it.
    """
    pixels = stained(32, 32).repeat(tile // 32, 0).repeat(tile // 32, 1)
    encoded = zlib.compress(pixels.tobytes(), 9)
    shapes = [(-(-side // n), -(-side // n), 3) for n in (1, *downsamples)]
    counts = [(-(-shape[0] // tile)) ** 2 for shape in shapes]
    tiles = [(encoded for _ in range(count)) for count in counts]
    options = {"dtype": np.uint8, "bigtiff": True}
    _write(path, zip(tiles, shapes, strict=True), 0.25, tile, options)
    return pixels


def _write(path, levels, mpp, tile, options):
    resolution = _MICROMETRES / mpp
    with tifffile.TiffWriter(path, bigtiff=options.pop("bigtiff", False)) as file:
        for number, (pixels, shape) in enumerate(levels):
            file.write(
                pixels,
                shape=shape,
                tile=(tile, tile),
                photometric="rgb",
                compression="zlib",
                resolution=(resolution, resolution),
                resolutionunit="CENTIMETER",
                metadata=None,
                subfiletype=int(number > 0),
                **options,
            )


def cells_of(grid):
    """All wanted cells of a grid, `[count, 2]`, in the order of its patches."""
    blocks = [grid.cells(number) for number in range(grid.block_count)]
    return np.concatenate([np.zeros([0, 2], np.int64), *blocks])


def damaged(whole, seed):
    """The bytes of a slide: without their end, or with some bits flipped."""
    random = np.random.default_rng(seed)
    data = bytearray(whole)
    if seed % 4 == 0:
        del data[random.integers(len(whole)) :]
        return data
    # Every second time near the end, where tifffile writes less of pixels.
    first = len(whole) - 1500 if seed % 2 else 0
    for place in random.integers(first, len(whole), 1 + seed % 5):
        data[place] ^= 1 << random.integers(8)
    return data


def read_levels(slide):
    """Reads a part of each level, also outside of the slide."""
    for number, level in enumerate(slide.levels):
        rows, cols = min(level.rows, 300), min(level.cols, 300)
        slide.read(-5, -5, rows, cols, level=number)
