"""The fold: to the bit as the naive loop, and patches put back."""

import re

import numpy as np
import oracle
import pytest
import tensorflow as tf
from cases import (
    NUMBERS,
    SHARED_OUT,
    SHARED_OUT_ANY,
    any_cases,
    case,
    examples,
    random_bits,
    seeds,
    signatures,
)
from compare import assert_same_bits, assert_same_numbers
from graphs import in_graph
from hypothesis import given
from hypothesis import strategies as st

import tf_patches


@examples(1200)
@given(st.sampled_from(NUMBERS), st.data(), any_cases(small=True), seeds)
def test_equals_naive_loop(dtype, data, case, seed):
    shape, grid = case
    patches = random_bits(oracle.patches_shape(shape, **grid), dtype, seed)
    known = data.draw(signatures(patches.shape))
    expected = oracle.fold(patches, shape, **grid)
    assert_same_numbers(tf_patches.fold_patches(patches, shape, **grid), expected)
    images = in_graph(
        lambda p, s: tf_patches.fold_patches(p, s, **grid),
        patches,
        np.array(shape),
        signature=[known, [len(shape)]],
    )
    assert_same_numbers(images, expected)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "int64"])
@pytest.mark.parametrize("shape, grid", [*SHARED_OUT, *SHARED_OUT_ANY])
def test_shared_out_covers_every_pixel_as_often_as_patches_do(dtype, shape, grid):
    grid = {**grid, "constant_values": 0}
    images = random_bits(shape, dtype, seed=1)
    patches = tf_patches.extract_patches(images, **grid)
    coverage = oracle.coverage(shape, **grid)[None, ..., None].astype(dtype)
    assert_same_bits(tf_patches.fold_patches(patches, shape, **grid), images * coverage)


TILES = [
    case((2, 12, 10, 3), (3, 5), (3, 5), (1, 1), "VALID"),
    case((1, 11, 10, 2), (3, 4), (3, 4), (1, 1), "SAME"),
    # Dilated patches that lie interleaved: rows 0 and 2, then 1 and 3.
    case((3, 4, 6, 1), (2, 2), (1, 1), (2, 3), "VALID"),
    case((2, 20, 3), (4,), (4,), (1,), "VALID"),
    case((2, 7, 6, 5, 2), (2, 3, 5), (2, 3, 5), (1, 1, 1), "SAME"),
    case((1, 4, 3, 2, 1), (2, 3, 1), (1, 3, 1), (2, 1, 1), "VALID"),
    # What lies beyond the image is dropped.
    case((2, 5, 6, 1), (4, 4), (4, 4), (1, 1), [(2, 1), (0, 6)], constant_values=9),
]


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("shape, grid", TILES)
def test_puts_tiles_back(dtype, shape, grid):
    images = tf.cast(np.arange(np.prod(shape)).reshape(shape) % 120, dtype)
    patches = tf_patches.extract_patches(images, **grid)
    assert_same_bits(tf_patches.fold_patches(patches, shape, **grid), images)


SHAPE, GRID = case((2, 5, 4, 3), (2, 2), (1, 2), (1, 1), "SAME")
PATCHES_SHAPE = oracle.patches_shape(SHAPE, **GRID)
SHAPE_FORMS = {
    "list": list,
    "tuple": tuple,
    "TensorShape": tf.TensorShape,
    "int32 array": np.int32,
    "int64 array": np.int64,
    "int32 tensor": lambda shape: tf.constant(shape, tf.int32),
    "int64 tensor": lambda shape: tf.constant(shape, tf.int64),
    "list of NumPy integers": lambda shape: [np.int64(dim) for dim in shape],
    "list with batch None": lambda shape: [None, *shape[1:]],
    "tuple with batch None": lambda shape: (None, *shape[1:]),
    "TensorShape with batch None": lambda shape: tf.TensorShape([None, *shape[1:]]),
    "list with an int32 tensor": lambda shape: [tf.constant(shape[0]), *shape[1:]],
    "list with int64 tensors": lambda shape: [
        *shape[:2],
        *(tf.constant(dim, tf.int64) for dim in shape[2:]),
    ],
    "list with batch None and tensors": lambda shape: [
        None,
        tf.constant(shape[1], tf.int64),
        tf.constant(shape[2], tf.int32),
        shape[3],
    ],
}


