"""Patches at positions, and folds with weights, compiled by XLA in either form."""

import numpy as np
import oracle
import pytest
import tensorflow as tf
from bad_calls import assert_says
from cases import (
    COMPLEX,
    DTYPES,
    FLOATS,
    INTEGERS,
    MODES,
    NUMBERS,
    any_cases,
    examples,
    placed_cases,
    random_bits,
    seeds,
)
from compare import assert_same_bits, assert_same_numbers
from compiled import compiled, hlo, lowerings, without_denormals
from derivatives import gradient, jacobian
from graphs import in_graph
from hypothesis import given
from hypothesis import strategies as st
from reductions import numbers, some_weights

import tf_patches
from tf_patches.native import ops

INVALID = tf.errors.InvalidArgumentError


def called(function, case, tensor):
    """`function` of a tensor and of where patches lie, which only the run knows."""
    flips = [] if case.flips is None else [case.flips]

    def run(tensor, positions, *flips):
        place = {**case.place, "flips": flips[0] if flips else None}
        return function(tensor, positions, place)

    return run, [tensor, case.positions, *flips]


@lowerings
@examples(50)
@given(st.sampled_from(DTYPES), placed_cases(), st.sampled_from([0, 1]), seeds)
def test_extract_equals_naive_loop(lowering, dtype, case, constant, seed):
    images = random_bits(case.shape, dtype, seed)
    same = assert_same_bits
    if (lowering, dtype) == ("hlo", "bfloat16"):
        # Some CPUs move them by instructions that take denormals for zero, and make
        # NaNs quiet.
        images, same = without_denormals(images), assert_same_numbers
    run, tensors = called(
        lambda images, positions, place: tf_patches.extract_patches_at(
            images, positions, list(case.sizes), **place, constant_values=constant
        ),
        case,
        images,
    )
    expected = oracle.extract_at(
        images, case.positions, case.sizes, **case.place, constant_values=constant
    )
    same(compiled(lowering, run, *tensors), expected)


def folding(case, **how):
    return lambda patches, positions, place: tf_patches.fold_patches_at(
        patches, positions, case.shape, **place, **how
    )


@lowerings
@examples(40)
@given(st.sampled_from(NUMBERS), placed_cases(), seeds)
def test_fold_equals_naive_loop(lowering, dtype, case, seed):
    patches = random_bits(case.patches_shape, dtype, seed)
    if lowering == "hlo":
        patches = without_denormals(patches)
    run, tensors = called(folding(case), case, patches)
    expected = oracle.fold_at(patches, case.positions, case.shape, **case.place)
    assert_same_numbers(compiled(lowering, run, *tensors), expected)


@st.composite
def reduced(draw, reductions):
    """A dtype, a reduction that it has, and whether weights are a window or factors."""
    reduction = draw(st.sampled_from(reductions))
    without = {"mean": INTEGERS, "max": COMPLEX, "min": COMPLEX}.get(reduction, [])
    dtype = draw(st.sampled_from([x for x in NUMBERS if x not in without]))
    if reduction in ("max", "min"):
        return dtype, reduction, None
    forms = ["window", "factors", "factors of each"]
    return dtype, reduction, draw(st.sampled_from([None, *forms]))


def weights_of(case, dtype, form, seed):
    count = case.positions.shape[-2]
    shapes = {
        "window": [case.sizes],
        "factors": [(size,) for size in case.sizes],
        "factors of each": [
            [(size,), (count, size)][i % 2 == 0] for i, size in enumerate(case.sizes)
        ],
    }[form]
    weights = [some_weights(shape, dtype, seed + i) for i, shape in enumerate(shapes)]
    return weights[0] if form == "window" else weights


def assert_same(lowering, dtype, form, ours, expected):
    """To the bit, except of complex products, which XLA does not round in parts."""
    if lowering == "native" or form is None or dtype not in COMPLEX:
        return assert_same_numbers(ours, expected)
    close = 1e-4 if dtype == "complex64" else 1e-12
    np.testing.assert_allclose(ours, expected, rtol=close, atol=close)


@lowerings
@examples(50)
@given(reduced(["sum", "mean", "max", "min"]), placed_cases(), seeds)
def test_reductions_equal_the_same_without_xla(lowering, reduced, case, seed):
    """Which other tests compare with oracles."""
    dtype, reduction, form = reduced
    patches = numbers(case.patches_shape, dtype, seed)
    weights = None if form is None else weights_of(case, dtype, form, seed)
    fold = folding(case, reduction=reduction, weights=weights)
    run, tensors = called(fold, case, patches)
    result = compiled(lowering, run, *tensors)
    assert_same(lowering, dtype, form, result, run(*tensors))


