"""`tf.vectorized_map` and jacobians run the ops once, not once for each turn."""

import numpy as np
import pytest
import tensorflow as tf
from compare import assert_same_bits
from derivatives import batch_jacobian, built_in_fold, gradient, jacobian
from graphs import LOOPS, mapped, no_warning, node_types, run_without_loops

import tf_patches

GRID = dict(
    sizes=[1, 2, 3, 1], strides=[1, 1, 2, 1], rates=[1, 2, 1, 1], padding="SAME"
)
IMAGES = np.random.default_rng(1).normal(size=(3, 2, 5, 4, 2)).astype(np.float32)
SHAPE = IMAGES.shape[1:]


def ours(images):
    return tf_patches.extract_patches(images, **GRID)


def built_in(images):
    return tf.image.extract_patches(images, **GRID)


PATCHES = np.stack([built_in(images) for images in IMAGES])


def images_of(patches):
    """What a fold of `patches` is to be."""
    return built_in_fold(patches, [len(patches), *SHAPE[1:]], **GRID)


def fold(patches, image_shape=SHAPE):
    return tf_patches.fold_patches(patches, image_shape, **GRID)


def test_loops_are_seen(caplog):
    """What the tests below forbid is there for an op that has no converter."""
    with pytest.raises(AssertionError):
        run_without_loops(mapped(built_in), caplog, IMAGES)
    assert any("while_loop" in message for message in caplog.messages)


def test_extract(caplog):
    patches = run_without_loops(mapped(ours), caplog, IMAGES)
    assert_same_bits(patches, PATCHES)


