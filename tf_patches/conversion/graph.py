"""Replaces ops in a GraphDef by TensorFlow's own, or by functions of them."""

from collections.abc import Iterable, Iterator
from functools import partial
from hashlib import sha256
from typing import Any

import tensorflow as tf
from google.protobuf.message import Message
from tensorflow.python.framework import op_def_registry

from tf_patches.conversion import functions

OURS = ["TFPatches>ExtractPatches", "TFPatches>FoldPatches"]
EXTRACT, FOLD = OURS
BUILT_IN = "ExtractImagePatches"


def all_nodes(graph: Message) -> Iterator[Message]:
    """The nodes of a GraphDef, and those of its functions."""
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def replace_ops(meta_graph: Message, ops: Iterable[str]) -> None:
    """Replaces ops in place: extraction by the built-in op, if that may stay."""
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
    """Replaces nodes; returns the names of those that became calls."""
    attributes = arguments | {node.name: node.attr for node in nodes}
    calls = set()
    for node in nodes:
        if node.op not in ops:
            continue
        is_bool = node.attr["T"].type == tf.bool.as_datatype_enum
        if node.op == EXTRACT and BUILT_IN not in ops and not is_bool:
            node.op = BUILT_IN
            continue
        source = attributes.get(node.input[0].split(":")[0], {})
        _call_instead(node, _known_shape(source), library)
        calls.add(node.name)
    return calls


def _call_instead(node: Message, shape: list, library: Message) -> None:
    """Makes of a node the call of a function for its attributes and shapes."""
    attributes = {k: v for k, v in sorted(node.attr.items()) if k[0] != "_"}
    specs = [tf.TensorSpec(shape, tf.as_dtype(node.attr["T"].type))]
    function: Any = partial(functions.extract_patches, grid=_grid(node))
    if node.op == FOLD:
        # As int64 is the default, it may have been left out.
        given = node.attr["Tshape"].type if "Tshape" in node.attr else tf.int64
        specs.append(tf.TensorSpec([4], tf.as_dtype(given)))
        image = _known_shape(node.attr)[1:3]
        function = partial(functions.fold_patches, image=image, grid=_grid(node))
    what = f"{node.op} {specs} {function.keywords}"
    name = f"__inference_tf_patches_{sha256(what.encode()).hexdigest()[:32]}"
    if name not in {definition.signature.name for definition in library.function}:
        traced = tf.function(function, autograph=False).get_concrete_function(*specs)
        library.function.append(traced.function_def)
        library.function[-1].signature.name = name
    for attribute in attributes:
        del node.attr[attribute]
    types = [spec.dtype.as_datatype_enum for spec in specs]
    node.op = "PartitionedCall"
    node.attr["f"].func.name = name
    node.attr["Tin"].list.type.extend(types)
    node.attr["Tout"].list.type.append(types[0])


def _grid(node: Message) -> functions.Grid:
    lists = [node.attr[name].list.i for name in ("ksizes", "strides", "rates")]
    padding = node.attr["padding"].s.decode()
    return [(*axis, padding) for axis in zip(*lists, strict=True)][1:3]


def _known_shape(attributes: Any) -> list[int | None]:
    """What a graph says of the shape of a node's or an argument's only output."""
    if "_output_shapes" in attributes:
        shapes = attributes["_output_shapes"].list.shape
        if len(shapes) == 1 and not shapes[0].unknown_rank:
            return tf.TensorShape(shapes[0]).as_list()
    return [None] * 4
