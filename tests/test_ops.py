"""Extraction: to the bit as TensorFlow's own, or as the naive loop."""

import hypothesis.strategies as st
import numpy as np
import oracle
import pytest
import tensorflow as tf
from cases import (
    BUILTIN_DTYPES,
    DTYPES,
    SHARED_OUT,
    SHARED_OUT_ANY,
    STREAMED,
    any_attributes,
    any_cases,
    attributes,
    case,
    cases,
    examples,
    random_bits,
    seeds,
    signatures,
)
from compare import assert_same_bits, assert_same_outcome, refused_late
from graphs import in_graph
from hypothesis import given

import tf_patches


@examples(3000)
@given(st.sampled_from(BUILTIN_DTYPES), cases(), seeds)
def test_eager_equals_builtin(dtype, case, seed):
    images = tf.constant(random_bits(case.shape, dtype, seed))
    assert_same_outcome(
        lambda: tf_patches.extract_patches(images, **case.grid),
        lambda: tf.image.extract_patches(images, **case.grid),
    )


@examples(600)
@given(st.sampled_from(BUILTIN_DTYPES), st.data(), cases(), seeds)
def test_graph_equals_builtin(dtype, data, case, seed):
    images = random_bits(case.shape, dtype, seed)
    known = data.draw(signatures(case.shape))

    def run(op):
        return in_graph(lambda x: op(x, **case.grid), images, signature=[known])

    assert_same_outcome(
        lambda: refused_late(lambda: run(tf_patches.extract_patches)),
        lambda: refused_late(lambda: run(tf.image.extract_patches)),
    )


@examples(1200)
@given(st.sampled_from(DTYPES), st.data(), any_cases(), seeds)
def test_equals_naive_loop(dtype, data, case, seed):
    images = random_bits(case.shape, dtype, seed)
    known = data.draw(signatures(case.shape))
    expected = oracle.extract(images, **case.grid)
    assert_same_bits(tf_patches.extract_patches(images, **case.grid), expected)
    patches = in_graph(
        lambda x: tf_patches.extract_patches(x, **case.grid), images, signature=[known]
    )
    assert_same_bits(patches, expected)


@pytest.mark.parametrize("dtype", ["uint8", "bfloat16", "float32", "complex128"])
@pytest.mark.parametrize("shape, grid", SHARED_OUT)
def test_shared_out_equals_builtin(dtype, shape, grid):
    images = tf.constant(random_bits(shape, dtype, seed=1))
    assert_same_bits(
        tf_patches.extract_patches(images, **grid),
        tf.image.extract_patches(images, **grid),
    )


@pytest.mark.parametrize("dtype", ["uint8", "bfloat16", "float32", "complex128"])
@pytest.mark.parametrize("shape, grid", SHARED_OUT_ANY)
def test_shared_out_equals_naive_loop(dtype, shape, grid):
    images = random_bits(shape, dtype, seed=1)
    expected = oracle.extract(images, **grid)
    assert_same_bits(tf_patches.extract_patches(images, **grid), expected)


@pytest.mark.parametrize("dtype, shape, grid", STREAMED)
def test_large_equals_builtin(dtype, shape, grid):
    images = tf.constant(random_bits(shape, dtype, seed=1))
    assert_same_bits(
        tf_patches.extract_patches(images, **grid),
        tf.image.extract_patches(images, **grid),
    )


@pytest.mark.large(4)
def test_result_of_more_than_2_to_the_31_elements():
    size, rows, cols = 32, 1500, 1490
    images = random_bits((1, rows, cols, 1), "uint8", seed=1)
    grid = case(images.shape, (size, size), (1, 1), (1, 1), "VALID").grid
    patches = tf_patches.extract_patches(images, **grid)
    counts = rows - size + 1, cols - size + 1
    shape = tuple(patches.shape)
    assert shape == (1, *counts, size * size)
    assert np.prod(shape) > 2**31
    random = np.random.default_rng(1).integers(counts, size=(500, 2))
    for row, col in [(0, 0), (counts[0] - 1, counts[1] - 1), *random]:
        expected = images[0, row : row + size, col : col + size, 0]
        assert_same_bits(patches[0, row, col], expected.ravel())


paddings = st.sampled_from(["SAME", "VALID"])
REFUSED_SHAPE = (1, 4, 3, 1)


