"""Functions compiled by XLA: the op's own results, by either lowering.

On a CPU, XLA calls the native kernels; on other platforms the ops are lowered to
its own operations. TF_PATCHES_XLA_LOWERING=hlo has a CPU do that too.
"""

import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import keras
import numpy as np
import oracle
import pytest
import tensorflow as tf
from bad_calls import (
    BEYOND,
    CALL,
    FOLD,
    FOLD_REFUSED,
    IMAGES_REFUSED,
    MISMATCHED,
    REFUSED,
    assert_says,
    refusal,
    traced,
    traced_with_unknown_shape,
)
from cases import (
    COMPLEX,
    DTYPES,
    FLOATS,
    MODES,
    NUMBERS,
    SHARED_OUT,
    SHARED_OUT_ANY,
    bordered_cases,
    case,
    cases,
    denormals,
    examples,
    random_bits,
    seeds,
    signatures,
    special_values,
)
from child import child_output, run_child
from compare import assert_same_bits, assert_same_numbers
from compiled import LOWERINGS, SWITCH, compiled, hlo, lowerings, without_denormals
from derivatives import built_in_fold, gradient, jacobian
from graphs import in_graph
from hypothesis import given
from hypothesis import strategies as st
from package_copies import copy_package, with_build_info, with_text, without

import tf_patches
from tf_patches.native import ops

SOURCES = Path(__file__).parents[1]


def test_library_is_built():
    assert tf_patches.build_info()["xla"] == "built"


@lowerings
@examples(240)
@given(
    st.sampled_from(DTYPES),
    st.data(),
    st.one_of(cases(fits=True), bordered_cases()),
    st.sampled_from([0, 1]),
    seeds,
)
def test_extract_equals_naive_loop(lowering, dtype, data, case, constant, seed):
    images = random_bits(case.shape, dtype, seed)
    grid = {**case.grid, "constant_values": constant}
    known = data.draw(signatures(case.shape))
    patches = compiled(
        lowering,
        lambda x: tf_patches.extract_patches(x, **grid),
        images,
        signature=[known],
    )
    assert_same_bits(patches, oracle.extract(images, **grid))


@lowerings
@pytest.mark.parametrize("dtype", DTYPES)
def test_constants_to_the_bit(dtype, lowering):
    images = random_bits((1, 1, 2), dtype, seed=1)
    constants = list(random_bits((1, 1, 3), dtype, seed=2).ravel())
    if dtype in FLOATS:
        constants.extend(special_values(dtype)[7:9])  # two kinds of NaN
    for constant in constants:
        extract = partial(
            ops.tf_patches_extract_patches,
            **{name: [1, 1, 1] for name in ("ksizes", "strides", "rates")},
            padding="EXPLICIT",
            explicit_paddings=[0, 0, 1, 0, 0, 0],
            constant_values=constant.tobytes(),
        )
        patches = compiled(lowering, extract, images)
        expected = np.concatenate([np.full_like(images, constant), images], axis=1)
        assert_same_bits(patches, expected)


volumes = bordered_cases(axes=[3], modes=["CONSTANT"], explicit=False)


@lowerings
@examples(40)
@given(volumes.filter(lambda case: 0 not in case.shape), seeds)
def test_volumes_equal_built_in(lowering, case, seed):
    images = random_bits(case.shape, "float32", seed)
    request = [case.grid[name] for name in ("sizes", "strides", "padding")]
    patches = compiled(
        lowering, lambda x: tf_patches.extract_volume_patches(x, *request), images
    )
    assert_same_bits(patches, tf.extract_volume_patches(images, *request))


@lowerings
@examples(140)
@given(
    st.sampled_from(NUMBERS),
    st.data(),
    st.one_of(cases(fits=True, small=True), bordered_cases()),
    seeds,
)
def test_fold_equals_naive_loop(lowering, dtype, data, case, seed):
    shape, grid = case
    patches = random_bits(oracle.patches_shape(shape, **grid), dtype, seed)
    known = data.draw(signatures(patches.shape))
    if lowering == "hlo":
        patches = without_denormals(patches)
    expected = oracle.fold(patches, shape, **grid)
    images = compiled(
        lowering,
        lambda p, s: tf_patches.fold_patches(p, s, **grid),
        patches,
        np.array(shape),
        signature=[known, [len(shape)]],
    )
    assert_same_numbers(images, expected)


# Patches with no tap on the image, or with a step between those that share a
# pixel; strides and rates with and without a common factor; many to a pixel.
LATTICES = [
    case((1, 3, 4, 2), (2, 2), (1, 1), (100, 90), "SAME"),
    case((2, 40, 43, 1), (3, 4), (4, 6), (6, 4), "SAME"),
    case((1, 37, 31, 2), (5, 4), (2, 3), (3, 2), "SAME"),
    case((1, 30, 33, 1), (4, 4), (2, 4), (4, 2), "VALID"),
    case((1, 9, 8, 1), (30, 40), (1, 1), (1, 1), "SAME"),
    case((1, 20, 21, 3), (3, 2), (7, 9), (1, 1), "VALID"),
    case((1, 5, 60, 1), (1, 33), (1, 1), (1, 1), "SAME"),
]


