"""Replaces ops in a GraphDef by TensorFlow's own, or by functions of them."""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from functools import partial
from hashlib import sha256
from typing import Any

import tensorflow as tf
from google.protobuf.message import Message
from tensorflow.core.framework import attr_value_pb2
from tensorflow.python.framework import op_def_registry

from tf_patches.conversion import ConversionError, functions
from tf_patches.conversion.axis import AxisSpec

OURS = ["TFPatches>ExtractPatches", "TFPatches>FoldPatches"]
EXTRACT, FOLD = OURS
BUILT_IN = ["ExtractImagePatches", "ExtractVolumePatches"]
IMAGES, VOLUMES = BUILT_IN


def all_nodes(graph: Message) -> Iterator[Message]:
    """The nodes of a GraphDef and of its functions."""
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def replace_ops(meta_graph: Message, ops: Iterable[str]) -> None:
    """Replaces ops in place: extraction by a built-in op, if built-in ops may stay."""
    graph = meta_graph.graph_def
    _replace(graph.node, {}, ops, graph.library)
    for function in list(graph.library.function):
        inputs = function.signature.input_arg
        arguments = {inputs[i].name: a.attr for i, a in function.arg_attr.items()}
        calls = _replace(function.node_def, arguments, ops, graph.library)
        for node in function.node_def:
            node.input[:] = [_output(value, calls) for value in node.input]
        for name, value in function.ret.items():
            function.ret[name] = _output(value, calls)
    op_list = meta_graph.meta_info_def.stripped_op_list
    known = map(op_def_registry.get, sorted({node.op for node in all_nodes(graph)}))
    op_list.CopyFrom(type(op_list)(op=filter(None, known)))


def _output(value: str, calls: set[str]) -> str:
    """`node:output:index`, whose output has another name in calls."""
    node, *rest = value.split(":")
    return f"{node}:output:{rest[1]}" if node in calls else value


def _replace(
    nodes: Iterable[Message], arguments: dict, ops: Iterable[str], library: Message
) -> set[str]:
    """Replaces nodes; returns the names of nodes that became calls."""
    attributes = arguments | {node.name: node.attr for node in nodes}
    calls = set()
    for node in nodes:
        if node.op not in ops:
            continue
        if node.op == EXTRACT and IMAGES not in ops and (name := _built_in(node)):
            _use_instead(node, name)
            continue
        source = attributes.get(node.input[0].split(":")[0], {})
        shape = _known_shape(source, len(node.attr["ksizes"].list.i))
        _call_instead(node, shape, library)
        calls.add(node.name)
    return calls


def _built_in(node: Message) -> str | None:
    """The built-in op that does the same as an extraction of ours, if there is one."""
    axes, dtype = _axes(node), tf.as_dtype(node.attr["T"].type)
    padding, mode = axes[0].padding, axes[0].mode
    is_zero = mode == "CONSTANT" and not _attributes(node)["constant_values"].s
    if dtype == tf.bool or padding == "EXPLICIT" or not (is_zero or padding == "VALID"):
        return None
    if len(axes) == 2:
        return IMAGES if padding != "SAME_UNCLAMPED" else None
    if len(axes) != 3 or dtype.is_complex or any(axis.rate > 1 for axis in axes):
        return None
    # The two kinds of SAME differ if strides are larger than sizes.
    differs = padding == "SAME" and any(axis.stride > axis.size for axis in axes)
    # TensorFlow says that patches of unknown counts are four-dimensional.
    is_known = None not in _known_shape(node.attr, 5)[1:-1]
    return VOLUMES if is_known and not differs else None


def _use_instead(node: Message, built_in: str) -> None:
    node.op = built_in
    if node.attr["padding"].s == b"SAME_UNCLAMPED":
        node.attr["padding"].s = b"SAME"
    _keep(node, {attribute.name for attribute in op_def_registry.get(built_in).attr})


def _keep(node: Message, names: Container[str]) -> None:
    """Removes all other attributes, except attributes of every op."""
    for name in list(node.attr):
        if name not in names and not name.startswith("_"):
            del node.attr[name]


def _call_instead(node: Message, shape: list, library: Message) -> None:
    """Turns a node into a call of a function for its attributes and shapes."""
    if node.op == VOLUMES and len(_known_shape(node.attr, 5)) != 5:
        raise ConversionError(
            f"{VOLUMES} of unknown planes, rows or cols cannot be converted, as the "
            "model says that its patches are four-dimensional: save it with known ones"
        )
    specs = [tf.TensorSpec(shape, tf.as_dtype(node.attr["T"].type))]
    axes, constant = _axes(node), _attributes(node)["constant_values"].s
    function: Any = partial(functions.extract_patches, specs=axes, constant=constant)
    if node.op == FOLD:
        # The default, int64, may have been left out.
        given = node.attr["Tshape"].type if "Tshape" in node.attr else tf.int64
        specs.append(tf.TensorSpec([len(axes) + 2], tf.as_dtype(given)))
        space = _known_shape(node.attr, len(axes) + 2)[1:-1]
        function = partial(functions.fold_patches, space=space, specs=axes)
    what = f"{node.op} {specs} {function.keywords}"
    name = f"__inference_tf_patches_{sha256(what.encode()).hexdigest()[:32]}"
    if name not in {definition.signature.name for definition in library.function}:
        traced = tf.function(function, autograph=False).get_concrete_function(*specs)
        library.function.append(traced.function_def)
        library.function[-1].signature.name = name
    _keep(node, ())
    types = [spec.dtype.as_datatype_enum for spec in specs]
    node.op = "PartitionedCall"
    node.attr["f"].func.name = name
    node.attr["Tin"].list.type.extend(types)
    node.attr["Tout"].list.type.append(types[0])


def _axes(node: Message) -> list[AxisSpec]:
    """The axes of space, from the attributes of an op of ours or of TensorFlow's."""
    attributes = _attributes(node)
    sizes, strides = (attributes[name].list.i for name in ("ksizes", "strides"))
    rates = attributes["rates"].list.i or [1] * len(sizes)
    pixels = attributes["explicit_paddings"].list.i or [0, 0] * len(sizes)
    padding = attributes["padding"].s.decode()
    if node.op == VOLUMES and padding == "SAME":
        padding = "SAME_UNCLAMPED"
    mode = attributes["mode"].s.decode() or "CONSTANT"
    rows = zip(sizes, strides, rates, pixels[::2], pixels[1::2], strict=True)
    return [AxisSpec(*row, padding, mode) for row in rows][1:-1]


def _attributes(node: Message) -> dict[str, Any]:
    """Attributes by name; empty values for attributes that a graph leaves out."""
    return defaultdict(attr_value_pb2.AttrValue, node.attr.items())


def _known_shape(attributes: Any, rank: int) -> list[int | None]:
    """The shape of the only output of a node or an argument, as far as it is known."""
    if "_output_shapes" in attributes:
        shapes = attributes["_output_shapes"].list.shape
        if len(shapes) == 1 and not shapes[0].unknown_rank:
            return tf.TensorShape(shapes[0]).as_list()
    return [None] * rank
