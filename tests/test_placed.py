"""Patches at positions: to the bit as the naive loop, out of images and back."""

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
    NUMBERS,
    examples,
    placed_cases,
    random_bits,
    seeds,
    signatures,
)
from compare import assert_same_bits, assert_same_numbers
from graphs import in_graph
from hypothesis import given
from hypothesis import strategies as st
from reductions import numbers, some_weights

import tf_patches


def extract(images, case, positions=None, flips=None, **constant):
    place = case.place | ({} if flips is None else {"flips": flips})
    positions = case.positions if positions is None else positions
    return tf_patches.extract_patches_at(
        images, positions, list(case.sizes), **place, **constant
    )


def fold(patches, case, positions=None, image_shape=None, **reduction):
    return tf_patches.fold_patches_at(
        patches,
        case.positions if positions is None else positions,
        case.shape if image_shape is None else image_shape,
        **case.place,
        **reduction,
    )


@examples(250)
@given(st.sampled_from(DTYPES), st.data(), placed_cases(), seeds)
def test_extract_equals_naive_loop(dtype, data, case, seed):
    images = random_bits(case.shape, dtype, seed)
    expected = oracle.extract_at(images, case.positions, case.sizes, **case.place)
    assert_same_bits(extract(images, case), expected)
    known = data.draw(signatures(images.shape))
    patches = in_graph(
        lambda images, positions: extract(images, case, positions),
        images,
        case.positions,
        signature=[known, [None, *case.positions.shape[1:]]],
    )
    assert_same_bits(patches, expected)


@examples(250)
@given(st.sampled_from(NUMBERS), st.data(), placed_cases(), seeds)
def test_fold_equals_naive_loop(dtype, data, case, seed):
    patches = random_bits(case.patches_shape, dtype, seed)
    expected = oracle.fold_at(patches, case.positions, case.shape, **case.place)
    assert_same_numbers(fold(patches, case), expected)
    batch, count = data.draw(st.sampled_from([(None, None), patches.shape[:2]]))
    images = in_graph(
        lambda patches, positions, shape: fold(patches, case, positions, shape),
        patches,
        case.positions,
        np.array(case.shape),
        signature=[[batch, count, *case.sizes, None], None, [len(case.shape)]],
    )
    assert_same_numbers(images, expected)


def weights_of(case, dtype, seed, form):
    """A window, or factors of all patches or, some of them, of each."""
    if form == "window":
        return some_weights(case.sizes, dtype, seed)
    each = [(case.positions.shape[-2],), ()] if form == "factors of each" else [(), ()]
    return [
        some_weights((*each[(seed + i) % 2], size), dtype, seed + i)
        for i, size in enumerate(case.sizes)
    ]


FORMS = [None, "window", "factors", "factors of each"]


@examples(200)
@given(
    st.sampled_from([*FLOATS, *COMPLEX, "uint8", "int32", "int64"]),
    st.sampled_from(["sum", "mean"]),
    st.sampled_from(FORMS),
    placed_cases(),
    seeds,
)
def test_weighted_fold_equals_naive_loop(dtype, reduction, form, case, seed):
    if dtype in INTEGERS:
        reduction = "sum"
    patches = numbers(case.patches_shape, dtype, seed)
    weights = None if form is None else weights_of(case, dtype, seed, form)
    how = {"reduction": reduction, "weights": weights}
    images = fold(patches, case, **how)
    expected = oracle.fold_at(patches, case.positions, case.shape, **case.place, **how)
    if dtype in COMPLEX:
        close = 1e-5 if dtype == "complex64" else 1e-12
        np.testing.assert_allclose(images, expected, rtol=close, atol=close)
    else:
        assert_same_numbers(images, expected)
    tensors = tf.nest.map_structure(tf.constant, weights) if form else None
    in_one_graph = in_graph(
        lambda p: fold(p, case, reduction=reduction, weights=tensors),
        patches,
        signature=[[None, None, *case.sizes, None]],
    )
    assert_same_numbers(in_one_graph, images)


@examples(100)
@given(
    st.sampled_from([*FLOATS, *INTEGERS]),
    st.sampled_from(["max", "min", "MAX", "Min"]),
    placed_cases(),
    seeds,
)
def test_largest_and_smallest_equal_naive_loop(dtype, reduction, case, seed):
    patches = numbers(case.patches_shape, dtype, seed)
    expected = oracle.fold_at(
        patches,
        case.positions,
        case.shape,
        **case.place,
        reduction=reduction.lower(),
    )
    assert_same_numbers(fold(patches, case, reduction=reduction), expected)


