"""Patches of images, exact and fast: a drop-in for `tf.image.extract_patches`."""

import sys as _sys
from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING

from tf_patches import command_line as _command_line

if _command_line.is_starting():
    # Python imports the package before `__main__`. What needs no TensorFlow, help and
    # wrong usage, does not wait for it.
    _command_line.parse(_sys.argv[1:])

from tf_patches.builtin import accelerate, is_accelerated
from tf_patches.builtin import is_wanted as _is_wanted
from tf_patches.conversion import Conversion, ConversionError, to_builtin
from tf_patches.memory import clear_result_cache
from tf_patches.native import build_info
from tf_patches.ops import (
    extract_image_patches,
    extract_patches,
    extract_volume_patches,
    fold_patches,
)
from tf_patches.placed import extract_patches_at, fold_patches_at
from tf_patches.random import stateless_random_patches
from tf_patches.tiling import Tiling

__version__ = "0.1.0"

__all__ = [
    "Conversion",
    "ConversionError",
    "Tiling",
    "accelerate",
    "build_info",
    "clear_result_cache",
    "extract_image_patches",
    "extract_patches",
    "extract_patches_at",
    "extract_volume_patches",
    "fold_patches",
    "fold_patches_at",
    "is_accelerated",
    "stateless_random_patches",
    "to_builtin",
]

if _TYPE_CHECKING:
    from tf_patches import layers as layers
else:

    def __getattr__(name: str) -> object:
        """Imports the layers, and so Keras, where they are asked for."""
        if name == "layers":
            return _import_module("tf_patches.layers")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if _sys.modules.get("keras"):
    # TensorFlow imports Keras 3 if it is installed. A `.keras` file finds only what was
    # registered before. `tf_keras`, for TF_USE_LEGACY_KERAS=1, is not supported.
    _import_module("tf_patches.layers")

if _is_wanted():
    accelerate()
