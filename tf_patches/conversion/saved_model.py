"""The files of SavedModels: copied with other ops, written whole or not at all."""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow.core.protobuf import saved_model_pb2

from tf_patches.conversion import graph
from tf_patches.conversion.errors import ConversionError, explained

_BINARY, _TEXT, _CHUNKED = (f"saved_model.{end}" for end in ("pb", "pbtxt", "cpb"))


@contextmanager
def folder_of(model: Any) -> Iterator[Path]:
    """The folder of a SavedModel, or one that a Keras model is exported to."""
    is_path = isinstance(model, (str, os.PathLike))
    if is_path and not Path(model).exists():
        raise FileNotFoundError(f"No such file or folder: {model}")
    if is_path and any(
        Path(model, end).is_file() for end in (_BINARY, _TEXT, _CHUNKED)
    ):
        yield Path(model)
        return
    if is_path and not (Path(model).is_file() and Path(model).suffix == ".keras"):
        raise ConversionError(
            f"{model} is neither the folder of a SavedModel nor a .keras file"
        )
    with tempfile.TemporaryDirectory() as folder:
        with explained(f"Keras cannot load or export {model}"):
            import keras  # TensorFlow works without it

            keras_model = keras.models.load_model(model) if is_path else model
            if not isinstance(keras_model, keras.Model):
                raise ConversionError(
                    "A model is a SavedModel's folder, a .keras file or a Keras model, "
                    f"but got {model!r}"
                )
            keras_model.export(folder, verbose=False)
        yield Path(folder)


@contextmanager
def written(out: Path) -> Iterator[Path]:
    """A folder to write, which gets to `out` when all went well, and only then."""
    is_there = out.is_dir()  # empty: perhaps mounted, or someone's current folder
    missing = [parent for parent in out.parents if not parent.exists()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        place = out if is_there else out.parent
        with tempfile.TemporaryDirectory(prefix=".tf_patches.", dir=place) as staging:
            made = Path(staging, "model")
            yield made
            if is_there:
                _move_parts(made, out)
            else:
                made.rename(out)
    except BaseException:
        for parent in missing:
            with suppress(OSError):  # others may have come to use it
                parent.rmdir()
        raise


def _move_parts(made: Path, out: Path) -> None:
    # The graph goes last: without it, the other parts are no model.
    parts = sorted(made.iterdir(), key=lambda part: part.name in (_BINARY, _TEXT))
    try:
        for part in parts:
            part.rename(out / part.name)
    except BaseException:
        for part in parts:
            with suppress(FileNotFoundError):
                (out / part.name).rename(part)
        raise


def convert(
    folder: Path, out: Path, ops: list[str]
) -> tuple[dict[str, int], list[Any]]:
    """Writes to `out`, a new folder, the SavedModel in `folder`, ops replaced.

    Returns:
      How many nodes there were of each op, and the tags of the graphs that held them.
    """
    _copy(folder, out)
    name = _BINARY if (out / _BINARY).exists() else _TEXT
    if not (out / name).exists():
        raise ConversionError(
            f"{folder / _CHUNKED} holds a graph in pieces, as graphs over 2 GB are "
            "saved, which cannot be converted"
        )
    counts: Counter[str] = Counter()
    tags = []
    with explained(f"{folder} holds a damaged SavedModel"):
        model = saved_model_pb2.SavedModel()
        if name == _BINARY:
            model.ParseFromString((out / name).read_bytes())
        else:
            text_format.Parse((out / name).read_text(encoding="utf-8"), model)
        for part in model.meta_graphs:
            nodes = graph.all_nodes(part.graph_def)
            held = Counter(node.op for node in nodes if node.op in ops)
            graph.replace_ops(part.graph_def, ops)
            graph.update_op_list(part.meta_info_def.stripped_op_list, part.graph_def)
            counts += held
            tags += [list(part.meta_info_def.tags)] if held else []
    if name == _BINARY:
        (out / name).write_bytes(model.SerializeToString(deterministic=True))
    else:
        text = text_format.MessageToString(model)
        (out / name).write_text(text, encoding="utf-8")
    (out / "fingerprint.pb").unlink(missing_ok=True)  # of the model that it was
    return dict(counts), tags


def _copy(folder: Path, out: Path) -> None:
    """Copies files, with modes of their own, and nothing from outside the folder."""
    out.mkdir()
    inside = folder.resolve()
    for entry in sorted(folder.rglob("*")):  # does not follow links
        target = entry.resolve()
        if entry.is_symlink() and not (target.is_file() and inside in target.parents):
            raise ConversionError(
                f"{entry} is a link to {os.readlink(entry)}, which is no file of the "
                "model: replace it by a copy (cp -rL) if it belongs to the model"
            )
        if entry.is_dir():
            (out / entry.relative_to(folder)).mkdir()
        elif entry.is_file():
            shutil.copyfile(entry, out / entry.relative_to(folder))
        else:
            raise ConversionError(
                f"{entry} is a device, pipe or socket, no file of a model: remove it"
            )
