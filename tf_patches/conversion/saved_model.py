"""Converts the files of a SavedModel."""

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from google.protobuf import text_format
from google.protobuf.message import DecodeError, Message
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.saved_model import fingerprinting_utils

from tf_patches.conversion import graph
from tf_patches.conversion.error import ConversionError

_BINARY, _TEXT, _CHUNKED = "saved_model.pb", "saved_model.pbtxt", "saved_model.cpb"
_FINGERPRINT = "fingerprint.pb"


def is_saved_model(path: Path) -> bool:
    """Whether a folder looks like a SavedModel."""
    return any((path / name).is_file() for name in (_BINARY, _TEXT, _CHUNKED))


def read(folder: Path) -> Message:
    """The protocol buffer of a SavedModel.

    Raises:
      ConversionError: If it is damaged, or in pieces.
    """
    model = saved_model_pb2.SavedModel()
    try:
        if (folder / _BINARY).is_file():
            model.ParseFromString((folder / _BINARY).read_bytes())
        elif (folder / _TEXT).is_file():
            text_format.Parse((folder / _TEXT).read_text(encoding="utf-8"), model)
        else:
            raise ConversionError(
                f"{folder / _CHUNKED} holds a graph in pieces, as those over 2 GB "
                "are saved, which cannot be converted."
            )
    except (DecodeError, text_format.ParseError, UnicodeDecodeError) as error:
        raise ConversionError(f"{folder} holds a damaged SavedModel: {error}") from None
    return model


def convert(
    folder: Path, out: Path, exchange: Callable[[Message], dict[str, int]]
) -> dict[str, int]:
    """Writes to `out`, a new folder, the SavedModel in `folder`, ops exchanged.

    Args:
      folder: The SavedModel. It is only read.
      out: The folder to make.
      exchange: `graph.to_builtin` or `graph.from_builtin`.

    Returns:
      How many nodes were exchanged, by the op that they were.
    """
    model = read(folder)
    found: dict[str, int] = {}
    for part in model.meta_graphs:
        for op, count in exchange(part.graph_def).items():
            found[op] = found.get(op, 0) + count
        graph.update_op_list(part.meta_info_def.stripped_op_list, part.graph_def)
    is_text = not (folder / _BINARY).is_file()
    written = shutil.ignore_patterns(_BINARY, _TEXT, _FINGERPRINT)
    shutil.copytree(folder, out, ignore=written)
    for copied, _, _ in os.walk(out):  # what is only to be read makes such copies
        os.chmod(copied, os.stat(copied).st_mode | stat.S_IRWXU)
    if is_text:
        text = text_format.MessageToString(model)
        (out / _TEXT).write_text(text, encoding="utf-8")
    else:
        (out / _BINARY).write_bytes(model.SerializeToString(deterministic=True))
    # TensorFlow 2.20 has no fingerprints of models in text.
    if (folder / _FINGERPRINT).is_file() and not is_text:
        fingerprinting_utils.write_fingerprint(str(out))
    return found


def tags(folder: Path, holds: Callable[[Message], bool]) -> list[list[str]]:
    """The tags of each graph of a SavedModel with a node that `holds`."""
    return [
        list(part.meta_info_def.tags)
        for part in read(folder).meta_graphs
        if any(map(holds, graph.all_nodes(part.graph_def)))
    ]
