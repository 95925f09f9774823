"""What TensorFlow is told about a function, and where Keras tensors reach it."""

import inspect
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import tensorflow as tf

_Function = TypeVar("_Function", bound=Callable[..., Any])


def op(function: _Function) -> _Function:
    """Makes TensorFlow treat a function as its own.

    TensorFlow dispatches it on the types of its arguments, and AutoGraph leaves it
    alone.
    """
    signature = inspect.signature(function)
    # If all arguments have defaults, Python says which argument is missing, not
    # TensorFlow's dispatcher. The dispatcher does not know keyword-only arguments.
    known = [
        parameter.replace(kind=parameter.POSITIONAL_OR_KEYWORD, default=None)
        for parameter in signature.parameters.values()
    ]
    vars(function)["__signature__"] = signature.replace(parameters=known)
    dispatched = tf.__internal__.dispatch.add_dispatch_support(function)
    dispatched.__signature__ = signature
    del vars(function)["__signature__"]
    return not_converted(dispatched)


def not_converted(function: _Function) -> _Function:
    """Leaves a function to Python: AutoGraph does not rewrite it.

    A rewritten function would be slower to trace, and errors would show lines that the
    function does not have.
    """
    # The mark that AutoGraph looks for, without the wrapper that TensorFlow sets it on.
    mark = dict(vars(tf.autograph.experimental.do_not_convert(function)))
    del mark["__wrapped__"]
    vars(function).update(mark)
    return function


def is_symbolic(tensor: Any, name: str) -> bool:
    """Whether a tensor is a Keras tensor; refuses ragged tensors."""
    if isinstance(tensor, tf.Tensor):
        return False
    if isinstance(tensor, tf.RaggedTensor):
        kind = ValueError if tf.executing_eagerly() else TypeError  # TensorFlow's
        raise kind(
            f"{name} must be a dense tensor, but got a RaggedTensor. "
            f"Pass {name}.to_tensor()."
        )
    # If Keras has not been imported, there are no Keras tensors.
    symbolic: Any = getattr(sys.modules.get("keras"), "KerasTensor", ())
    if not isinstance(tensor, symbolic):
        return False
    if tensor.ragged:
        raise TypeError(
            f"{name} must be a dense tensor, but got a ragged KerasTensor. Make it "
            f"dense, as {name}.to_tensor() does for a RaggedTensor: "
            f"keras.ops.convert_to_tensor({name}, ragged=False)."
        )
    return True


def any_symbolic(**tensors: Any) -> bool:
    """Whether a tensor, or a tensor in a list, is a Keras tensor."""
    symbolic = False
    for name, value in tensors.items():
        for tensor in value if isinstance(value, (list, tuple)) else [value]:
            symbolic |= is_symbolic(tensor, name)
    return symbolic


def read_tensor(tensor: Any, name: str) -> tf.Tensor:
    """A dense tensor, from anything that converts to a dense tensor."""
    if is_symbolic(tensor, name):
        raise TypeError(
            f"{name} must be a tensor, but got a KerasTensor. Call the function in a "
            "layer of your own, or in keras.layers.Lambda."
        )
    return tf.convert_to_tensor(tensor)