def fold_by_built_in(patches, shape, grid):
    """Also of uint8, which the built-in cannot sum: in float64 that is exact."""
    if patches.dtype != np.uint8:
        return built_in_fold(patches, shape, **grid)
    sums = built_in_fold(patches.astype(np.float64), shape, **grid)
    return (sums.numpy() % 256).astype(np.uint8)


def extract_and_fold(lowering, images, patches, shape, grid):
    """Both compiled at once."""

    def both(images, patches):
        extracted = tf_patches.extract_patches(images, **grid)
        return extracted, tf_patches.fold_patches(patches, shape, **grid)

    return compiled(lowering, both, images, patches)


@lowerings
@pytest.mark.parametrize("dtype", ["uint8", "bfloat16", "float32", "complex128"])
@pytest.mark.parametrize("shape, grid", LATTICES + SHARED_OUT)
def test_equals_built_in(shape, grid, dtype, lowering):
    images = random_bits(shape, dtype, seed=1)
    patches = tf.image.extract_patches(images, **grid)
    others = without_denormals(random_bits(patches.shape, dtype, seed=2))
    extracted, folded = extract_and_fold(lowering, images, others, shape, grid)
    assert_same_bits(extracted, patches)
    assert_same_numbers(folded, fold_by_built_in(others, shape, grid))


# The first and the last pixels have many more values than the others.
ENDS = [
    case((2, 90, 2), (41,), (1,), (1,), "SAME", mode="EDGE"),
    case((1, 70, 60, 1), (29, 25), (29, 25), (1, 1), "SAME", mode="EDGE"),
    case((1, 9, 9, 9, 1), (2, 2, 2), (1, 2, 3), (1, 1, 1), [(40, 50)] * 3, mode="EDGE"),
    case(
        (1, 30, 1, 40, 2),
        (4, 1, 25),
        (2, 1, 1),
        (1, 1, 2),
        [(40, 0), (0, 0), (9, 40)],
        mode="EDGE",
    ),
]


@lowerings
@pytest.mark.parametrize("dtype", ["uint8", "bfloat16", "float32", "complex128"])
@pytest.mark.parametrize("shape, grid", ENDS + SHARED_OUT_ANY)
def test_equals_the_same_without_xla(shape, grid, dtype, lowering):
    """Which other tests compare with oracles."""
    images = random_bits(shape, dtype, seed=1)
    patches = tf_patches.extract_patches(images, **grid)
    others = without_denormals(random_bits(patches.shape, dtype, seed=2))
    extracted, folded = extract_and_fold(lowering, images, others, shape, grid)
    assert_same_bits(extracted, patches)
    assert_same_numbers(folded, tf_patches.fold_patches(others, shape, **grid))


@pytest.mark.parametrize("shape, grid", ENDS)
def test_only_the_ends_wait_for_the_ends(shape, grid):
    """Long loops for them, a short one for all others."""

    def loops(grid):
        patches = tf.zeros(oracle.patches_shape(shape, **grid))
        text = hlo(
            lambda x: tf_patches.fold_patches(x, shape, **grid),
            patches,
            lowering="hlo",
            stage="hlo",
        )
        return text.count(" while(")

    wide = sum(size > 1 for size in grid["sizes"])
    assert loops(grid) == 3**wide
    assert loops({**grid, "mode": "SYMMETRIC"}) == 1


@pytest.mark.parametrize("dtype", [*FLOATS, *COMPLEX])
@pytest.mark.parametrize("numbers", [denormals, random_bits])
def test_native_fold_takes_denormals_as_the_built_in_does(numbers, dtype):
    shape, grid = case((1, 130, 131, 3), (3, 3), (1, 1), (1, 1), "SAME")
    patches = numbers(oracle.patches_shape(shape, **grid), dtype, seed=1)

    def fold(patches):
        return tf_patches.fold_patches(patches, shape, **grid)

    expected = built_in_fold(patches, shape, **grid)
    assert_same_numbers(compiled("native", fold, patches), expected)


@lowerings
@pytest.mark.parametrize("dtype", [*FLOATS, *COMPLEX])
@pytest.mark.parametrize("stride", [1, 3])
def test_sums_begin_with_positive_zero(stride, dtype, lowering):
    shape, grid = case((1, 6, 6, 2), (3, 3), (stride, stride), (1, 1), "VALID")
    patches = -np.zeros(
        oracle.patches_shape(shape, **grid), tf.as_dtype(dtype).as_numpy_dtype
    )
    images = compiled(
        lowering, lambda x: tf_patches.fold_patches(x, shape, **grid), patches
    )
    assert_same_bits(images, np.zeros(shape, patches.dtype))


