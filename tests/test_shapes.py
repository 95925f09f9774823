"""What a graph knows of a result before it runs, and what it then refuses."""

import itertools
import re
from functools import partial

import oracle
import pytest
import tensorflow as tf
from cases import (
    any_attributes,
    attributes,
    bordered_cases,
    case,
    examples,
    signatures,
)
from compare import assert_same_outcome
from hypothesis import given
from hypothesis import strategies as st

import tf_patches

SHAPE = (2, 7, 6, 3)
KNOWLEDGE = [None, *itertools.product(*[(dim, None) for dim in SHAPE])]
SPECS = [
    ((2, 3), (1, 1), (1, 1)),
    ((2, 3), (3, 2), (1, 1)),
    ((1, 1), (1, 1), (2, 3)),
    ((1, 2), (1, 2), (5, 2)),
    ((3, 2), (2, 1), (3, 5)),
    ((8, 7), (2, 2), (1, 1)),
    ((9, 8), (4, 4), (1, 1)),
]


def _infer(op, shape, grid):
    with tf.Graph().as_default():
        return op(tf.compat.v1.placeholder(tf.int32, shape), **grid).shape


def _assert_refines(ours, theirs):
    """What is known of theirs is known of ours, and is the same."""
    assert theirs.rank is None or ours.rank == theirs.rank
    for our_dim, their_dim in zip(ours, theirs, strict=True):
        assert their_dim is None or our_dim == their_dim


@pytest.mark.parametrize("shape", KNOWLEDGE)
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("spec", SPECS)
def test_infers_what_builtin_infers(spec, padding, shape):
    _, grid = case(SHAPE, *spec, padding)
    ours = _infer(tf_patches.extract_patches, shape, grid)
    _assert_refines(ours, _infer(tf.image.extract_patches, shape, grid))
    result = tf.image.extract_patches(tf.zeros(SHAPE), **grid)
    assert ours.is_compatible_with(result.shape)


@examples(300)
@given(bordered_cases(), st.data())
def test_infers_what_the_shapes_tell(case, data):
    """Of each axis alone, also where nothing is known of the others."""
    shape, grid = case
    known = data.draw(signatures(shape))
    whole = oracle.patches_shape(shape, **grid)
    inferred = _infer(tf_patches.extract_patches, known, grid)
    expected = [None] * len(shape)  # which the lists tell, if nothing else
    if known is not None:
        expected = [
            n if k is not None else k for n, k in zip(whole, known, strict=True)
        ]
    _assert_refines(inferred, tf.TensorShape(expected))
    assert inferred.is_compatible_with(whole)


@examples(150)
@given(
    bordered_cases(axes=[3], modes=["CONSTANT"], explicit=False, fits=False), st.data()
)
def test_infers_what_builtin_infers_of_volumes(case, data):
    shape, grid = case
    # Where space is not known, the built-in infers four axes, and has five.
    unknown = data.draw(st.sampled_from([(), (0,), (-1,), (0, -1)]))
    known = [None if i in unknown else shape[i] for i in (0, 1, 2, 3, -1)]
    arguments = grid["sizes"], grid["strides"], grid["padding"]

    def infer(op):
        with tf.Graph().as_default():
            return op(tf.compat.v1.placeholder(tf.int32, known), *arguments).shape

    assert_same_outcome(
        lambda: infer(tf_patches.extract_volume_patches),
        lambda: infer(tf.extract_volume_patches),
        same=_assert_refines,
    )


def test_infers_rows_where_cols_are_unknown():
    _, grid = case(SHAPE, (2, 3), (2, 3), (1, 1), "VALID")
    shape = _infer(tf_patches.extract_patches, [None, 7, None, 3], grid)
    assert shape.as_list() == [None, 3, None, 18]


