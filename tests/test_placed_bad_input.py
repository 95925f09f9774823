"""Positions, flips, weights and reductions that cannot be met, and what is said."""

import numpy as np
import pytest
import tensorflow as tf
from bad_calls import assert_says, eager, of_shape, refusal, session, traced

import tf_patches

INVALID = tf.errors.InvalidArgumentError
UNIMPLEMENTED = tf.errors.UnimplementedError
OUT_OF_RANGE = tf.errors.OutOfRangeError
AT = [[0, 1], [2, 2], [1, 0]]

EXTRACT = dict(images=of_shape(2, 5, 4, 3), positions=AT, sizes=2)
FOLD = dict(patches=of_shape(2, 3, 2, 2, 3), positions=AT, image_shape=[2, 5, 4, 3])
GRID = dict(patches=of_shape(2, 3, 3, 12), image_shape=[2, 6, 6, 3], sizes=2)

# What is wrong, its class in eager mode, and what the message says.
POSITIONS = [
    (None, TypeError, "positions must be .* None"),
    ([[0.5, 1]], TypeError, "positions must be integers.*float64.*tf.round"),
    (of_shape(3, 2), TypeError, "positions must be integers.*float32.*tf.round"),
    ([["a", "b"]], TypeError, "positions must be integers.*string"),
    ([[True, False]], TypeError, "positions must be integers.*bool"),
    ([[0, 1], [2]], INVALID, r"positions must be \[count, axes\].*\[\[0, 1\], \[2\]\]"),
    ([[None, 1]], INVALID, r"positions must be \[count, axes\].*None"),
    ([0, 1], INVALID, r"positions must be \[count, 2\].*shape \[2\]"),
    (5, INVALID, r"positions must be \[count, 2\].*shape \[\]"),
    ([[0]] * 3, INVALID, r"positions must be \[count, 2\].*shape \[3,1\]"),
    ([[0, 1, 2]] * 3, INVALID, r"positions must be.*\[3,3\].*\[tf.newaxis\]"),
    (np.zeros([2, 3, 4, 2], int), INVALID, r"positions must be.*\[2,3,4,2\]"),
    ([AT] * 3, INVALID, r"positions must be .* batch of the images.*\[3,3,2\]"),
    ([[2**70, 0]], INVALID, f"positions must be.*{2**70}"),
    ([[2**63, 0]], INVALID, f"positions must hold integers of 64 bits.*{2**63}"),
    ([[0, 0]] * 2 + [[0, 2**62]], INVALID, f"patch 2 of image 0 lies at {2**62}"),
    ([[-(2**63), 0]] * 3, INVALID, f"patch 0 of image 0 lies at -{2**63}"),
    (
        [[[0, 0]] * 3, [[0, 0], [2**62 + 1, 0], [0, 0]]],
        INVALID,
        f"patch 1 of image 1 lies at {2**62 + 1}",
    ),
    (
        np.full([3, 2], 2**64 - 1, np.uint64),
        INVALID,
        f"patch 0 of image 0 lies at {2**63 - 1}",
    ),
]

FLIPS = [
    ([1, 0], TypeError, "flips must be bool, but got int64"),
    ("a", TypeError, "flips must be bool, but got string"),
    ([[True], [False, True]], INVALID, r"flips must be.*\[\[True\], \[False, True\]\]"),
    ([True], INVALID, r"flips must be \[2\], \[count, 2\] or.*shape \[1\]"),
    (True, INVALID, r"flips must be \[2\], \[count, 2\] or.*shape \[\]"),
    ([[True, False]], INVALID, r"flips must .*\[3,2\], but got shape \[1,2\]"),
    ([[True, False]] * 2, INVALID, r"flips must .*\[3,2\], but got shape \[2,2\]"),
    (of_shape(3, 3, 2) > 0, INVALID, r"flips must .*\[3,2\].*shape \[3,3,2\]"),
    (of_shape(2, 2, 3, 2) > 0, INVALID, r"flips must be.*\[2,2,3,2\]"),
]

RATES = [
    (0, OUT_OF_RANGE, r"rates must be at least 1, but got \[0, 0\]"),
    ([1], INVALID, r"rates must be an int, \[rows, cols\] or.*\[1\]"),
    (
        [2, 1, 1, 1],
        UNIMPLEMENTED,
        r"rates must be 1 for batch and depth.*\[2, 1, 1, 1\]",
    ),
    ("a", TypeError, "rates must be an int.*'a'"),
    (2**31 - 1, INVALID, "span more than 2147483647 pixels"),
]

BOTH = [
    *(("positions", *row) for row in POSITIONS),
    *(("flips", *row) for row in FLIPS),
    *(("rates", *row) for row in RATES),
    ("mode", "FOO", INVALID, "mode must be .*'FOO'"),
    ("mode", 3, TypeError, "mode must be .*3"),
]

