"""The ops as Keras operations, for Keras' symbolic tensors and `.keras` files."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_patches import ops
from tf_patches.arguments import plain
from tf_patches.image_shape import read_dimensions

_PACKAGE = "tf_patches"


class _WholeName(str):
    """A name that is found by nothing shorter.

    When it loads a function of the user's that is not registered, Keras takes any
    object whose name ends in `>` and the function's own name.
    """

    __slots__ = ()

    def endswith(self, *_: Any) -> bool:
        return False


def _register(value: Any) -> Any:
    """Registers what `.keras` files name; those of version 0.1.0 by its name there."""
    name = value.__name__
    keras.saving.get_custom_objects()[_WholeName(f"{_PACKAGE}>{name}")] = value
    return keras.saving.register_keras_serializable(_PACKAGE, f"{_PACKAGE}.{name}")(
        value
    )


_register(ops.extract_patches)
_register(ops.extract_image_patches)
_register(ops.extract_volume_patches)
_register(ops.fold_patches)


def output_spec(call: Callable[..., Any], *inputs: Any) -> Any:
    """The Keras tensor that `call` makes of inputs that hold Keras tensors.

    As Keras finds it, but TensorFlow's errors come through as they are.
    """
    specs = keras.tree.map_structure(_spec, inputs)
    traced = tf.function(call, autograph=False).get_concrete_function(*specs)
    return keras.KerasTensor(traced.output_shapes.as_list(), traced.output_dtypes.name)


def _spec(tensor: Any) -> Any:
    """A Keras tensor as TensorFlow describes it; anything else as it is."""
    if not isinstance(tensor, keras.KerasTensor):
        return tensor
    spec = tf.SparseTensorSpec if tensor.sparse else tf.TensorSpec
    return spec(tensor.shape, tensor.dtype)


class _PatchOperation(keras.Operation):
    """An op as a node of a Keras functional model."""

    def __init__(self, name: str | None = None, **grid: Any) -> None:
        super().__init__(name=name)
        self._grid = grid

    def compute_output_spec(self, *inputs: Any) -> Any:
        return output_spec(self.call, *inputs)

    def get_config(self) -> dict[str, Any]:
        return {**plain(self._grid), "name": self.name}


@_register
class ExtractPatches(_PatchOperation):
    """`extract_patches`."""

    def call(self, images: Any) -> Any:
        return ops.extract_patches(images, **self._grid)


@_register
class ExtractVolumePatches(_PatchOperation):
    """`extract_volume_patches`."""

    def call(self, input: Any) -> Any:
        return ops.extract_volume_patches(input, **self._grid)


@_register
class FoldPatches(_PatchOperation):
    """`fold_patches`."""

    def __init__(
        self, image_shape: Any = None, name: str | None = None, **grid: Any
    ) -> None:
        super().__init__(name, **grid)
        if tf.is_tensor(image_shape):
            image_shape = tf.get_static_value(image_shape)
        if isinstance(image_shape, np.ndarray):
            image_shape = image_shape.tolist()
        self._image_shape = image_shape

    def call(self, patches: Any, image_shape: Any = None) -> Any:
        if image_shape is None:
            image_shape = self._image_shape
        return ops.fold_patches(patches, image_shape, **self._grid)

    def get_config(self) -> dict[str, Any]:
        return {"image_shape": self._image_shape, **super().get_config()}


def fold_patches(patches: Any, image_shape: Any, name: str | None, **grid: Any) -> Any:
    """Folds a Keras tensor; an image shape of Keras tensors is an input too."""
    image_shape = read_dimensions(image_shape)
    parts = keras.tree.flatten(image_shape)
    if any(isinstance(part, keras.KerasTensor) for part in parts):
        return FoldPatches(None, name, **grid)(patches, image_shape)
    return FoldPatches(image_shape, name, **grid)(patches)
