"""What the ops are called with, as saved models hold it: now, and as recorded.

`python tests/op_definitions.py` records the ops of now, where what was saved by those
recorded before still loads.
"""

from pathlib import Path

from google.protobuf import text_format
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.framework import kernels, op_def_registry

from tf_patches.slides import library  # noqa: F401 (registers the ops)

RECORD = Path(__file__).parent / "data" / "op_defs.pbtxt"


def recorded():
    ops = text_format.Parse(RECORD.read_text(), op_def_pb2.OpList()).op
    return {op.name: op for op in ops}


def registered():
    names = {kernel.op for kernel in kernels.get_all_registered_kernels().kernel}
    ours = sorted(name for name in names if name.startswith("TFPatches>"))
    return {name: op_def_registry.get(name) for name in ours}


def breaches(before, after):
    """What keeps a node that was saved with one OpDef from meaning the same by another.

    The rules are TensorFlow's own, in its op_def_util.h.
    """
    found = [
        f"{part} changed"
        for part in ("input_arg", "output_arg")
        if list(map(_typed, getattr(before, part)))
        != list(map(_typed, getattr(after, part)))
    ]
    if before.is_stateful != after.is_stateful:
        found.append("is_stateful changed")
    old, new = ({attr.name: attr for attr in op.attr} for op in (before, after))
    found += [f"{name} is gone" for name in old.keys() - new.keys()]
    for name, attr in new.items():
        if name in old:
            found += _breaches_of_attribute(old[name], attr)
        elif not attr.HasField("default_value"):
            found.append(f"{name} is new and has no default")
    return sorted(found)


def _typed(argument):
    """All but what is only read by people."""
    copy = type(argument).FromString(argument.SerializeToString())
    copy.ClearField("description")
    return copy


def _breaches_of_attribute(before, after):
    if before.type != after.type:
        yield f"{before.name} changed its type"
    if before.HasField("default_value") and before.default_value != after.default_value:
        yield f"{before.name} changed its default"
    if after.has_minimum and not (
        before.has_minimum and after.minimum <= before.minimum
    ):
        yield f"{before.name} allows less"
    if after.HasField("allowed_values") and not (
        before.HasField("allowed_values") and _allowed(before) <= _allowed(after)
    ):
        yield f"{before.name} allows less"


def _allowed(attr):
    values = attr.allowed_values.list
    return {*values.type, *values.s}


def _record():
    before, after = recorded() if RECORD.exists() else {}, registered()
    for name, op in before.items():
        if found := breaches(op, after.get(name, op_def_pb2.OpDef())):
            raise SystemExit(f"Saved models with {name} would break: {found}")
    ops = op_def_pb2.OpList(op=after.values())
    RECORD.write_text(text_format.MessageToString(ops))


if __name__ == "__main__":
    _record()