@pytest.mark.parametrize("mode", MODES[1:])
def test_far_outside(mode):
    """What is repeated comes again after so many pixels."""
    images = np.arange(30, dtype=np.int32).reshape(1, 5, 6, 1)
    near = np.array([[-30, 40], [70, -90]])
    expected = oracle.extract_at(images, near, (2, 3), (1, 1), mode)
    period = 720  # of 5 and 6 pixels in every mode
    for periods in 1, 2**31 // period, 2**60 // period:
        far = near + np.sign(near) * period * periods
        patches = tf_patches.extract_patches_at(images, far, [2, 3], mode=mode)
        assert_same_bits(patches, expected)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_far_outside_is_constant(dtype):
    images = np.ones([2, 5, 6, 3], np.float32)
    limits = np.iinfo(np.int32) if dtype == np.int32 else np.iinfo(np.int64)
    far = [limits.max // 4, limits.min // 4, limits.max // 2]
    positions = np.array([[far[0], 0], [0, far[1]], [far[2] - 9, 0]], dtype)
    patches = tf_patches.extract_patches_at(images, positions, 4, constant_values=7)
    assert_same_bits(patches, np.full([2, 3, 4, 4, 3], 7, np.float32))
    folded = tf_patches.fold_patches_at(patches, positions, images.shape)
    assert_same_bits(folded, np.zeros_like(images))


@pytest.mark.parametrize("dtype", DTYPES)
def test_constants(dtype):
    images = random_bits((2, 4, 3, 2), dtype, seed=1)
    positions = np.array([[-1, -1], [2, 2], [9, 9]])
    constant = True if dtype == "bool" else 3
    patches = tf_patches.extract_patches_at(
        images, positions, [2, 3], 2, constant_values=constant
    )
    expected = oracle.extract_at(
        images, positions, (2, 3), (2, 2), constant_values=constant
    )
    assert_same_bits(patches, expected)


IMAGES = np.random.default_rng(3).normal(size=(2, 6, 5, 3)).astype(np.float32)
POSITIONS = [[0, 1], [-1, 3], [4, 2]]
FLIPS = [[False, True], [True, False], [True, True]]


POSITION_FORMS = {
    "list": list,
    "tuple": tuple,
    "list of tuples": lambda positions: [tuple(position) for position in positions],
    "list of tensors": lambda positions: [tf.constant(p) for p in positions],
    "list of lists of tensors": lambda positions: [
        [tf.constant(row), tf.constant(col)] for row, col in positions
    ],
    "variable": lambda positions: tf.Variable(positions),
    **{
        f"{dtype} {kind.__name__}": lambda positions, dtype=dtype, kind=kind: kind(
            np.array(positions, dtype)
        )
        for dtype in ("int8", "int16", "int32", "int64")
        for kind in (np.asarray, tf.constant)
    },
}


@pytest.mark.parametrize("form", POSITION_FORMS)
def test_takes_positions_as(form):
    expected = oracle.extract_at(IMAGES, np.array(POSITIONS), (2, 2), (1, 1))
    positions = POSITION_FORMS[form](POSITIONS)
    patches = tf_patches.extract_patches_at(IMAGES, positions, 2)
    assert_same_bits(patches, expected)
    if form == "variable":
        return

    @tf.function(autograph=False)
    def traced():
        positions = POSITION_FORMS[form](POSITIONS)
        return tf_patches.extract_patches_at(IMAGES, positions, 2)

    assert_same_bits(traced(), expected)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "uint64"])
def test_takes_unsigned_positions(dtype):
    positions = np.array([[0, 1], [4, 2]], dtype)
    expected = oracle.extract_at(IMAGES, positions.astype(int), (2, 2), (1, 1))
    for at in positions, tf.constant(positions):
        patches = tf_patches.extract_patches_at(IMAGES, at, 2)
        assert_same_bits(patches, expected)


FLIP_FORMS = {
    "list": FLIPS,
    "array": np.array(FLIPS),
    "of each image": np.array([FLIPS, FLIPS[::-1]]),
    "of all patches": [False, True],
    "array of all patches": np.array([True, False]),
}


