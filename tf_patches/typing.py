"""The types of arguments, for annotations: `tf_patches.typing`.

They say what the functions accept; every function also checks it when it runs.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray


class Array(Protocol):
    """An array of any library: a tensor, a variable, a Keras tensor, a NumPy array."""

    @property
    def shape(self) -> Any: ...

    @property
    def dtype(self) -> Any: ...


class ArrayInterface(Protocol):
    """What NumPy reads as an array, such as a picture of Pillow."""

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """Version 3 of NumPy's protocol."""


class Shape(Protocol):
    """A `tf.TensorShape`."""

    def as_list(self) -> list[int | None]: ...


TensorLike: TypeAlias = Array | ArrayInterface | list[Any] | tuple[Any, ...]
"""What `tf.convert_to_tensor` makes a tensor of."""

Structure: TypeAlias = list[Any] | tuple[Any, ...] | Mapping[Any, Any]
"""Tensors that are treated alike, as `tf.nest` groups them: `(images, masks)`."""

Integer: TypeAlias = int | np.integer[Any]

Integers: TypeAlias = Integer | Sequence[Integer] | NDArray[np.integer[Any]]
"""An integer for every axis of space, or one for each."""

Number: TypeAlias = complex | Array
"""A real or complex number, or an array of one number."""

Pairs: TypeAlias = Sequence[Sequence[Integer]] | NDArray[np.integer[Any]]
"""Pixels before and after each axis."""

SlidePadding: TypeAlias = Literal["VALID", "SAME", "valid", "same"]
"""How far patches reach beyond a slide."""

Padding: TypeAlias = SlidePadding | Pairs
"""How far patches reach beyond an image."""

SlideMode: TypeAlias = Literal[
    "CONSTANT", "REFLECT", "SYMMETRIC", "EDGE",
    "constant", "reflect", "symmetric", "edge",
]  # fmt: skip
"""What patches show outside of a slide."""

Mode: TypeAlias = SlideMode | Literal["WRAP", "wrap"]
"""What patches show outside of an image."""

GridReduction: TypeAlias = Literal["SUM", "MEAN", "sum", "mean"]
"""What a pixel becomes that patches of a grid cover."""

Reduction: TypeAlias = GridReduction | Literal["MAX", "MIN", "max", "min"]
"""What a pixel becomes that patches at positions cover."""

Flips: TypeAlias = Literal["horizontal", "vertical", "all"]
"""Along which axes random patches are reversed."""

Remainder: TypeAlias = Literal["shift", "pad", "spread", "drop"]
"""What happens where the last tile does not end with the image."""

Blend: TypeAlias = Literal[
    "average", "gaussian", "hann", "linear", "cosine", "crop", "max", "min"
]
"""How tiles are put together where they overlap."""

FilePath: TypeAlias = str | os.PathLike[str]
"""The path of a file or a folder."""

Model: TypeAlias = FilePath | Callable[..., Any]
"""A model of Keras, a function, or the path of a saved model."""

Mask: TypeAlias = Literal["otsu", "OTSU"] | Array | list[Any] | Callable[..., Any]
"""Where a slide has tissue: a method, an array, or a function of the thumbnail."""

Reduce: TypeAlias = Literal["argmax", "ARGMAX"] | Callable[..., Any]
"""What is kept of the channels of a pixel."""
