"""Converts Keras models: clones them with operations and Lambda layers exchanged."""

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tf_patches import ops
from tf_patches.conversion import check, graph, keras_expressions, made_inputs
from tf_patches.conversion.error import ConversionError
from tf_patches.keras_operations import ExtractPatches, FoldPatches

_OURS = (ops.extract_patches, ops.extract_image_patches, ops.fold_patches)
_BUILT_IN = {
    tf.image.extract_patches: ops.extract_patches,
    tf.compat.v1.image.extract_image_patches: ops.extract_image_patches,
}
_TO_A_FOLDER = "Convert to a SavedModel instead: name a folder, not a .keras file."


def load(path: Path) -> Any:
    """The model in a `.keras` file."""
    try:
        return keras.models.load_model(path)
    except Exception as error:  # of any class, as Keras runs code of the user's
        raise ConversionError(f"Keras cannot load {path}: {error}") from error


def export(model: Any, folder: Path) -> None:
    """Writes a model as a SavedModel."""
    if not isinstance(model, keras.Model):
        raise ConversionError(
            "A model is a SavedModel's folder, a .keras file or a Keras model, but "
            f"got {model!r}."
        )
    model.export(folder, verbose=False)


def to_builtin(model: Any) -> tuple[Any, dict[str, int]]:
    """A model of Keras' own operations, and how many were exchanged, by op."""
    return _converted(model, _without_ours, graph.holds_ours)


def from_builtin(model: Any) -> tuple[Any, dict[str, int]]:
    """A model of our operations, and how many were exchanged, by op."""
    return _converted(model, _with_ours, lambda node: node.op == graph.BUILT_IN)


def check_same(model: Any, converted: Any, inputs: Any) -> None:
    """Runs both, on inputs made up if none are given.

    Raises:
      ConversionError: If their results differ, or no input can be made up.
    """
    if inputs is None:
        inputs = _made_inputs(model)
    try:
        expected = check.arrays(model(inputs, training=False))
    except Exception as error:  # of any class, as this is the user's code
        raise ConversionError(f"The model cannot run on inputs: {error}") from error
    results = check.arrays(converted(inputs, training=False))
    if not check.same_arrays(results, expected):
        raise ConversionError("The converted model gives other results.")


def _converted(
    model: Any,
    exchange: Callable[[Any], tuple[str, Any] | None],
    holds: Callable[[Any], bool],
) -> tuple[Any, dict[str, int]]:
    if not isinstance(model, (keras.Sequential, keras.src.models.Functional)):
        raise ConversionError(
            f"{model!r} is not a functional or sequential model: what it does is code "
            f"of its own, which cannot be converted. {_TO_A_FOLDER}"
        )
    if not model.built:
        raise ConversionError(
            f"{model.name} has no input yet: call it once, or build it."
        )
    converted: dict[str, int] = {}

    def clone(operation: Any) -> Any:
        exchanged = exchange(operation)
        if exchanged is None:
            return type(operation).from_config(operation.get_config())
        op, new = exchanged
        converted[op] = converted.get(op, 0) + 1
        return new

    new = keras.models.clone_model(
        model, _named_inputs(model), clone_function=clone, recursive=True
    )
    if any(map(holds, graph.all_nodes(_traced(new)))):
        raise ConversionError(
            "The model takes patches in code of its own (a layer's, or a function's "
            f"in a Lambda layer), which cannot be converted. {_TO_A_FOLDER}"
        )
    _copy_variables(model, new)
    return new, converted


def _named_inputs(model: Any) -> Any:
    """Inputs of the same names, which a clone does not give its own."""
    if isinstance(model, keras.Sequential):
        return None  # but for this one

    def like(tensor: Any) -> Any:
        layer = tensor._keras_history.operation
        return keras.Input(
            batch_shape=tensor.shape,
            dtype=tensor.dtype,
            sparse=tensor.sparse,
            name=layer.name,
            optional=layer.optional,
        )

    return keras.tree.map_structure(like, model.input)


def _copy_variables(model: Any, new: Any) -> None:
    sources, targets = list(model.variables), list(new.variables)
    if model.compiled and model.optimizer.built:
        if not new.optimizer.built:
            new.optimizer.build(new.trainable_variables)
        sources += model.optimizer.variables
        targets += new.optimizer.variables
    for source, target in zip(sources, targets, strict=True):
        target.assign(source)