@pytest.mark.parametrize("positions", [POSITIONS, [POSITIONS, POSITIONS[::-1]]])
@pytest.mark.parametrize("form", FLIP_FORMS)
def test_takes_flips_as(form, positions):
    """As the result reversed."""
    flips = FLIP_FORMS[form]
    plain = tf_patches.extract_patches_at(IMAGES, positions, [2, 3])
    each = np.broadcast_to(flips, (2, 3, 2))
    expected = np.empty_like(plain)
    for n, k in np.ndindex(2, 3):
        axes = [axis for axis in (0, 1) if each[n, k, axis]]
        expected[n, k] = np.flip(plain[n, k], axes)
    call = dict(images=IMAGES, positions=positions, sizes=[2, 3])
    for flipped in flips, tf.constant(flips):
        assert_same_bits(tf_patches.extract_patches_at(**call, flips=flipped), expected)


@pytest.mark.parametrize(
    "empty", [[], (), np.zeros([0, 2], int), tf.zeros([0, 2], "int32")]
)
def test_no_patches(empty):
    patches = tf_patches.extract_patches_at(IMAGES, empty, [2, 3], mode="REFLECT")
    assert patches.shape == (2, 0, 2, 3, 3)
    for reduction in ("sum", "mean", "max", "min"):
        images = tf_patches.fold_patches_at(
            patches, empty, IMAGES.shape, reduction=reduction
        )
        assert_same_bits(images, np.zeros_like(IMAGES))


SIZES_FORMS = [3, [3, 3], (3, 3), np.array([3, 3]), [1, 3, 3, 1], np.int64(3)]


@pytest.mark.parametrize("sizes", SIZES_FORMS, ids=repr)
def test_takes_sizes_and_rates_as(sizes):
    expected = oracle.extract_at(IMAGES, np.array(POSITIONS), (3, 3), (3, 3))
    patches = tf_patches.extract_patches_at(IMAGES, POSITIONS, sizes, sizes)
    assert_same_bits(patches, expected)
    folded = tf_patches.fold_patches_at(patches, POSITIONS, IMAGES.shape, sizes)
    assert_same_bits(
        folded, oracle.fold_at(expected, np.array(POSITIONS), IMAGES.shape, (3, 3))
    )


WINDOW = np.outer([1, 2, 0], [0.25, 1, 3, 2])
WEIGHT_FORMS = {
    "array": WINDOW,
    "float32 tensor": tf.constant(WINDOW, tf.float32),
    "nested list": WINDOW.tolist(),
    "integers and floats": [np.array([1, 2, 0]), [0.25, 1, 3, 2]],
    "tuple of lists": ([1, 2, 0], [0.25, 1, 3, 2]),
    "tensors": [tf.constant([1.0, 2, 0]), tf.constant([0.25, 1, 3, 2])],
    "factors of each patch": [np.tile([1.0, 2, 0], [3, 1]), [0.25, 1, 3, 2]],
    "scalars that are tensors": [
        [tf.constant(1.0), tf.constant(2.0), tf.constant(0.0)],
        [0.25, 1, 3, 2],
    ],
}


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("form", WEIGHT_FORMS)
def test_takes_weights_as(form, reduction):
    patches = np.random.default_rng(1).normal(size=(2, 3, 3, 4, 2)).astype(np.float32)
    call = dict(positions=POSITIONS, image_shape=[2, 6, 5, 2], reduction=reduction)
    expected = oracle.fold_at(
        patches,
        np.array(POSITIONS),
        (2, 6, 5, 2),
        (1, 1),
        reduction=reduction,
        weights=WINDOW.astype(np.float32),
    )
    images = tf_patches.fold_patches_at(patches, **call, weights=WEIGHT_FORMS[form])
    assert_same_bits(images, expected)


def test_a_list_of_an_item_for_each_axis_is_factors():
    patches = np.ones([1, 1, 2, 2, 1], np.float32)
    call = dict(patches=patches, positions=[[0, 0]], image_shape=[1, 2, 2, 1])
    square = [[1, 2], [3, 4]]
    factors = tf_patches.fold_patches_at(**call, weights=square)
    window = tf_patches.fold_patches_at(**call, weights=np.array(square))
    assert_same_bits(factors[0, :, :, 0], np.float32([[3, 4], [6, 8]]))
    assert_same_bits(window[0, :, :, 0], np.float32(square))