@pytest.mark.parametrize("form", SHAPE_FORMS.values(), ids=SHAPE_FORMS)
def test_takes_image_shape_as(form):
    patches = random_bits(PATCHES_SHAPE, "int32", seed=1)
    expected = oracle.fold(patches, SHAPE, **GRID)

    def fold(patches):
        return tf_patches.fold_patches(patches, form(SHAPE), **GRID)

    assert_same_bits(fold(patches), expected)
    assert_same_bits(in_graph(fold, patches), expected)
    assert_same_bits(in_graph(fold, patches, signature=[[None] * 4]), expected)


def test_takes_the_shape_of_images_known_only_when_run():
    patches = random_bits(PATCHES_SHAPE, "int32", seed=1)

    def fold(patches, images):
        return tf_patches.fold_patches(patches, tf.shape(images), **GRID)

    images = np.zeros(SHAPE, "int32")
    folded = in_graph(fold, patches, images, signature=[None, None])
    assert_same_bits(folded, oracle.fold(patches, SHAPE, **GRID))


REFUSED_SHAPES = {
    "other rows": ([2, 6, 4, 3], r"\[2,5,2,12\].*\[2,6,4,3\].*\[2,6,2,12\]"),
    "other batch": ([1, 5, 4, 3], r"\[2,5,2,12\].*\[1,5,4,3\].*\[1,5,2,12\]"),
    "other depth": ([2, 5, 4, 2], r"\[2,5,2,12\].*\[2,5,4,2\].*\[2,5,2,8\]"),
    "negative batch": ([-1, 5, 4, 3], r"must not be negative.*-1"),
    "negative rows": ([2, -5, 4, 3], r"must not be negative.*-5"),
    "negative cols": ([2, 5, -4, 3], r"must not be negative.*-4"),
    "negative depth": ([2, 5, 4, -3], r"must not be negative.*-3"),
    "too short": ([5, 4, 3], r"image_shape must be.*\[3\]"),
    "too long": ([2, 5, 4, 3, 1], r"image_shape must be.*\[5\]"),
    "nested": ([[2, 5, 4, 3]], r"image_shape must be.*\[1,4\]"),
    "scalar": (4, r"image_shape must be.*\[\]"),
}


@pytest.mark.parametrize("shape, message", REFUSED_SHAPES.values(), ids=REFUSED_SHAPES)
def test_refuses_image_shape(shape, message):
    patches = tf.zeros(PATCHES_SHAPE)

    def fold(patches, shape):
        return tf_patches.fold_patches(patches, shape, **GRID)

    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        fold(patches, tf.constant(shape))
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        in_graph(fold, patches, tf.constant(shape), signature=[None, None])
    # TensorFlow's shape inference takes -1 for unknown, so one of these runs.
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        in_graph(lambda p: fold(p, tf.constant(shape)), patches)


@pytest.mark.parametrize("rank", [0, 3, 5])
def test_refuses_patches_of_another_rank(rank):
    patches = tf.zeros([1] * rank)

    def fold(patches):
        return tf_patches.fold_patches(patches, SHAPE, **GRID)

    message = f"patches .*{re.escape(str([1] * rank).replace(' ', ''))}"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        fold(patches)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        in_graph(fold, patches, signature=[None])
    with pytest.raises(ValueError):
        in_graph(fold, patches)


def test_refuses_bool():
    patches = tf.zeros(PATCHES_SHAPE, tf.bool)
    with pytest.raises(tf.errors.InvalidArgumentError, match="bool"):
        tf_patches.fold_patches(patches, SHAPE, **GRID)


def test_names_its_operation():
    with tf.Graph().as_default():
        patches = tf.zeros(PATCHES_SHAPE)
        images = tf_patches.fold_patches(patches, SHAPE, **GRID, name="paste")
    assert images.op.name == "paste"
