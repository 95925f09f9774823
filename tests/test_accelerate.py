"""What TensorFlow's own op gives before `accelerate`, it gives after it.

Before is this process, which never accelerates. After is another, which does so
first and then runs functions of this file.
"""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from hashlib import sha256
from multiprocessing import get_context

import numpy as np
import oracle
import pytest
import tensorflow as tf
from bad_calls import (
    ACCEPTED,
    CALL,
    MODES,
    REFUSED,
    eager,
    of_shape,
    refusal,
    traced_with_unknown_shape,
)
from cases import (
    BUILTIN_DTYPES,
    COMPLEX,
    FLOATS,
    SHARED_OUT,
    STREAMED,
    case,
    cases,
    denormals,
    examples,
    random_bits,
    seeds,
)
from compare import assert_same_bits, assert_same_numbers
from derivatives import batch_jacobian, jacobian, pullback
from graphs import LOOPS, in_graph, node_types
from hypothesis import given
from hypothesis import strategies as st

import tf_patches

SECONDS = 300
DIFFERENTIABLE = [*FLOATS, *COMPLEX]


@pytest.fixture(scope="module")
def after():
    """Calls a function of a module here in a process that accelerates."""
    with ProcessPoolExecutor(
        1, get_context("spawn"), initializer=tf_patches.accelerate
    ) as processes:
        yield lambda *call: processes.submit(*call).result(SECONDS)
    assert not tf_patches.is_accelerated()


def test_the_kernel_is_ours(after):
    assert after(tf_patches.is_accelerated)
    images = np.zeros([1, 2, 2, 1], np.float32)
    grid = case([1, 9, 9, 1], (4, 4), (1, 1), (1, 1), "VALID").grid
    message = "A patch of 4 rows"
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="would be negative"
    ) as own:
        extract([(images, grid)])
    assert message not in str(own.value)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        after(extract, [(images, grid)])


def test_bool_is_refused_as_before(after):
    images = random_bits((2, 5, 4, 3), "bool", seed=1)
    grid = case(images.shape, (2, 3), (1, 2), (2, 1), "SAME").grid
    for run in (lambda function, *calls: function(*calls), after):
        with pytest.raises(tf.errors.NotFoundError, match="ExtractImagePatches"):
            run(extract, [(images, grid)])


def extract(calls):
    return [tf.image.extract_patches(images, **grid).numpy() for images, grid in calls]


def extract_in_graph(calls):
    return [
        in_graph(
            lambda x, grid=grid: tf.image.extract_patches(x, **grid),
            images,
            signature=[None],
        ).numpy()
        for images, grid in calls
    ]


def gradients(calls):
    return [pullback_of(*call).numpy() for call in calls]


def gradients_in_graph(calls):
    return [
        in_graph(
            lambda x, g, grid=grid: pullback_of(x, g, grid), images, upstream
        ).numpy()
        for images, upstream, grid in calls
    ]


def pullback_of(images, upstream, grid):
    extract = partial(tf.image.extract_patches, **grid)
    return pullback(extract, tf.convert_to_tensor(images), upstream)


def drawn(count, *strategies):
    rows = []

    @examples(count)
    @given(st.tuples(*strategies))
    def collect(row):
        rows.append(row)

    collect()
    return rows


@pytest.mark.parametrize("results", [extract, extract_in_graph])
def test_patches(results, after):
    calls = [
        (random_bits(shape, dtype, seed), grid)
        for dtype, (shape, grid), seed in drawn(
            400, st.sampled_from(BUILTIN_DTYPES), cases(fits=True), seeds
        )
    ]
    for mine, expected in zip(after(results, calls), extract(calls), strict=True):
        assert_same_bits(mine, expected)


LARGE = [*((dtype, *row) for dtype in BUILTIN_DTYPES for row in SHARED_OUT), *STREAMED]


def digests():
    """Of the patches of large images, which are too many to send."""
    return [
        sha256(*extract([(random_bits(shape, dtype, seed=1), grid)])).hexdigest()
        for dtype, shape, grid in LARGE
    ]


def test_many_patches(after):
    assert after(digests) == digests()


@pytest.mark.parametrize("results, count", [(gradients, 300), (gradients_in_graph, 60)])
def test_gradients(results, count, after):
    calls = [
        (np.zeros(shape, upstream.dtype), upstream, grid)
        for dtype, (shape, grid), seed, random in drawn(
            count,
            st.sampled_from(DIFFERENTIABLE),
            # TensorFlow's gradient fails on images without a batch or depth.
            cases(fits=True).filter(lambda c: c.shape[0] * c.shape[3] > 0),
            seeds,
            st.sampled_from([random_bits, denormals]),
        )
        for upstream in [random(oracle.patches_shape(shape, **grid), dtype, seed)]
    ]
    for mine, expected in zip(after(results, calls), gradients(calls), strict=True):
        assert_same_numbers(mine, expected)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_gradients_of_many_patches(dtype, after):
    calls = [
        (
            np.zeros(shape, dtype),
            random_bits(oracle.patches_shape(shape, **grid), dtype, seed=1),
            grid,
        )
        for shape, grid in SHARED_OUT
    ]
    for mine, expected in zip(after(gradients, calls), gradients(calls), strict=True):
        assert_same_numbers(mine, expected)


GRID = case((), (2, 3), (1, 2), (2, 1), "SAME").grid
IMAGES = np.random.default_rng(1).normal(size=(2, 5, 4, 2)).astype(np.float32)


SIZES = {
    "a tuple": lambda: (1, 2, 3, 1),
    "a tensor among integers": lambda: [1, tf.constant(2), 3, 1],
    "integers of NumPy": lambda: list(np.array([1, 2, 3, 1])),
    "a fraction": lambda: [1, 2.5, 3, 1],
}


