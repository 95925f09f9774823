"""The ops as Keras operations, for Keras' symbolic tensors and `.keras` files."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_patches import ops, placed
from tf_patches.arguments import plain
from tf_patches.dispatch import any_symbolic
from tf_patches.image_shape import read_dimensions

_PACKAGE = "tf_patches"


class _WholeName(str):
    """A name that only the whole name finds.

    To load a user's function that is not registered, Keras takes any object whose name
    ends in `>` and the name of the function.
    """

    __slots__ = ()

    def endswith(self, *_: Any) -> bool:
        return False


def _register(value: Any) -> Any:
    """Registers an object for `.keras` files, and by its name in files of 0.1.0."""
    name = value.__name__
    keras.saving.get_custom_objects()[_WholeName(f"{_PACKAGE}>{name}")] = value
    return keras.saving.register_keras_serializable(_PACKAGE, f"{_PACKAGE}.{name}")(
        value
    )


_register(ops.extract_patches)
_register(ops.extract_image_patches)
_register(ops.extract_volume_patches)
_register(ops.fold_patches)
_register(placed.extract_patches_at)
_register(placed.fold_patches_at)


def _is_symbolic(value: Any) -> bool:
    return isinstance(value, keras.KerasTensor)


def _spec(tensor: Any) -> Any:
    spec = tf.SparseTensorSpec if tensor.sparse else tf.TensorSpec
    return spec(tensor.shape, tensor.dtype)


def output_spec(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The Keras tensors that `call` returns for arguments that hold Keras tensors.

    Keras does the same, but wraps TensorFlow's errors.
    """
    arguments = args, kwargs
    symbolic = [x for x in keras.tree.flatten(arguments) if _is_symbolic(x)]

    def call_with(*tensors: Any) -> Any:
        given = iter(tensors)
        args, kwargs = keras.tree.map_structure(
            lambda x: next(given) if _is_symbolic(x) else x, arguments
        )
        return call(*args, **kwargs)

    traced = tf.function(call_with, autograph=False).get_concrete_function(
        *map(_spec, symbolic)
    )
    return keras.tree.map_structure(
        lambda spec: keras.KerasTensor(spec.shape.as_list(), spec.dtype.name),
        traced.structured_outputs,
    )


class _PatchOperation(keras.Operation):
    """An op as a node of a Keras functional model."""

    def __init__(self, name: str | None = None, **grid: Any) -> None:
        super().__init__(name=name)
        self._grid = grid

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return output_spec(self.call, *args, **kwargs)

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
class ExtractPatchesAt(_PatchOperation):
    """`extract_patches_at`."""

    def call(self, images: Any, positions: Any, flips: Any = None) -> Any:
        return placed.extract_patches_at(images, positions, flips=flips, **self._grid)


class _FoldOperation(_PatchOperation):
    """An op that makes images of a given shape."""

    def __init__(
        self, image_shape: Any = None, name: str | None = None, **grid: Any
    ) -> None:
        super().__init__(name, **grid)
        if tf.is_tensor(image_shape):
            image_shape = tf.get_static_value(image_shape)
        if isinstance(image_shape, np.ndarray):
            image_shape = image_shape.tolist()
        self._image_shape = image_shape

    @classmethod
    def of(cls, image_shape: Any, name: str | None, **grid: Any) -> Callable[..., Any]:
        """The op for a shape, which is an input if it holds Keras tensors."""
        image_shape = read_dimensions(image_shape)
        if not any_symbolic(image_shape=image_shape):
            return cls(image_shape, name, **grid)
        operation: Any = cls(None, name, **grid)
        return partial(operation, image_shape=image_shape)

    def get_config(self) -> dict[str, Any]:
        return {"image_shape": self._image_shape, **super().get_config()}

    def _shape(self, given: Any) -> Any:
        return self._image_shape if given is None else given


@_register
class FoldPatches(_FoldOperation):
    """`fold_patches`."""

    def call(self, patches: Any, weights: Any = None, image_shape: Any = None) -> Any:
        return ops.fold_patches(
            patches, self._shape(image_shape), weights=weights, **self._grid
        )


@_register
class FoldPatchesAt(_FoldOperation):
    """`fold_patches_at`."""

    def call(
        self,
        patches: Any,
        positions: Any,
        flips: Any = None,
        weights: Any = None,
        image_shape: Any = None,
    ) -> Any:
        return placed.fold_patches_at(
            patches,
            positions,
            self._shape(image_shape),
            flips=flips,
            weights=weights,
            **self._grid,
        )
