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

_VARIABLES = "the variables afterwards"
# What unknown extents may be: the first, the last, those between; likely ones first.
_FIRST, _LAST, _BETWEEN = (2, 1), (3, 1, 4, 64), (32, 64, 224, 299)


def same_results(
    original: Path,
    converted: Path,
    tags: Sequence[str],
    ops: Sequence[str],
    given: Mapping[str, Any] | None,
) -> list[str]:
    """Checks that the functions `given`, or all that held `ops`, give what they gave.

    Returns:
      The names of the functions that did; those that never do give a warning.

    Raises:
      ConversionError: If a result differs, or if nothing could be run.
    """
    functions = _load(original, tags)[1]
    if given is None:
        touched = {n: f for n, f in functions.items() if _holds(f, ops)}
        inputs = {name: _generated(name, f) for name, f in touched.items()}
    else:
        inputs = {name: _given(name, functions, given[name]) for name in given}
    if not inputs:
        raise ConversionError(
            "No signature and no function of the model holds the ops to convert, so "
            "that the result could not be run to check it"
        )
    with explained("The model fails on the inputs"):
        expected = _run(original, tags, inputs)
    with explained("The converted model fails"):
        results = _run(converted, tags, inputs)
    differing = [name for name in expected if results[name] != expected[name]]
    if differing:
        again = _run(original, tags, inputs)
        if wrong := [name for name in differing if again[name] == expected[name]]:
            raise ConversionError(
                f"The converted model gives other results: {', '.join(wrong)}"
            )
        warnings.warn(
            "Not compared, because their results differ from run to run: "
            + ", ".join(differing),
            stacklevel=2,
        )
    return [name for name in inputs if name not in differing]


def _load(folder: Path, tags: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    """A SavedModel, and its functions by name: signatures, then all others."""
    gc.collect()  # the one before
    with explained(f"{folder} cannot be loaded"):
        model = tf.saved_model.load(str(folder), list(tags))
        return model, dict(model.signatures) | dict(_functions(model, "", set()))


def _functions(part: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    for name, child in sorted(tf.train.TrackableView.children(part).items()):
        if id(child) in seen:
            continue
        seen.add(id(child))
        if isinstance(child, tf.types.experimental.PolymorphicFunction):
            for i, concrete in enumerate(child.concrete_functions):
                yield path + name + (f"#{i + 1}" if i else ""), concrete
        yield from _functions(child, f"{path}{name}.", seen)


def _holds(function: Any, ops: Sequence[str]) -> bool:
    return any(
        node.op in ops for node in graph.all_nodes(function.graph.as_graph_def())
    )


def _run(
    folder: Path, tags: Sequence[str], inputs: Mapping[str, Any]
) -> dict[str, Any]:
    """The bits of all results, of a model just loaded: running may change it."""
    model, functions = _load(folder, tags)
    results = {name: _bits(_call(functions[name], inputs[name])) for name in inputs}
    parts = tf.train.TrackableView(model).descendants()
    variables = [part for part in parts if isinstance(part, tf.Variable)]
    return {**results, _VARIABLES: _bits(variables)}


def _call(function: Any, tensors: Sequence[Any]) -> Any:
    signature = function.structured_input_signature
    waiting = iter(tensors)
    arguments = [
        next(waiting) if isinstance(leaf, tf.TypeSpec) else leaf
        for leaf in tf.nest.flatten(signature)
    ]
    positional, named = tf.nest.pack_sequence_as(signature, arguments)
    return function(*positional, **named)


def _specs(function: Any) -> dict[str, Any]:
    """What a function takes, by name."""
    flat = tf.nest.flatten(function.structured_input_signature)
    specs = [leaf for leaf in flat if isinstance(leaf, tf.TypeSpec)]
    return {getattr(spec, "name", f"#{i}"): spec for i, spec in enumerate(specs)}


def _given(name: str, functions: Mapping[str, Any], values: Any) -> list[Any]:
    if name not in functions:
        raise ConversionError(
            f"inputs are given for {name!r}, but the model has only "
            f"{', '.join(map(repr, functions))}"
        )
    specs = _specs(functions[name])
    if isinstance(values, Sequence) and len(values) == len(specs):
        values = dict(zip(specs, values, strict=True))
    if not isinstance(values, Mapping) or set(values) != set(specs):
        raise ConversionError(
            f"{name} takes {', '.join(map(repr, specs))}: its inputs must be a list of "
            f"{len(specs)} or a dictionary by these names, but are {values!r:.200}"
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
    for extents in product(_FIRST, _BETWEEN, _LAST):
        random = np.random.default_rng(7)
        try:
            tensors = [_random(random, spec, *extents) for spec in specs.values()]
            _call(function, tensors)
        except Exception as error:  # of any class, as the model is the user's
            reason = reason or textwrap.shorten(str(error), 600)
        else:
            return tensors
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
    flat = tf.nest.flatten(results, expand_composites=True)
    return [_array_bits(np.asarray(x).copy()) for x in flat if tf.is_tensor(x)]


def _array_bits(array: np.ndarray) -> tuple[Any, ...]:
    described = array.dtype.name, array.shape
    if array.dtype == object:
        return *described, array.tolist()
    parts = [array.real, array.imag] if array.dtype.kind == "c" else [array]
    for part in parts:
        if (nan := part != part).any():
            part[nan] = np.nan
    return *described, array.tobytes()
