"""Inputs made up for functions whose signature is all that is known."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import tensorflow as tf

# What dimensions of unknown extent may be: the first, the last, those between.
_FIRST, _LAST, _BETWEEN = (2, 1), (3, 1, 4, 64), (32, 64, 224, 299)
_RANK = 4  # where that is unknown
_SEED = 7


class NoInputsError(Exception):
    """Nothing that is made up can be run; says why."""


def that_run(
    specs: list[Any],
    run: Callable[[list[tf.Tensor]], object],
    failures: type[Exception] | tuple[type[Exception], ...],
) -> list[tf.Tensor]:
    """The first inputs for `specs` that `run` takes.

    Args:
      specs: `tf.TensorSpec`s of numbers or bool.
      run: What is called with inputs.
      failures: What it raises on those that it does not take.

    Raises:
      NoInputsError: If there are none.
    """
    failure = ""
    for tensors in _candidates(specs):
        try:
            run(tensors)
        except failures as error:
            failure = failure or str(error)
        else:
            return tensors
    raise NoInputsError(failure.rstrip(".") or "they are not all numbers")


def _candidates(specs: list[Any]) -> Iterator[list[tf.Tensor]]:
    """From the likely to the less so; none where a spec is not of numbers or bool."""
    if not all(_can_be_made(spec) for spec in specs):
        return
    seen = set()
    for between, last, first in product(_BETWEEN, _LAST, _FIRST):
        shapes = tuple(_shape(spec.shape, first, between, last) for spec in specs)
        if shapes in seen:
            continue
        seen.add(shapes)
        random = np.random.default_rng(_SEED)
        yield [
            _values(random, shape, spec.dtype)
            for shape, spec in zip(shapes, specs, strict=True)
        ]


def _can_be_made(spec: Any) -> bool:
    return isinstance(spec, tf.TensorSpec) and (
        spec.dtype.is_floating
        or spec.dtype.is_complex
        or spec.dtype.is_integer
        or spec.dtype.is_bool
    )


def _shape(
    shape: tf.TensorShape, first: int, between: int, last: int
) -> tuple[int, ...]:
    dimensions = [None] * _RANK if shape.rank is None else shape.as_list()
    unknown = [between] * len(dimensions)
    unknown[-1:] = [last] * min(1, len(dimensions))
    unknown[:1] = [first] * min(1, len(dimensions))
    return tuple(
        u if dimension is None else dimension
        for dimension, u in zip(dimensions, unknown, strict=True)
    )


def _values(
    random: np.random.Generator, shape: tuple[int, ...], dtype: tf.DType
) -> tf.Tensor:
    if dtype.is_bool:
        return tf.constant(random.integers(0, 2, shape).astype(bool))
    if dtype.is_integer:
        return tf.cast(tf.constant(random.integers(0, 128, shape)), dtype)
    if dtype.is_complex:
        values = random.normal(size=shape) + 1j * random.normal(size=shape)
        return tf.cast(tf.constant(values), dtype)
    return tf.cast(tf.constant(random.normal(size=shape)), dtype)