@examples(150)
@given(st.integers(0, 2), attributes, paddings, signatures(REFUSED_SHAPE))
def test_refuses_what_builtin_refuses(wrong, attribute, padding, known):
    arguments = [[1, 2, 1, 1], [1, 2, 1, 1], [1, 1, 2, 1], padding]
    arguments[wrong] = attribute
    _assert_same_calls(tf.zeros(REFUSED_SHAPE), known, arguments)


@examples(100)
@given(
    any_attributes, any_attributes, any_attributes, paddings, signatures(REFUSED_SHAPE)
)
def test_refuses_several_arguments_as_builtin_does(
    sizes, strides, rates, padding, known
):
    arguments = [sizes, strides, rates, padding]
    _assert_same_calls(tf.zeros(REFUSED_SHAPE), known, arguments)


@pytest.mark.parametrize("attribute", [[1, -1, 2, 1], [1, 2, -1, 1], [1, -1, -2, 1]])
@pytest.mark.parametrize("wrong", range(3))
def test_refuses_negative_numbers(wrong, attribute):
    arguments = [[1, 2, 1, 1], [1, 2, 1, 1], [1, 1, 2, 1], "SAME"]
    arguments[wrong] = attribute
    images = tf.zeros(REFUSED_SHAPE)
    assert_same_outcome(
        lambda: tf_patches.extract_patches(images, *arguments),
        lambda: tf.image.extract_patches(images, *arguments),
    )


def _assert_same_calls(images, known, arguments):
    def eager(op):
        return op(images, *arguments)

    def graph(op):
        return refused_late(
            lambda: in_graph(lambda x: op(x, *arguments), images, signature=[known])
        )

    for call in (eager, graph):
        assert_same_outcome(
            lambda call=call: call(tf_patches.extract_patches),
            lambda call=call: call(tf.image.extract_patches),
        )


@pytest.mark.parametrize("rank", [0, 1, 3, 5])
def test_refuses_images_of_another_rank(rank):
    images = tf.zeros([1] * rank)
    for known in (images.shape, None):
        _assert_same_calls(images, known, [[1] * 4, [1] * 4, [1] * 4, "SAME"])


@examples(60)
@given(cases(), seeds)
def test_old_name_equals_builtin(case, seed):
    images = tf.constant(random_bits(case.shape, "float32", seed))
    sizes, strides, rates, padding = case.grid.values()
    grid = {"strides": strides, "rates": rates, "padding": padding}
    ours = tf_patches.extract_image_patches
    builtin = tf.compat.v1.image.extract_image_patches
    for arguments, named in [
        ([sizes, strides, rates, padding], {}),
        ([sizes, strides, rates, padding, "name"], {}),
        ([], {"ksizes": sizes, **grid}),
        ([], {"sizes": sizes, **grid}),
        ([], {"sizes": sizes, "ksizes": sizes, **grid}),
        ([], {"sizes": sizes, "strides": strides, "padding": padding}),
        ([], {"sizes": sizes, "strides": strides, "rates": rates}),
        ([], grid),
    ]:
        assert_same_outcome(
            lambda a=arguments, n=named: ours(images, *a, **n),
            lambda a=arguments, n=named: builtin(images, *a, **n),
        )


def test_old_name_says_what_builtin_says_of_both_sizes():
    def message(function):
        with pytest.raises(ValueError) as caught:
            function(tf.zeros([1, 4, 4, 1]), ksizes=[1] * 4, sizes=[1] * 4)
        return str(caught.value)

    assert message(tf_patches.extract_image_patches) == message(
        tf.compat.v1.image.extract_image_patches
    )


FORMS = {
    "tuple": tuple,
    "int64 array": np.array,
    "int32 array": np.int32,
    "uint8 array": np.uint8,
    "list of NumPy integers": lambda values: [np.int64(value) for value in values],
    "list of tensors": lambda values: [tf.constant(value) for value in values],
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_takes_sizes_strides_and_rates_as(form):
    images = random_bits((2, 9, 8, 3), "float32", seed=1)
    lists = [1, 2, 3, 1], [1, 3, 1, 1], [1, 1, 2, 1]
    expected = tf.image.extract_patches(images, *lists, "SAME")
    forms = [form(values) for values in lists]
    assert_same_bits(tf_patches.extract_patches(images, *forms, "SAME"), expected)


def test_names_its_operation():
    with tf.Graph().as_default():
        images = tf.zeros([1, 4, 4, 1])
        patches = tf_patches.extract_patches(
            images, [1] * 4, [1] * 4, [1] * 4, "SAME", name="cut"
        )
    assert patches.op.name == "cut"
