"""Reads the arguments of users for the ops.

Errors have the classes that TensorFlow's own op raises for the same mistakes.
"""

import cmath
import operator
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf

_LEAST, _LARGEST = -(2**31), 2**31 - 1  # of an attribute
_RANKS = (3, 4, 5)
# Images with fewer axes have the last names.
_AXES = ("planes", "rows", "cols")
_PADDINGS = ("VALID", "SAME")
_PAIRS = "pairs of pixels, [[0, 0], [top, bottom], [left, right], [0, 0]]"
_MODES = ("CONSTANT", "REFLECT", "SYMMETRIC", "EDGE", "WRAP")
_REDUCTIONS = ("SUM", "MEAN", "MAX", "MIN")


def invalid(message: str) -> NoReturn:
    """Raises the class that TensorFlow's op raises: graphs have another class."""
    if tf.executing_eagerly():
        raise tf.errors.InvalidArgumentError(None, None, message)
    raise ValueError(message)


def checked(value: Any, condition: Any, message: str) -> Any:
    """`value`, after a check of the condition, now or at run time."""
    known = tf.get_static_value(condition) if tf.is_tensor(condition) else condition
    if known is None:
        with tf.control_dependencies([tf.debugging.Assert(condition, [message])]):
            return tf.identity(value)
    if not known:
        invalid(message)
    return value


def are_plain(
    rank: int | None,
    sizes: Any,
    strides: Any,
    rates: Any,
    padding: Any,
    mode: Any,
    constant: Any = 0,
) -> bool:
    """Whether ops take the arguments as they are: reading them slows tiny calls."""
    if not type(sizes) is type(strides) is type(rates) is list:
        return False
    if not len(sizes) == len(strides) == len(rates) == rank:
        return False
    for value in (*sizes, *strides, *rates):
        if type(value) is not int or not _LEAST <= value <= _LARGEST:
            return False
    if not type(padding) is type(mode) is str or type(constant) is not int:
        return False
    return padding in _PADDINGS and mode == "CONSTANT" and constant == 0


def read_attributes(
    tensor: str,
    shape: tf.TensorShape,
    sizes: Any,
    strides: Any,
    rates: Any,
    padding: Any,
    mode: Any,
    sizes_name: str = "sizes",
) -> dict[str, Any]:
    """The attributes of an op on `tensor`, which is "images" or "patches".

    `sizes_name` is the user's name for the sizes.
    """
    rank = shape.rank if shape.rank in _RANKS else None
    sizes = _read_list(sizes, sizes_name, tensor, shape, rank)
    if rank is None:
        rank = len(sizes)
        shape = tf.TensorShape([None] * rank)
    attributes = {"ksizes": sizes, "strides": sizes, "rates": [1] * len(sizes)}
    for name, values in {"strides": strides, "rates": rates}.items():
        if values is not None:
            attributes[name] = _read_list(values, name, tensor, shape, rank)
    return {**attributes, **_read_border(padding, mode, rank)}


def _read_list(
    values: Any, name: str, tensor: str, shape: tf.TensorShape, rank: int | None
) -> list[int]:
    """Integers as TensorFlow's list, [1, rows, cols, 1]."""
    given = read_integers(values, name)
    if isinstance(given, int):
        if rank is not None:
            return [1, *[given] * (rank - 2), 1]
    elif _is_whole(given, rank):
        return given
    elif rank is not None and len(given) == rank - 2:
        return [1, *given, 1]
    if shape.rank is None:
        invalid(
            f"{name} must be a list, [1, rows, cols, 1], for {tensor} of unknown rank, "
            f"but got {values!r}. Or make the rank known: {tensor} = "
            f"tf.ensure_shape({tensor}, [None, None, None, None])."
        )
    if rank is None:
        invalid(
            f"{tensor} must be [batch, cols, depth], [batch, rows, cols, depth] or "
            f"[batch, planes, rows, cols, depth], but got shape {shape_text(shape)}."
        )
    _refuse_list(values, given, name, tensor, shape, rank)


def _refuse_list(
    values: Any,
    given: int | list[int],
    name: str,
    tensor: str,
    shape: tf.TensorShape,
    rank: int,
) -> NoReturn:
    axes = ", ".join(_AXES[5 - rank :])
    message = (
        f"{name} must be an int, [{axes}] or [1, {axes}, 1] for {tensor} of shape "
        f"{shape_text(shape)}, but got {values!r}."
    )
    if isinstance(given, list) and len(given) in (rank - 1, rank + 1):
        message += f" If the batch axis is missing, add it: {tensor}[tf.newaxis]."
    invalid(message)


def read_of_axes(
    values: Any, name: str, tensor: str, shape: tf.TensorShape, rank: int | None
) -> list[int]:
    """An integer for each axis of space of images with this rank."""
    rank = rank if rank in _RANKS else None
    whole = _read_list(values, name, tensor, shape, rank)
    first, *numbers, last = whole
    if rank is not None and len(whole) != rank:
        _refuse_list(values, whole, name, tensor, shape, rank)
    if first != 1 or last != 1:
        raise tf.errors.UnimplementedError(
            None, None, f"{name} must be 1 for batch and depth, but got {values!r}."
        )
    return numbers


def _is_whole(values: list[int], rank: int | None) -> bool:
    """Whether values are TensorFlow's list, and not a value for each axis of space."""
    length = len(values)
    if rank is None:
        return length > 3 or (length == 3 and values[0] == values[2] == 1)
    # TensorFlow's op reads the first four values of a longer list.
    return length == rank or (rank == 4 and length > 4)