# Small integers, so that sums and products of them are exact in any order.
GRID = case((), (3, 2), (2, 1), (1, 2), "SAME").grid
IMAGES = np.random.default_rng(0).integers(-3, 4, (4, 7, 6, 3)).astype(np.float32)


def extract(images):
    return tf_patches.extract_patches(images, **GRID)


def built_in_extract(images):
    return tf.image.extract_patches(images, **GRID)


def fold(images):
    """Patches, squared so that they do not come from one image, put back."""
    patches = tf.square(extract(images))
    return tf_patches.fold_patches(patches, tf.shape(images), **GRID)


def fold_of_the_built_in(images):
    patches = tf.square(built_in_extract(images))
    return built_in_fold(patches, tf.shape(images), **GRID)


def of_a_corner(function):
    return lambda images: function(images[:1, :3, :3])


def one_by_one(map_images, function):
    return lambda images: map_images(lambda image: function(image[None])[0], images)


def loop(function):
    def run(images):
        def add(i, x):
            return i + 1, x + function(x) % 3.0

        return tf.while_loop(lambda i, x: i < 3, add, [0, images])[1]

    return run


def branch(function, choose):
    def run(images):
        positive = choose(tf.reduce_sum(images))
        return tf.cond(positive, lambda: function(images), lambda: function(-images))

    return run


def of_some_images(function):
    """The batch is known only when it runs: XLA knows no more than a bound."""

    def run(images):
        first = tf.reshape(images, [images.shape[0], -1])[:, 0]
        return function(tf.boolean_mask(images, first > -3))

    return run


def transposed(function):
    """XLA is free to keep these transposed in memory."""

    def run(images):
        batch, *space, depth = range(len(images.shape))
        patches = function(tf.transpose(images, [batch, *reversed(space), depth]))
        return tf.transpose(patches) * 2

    return run


def inner_function(function):
    return lambda images: tf.function(function)(images)


def mixed(function, dtype):
    return lambda images: tf.cast(function(tf.cast(images, dtype)), tf.float32)


def work(extract, fold):
    """What is done with the ops, and with the built-in that they must equal."""
    return {
        "extract": extract,
        "fold": fold,
        "gradient": gradient(extract),
        "gradient of fold": gradient(fold),
        "second order": gradient(gradient(extract)),
        "jacobian": jacobian(of_a_corner(extract)),
        "vectorized_map": one_by_one(tf.vectorized_map, extract),
        "map_fn": one_by_one(tf.map_fn, extract),
        "gradient in vectorized_map": one_by_one(tf.vectorized_map, gradient(extract)),
        "while_loop": loop(fold),
        "gradient in while_loop": loop(gradient(extract)),
        "cond": branch(extract, lambda total: total > 0),
        "cond, otherwise": branch(extract, lambda total: total <= 0),
        "gradient of cond": gradient(branch(extract, lambda total: total > 0)),
        "some images": of_some_images(extract),
        "gradient for some images": of_some_images(gradient(extract)),
        "transposed": transposed(extract),
        "function in the function": inner_function(gradient(extract)),
        "float16": mixed(gradient(extract), "float16"),
        "bfloat16": mixed(gradient(extract), "bfloat16"),
    }


OURS = work(extract, fold)
BUILT_IN = work(built_in_extract, fold_of_the_built_in)


@lowerings
@pytest.mark.parametrize("name", OURS)
def test_work(name, lowering):
    expected = BUILT_IN[name](tf.constant(IMAGES))
    assert_same_bits(compiled(lowering, OURS[name], IMAGES), expected)
    assert np.any(expected)


def bordered_work(*arguments, **border):
    shape, grid = case(*arguments, **border)

    def fold(images):
        patches = tf.square(tf_patches.extract_patches(images, **grid))
        return tf_patches.fold_patches(patches, tf.shape(images), **grid)

    return shape, work(partial(tf_patches.extract_patches, **grid), fold)


BORDERED = {
    "signals": bordered_work((4, 19, 3), (5,), (2,), (1,), "SAME", mode="REFLECT"),
    "images": bordered_work((4, 7, 6, 3), (3, 2), (2, 1), (1, 3), "SAME", mode="EDGE"),
    "volumes": bordered_work(
        (4, 3, 4, 5, 3),
        (2, 3, 2),
        (1, 2, 3),
        (1, 1, 2),
        [(1, 0), (5, 2), (0, 3)],
        mode="WRAP",
    ),
}


@lowerings
@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("kind", BORDERED)
def test_bordered_work(kind, name, lowering):
    shape, functions = BORDERED[kind]
    images = np.random.default_rng(1).integers(-3, 4, shape).astype(np.float32)
    images[1:, ..., 0] = -2  # of some
    expected = functions[name](tf.constant(images))
    assert_same_bits(compiled(lowering, functions[name], images), expected)
    assert np.any(expected)


