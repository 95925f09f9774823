"""Finds, checks and loads the compiled libraries."""

import ctypes
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import tensorflow as tf

_FOLDER = Path(__file__).parent
_BUILD_INFO = _FOLDER / "_build_info.json"
_NEEDED = ("tensorflow", "xla")  # keys of the file
# Without isolation it compiles against the TensorFlow that is running.
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
        info = json.loads(_BUILD_INFO.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # of JSON, or of UTF-8
        info = None
    if isinstance(info, dict) and all(isinstance(info.get(k), str) for k in _NEEDED):
        return info
    if hidden := _hidden_installation():
        raise ImportError(
            f"Python runs in {_FOLDER.parent}, where the sources of tf_patches hide "
            f"the installed package in {hidden}. Change to another folder, or run "
            "python -P (Python 3.11 or newer), which does not search this folder."
        )
    raise ImportError(
        f"tf_patches has not been compiled: {_BUILD_INFO.name} in {_FOLDER} "
        f"is missing or damaged. In the tf_patches source folder, run: {_REBUILD}"
    )


def _hidden_installation() -> Path | None:
    """Another tf_patches, which this one hides from Python."""
    for entry in sys.path:
        package = Path(entry or ".", _FOLDER.name).resolve()
        if package != _FOLDER.resolve() and (package / _BUILD_INFO.name).is_file():
            return package
    return None


def _load_ops() -> ModuleType:
    """Loads the ops, if they were built for the TensorFlow that is running.

    Returns:
      The module of op functions that TensorFlow makes for the library.

    Raises:
      ImportError: If the library is missing, cannot be loaded, or was built
        against another minor version of TensorFlow. TensorFlow's C++ interface
        changes between minor versions.
    """
    built = _read_build_info()["tensorflow"]
    if _minor(built) != _minor(tf.__version__):
        raise ImportError(
            f"tf_patches was built against TensorFlow {built}, but TensorFlow "
            f"{tf.__version__} is running. In the tf_patches source folder, "
            f"run: {_REBUILD}"
        )
    library = str(_FOLDER / "_ops.so")
    _refuse_another_copy(library)
    loaded = _load("_ops.so", tf.load_op_library)
    loaded.__file__ = library
    return loaded


def _refuse_another_copy(library: str) -> None:
    """A second copy of the ops would end the process when XLA registers them."""
    for module in list(sys.modules.values()):
        members = getattr(module, "__dict__", {})
        if "tf_patches_extract_patches" not in members:
            continue
        if members.get("__file__", library) != library:
            raise ImportError(
                f"Another copy of tf_patches, {members['__file__']}, is in use in this "
                "process, which can have one copy only. Restart Python to use "
                f"{library}."
            )


def load_override() -> None:
    """Registers our kernel for TensorFlow's op. This cannot be undone."""
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
    """Loads the library with which XLA compiles the ops. Load the ops first.

    Returns:
      "built", or a sentence that says why there is no such library.
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