def shape_text(shape: tf.TensorShape) -> str:
    """A shape in the form of the ops' own messages."""
    if shape.rank is None:
        return "?"
    known = ["?" if n is None else str(n) for n in shape]
    return f"[{','.join(known)}]"


def read_integers(values: Any, name: str) -> int | list[int]:
    """An integer or a list of integers, from Python, NumPy or TensorFlow."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu" and values.ndim < 2:
        values = values.tolist()
    elif isinstance(values, tf.TensorShape):
        values = values.as_list()
    if isinstance(values, (list, tuple)):
        return [_read_integer(value, name) for value in values]
    if isinstance(values, (int, np.integer)):
        return _read_integer(values, name)
    message = f"{name} must be an int or a list of ints, but got "
    if values is None and tf.executing_eagerly():
        invalid(f"{message}None.")
    fixed = "; they are fixed when a graph is built" if tf.is_tensor(values) else ""
    raise TypeError(f"{message}{values!r}{fixed}.")


def _read_integer(value: Any, name: str) -> int:
    """An integer. Like in TensorFlow, numbers lose their fraction."""
    if type(value) is int and _LEAST <= value <= _LARGEST:
        return value
    number = tf.get_static_value(value) if tf.is_tensor(value) else value
    try:
        if isinstance(number, (str, bytes)):
            raise TypeError
        integer = int(number)
    except (TypeError, ValueError, OverflowError):
        known = "integers"
        if tf.is_tensor(value):
            known += " that are known when the graph is built"
        raise TypeError(f"{name} must hold {known}, but got {value!r}.") from None
    if not _LEAST <= integer <= _LARGEST:
        invalid(f"{name} must hold integers of 32 bits, but got {value!r}.")
    return integer


def _read_border(padding: Any, mode: Any, rank: int) -> dict[str, Any]:
    """The attributes for the border of images that have `rank` axes."""
    padding, mode = _read_padding(padding), read_mode(mode)
    if isinstance(padding, str):
        return {"padding": padding, "mode": mode}
    if len(padding) != rank:
        invalid(
            f"padding must have {rank} pairs of pixels, a pair for each axis of "
            f"images, but got {padding}."
        )
    flat = [pixels for pair in padding for pixels in pair]
    return {"padding": "EXPLICIT", "explicit_paddings": flat, "mode": mode}


def _read_padding(padding: Any) -> str | list[list[int]]:
    """A name in upper case, or a pair of pixels for each axis."""
    if not isinstance(padding, (list, tuple, np.ndarray)):
        return _read_name(padding, "padding", _PADDINGS, _PAIRS)
    try:
        pairs = [[operator.index(pixels) for pixels in pair] for pair in padding]
    except TypeError:
        raise TypeError(f"padding must be {_PAIRS}, but got {padding!r}.") from None
    for pair in pairs:
        if len(pair) != 2 or not all(0 <= pixels <= _LARGEST for pixels in pair):
            invalid(
                f"padding must be {_PAIRS}, of 0 to {_LARGEST} pixels, "
                f"but got {padding!r}."
            )
    return pairs


def read_mode(mode: Any) -> str:
    """A name in upper case."""
    return _read_name(mode, "mode", _MODES)


def read_reduction(reduction: Any, names: Sequence[str] = _REDUCTIONS) -> str:
    """A name in upper case."""
    return _read_name(reduction, "reduction", names)


def _read_name(name: Any, argument: str, names: Sequence[str], *others: str) -> str:
    text = name.decode(errors="replace") if isinstance(name, bytes) else name
    *most, last = [*names, *others]
    message = f"{argument} must be {', '.join(most)} or {last}, but got {name!r}."
    if not isinstance(text, str):
        raise TypeError(message)
    if text.upper() not in names:
        invalid(message)
    return text.upper()


def read_constant(number: Any, dtype: tf.DType) -> bytes:
    """A number as the bytes of an element of `dtype`; no bytes for zero."""
    if type(number) is int and number == 0:
        return b""
    value = _read_number(number)
    element = _element(value, dtype)
    if element is None:
        invalid(f"constant_values must be a number of {dtype.name}, but got {value!r}.")
    return element if any(element) else b""


def _read_number(number: Any) -> Any:
    """A number of Python."""
    if isinstance(number, (int, float, complex)):
        return number
    value = tf.get_static_value(number) if tf.is_tensor(number) else number
    if isinstance(value, (np.ndarray, np.generic)) and value.ndim == 0:
        return value.item()
    known = " that is known when the graph is built" if tf.is_tensor(number) else ""
    raise TypeError(f"constant_values must be a number{known}, but got {number!r}.")


def _element(value: Any, dtype: tf.DType) -> bytes | None:
    """The bytes of a number in `dtype`, or None if `dtype` does not hold it."""
    is_exact = dtype.is_integer or dtype.is_bool
    is_number = is_exact or dtype.is_floating or dtype.is_complex
    if not is_number or (isinstance(value, complex) and not dtype.is_complex):
        return None
    try:
        number = value if is_exact or dtype.is_complex else float(value)
        with np.errstate(all="ignore"):
            element = np.array(number).astype(dtype.as_numpy_dtype)
    except OverflowError:
        return None
    if is_exact and element.item() != value:
        return None
    if not is_exact and cmath.isfinite(number) and not np.isfinite(element):
        return None
    return element.tobytes()


def plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a function as types of Python, which JSON can hold."""
    return {name: _plain(name, value) for name, value in arguments.items()}


def _plain(name: str, value: Any) -> Any:
    match name:
        case "padding":
            return _read_padding(value)
        case "mode":
            return read_mode(value)
        case "reduction":
            return read_reduction(value)
        case "constant_values":
            return _read_number(value)
    return None if value is None else read_integers(value, name)