@lowerings
@pytest.mark.parametrize("name", ["extract", "fold"])
def test_gradient_outside_of_the_compiled_function(name, lowering):
    run = gradient(lambda images: compiled(lowering, OURS[name], images))
    images = tf.constant(IMAGES)
    assert_same_bits(run(images), gradient(BUILT_IN[name])(images))


@pytest.mark.parametrize("name", ["extract", "fold", "gradient"])
def test_a_batch_of_any_size(name):
    spec = tf.TensorSpec([None, None, 6, 3])
    jit = tf.function(OURS[name], input_signature=[spec], jit_compile=True)
    for batch, rows in [(4, 7), (1, 7), (0, 7), (3, 5), (4, 7)]:
        images = tf.constant(IMAGES[:, :rows])
        # Of the whole batch: TensorFlow's gradient fails on an empty one.
        expected = BUILT_IN[name](images)[:batch]
        assert_same_bits(jit(images[:batch]), expected)


def test_image_shape_as_an_argument():
    jit = tf.function(
        lambda patches, rows: tf_patches.fold_patches(
            patches, tf.stack([4, rows, 6, 3]), **GRID
        ),
        jit_compile=True,
    )
    for rows in 7, 8, 3:
        images = np.resize(IMAGES, [4, rows, 6, 3])
        patches = built_in_extract(images)
        assert_same_bits(
            jit(patches, tf.constant(rows)),
            built_in_fold(patches, images.shape, **GRID),
        )


# Some dimension is zero: of the images, of the patches, or of both.
EMPTY = [
    case((0, 5, 4, 3), (2, 2), (1, 1), (1, 1), "SAME"),
    case((2, 0, 4, 3), (2, 2), (1, 1), (1, 1), "SAME"),
    case((2, 5, 0, 3), (2, 2), (2, 1), (1, 1), "SAME"),
    case((2, 5, 4, 0), (2, 2), (1, 1), (1, 1), "VALID"),
    case((2, 5, 4, 3), (6, 2), (2, 1), (1, 1), "VALID"),
    case((2, 5, 4, 3), (2, 5), (1, 1), (1, 1), "VALID"),
]


