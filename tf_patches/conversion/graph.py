"""Replaces ops in a GraphDef by TensorFlow's own, or by functions of them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import tensorflow as tf
from google.protobuf.message import Message
from tensorflow.python.framework import op_def_registry

from tf_patches.conversion import functions
from tf_patches.conversion.errors import ConversionError

EXTRACT = "TFPatches>ExtractPatches"
FOLD = "TFPatches>FoldPatches"
BUILT_IN = "ExtractImagePatches"

_UNKNOWN = [None] * 4


def ops_to_replace(plain: bool) -> list[str]:
    """The ops that a converted model does not hold."""
    return [EXTRACT, FOLD, BUILT_IN] if plain else [EXTRACT, FOLD]


def all_nodes(graph: Message) -> Iterator[Message]:
    """The nodes of a GraphDef, and those of its functions."""
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def replace_ops(graph: Message, plain: bool) -> Counter[str]:
    """Replaces ops, in place; says how many there were of each."""
    replacer = _Replacer(graph, plain)
    for function in list(graph.library.function):
        arguments = {
            argument.name: ("", function.arg_attr[i].attr)
            for i, argument in enumerate(function.signature.input_arg)
        }
        outputs = replacer.replace(function.node_def, arguments)
        for node in function.node_def:
            node.input[:] = [_renamed(value, outputs) for value in node.input]
        for name, value in function.ret.items():
            function.ret[name] = _renamed(value, outputs)
    replacer.replace(graph.node, {})
    for node in all_nodes(graph):  # some ask for the gradient of another op
        if "_gradient_op_type" in node.attr:
            gradient = node.attr["_gradient_op_type"]
            gradient.s = gradient.s.replace(EXTRACT.encode(), BUILT_IN.encode())
    return replacer.counts


def update_op_list(op_list: Message, graph: Message) -> None:
    """Makes the list of the ops that a graph uses fit it again."""
    listed = {op.name: op for op in op_list.op}
    used = sorted({node.op for node in all_nodes(graph)})
    ops = [listed.get(name) or op_def_registry.get(name) for name in used]
    op_list.CopyFrom(type(op_list)(op=[op for op in ops if op is not None]))


class _Replacer:
    def __init__(self, graph: Message, plain: bool) -> None:
        self.counts: Counter[str] = Counter()
        self._library = graph.library
        self._plain = plain
        self._ops = ops_to_replace(plain)
        self._made: dict[str, str] = {}  # functions' names, by what they do

    def replace(
        self, nodes: Iterable[Message], arguments: dict[str, tuple[str, Any]]
    ) -> dict[str, str]:
        """Replaces nodes; returns what the output of each is now called."""
        tensors = arguments | {node.name: (node.op, node.attr) for node in nodes}
        outputs = {}
        for node in nodes:
            if node.op not in self._ops:
                continue
            self.counts[node.op] += 1
            is_bool = node.attr["T"].type == tf.bool.as_datatype_enum
            if node.op == EXTRACT and not self._plain and not is_bool:
                node.op = BUILT_IN
                outputs[node.name] = "patches"
            else:
                self._call(node, _known_shape(node.input[0], tensors))
                outputs[node.name] = "output"
        return outputs

    def _call(self, node: Message, shape: list[int | None]) -> None:
        """Makes of a node a call of a function for its attributes and shapes."""
        attributes = {k: v for k, v in sorted(node.attr.items()) if k[0] != "_"}
        for name, value in attributes.items():
            if value.WhichOneof("value") == "placeholder":
                raise ConversionError(
                    f"Node {node.name} ({node.op}) cannot be replaced: it is in a "
                    f"function that leaves {name} to its callers"
                )
        image_shape = _known_shape(node.name, {node.name: (node.op, node.attr)})
        what = f"{node.op} {attributes} {shape} {image_shape}"
        if what not in self._made:
            function = _trace(node, shape, image_shape, self._plain)
            self._made[what] = function.signature.name = self._free_name()
            self._library.function.append(function)
        dtypes = [dtype.as_datatype_enum for dtype in _dtypes(node)]
        for name in attributes:
            del node.attr[name]
        node.op = "PartitionedCall"
        node.attr["f"].func.name = self._made[what]
        node.attr["Tin"].list.type.extend(dtypes)
        node.attr["Tout"].list.type.append(dtypes[0])

    def _free_name(self) -> str:
        taken = {function.signature.name for function in self._library.function}
        names = (f"__inference_tf_patches_{i}" for i in range(len(taken) + 1))
        return next(name for name in names if name not in taken)


def _trace(
    node: Message,
    shape: list[int | None],
    image_shape: list[int | None],
    plain: bool,
) -> Message:
    """The FunctionDef that does what a node does."""
    ksizes, strides, rates = (
        node.attr[name].list.i for name in ("ksizes", "strides", "rates")
    )
    padding = node.attr["padding"].s.decode()
    grid = [(ksizes[i], strides[i], rates[i], padding) for i in (1, 2)]
    function: Any = partial(functions.extract_patches, grid=grid)
    if node.op == FOLD:
        fold = functions.fold_patches if plain else functions.fold_by_segments
        function = partial(fold, image=image_shape[1:3], grid=grid)
    specs = map(tf.TensorSpec, (shape, [4]), _dtypes(node))
    traced = tf.function(function, autograph=False).get_concrete_function(*specs)
    return type(traced.function_def).FromString(
        traced.function_def.SerializeToString(deterministic=True)
    )


def _dtypes(node: Message) -> list[tf.DType]:
    """Of the node's inputs."""
    if node.op != FOLD:
        return [tf.as_dtype(node.attr["T"].type)]
    # As int64 is the default, it may have been left out.
    shape = node.attr["Tshape"].type if "Tshape" in node.attr else tf.int64
    return [tf.as_dtype(node.attr["T"].type), tf.as_dtype(shape)]


def _known_shape(value: str, tensors: dict[str, tuple[str, Any]]) -> list[int | None]:
    """What a saved graph says of the shape of `node:index` or `node:output:index`."""
    node, *rest = value.split(":")
    op, attributes = tensors[node]
    if "_output_shapes" not in attributes:
        return _UNKNOWN
    shapes = attributes["_output_shapes"].list.shape
    index = int(rest[-1]) if rest else 0
    if len(rest) == 2 and len(shapes) > 1:
        definition = op_def_registry.get(op)
        names = [output.name for output in definition.output_arg] if definition else []
        if len(names) == len(shapes):
            index = names.index(rest[0])
        elif len(names) != 1:
            return _UNKNOWN
    shape = tf.TensorShape(shapes[index])
    return _UNKNOWN if shape.rank is None else shape.as_list()


def _renamed(value: str, outputs: dict[str, str]) -> str:
    """`node:output:index` of a replaced node; other values stay as they are."""
    node, *rest = value.split(":")
    return ":".join([node, outputs[node], *rest[1:]]) if node in outputs else value
