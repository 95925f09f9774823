"""The files of SavedModels: read, copied with other ops, written whole or not at all."""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import Message
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.saved_model import fingerprinting_utils

from tf_patches.conversion import graph
from tf_patches.conversion.errors import ConversionError, explained

_BINARY, _TEXT, _CHUNKED = _GRAPHS = (
    "saved_model.pb",
    "saved_model.pbtxt",
    "saved_model.cpb",
)
_FINGERPRINT = "fingerprint.pb"
_STAGING = ".tf_patches."  # short, whatever the name of the folder


@contextmanager
def folder_of(model: Any) -> Iterator[Path]:
    """The folder of a SavedModel, or one that a Keras model is exported to."""
    if isinstance(model, (str, os.PathLike)):
        path = Path(model)
        if not path.exists():
            raise FileNotFoundError(f"No such file or folder: {path}")
        if any((path / name).is_file() for name in _GRAPHS):
            yield path
            return
        if not (path.is_file() and path.suffix == ".keras"):
            raise ConversionError(
                f"{path} is neither the folder of a SavedModel nor a .keras file"
            )
    with explained("Keras models need Keras"):  # TensorFlow works without
        import keras
    if isinstance(model, (str, os.PathLike)):
        with explained(f"Keras cannot load {path}"):
            model = keras.models.load_model(path)
    if not isinstance(model, keras.Model):
        raise ConversionError(
            "A model is a SavedModel's folder, a .keras file or a Keras model, but got "
            f"{model!r}"
        )
    with tempfile.TemporaryDirectory() as folder:
        with explained(f"Keras cannot export {model.name}"):
            model.export(folder, verbose=False)
        yield Path(folder)


@contextmanager
def written(out: Path) -> Iterator[Path]:
    """A folder to write, which gets to `out` when all went well, and only then."""
    fills = out.is_dir()  # an empty folder, perhaps mounted or someone's current one
    missing = [parent for parent in out.parents if not parent.exists()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        beside = out if fills else out.parent
        with tempfile.TemporaryDirectory(prefix=_STAGING, dir=beside) as staging:
            made = Path(staging, "model")
            yield made
            if fills:
                _move_parts(made, out)
            else:
                made.rename(out)
    except BaseException:
        for parent in missing:
            with suppress(OSError):  # others may have come to use it
                parent.rmdir()
        raise


def _move_parts(made: Path, out: Path) -> None:
    """Moves the graph last: without it, the rest is no model."""
    parts = sorted(made.iterdir(), key=lambda part: part.name in _GRAPHS)
    try:
        for part in parts:
            part.rename(out / part.name)
    except BaseException:
        for part in parts:
            with suppress(FileNotFoundError):
                (out / part.name).rename(part)
        raise


def convert(folder: Path, out: Path, plain: bool) -> tuple[Counter[str], list[Any]]:
    """Writes to `out`, a new folder, the SavedModel in `folder`, ops replaced.

    Returns:
      How many nodes were replaced by the op that they were, and the tags of the
      graphs that they were in.
    """
    _copy(folder, out)
    counts: Counter[str] = Counter()
    tags = []
    with explained(f"{folder} holds a damaged SavedModel"):
        model = _read(folder)
        for part in model.meta_graphs:
            replaced = graph.replace_ops(part.graph_def, plain)
            graph.update_op_list(part.meta_info_def.stripped_op_list, part.graph_def)
            counts += replaced
            if replaced:
                tags.append(list(part.meta_info_def.tags))
    if not (out / _BINARY).exists():  # TensorFlow 2.20 has no fingerprint of a text
        (out / _FINGERPRINT).unlink(missing_ok=True)
        text = text_format.MessageToString(model)
        (out / _TEXT).write_text(text, encoding="utf-8")
        return counts, tags
    (out / _BINARY).write_bytes(model.SerializeToString(deterministic=True))
    (out / _TEXT).unlink(missing_ok=True)  # which TensorFlow did not read
    if (out / _FINGERPRINT).exists():
        with explained(f"{folder} holds a damaged SavedModel"):
            fingerprinting_utils.write_fingerprint(str(out))
    return counts, tags


def _copy(folder: Path, out: Path) -> None:
    """Copies files with modes of their own, and nothing that is not in the folder."""
    out.mkdir()
    inside = folder.resolve()
    for entry in sorted(folder.rglob("*")):  # does not follow links
        target = entry.resolve()
        if entry.is_symlink() and not (target.is_file() and inside in target.parents):
            raise ConversionError(
                f"{entry} is a link to {os.readlink(entry)}, which is no file of the "
                "model. If it belongs to the model, replace it by what it links to, as "
                "cp --recursive --dereference does"
            )
        if entry.is_dir():
            (out / entry.relative_to(folder)).mkdir()
        elif entry.is_file():
            shutil.copyfile(entry, out / entry.relative_to(folder))
        else:
            raise ConversionError(
                f"{entry} is a device, a pipe or a socket, not a part of a model: "
                "remove it"
            )


def _read(folder: Path) -> Message:
    model = saved_model_pb2.SavedModel()
    if (folder / _BINARY).is_file():
        model.ParseFromString((folder / _BINARY).read_bytes())
    elif (folder / _TEXT).is_file():
        text_format.Parse((folder / _TEXT).read_text(encoding="utf-8"), model)
    else:
        raise ConversionError(
            f"{folder / _CHUNKED} holds a graph in pieces, as those over 2 GB are "
            "saved, which cannot be converted"
        )
    return model
