"""Exchanges the ops in a GraphDef: ours for the built-in's, and back."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import tensorflow as tf
from google.protobuf.message import Message
from tensorflow.python.framework import op_def_registry

from tf_patches.conversion import builtin_ops
from tf_patches.conversion.error import ConversionError

_PACKAGE = "TFPatches>"
EXTRACT = f"{_PACKAGE}ExtractPatches"
FOLD = f"{_PACKAGE}FoldPatches"
BUILT_IN = "ExtractImagePatches"

_GRID = ("ksizes", "strides", "rates")
# A call keeps under this prefix what the node was that it stands for.
_KEPT = "_tf_patches_"
_KEPT_OP = f"{_KEPT}op"


def all_nodes(graph: Message) -> Iterator[Message]:
    """The nodes of a GraphDef, and those of its functions."""
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def holds_ours(node: Message) -> bool:
    """Whether `to_builtin` would exchange a node."""
    return node.op in (EXTRACT, FOLD)


def holds_built_in(node: Message) -> bool:
    """Whether `from_builtin` would exchange a node."""
    return node.op == BUILT_IN or _KEPT_OP in node.attr


def to_builtin(graph: Message) -> dict[str, int]:
    """Makes built-in ops of ours, in place; says how many there were of each."""
    found = _count(node.op for node in all_nodes(graph) if holds_ours(node))
    calls = _Calls(graph)
    _convert(graph, calls.replace)
    _rename_gradients(graph, EXTRACT, BUILT_IN)
    graph.library.function.extend(calls.functions)
    return found


def from_builtin(graph: Message) -> dict[str, int]:
    """Makes our ops of built-in ones, in place; says how many there were of each.

    Calls that `to_builtin` made become what they were.
    """
    called = {node.attr["f"].func.name for node in all_nodes(graph) if _is_call(node)}
    for name in called:  # and by nothing else
        _remove_function(graph, name)
    found = _count(
        BUILT_IN if node.op == BUILT_IN else _kept_op(node)
        for node in all_nodes(graph)
        if holds_built_in(node)
    )
    _convert(graph, _restore)
    _rename_gradients(graph, BUILT_IN, EXTRACT)
    return found


def update_op_list(op_list: Message, graph: Message) -> None:
    """Makes an OpList, of the ops that a graph uses, fit to a converted graph."""
    used = {node.op for node in all_nodes(graph)}
    kept = [op for op in op_list.op if op.name in used]
    new = used - {op.name for op in kept}
    definitions = [op_def_registry.get(name) for name in new]
    kept.extend(definition for definition in definitions if definition is not None)
    kept.sort(key=lambda op: op.name)
    del op_list.op[:]
    op_list.op.extend(kept)


def _count(names: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts


def _convert(graph: Message, replace: Callable[[Message], str | None]) -> None:
    """Replaces nodes; `replace` says what the node's one output is now called."""
    for node in graph.node:
        replace(node)
    for function in graph.library.function:
        outputs = {
            node.name: output for node in function.node_def if (output := replace(node))
        }
        for node in function.node_def:
            for i, value in enumerate(node.input):
                node.input[i] = _renamed(value, outputs)
        for name, value in function.ret.items():
            function.ret[name] = _renamed(value, outputs)


def _renamed(value: str, outputs: dict[str, str]) -> str:
    """`node:output:index`, as function bodies have it, of a replaced node."""
    node, *rest = value.split(":")
    if node in outputs and rest:
        return ":".join([node, outputs[node], *rest[1:]])
    return value


