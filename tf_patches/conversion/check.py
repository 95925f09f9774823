"""Runs a model and what it was converted to, and compares every bit."""

import gc
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import Message

from tf_patches.conversion import graph, made_inputs
from tf_patches.conversion.error import ConversionError

_Tensors = list[tf.Tensor]
_Arrays = list[np.ndarray]

_VARIABLES = "the variables afterwards"
_FAILURES = (tf.errors.OpError, ValueError, TypeError)


def saved_models(
    original: Path,
    converted: Path,
    tags: Sequence[str],
    holds: Callable[[Message], bool],
    given: Mapping[str, Any] | None,
) -> list[str]:
    """Checks that all functions that conversion touched give what they gave.

    Args:
      original: The folder of the SavedModel that was converted.
      converted: The folder of what it was converted to.
      tags: Of the graph to look at, if there are several.
      holds: Whether a node of the original is one that was converted.
      given: Inputs by the function's name, of the functions to run. Without,
        all are run, on inputs made up.

    Returns:
      The names of the functions that gave the same; those that never do give
      a warning.

    Raises:
      ConversionError: If a result differs, or if nothing could be run.
    """
    model = _Model(original, tags, holds)
    inputs = {
        name: _inputs(name, function, given)
        for name, function in model.functions(given).items()
    }
    if not inputs:
        raise ConversionError(
            "No signature and no function of the model holds the ops to convert, so "
            "that the result could not be run to check it."
        )
    try:
        expected = _Model(original, tags, holds).run(inputs)
    except _FAILURES as error:
        raise ConversionError(f"The model fails on the inputs: {error}") from error
    try:
        results = _Model(converted, tags).run(inputs)
    except _FAILURES as error:
        raise ConversionError(f"The converted model fails: {error}") from error
    differing = [name for name in expected if not _same(expected, results, name)]
    if differing:
        again = _Model(original, tags, holds).run(inputs)
        random = [name for name in differing if not _same(expected, again, name)]
        _report(differing, random)
    return [name for name in inputs if name not in differing]


