"""The memory that large results leave behind, kept for the next large result."""

import ctypes
import os

from tf_patches.native import functions

_VARIABLE = "TF_PATCHES_RESULT_CACHE_MB"
_MEGABYTE = 1 << 20
_MOST_BYTES = (1 << 63) - 1


def clear_result_cache() -> int:
    """Gives the memory that is kept for large results back to the system.

    Results of 4 MB and more leave their memory to the next results, because the first
    touch of fresh memory often takes longer than filling it. Up to an eighth of the
    memory that the process may use is kept, and at most 4 GB, or as much as
    `TF_PATCHES_RESULT_CACHE_MB` in the environment says. Linux takes it back if memory
    is short. Tensors that are in use do not change.

    Returns:
      How many bytes were given back.

    Examples:
      >>> image = tf.zeros([1, 512, 512, 3])
      >>> ones = [1, 1, 1, 1]
      >>> patches = tf_patches.extract_patches(image, [1, 3, 3, 1], ones, ones, "SAME")
      >>> del patches
      >>> tf_patches.clear_result_cache() >= 512 * 512 * 27 * 4
      True
      >>> tf_patches.clear_result_cache()
      0
    """
    clear = functions.TfPatchesClearResultCache
    clear.restype = ctypes.c_int64
    return clear()


def usage() -> dict[str, int]:
    """Bytes in use by large results, kept for the next, and kept at most."""
    numbers = (ctypes.c_int64 * 3)()
    functions.TfPatchesResultCacheUsage(numbers)
    return dict(zip(("used", "kept", "limit"), numbers, strict=True))


def _set_limit() -> None:
    value = os.environ.get(_VARIABLE, "")
    if not value:
        return
    if not (value.isascii() and value.isdigit()):
        raise ValueError(
            f"{_VARIABLE} must be a whole number of megabytes, 0 or more, or empty, "
            f"but is {value!r}."
        )
    limit = min(int(value) * _MEGABYTE, _MOST_BYTES)
    functions.TfPatchesSetResultCacheLimit(ctypes.c_int64(limit))


_set_limit()
