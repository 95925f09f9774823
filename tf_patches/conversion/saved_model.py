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

_BINARY, _TEXT = "saved_model.pb", "saved_model.pbtxt"


@contextmanager
def folder_of(model: Any) -> Iterator[Path]:
    """The folder of a SavedModel, or one that a Keras model is exported to."""
    is_path = isinstance(model, (str, os.PathLike))
    if is_path and not Path(model).exists():
        raise FileNotFoundError(f"No such file or folder: {model}")
    if is_path and Path(model).is_dir():
        yield Path(model)
        return
    with tempfile.TemporaryDirectory() as folder:
        with explained(f"Keras cannot load or export {model}"):
            import keras  # TensorFlow works without it

            made = keras.models.load_model(model) if is_path else model
            if not isinstance(made, keras.Model):
                raise ConversionError(
                    "model must be a SavedModel's folder, a .keras file or a Keras "
                    f"model, but is {model!r}"
                )
            made.export(folder, verbose=False)
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
    path = out / (_BINARY if (out / _BINARY).exists() else _TEXT)
    if not path.exists():
        raise ConversionError(f"{folder} has no {_BINARY} and no {_TEXT}")
    counts: Counter[str] = Counter()
    tags = []
    with explained(f"{folder} holds a damaged SavedModel"):
        model = saved_model_pb2.SavedModel()
        if path.name == _BINARY:
            model.ParseFromString(path.read_bytes())
        else:
            text_format.Parse(path.read_text(encoding="utf-8"), model)
        for part in model.meta_graphs:
            nodes = graph.all_nodes(part.graph_def)
            if held := Counter(node.op for node in nodes if node.op in ops):
                counts += held
                tags.append(list(part.meta_info_def.tags))
                graph.replace_ops(part, ops)
    if not counts:
        raise ConversionError(f"Nothing to convert: no {' and no '.join(ops)} in it")
    if path.name == _BINARY:
        path.write_bytes(model.SerializeToString(deterministic=True))
    else:
        path.write_text(text_format.MessageToString(model), encoding="utf-8")
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
