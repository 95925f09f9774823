"""Makes TensorFlow's own ops use our CPU kernel and our gradient."""

import os
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from tf_patches import native
from tf_patches.gradients import fold_gradient
from tf_patches.registry import attributes
from tf_patches.vectorized import register_extraction

_VARIABLE = "TF_PATCHES_ACCELERATE"


class _Op(NamedTuple):
    run: Callable[..., tf.Tensor]
    attributes: tuple[str, ...]


_OPS = {
    "ExtractImagePatches": _Op(
        lambda images, **grid: tf.raw_ops.ExtractImagePatches(images=images, **grid),
        ("ksizes", "strides", "rates", "padding"),
    ),
    "ExtractVolumePatches": _Op(
        lambda volumes, **grid: tf.raw_ops.ExtractVolumePatches(input=volumes, **grid),
        ("ksizes", "strides", "padding"),
    ),
}

_lock = threading.Lock()
_original_gradients: dict[str, Callable[..., Any]] = {}


def accelerate(gradients: bool = True) -> None:
    """Makes TensorFlow's own ops run our CPU kernel, in the whole process.

    After the call these give the same patches to the bit, as fast as
    `tf_patches.extract_patches`: `tf.image.extract_patches`,
    `tf.compat.v1.extract_image_patches`, `tf.extract_volume_patches`,
    `tf.raw_ops.ExtractImagePatches`, `tf.raw_ops.ExtractVolumePatches`, and every
    function, Keras model and SavedModel that holds the ops. Their gradient becomes the
    gradient of `tf_patches.extract_patches`. If TensorFlow's own gradient is correct,
    ours is the same to the bit, except for NaN payloads if several NaNs are added. Ours
    is also correct above 2^24 pixels, for unknown shapes and for an empty batch.
    Jacobians and `tf.vectorized_map` run the op once, not once for each element.
    Images of bool and volumes of complex numbers still raise TensorFlow's error: a
    model with them would run nowhere else.

    Call it first. Or set `TF_PATCHES_ACCELERATE=1` in the environment: then `import
    tf_patches` calls it. It may be called at any time and from any thread. It cannot be
    undone. Functions that ran before and SavedModels that are loaded switch too, except
    gradients that were traced before, and fetches that a `tf.compat.v1.Session` has
    run. Stateful ops, such as random numbers, restart, as after `tf.random.set_seed`.

    Only the CPU kernel is replaced. On a GPU and under XLA, TensorFlow's own kernels
    run. If a GPU or a similar device is visible, gradients are TensorFlow's own too,
    except for ops that are placed on a CPU explicitly or that ran on a CPU eagerly. So
    nothing leaves its device. This has not been tried on a GPU.

    A function that is saved afterwards holds only TensorFlow's ops, and loads anywhere.
    But a function that computes gradients itself holds `TFPatches>FoldPatches`: a
    process that loads it must `import tf_patches`. Trace it under
    `accelerate(gradients=False)` to avoid this.

    Args:
      gradients: Whether the gradient becomes ours. The last call decides.

    Raises:
      RuntimeError: If this version of TensorFlow has changed in a way that we do not
        know.

    Examples:
      >>> image = tf.reshape(tf.range(16.0), [1, 4, 4, 1])
      >>> tf_patches.accelerate()
      >>> tf.image.extract_patches(
      ...     image, sizes=[1, 2, 2, 1], strides=[1, 2, 2, 1],
      ...     rates=[1, 1, 1, 1], padding="VALID")[0, 0].numpy()
      array([[0., 1., 4., 5.],
             [2., 3., 6., 7.]], dtype=float32)
      >>> tf_patches.is_accelerated()
      True
    """
    with _lock:
        try:
            from tensorflow.python.eager import context
            from tensorflow.python.framework import ops as framework

            registry = framework.gradient_registry._registry
            registered = {name: registry[name]["type"] for name in _OPS}
            clear_kernel_cache = context.context().clear_kernel_cache
        except (ImportError, AttributeError, LookupError, TypeError) as error:
            raise RuntimeError(
                f"tf_patches cannot accelerate TensorFlow {tf.__version__}: this "
                "version keeps its kernels and gradients in a place that tf_patches "
                f"does not know ({error!r})."
            ) from error
        if not _original_gradients:
            native.load_override()
            clear_kernel_cache()
            for name, op in _OPS.items():
                register_extraction(name, op.run, op.attributes)
            _skip_tensor_search()
            _original_gradients.update(registered)
        for name, original in _original_gradients.items():
            chosen = _choose(original) if gradients else original
            registry[name]["type"] = chosen


def _skip_tensor_search() -> None:
    """Makes TensorFlow not search for tensors in lists of plain integers.

    The search takes several times as long as the rest of a small eager call.
    TensorFlow 2.20 and older versions do not search.
    """
    try:
        from tensorflow.python.ops import array_ops

        search = array_ops._get_int_list_attr
    except (ImportError, AttributeError):
        return

    def integers(values: Any, name: str) -> Any:
        if isinstance(values, (list, tuple)) and set(map(type, values)) == {int}:
            return list(values)
        return search(values, name)

    array_ops._get_int_list_attr = integers


def is_accelerated() -> bool:
    """Says whether TensorFlow's own ops run our CPU kernel.

    Returns:
      Whether `accelerate` has been called in this process.

    Examples:
      >>> tf_patches.is_accelerated()
      False
    """
    return bool(_original_gradients)


def is_wanted() -> bool:
    """Says whether the environment asks for `accelerate`.

    Raises:
      ValueError: If the variable is neither 1, 0 nor empty.
    """
    value = os.environ.get(_VARIABLE, "")
    if value not in ("", "0", "1"):
        raise ValueError(f"{_VARIABLE} must be 1, 0 or empty, but is {value!r}.")
    return value == "1"


def _choose(original: Callable[..., Any]) -> Callable[..., Any]:
    """A gradient: ours, or `original` if ours would leave a device."""

    def gradient_of(op: tf.Operation, gradient: Any) -> Any:
        ours = _is_on_cpu(op, gradient)
        return (_our_gradient if ours else original)(op, gradient)

    return gradient_of


def _our_gradient(op: tf.Operation, gradient: Any) -> tf.Tensor:
    grid = attributes(op, _OPS[op.type].attributes)
    if op.type == "ExtractVolumePatches":
        grid["rates"] = [1] * len(grid["ksizes"])
        if tf.compat.as_str(grid["padding"]) == "SAME":
            grid["padding"] = "SAME_UNCLAMPED"
        if gradient.shape.rank == 4:
            # TensorFlow's inference for volumes of unknown rank is wrong.
            gradient = tf.compat.v1.placeholder_with_default(gradient, None)
        if gradient.dtype == tf.float16:
            # For volumes, unlike images, TensorFlow rounds only the whole sum.
            wide = fold_gradient(op, tf.cast(gradient, tf.float32), **grid)
            return tf.cast(wide, tf.float16)
    return fold_gradient(op, gradient, **grid)


def _is_on_cpu(op: Any, gradient: Any) -> bool:
    """Whether the fold, which has only a CPU kernel, moves nothing."""
    if isinstance(op, tf.Operation):
        devices = [op.device]  # empty until TensorFlow places it
    else:
        devices = [op.inputs[0].device, gradient.device]
    return all(map(_is_cpu, devices)) or not _other_devices()


def _is_cpu(device: str) -> bool:
    return tf.DeviceSpec.from_string(device).device_type == "CPU"


def _other_devices() -> list[Any]:
    devices = tf.config.get_visible_devices()
    return [device for device in devices if device.device_type != "CPU"]