# The image shape as it comes: known, a tensor outside of the loop, or made anew
# in every turn.
SHAPES = {
    "list": lambda patches: list(SHAPE),
    "batch None": lambda patches: [None, *SHAPE[1:]],
    "int32": lambda patches: tf.constant(SHAPE),
    "int64": lambda patches: tf.constant(SHAPE, tf.int64),
    "of the turn": lambda patches: tf.concat([tf.shape(patches)[:1], SHAPE[1:]], 0),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_fold(shape, caplog):
    images = run_without_loops(
        mapped(lambda patches: fold(patches, SHAPES[shape](patches))), caplog, PATCHES
    )
    assert_same_bits(images, [images_of(patches) for patches in PATCHES])


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_fold_with_shapes_as_elements(dtype, caplog):
    shapes = np.array([SHAPE] * len(PATCHES), dtype)
    images = run_without_loops(mapped(fold), caplog, PATCHES, shapes)
    assert_same_bits(images, [images_of(patches) for patches in PATCHES])


def test_fold_of_the_same_patches(caplog):
    shapes = np.array([SHAPE] * 2)
    images = run_without_loops(
        mapped(lambda shape: fold(tf.constant(PATCHES[0]), shape)), caplog, shapes
    )
    assert_same_bits(images, [images_of(PATCHES[0])] * 2)


def test_fold_with_shapes_that_differ():
    shapes = np.array([SHAPE, (2, 5, 3, 2), SHAPE])
    with pytest.raises(tf.errors.InvalidArgumentError, match="image_shape"):
        mapped(fold)(PATCHES, shapes)


def test_unknown_dimensions(caplog):
    traced = tf.function(
        mapped(lambda images: fold(ours(images), tf.shape(images))),
        input_signature=[tf.TensorSpec([None] * 5)],
    )
    with no_warning(caplog):
        result = traced(IMAGES)
    assert not node_types(traced.get_concrete_function()) & LOOPS
    assert_same_bits(result, [images_of(patches) for patches in PATCHES])


def test_nested(caplog):
    images = IMAGES[:, :, None]
    patches = run_without_loops(mapped(mapped(ours)), caplog, images)
    assert_same_bits(patches, PATCHES[:, :, None])

    patches = PATCHES[:, :, None]
    shape = [1, *SHAPE[1:]]
    folded = run_without_loops(
        mapped(mapped(lambda p: fold(p, shape))), caplog, patches
    )
    expected = [[images_of(patch) for patch in turn] for turn in patches]
    assert_same_bits(folded, expected)


@pytest.mark.parametrize("derivative", [jacobian, batch_jacobian])
@pytest.mark.parametrize(
    "mine, theirs",
    [(ours, built_in), (gradient(ours), gradient(built_in))],
    ids=["extract", "gradient"],
)
def test_jacobian(derivative, mine, theirs, caplog):
    images = tf.constant(IMAGES[0])
    actual = run_without_loops(derivative(mine), caplog, images)
    assert_same_bits(actual, derivative(theirs)(images))


def test_jacobian_of_fold(caplog):
    """Fold is extraction's adjoint, so its jacobian is the transpose."""
    actual = run_without_loops(jacobian(fold), caplog, tf.constant(PATCHES[0]))
    transpose = jacobian(built_in)(tf.constant(IMAGES[0]))
    assert_same_bits(actual, np.transpose(transpose, [4, 5, 6, 7, 0, 1, 2, 3]))


@pytest.mark.parametrize("function", [ours, gradient(ours)], ids=["extract", "fold"])
def test_no_turns(function, caplog):
    expected = tf.TensorShape([0]).concatenate(function(tf.constant(IMAGES[0])).shape)
    result = run_without_loops(mapped(function), caplog, IMAGES[:0])
    assert result.shape == expected

    traced = tf.function(
        mapped(function), input_signature=[tf.TensorSpec([None, *SHAPE])]
    )
    assert traced(IMAGES[:0]).shape == expected


@pytest.mark.parametrize("shape", [(3, 0, 5, 4, 2), (3, 2, 5, 4, 0), (3, 2, 0, 4, 2)])
def test_empty_images(shape, caplog):
    images = np.zeros(shape, np.float32)
    patches = run_without_loops(mapped(ours), caplog, images)
    assert_same_bits(patches, [built_in(turn) for turn in images])


BEYOND = {
    "signals": (
        (3, 2, 9, 2),
        dict(sizes=3, strides=2, padding="SAME"),
    ),
    "volumes": (
        (3, 2, 4, 5, 3, 2),
        dict(sizes=[2, 1, 3], strides=1, rates=[1, 2, 1], padding="SAME"),
    ),
    "a border": (
        (3, 2, 5, 4, 2),
        dict(sizes=3, strides=2, padding="SAME", mode="REFLECT"),
    ),
    "a wide border": (
        (3, 2, 3, 4, 2),
        dict(sizes=2, padding=[[0, 0], [7, 2], [0, 9], [0, 0]], mode="WRAP"),
    ),
    "a constant": (
        (3, 2, 5, 4, 2),
        dict(sizes=3, padding="SAME", constant_values=0.5),
    ),
}


@pytest.mark.parametrize("name", BEYOND)
def test_beyond_the_built_in(name, caplog):
    """As one element at a time, and jacobians of the fold are its transpose."""
    shape, grid = BEYOND[name]
    images = np.random.default_rng(2).normal(size=shape).astype(np.float32)

    def extract(images):
        return tf_patches.extract_patches(images, **grid)

    def fold(patches):
        return tf_patches.fold_patches(patches, shape[1:], **grid)

    expected = [extract(turn) for turn in images]
    patches = run_without_loops(mapped(extract), caplog, images)
    assert_same_bits(patches, expected)
    folded = run_without_loops(mapped(fold), caplog, patches)
    assert_same_bits(folded, [fold(turn) for turn in expected])

    one = tf.constant(images[0])
    of_patches = run_without_loops(jacobian(extract), caplog, one)
    of_images = run_without_loops(jacobian(fold), caplog, expected[0])
    rank = len(shape) - 1
    order = [*range(rank, 2 * rank), *range(rank)]
    assert_same_bits(of_images, np.transpose(of_patches, order))
    for derivative in jacobian, batch_jacobian:
        run_without_loops(derivative(gradient(extract)), caplog, one)


def test_volumes_of_the_built_in(caplog):
    volumes = np.random.default_rng(2).normal(size=(3, 2, 7, 6, 5, 2))
    call = [1, 2, 1, 2, 1], [1, 4, 1, 3, 1], "SAME"

    def extract(volumes):
        return tf_patches.extract_volume_patches(volumes, *call)

    patches = run_without_loops(mapped(extract), caplog, volumes)
    assert_same_bits(patches, [tf.extract_volume_patches(v, *call) for v in volumes])


def test_unknown_rank(caplog):
    """Of the elements, so that nothing says how many axes are mapped at once."""
    shape, grid = BEYOND["volumes"]
    volumes = np.random.default_rng(2).normal(size=shape)
    lists = dict(sizes=[1, 2, 1, 3, 1], strides=[1] * 5, rates=[1, 1, 2, 1, 1])

    def extract(volumes):
        return tf_patches.extract_patches(volumes, **lists, padding="SAME")

    traced = tf.function(
        mapped(extract), input_signature=[tf.TensorSpec(None, tf.float64)]
    )
    with no_warning(caplog):
        patches = traced(volumes)
    assert not node_types(traced.get_concrete_function()) & LOOPS
    expected = [tf_patches.extract_patches(turn, **grid) for turn in volumes]
    assert_same_bits(patches, expected)
