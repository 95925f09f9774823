"""How TensorFlow is told about the ops, and which of their attributes go together."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

# The attributes that place patches on a grid and at positions. The constant outside of
# images is not among them: it has no gradient.
GRID = ("ksizes", "strides", "rates", "padding", "explicit_paddings", "mode")
PLACES = ("sizes", "rates", "mode")


def register(registry: Any, name: str) -> Callable[[Callable], Callable]:
    """Registers a function, unless an earlier import of the package has done so."""

    def into_registry(function: Callable[..., Any]) -> Callable[..., Any]:
        if registry is not None:
            with suppress(KeyError, AssertionError):  # gradient, converter
                registry(name)(function)
        return function

    return into_registry


def attributes(op: Any, names: Sequence[str]) -> dict[str, Any]:
    """Those attributes of an op that are named."""
    return {name: op.get_attr(name) for name in names}