def same_arrays(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> bool:
    """Equality to the bit, but any NaN equals any other."""
    return len(ours) == len(theirs) and all(map(_same_array, ours, theirs))


def arrays(results: Any) -> _Arrays:
    """What a function returned, as a flat list."""
    flat = tf.nest.flatten(results, expand_composites=True)
    return [np.asarray(tensor) for tensor in flat if tf.is_tensor(tensor)]


class _Model:
    """A loaded SavedModel, fresh: what it runs may change its variables."""

    def __init__(
        self,
        folder: Path,
        tags: Sequence[str],
        holds: Callable[[Message], bool] | None = None,
    ) -> None:
        gc.collect()  # the one before
        self._holds = holds
        try:
            self._model = tf.saved_model.load(str(folder), list(tags))
        except _FAILURES as error:
            raise ConversionError(f"{folder} cannot be loaded: {error}") from error

    def functions(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        """Those to run, by name."""
        every = dict(_functions(self._model))
        if given is None:
            return {name: f for name, f in every.items() if self._is_touched(f)}
        unknown = sorted(set(given) - set(every))
        if unknown:
            raise ConversionError(
                f"inputs are given for {', '.join(map(repr, unknown))}, but the "
                f"model has only {', '.join(map(repr, every))}."
            )
        return {name: every[name] for name in given}

    def run(self, inputs: Mapping[str, _Tensors]) -> dict[str, _Arrays]:
        every = dict(_functions(self._model))
        results = {
            name: arrays(_call(every[name], tensors))
            for name, tensors in inputs.items()
        }
        variables = [
            np.asarray(tensor)
            for tensor in tf.train.TrackableView(self._model).descendants()
            if isinstance(tensor, tf.Variable)
        ]
        return {**results, _VARIABLES: variables}

    def _is_touched(self, function: Any) -> bool:
        nodes = graph.all_nodes(function.graph.as_graph_def())
        return self._holds is not None and any(map(self._holds, nodes))


def _functions(model: Any) -> Iterator[tuple[str, Any]]:
    """The concrete functions of a loaded model by name: signatures, then others."""
    signatures = dict(model.signatures)
    yield from signatures.items()
    for path, part in _parts(model):
        for name, member in sorted(_members(part)):
            if not isinstance(member, tf.types.experimental.PolymorphicFunction):
                continue
            for i, concrete in enumerate(getattr(member, "concrete_functions", ())):
                yield path + name + (f"#{i + 1}" if i else ""), concrete


def _members(part: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(part, Mapping):
        return ((str(name), member) for name, member in part.items())
    if isinstance(part, Sequence):
        return ((str(i), member) for i, member in enumerate(part))
    return vars(part).items()


def _parts(model: Any) -> Iterator[tuple[str, Any]]:
    """All that a loaded model is made of, once each, and how to get there."""
    view = tf.train.TrackableView(model)
    seen = {id(model)}
    waiting = [("", model)]
    while waiting:
        path, part = waiting.pop(0)
        yield path, part
        for name, child in view.children(part).items():
            if id(child) not in seen:
                seen.add(id(child))
                waiting.append((f"{path}{name}.", child))


def _signature(function: Any) -> tuple[list[Any], list[tf.TypeSpec]]:
    """The arguments of a function, flat, and those of them that are tensors."""
    flat = tf.nest.flatten(function.structured_input_signature)
    return flat, [leaf for leaf in flat if isinstance(leaf, tf.TypeSpec)]


def _call(function: Any, tensors: _Tensors) -> Any:
    remaining = iter(tensors)
    flat, _ = _signature(function)
    flat = [next(remaining) if isinstance(leaf, tf.TypeSpec) else leaf for leaf in flat]
    positional, named = tf.nest.pack_sequence_as(
        function.structured_input_signature, flat
    )
    return function(*positional, **named)


def _inputs(name: str, function: Any, given: Mapping[str, Any] | None) -> _Tensors:
    _, specs = _signature(function)
    if given is not None:
        return _given_inputs(name, specs, given[name])
    try:
        return made_inputs.that_run(specs, partial(_call, function), _FAILURES)
    except made_inputs.NoInputsError as error:
        described = ", ".join(f"{_name(spec)}: {spec}" for spec in specs)
        raise ConversionError(
            f"{name} cannot be run on inputs made up, to check that the converted "
            f"model does the same: {error}. Pass inputs={{{name!r}: ...}}, for "
            f"{described}."
        ) from error


def _given_inputs(name: str, specs: Sequence[Any], values: Any) -> _Tensors:
    names = [_name(spec) for spec in specs]
    if isinstance(values, Mapping):
        if set(values) != set(names):
            raise ConversionError(
                f"{name} takes {', '.join(map(repr, names))}, but inputs has "
                f"{', '.join(map(repr, values)) or 'none'} for it."
            )
        values = [values[argument] for argument in names]
    if not isinstance(values, Sequence):
        raise ConversionError(
            f"inputs for {name} must be a list or a dictionary, but are {values!r}."
        )
    if len(values) != len(names):
        raise ConversionError(
            f"{name} takes {len(names)} inputs, {', '.join(map(repr, names))}, "
            f"but inputs has {len(values)} for it."
        )
    try:
        return [_tensor(value, spec) for value, spec in zip(values, specs, strict=True)]
    except _FAILURES as error:
        raise ConversionError(f"{name} cannot take the inputs: {error}") from error


def _name(spec: Any) -> str | None:
    return getattr(spec, "name", None)  # ragged and sparse ones have none


def _tensor(value: Any, spec: Any) -> Any:
    if isinstance(spec, tf.TensorSpec):
        return tf.convert_to_tensor(value, spec.dtype)
    if not spec.is_compatible_with(value):
        raise TypeError(f"{value!r} is not compatible with {spec}")
    return value


def _same(one: Mapping[str, _Arrays], other: Mapping[str, _Arrays], name: str) -> bool:
    return same_arrays(one[name], other[name])


def _report(differing: Sequence[str], random: Sequence[str]) -> None:
    wrong = [name for name in differing if name not in random]
    if wrong:
        raise ConversionError(
            f"The converted model gives other results: {', '.join(wrong)}."
        )
    warnings.warn(
        f"Not compared, as they are never twice the same: {', '.join(random)}.",
        stacklevel=2,
    )


def _same_array(one: np.ndarray, other: np.ndarray) -> bool:
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if one.dtype == object:
        return np.array_equal(one, other)
    if one.dtype.kind == "c":
        return _same_array(one.real, other.real) and _same_array(one.imag, other.imag)
    same = _bits(one) == _bits(other)
    with np.errstate(invalid="ignore"):
        return bool(np.all(same | ((one != one) & (other != other))))


def _bits(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).view(f"u{array.itemsize}").reshape(array.shape)
