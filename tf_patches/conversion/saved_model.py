"""The files of SavedModels: copied with other ops, written whole or not at all."""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tensorflow.core.protobuf import saved_model_pb2

from tf_patches.conversion import ConversionError, explained, graph

_GRAPH = "saved_model.pb"


@contextmanager
def folder_of(model: Any) -> Iterator[Path]:
    """The folder of a SavedModel, or a folder with the export of a Keras model."""
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
                    f"model must be a path or Keras model but is {model!r}"
                )
            made.export(folder, verbose=False)
        yield Path(folder)


@contextmanager
def written(out: Path) -> Iterator[Path]:
    """A folder to write. It moves to `out` if nothing fails."""
    is_there = out.exists()  # it is empty, but may be mounted or be a current folder
    missing = [folder for folder in out.parents if not folder.exists()]
    try:
        place = out if is_there else out.parent
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".tf_patches.", dir=place) as staging:
            made = Path(staging, "model")
            made.mkdir()
            yield made
            if is_there:
                _move_parts(made, out)
            else:
                made.rename(out)
    except BaseException:
        for folder in missing:
            with suppress(OSError):  # others may use it by now
                folder.rmdir()
        raise


def _move_parts(made: Path, out: Path) -> None:
    # The graph moves last: without a graph the other parts are not a model.
    parts = sorted(made.iterdir(), key=lambda part: part.name == _GRAPH)
    try:
        for part in parts:
            part.rename(out / part.name)
    except BaseException:
        for part in parts:
            with suppress(FileNotFoundError):
                (out / part.name).rename(part)
        raise


def convert(folder: Path, out: Path, ops: list[str]) -> dict[str, int]:
    """Writes the SavedModel in `folder` to `out`; counts the ops replaced."""
    if not (folder / _GRAPH).exists():
        is_text = (folder / f"{_GRAPH}txt").exists()
        text = "is a SavedModel in text, which cannot be converted"
        raise ConversionError(f"{folder} {text if is_text else f'has no {_GRAPH}'}")
    _copy(folder, out)
    with explained(f"{folder} holds a damaged SavedModel"):
        model = saved_model_pb2.SavedModel.FromString((out / _GRAPH).read_bytes())
        if (count := len(model.meta_graphs)) != 1:
            raise ConversionError(f"{folder} must hold 1 MetaGraphDef, but has {count}")
        held = Counter(n.op for n in graph.all_nodes(model.meta_graphs[0].graph_def))
        _refuse_others_of_ours(held)
        counts = {op: count for op, count in held.items() if op in ops}
        graph.replace_ops(model.meta_graphs[0], ops)
    if not counts:
        raise ConversionError(f"Nothing to convert: no {' and no '.join(ops)} in it")
    (out / _GRAPH).write_bytes(model.SerializeToString(deterministic=True))
    (out / "fingerprint.pb").unlink(missing_ok=True)  # of the original model
    return counts


def _refuse_others_of_ours(held: Iterable[str]) -> None:
    """Refuses ops that have no counterpart: the model would still need this package."""
    others = [op for op in held if op.startswith("TFPatches>") and op not in graph.OURS]
    if others:
        raise ConversionError(
            f"{' and '.join(sorted(others))} cannot be converted: only "
            f"{' and '.join(graph.OURS)} can"
        )


def _copy(folder: Path, out: Path) -> None:
    """Copies files with new modes, and nothing from outside the folder."""
    for entry in sorted(folder.rglob("*")):  # does not follow links
        target = entry.resolve()
        if entry.is_dir() and not entry.is_symlink():
            (out / entry.relative_to(folder)).mkdir()
        elif target.is_file() and folder.resolve() in target.parents:
            shutil.copyfile(entry, out / entry.relative_to(folder))
        else:
            is_link = entry.is_symlink()
            what = f"link to {target}" if is_link else "device, pipe or socket"
            raise ConversionError(
                f"{entry} is a {what}, no file of the model: replace it by a copy"
            )
