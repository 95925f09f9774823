"""Where the tissue of a slide is, and how much of it lies under a patch."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tf_patches.arguments import invalid


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
    mask: np.ndarray,
    starts: tuple[np.ndarray, np.ndarray],
    sizes: tuple[int, int],
    size: tuple[int, int],
) -> np.ndarray:
    """The part of each patch that is under the mask, 0 to 1, `[rows, cols]`.

    Patches of `sizes` begin at the rows and cols `starts` of a slide of `size`. What
    lies outside of the slide is no tissue. A patch over nothing has exactly 0.
    """
    covered = mask.astype(np.float64)
    for axis, begins in enumerate(starts):
        covered = np.moveaxis(covered, axis, 0)
        before_end, before_begin = (
            _sum_before(covered, np.clip(pixels, 0, size[axis]), size[axis])
            for pixels in (begins + sizes[axis], begins)
        )
        whole = sizes[axis] * mask.shape[axis] / size[axis]
        covered = np.moveaxis((before_end - before_begin) / whole, 0, axis)
    return np.minimum(covered, 1.0)


def _sum_before(values: np.ndarray, pixels: np.ndarray, size: int) -> np.ndarray:
    """The sum of the values before pixels, of `size` pixels that the values cover."""
    index, rest = np.divmod(pixels * len(values), size)
    part = (rest / size).reshape(-1, *[1] * (values.ndim - 1))
    sums = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, 0)])
    ends = np.concatenate([values, values[:1]])  # nothing of the added one is counted
    return sums[index] + part * ends[index]
