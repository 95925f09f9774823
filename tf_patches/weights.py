"""Reads the weights of the values in patches."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_patches.arguments import invalid, shape_text


class Weights(NamedTuple):
    """The weights of patches: one of the two, or none; the rest is empty."""

    window: tf.Tensor  # [*sizes]
    profiles: tf.Tensor  # [count or 1, sum of sizes]


def read_weights(weights: Any, patches: tf.Tensor, sizes: Sequence[int]) -> Weights:
    """Reads weights: a window, or factors of the axes."""
    none = tf.constant([], patches.dtype)
    if weights is None:
        return Weights(none, none)
    if not _are_factors(weights, len(sizes)):
        return Weights(_read_window(weights, patches, sizes), none)
    factors = _read_factors(weights, patches, sizes, may_differ=True)
    return Weights(none, _join(factors, patches))


def read_window(weights: Any, patches: tf.Tensor, sizes: Sequence[int]) -> tf.Tensor:
    """Reads weights that are the same for all patches, as a window; empty for none."""
    if weights is None:
        return tf.constant([], patches.dtype)
    if not _are_factors(weights, len(sizes)):
        return _read_window(weights, patches, sizes)
    factors = _read_factors(weights, patches, sizes, may_differ=False)
    return tf.squeeze(outer_product(tf.concat(factors, 1), sizes), 0)


def outer_product(profiles: tf.Tensor, sizes: Sequence[int]) -> tf.Tensor:
    """The windows of profiles, [count or 1, *sizes]."""
    first, *rest = factors_of(profiles, sizes)
    for factor in rest:
        first = first * factor
    return first


def factors_of(profiles: tf.Tensor, sizes: Sequence[int]) -> list[tf.Tensor]:
    """The factors of the axes, each of the rank of the windows, `1 + len(sizes)`."""
    rows = tf.shape(profiles, out_type=tf.int64)[0]
    factors = []
    for axis, factor in enumerate(tf.split(profiles, sizes, axis=1)):
        shape: list[Any] = [1] * len(sizes)
        shape[axis] = sizes[axis]
        factors.append(tf.reshape(factor, tf.stack([rows, *shape])))
    return factors


def are_given(weights: tf.Tensor) -> bool:
    """Whether a window or profiles are not empty."""
    return weights.shape != [0]


def as_patches_have_them(
    window: tf.Tensor, profiles: tf.Tensor, sizes: Sequence[int]
) -> tf.Tensor | None:
    """The weights of patches, `[*sizes, 1]` or `[count or 1, *sizes, 1]`, or None."""
    if are_given(window):
        return window[..., tf.newaxis]
    if are_given(profiles):
        return outer_product(profiles, sizes)[..., tf.newaxis]
    return None


def counted(values: tf.Tensor, *factors: tf.Tensor) -> tf.Tensor:
    """Values, with 0 for each value that is not finite and has a factor of 0."""
    is_left_out = tf.zeros([], tf.bool)
    for factor in factors:
        is_left_out |= tf.equal(factor, tf.zeros([], factor.dtype))
    is_left_out &= ~_is_finite(values)
    return tf.where(is_left_out, tf.zeros([], values.dtype), values)


def wide(numbers: tf.Tensor) -> tf.Tensor:
    """Numbers in the dtype of weighted sums: float32 for floats of 16 bits."""
    if numbers.dtype in (tf.float16, tf.bfloat16):
        return tf.cast(numbers, tf.float32)
    return numbers


def profiles_gradient(
    gradient: tf.Tensor, profiles: tf.Tensor, sizes: Sequence[int]
) -> tf.Tensor:
    """The gradient of profiles, from the gradient of the window of each patch."""
    factors = factors_of(profiles, sizes)
    parts = []
    for axis in range(len(sizes)):
        part = gradient
        for other, factor in enumerate(factors):
            if other != axis:
                part *= tf.math.conj(factor)
        others = [i for i in range(1, len(sizes) + 1) if i != axis + 1]
        parts.append(tf.reduce_sum(part, others))
    each = tf.concat(parts, 1)
    rows = tf.shape(profiles)[0]
    # There is a profile for each patch, or a profile for all patches.
    patches = tf.shape(each)[0] // tf.maximum(rows, 1)
    return tf.reduce_sum(tf.reshape(each, tf.stack([rows, patches, sum(sizes)])), 1)


def _are_factors(weights: Any, axes: int) -> bool:
    if not isinstance(weights, (list, tuple)) or len(weights) != axes:
        return False
    return all(_has_axes(factor) for factor in weights)


def _has_axes(factor: Any) -> bool:
    if tf.is_tensor(factor) or isinstance(factor, np.ndarray):
        return factor.shape.rank != 0 if tf.is_tensor(factor) else factor.ndim > 0
    return isinstance(factor, (list, tuple))


def _is_finite(values: tf.Tensor) -> tf.Tensor:
    if values.dtype.is_integer:
        return tf.constant(True)
    if not values.dtype.is_complex:
        return tf.math.is_finite(values)
    real, imaginary = tf.math.real(values), tf.math.imag(values)
    return tf.math.is_finite(real) & tf.math.is_finite(imaginary)


def _read_window(weights: Any, patches: tf.Tensor, sizes: Sequence[int]) -> tf.Tensor:
    window = _read(weights, patches.dtype, "weights")
    if not window.shape.is_compatible_with(sizes):
        invalid(
            f"weights must have the shape of a patch, {list(sizes)}, or be a list with "
            "a factor for each axis of space, but got shape "
            f"{shape_text(window.shape)}."
        )
    return tf.ensure_shape(window, sizes)


def _read_factors(
    weights: Any, patches: tf.Tensor, sizes: Sequence[int], may_differ: bool
) -> list[tf.Tensor]:
    """The factor of each axis: [1, size], or [count, size] if patches differ."""
    return [
        _read_factor(factor, f"weights[{axis}]", patches, size, may_differ)
        for axis, (factor, size) in enumerate(zip(weights, sizes, strict=True))
    ]


def _read_factor(
    factor: Any, name: str, patches: tf.Tensor, size: int, may_differ: bool
) -> tf.Tensor:
    factor = _read(factor, patches.dtype, name)
    given = factor.shape
    if given.rank is None:
        invalid(f"{name} must have a known rank. Pass tf.ensure_shape({name}, ...).")
    if given.is_compatible_with([size]):
        return tf.ensure_shape(factor, [size])[tf.newaxis]
    of_each = [patches.shape[1], size]
    if may_differ and given.is_compatible_with(of_each):
        return tf.ensure_shape(factor, of_each)
    forms = f"[{size}] or [count, {size}]" if may_differ else f"[{size}]"
    invalid(
        f"{name} must be {forms} for patches of shape {shape_text(patches.shape)}, but "
        f"got shape {shape_text(given)}. A list with an item for each axis of space "
        "holds factors; pass a window as an array or a tensor."
    )


def _join(factors: list[tf.Tensor], patches: tf.Tensor) -> tf.Tensor:
    """Profiles from factors, which each patch has of its own, or all have in common."""
    if all(factor.shape[0] == 1 for factor in factors):
        return tf.concat(factors, 1)
    count = tf.shape(patches)[1]
    factors = [tf.broadcast_to(f, tf.stack([count, f.shape[1]])) for f in factors]
    return tf.concat(factors, 1)


def _read(values: Any, dtype: tf.DType, name: str) -> tf.Tensor:
    """Numbers of Python or NumPy in a dtype; tensors must already have the dtype."""
    if isinstance(values, (list, tuple)) and any(map(tf.is_tensor, values)):
        values = tf.convert_to_tensor(values)
    if not tf.is_tensor(values):
        return tf.constant(_as_dtype(values, dtype, name))
    tensor = tf.convert_to_tensor(values)
    if tensor.dtype != dtype:
        raise TypeError(
            f"{name} must have the dtype of patches, {dtype.name}, but got "
            f"{tensor.dtype.name}. Pass tf.cast({name}, patches.dtype)."
        )
    return tensor


def _as_dtype(values: Any, dtype: tf.DType, name: str) -> np.ndarray:
    try:
        array = np.asarray(values)
        kind = tf.as_dtype(array.dtype)
    except (TypeError, ValueError):  # not a rectangle, or not a dtype of TensorFlow
        kind = tf.string
    if not (kind.is_bool or kind.is_integer or kind.is_floating or kind.is_complex):
        raise TypeError(f"{name} must be numbers, but got {values!r}.")
    if kind.is_complex and not dtype.is_complex:
        invalid(f"{name} must be numbers of {dtype.name}, but got {values!r}.")
    with np.errstate(all="ignore"):
        cast = array.astype(dtype.as_numpy_dtype)
        lost = cast != array if dtype.is_integer else np.isinf(cast) & ~np.isinf(array)
    if np.any(lost):
        invalid(f"{name} must be numbers of {dtype.name}, but got {values!r}.")
    return cast