@lowerings
@pytest.mark.parametrize("shape, grid", EMPTY)
def test_zero_sized(shape, grid, lowering):
    images = random_bits(shape, "float32", seed=1)
    patches = oracle.extract(images, **grid)
    assert patches.size == 0

    def work(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            patches = tf_patches.extract_patches(images, **grid)
        folded = tf_patches.fold_patches(patches, shape, **grid)
        return patches, folded, tape.gradient(patches, images)

    for known in shape, None:
        results = compiled(lowering, work, images, signature=[known])
        for result, expected in zip(
            results,
            [patches, np.zeros_like(images), np.zeros_like(images)],
            strict=True,
        ):
            assert_same_bits(result, expected)


@lowerings
def test_images_without_a_pixel_show_the_constant(lowering):
    shape, grid = case((1, 0, 3, 2), (2, 2), (1, 1), (1, 1), [(2, 2), (1, 1)])

    def extract(images):
        return tf_patches.extract_patches(images, **grid, constant_values=7)

    images = np.zeros(shape, np.float32)
    expected = np.full([1, 3, 4, 8], 7, np.float32)
    assert_same_bits(compiled(lowering, extract, images), expected)
    assert_same_bits(compiled(lowering, gradient(extract), images), images)


@pytest.mark.parametrize("name", ["extract", "gradient"])
def test_threads_calling_at_once(name):
    jit = tf.function(OURS[name], jit_compile=True, reduce_retracing=True)
    batches = [np.tile(IMAGES, [30, 1, 1, 1]) * (1 + i) for i in range(24)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(jit, batches))
    for batch, result in zip(batches, results, strict=True):
        assert_same_bits(result, BUILT_IN[name](tf.constant(batch)))


def compiled_call(function, **call):
    return tf.function(lambda: function(**call), autograph=False, jit_compile=True)()


def compiled_for_unknown_shape(function, **call):
    name = next(iter(call))
    tensor = tf.constant(call.pop(name))
    return compiled(
        "native", lambda x: function(**{name: x}, **call), tensor, signature=[None]
    )


# Two ways to compile a call, and the same without XLA.
WITHOUT_XLA = {
    compiled_call: traced,
    compiled_for_unknown_shape: traced_with_unknown_shape,
}
modes = pytest.mark.parametrize("mode", WITHOUT_XLA)


def assert_refused_as_without_xla(mode, function, call, shown):
    error = refusal(mode, function, call)
    assert type(error) is type(refusal(WITHOUT_XLA[mode], function, call)), error
    assert_says(error, shown)


@modes
@pytest.mark.parametrize("name, value, shown", REFUSED)
def test_refused_attribute(name, value, shown, mode):
    call = CALL | {name: value}
    shown = f"{name}.*{shown}"
    assert_refused_as_without_xla(mode, tf_patches.extract_patches, call, shown)


@modes
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("grid, shown", BEYOND)
def test_beyond_what_can_be_counted(grid, shown, padding, mode):
    call = CALL | {"padding": padding} | grid
    assert_refused_as_without_xla(mode, tf_patches.extract_patches, call, shown)


@modes
@pytest.mark.parametrize("grid", [dict(sizes=[1, 9, 2, 1]), dict(rates=[1, 1, 9, 1])])
def test_patches_that_do_not_fit(grid, mode):
    assert_refused_as_without_xla(
        mode, tf_patches.extract_patches, CALL | grid, "does not fit in an image of 4"
    )


@pytest.mark.parametrize("images", IMAGES_REFUSED)
def test_refused_images(images):
    make, shown = IMAGES_REFUSED[images]
    call = {name: CALL[name] for name in CALL if name != "images"}
    assert_refused_as_without_xla(
        compiled_call,
        lambda **grid: tf_patches.extract_patches(make(), **grid),
        call,
        shown,
    )


@pytest.mark.parametrize("shape", [(), (4, 4, 1), (1, 1, 4, 4, 1), (1, 0, 4, 1)])
def test_images_of_a_shape_that_only_xla_knows(shape):
    call = CALL | {"images": np.zeros(shape, np.float32)}
    assert_refused_as_without_xla(
        compiled_for_unknown_shape,
        tf_patches.extract_patches,
        call,
        "images must.*shape|rows|sizes must have 3 values",
    )


@pytest.mark.parametrize("wrong", FOLD_REFUSED, ids=str)
def test_refused_fold(wrong):
    call, _, _ = wrong
    assert_refused_as_without_xla(
        compiled_call, tf_patches.fold_patches, FOLD | call, ""
    )


@pytest.mark.parametrize("wrong, shown", MISMATCHED)
def test_fold_of_shapes_that_only_xla_knows(wrong, shown):
    call = FOLD | wrong
    patches, image_shape = call.pop("patches"), np.array(call.pop("image_shape"))
    message = f"{re.escape(shown)}|sizes must have"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        compiled(
            "native",
            lambda p, s: tf_patches.fold_patches(p, s, **call),
            patches,
            image_shape,
            signature=[None, None],
        )


ONES = [1, 1, 1, 1]
REQUEST = {
    "ksizes": [1, 2, 2, 1],
    "strides": ONES,
    "rates": ONES,
    "padding": "EXPLICIT",
    "explicit_paddings": [0, 0, 1, 2, 3, 4, 0, 0],
}
# What no Python of ours would ask for, and what the message shows of it.
HOSTILE = [
    ([1, 4, 4, 1], {"explicit_paddings": []}, "4 pairs"),
    ([1, 4, 4, 1], {"explicit_paddings": [0, 0, 1, 2, 0, 0]}, "4 pairs"),
    ([1, 4, 4, 1], {"explicit_paddings": [0, 0, -1, 0, 0, 0, 0, 0]}, "-1"),
    ([1, 4, 4, 1], {"explicit_paddings": [0, 0, 0, 2**31, 0, 0, 0, 0]}, "2147483648"),
    ([1, 4, 4, 1], {"explicit_paddings": [0, 1, 0, 0, 0, 0, 0, 0]}, "batch and depth"),
    ([1, 4, 4, 1], {"explicit_paddings": [0, 0, *[2**31 - 1] * 4, 0, 0]}, "addressed"),
    ([1, 4, 4, 1], {"padding": "SAME"}, "must be empty"),
    ([1, 4, 4, 1], {"constant_values": b"abc"}, "got 3 bytes"),
    ([1, 4, 0, 1], {"mode": "WRAP"}, "0 cols"),
    ([1, 4, 1], {}, "must have 3 values"),
    ([1, 4, 4, 4, 1], {}, "must have 5 values"),
    ([4, 1], {}, "must be 4-dimensional"),
    ([1, 1, 4, 4, 4, 1], {}, "must be 4-dimensional"),
    ([1] * 6, {"ksizes": [1] * 6, "strides": [1] * 6, "rates": [1] * 6}, "5 values"),
    ([1, 4, 1], {"ksizes": [1], "strides": [1], "rates": [1]}, "must have 3 values"),
    ([], {"ksizes": [], "strides": [], "rates": []}, "must have 3 values"),
]


@pytest.mark.parametrize("shape, wrong, shown", HOSTILE)
def test_refused_request(shape, wrong, shown):
    def error(**options):
        with pytest.raises((tf.errors.OpError, ValueError), match=shown) as caught:
            in_graph(
                lambda x: ops.tf_patches_extract_patches(x, **(REQUEST | wrong)),
                np.zeros(shape, np.float32),
                signature=[None],
                **options,
            )
        return caught.value

    assert type(error(jit_compile=True)) is type(error())


def test_refuses_to_list_too_many_values():
    shape, grid = case(
        (1, 10, 1), (4200,), (1,), (1,), [(4200, 4200)], mode="SYMMETRIC"
    )
    patches = np.ones(oracle.patches_shape(shape, **grid), np.uint8)

    def fold(patches):
        return tf_patches.fold_patches(patches, shape, **grid)

    assert_same_bits(compiled("native", fold, patches), fold(patches))
    with pytest.raises(tf.errors.UnimplementedError, match=r"list more than.*4200"):
        compiled("hlo", fold, patches)


def test_refuses_an_image_shape_that_only_the_run_knows():
    def fold(patches):
        rows = tf.random.uniform([], 7, 8, tf.int32)
        return tf_patches.fold_patches(patches, tf.stack([4, rows, 6, 3]), **GRID)

    patches = extract(IMAGES)
    assert fold(patches).shape == IMAGES.shape
    with pytest.raises(tf.errors.UnimplementedError, match=r"dimension of image_shape"):
        compiled("native", fold, patches)


def test_refuses_rows_that_only_the_run_knows():
    def some_rows(images):
        return extract(tf.boolean_mask(images, images[0, :, 0, 0] < 9, axis=1))

    assert some_rows(IMAGES).shape == extract(IMAGES).shape
    with pytest.raises(tf.errors.UnimplementedError, match=r"dimension of images"):
        compiled("native", some_rows, IMAGES)


@lowerings
def test_shapes_that_no_memory_holds(lowering):
    """In a process of its own, with less memory than they need."""
    child_output(
        """
        import resource
        import numpy as np
        import tensorflow as tf
        import tf_patches

        ones = [1, 1, 1, 1]
        images = np.ones([1, 4, 4, 1], np.float32)

        def extract(sizes):
            return tf.function(
                lambda x: tf_patches.extract_patches(x, sizes, ones, ones, "SAME"),
                jit_compile=True, autograph=False)(images)

        def fold(shape):
            return tf.function(
                lambda x: tf_patches.fold_patches(x, shape, ones, ones, ones, "SAME"),
                jit_compile=True, autograph=False,
                input_signature=[tf.TensorSpec(None)])(images)

        extract(ones), fold([1, 4, 4, 1])
        (used,) = (int(line.split()[1]) * 1024 for line in open("/proc/self/status")
                   if line.startswith("VmSize"))
        resource.setrlimit(resource.RLIMIT_AS, [used + 2**33] * 2)
        for sizes in [1, 2147483647, 1, 1], [1, 40000, 40000, 1]:
            try:
                extract(sizes)
            except tf.errors.ResourceExhaustedError:
                pass
            else:
                raise AssertionError(sizes)
        for shape in (
            [2**40, 2**40, 0, 1],
            [2**62, 2**62, 2**62, 0],
            [2**21, 2**21, 2**21, 0],
            [2**32, 2**31, 0, 2**31 - 1],
            [1, 2**40, 2**20, 1],
        ):
            try:
                fold(shape)
            except (tf.errors.InvalidArgumentError, ValueError) as error:
                assert str(shape[1]) in str(error), error
            else:
                raise AssertionError(shape)
        assert extract(ones).numpy().tobytes() == images.tobytes()
        """,
        **{SWITCH: lowering},
        TF_ENABLE_ONEDNN_OPTS="0",  # whose allocator waits ten seconds for memory
    )


def test_cpu_calls_the_native_kernels():
    text = hlo(gradient(extract), tf.constant(IMAGES), stage="optimized_hlo")
    for handler in "tf_patches.extract_patches", "tf_patches.fold_patches":
        assert text.count(f'custom_call_target="{handler}"') == 1


# Operations that are not the same everywhere, or sum in no order.
UNWANTED = ["custom-call", "convolution", "scatter", "sort", "dot("]


@pytest.mark.parametrize("kind", [None, *BORDERED])
@pytest.mark.parametrize(
    "where", [{"platform_name": "GPU"}, {"lowering": "hlo"}], ids=["GPU", "CPU"]
)
def test_other_platforms_need_nothing_but_xla(where, kind):
    shape, functions = BORDERED[kind] if kind else (IMAGES.shape, OURS)
    images = tf.TensorSpec(shape) if "platform_name" in where else tf.zeros(shape)
    text = hlo(functions["gradient"], images, stage="hlo", **where)
    assert "gather" in text
    for operation in UNWANTED:
        assert operation not in text


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "EDGE"])
def test_size_of_code_is_that_of_small_patches(mode):
    def lengths(size):
        _, grid = case((), (size, size), (1, 1), (1, 1), "SAME", mode=mode)

        def work(images):
            return tf_patches.extract_patches(images, **grid)

        images = tf.zeros([1, 70, 70, 3])
        texts = [
            hlo(f, images, lowering=lowering, stage="hlo")
            for f in (work, gradient(work))
            for lowering in LOWERINGS
        ]
        return [len(text.splitlines()) for text in texts]

    assert lengths(17) == lengths(64)