EXTRACT_REFUSED = [
    *BOTH,
    ("images", None, ValueError, "None"),
    ("images", of_shape(5, 4, 3), INVALID, r"\[5,4,3\].*images\[tf.newaxis\]"),
    ("images", of_shape(4, 3), INVALID, r"images must be.*\[4,3\]"),
    ("images", of_shape(*[1] * 6), INVALID, r"images must be.*\[1,1,1,1,1,1\]"),
    ("images", "text", INVALID, r"images must be.*\[\]"),
    ("sizes", None, INVALID, "sizes must be an int.*None"),
    ("sizes", 0, OUT_OF_RANGE, r"sizes must be at least 1, but got \[0, 0\]"),
    ("sizes", [2, -1], OUT_OF_RANGE, r"sizes must be at least 1, but got \[2, -1\]"),
    ("sizes", [2], INVALID, r"sizes must be an int, \[rows, cols\] or.*\[2\]"),
    ("sizes", [1, 2, 2, 1, 1], INVALID, r"sizes must be.*\[1, 2, 2, 1, 1\]"),
    ("sizes", [1, 2, 2, 2], UNIMPLEMENTED, r"sizes must be 1 for.*\[1, 2, 2, 2\]"),
    ("sizes", 2.0, TypeError, r"sizes must be an int.*2\.0"),
    ("sizes", 2**40, INVALID, f"sizes.*{2**40}"),
    ("sizes", [2**31 - 1, 2], INVALID, r"sizes is too large.*\[2147483647, 2\]"),
    ("constant_values", "a", TypeError, "constant_values.*'a'"),
    ("constant_values", 1j, INVALID, "constant_values.*float32.*1j"),
]

FOLD_REFUSED = [
    *BOTH,
    ("patches", None, ValueError, "None"),
    ("patches", of_shape(3, 2, 2, 3), INVALID, r"positions must be \[count, 1\]"),
    ("patches", of_shape(2, 2, 3), INVALID, r"patches must be .*\[2,2,3\]"),
    ("patches", of_shape(*[1] * 7), INVALID, r"patches must be .*\[1,1,1,1,1,1,1\]"),
    ("patches", of_shape(1, 3, 2, 2, 3), INVALID, r"patches of shape \[1,3,2,2,3\] do"),
    ("patches", of_shape(2, 4, 2, 2, 3), INVALID, r"positions must be .*\[3,2\]"),
    ("patches", of_shape(2, 3, 2, 2, 3) > 0, INVALID, "bool"),
    ("image_shape", [2, 5, 4], INVALID, r"image_shape must be .*4 integers.*\[3\]"),
    ("image_shape", [3, 5, 4, 3], INVALID, r"patches of shape .*\[3,5,4,3\]"),
    ("image_shape", [2, 5, 4, 1], INVALID, r"patches of shape .*\[2,5,4,1\]"),
    ("image_shape", [2, -5, 4, 3], INVALID, "image_shape.*-5"),
    ("image_shape", [2, None, 4, 3], ValueError, "image_shape.*None"),
    ("image_shape", None, ValueError, "None"),
    ("image_shape", [2, 2**70, 4, 3], INVALID, f"image_shape.*{2**70}"),
    ("image_shape", [2, 2**62, 2**62, 3], INVALID, str(2**62)),
    ("image_shape", [2.0, 5, 4, 3], INVALID, "float"),
    ("reduction", "avg", INVALID, "reduction must be SUM, MEAN, MAX or MIN.*'avg'"),
    ("reduction", None, TypeError, "reduction must be SUM, MEAN, MAX or MIN.*None"),
    ("weights", np.ones([3, 2]), INVALID, r"weights must .*\[2, 2\].*\[3,2\]"),
    ("weights", 3.0, INVALID, r"weights must .*\[2, 2\].*shape \[\]"),
    ("weights", [1, 2, 3], INVALID, r"weights must .*\[2, 2\].*shape \[3\]"),
    ("weights", [], INVALID, r"weights must .*\[2, 2\].*shape \[0\]"),
    ("weights", [[1, 2]], INVALID, r"weights must .*\[2, 2\].*shape \[1,2\]"),
    (
        "weights",
        [[1, 2], [1, 2, 3]],
        INVALID,
        r"weights\[1\] must be \[2\] or \[count, 2\].*shape \[3\].*array",
    ),
    (
        "weights",
        [np.ones([4, 2]), [1, 2]],
        INVALID,
        r"weights\[0\] must be \[2\] or \[count, 2\].*\[2,3,2,2,3\].*\[4,2\]",
    ),
    ("weights", "a", TypeError, "weights must be numbers.*'a'"),
    ("weights", [["a", "b"], [1, 2]], TypeError, r"weights\[0\] must be numbers"),
    ("weights", [None, None], TypeError, "weights must be numbers.*None"),
    (
        "weights",
        np.full([2, 2], 1j),
        INVALID,
        "weights must be numbers of float32.*1.j",
    ),
    ("weights", np.full([2, 2], 1e300), INVALID, "weights .* float32.*e.300"),
]

