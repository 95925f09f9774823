"""Loads the ops that read slides, and tells them where OpenSlide is."""

import ctypes
from importlib import util
from pathlib import Path

import tensorflow as tf

_LIBRARY = Path(__file__).parents[1] / "_slides.so"


def _openslide() -> Path | None:
    """OpenSlide's library in the package openslide-bin, if that is installed."""
    package = util.find_spec("openslide_bin")
    if package is None or package.origin is None:
        return None
    libraries = sorted(Path(package.origin).parent.glob("libopenslide.so*"))
    return libraries[0] if libraries else None


ops = tf.load_op_library(str(_LIBRARY))
_path = _openslide()
if _path is not None:
    ctypes.CDLL(str(_LIBRARY)).TfPatchesSetOpenSlidePath(str(_path).encode())