@examples(200)
@given(st.integers(0, 2), attributes, st.sampled_from(KNOWLEDGE))
def test_refuses_what_builtin_refuses(wrong, attribute, known):
    grid = dict(case(SHAPE, (2, 1), (2, 1), (1, 2), "VALID").grid)
    grid[list(grid)[wrong]] = attribute
    _assert_refuses(known, grid)


@examples(200)
@given(any_attributes, any_attributes, any_attributes, st.sampled_from(KNOWLEDGE))
def test_refuses_several_arguments_as_builtin_does(sizes, strides, rates, known):
    grid = {"sizes": sizes, "strides": strides, "rates": rates, "padding": "VALID"}
    _assert_refuses(known, grid)


def _assert_refuses(known, grid):
    """As the built-in does; sooner only what no run of the built-in can do."""
    ours = partial(_infer, tf_patches.extract_patches, known, grid)
    builtin = partial(_infer, tf.image.extract_patches, known, grid)
    try:
        expected = builtin()
    except Exception:
        assert_same_outcome(ours, builtin)
        return
    try:
        _assert_refines(ours(), expected)
    except tf.errors.OpError as error:
        with pytest.raises(type(error)):
            tf.image.extract_patches(tf.zeros(SHAPE), **grid)


@pytest.mark.parametrize("rank", [0, 1, 3, 5])
def test_refuses_images_of_another_rank(rank):
    grid = case(SHAPE, (1, 1), (1, 1), (1, 1), "SAME").grid
    shown = str([1] * rank).replace(" ", "")
    with pytest.raises(ValueError, match=f"images .*{re.escape(shown)}"):
        _infer(tf_patches.extract_patches, [1] * rank, grid)
    with pytest.raises(ValueError):
        _infer(tf.image.extract_patches, [1] * rank, grid)


_, GRID = case(SHAPE, (2, 3), (2, 2), (1, 1), "SAME")


def _infer_fold(patches_shape, image_shape):
    """The shape that a fold has where `image_shape` is partly a placeholder."""
    with tf.Graph().as_default():
        patches = tf.compat.v1.placeholder(tf.int32, patches_shape)
        unknown = tf.compat.v1.placeholder(tf.int32, [])
        if image_shape is None:
            shape = tf.compat.v1.placeholder(tf.int64, None)
        else:
            shape = tf.stack([unknown if dim is None else dim for dim in image_shape])
        return tf_patches.fold_patches(patches, shape, **GRID).shape


@examples(200)
@given(bordered_cases(), st.data())
def test_fold_infers_what_the_image_shape_tells(case, data):
    shape, grid = case
    patches_shape = oracle.patches_shape(shape, **grid)
    known = data.draw(signatures(patches_shape))

    def fold(patches):
        return tf_patches.fold_patches(patches, shape, **grid)

    with tf.Graph().as_default():
        placeholder = tf.compat.v1.placeholder(tf.int32, known)
        assert fold(placeholder).shape == shape


@pytest.mark.parametrize("known", KNOWLEDGE)
def test_fold_infers_its_shape(known):
    dims = list(known or [None] * 4)
    assert _infer_fold(None, known).as_list() == dims
    # Patches tell the batch and the depth, rows and cols only within a stride.
    patches_shape = oracle.patches_shape(SHAPE, **GRID)
    assert _infer_fold(patches_shape, known).as_list() == [2, *dims[1:3], 3]


@pytest.mark.parametrize(
    "patches_shape, image_shape",
    [
        ([2, 4, 3, 17], None),  # 17 is no multiple of 2 * 3
        ([2, 4, 3, 18], [3, None, None, None]),
        ([2, 5, 3, 18], [None, 7, None, None]),
        ([2, 4, 4, 18], [None, None, 6, None]),
        ([2, 4, 3, 18], [None, None, None, 4]),
        ([2, 4, 18], None),
        (None, [2, 7, 6]),
    ],
)
def test_fold_refuses_shapes_that_cannot_agree(patches_shape, image_shape):
    with pytest.raises(ValueError):
        _infer_fold(patches_shape, image_shape)