GRID_REFUSED = [
    ("reduction", "max", INVALID, "reduction must be SUM or MEAN, but got 'max'"),
    ("reduction", 2, TypeError, "reduction must be SUM or MEAN, but got 2"),
    ("weights", np.ones(4), INVALID, r"weights must .*\[2, 2\].*\[4\]"),
    (
        "weights",
        [np.ones([9, 2]), np.ones(2)],
        INVALID,
        r"weights\[0\] must be \[2\] for patches.*\[9,2\]",
    ),
]

REFUSED = [
    *((tf_patches.extract_patches_at, EXTRACT, *row) for row in EXTRACT_REFUSED),
    *((tf_patches.fold_patches_at, FOLD, *row) for row in FOLD_REFUSED),
    *((tf_patches.fold_patches, GRID, *row) for row in GRID_REFUSED),
]


@pytest.mark.parametrize("function, call, name, value, error, message", REFUSED)
def test_refuses(function, call, name, value, error, message):
    caught = refusal(eager, function, call | {name: value})
    assert type(caught) is error, caught
    assert_says(caught, message)
    for mode in traced, session:
        caught = refusal(mode, function, call | {name: value})
        in_graph = (INVALID, ValueError, TypeError) if error is INVALID else (error,)
        if error is ValueError or name == "sizes":
            in_graph += (TypeError,)
        assert type(caught) in in_graph, caught


# Of tensors, or of several arguments.
TOGETHER = [
    (
        tf_patches.fold_patches_at,
        lambda: FOLD | {"patches": np.ones([2, 3, 2, 2, 3], int), "reduction": "mean"},
        INVALID,
        "MEAN.*int64.*tf.cast",
    ),
    (
        tf_patches.fold_patches,
        lambda: GRID | {"patches": np.ones([2, 3, 3, 12], int), "reduction": "mean"},
        INVALID,
        "MEAN.*int64.*tf.cast",
    ),
    (
        tf_patches.fold_patches_at,
        lambda: FOLD | {"patches": FOLD["patches"] * 1j, "reduction": "max"},
        INVALID,
        "MAX or MIN.*complex",
    ),
    (
        tf_patches.fold_patches_at,
        lambda: FOLD | {"reduction": "min", "weights": np.ones([2, 2])},
        INVALID,
        "weights must be none.*MIN",
    ),
    (
        tf_patches.fold_patches_at,
        lambda: (
            FOLD
            | {
                "patches": np.ones([2, 3, 2, 2, 3], int),
                "weights": np.full([2, 2], 0.5),
            }
        ),
        INVALID,
        "weights must be numbers of int64",
    ),
    (
        tf_patches.fold_patches_at,
        lambda: FOLD | {"weights": tf.ones([2, 2], tf.float64)},
        TypeError,
        "weights must have the dtype of patches, float32, but got float64.*tf.cast",
    ),
    (
        tf_patches.fold_patches,
        lambda: GRID | {"weights": [tf.ones([2], tf.int32), [1, 1]]},
        TypeError,
        r"weights\[0\] must have the dtype of patches, float32, but got int32",
    ),
    (
        tf_patches.extract_patches_at,
        lambda: EXTRACT | {"images": of_shape(1, 0, 4, 1), "mode": "REFLECT"},
        INVALID,
        "no pixels",
    ),
    (
        tf_patches.extract_patches_at,
        lambda: EXTRACT | {"positions": tf.ragged.constant([[1], [1, 2]])},
        ValueError,
        r"positions.*RaggedTensor.*to_tensor\(\)",
    ),
    (
        tf_patches.fold_patches_at,
        lambda: FOLD | {"weights": tf.ragged.constant([[1.0], [1.0, 2.0]])},
        ValueError,
        r"weights.*RaggedTensor.*to_tensor\(\)",
    ),
    (
        tf_patches.extract_patches_at,
        lambda: EXTRACT | {"positions": tf.sparse.from_dense(AT)},
        ValueError,
        "SparseTensor",
    ),
]


@pytest.mark.parametrize("function, call, error, message", TOGETHER)
def test_refuses_together(function, call, error, message):
    caught = refusal(eager, function, call())
    assert type(caught) is error, caught
    assert_says(caught, message)
    # Made in the graph: tensors belong to it.
    caught = refusal(traced, lambda: function(**call()), {})
    assert type(caught) in (error, ValueError, TypeError), caught
    assert_says(caught, message)