def test_known_shapes():
    with tf.Graph().as_default():
        images = tf.compat.v1.placeholder(tf.float32, [None, 6, None, 3])
        positions = tf.compat.v1.placeholder(tf.int64, [None, 7, 2])
        patches = tf_patches.extract_patches_at(images, positions, [2, 3], name="cut")
        assert patches.op.name == "cut"
        assert patches.shape.as_list() == [None, 7, 2, 3, 3]
        folded = tf_patches.fold_patches_at(
            patches, positions, [None, 6, 5, 3], name="paste"
        )
        assert folded.op.name == "paste"
        assert folded.shape.as_list() == [None, 6, 5, 3]
        unknown = tf.compat.v1.placeholder(tf.float32)
        patches = tf_patches.extract_patches_at(unknown, positions, 2)
        assert patches.shape.as_list() == [None, 7, 2, 2, None]
        signals = tf_patches.extract_patches_at(unknown, [[0], [1]], 2)
        assert signals.shape.as_list() == [None, 2, 2, None]


def test_session():
    positions = np.array([POSITIONS, POSITIONS[::-1]], np.int32)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        images = tf.compat.v1.placeholder(tf.float32)
        at = tf.compat.v1.placeholder(tf.int32)
        flips = tf.compat.v1.placeholder(tf.bool)
        patches = tf_patches.extract_patches_at(
            images, at, [1, 2, 3, 1], flips=flips, mode="EDGE"
        )
        mean = tf_patches.fold_patches_at(
            patches, at, tf.shape(images), flips=flips, reduction="mean"
        )
        feed = {images: IMAGES, at: positions, flips: np.array(FLIPS)}
        patches, mean = session.run([patches, mean], feed)
    place = dict(rates=(1, 1), flips=np.array(FLIPS))
    expected = oracle.extract_at(IMAGES, positions, (2, 3), **place, mode="EDGE")
    assert_same_bits(patches, expected)
    expected = oracle.fold_at(
        expected, positions, IMAGES.shape, **place, reduction="mean"
    )
    assert_same_bits(mean, expected)


class Detector(tf.Module):
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None, 3]),
            tf.TensorSpec([None, 2], tf.int64),
        ]
    )
    def __call__(self, images, positions):
        with tf.GradientTape() as tape:
            tape.watch(images)
            patches = tf_patches.extract_patches_at(images, positions, 2, mode="WRAP")
            weights = [[1.0, 0.5], [2.0, 1.0]]
            mean = tf_patches.fold_patches_at(
                patches,
                positions,
                tf.shape(images),
                mode="WRAP",
                reduction="mean",
                weights=weights,
            )
            energy = tf.reduce_sum(mean**3)
        return patches, mean, tape.gradient(energy, images)


def test_saved_model(tmp_path):
    module = Detector()
    positions = np.array(POSITIONS)
    expected = module(IMAGES, positions)
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    for ours, theirs in zip(loaded(IMAGES, positions), expected, strict=True):
        assert_same_bits(ours, theirs)


def test_tf_data():
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, [POSITIONS, POSITIONS[::-1]]))
    dataset = dataset.map(
        lambda image, at: tf_patches.extract_patches_at(image[tf.newaxis], at, 2)[0]
    )
    expected = tf_patches.extract_patches_at(IMAGES, [POSITIONS, POSITIONS[::-1]], 2)
    assert_same_bits(list(dataset.as_numpy_iterator()), expected)


@examples(100)
@given(placed_cases(), seeds)
def test_fold_is_the_adjoint_of_extract(case, seed):
    random = np.random.default_rng(seed)
    images = random.integers(-1000, 1000, case.shape).astype(np.float64)
    patches = extract(images, case)
    other = random.integers(-1000, 1000, patches.shape).astype(np.float64)
    # Integers, whose products and sums are exact.
    assert np.sum(patches * other) == np.sum(images * fold(other, case))


def test_many_patches_on_a_pixel():
    """Shared out among threads, in the order of the patches."""
    random = np.random.default_rng(1)
    positions = random.integers(0, 3, [900, 2])
    patches = random.normal(size=[1, 900, 5, 5, 3]).astype(np.float32)
    call = (patches, positions, (1, 7, 7, 3))
    assert_same_bits(tf_patches.fold_patches_at(*call), oracle.fold_at(*call, (1, 1)))
    mean = tf_patches.fold_patches_at(*call, reduction="mean")
    assert_same_bits(mean, oracle.fold_at(*call, (1, 1), reduction="mean"))