@lowerings
@examples(30)
@given(reduced(["sum", "mean"]), any_cases(small=True), seeds)
def test_folds_of_grids_equal_the_same_without_xla(lowering, reduced, case, seed):
    dtype, reduction, form = reduced
    shape, grid = case
    patches = numbers(oracle.patches_shape(shape, **grid), dtype, seed)
    window = some_weights(grid["sizes"][1:-1], dtype, seed)
    weights = [] if form is None else [window]

    def fold(patches, *weights):
        how = dict(reduction=reduction, weights=weights[0] if weights else None)
        return tf_patches.fold_patches(patches, shape, **grid, **how)

    result = compiled(lowering, fold, patches, *weights)
    assert_same(lowering, dtype, form, result, fold(patches, *weights))


# Sums large enough for several threads to share; as many patches on one pixel.
@pytest.mark.parametrize("reduction", ["sum", "mean", "max"])
def test_shared_out_by_the_native_form(reduction):
    random = np.random.default_rng(1)
    images = random.normal(size=[2, 90, 80, 5]).astype(np.float32)
    positions = random.integers(-9, 85, [2, 500, 2])
    flips = random.random([500, 2]) < 0.5

    def work(images, positions, flips):
        patches = tf_patches.extract_patches_at(
            images, positions, 16, mode="REFLECT", flips=flips
        )
        folded = tf_patches.fold_patches_at(
            patches, positions, images.shape, flips=flips, reduction=reduction
        )
        return patches, folded

    results = compiled("native", work, images, positions, flips)
    for result, expected in zip(results, work(images, positions, flips), strict=True):
        assert_same_bits(result, expected)


def in_all_modes(images, positions):
    return [
        tf_patches.extract_patches_at(images, positions, [2, 3], mode=mode)
        for mode in MODES
    ]


