"""Borders: to the bit as numpy.pad or tf.pad and TensorFlow's own extraction."""

from functools import partial

import hypothesis.strategies as st
import numpy as np
import oracle
import pytest
import tensorflow as tf
from cases import (
    COMPLEX,
    DTYPES,
    FLOATS,
    INTEGERS,
    MODES,
    PART,
    bordered_cases,
    case,
    examples,
    random_bits,
    seeds,
    special_values,
)
from compare import assert_same_bits
from derivatives import pullback
from graphs import in_graph
from hypothesis import given

import tf_patches


def builtin(images, grid):
    """Extraction by TensorFlow's op for so many axes, of no border."""
    sizes, strides, rates = (grid[name] for name in ("sizes", "strides", "rates"))
    if len(sizes) == 5:
        return tf.extract_volume_patches(images, sizes, strides, "VALID")
    if len(sizes) == 4:
        return tf.image.extract_patches(images, sizes, strides, rates, "VALID")
    row = ([1, *values] for values in (sizes, strides, rates))
    return tf.image.extract_patches(images[:, tf.newaxis], *row, "VALID")[:, 0]


def outside(shape, grid):
    """The pixels before and after the image, along each axis, that patches reach."""
    if grid["padding"] != "SAME":
        return [[0, 0]] * len(shape) if grid["padding"] == "VALID" else grid["padding"]
    return [[0, 0], *(_outside(*axis) for axis in _same_axes(shape, grid)), [0, 0]]


def _same_axes(shape, grid):
    lists = (grid[name] for name in ("sizes", "strides", "rates"))
    return list(zip(shape, *lists, strict=True))[1:-1]


def _outside(image, size, stride, rate):
    count, before = oracle.count_and_pad(image, size, stride, rate, "SAME")
    covered = (count - 1) * stride + (size - 1) * rate + 1
    return [before, max(0, covered - before - image)]


def as_builtin_has_it(case):
    """TensorFlow's op for volumes has no rates."""
    if len(case.shape) < 5:
        return case
    return case._replace(grid={**case.grid, "rates": [1] * 5})


# NumPy widens no axis without a pixel.
builtin_cases = (
    bordered_cases()
    .filter(lambda case: 0 not in case.shape[1:-1])
    .map(as_builtin_has_it)
)


@examples(1200)
@given(st.sampled_from([*FLOATS, *INTEGERS]), builtin_cases, seeds)
def test_equals_numpy_pad_and_builtin(dtype, case, seed):
    shape, grid = case
    images = random_bits(shape, dtype, seed)
    wide = np.pad(images, outside(shape, grid), grid["mode"].lower())
    expected = builtin(tf.constant(wide), grid)
    assert_same_bits(tf_patches.extract_patches(images, **grid), expected)


# TensorFlow reflects over no more pixels than the image has.
PAD_MODES = {"CONSTANT": 9, "REFLECT": -1, "SYMMETRIC": 0}


@st.composite
def padded_cases(draw):
    """Cases with an explicit padding that tf.pad can make."""
    mode = draw(st.sampled_from(list(PAD_MODES)))
    grid = draw(bordered_cases(explicit=False).map(as_builtin_has_it)).grid
    spans = [(k - 1) * r + 1 for k, r in zip(grid["sizes"], grid["rates"], strict=True)]
    space = [draw(st.integers(span, span + 4)) for span in spans[1:-1]]
    pairs = [
        draw(st.tuples(*[st.integers(0, image + PAD_MODES[mode])] * 2))
        for image in space
    ]
    lists = (grid[name][1:-1] for name in ("sizes", "strides", "rates"))
    shape = draw(st.integers(1, 2)), *space, draw(st.sampled_from([1, 2, 3, 8]))
    return case(shape, *lists, pairs, mode=mode)


def tf_pad(images, grid):
    return tf.pad(images, grid["padding"], grid["mode"])