def model(layer, **options):
    keras.utils.set_random_seed(1)
    images = keras.Input([12, 10, 3])
    features = keras.layers.Conv2D(4, 3, padding="same")(images)
    patches = keras.layers.Dense(5)(layer(features))
    scores = keras.layers.GlobalAveragePooling2D()(patches)
    built = keras.Model(images, scores)
    built.compile("sgd", "mse", **options)
    return built


def lambda_layer(function):
    return lambda features: keras.layers.Lambda(function)(features)


LAYERS = {"Lambda": lambda_layer(extract), "the op": extract}
POLICIES = ["float32", "mixed_bfloat16", "mixed_float16"]


@lowerings
@pytest.mark.parametrize("policy", POLICIES, indirect=True)
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_keras_fit(layer, policy, lowering, monkeypatch):
    monkeypatch.setenv(SWITCH, lowering)
    random = np.random.default_rng(1)
    images = random.normal(size=(20, 12, 10, 3)).astype(np.float32)
    scores = random.normal(size=(20, 5)).astype(np.float32)

    def losses(layer, **options):
        built = model(layer, **options)
        fit = built.fit(images, scores, batch_size=8, epochs=2, verbose=0)
        return fit.history["loss"]

    close = 1e-5 if policy == "float32" else 1e-3
    expected = losses(lambda_layer(built_in_extract), jit_compile=False)
    ours = losses(layer, jit_compile=True)
    np.testing.assert_allclose(ours, expected, rtol=close)
    assert expected[1] < expected[0]