@lowerings
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_far_outside(dtype, lowering):
    """What is repeated comes again after so many pixels."""
    images = np.arange(30, dtype=np.int32).reshape(1, 5, 6, 1)
    near = np.array([[-30, 40], [70, -90], [-61, -62], [59, 58]])
    period = 720  # of 5 and 6 pixels in every mode
    most = 2**31 if dtype == "int32" else 2**62
    far = (near + np.sign(near) * (most // period - 1) * period).astype(dtype)
    expected = [oracle.extract_at(images, near, (2, 3), (1, 1), mode) for mode in MODES]
    for ours, theirs in zip(
        compiled(lowering, in_all_modes, images, far), expected, strict=True
    ):
        assert_same_bits(ours, theirs)


BEYOND = np.array([[2**63 - 1, 0], [0, -(2**63)], [2**62, -(2**62)]])


def extract_and_fold(images, positions):
    extracted = tf_patches.extract_patches_at(images, positions, 2, constant_values=7)
    return tf_patches.fold_patches_at(extracted, positions, images.shape), extracted


def test_positions_beyond_all_reason_are_refused_by_the_native_form():
    images = np.ones([1, 5, 6, 1], np.float32)
    with pytest.raises(INVALID, match=f"patch 0 of image 0 lies at {2**63 - 1}"):
        compiled("native", in_all_modes, images, BEYOND)
    with pytest.raises(INVALID, match=f"patch 1 of image 0 lies at -{2**63}"):
        compiled("native", extract_and_fold, images, BEYOND[[0, 1]] * [[0], [1]])


def test_positions_beyond_all_reason_lie_outside_in_plain_hlo():
    """Where compiled code has no way to refuse them."""
    images = np.arange(30, dtype=np.int32).reshape(1, 5, 6, 1)
    folded, extracted = compiled("hlo", extract_and_fold, images, BEYOND)
    assert_same_bits(extracted, np.full([1, 3, 2, 2, 1], 7, np.int32))
    assert_same_bits(folded, np.zeros_like(images))
    near = np.array([[int(at) % 720 for at in position] for position in BEYOND])
    shown = compiled("hlo", in_all_modes, images, BEYOND)
    for mode, ours in list(zip(MODES, shown, strict=True))[1:]:
        if mode != "EDGE":
            expected = oracle.extract_at(images, near, (2, 3), (1, 1), mode)
            assert_same_bits(ours, expected)


@lowerings
@pytest.mark.parametrize("dtype", [*FLOATS, "complex64"])
def test_sums_begin_with_positive_zero(dtype, lowering):
    numpy_dtype = tf.as_dtype(dtype).as_numpy_dtype
    patches = -np.zeros([1, 3, 2, 2, 1], numpy_dtype)

    def folds(patches):
        window = -tf.ones([2, 2], dtype)
        return [
            tf_patches.fold_patches_at(patches[:, : len(at)], at, shape, **how)
            for shape in ([1, 4, 4, 1], [1, 2, 2, 1])
            for at in ([[0, 0]], [[0, 0], [1, 1], [1, 1]])
            for how in ({}, {"weights": window}, {"reduction": "mean"})
        ]

    for image in compiled(lowering, folds, patches):
        assert_same_bits(image, np.zeros(image.shape, numpy_dtype))


@lowerings
def test_weights_of_zero_leave_values_out(lowering):
    patches = np.full([1, 2, 2, 2, 1], np.nan, np.float32)
    patches[:, :, 0] = 3
    window = np.array([[2, 0.5], [0, 0]], np.float32)

    def folds(patches, window):
        at = dict(positions=[[0, 0], [1, 0]], image_shape=[1, 3, 2, 1])
        grid = dict(sizes=2, strides=[1, 1], image_shape=[1, 3, 2, 1])
        rows = tf.reshape(patches, [1, 2, 1, 4])
        return [
            fold(values, **place, weights=window, reduction=reduction)
            for fold, values, place in (
                (tf_patches.fold_patches_at, patches, at),
                (tf_patches.fold_patches, rows, grid),
            )
            for reduction in ("sum", "mean")
        ]

    totals, means, *of_grid = compiled(lowering, folds, patches, window)
    assert_same_bits(totals[0, ..., 0], np.float32([[6, 1.5], [6, 1.5], [0, 0]]))
    assert_same_bits(means[0, ..., 0], np.float32([[3, 3], [3, 3], [0, 0]]))
    for ours, expected in zip(of_grid, (totals, means), strict=True):
        assert_same_bits(ours, expected)


EMPTY = [  # batch, count and space, depth
    ((0, 5, 4, 3), 2),
    ((2, 5, 4, 3), 0),
    ((2, 0, 4, 3), 2),
    ((2, 5, 4, 0), 2),
]


@lowerings
@pytest.mark.parametrize("shape, count", EMPTY)
def test_zero_sized(shape, count, lowering):
    images = np.ones(shape, np.float32)
    positions = np.zeros([count, 2], np.int32)

    def work(images, positions):
        patches = tf_patches.extract_patches_at(images, positions, 2, constant_values=7)
        folds = [
            tf_patches.fold_patches_at(patches, positions, shape, reduction=reduction)
            for reduction in ("sum", "mean", "max", "min")
        ]
        return patches, *folds

    patches, *folds = compiled(
        lowering, work, images, positions, signature=[[None] * 4, [None, 2]]
    )
    assert_same_bits(patches, np.full([shape[0], count, 2, 2, shape[3]], 7, np.float32))
    for folded in folds:
        assert_same_bits(folded, np.zeros(shape, np.float32))


# Small integers, so that sums and products of them are exact in any order.
IMAGES = np.random.default_rng(0).integers(-3, 4, (3, 7, 6, 2)).astype(np.float32)
POSITIONS = np.array([[-2, 1], [3, 3], [3, 2], [5, -1]])
WHERE = dict(rates=[1, 2], mode="REFLECT", flips=[[False, True]] * 4)


def extract(images):
    return tf_patches.extract_patches_at(images, POSITIONS, [3, 2], **WHERE)


def fold(**how):
    """Of patches that do not come from one image, put back."""

    def run(images):
        patches = tf.square(extract(images))
        return tf_patches.fold_patches_at(
            patches, POSITIONS, images.shape, **WHERE, **how
        )

    return run


def one_by_one(images):
    return tf.vectorized_map(lambda image: extract(image[tf.newaxis])[0], images)


def in_a_loop(images):
    def add(i, images):
        return i + 1, images + fold()(images) % 3.0

    return tf.while_loop(lambda i, _: i < 3, add, [0, images])[1]


def of_the_grid(images):
    patches = tf_patches.extract_patches(images, [3, 2], [2, 1])
    mean = dict(reduction="mean", weights=[[1.0, 2], [0, 1], [3, 1]])
    return tf_patches.fold_patches(
        patches * patches, images.shape, [3, 2], [2, 1], **mean
    )


WORK = {
    "gradient": gradient(extract),
    "second order": gradient(gradient(extract)),
    "gradient of fold": gradient(fold()),
    "gradient of mean": gradient(fold(reduction="mean", weights=[[1, 2, 1], [0, 1]])),
    "gradient of max": gradient(fold(reduction="max")),
    "gradient of the grid's mean": gradient(of_the_grid),
    "jacobian": jacobian(lambda images: extract(images[:1, :3, :2])),
    "vectorized_map": one_by_one,
    "while_loop": in_a_loop,
}


@lowerings
@pytest.mark.parametrize("name", WORK)
def test_work(name, lowering):
    """As without XLA, which other tests compare with TensorFlow's own ops."""
    expected = WORK[name](tf.constant(IMAGES))
    ours = compiled(lowering, WORK[name], IMAGES)
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-5)
    assert np.any(expected)


def only_some(keep, *tensors):
    """Those that are kept, of which XLA knows no more than a bound."""
    return [tf.boolean_mask(tensor, keep) for tensor in tensors]


KEEP = np.array([True, False, True, True])


@lowerings
def test_some_positions(lowering):
    def work(images, positions, keep):
        (positions,) = only_some(keep, positions)
        patches = tf_patches.extract_patches_at(images, positions, 3, mode="WRAP")
        profiles = tf.cast(positions, tf.float32)[:, :1] + [1.0, 2, 3]
        folds = [
            tf_patches.fold_patches_at(patches, positions, images.shape, **how)
            for how in (
                {},
                {"reduction": "max"},
                {"reduction": "mean", "weights": [profiles, [1.0, 2, 1]]},
            )
        ]
        return patches, *folds

    results = compiled(lowering, work, IMAGES, POSITIONS, KEEP)
    for result, expected in zip(results, work(IMAGES, POSITIONS, KEEP), strict=True):
        assert_same_bits(result, expected)


@lowerings
def test_some_images(lowering):
    each = np.stack([POSITIONS, POSITIONS[::-1], POSITIONS + 1])

    def work(images, positions, keep):
        images, positions = only_some(keep, images, positions)
        patches = tf_patches.extract_patches_at(images, positions, 3, mode="EDGE")
        shape = tf.shape(images)
        return tf_patches.fold_patches_at(patches, positions, shape, mode="EDGE")

    keep = KEEP[:3]
    expected = work(IMAGES, each, keep)
    assert_same_bits(compiled(lowering, work, IMAGES, each, keep), expected)


def test_refuses_to_fold_some_patches_where_nothing_is_outside():
    def work(images, positions, keep):
        (positions,) = only_some(keep, positions)
        patches = tf_patches.extract_patches_at(images, positions, 3)
        return tf_patches.fold_patches_at(patches, positions, images.shape, mode="EDGE")

    with pytest.raises(tf.errors.UnimplementedError, match="mode CONSTANT"):
        compiled("native", work, IMAGES, POSITIONS, KEEP)


def test_refuses_rows_that_only_the_run_knows():
    def work(images):
        rows = tf.boolean_mask(images, images[0, :, 0, 0] < 9, axis=1)
        return tf_patches.extract_patches_at(rows, POSITIONS, 2)

    with pytest.raises(tf.errors.UnimplementedError, match="dimension of images"):
        compiled("native", work, IMAGES)


EXTRACT = dict(images=IMAGES, positions=POSITIONS, flips=np.zeros([0], bool))
FOLD = dict(
    patches=np.ones([3, 4, 2, 2, 2], np.float32),
    positions=POSITIONS,
    flips=np.zeros([0], bool),
    image_shape=np.array([3, 7, 6, 2]),
    weights=np.zeros([0], np.float32),
    profiles=np.zeros([0], np.float32),
)
GRID = dict(
    patches=np.ones([3, 6, 5, 8], np.float32),
    image_shape=np.array([3, 7, 6, 2]),
    weights=np.zeros([0], np.float32),
)


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


PLACED = dict(sizes=[2, 2], rates=[1, 1])
LAID = dict(ksizes=[1, 2, 2, 1], strides=[1] * 4, rates=[1] * 4, padding="VALID")
EXTRACT_AT = (ops.tf_patches_extract_patches_at, EXTRACT, PLACED)
FOLD_AT = (ops.tf_patches_fold_patches_at, FOLD, PLACED)
FOLD_MAX = (ops.tf_patches_fold_patches_at, FOLD, PLACED | {"reduction": "MAX"})
FOLD_EDGE = (ops.tf_patches_fold_patches_at, FOLD, PLACED | {"mode": "EDGE"})
FOLD_GRID = (ops.tf_patches_fold_weighted_patches, GRID, LAID)
# What is wrong only with what XLA knows, and what the message shows of it.
REFUSED = [
    (EXTRACT_AT, {"images": zeros(7, 6, 2)}, "images must be 4-dim.*7,6,2"),
    (EXTRACT_AT, {"positions": zeros(2, dtype=int)}, r"positions must be.*\[2\]"),
    (EXTRACT_AT, {"positions": zeros(4, 3, dtype=int)}, r"positions must be.*\[4,3\]"),
    (EXTRACT_AT, {"positions": zeros(2, 4, 2, dtype=int)}, "with the batch.*2,4,2"),
    (EXTRACT_AT, {"flips": zeros(4, 1, dtype=bool)}, r"flips must.*\[4,1\]"),
    (FOLD_AT, {"patches": zeros(3, 4, 2, 2)}, "patches must be 5-dim.*3,4,2,2"),
    (FOLD_AT, {"patches": zeros(2, 4, 2, 2, 2)}, "positions|patches of shape"),
    (FOLD_AT, {"patches": zeros(3, 4, 2, 3, 2)}, r"patches.*\[3,4,2,3,2\]"),
    (FOLD_AT, {"positions": zeros(5, 2, dtype=int)}, r"positions must be.*\[5,2\]"),
    (FOLD_AT, {"image_shape": np.array([3, 7, 6])}, r"image_shape must be.*\[3\]"),
    (FOLD_AT, {"image_shape": np.array([3, 7, -6, 2])}, "image_shape.*-6"),
    (FOLD_EDGE, {"image_shape": np.array([3, 0, 6, 2])}, "no pixels to show"),
    (FOLD_AT, {"weights": zeros(2, 3)}, r"weights must have.*\[2,3\]"),
    (FOLD_AT, {"profiles": zeros(2, 4)}, r"weights by axis must be.*\[2,4\]"),
    (FOLD_AT, {"weights": zeros(2, 2), "profiles": zeros(1, 4)}, "not both"),
    (FOLD_MAX, {"weights": zeros(2, 2)}, "none for reduction MAX"),
    (FOLD_GRID, {"weights": zeros(2, 3)}, r"weights must have.*\[2,3\]"),
    (FOLD_GRID, {"patches": zeros(3, 6, 5, 9)}, r"\[3,6,5,9\]"),
]


@pytest.mark.parametrize("op, wrong, shown", REFUSED)
def test_refused_as_without_xla(op, wrong, shown):
    function, call, attributes = op
    call = call | wrong

    def error(**options):
        with pytest.raises((tf.errors.OpError, ValueError)) as caught:
            in_graph(
                lambda *tensors: function(
                    **dict(zip(call, tensors, strict=True)), **attributes
                ),
                *call.values(),
                signature=[None] * len(call),
                **options,
            )
        return caught.value

    compiled = error(jit_compile=True)
    assert type(compiled) is type(error())
    assert_says(compiled, shown)


def all_ops(images):
    return fold()(images), of_the_grid(images)


HANDLERS = ["extract_patches_at", "fold_patches_at", "fold_weighted_patches"]


def test_cpu_calls_the_native_kernels():
    text = hlo(all_ops, tf.constant(IMAGES), stage="optimized_hlo")
    for handler in HANDLERS:
        assert f'custom_call_target="tf_patches.{handler}"' in text


@pytest.mark.parametrize(
    "where", [{"platform_name": "GPU"}, {"lowering": "hlo"}], ids=["GPU", "CPU"]
)
def test_other_platforms_need_nothing_but_xla(where):
    images = tf.TensorSpec(IMAGES.shape) if "platform_name" in where else IMAGES
    text = hlo(all_ops, images, stage="hlo", **where)
    assert "gather" in text
    assert "scatter" in text
    assert "custom-call" not in text


@pytest.mark.parametrize("rows, is_wide", [(60, False), (2**30, True)])
def test_wide_indices_only_where_they_are_needed(rows, is_wide):
    def work(images, positions):
        patches = tf_patches.extract_patches_at(images, positions, 2, mode="REFLECT")
        return tf_patches.fold_patches_at(patches, positions, [1, rows, 50, 1])

    specs = [tf.TensorSpec([1, rows, 50, 1]), tf.TensorSpec([3, 2], tf.int32)]
    text = hlo(work, *specs, stage="hlo", platform_name="GPU")
    assert ("s64[" in text) is is_wide
