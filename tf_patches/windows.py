"""Windows that weight overlapping tiles, with a factor for each axis.

The weight of a pixel is the product of its factors. Known starts of tiles give factors
of NumPy, unknown starts give tensors.
"""

from types import ModuleType
from typing import Any

import numpy as np
import tensorflow as tf


def array_module(array: Any) -> ModuleType:
    """NumPy, or TensorFlow's NumPy for a tensor."""
    return tf.experimental.numpy if tf.is_tensor(array) else np


def gaussian(size: int) -> np.ndarray:
    """exp(-x² / 2 (size / 8)²), x pixels from the middle, but at least 0.001.

    MONAI's `compute_importance_map`, with its `sigma_scale` of 0.125. MONAI limits the
    product of the factors from below, this function each factor.
    """
    x = np.arange(size) - (size - 1) / 2
    return np.maximum(np.exp(-(x**2) / (2 * (0.125 * size) ** 2)), 1e-3)


def hann(size: int) -> np.ndarray:
    """½ (1 - cos(2π (i + 1) / (size + 1))): Hann's window without its zeros.

    TorchIO's `GridAggregator` has the same.
    """
    return np.sin(np.pi * np.arange(1, size + 1) / (size + 1)) ** 2


def linear(size: int) -> np.ndarray:
    """min(i + 1, size - i): Bartlett's window without its zeros."""
    i = np.arange(size)
    return np.minimum(i + 1.0, size - i)


def cosine(starts: Any, size: int) -> Any:
    """sin²(π (i + ½) / 2o) over the o pixels that two neighbours share, else 1.

    The factors of two neighbours add up to 1 if no third tile lies there.

    Returns:
      The factors of the tiles that begin at `starts`, `[count, size]`.
    """
    lib = array_module(starts)
    shared = starts[:-1] + size - starts[1:]
    none = starts[:1] * 0  # nothing at both ends; empty if there are no tiles
    i = np.arange(size)
    rise = _rise(i, lib.concatenate([none, shared])[:, None])
    fall = _rise(size - 1 - i, lib.concatenate([shared, none])[:, None])
    return rise * fall


def _rise(i: np.ndarray, pixels: Any) -> Any:
    """From nearly 0 at i = 0 to 1 at i = `pixels`."""
    lib = array_module(pixels)
    rising = lib.sin(np.pi / 2 * (i + 0.5) / lib.maximum(pixels, 1)) ** 2
    return lib.where(i < pixels, rising, 1.0)


def crop(starts: Any, size: int) -> Any:
    """1 for pixels that are nearer to this tile's middle than to any other's, else 0.

    So each pixel belongs to one tile. This is also called overlap-tile (Ronneberger et
    al., U-Net, 2015).

    Returns:
      The factors of the tiles that begin at `starts`, `[count, size]`.
    """
    lib = array_module(starts)
    borders = (starts[:-1] + starts[1:] + size) // 2
    begins = lib.concatenate([starts[:1], borders])[:, None]
    ends = lib.concatenate([borders, starts[-1:] + size])[:, None]
    pixels = starts[:, None] + np.arange(size)
    return lib.where((begins <= pixels) & (pixels < ends), 1.0, 0.0)