@examples(300)
@given(padded_cases(), seeds)
def test_derivatives_equal_those_of_tf_pad_and_builtin(case, seed):
    shape, grid = case
    random = np.random.default_rng(seed)
    # Integers, whose sums and products are exact in any order.
    images, direction = tf.constant(random.integers(-9, 9, (2, *shape)), tf.float64)

    def theirs(images):
        return builtin(tf_pad(images, grid), grid)

    def energy(op, images):
        return tf.reduce_sum(op(images) ** 3)

    def second(op, images):
        first = pullback(partial(energy, op), images)
        return tf.reduce_sum(first * direction)

    ours = partial(tf_patches.extract_patches, **grid)
    assert_same_bits(ours(images), theirs(images))
    for derivative in energy, second:
        assert_same_bits(
            pullback(partial(derivative, ours), images),
            pullback(partial(derivative, theirs), images),
        )


# TensorFlow's own gradients fail on images without a batch or depth.
@examples(300)
@given(builtin_cases.filter(lambda case: 0 not in case.shape), seeds)
def test_gradient_equals_that_of_gathered_borders(case, seed):
    """Of any mode, at any width: a border is pixels that are picked again."""
    shape, grid = case
    wanted = outside(shape, grid)
    picks = [
        np.pad(np.arange(image), pair, grid["mode"].lower())
        for image, pair in zip(shape, wanted, strict=True)
    ]

    def gathered(images):
        if grid["mode"] == "CONSTANT":
            return builtin(tf.pad(images, wanted), grid)
        for axis in range(1, len(shape) - 1):
            images = tf.gather(images, picks[axis], axis=axis)
        return builtin(images, grid)

    integers = np.random.default_rng(seed).integers
    images = tf.constant(integers(-9, 9, shape), tf.float32)
    ours = partial(tf_patches.extract_patches, **grid)
    upstream = tf.constant(integers(-9, 9, ours(images).shape), tf.float32)
    expected = pullback(gathered, images, upstream)
    assert_same_bits(pullback(ours, images, upstream), expected)


# A border shows the one pixel, at any distance.
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("mode", MODES[1:])
def test_image_of_one_pixel(mode, axes):
    pixel = random_bits((2, *[1] * axes, 3), "float32", seed=1)
    grid = case(pixel.shape, [5] * axes, [3] * axes, [7] * axes, "SAME", mode=mode).grid
    expected = np.tile(pixel.reshape(2, *[1] * axes, 3), 5**axes)
    assert_same_bits(tf_patches.extract_patches(pixel, **grid), expected)
    ones = tf.ones_like(expected)
    folded = tf_patches.fold_patches(ones, pixel.shape, **grid)
    assert_same_bits(folded, np.full(pixel.shape, 5.0**axes, np.float32))


FARTHEST = 2**31 - 1


def _source(at, image, mode):
    """The pixel that numpy.pad shows at `at`, for widths that it has no memory for."""
    if 0 <= at < image:
        return at
    if mode == "CONSTANT":
        return -1
    if mode == "EDGE":
        return min(max(at, 0), image - 1)
    if mode == "WRAP":
        return at % image
    again = {"SYMMETRIC": 2 * image, "REFLECT": 2 * image - 2}[mode]
    return min(at % again, (-1 - at if mode == "SYMMETRIC" else -at) % again)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", [(FARTHEST, 0), (0, FARTHEST), (FARTHEST, FARTHEST)])
def test_border_as_wide_as_can_be(side, mode):
    image = 1000
    signal = tf.range(1.0, image + 1)[tf.newaxis, :, tf.newaxis]
    padded = image + sum(side)
    stride = 123456789
    grid = case(signal.shape, [2], [stride], [7], [side], mode=mode).grid
    patches = tf_patches.extract_patches(signal, **grid)
    starts = np.arange((padded - 8) // stride + 1) * stride - side[0]
    places = np.add.outer(starts, [0, 7]).ravel().tolist()
    values = [1 + _source(at, image, mode) for at in places]
    assert_same_bits(patches, np.reshape(values, [1, -1, 2]).astype(np.float32))
    folded = tf_patches.fold_patches(patches, signal.shape, **grid)
    times = np.bincount(values, minlength=image + 1)[1:]
    expected = (times * np.arange(1, image + 1)).reshape(1, -1, 1)
    assert_same_bits(folded, expected.astype(np.float32))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "shape", [(0, 3, 4, 2), (2, 3, 4, 0), (0, 3, 0), (1, 2, 3, 4, 0)]
)
def test_images_without_batch_or_depth(shape, mode):
    axes = len(shape) - 2
    grid = case(shape, [2] * axes, [1] * axes, [1] * axes, [(3, 9)] * axes, mode=mode)
    images = np.zeros(shape, np.float32)
    patches = tf_patches.extract_patches(images, **grid.grid)
    assert patches.shape == oracle.patches_shape(*grid[:1], **grid.grid)
    assert tf_patches.fold_patches(patches, shape, **grid.grid).shape == shape