class _Calls:
    """Exchanges our ops, some for calls of functions made as they are needed."""

    def __init__(self, graph: Message) -> None:
        self._taken = {function.signature.name for function in graph.library.function}
        self._made: dict[str, Message] = {}

    @property
    def functions(self) -> list[Message]:
        return list(self._made.values())

    def replace(self, node: Message) -> str | None:
        if node.op == EXTRACT and node.attr["T"].type != tf.bool.as_datatype_enum:
            node.op = BUILT_IN
            return "patches"
        if holds_ours(node):
            self._call(node)
            return "output"
        return None

    def _call(self, node: Message) -> None:
        _check_is_specific(node)
        function = self._function(node)
        kept = {name: value for name, value in node.attr.items() if name[0] != "_"}
        for name, value in kept.items():
            del node.attr[name]
            node.attr[_KEPT + name].CopyFrom(value)
        node.attr[_KEPT_OP].s = node.op.removeprefix(_PACKAGE).encode()
        node.op = "PartitionedCall"
        node.attr["f"].func.name = function.signature.name
        inputs = [argument.type for argument in function.signature.input_arg]
        outputs = [argument.type for argument in function.signature.output_arg]
        node.attr["Tin"].list.type.extend(inputs)
        node.attr["Tout"].list.type.extend(outputs)

    def _function(self, node: Message) -> Message:
        key = repr((node.op, *_grid(node).values(), *_dtypes(node)))
        if key not in self._made:
            function = _traced(node)
            function.signature.name = self._free_name(node.op)
            self._made[key] = function
        return self._made[key]

    def _free_name(self, op: str) -> str:
        stem = {EXTRACT: "extract_patches_of_bool", FOLD: "fold_patches"}[op]
        number = 0
        while (name := f"__inference_{stem}_{number}") in self._taken:
            number += 1
        self._taken.add(name)
        return name


def _check_is_specific(node: Message) -> None:
    for name, value in node.attr.items():
        if value.WhichOneof("value") == "placeholder":
            raise ConversionError(
                f"Node {node.name} ({node.op}) cannot be expressed by built-in ops: "
                f"it is in a function that leaves {name} to its callers."
            )


def _traced(node: Message) -> Message:
    """The FunctionDef that does with built-in ops what a node of ours does."""
    folds = node.op == FOLD
    expression: Callable[..., tf.Tensor] = (
        builtin_ops.fold_patches if folds else builtin_ops.extract_patches_of_bool
    )
    signature = [
        tf.TensorSpec(shape, dtype)
        for shape, dtype in zip(([None] * 4, [4]), _dtypes(node), strict=False)
    ]
    traced = tf.function(
        partial(expression, **_grid(node)), autograph=False
    ).get_concrete_function(*signature)
    function = type(traced.function_def)()
    function.CopyFrom(traced.function_def)
    return function


def _grid(node: Message) -> dict[str, Any]:
    padding = node.attr["padding"].s.decode()
    lists = {name: list(node.attr[name].list.i) for name in _GRID}
    return {**lists, "padding": padding}


def _dtypes(node: Message) -> list[tf.DType]:
    """Of the node's inputs."""
    if node.op == EXTRACT:
        return [tf.as_dtype(node.attr["T"].type)]
    # As it is the default, it may have been left out.
    shape = node.attr["Tshape"].type if "Tshape" in node.attr else tf.int64
    return [tf.as_dtype(node.attr["T"].type), tf.as_dtype(shape)]


def _is_call(node: Message) -> bool:
    return _KEPT_OP in node.attr


def _kept_op(node: Message) -> str:
    return _PACKAGE + node.attr[_KEPT_OP].s.decode()


def _restore(node: Message) -> str | None:
    if node.op == BUILT_IN:
        node.op = EXTRACT
        return "patches"
    if not _is_call(node):
        return None
    node.op = _kept_op(node)
    for name in ("f", "Tin", "Tout", _KEPT_OP):
        del node.attr[name]
    for name in [name for name in node.attr if name.startswith(_KEPT)]:
        node.attr[name.removeprefix(_KEPT)].CopyFrom(node.attr[name])
        del node.attr[name]
    return "patches" if node.op == EXTRACT else "images"


def _remove_function(graph: Message, name: str) -> None:
    names = [function.signature.name for function in graph.library.function]
    if name in names:
        del graph.library.function[names.index(name)]


def _rename_gradients(graph: Message, old: str, new: str) -> None:
    """Of nodes that ask for the gradient of another op."""
    for node in all_nodes(graph):
        named = node.attr.get("_gradient_op_type")
        if named is not None and named.s == old.encode():
            named.s = new.encode()