def _specs(model: Any) -> Any:
    # A sequential model has an `input` only once it is called on a symbolic one.
    inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    return keras.tree.map_structure(
        lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), inputs
    )


def _traced(model: Any) -> Any:
    function = tf.function(lambda inputs: model(inputs, training=False))
    return function.get_concrete_function(_specs(model)).graph.as_graph_def()


def _made_inputs(model: Any) -> Any:
    specs = _specs(model)

    def run(tensors: list[tf.Tensor]) -> None:
        model(tf.nest.pack_sequence_as(specs, tensors), training=False)

    try:  # the model may raise any class, as it is the user's code
        tensors = made_inputs.that_run(tf.nest.flatten(specs), run, Exception)
    except made_inputs.NoInputsError as error:
        raise ConversionError(
            f"The model cannot be run on inputs made up: {error}. Pass inputs=..., "
            "what it is called with."
        ) from error
    return tf.nest.pack_sequence_as(specs, tensors)


def _without_ours(operation: Any) -> tuple[str, Any] | None:
    if isinstance(operation, ExtractPatches):
        return graph.EXTRACT, _expressed(operation, operation.get_config())
    if isinstance(operation, FoldPatches):
        return graph.FOLD, _expressed(operation, operation.get_config())
    if isinstance(operation, keras.layers.Lambda) and operation.function in _OURS:
        bound = inspect.signature(operation.function).bind(None, **operation.arguments)
        folds = operation.function is ops.fold_patches
        op = graph.FOLD if folds else graph.EXTRACT
        return op, _expressed(operation, bound.arguments)
    return None


def _expressed(operation: Any, arguments: dict[str, Any]) -> Any:
    """A model, to be a layer, of Keras' own operations."""
    tensor = _the_input(operation)
    sizes = arguments.get("sizes")
    grid = keras_expressions.Grid(
        _integers(arguments["ksizes"] if sizes is None else sizes),
        _integers(arguments["strides"]),
        _integers(arguments["rates"]),
        arguments["padding"],
    )
    if "image_shape" in arguments:
        image_shape = tf.TensorShape(arguments["image_shape"]).as_list()
        output = keras_expressions.fold(tensor, image_shape, grid)
    else:
        output = keras_expressions.extract(tensor, grid)
    return keras.Model(tensor, output, name=operation.name)


def _integers(values: Iterable[Any]) -> list[int]:
    return [int(value) for value in values]


def _the_input(operation: Any) -> Any:
    """A symbolic input as that of an operation, which must be alike in all calls."""
    tensors = [node.input_tensors[0] for node in operation._inbound_nodes]
    shapes = {tuple(tensor.shape) for tensor in tensors}
    if len(shapes) != 1:
        raise ConversionError(
            f"{operation.name} is used on images of several shapes, {sorted(shapes)}, "
            f"which Keras' own operations cannot express. {_TO_A_FOLDER}"
        )
    dtype = tensors[0].dtype
    if isinstance(operation, keras.Layer) and tf.as_dtype(dtype).is_floating:
        dtype = operation.compute_dtype  # to which layers cast
    return keras.Input(batch_shape=shapes.pop(), dtype=dtype)


def _with_ours(operation: Any) -> tuple[str, Any] | None:
    if isinstance(operation, keras.layers.Lambda) and operation.function in _BUILT_IN:
        config = operation.get_config()
        ours = _BUILT_IN[operation.function]
        config["function"] = keras.saving.serialize_keras_object(ours)
        return graph.BUILT_IN, keras.layers.Lambda.from_config(config)
    name = f"{type(operation).__module__}.{type(operation).__name__}"
    if name == "keras.src.ops.nn.Unfold":
        tensor = _the_input(operation)
        output = keras_expressions.unfold(tensor, operation)
        return "keras.ops.unfold", keras.Model(tensor, output, name=operation.name)
    if name == "keras.src.ops.image.ExtractPatches":
        new = keras_expressions.our_extract(operation, _the_input(operation).shape)
        return new and ("keras.ops.image.extract_patches", new)
    return None
