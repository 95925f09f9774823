"""Where patches lie, and which are flipped, as the ops take it."""

from typing import Any

import numpy as np
import tensorflow as tf

from tf_patches.arguments import invalid, shape_text

_LARGEST = 2**63 - 1


def read_positions(positions: Any) -> tf.Tensor:
    """Positions as a tensor of int32 or int64."""
    positions = _tensor(positions, "positions", _forms("axes"), np.int64)
    if positions.dtype in (tf.int32, tf.int64):
        return positions
    if not positions.dtype.is_integer:
        message = f"positions must be integers, but got {positions.dtype.name}."
        if positions.dtype.is_floating:
            message += " Round them: tf.cast(tf.round(positions), tf.int32)."
        raise TypeError(message)
    if positions.dtype == tf.uint64:  # larger numbers would become negative
        positions = tf.minimum(positions, tf.constant(_LARGEST, tf.uint64))
    return tf.cast(positions, tf.int64)


def fit_positions(
    positions: tf.Tensor, axes: int, tensor: str, shape: tf.TensorShape
) -> tf.Tensor:
    """Positions, checked to have as many axes of space as `tensor` of a shape."""
    given = positions.shape
    if given == [0]:  # an empty list
        return tf.reshape(positions, [0, axes])
    if given.rank is None or (given.rank in (2, 3) and given[-1] in (axes, None)):
        return positions
    message = (
        f"positions must be {_forms(axes)} for {tensor} of shape {shape_text(shape)}, "
        f"but got shape {shape_text(given)}."
    )
    if given.rank and given[-1] == axes + 1:
        message += f" If the batch axis is missing, add it: {tensor}[tf.newaxis]."
    invalid(message)


def read_flips(flips: Any, positions: tf.Tensor, axes: int) -> tf.Tensor:
    """Flips as a tensor in the form of positions, or empty for none."""
    if flips is None:
        return tf.constant([], tf.bool)
    forms = f"[{axes}], {_forms(axes)}"
    flips = _tensor(flips, "flips", forms, np.bool_)
    if flips.dtype != tf.bool:
        raise TypeError(f"flips must be bool, but got {flips.dtype.name}.")
    given = flips.shape
    if given == [0]:  # an empty list
        return tf.reshape(flips, [0, axes])
    if given.rank is None:
        return flips
    if given.rank not in (1, 2, 3) or given[-1] not in (axes, None):
        invalid(
            f"flips must be {forms}, in the form of positions, but got shape "
            f"{shape_text(given)}."
        )
    if given.rank > 1:
        return flips
    form = positions.shape[-2:]
    known = form.is_fully_defined()
    return tf.broadcast_to(flips, form if known else tf.shape(positions)[-2:])


def _forms(axes: int | str) -> str:
    return f"[count, {axes}] or [batch, count, {axes}]"


def _tensor(values: Any, name: str, forms: str, dtype: type[np.generic]) -> tf.Tensor:
    """Values as a tensor; an empty list has `dtype`.

    TensorFlow would cast lists to int32, and empty lists to floats.
    """
    if values is None:
        raise TypeError(f"{name} must be {forms}, but got None.")
    if isinstance(values, (list, tuple)) and not _holds_tensors(values):
        try:
            array = np.asarray(values)
        except ValueError:  # not a rectangle
            array = np.empty([], object)
        if array.dtype == object:
            invalid(f"{name} must be {forms}, but got {values!r}.")
        if array.dtype.kind == "f" and _are_integers(values):  # too large for 64 bits
            invalid(f"{name} must hold integers of 64 bits, but got {values!r}.")
        values = array if array.size else array.astype(dtype)
    return tf.convert_to_tensor(values)


def _holds_tensors(values: Any) -> bool:
    return any(tf.is_tensor(value) for value in tf.nest.flatten(values))


def _are_integers(values: Any) -> bool:
    leaves = tf.nest.flatten(values)
    return bool(leaves) and all(isinstance(value, int) for value in leaves)