def test_saved_model_in_a_fresh_process(tmp_path):
    module = tf.Module()
    spec = tf.TensorSpec([None, None, None, 3])
    names = ["extract", "fold", "gradient"]
    for name in names:
        jit = tf.function(OURS[name], input_signature=[spec], jit_compile=True)
        setattr(module, name, jit)
    tf.saved_model.save(module, tmp_path / "model")
    np.save(tmp_path / "images.npy", IMAGES)
    child_output(
        """
        import sys
        import tf_patches
        import numpy as np
        import tensorflow as tf

        folder, *names = sys.argv[1:]
        images = tf.constant(np.load(f"{folder}/images.npy"))
        model = tf.saved_model.load(f"{folder}/model")
        results = {name: getattr(model, name)(images) for name in names}
        with tf.GradientTape() as tape:
            tape.watch(images)
            patches = model.extract(images)
        results["outside"] = tape.gradient(patches, images, patches * patches)
        np.savez(f"{folder}/results.npz", **results)
        """,
        tmp_path,
        *names,
        cwd=tmp_path,
    )
    expected = {name: BUILT_IN[name] for name in names}
    expected["outside"] = BUILT_IN["gradient"]
    with np.load(tmp_path / "results.npz") as results:
        assert set(results) == set(expected)
        for name in results:
            assert_same_bits(results[name], expected[name](tf.constant(IMAGES)))


def test_imported_after_xla_has_compiled_something():
    """XLA makes kernels of the ops that it knows of by then, and none later."""
    child_output(
        f"""
        import tensorflow as tf
        tf.function(lambda x: x + 1, jit_compile=True)(tf.ones([3]))
        import tf_patches

        def work(images, extract=tf_patches.extract_patches):
            with tf.GradientTape() as tape:
                tape.watch(images)
                patches = extract(images, **{GRID!r})
            return tape.gradient(patches, images, patches)

        images = tf.random.normal([2, 7, 6, 3])
        result = tf.function(work, jit_compile=True)(images)
        expected = work(images, tf.image.extract_patches)
        assert result.numpy().tobytes() == expected.numpy().tobytes()
        """
    )


def check_auto_clustering(**options):
    """Without jit_compile: XLA finds what it can compile."""
    child_output(
        f"""
        import tensorflow as tf
        import tf_patches

        def work(images, extract=tf_patches.extract_patches):
            with tf.GradientTape() as tape:
                tape.watch(images)
                patches = extract(images * 2 + 1, **{GRID!r})
                loss = tf.reduce_sum(patches * patches * patches)
            return tape.gradient(loss, images) + 1

        images = tf.round(tf.random.normal([2, 7, 6, 3]))
        result = tf.function(work)(images)
        expected = work(images, tf.image.extract_patches)
        assert result.numpy().tobytes() == expected.numpy().tobytes()
        """,
        TF_XLA_FLAGS="--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit",
        **options,
    )


def test_auto_clustering(tmp_path):
    check_auto_clustering(XLA_FLAGS=f"--xla_dump_to={tmp_path} --xla_dump_hlo_as_text")
    modules = [path.read_text() for path in tmp_path.glob("*before_optimizations.txt")]
    for handler in "tf_patches.extract_patches", "tf_patches.fold_patches":
        assert any(handler in module for module in modules)