@pytest.mark.parametrize("mode", MODES[1:])
def test_an_image_without_pixels_has_none_to_show(mode):
    images, patches = tf.zeros([1, 3, 0, 1]), tf.ones([1, 3, 2, 1])
    grid = case(images.shape, (1, 1), (1, 1), (1, 1), [(0, 0), (1, 1)]).grid
    sevens = tf_patches.extract_patches(images, **grid, constant_values=7)
    assert_same_bits(sevens, 7 * patches)
    for refused in (
        lambda: tf_patches.extract_patches(images, **grid, mode=mode),
        lambda: tf_patches.fold_patches(patches, images.shape, **grid, mode=mode),
    ):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=r"0 cols .*Use mode CONSTANT"
        ):
            refused()


# A constant, bit for bit; NaN is the only number that Python has no bits of.


@np.errstate(invalid="ignore")  # of NaNs, some are signalling
def constants(dtype):
    """Numbers that constant_values may be, as NumPy has them in the dtype."""
    if dtype == "bool":
        return np.array([False, True])
    if dtype in PART:
        parts = constants(PART[dtype])
        return np.stack([parts, parts[::-1]], axis=1).view(dtype)[:, 0]
    if dtype in FLOATS:
        values = special_values(dtype)
        return values[~np.isnan(values)]
    limits = np.iinfo(dtype)
    return np.array([0, 1, 3, limits.min, limits.max], dtype)


@examples(400)
@given(st.sampled_from(DTYPES), st.data(), bordered_cases(modes=["CONSTANT"]), seeds)
def test_constants_equal_naive_loop(dtype, data, case, seed):
    images = random_bits(case.shape, dtype, seed)
    constant = data.draw(st.sampled_from(list(constants(dtype))))
    grid = {**case.grid, "constant_values": constant}
    expected = oracle.extract(images, **grid)
    assert_same_bits(tf_patches.extract_patches(images, **grid), expected)
    patches = in_graph(lambda x: tf_patches.extract_patches(x, **grid), images)
    assert_same_bits(patches, expected)


@examples(150)
@given(st.sampled_from([*FLOATS, *COMPLEX]), bordered_cases(modes=["CONSTANT"]), seeds)
def test_a_constant_has_no_part_in_gradients(dtype, case, seed):
    shape, grid = case
    images = tf.constant(random_bits(shape, dtype, seed))
    patches_shape = oracle.patches_shape(shape, **grid)
    upstream = tf.constant(random_bits(patches_shape, dtype, seed))
    seven = {**grid, "constant_values": 7}
    expected = tf_patches.fold_patches(upstream, shape, **grid)
    extract = partial(tf_patches.extract_patches, **seven)
    assert_same_bits(pullback(extract, images, upstream), expected)
    assert_same_bits(tf_patches.fold_patches(upstream, shape, **seven), expected)

    # The second derivative, of a function of the patches themselves.
    fold = partial(tf_patches.fold_patches, image_shape=shape, **seven)
    plain = tf_patches.extract_patches(images, **grid)
    assert_same_bits(pullback(fold, upstream, images), plain)


def test_nan_as_a_constant():
    grid = case((1, 2, 1), [3], [1], [1], "SAME", constant_values=float("nan")).grid
    patches = tf_patches.extract_patches(tf.ones([1, 2, 1]), **grid)
    assert np.isnan(patches).tolist() == [[[True, False, False], [False, False, True]]]
