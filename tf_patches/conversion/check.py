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

from tf_patches.conversion import graph
from tf_patches.conversion.errors import ConversionError, explained

# What unknown extents may be: the first, those between, the last; likely ones first.
_EXTENTS = list(product((2, 1), (32, 64, 224, 299), (3, 1, 4, 64)))


def same_results(
    models: tuple[Path, Path],
    tags: Sequence[str],
    ops: Sequence[str],
    given: Mapping[str, Any] | None,
) -> list[str]:
    """Checks that the functions `given`, or all that held `ops`, give what they gave.

    Returns the names of those that did.
    """
    original, converted = models
    _, functions = _load(original, tags)
    if given is None:
        graphs = {name: f.graph.as_graph_def() for name, f in functions.items()}
        held = [
            n for n in graphs if any(x.op in ops for x in graph.all_nodes(graphs[n]))
        ]
        inputs = {name: _generated(name, functions[name]) for name in held}
    else:
        inputs = {name: _given(name, functions, given[name]) for name in given}
    if not inputs:
        raise ConversionError("No function can be run that holds the ops to convert")
    with explained("The model fails on the inputs"):
        expected = _run(original, tags, inputs)
    with explained("The converted model fails"):
        results = _run(converted, tags, inputs)
    if differing := [name for name in expected if results[name] != expected[name]]:
        again = _run(original, tags, inputs)
        if wrong := [name for name in differing if again[name] == expected[name]]:
            names = ", ".join(wrong)
            raise ConversionError(f"The converted model gives other results: {names}")
        names = ", ".join(differing)
        message = f"Not compared, because their results differ from run to run: {names}"
        warnings.warn(message, stacklevel=2)
    return [name for name in inputs if name not in differing]


def _load(folder: Path, tags: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    """A model, and its functions by name: signatures, then those of all its parts."""

    def walk(part: Any, path: str) -> Iterator[tuple[str, Any]]:
        for name, child in sorted(tf.train.TrackableView.children(part).items()):
            if id(child) not in seen:
                seen.add(id(child))
                for i, function in enumerate(getattr(child, "concrete_functions", ())):
                    yield path + name + (f"#{i + 1}" if i else ""), function
                yield from walk(child, f"{path}{name}.")

    gc.collect()  # the model before
    with explained(f"{folder} cannot be loaded"):
        model = tf.saved_model.load(str(folder), list(tags))
        seen = {id(model)}
        return model, dict(model.signatures) | dict(walk(model, ""))


def _run(folder: Path, tags: Sequence[str], inputs: dict[str, Any]) -> dict[str, Any]:
    """The bits of all results, of a model just loaded: running may change it."""
    model, functions = _load(folder, tags)
    results = {name: _bits(_call(functions[name], inputs[name])) for name in inputs}
    parts = tf.train.TrackableView(model).descendants()
    variables = [part for part in parts if isinstance(part, tf.Variable)]
    return {**results, "the variables afterwards": _bits(variables)}


def _specs(function: Any) -> dict[str, Any]:
    """What a function takes, by name."""
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
    if isinstance(values, Sequence) and len(values) == len(specs):
        values = dict(zip(specs, values, strict=True))
    if not isinstance(values, Mapping) or set(values) != set(specs):
        raise ConversionError(
            f"{name} takes a list of {len(specs)} inputs or a dictionary of "
            f"{[*specs]}, but got {values!r:.200}"
        )
    with explained(f"{name} cannot take the inputs"):
        return [
            tf.convert_to_tensor(values[argument], spec.dtype)
            if isinstance(spec, tf.TensorSpec)
            else values[argument]
            for argument, spec in specs.items()
        ]


def _generated(name: str, function: Any) -> list[tf.Tensor]:
    """The first inputs that a function takes."""
    specs = _specs(function)
    reason = ""
    for extents in _EXTENTS:
        random = np.random.default_rng(7)
        try:
            tensors = [_random(random, spec, *extents) for spec in specs.values()]
            _call(function, tensors)
            return tensors
        except Exception as error:  # of any class, as the model is the user's
            reason = reason or textwrap.shorten(str(error), 600)
    described = ", ".join(f"{argument}: {spec}" for argument, spec in specs.items())
    raise ConversionError(
        f"Could not generate inputs to check {name}: {reason}. Pass "
        f"inputs={{{name!r}: ...}}, for {described}"
    )


def _random(
    random: np.random.Generator, spec: Any, first: int, between: int, last: int
) -> tf.Tensor:
    known = [None] * 4 if spec.shape.rank is None else spec.shape.as_list()
    likely = [first, *[between] * (len(known) - 2), last][: len(known)]
    shape = [u if n is None else n for n, u in zip(known, likely, strict=True)]
    if spec.dtype.is_integer or spec.dtype.is_bool:
        most = 1 if spec.dtype.is_bool else 127
        return tf.cast(random.integers(0, most + 1, shape), spec.dtype)
    return tf.cast(random.normal(size=shape), spec.dtype)


def _bits(results: Any) -> list[Any]:
    """What a function returned, for comparison: any NaN equals any other."""
    bits: list[Any] = []
    for tensor in filter(
        tf.is_tensor, tf.nest.flatten(results, expand_composites=True)
    ):
        array = np.asarray(tensor).copy()
        for part in (array.real, array.imag) if array.dtype.kind == "c" else (array,):
            if (nan := part != part).any():
                part[nan] = np.nan
        values = array.tolist() if array.dtype == object else array.tobytes()
        bits.append((array.dtype.name, array.shape, values))
    return bits
