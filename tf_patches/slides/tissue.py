"""Where the tissue of a slide is, and how much of it lies under a patch."""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np

from tf_patches.arguments import invalid

Mask: TypeAlias = Literal["otsu"] | np.ndarray | Callable[[np.ndarray], Any] | None


def otsu_threshold(values: np.ndarray) -> float:
    """The threshold that parts bytes in two classes that differ most (Otsu, 1979)."""
    counts = np.bincount(values.ravel(), minlength=256).astype(np.float64)
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * np.arange(256))
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(np.argmax(np.nan_to_num(between)))


def tissue_by_color(thumbnail: np.ndarray) -> np.ndarray:
    """Tissue is stained: its colors differ more from grey than Otsu's threshold."""
    colors = thumbnail[..., :3].astype(np.int16)
    saturation = (colors.max(-1) - colors.min(-1)).astype(np.uint8)
    return saturation > otsu_threshold(saturation)


def read_mask(mask: Any, thumbnail: Callable[[], np.ndarray]) -> np.ndarray | None:
    """A mask as bools over the whole slide, `[rows, cols]` of any size."""
    if mask is None:
        return None
    if isinstance(mask, str):
        if mask.lower() != "otsu":
            invalid(f"mask must be 'otsu', an array or a function, but got {mask!r}.")
        return tissue_by_color(thumbnail())
    array = np.asarray(mask(thumbnail()) if callable(mask) else mask)
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "biuf":
        invalid(
            "mask must be an array [rows, cols] of bools or numbers that covers the "
            f"whole slide, at any size, but got {array.dtype} of shape "
            f"{list(array.shape)}."
        )
    return array != 0


def covered_ratio(
    mask: np.ndarray, begin: np.ndarray, sizes: tuple[int, int], size: tuple[int, int]
) -> np.ndarray:
    """The part of each patch that is under the mask, 0 to 1.

    Patches of `sizes` begin at pixels `begin`, `[count, 2]`, of a slide of `size`. What
    lies outside of the slide is no tissue.
    """
    scale = np.array(mask.shape) / np.array(size)
    (top, left), (bottom, right) = (
        np.clip(corner * scale, 0, mask.shape).T
        for corner in (begin, begin + np.array(sizes))
    )
    areas = np.pad(mask.astype(np.float64), [(1, 0), (1, 0)]).cumsum(0).cumsum(1)

    def area(rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        """The mask's area above and left of points, between whole pixels too."""
        row = np.minimum(rows.astype(np.int64), mask.shape[0] - 1)
        col = np.minimum(cols.astype(np.int64), mask.shape[1] - 1)
        down, across = rows - row, cols - col
        above = areas[row, col] * (1 - across) + areas[row, col + 1] * across
        below = areas[row + 1, col] * (1 - across) + areas[row + 1, col + 1] * across
        return above * (1 - down) + below * down

    inside = (
        area(bottom, right) - area(top, right) - area(bottom, left) + area(top, left)
    )
    return np.clip(inside / np.prod(np.array(sizes) * scale), 0.0, 1.0)
