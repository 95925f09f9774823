"""Runs a model and what it was converted to, and compares every bit."""

import gc
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tf_patches.conversion import ConversionError, explained, graph

# Guesses for unknown extents: the first, those between, the last; likely guesses first.
_EXTENTS = list(product((2, 1), (32, 64, 224, 299), (3, 1, 4, 64)))


def same_results(
    original: Path, converted: Path, ops: Sequence[str], given: Mapping | None
) -> list[str]:
    """Runs the functions `given`, or all that hold `ops`; returns what was compared."""
    _, functions = _load(original)
    if given is None:
        held = {name: f for name, f in functions.items() if _holds(f, ops)}
        inputs = {name: _generated(name, f) for name, f in held.items()}
    else:
        inputs = {name: _given(name, functions, given[name]) for name in given}
    if not inputs:
        raise ConversionError("No function that holds the ops can be run")
    with explained("The model fails on the inputs"):
        expected = _run(original, inputs)
    with explained("The converted model fails"):
        results = _run(converted, inputs)
    differing = [name for name in expected if results[name] != expected[name]]
    if differing:
        again = _run(original, inputs)
        if wrong := [name for name in differing if again[name] == expected[name]]:
            raise ConversionError(f"The converted model gives other results: {wrong}")
        random = f"Not compared, because results differ from run to run: {differing}"
        warnings.warn(random, stacklevel=2)
    return [name for name in inputs if name not in differing]


def _holds(function: Any, ops: Sequence[str]) -> bool:
    nodes = graph.all_nodes(function.graph.as_graph_def())
    return any(node.op in ops for node in nodes)


def _load(folder: Path) -> tuple[Any, dict[str, Any]]:
    """A model, and its functions by name: signatures, then functions of all parts."""

    def walk(part: Any, path: str) -> Iterator[tuple[str, Any]]:
        for name, child in sorted(tf.train.TrackableView.children(part).items()):
            if id(child) not in seen:
                seen.add(id(child))
                for i, function in enumerate(getattr(child, "concrete_functions", ())):
                    yield path + name + (f"#{i + 1}" if i else ""), function
                yield from walk(child, f"{path}{name}.")

    gc.collect()  # the model before
    with explained(f"{folder} cannot be loaded"):
        model = tf.saved_model.load(str(folder))
        seen = {id(model)}
        return model, dict(model.signatures) | dict(walk(model, ""))


def _run(folder: Path, inputs: dict[str, Any]) -> dict[str, Any]:
    """The bits of all results. Loads the model anew, because running may change it."""
    model, functions = _load(folder)
    results = {name: _bits(_call(functions[name], inputs[name])) for name in inputs}
    parts = tf.train.TrackableView(model).descendants()
    variables = [part for part in parts if isinstance(part, tf.Variable)]
    return {**results, "the variables afterwards": _bits(variables)}


def _specs(function: Any) -> dict[str, Any]:
    """The arguments of a function, by name."""
    flat = tf.nest.flatten(function.structured_input_signature)
    specs = [leaf for leaf in flat if isinstance(leaf, tf.TypeSpec)]
    # Ragged and sparse ones have no name.
    return {getattr(s, "name", None) or f"#{i}": s for i, s in enumerate(specs)}


def _call(function: Any, tensors: Sequence[Any]) -> Any:
    waiting = iter(tensors)
    positional, named = tf.nest.map_structure(
        lambda leaf: next(waiting) if isinstance(leaf, tf.TypeSpec) else leaf,
        function.structured_input_signature,
    )
    return function(*positional, **named)


def _given(name: str, functions: Mapping[str, Any], values: Any) -> list[Any]:
    if name not in functions:
        raise ConversionError(f"inputs has {name!r}, the model only {[*functions]}")
    specs = _specs(functions[name])
    if not isinstance(values, Mapping) or set(values) != set(specs):
        wanted = f"inputs[{name!r}] must be a dictionary of {[*specs]}"
        raise ConversionError(f"{wanted}, but is {values!r:.200}")
    with explained(f"{name} cannot take the inputs"):
        return [_tensor(values[argument], spec) for argument, spec in specs.items()]


def _tensor(value: Any, spec: Any) -> Any:
    is_dense = isinstance(spec, tf.TensorSpec)
    return tf.convert_to_tensor(value, spec.dtype) if is_dense else value


def _generated(name: str, function: Any) -> list[tf.Tensor]:
    """Generates inputs until the function accepts them."""
    specs = _specs(function)
    reason = ""
    for extents in _EXTENTS:
        random = np.random.default_rng(7)
        try:
            tensors = [_random(random, spec, extents) for spec in specs.values()]
            _call(function, tensors)
            return tensors
        except Exception as error:  # of any class: the model is the user's
            reason = reason or textwrap.shorten(str(error), 600)
    raise ConversionError(
        f"Could not generate inputs to check {name}: {reason}. Pass "
        f"inputs={{{name!r}: ...}}, a dictionary for {specs}"
    )


def _random(random: np.random.Generator, spec: Any, extents: Sequence[int]) -> Any:
    known = [None] * 4 if spec.shape.rank is None else spec.shape.as_list()
    first, between, last = extents
    likely = [first, *[between] * (len(known) - 2), last][: len(known)]
    shape = [u if n is None else n for n, u in zip(known, likely, strict=True)]
    if spec.dtype.is_integer or spec.dtype.is_bool:
        end = 2 if spec.dtype.is_bool else 128
        return tf.cast(random.integers(end, size=shape), spec.dtype)
    return tf.cast(random.normal(size=shape), spec.dtype)


def _bits(results: Any) -> list[Any]:
    """What a function returned, for comparison."""
    parts = tf.nest.flatten(results, expand_composites=True)
    return [_bits_of(np.asarray(part)) for part in parts if tf.is_tensor(part)]


def _bits_of(array: np.ndarray) -> Any:
    if array.dtype == object:  # strings
        return array.shape, array.tolist()
    numbers = array.flatten()
    if array.dtype.kind == "c":
        numbers = numbers.view(array.real.dtype)
    if (nan := numbers != numbers).any():
        numbers[nan] = np.nan  # any NaN equals any other
    return array.dtype.name, array.shape, numbers.tobytes()
