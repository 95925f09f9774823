"""Finds, checks and loads the compiled libraries."""

import ctypes
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import tensorflow as tf

_FOLDER = Path(__file__).parent
_BUILD_INFO = _FOLDER / "_build_info.json"
# Without isolation, to compile against the TensorFlow that is running.
_REBUILD = (
    'pip install "setuptools>=77" && '
    "pip install --force-reinstall --no-deps --no-build-isolation ."
)


def build_info() -> dict[str, Any]:
    """Says how the compiled libraries were built.

    Returns:
      A dictionary: `tensorflow` (the version built against), `distribution`
      (its name on the package index), `compiler`, `flags` (a list), `xla`
      ("built", or why functions that use the ops cannot be compiled by XLA).

    Examples:
      >>> sorted(tf_patches.build_info())
      ['compiler', 'distribution', 'flags', 'tensorflow', 'xla']
    """
    return {**_read_build_info(), "xla": _xla}


def _read_build_info() -> dict[str, Any]:
    try:
        return json.loads(_BUILD_INFO.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        raise ImportError(
            f"tf_patches has not been compiled: {_BUILD_INFO.name} in {_FOLDER} "
            f"is missing or damaged. In the tf_patches source folder, run: {_REBUILD}"
        ) from None


def _load_ops() -> ModuleType:
    """Loads the ops, if they were built for the TensorFlow that is running.

    Returns:
      The module of op functions that TensorFlow makes for the library.

    Raises:
      ImportError: If the library is missing, cannot be loaded, or was built
        against another minor version of TensorFlow (whose C++ interface holds
        within a minor version, not across).
    """
    built = _read_build_info()["tensorflow"]
    if _minor(built) != _minor(tf.__version__):
        raise ImportError(
            f"tf_patches was built against TensorFlow {built}, but TensorFlow "
            f"{tf.__version__} is running. In the tf_patches source folder, "
            f"run: {_REBUILD}"
        )
    return _load("_ops.so", tf.load_op_library)


def load_override() -> None:
    """Registers our kernel for TensorFlow's op, once: there is no way back."""
    functions.TfPatchesOverrideBuiltin()


def _load(name: str, load: Callable[[str], Any]) -> Any:
    library = _FOLDER / name
    try:
        return load(str(library))
    except (OSError, tf.errors.NotFoundError) as error:
        built = _read_build_info()["tensorflow"]
        raise ImportError(
            f"tf_patches cannot load {library}, built against TensorFlow "
            f"{built}: {error}. In the tf_patches source folder, "
            f"run: {_REBUILD}"
        ) from error


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]


def _load_xla() -> str:
    """Loads what XLA compiles the ops with, after the ops.

    Returns:
      "built", or the sentence that says why there is no such library.
    """
    built = _read_build_info()["xla"]
    if built != "built":
        return built
    try:
        tf.load_library(str(_FOLDER / "_xla.so"))
    except (OSError, tf.errors.NotFoundError) as error:
        return f"_xla.so cannot be loaded ({error})."
    return built


ops = _load_ops()
# The C functions of the same library, by name.
functions = ctypes.CDLL(str(_FOLDER / "_ops.so"))
_xla = _load_xla()