def test_missing_arguments():
    with pytest.raises(TypeError, match="positions"):
        tf_patches.extract_patches_at(EXTRACT["images"], sizes=2)
    with pytest.raises(TypeError, match="sizes"):
        tf_patches.extract_patches_at(EXTRACT["images"], AT)
    with pytest.raises(TypeError, match="image_shape"):
        tf_patches.fold_patches_at(FOLD["patches"], AT)


def test_unknown_sizes_of_patches():
    for shape, shown in [(None, r"\?"), ([2, 3, 2, None, 3], r"\[2,3,2,\?,3\]")]:

        def fold(patches):
            return tf_patches.fold_patches_at(patches, AT, [2, 5, 4, 3])

        traced = tf.function(fold, input_signature=[tf.TensorSpec(shape)])
        with pytest.raises(ValueError, match=f"{shown}.*tf.ensure_shape"):
            traced.get_concrete_function()


def test_unknown_rank_of_images():
    def extract(images, positions, sizes):
        return tf_patches.extract_patches_at(images, positions, sizes)

    for sizes in 2, [2, 2]:
        traced = tf.function(lambda i, p, s=sizes: extract(i, p, s))
        images, positions = tf.TensorSpec(None), tf.TensorSpec(None, tf.int32)
        with pytest.raises(ValueError, match=r"sizes must be a list.*unknown rank"):
            traced.get_concrete_function(images, positions)


# What only the run knows.
LATE_EXTRACT = [
    (dict(images=of_shape(2, 4, 3)), r"images must .*\[2,4,3\]"),
    (dict(positions=np.zeros([3, 3], int)), r"positions must .*\[3,3\]"),
    (dict(positions=np.zeros([3], int)), r"positions must .*\[3\]"),
    (dict(positions=np.zeros([1, 3, 2], int)), r"positions must .*\[1,3,2\]"),
    (dict(positions=np.array([[0, 0], [0, 2**62]])), f"patch 1 of image 0.*{2**62}"),
    (dict(flips=of_shape(2, 2) > 0), r"flips must .*\[3,2\].*\[2,2\]"),
    (dict(flips=of_shape(2) > 0), r"flips must .*\[3,2\].*\[2\]"),
    (dict(flips=of_shape(3, 3, 2) > 0), r"flips must .*\[3,2\].*\[3,3,2\]"),
]


def run_late(function, arrays, **known):
    """Runs a function of arrays in a graph that does not know their shapes."""
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    specs = {
        name: tf.TensorSpec(known.get(name), array.dtype)
        for name, array in arrays.items()
    }
    traced = tf.function(function).get_concrete_function(**specs)
    return traced(**{name: tf.constant(array) for name, array in arrays.items()})


@pytest.mark.parametrize("wrong, message", LATE_EXTRACT)
def test_extract_refuses_when_run(wrong, message):
    call = dict(images=of_shape(2, 5, 4, 3), positions=np.array(AT))

    def extract(images, positions, flips=None):
        return tf_patches.extract_patches_at(
            images, positions, [1, 2, 2, 1], flips=flips
        )

    with pytest.raises(INVALID, match=message):
        run_late(extract, call | wrong)


LATE_FOLD = [
    (dict(patches=of_shape(2, 4, 2, 2, 3)), r"positions must .*\[3,2\]"),
    (dict(patches=of_shape(1, 3, 2, 2, 3)), r"patches of shape \[1,3,2,2,3\]"),
    (dict(patches=of_shape(2, 3, 2, 2, 4)), r"patches of shape \[2,3,2,2,4\]"),
    (dict(shape=np.array([2, 5, 4])), r"image_shape must .*\[3\]"),
    (dict(shape=np.array([2, 5, -4, 3])), "image_shape.*-4"),
    (dict(window=of_shape(2, 3)), r"\[2,3\]"),
    (dict(window=of_shape(4)), r"\[4\]"),
    (dict(each=of_shape(2, 2)), r"\[2,2\]|\[2, ?2\]"),
    (dict(each=of_shape(1, 3)), r"\[1,3\]"),
]


@pytest.mark.parametrize("wrong, message", LATE_FOLD)
def test_fold_refuses_when_run(wrong, message):
    call = dict(
        patches=of_shape(2, 3, 2, 2, 3),
        positions=np.array(AT),
        shape=np.array([2, 5, 4, 3]),
    )

    def fold(patches, positions, shape, window=None, each=None):
        return tf_patches.fold_patches_at(
            patches,
            positions,
            shape,
            weights=window if each is None else [each, [1, 2]],
        )

    known = dict(patches=[None, None, 2, 2, None], each=[None, None])
    with pytest.raises(INVALID, match=message):
        run_late(fold, call | wrong, **known)