def test_without_a_pool_of_threads():
    child_output(
        f"""
        import tensorflow as tf
        import tf_patches

        def work(images, extract=tf_patches.extract_patches):
            with tf.GradientTape() as tape:
                tape.watch(images)
                patches = extract(images, **{GRID!r})
            return tape.gradient(patches, images, patches)

        images = tf.random.normal([50, 70, 60, 3])
        result = tf.function(work, jit_compile=True)(images)
        expected = work(images, tf.image.extract_patches)
        assert result.numpy().tobytes() == expected.numpy().tobytes()
        """,
        XLA_FLAGS="--xla_cpu_multi_thread_eigen=false",
    )


no_library = without("_xla.so")


def not_built(package):
    no_library(package)
    reason = "it cannot be compiled with TensorFlow 9.9 (no.h: No such file)."
    with_build_info(xla=reason)(package)


MISSING = {
    "not built": (not_built, r"TensorFlow 9\.9.*no\.h"),
    "no library": (no_library, r"_xla\.so cannot be loaded"),
    "text": (with_text("_xla.so"), r"_xla\.so cannot be loaded"),
}


@pytest.mark.parametrize("change, shown", MISSING.values(), ids=MISSING)
def test_without_the_library(change, shown, tmp_path):
    """The op works, and compiling it says in one sentence what is missing."""
    printed = child_output(
        f"""
        import tensorflow as tf
        import tf_patches

        def extract(images):
            return tf_patches.extract_patches(images, **{GRID!r})

        def fold(patches):
            return tf_patches.fold_patches(patches, [4, 7, 6, 3], **{GRID!r})

        def mean(patches):
            reduction = dict({GRID!r}, reduction="mean")
            return tf_patches.fold_patches(patches, [4, 7, 6, 3], **reduction)

        def extract_at(images):
            return tf_patches.extract_patches_at(images, [[0, 1]], 2)

        def fold_at(patches):
            return tf_patches.fold_patches_at(patches, [[0, 1]], [4, 7, 6, 3])

        images = tf.zeros([4, 7, 6, 3])
        patches = extract(images)
        placed = extract_at(images)
        fold(patches), mean(patches), fold_at(placed)
        traced = tf.function(extract, autograph=False)
        traced(images)
        print(tf_patches.build_info()["xla"])
        for function, tensor in [
            (extract, images), (fold, patches), (traced, images), (mean, patches),
            (extract_at, images), (fold_at, placed),
        ]:
            try:
                tf.function(function, jit_compile=True, autograph=False)(tensor)
            except tf.errors.UnimplementedError as error:
                print(error.message.splitlines()[0])
            else:
                raise AssertionError
        """,
        **copy_package(tmp_path, change),
    )
    info, *messages = printed.splitlines()
    assert re.search(shown, info)
    assert len(messages) == 6
    for message in messages:
        assert "the library _xla.so of tf_patches is missing" in message


def test_auto_clustering_without_the_library(tmp_path):
    """What cannot be compiled is not: the function runs all the same."""
    check_auto_clustering(**copy_package(tmp_path, no_library))


COMPILER_WITHOUT_XLA = """#!/bin/sh
case "$*" in
  --version) echo "compiler 1" ;;
  *"-c custom_ops/xla/"*)
    echo "ops.cc:1: fatal error: no.h: No such file" >&2
    exit 1 ;;
  *) while [ "$1" != -o ]; do shift; done; echo built > "$2" ;;
esac
"""


def test_build_where_the_headers_are_missing(tmp_path):
    """With no more than a warning; what an earlier build left is gone."""
    for name in "setup.py", "compiling.py", "pyproject.toml", "README.md", "LICENSE":
        shutil.copy(SOURCES / name, tmp_path)
    for name in "custom_ops", "tf_patches":
        shutil.copytree(SOURCES / name, tmp_path / name)
    compiler = tmp_path / "compiler"
    compiler.write_text(COMPILER_WITHOUT_XLA)
    compiler.chmod(0o755)
    ended = run_child(
        """
        import runpy, sys
        sys.argv = ["setup.py", "build_ext", "--inplace"]
        runpy.run_path("setup.py", run_name="__main__")
        """,
        cwd=tmp_path,
        CXX=str(compiler),
    )
    assert ended.returncode == 0, ended.stderr
    (warning,) = re.findall("^WARNING: tf_patches.*", ended.stderr, re.MULTILINE)
    built = tmp_path / "tf_patches"
    reason = json.loads((built / "_build_info.json").read_text())["xla"]
    assert warning == f"WARNING: tf_patches._xla is left out: {reason}"
    assert reason == (
        f"it cannot be compiled with TensorFlow {tf.__version__} "
        f"(ops.cc:1: fatal error: no.h: No such file)."
    )
    assert (built / "_ops.so").read_text() == "built\n"
    assert not (built / "_xla.so").exists()