def extract_of_sizes(kind):
    sized = dict(GRID, sizes=SIZES[kind]())
    return tf.image.extract_patches(IMAGES, **sized).numpy()


@pytest.mark.parametrize("kind", SIZES)
def test_sizes(kind, after):
    assert_same_bits(after(extract_of_sizes, kind), extract_of_sizes(kind))


def cubed_patches(images):
    return tf.image.extract_patches(images, **GRID) ** 3


def gradient(function):
    return partial(pullback, function)


first = gradient(cubed_patches)
DERIVATIVES = {
    "second order": gradient(first),
    "third order": gradient(gradient(first)),
    "jacobian": jacobian(cubed_patches),
    "jacobian of the gradient": jacobian(first),
    "batch jacobian": batch_jacobian(cubed_patches),
    "map": lambda images: tf.vectorized_map(cubed_patches, images[:, None]),
    "map of the gradient": lambda images: tf.vectorized_map(first, images[:, None]),
}


def derivative(name, traced):
    function = DERIVATIVES[name]
    return (tf.function(function) if traced else function)(tf.constant(IMAGES)).numpy()


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("name", DERIVATIVES)
def test_derivatives(name, traced, after):
    assert_same_bits(after(derivative, name, traced), derivative(name, traced))


def loops():
    graphs = {
        name: tf.function(function).get_concrete_function(tf.constant(IMAGES))
        for name, function in DERIVATIVES.items()
    }
    return {name for name, graph in graphs.items() if node_types(graph) & LOOPS}


def test_no_loops(after):
    assert loops() >= {"map", "map of the gradient"}
    assert not after(loops)


def sum_of_tiles(images):
    grid = case((), (2, 2), (2, 2), (1, 1), "VALID").grid
    return tf.reduce_sum(tf.image.extract_patches(images, **grid))


def gradient_where_nothing_is_known(images):
    tiled = gradient(sum_of_tiles)
    return in_graph(tiled, images, signature=[None]).numpy()


def compiled_gradient(images):
    return tf.function(gradient(sum_of_tiles), jit_compile=True)(images).numpy()


def test_unknown_rank(after):
    with pytest.raises(ValueError, match="infer"):
        gradient_where_nothing_is_known(IMAGES)
    result = after(gradient_where_nothing_is_known, IMAGES[:, :4])
    assert_same_bits(result, np.ones_like(IMAGES[:, :4]))


def test_xla(after):
    result = after(compiled_gradient, IMAGES[:, :4])
    assert_same_bits(result, np.ones_like(IMAGES[:, :4]))


# In float32, which counts to 2^24.
def wrong_gradients(jit_compile):
    images = tf.zeros([1, 4200, 4200, 1])
    of = tf.function(gradient(sum_of_tiles), jit_compile=jit_compile)
    return int(tf.math.count_nonzero(of(images) != 1))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_more_than_2_to_the_24_pixels(jit_compile, after):
    assert wrong_gradients(jit_compile) > 0
    assert after(wrong_gradients, jit_compile) == 0


def with_a_fifth(name):
    call = {name: [1, 2, 2, 1, 9]}
    return tf.image.extract_patches(**CALL | call).numpy()


@pytest.mark.parametrize("name", ["sizes", "strides", "rates"])
def test_a_fifth_value(name, after):
    assert_same_bits(after(with_a_fifth, name), with_a_fifth(name))


NOT_IMAGES = [(4, 4, 1), (1, 1, 4, 4, 1), (), (1, 0, 4, 1), (1, 4, 0, 1)]
WRONG = [
    *({name: value} for name, value, *_ in REFUSED + ACCEPTED),
    *({"images": of_shape(*shape)} for shape in NOT_IMAGES),
    {"sizes": [1, 9, 2, 1]},
    {"rates": [1, 1, 9, 1]},
    {"sizes": [1, -1, 2, 1]},
    {"images": np.array([[[["text"]]]])},
]


def refusals():
    """The class and message for every mode and all that is wrong."""
    return [
        (mode.__name__, str(wrong), type(error), str(error))
        for mode in MODES
        for wrong in WRONG
        for error in [refusal(mode, tf.image.extract_patches, CALL | wrong)]
    ]


def test_refusals(after):
    ours, expected = after(refusals), refusals()
    assert [row[:3] for row in ours] == [row[:3] for row in expected]
    says = {message for *_, message in ours} - {message for *_, message in expected}
    for text in [
        "strides must be at least 1 in rows and cols, but got [1, 0, 2",
        "images must be 4-dimensional, [batch, rows, cols, depth], but got shape [4,",
    ]:
        assert any(text in message for message in says), text


# TensorFlow's own kernel overflows: rubbish, or the end of the process.
COUNTLESS = [
    {"sizes": [1, 65536, 65536, 1]},
    {"sizes": [1, 2**31 - 1, 2, 1]},
    {"images": of_shape(1, 4, 4, 4), "sizes": [1, 32768, 32768, 1], "padding": "SAME"},
    {"rates": [1, 2**31 - 1, 1, 1]},
    {"rates": [1, 1, 2**31 - 1, 1]},
    {"sizes": [1, 2**30, 1, 1], "rates": [1, 3, 1, 1]},
]


def refusal_of(mode, padding, call):
    call = CALL | {"padding": padding} | call
    error = refusal(mode, tf.image.extract_patches, call)
    return type(error), str(error)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("call", COUNTLESS)
def test_beyond_what_can_be_counted(call, padding, mode, after):
    error, message = after(refusal_of, mode, padding, call)
    assert issubclass(error, (tf.errors.InvalidArgumentError, ValueError))
    if mode in (eager, traced_with_unknown_shape):  # nobody refuses it before us
        assert error is tf.errors.InvalidArgumentError
        assert "too large" in message
