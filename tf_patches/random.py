"""Random patches, the same on every run and for any batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, overload

import numpy as np
import tensorflow as tf

from tf_patches.arguments import (
    checked,
    invalid,
    read_of_axes,
    shape_text,
)
from tf_patches.dispatch import op, read_tensor
from tf_patches.placed import extract_patches_at
from tf_patches.typing import (
    Array,
    Flips,
    Integers,
    Mode,
    Number,
    Structure,
    TensorLike,
)
from tf_patches.windows import array_module

_MOST = 2**31 - 1  # patches of an image
_LOW = 2**32 - 1  # the bits of the lower word
_DRAWS = 4  # random numbers for a patch, 64 bits each: positions, then flips


@overload
def stateless_random_patches(
    images: Array,
    count: int | Array,
    sizes: Integers,
    seed: TensorLike,
    rates: Integers | None = None,
    name: str | None = None,
    *,
    flips: Flips | None = None,
    mode: Mode | None = None,
    constant_values: Number = 0,
    weights: TensorLike | None = None,
    image_indices: TensorLike | None = None,
    return_positions: Literal[False] = False,
) -> tf.Tensor: ...


@overload
def stateless_random_patches(
    images: Array,
    count: int | Array,
    sizes: Integers,
    seed: TensorLike,
    rates: Integers | None = None,
    name: str | None = None,
    *,
    flips: Flips | None = None,
    mode: Mode | None = None,
    constant_values: Number = 0,
    weights: TensorLike | None = None,
    image_indices: TensorLike | None = None,
    return_positions: Literal[True],
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]: ...


@overload
def stateless_random_patches(
    images: Array | Structure,
    count: int | Array,
    sizes: Integers,
    seed: TensorLike,
    rates: Integers | None = None,
    name: str | None = None,
    *,
    flips: Flips | None = None,
    mode: Mode | None = None,
    constant_values: Number = 0,
    weights: TensorLike | None = None,
    image_indices: TensorLike | None = None,
    return_positions: bool = False,
) -> Any: ...


@op
def stateless_random_patches(
    images: Array | Structure,
    count: int | Array,
    sizes: Integers,
    seed: TensorLike,
    rates: Integers | None = None,
    name: str | None = None,
    *,
    flips: Flips | None = None,
    mode: Mode | None = None,
    constant_values: Number = 0,
    weights: TensorLike | None = None,
    image_indices: TensorLike | None = None,
    return_positions: bool = False,
) -> Any:
    """Cuts patches from random places of images, for training.

    All places where a patch fits into an image are equally likely. Several tensors can
    be cut at the same places: images and their masks, with any depth and dtype.

    Patch k of image j depends only on `seed`, j and k. So the first patches are the
    same for any `count`, and the patches of an image are the same in any batch, on any
    device, for any number of threads, with XLA and without. In a `tf.data` pipeline
    each batch would begin with image 0 again: `image_indices` tells the number of each
    image in the data set. The generator is Philox-4x32-10 (Salmon et al., "Parallel
    random
    numbers: as easy as 1, 2, 3", 2011); `seed` is its key, j and k are its counter.

    Args:
      images: A tensor `[batch, *space, depth]` with one to three axes of space and any
        dtype of `extract_patches_at`. Or a structure (`tf.nest`) of tensors with the
        same batch and space: `(images, masks)`, or a dict.
      count: How many patches to cut from each image: an int, or a scalar integer
        tensor.
      sizes: The pixels in a patch: an int, an int for each axis of space, or
        TensorFlow's list, `[1, rows, cols, 1]`.
      seed: Two integers, as for `tf.image.stateless_random_crop`: a tensor of shape
        `[2]`, a list or a tuple.
      rates: The pixels from one tap of a patch to the next, in the forms of `sizes`.
        The default is 1.
      name: A name for the operation.
      flips: "horizontal" reverses half of the patches along cols, "vertical" along
        rows, "all" along every axis of space independently. The default is no flips.
      mode: What patches show outside of an image that is smaller than a patch:
        "CONSTANT", "REFLECT", "SYMMETRIC", "EDGE" or "WRAP". Along an axis that is too
        short, the whole image lies anywhere in the patch. By default such an image is
        an error.
      constant_values: The number outside of the image with mode CONSTANT.
      weights: Where to cut: a tensor `[batch, *space]` of numbers of at least 0. The
        probability of a patch is proportional to the weight of its middle, pixel `span
        // 2` of its span along each axis. Only places where the patch fits count. If
        all their weights are 0 in an image, they are equally likely, as without
        `weights`.
      image_indices: The number j of each image, integers `[batch]`. The default is `0,
        1, 2, …`.
      return_positions: Whether to return positions and flips too.

    Returns:
      Patches `[batch, count, *sizes, depth]`, in the structure of `images`. With
      `return_positions` a tuple `(patches, positions, flips)`. `positions` are the
      first pixels of patches, int64 `[batch, count, axes]`; `flips` are the axes along
      which patches were reversed, bool with the same shape. `extract_patches_at` and
      `fold_patches_at` take both. Patches have a gradient with respect to images.

    Raises:
      tf.errors.InvalidArgumentError: If an argument has a wrong shape or value; if
        tensors differ in batch or space; if weights are negative or NaN; or if an
        image is smaller than a patch and there is no `mode`. While a graph is built:
        `ValueError`. Under XLA, values and shapes that are known only at run time are
        not checked; an image that is too small is read as with mode CONSTANT.
      tf.errors.OutOfRangeError: If a size or rate is less than 1.
      TypeError: If an argument has a wrong type.

    Examples:
      >>> images = tf.random.stateless_uniform([8, 100, 120, 3], seed=[0, 1])
      >>> masks = tf.cast(images[..., :1] > 0.5, tf.uint8)
      >>> patches, labels = tf_patches.stateless_random_patches(
      ...     (images, masks), count=4, sizes=[32, 48], seed=[1, 2], flips="all")
      >>> patches.shape, labels.shape
      (TensorShape([8, 4, 32, 48, 3]), TensorShape([8, 4, 32, 48, 1]))
      >>> bool(tf.reduce_all(labels == tf.cast(patches[..., :1] > 0.5, tf.uint8)))
      True

      Both classes are equally likely, although one is rare; with the positions:

      >>> frequencies = tf.constant([0.98, 0.02])
      >>> weights = tf.gather(1 / frequencies, tf.cast(masks[..., 0], tf.int32))
      >>> patches, positions, flips = tf_patches.stateless_random_patches(
      ...     images, 4, 32, seed=[1, 2], weights=weights, return_positions=True)
      >>> positions.shape
      TensorShape([8, 4, 2])

      In `tf.data`, every image has its own number:

      >>> data = tf.data.Dataset.from_tensor_slices(images).enumerate().batch(2)
      >>> data = data.map(
      ...     lambda numbers, images: tf_patches.stateless_random_patches(
      ...         images, 4, 32, seed=[1, 2], image_indices=numbers))
      >>> next(iter(data)).shape
      TensorShape([2, 4, 32, 32, 3])
    """
    request = read_request(images, sizes, rates, mode)
    positions, reversed_axes = draw_places(
        request, count, seed, flips, weights, image_indices
    )
    patches = tf.nest.map_structure(
        lambda tensor: extract_patches_at(
            tensor,
            positions,
            request.sizes,
            request.rates,
            name=name,
            mode="CONSTANT" if mode is None else mode,
            constant_values=constant_values,
            flips=reversed_axes,
        ),
        request.images,
    )
    if not return_positions:
        return patches
    if reversed_axes is None:
        reversed_axes = tf.zeros_like(positions, tf.bool)
    return patches, positions, reversed_axes


class Request(NamedTuple):
    """Images, and the patches to be cut from them."""

    images: Any  # a structure of tensors
    batch: Any  # an int, or an int64 tensor if it is known only at run time
    space: list[Any]  # for each axis the same
    sizes: list[int]
    rates: list[int]

    @property
    def spans(self) -> list[int]:
        """The pixels from the first tap of a patch to the last, for each axis."""
        return [
            (size - 1) * rate + 1
            for size, rate in zip(self.sizes, self.rates, strict=True)
        ]

    @property
    def shape(self) -> tf.TensorShape:
        """`[batch, *space]`; None for what is known only at run time."""
        return tf.TensorShape([_known(n) for n in (self.batch, *self.space)])

    def places(self) -> tuple[list[Any], list[Any]]:
        """For each axis the first place of a patch, and how many places there are.

        A patch lies inside the image. If it is larger, the image lies inside the patch.
        """
        lacking = [n - span for n, span in zip(self.space, self.spans, strict=True)]
        firsts = [array_module(n).minimum(n, 0) for n in lacking]
        return firsts, [abs(n) + 1 for n in lacking]


def read_request(
    images: Any, sizes: Integers, rates: Integers | None, mode: Mode | None
) -> Request:
    """A checked request: without a mode, no image is smaller than a patch."""
    images = tf.nest.map_structure(lambda tensor: read_tensor(tensor, "images"), images)
    tensors = tf.nest.flatten(images)
    shape = _common_shape(tensors)
    axes = shape.rank - 1
    sizes = read_of_axes(sizes, "sizes", "images", tensors[0].shape, axes + 2)
    if rates is None:
        rates = [1] * axes
    rates = read_of_axes(rates, "rates", "images", tensors[0].shape, axes + 2)
    batch, *space = _dimensions(shape, tensors)
    request = Request(images, batch, space, sizes, rates)
    if mode is not None:
        return request
    return request._replace(space=_fitting(space, request.spans))


def draw_places(
    request: Request,
    count: Any,
    seed: Any,
    flips: Flips | None,
    weights: Any,
    image_indices: Any,
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Positions of patches, and their flips, or None if no axis is reversed."""
    count = _read_count(count)
    image_indices = _read_image_indices(image_indices, request)
    draws = _draws(_read_seed(seed), image_indices, tf.cast(count, tf.int64))
    draws = tf.ensure_shape(draws, [_known(request.batch), _known(count), _DRAWS])
    if weights is None:
        positions = _uniform_positions(draws, request)
    else:
        weights = _read_weights(weights, request)
        positions = _weighted_positions(draws, request, weights)
    can_flip = _read_flips(flips, len(request.space))
    return positions, _flips(draws, can_flip) if any(can_flip) else None


def philox(even: tf.Tensor, odd: tf.Tensor, key: tf.Tensor) -> tuple[Any, Any]:
    """Philox-4x32-10: four random words of 32 bits for each counter of four.

    Words are uint64, so that their products fit.

    Args:
      even: Words 0 and 2 of counters, `[..., 2]`.
      odd: Words 1 and 3 of counters, `[..., 2]`.
      key: `[2]`.

    Returns:
      Words 0 and 2, and words 1 and 3 of the random numbers.
    """
    low = tf.constant(_LOW, tf.uint64)
    factors = tf.constant([0xD2511F53, 0xCD9E8D57], tf.uint64)
    steps = np.outer(np.arange(10, dtype=np.uint64), [0x9E3779B9, 0xBB67AE85])
    keys = tf.bitwise.bitwise_and(key + tf.constant(steps, tf.uint64), low)
    for round_key in tf.unstack(keys):
        products = tf.reverse(even * factors, [-1])
        high = tf.bitwise.right_shift(products, tf.constant(32, tf.uint64))
        even = high ^ odd ^ round_key
        odd = tf.bitwise.bitwise_and(products, low)
    return even, odd


# Eagerly, hundreds of operations would take milliseconds.
@tf.function(
    input_signature=[
        tf.TensorSpec([2], tf.int64),
        tf.TensorSpec([None], tf.int64),
        tf.TensorSpec([], tf.int64),
    ],
    autograph=False,
)
def _draws(seed: tf.Tensor, image_indices: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Random numbers of all patches, uint64 `[batch, count, _DRAWS]`.

    The key is the lower words of the seed. The counter holds the number of the patch,
    the number of the image, and the upper words of the seed. A patch takes two
    counters. So two patches of fewer than 2^32 images never share random numbers, nor
    do two seeds.
    """
    seed_words, image_words = _words(seed), _words(image_indices)
    key, upper = seed_words[:, 0], seed_words[:, 1]
    patches = tf.cast(tf.range(2 * count), tf.uint64)
    even = tf.stack([patches, tf.broadcast_to(upper[0], tf.shape(patches))], axis=-1)
    odd = image_words ^ tf.stack([tf.zeros_like(upper[1]), upper[1]])
    even, odd = philox(even, odd[:, tf.newaxis], key)
    numbers = even | tf.bitwise.left_shift(odd, tf.constant(32, tf.uint64))
    batch = tf.size(image_indices, out_type=tf.int64)
    return tf.reshape(numbers, tf.stack([batch, count, _DRAWS]))


def _words(integers: tf.Tensor) -> tf.Tensor:
    """The lower and upper words of 64-bit integers, as uint64 `[..., 2]`."""
    integers = tf.cast(integers, tf.uint64)
    upper = tf.bitwise.right_shift(integers, tf.constant(32, tf.uint64))
    return tf.stack([integers & tf.constant(_LOW, tf.uint64), upper], axis=-1)


def _uniform_positions(draws: tf.Tensor, request: Request) -> tf.Tensor:
    """Positions, int64 `[batch, count, axes]`, all equally likely."""
    firsts, places = map(_stack, request.places())
    # Some places get one more of the 2^64 numbers than others, which no test can tell.
    offsets = draws[..., : len(request.space)] % tf.cast(places, tf.uint64)
    return tf.cast(offsets, tf.int64) + firsts


def _weighted_positions(
    draws: tf.Tensor, request: Request, weights: tf.Tensor
) -> tf.Tensor:
    """Positions, int64 `[batch, count, axes]`, in proportion to weights.

    They are drawn by the inverse of their distribution function.
    """
    halves = [span // 2 for span in request.spans]
    middles, places = zip(*map(_middles, request.space, request.spans), strict=True)
    window = [slice(m, m + n) for m, n in zip(middles, places, strict=True)]
    weights = tf.cast(weights[(slice(None), *window)], tf.float64)
    all_places = math.prod(places)
    weights = tf.reshape(weights, _stack([request.batch, all_places]))
    cumulative = tf.cumsum(weights, axis=1)
    total = tf.reduce_max(cumulative, axis=1, keepdims=True)
    cumulative = checked(
        cumulative,
        tf.reduce_all(weights >= 0) & tf.reduce_all(tf.math.is_finite(total)),
        "weights must be numbers of at least 0, with a finite sum for each image.",
    )
    # 52 bits: with one more, a product could be rounded up to the total.
    bits = tf.bitwise.right_shift(draws[..., 0], tf.constant(12, tf.uint64))
    target = tf.cast(bits, tf.float64) * 2.0**-52 * total
    # `tf.searchsorted` does not take empty batches.
    drawn = tf.raw_ops.UpperBound(
        sorted_inputs=cumulative, values=target, out_type=tf.int64
    )
    uniform = tf.cast(draws[..., 0] % tf.cast(all_places, tf.uint64), tf.int64)
    number = tf.where(total > 0, drawn, uniform)
    positions = []
    for along in reversed(places):
        positions.append(number % along)
        number = number // along
    return tf.stack(positions[::-1], axis=-1) + _stack(middles) - _stack(halves)


def _middles(pixels: Any, span: int) -> tuple[Any, Any]:
    """The first pixel where the middle of a patch may lie, and how many pixels.

    If the image is smaller than the patch, the middle must still lie on the image.
    """
    lib = array_module(pixels)
    first, half = lib.minimum(pixels - span, 0), span // 2
    last = first + abs(pixels - span)
    middle = lib.maximum(first + half, 0)
    return middle, lib.minimum(last + half, pixels - 1) - middle + 1


def _flips(draws: tf.Tensor, can_flip: Sequence[bool]) -> tf.Tensor:
    """Along which axes patches are reversed, bool `[batch, count, axes]`."""
    shifts = tf.constant(np.arange(len(can_flip)), tf.uint64)
    bits = tf.bitwise.right_shift(draws[..., -1:], shifts) & tf.constant(1, tf.uint64)
    return tf.cast(bits, tf.bool) & tf.constant(can_flip)


def _common_shape(tensors: Sequence[tf.Tensor]) -> tf.TensorShape:
    """`[batch, *space]` of all tensors, as far as it is known."""
    if not tensors:
        invalid("images must be a tensor or a structure of tensors, but it is empty.")
    common = tf.TensorShape(None)
    for tensor in tensors:
        shape = tensor.shape
        if shape.rank not in (3, 4, 5):
            message = (
                "images must be [batch, *space, depth] with one to three axes of "
                f"space, but got shape {shape_text(shape)}."
            )
            if shape.rank is None:
                message += (
                    " Make the rank known: tf.ensure_shape(images, [None, None, None, "
                    "None])."
                )
            elif shape.rank == 2:
                message += " If the batch axis is missing, add it: images[tf.newaxis]."
            invalid(message)
        if not shape[:-1].is_compatible_with(common):
            invalid(_different(tensors))
        common = common.merge_with(shape[:-1])
    return common


def _dimensions(shape: tf.TensorShape, tensors: Sequence[tf.Tensor]) -> list[Any]:
    """Batch and space: ints, or int64 tensors if they are known only at run time."""
    if shape.is_fully_defined():
        return shape.as_list()
    dynamic, *others = [tf.shape(t, out_type=tf.int64)[:-1] for t in tensors]
    for other in others:
        dynamic = checked(
            dynamic, tf.reduce_all(tf.equal(dynamic, other)), _different(tensors)
        )
    return [dynamic[i] if n is None else n for i, n in enumerate(shape)]


def _different(tensors: Sequence[tf.Tensor]) -> str:
    return (
        "All images must have the same batch and space, but got shapes "
        f"{', '.join(shape_text(tensor.shape) for tensor in tensors)}."
    )


def _fitting(space: Sequence[Any], spans: Sequence[int]) -> list[Any]:
    return [
        checked(
            pixels,
            pixels >= span,
            f"images must be at least as large as a patch, which spans {spans} pixels, "
            f"but got {['?' if tf.is_tensor(n) else n for n in space]}. To cut patches "
            'that are larger than images, pass a mode, such as mode="REFLECT".',
        )
        for pixels, span in zip(space, spans, strict=True)
    ]


def _read_count(count: Any) -> Any:
    """An int, or an int64 scalar."""
    known = tf.get_static_value(count) if tf.is_tensor(count) else count
    message = f"count must be an int of 0 to {_MOST}, but got {count!r}."
    if known is not None:
        if np.asarray(known).dtype.kind not in "iu":
            raise TypeError(message)
        if np.ndim(known) or not 0 <= known <= _MOST:
            invalid(message)
        return int(known)
    if count is None or not count.dtype.is_integer:
        raise TypeError(message)
    return tf.cast(count, tf.int64)


def _read_seed(seed: Any) -> tf.Tensor:
    seed = _integers(seed, "seed")
    if not seed.shape.is_compatible_with([2]):
        invalid(f"seed must be two integers, but got shape {shape_text(seed.shape)}.")
    return tf.ensure_shape(seed, [2])


def _read_image_indices(indices: Any, request: Request) -> tf.Tensor:
    if indices is None:
        return tf.range(tf.cast(request.batch, tf.int64))
    known_batch = _known(request.batch)
    indices = _integers(indices, "image_indices")
    if not indices.shape.is_compatible_with([known_batch]):
        invalid(
            f"image_indices must be of shape {shape_text(request.shape[:1])}, the "
            f"batch of images, but got shape {shape_text(indices.shape)}."
        )
    return tf.ensure_shape(indices, [known_batch])


def _integers(values: Any, name: str) -> tf.Tensor:
    """Integers as an int64 tensor."""
    if not tf.is_tensor(values) and not _holds_tensors(values):
        values = np.asarray(values)
        if values.dtype.kind not in "iu":
            raise TypeError(f"{name} must be integers of 64 bits, but got {values}.")
    tensor = tf.convert_to_tensor(values)
    if not tensor.dtype.is_integer:
        raise TypeError(f"{name} must be integers, but got {tensor.dtype.name}.")
    return tf.cast(tensor, tf.int64)


def _holds_tensors(values: Any) -> bool:
    return isinstance(values, (list, tuple)) and any(map(tf.is_tensor, values))


def _read_weights(weights: Any, request: Request) -> tf.Tensor:
    shape = request.shape
    weights = tf.convert_to_tensor(weights)
    if weights.dtype.is_complex or not (
        weights.dtype.is_floating or weights.dtype.is_integer or weights.dtype.is_bool
    ):
        raise TypeError(f"weights must be real numbers, but got {weights.dtype.name}.")
    if not weights.shape.is_compatible_with(shape):
        message = (
            f"weights must be of shape {shape_text(shape)}, the batch and space of "
            f"images, but got shape {shape_text(weights.shape)}."
        )
        if weights.shape.rank == shape.rank + 1:
            message += " Pass one number for each pixel, such as weights[..., 0]."
        invalid(message)
    return tf.ensure_shape(weights, shape)


def _read_flips(flips: Any, axes: int) -> list[bool]:
    """Which axes of space may be reversed."""
    if flips is None:
        return [False] * axes
    names = ["horizontal", "vertical", "all"] if axes > 1 else ["horizontal", "all"]
    message = (
        f"flips must be None, {', '.join(names)}, for images of {axes} axes of space, "
        f"but got {flips!r}."
    )
    if not isinstance(flips, str):
        raise TypeError(message)
    if flips.lower() not in names:
        invalid(message)
    axis = {"horizontal": axes - 1, "vertical": axes - 2}.get(flips.lower())
    return [axis in (None, i) for i in range(axes)]


def _stack(numbers: Sequence[Any]) -> Any:
    """Numbers as int64 `[axes]`."""
    if any(map(tf.is_tensor, numbers)):
        return tf.stack([tf.cast(number, tf.int64) for number in numbers])
    return np.array(numbers, np.int64)


def _known(number: Any) -> Any:
    """An int, or None for a tensor."""
    return None if tf.is_tensor(number) else number
