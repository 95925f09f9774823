"""Patches as Keras layers: `tf_patches.layers`.

Arguments are named as in `keras.ops.image.extract_patches`; images have channels last.
The layers are known by name to every `.keras` file once this package is imported.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, NoReturn, TypeAlias, TypeVar

import keras
import numpy as np
import tensorflow as tf

from tf_patches import ops
from tf_patches.arguments import plain
from tf_patches.keras_operations import output_spec
from tf_patches.placed import extract_patches_at
from tf_patches.random import Request, read_request, stateless_random_patches
from tf_patches.typing import (
    Flips,
    GridReduction,
    Integers,
    Mode,
    Number,
    Padding,
    TensorLike,
)

_Layer = TypeVar("_Layer", bound=type)
Axes: TypeAlias = int | tuple[int, ...]

_FORMS = (
    "an int, (cols,) for signals [batch, cols, depth], (rows, cols) for images [batch, "
    "rows, cols, depth], or (planes, rows, cols) for volumes [batch, planes, rows, "
    "cols, depth]"
)
_PAIRS = "pairs of pixels such as ((top, bottom), (left, right))"
_FLIPS = ("horizontal", "vertical", "all")
_REDUCTIONS = ("sum", "mean")
_MODES = ("constant", "reflect", "symmetric", "edge", "wrap")


def _register(layer: _Layer) -> _Layer:
    name = f"tf_patches.layers.{layer.__name__}"
    return keras.saving.register_keras_serializable("tf_patches", name)(layer)


class _GridLayer(keras.layers.Layer):
    """A layer of patches that lie on a grid."""

    def __init__(
        self,
        size: Integers,
        strides: Integers | None,
        dilation_rate: Integers,
        padding: Padding,
        mode: Mode,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size = _read_axes(size, "size")
        self.strides = self.size if strides is None else _read_axes(strides, "strides")
        self.dilation_rate = _read_axes(dilation_rate, "dilation_rate")
        self.padding = _read_padding(padding)
        self.mode = _read_name(mode, "mode", _MODES)
        for name in ("strides", "dilation_rate", "padding"):
            _check_lengths(self.size, getattr(self, name), name)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return output_spec(self.call, *args, **kwargs)

    def _symbolic(self, shape: Any) -> Any:
        return keras.KerasTensor(shape, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        names = ("size", "strides", "dilation_rate", "padding", "mode")
        grid = {name: getattr(self, name) for name in names}
        return {**super().get_config(), **grid}

    def _grid(self, tensor: Any) -> dict[str, Any]:
        """The arguments of our functions for images or patches."""
        axes = _axes_of(tensor, self.size)
        padding = self.padding
        if not isinstance(padding, str):
            padding = [[0, 0], *padding, [0, 0]]
        return {
            "sizes": _whole(self.size, axes),
            "strides": _whole(self.strides, axes),
            "rates": _whole(self.dilation_rate, axes),
            "padding": padding,
            "mode": self.mode,
        }


@_register
class ExtractPatches(_GridLayer):
    """Extracts patches from images, as a layer.

    The layer gives the patches of `tf_patches.extract_patches`, which explains how they
    lie. `keras.ops.image.extract_patches` gives the same. The values of a patch are
    flattened in the last axis, rows first, then cols, then depth. Keras' operation is a
    convolution; this layer copies every bit, takes integers, and combines strides with
    dilation.

    Args:
      size: The pixels in a patch: an int for all axes of space, or an int for each
        axis, `(cols,)`, `(rows, cols)` or `(planes, rows, cols)`.
      strides: The pixels from one patch to the next, in the forms of `size`. The
        default is `size`: patches lie side by side.
      dilation_rate: The pixels from one value of a patch to the next, in the forms of
        `size`.
      padding: `"valid"`, `"same"`, or the pixels before and after each axis of space,
        as for `keras.layers.ZeroPadding2D`: `((top, bottom), (left, right))`.
      mode: What patches show outside of an image: `"constant"`, `"reflect"`,
        `"symmetric"`, `"edge"` or `"wrap"`, as in `numpy.pad`.
      constant_values: The number outside of the image with mode `"constant"`.
      **kwargs: Arguments of every layer, such as `name` and `dtype`.

    Input shape:
      `(batch, rows, cols, depth)`. Signals have an axis less, volumes have an axis
      more. Everything except the rank may be unknown. Floats are cast to the layer's
      dtype, as in every layer; integers and bool keep their dtype.

    Output shape:
      `(batch, out_rows, out_cols, size_rows * size_cols * depth)`.

    Raises:
      ValueError: If an argument has none of its forms, or does not match the inputs.

    Examples:
      >>> import keras
      >>> model = keras.Sequential([
      ...     keras.Input([224, 224, 3]),
      ...     tf_patches.layers.ExtractPatches(16),
      ...     keras.layers.Reshape([14 * 14, 16 * 16 * 3]),
      ...     keras.layers.Dense(192)])
      >>> model.output_shape
      (None, 196, 192)

      Overlapping patches of pictures of any size, reflected at the border:

      >>> images = keras.Input([None, None, 3])
      >>> tf_patches.layers.ExtractPatches(
      ...     5, strides=1, padding="same", mode="reflect")(images).shape
      (None, None, None, 75)
    """

    def __init__(
        self,
        size: Integers,
        strides: Integers | None = None,
        dilation_rate: Integers = 1,
        padding: Padding = "valid",
        mode: Mode = "constant",
        constant_values: Number = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(size, strides, dilation_rate, padding, mode, **kwargs)
        self.constant_values = _read_number(constant_values)

    def call(self, images: Any) -> Any:
        return ops.extract_patches(
            images, **self._grid(images), constant_values=self.constant_values
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.compute_output_spec(self._symbolic(input_shape)).shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "constant_values": self.constant_values}


@_register
class FoldPatches(_GridLayer):
    """Puts patches back into images, as a layer.

    The layer folds like `tf_patches.fold_patches`. The size of the images is an
    argument of the layer, or the size of a tensor in the call: the images, or any other
    tensor with their rows and cols. Patches set the batch and the depth, so a model may
    change the depth:

        images = keras.Input([None, None, 3])
        patches = ExtractPatches(8)(images)
        patches = keras.layers.Dense(8 * 8 * 1)(patches)
        maps = FoldPatches(8)(patches, like=images)  # [batch, rows, cols, 1]

    Args:
      size: As given to `ExtractPatches`.
      strides: As given to `ExtractPatches`.
      dilation_rate: As given to `ExtractPatches`.
      padding: As given to `ExtractPatches`.
      mode: As given to `ExtractPatches`.
      image_size: The pixels of the images, in the forms of `size`.
      reduction: `"sum"` or `"mean"` of the values for a pixel.
      weights: A window with the weights of the values of a patch, as for
        `tf_patches.fold_patches`: an array of shape `size`, or a list with a factor for
        each axis.
      **kwargs: Arguments of every layer, such as `name` and `dtype`.

    Call arguments:
      inputs: Patches `(batch, out_rows, out_cols, size_rows * size_cols * depth)`, as
        `ExtractPatches` makes them. Or a list of patches and `like`.
      like: A tensor `(batch, rows, cols, any)`, or a vector of four integers from
        `tf.shape`. It replaces `image_size`.

    Output shape:
      `(batch, rows, cols, depth)`.

    Raises:
      ValueError: If an argument has none of its forms or does not match the inputs; or
        if there is neither `image_size` nor `like`.

    Examples:
      >>> import keras
      >>> images = keras.Input([None, None, 3])
      >>> grid = dict(size=16, strides=8, padding="same")
      >>> patches = tf_patches.layers.ExtractPatches(**grid)(images)
      >>> patches = keras.layers.Dense(16 * 16 * 3)(patches)
      >>> denoised = tf_patches.layers.FoldPatches(**grid)([patches, images])
      >>> denoised.shape
      (None, None, None, 3)
      >>> keras.Model(images, denoised)(tf.zeros([1, 50, 70, 3])).shape
      TensorShape([1, 50, 70, 3])

      The mean of overlapping patches, weighted by a window, for images of known size:

      >>> hann = tf.signal.hann_window(18)[1:-1].numpy()
      >>> put_back = tf_patches.layers.FoldPatches(
      ...     **grid, image_size=(50, 70), reduction="mean", weights=[hann, hann])
      >>> put_back(tf.ones([1, 7, 9, 16 * 16 * 3])).shape
      TensorShape([1, 50, 70, 3])
    """

    def __init__(
        self,
        size: Integers,
        strides: Integers | None = None,
        dilation_rate: Integers = 1,
        padding: Padding = "valid",
        mode: Mode = "constant",
        image_size: Integers | None = None,
        reduction: GridReduction = "sum",
        weights: TensorLike | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(size, strides, dilation_rate, padding, mode, **kwargs)
        self.reduction = _read_name(reduction, "reduction", _REDUCTIONS)
        self.window = _read_window(weights)
        self.image_size = None
        if image_size is not None:
            self.image_size = _read_axes(image_size, "image_size")
            _check_lengths(self.size, self.image_size, "image_size")

    def call(self, inputs: Any, like: Any = None) -> Any:
        patches = inputs
        if isinstance(inputs, (list, tuple)):
            if len(inputs) != 2:
                _refuse(inputs, "inputs", "patches, or a list of patches and `like`")
            patches, like = inputs
        grid = self._grid(patches)
        shape = self._image_shape(patches, like, math.prod(grid["sizes"]))
        return ops.fold_patches(
            patches, shape, **grid, reduction=self.reduction, weights=self.window
        )

    def _image_shape(self, patches: Any, like: Any, pixels: int) -> Any:
        """The shape of the images; a patch has so many `pixels`."""
        depth = tf.shape(patches, out_type=tf.int64)[-1:] // pixels
        if like is not None:
            shape = like if len(like.shape) == 1 else tf.shape(like)
            return tf.concat([tf.cast(shape, tf.int64)[:-1], depth], 0)
        if self.image_size is None:
            raise ValueError(
                "FoldPatches needs the size of the images. Pass it to the layer, "
                "image_size=(rows, cols), or call the layer with the images, "
                "like=images. Received neither."
            )
        _, *space, _ = _whole(self.image_size, len(patches.shape) - 2)
        return [None, *space, depth[0]]

    def compute_output_shape(self, inputs_shape: Any, like_shape: Any = None) -> Any:
        inputs = keras.tree.map_shape_structure(self._symbolic, inputs_shape)
        like = None if like_shape is None else self._symbolic(like_shape)
        return self.compute_output_spec(inputs, like).shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "image_size": self.image_size,
            "reduction": self.reduction,
            "weights": keras.saving.serialize_keras_object(self.window),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        weights = keras.saving.deserialize_keras_object(config.get("weights"))
        return super().from_config({**config, "weights": weights})


@_register
class RandomPatches(keras.layers.Layer):
    """Cuts patches from random places of images, as a layer.

    In training, every call cuts other patches, by `tf_patches.stateless_random_patches`
    with a seed from a `keras.random.SeedGenerator`. All places where a patch fits into
    an image are equally likely. To cut images and masks at the same places, pass them
    as a structure: `layer((images, masks))`.

    At inference the layer is a function of its input: there are no flips, and patches
    lie evenly. The first patch lies in the centre, where `keras.layers.RandomCrop` cuts
    at inference. Each further patch lies in a gap, so patch k is the same for any
    `count`. As with `RandomCrop`, a call outside of `fit`, `evaluate` and `predict` is
    training unless `training=False`.

    Args:
      count: How many patches to cut from each image.
      size: As given to `ExtractPatches`.
      seed: An int, from which the seeds of all calls are drawn. The default is a random
        int.
      flips: `"horizontal"` reverses half of the patches along cols, `"vertical"` along
        rows, `"all"` along every axis of space independently. The default is no flips.
      mode: As given to `ExtractPatches`, for images that are smaller than a patch. Such
        an image lies anywhere in the patch. By default such an image is an error.
      constant_values: The number outside of the image with mode `"constant"`.
      dilation_rate: As given to `ExtractPatches`.
      **kwargs: Arguments of every layer, such as `name` and `dtype`.

    Call arguments:
      inputs: A tensor `(batch, rows, cols, depth)`. Signals have an axis less, volumes
        have an axis more. Or a structure of tensors with the same batch and space.
        Floats are cast to the layer's dtype; integers and bool keep their dtype.
      training: Whether to cut at random.

    Output shape:
      `(batch, count, size_rows, size_cols, depth)`, or a structure of such tensors.

    Raises:
      ValueError: If an argument has none of its forms, or does not match the inputs.
      tf.errors.InvalidArgumentError: If an image is smaller than a patch and there is
        no mode, or if tensors differ in batch or space. While a model is built:
        `ValueError`.

    Examples:
      >>> import keras
      >>> images, masks = tf.zeros([8, 100, 90, 3]), tf.zeros([8, 100, 90, 1], tf.uint8)
      >>> cut = tf_patches.layers.RandomPatches(4, size=32, seed=1, flips="all")
      >>> patches, labels = cut((images, masks))
      >>> patches.shape, labels.shape
      (TensorShape([8, 4, 32, 32, 3]), TensorShape([8, 4, 32, 32, 1]))

      Before a model, with patches as its batch:

      >>> model = keras.Sequential([
      ...     keras.Input([None, None, 3]),
      ...     tf_patches.layers.RandomPatches(4, size=32),
      ...     keras.layers.Lambda(lambda x: tf.reshape(x, [-1, 32, 32, 3])),
      ...     keras.layers.Conv2D(8, 3)])
      >>> model.output_shape
      (None, 30, 30, 8)

      In a pipeline:

      >>> data = tf.data.Dataset.from_tensor_slices((images, masks)).batch(2)
      >>> data = data.map(lambda *tensors: cut(tensors))
    """

    def __init__(
        self,
        count: int,
        size: Integers,
        seed: int | None = None,
        flips: Flips | None = None,
        mode: Mode | None = None,
        constant_values: Number = 0,
        dilation_rate: Integers = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.count = _read_count(count)
        self.size = _read_axes(size, "size")
        self.seed = seed
        self.flips = None if flips is None else _read_name(flips, "flips", _FLIPS)
        self.mode = None if mode is None else _read_name(mode, "mode", _MODES)
        self.constant_values = _read_number(constant_values)
        self.dilation_rate = _read_axes(dilation_rate, "dilation_rate")
        _check_lengths(self.size, self.dilation_rate, "dilation_rate")
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = True) -> Any:
        axes, *_ = (_axes_of(x, self.size) for x in keras.tree.flatten(inputs))
        sizes, rates = _whole(self.size, axes), _whole(self.dilation_rate, axes)
        if not training:
            return self._cut_evenly(read_request(inputs, sizes, rates, self.mode))
        return stateless_random_patches(
            inputs,
            self.count,
            sizes,
            self.seed_generator.next(),
            rates,
            flips=self.flips,
            mode=self.mode,
            constant_values=self.constant_values,
        )

    def _cut_evenly(self, request: Request) -> Any:
        positions = _even_positions(request, self.count)
        return keras.tree.map_structure(
            lambda images: extract_patches_at(
                images,
                positions,
                request.sizes,
                request.rates,
                mode=self.mode or "CONSTANT",
                constant_values=self.constant_values,
            ),
            request.images,
        )

    def compute_output_spec(self, inputs: Any, training: bool = True) -> Any:
        return output_spec(self.call, inputs, training=False)

    def compute_output_shape(self, inputs_shape: Any) -> Any:
        inputs = keras.tree.map_shape_structure(
            lambda shape: keras.KerasTensor(shape, self.compute_dtype), inputs_shape
        )
        outputs = self.compute_output_spec(inputs)
        return keras.tree.map_structure(lambda patches: patches.shape, outputs)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "count": self.count,
            "size": self.size,
            "seed": self.seed,
            "flips": self.flips,
            "mode": self.mode,
            "constant_values": self.constant_values,
            "dilation_rate": self.dilation_rate,
        }


def _even_positions(request: Request, count: int) -> tf.Tensor:
    """Positions spread evenly over images, `[count, axes]`; the first in the centre."""
    axes = []
    fractions = _even_fractions(count, len(request.sizes))
    for first, places, fraction in zip(*request.places(), fractions, strict=True):
        place = tf.math.ceil(tf.cast(places, tf.float64) * fraction)
        axes.append(tf.cast(place, tf.int64) - 1 + first)
    return tf.stack(axes, axis=1)


def _even_fractions(count: int, axes: int) -> np.ndarray:
    """Numbers between 0 and 1, `[axes, count]`, even for any count; 0.5 first.

    The R sequence (M. Roberts, "The Unreasonable Effectiveness of Quasirandom
    Sequences", 2018): multiples of the powers of 1 / g, where g^(axes + 1) = g + 1.
    """
    root = 1.0
    for _ in range(64):  # converges to the last bit
        root = (root + 1) ** (1 / (axes + 1))
    steps = root ** -np.arange(1.0, axes + 1)
    return (0.5 + np.multiply.outer(steps, np.arange(count))) % 1


def _read_count(count: Any) -> int:
    try:
        number = operator.index(count)
    except TypeError:
        number = 0
    if number < 1:
        _refuse(count, "count", "an int of at least 1")
    return number


def _read_axes(values: Any, name: str) -> Axes:
    """An int, or a tuple of an int for each axis of space."""
    is_list = isinstance(values, (list, tuple, np.ndarray))
    try:
        numbers = tuple(map(operator.index, values if is_list else [values]))
    except TypeError:
        numbers = ()
    if not 1 <= len(numbers) <= 3 or min(numbers) < 1:
        _refuse(values, name, _FORMS)
    return numbers if is_list else numbers[0]


def _read_padding(padding: Any) -> Any:
    """A name, or a pair of pixels for each axis of space."""
    if not isinstance(padding, (list, tuple, np.ndarray)):
        return _read_name(padding, "padding", ("valid", "same"), _PAIRS)
    try:
        pairs = tuple(tuple(map(operator.index, pair)) for pair in padding)
    except TypeError:
        pairs = ()
    if not 1 <= len(pairs) <= 3 or any(len(p) != 2 or min(p) < 0 for p in pairs):
        _refuse(padding, "padding", _PAIRS)
    return pairs


def _read_name(value: Any, argument: str, names: Sequence[str], *others: str) -> Any:
    if isinstance(value, str) and value.lower() in names:
        return value.lower()
    *most, last = [*map(repr, names), *others]
    _refuse(value, argument, f"{', '.join(most)} or {last}")


def _read_number(number: Any) -> Any:
    return plain({"constant_values": number})["constant_values"]


def _read_window(weights: Any) -> Any:
    """Weights as NumPy arrays, which a Keras file can hold."""
    if isinstance(weights, (list, tuple)):
        return [np.asarray(factor) for factor in weights]
    return None if weights is None else np.asarray(weights)


def _refuse(value: Any, argument: str, expected: str) -> NoReturn:
    raise ValueError(
        f"Invalid `{argument}` argument. Expected {expected}. "
        f"Received: {argument}={value!r}"
    )


def _check_lengths(size: Axes, values: Any, name: str) -> None:
    """Refuses values for another number of axes than the size has."""
    if (
        isinstance(size, tuple)
        and isinstance(values, tuple)
        and len(size) != len(values)
    ):
        raise ValueError(
            f"`size` and `{name}` must be for the same number of axes of space. "
            f"Received: size={size}, {name}={values}"
        )


def _axes_of(tensor: Any, size: Axes) -> int:
    """The number of axes of space of images or patches, which the size must match."""
    axes = len(tensor.shape) - 2
    if axes in (1, 2, 3) and (isinstance(size, int) or len(size) == axes):
        return axes
    raise ValueError(
        f"Invalid `size` argument for inputs of shape {tuple(tensor.shape)}. "
        f"Expected {_FORMS}. Received: size={size}. If the batch axis is missing, add "
        "it: inputs[None]."
    )


def _whole(values: Axes, axes: int) -> list[int]:
    """TensorFlow's list, from an int or an int for each axis of space."""
    return [1, *([values] * axes if isinstance(values, int) else values), 1]
