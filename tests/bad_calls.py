"""Calls that cannot be met, by what is wrong with them, and how they are refused."""

import re

import numpy as np
import pytest
import tensorflow as tf

IMAGES = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
CALL = dict(
    images=IMAGES,
    sizes=[1, 2, 2, 1],
    strides=[1, 1, 1, 1],
    rates=[1, 1, 1, 1],
    padding="VALID",
)


def eager(function, **call):
    return function(**call)


def traced(function, **call):
    return tf.function(lambda: function(**call))()


def traced_with_unknown_shape(function, **call):
    name = next(iter(call))
    images = tf.constant(call.pop(name))
    spec = tf.TensorSpec(None, images.dtype)
    return tf.function(
        lambda images: function(**{name: images}, **call),
        input_signature=[spec],
    )(images)


def session(function, **call):
    with tf.Graph().as_default(), tf.compat.v1.Session() as running:
        return running.run(function(**call))


MODES = [eager, traced, traced_with_unknown_shape, session]


def refusal(mode, function, call):
    with pytest.raises(Exception) as caught:
        mode(function, **call)
    return caught.value


def assert_says(error, message):
    """And by no name that the user did not write, from no code that AutoGraph made."""
    assert re.search(message, str(error), re.DOTALL), str(error)
    said, _, _ = str(error).partition("{{node")  # where TensorFlow shows the node
    assert "ksizes" not in said
    assert not re.search(r'/tf_patches/\w+\.py", line \d+, in \w+  \*\n', said), said


# Values of sizes, strides and rates, and how the message is to show them.
LISTS = [
    ([1, 2, 2], r"\[1, 2, 2\]"),
    ([1], r"\[1\]"),
    ([], r"\[\]"),
    ([[1, 2, 2, 1]], r"\[1, 2, 2, 1\]"),
    ([1, [2], 2, 1], r"\[2\]"),
    (2.0, r"must be an int or a list .* 2\.0"),
    ("1221", "'1221'"),
    ({1, 2}, r"\{1, 2\}"),
    ([1, None, 2, 1], "None"),
    ([1, "2", 2, 1], "'2'"),
    ([1, 2j, 2, 1], "2j"),
    ([1, float("nan"), 2, 1], "nan"),
    ([1, 0, 2, 1], r"\[1, 0, 2, 1\]"),
    ([1, 2, 0, 1], r"\[1, 2, 0, 1\]"),
    ([1, 0.5, 2, 1], r"\[1, 0, 2, 1\]"),
    ([1, 2, 2**31, 1], "2147483648"),
    ([1, -(2**31) - 1, 2, 1], "-2147483649"),
    ([1, 2**40, 2, 1], "1099511627776"),
    ([2, 2, 2, 1], r"\[2, 2, 2, 1\]"),
    ([1, 2, 2, 2], r"\[1, 2, 2, 2\]"),
    ([0, 2, 2, 1], r"\[0, 2, 2, 1\]"),
    ([1, 2, 2, -1], r"\[1, 2, 2, -1\]"),
    (np.array([1.0, 2.0, 2.0, 1.0]), r"\[1., 2., 2., 1.\]"),
    (np.array([[1, 2, 2, 1]]), r"\[\[1, 2, 2, 1\]\]"),
    (np.array(["1", "2", "2", "1"]), "'1', '2', '2', '1'"),
    (tf.constant([1, 2, 2, 1]), "tf.Tensor.*1, 2, 2, 1"),
    ([1, tf.constant([2, 2]), 2, 1], "tf.Tensor.*2, 2"),
]

REFUSED = [
    *((name, *row) for name in ("sizes", "strides", "rates") for row in LISTS),
    ("sizes", None, "must be an int or a list .* None"),
    ("strides", [1, -1, 1, 1], r"\[1, -1, 1, 1\]"),
    ("rates", [1, 1, -1, 1], r"\[1, 1, -1, 1\]"),
    ("padding", None, "None"),
    ("padding", 3, "3"),
    ("padding", ["SAME"], r"\['SAME'\]"),
    ("padding", tf.constant("SAME"), "tf.Tensor.*SAME"),
    ("padding", "", "''"),
    ("padding", "EXPLICIT", "'EXPLICIT'"),
    ("padding", "FOO", "'FOO'"),
    ("padding", b"FOO", "b'FOO'"),
]

# What the built-in refuses and we do not.
ACCEPTED = [
    ("sizes", 2),
    ("strides", None),
    ("rates", None),
    ("padding", "same"),
]


def of_shape(*shape):
    return np.zeros(shape, np.float32)


# Made anew in each mode: tensors belong to a graph.
IMAGES_REFUSED = {
    "None": (lambda: None, "None"),
    "an object": (lambda: Exception, "Exception"),
    "ragged list": (lambda: [[1.0, 2.0], [3.0]], "rectangular|inhomogeneous"),
    "ragged": (
        lambda: tf.ragged.constant([[[[1.0]], [[2.0]]]]),
        r"RaggedTensor.*images\.to_tensor\(\)",
    ),
    "sparse": (lambda: tf.sparse.from_dense(IMAGES), "SparseTensor"),
    "strings": (lambda: IMAGES.astype(str), "string"),
    "qint8": (lambda: tf.bitcast(np.zeros([1, 4, 4, 1], np.int8), tf.qint8), "qint8"),
    "resource": (lambda: tf.raw_ops.VarHandleOp(dtype=tf.int8, shape=[]), "resource"),
    "a number": (lambda: 1.0, r"\[\]"),
    "rank 3": (lambda: of_shape(4, 4, 1), r"\[4,4,1\]"),
    "rank 5": (lambda: of_shape(1, 1, 4, 4, 1), r"\[1,1,4,4,1\]"),
    "no rows": (lambda: of_shape(1, 0, 4, 1), "0 rows"),
    "no cols": (lambda: of_shape(1, 4, 0, 1), "0 cols"),
}


INT32_MAX = 2**31 - 1


def beyond_in_volumes(**wrong):
    grid = dict(sizes=[1, 2, 2, 2, 1], strides=[1] * 5, rates=[1] * 5)
    return dict(images=of_shape(1, 4, 4, 4, 3)) | grid | wrong


# The built-in overflows on these, or raises a SystemError.
BEYOND = [
    (dict(sizes=[1, 65536, 65536, 1]), r"sizes.*\[1, 65536, 65536, 1\]"),
    (dict(sizes=[1, INT32_MAX, 2, 1]), r"sizes.*\[1, 2147483647, 2, 1\]"),
    (
        dict(images=of_shape(1, 4, 4, 4), sizes=[1, 32768, 32768, 1], padding="SAME"),
        "sizes.*32768 rows, 32768 cols and depth 4",
    ),
    (dict(rates=[1, INT32_MAX, 1, 1]), r"rates.*\[1, 2147483647, 1, 1\]"),
    (dict(rates=[1, 1, INT32_MAX, 1]), r"rates.*\[1, 1, 2147483647, 1\]"),
    (dict(sizes=[1, 2**30, 1, 1], rates=[1, 3, 1, 1]), r"rates.*\[1, 3, 1, 1\]"),
    *(
        ({name: [1, value, 2, 1]}, f"{name}.*{re.escape(repr(value))}")
        for name in ("sizes", "strides", "rates")
        for value in (2**63, 2**70, -(2**70), 1e30, np.float32(1e30))
    ),
    (dict(sizes=np.array([1, 2**64 - 1, 2, 1], np.uint64)), f"sizes.*{2**64 - 1}"),
    # Of three axes the product may not even fit in 64 bits.
    *(
        (beyond_in_volumes(sizes=sizes), "sizes.*" + re.escape(str(sizes[1])))
        for sizes in (
            [1, INT32_MAX, INT32_MAX, INT32_MAX, 1],
            [1, 2**11, 2**11, 2**11, 1],
            [1, 2**21, 2**21, 2**22, 1],
        )
    ),
    (
        beyond_in_volumes(sizes=[1, 2**10, 2**10, 2**10, 1], padding="SAME"),
        "sizes.*1024 planes, 1024 rows, 1024 cols and depth 3",
    ),
    (beyond_in_volumes(rates=[1, 1, INT32_MAX, 1, 1]), "rates.*2147483647"),
    (
        beyond_in_volumes(
            sizes=[1] * 5,
            padding=[[0, 0], *[[INT32_MAX, INT32_MAX]] * 3, [0, 0]],
        ),
        r"\[1, 4294967298, 4294967298, 4294967298, 3\], more than",
    ),
]


FOLD = dict(
    patches=np.ones([2, 3, 3, 8], np.float32),
    image_shape=[2, 4, 4, 2],
    sizes=[1, 2, 2, 1],
    strides=[1, 1, 1, 1],
    rates=[1, 1, 1, 1],
    padding="VALID",
)
INVALID = tf.errors.InvalidArgumentError

# Patches and an image shape that do not belong together, and what the message
# shows of it.
MISMATCHED = [
    *(
        (dict(patches=of_shape(*shape)), str(list(shape)).replace(" ", ""))
        for shape in [
            (1, 3, 3, 8),
            (2, 2, 3, 8),
            (2, 3, 4, 8),
            (2, 3, 3, 4),
            (2, 3, 3, 7),
            (2, 3, 3, 0),
            (0, 3, 3, 8),
            (2, 3, 24),
            (1, 2, 3, 3, 8),
            (),
        ]
    ),
    (dict(image_shape=[1, 4, 4, 2]), "[1,4,4,2]"),
    (dict(image_shape=[2, 5, 4, 2]), "[2,5,4,2]"),
    (dict(image_shape=[2, 4, 3, 2]), "[2,4,3,2]"),
    (dict(image_shape=[2, 4, 4, 1]), "[2,4,4,1]"),
    (dict(image_shape=np.array([2, 4, 4, 4], np.int32)), "[2,4,4,4]"),
    (dict(image_shape=[0, 4, 4, 2]), "[0,4,4,2]"),
    (dict(image_shape=[2, 0, 4, 2]), "0 rows"),
    (dict(image_shape=[-1, 4, 4, 2]), "-1"),
    (dict(image_shape=[2, -1, 4, 2]), "-1"),
    (dict(image_shape=[2, 4, -4, 2]), "-4"),
    (dict(image_shape=[2, 4, 4, -(2**63)]), "-9223372036854775808"),
    (dict(image_shape=[2, 4, 4]), "[3]"),
    (dict(image_shape=[2, 4, 4, 2, 1]), "[5]"),
    (dict(image_shape=[[2, 4, 4, 2]]), "[1,4]"),
    (dict(image_shape=5), "[]"),
    (dict(image_shape=[2, 2**32 + 4, 4, 2]), "4294967300"),
    (dict(image_shape=np.array([2, 4, 2**32 + 4, 2])), "4294967300"),
    (dict(image_shape=[1, 2**62, 2**62, 1]), "4611686018427387904"),
    (dict(image_shape=[0, 2**62, 2**62, 2]), "4611686018427387904"),
    (dict(image_shape=[2, 2**63 - 1, 4, 2]), "9223372036854775807"),
    (dict(image_shape=[2, 4, 4, 2**63 - 1]), "9223372036854775807"),
]

# Other arguments of the fold, the class in eager mode, what the message shows.
FOLD_REFUSED = [
    *((wrong, INVALID, shown) for wrong, shown in MISMATCHED),
    (dict(image_shape=[]), INVALID, "[0]"),
    (dict(image_shape=[None, 4, 2**32 + 4, 2]), INVALID, "4294967300"),
    (dict(image_shape=[2.0, 4.0, 4.0, 2.0]), INVALID, "float"),
    (dict(image_shape=np.array([2.0, 4.0, 4.0, 2.0])), INVALID, "double"),
    (dict(image_shape=[None, 4.5, 4, 2]), INVALID, "float"),
    (dict(image_shape="text"), INVALID, "string"),
    (dict(image_shape=np.array([2, 4, 4, 2], np.int16)), INVALID, "int16"),
    (dict(image_shape=None), ValueError, "None"),
    (dict(image_shape=[2, 4, None, 2]), ValueError, "image_shape"),
    (dict(image_shape=tf.TensorShape(None)), ValueError, "image_shape"),
    (dict(image_shape=[2, 4, 4, 2**70]), INVALID, str(2**70)),
    (dict(image_shape=[None, 4, -(2**70), 2]), INVALID, str(-(2**70))),
    (dict(image_shape=[2, "4", 4, 2]), TypeError, "'4'"),
    (dict(patches=None), ValueError, "None"),
    (dict(patches=of_shape(2, 3, 3, 8) > 0), INVALID, "bool"),
    (dict(patches=of_shape(2, 3, 3, 8).astype(str)), INVALID, "string"),
    (dict(sizes=[1, 2, 2]), INVALID, "sizes"),
    (dict(sizes=[1, 0, 2, 1]), tf.errors.OutOfRangeError, "sizes"),
    (dict(sizes=[1, 65536, 65536, 1]), INVALID, "sizes"),
    (dict(sizes=[1, 2**70, 2, 1]), INVALID, "sizes"),
    (dict(strides=[1, -1, 1, 1]), tf.errors.OutOfRangeError, "strides"),
    (dict(rates=[1, 1, 1, 2]), tf.errors.UnimplementedError, "rates"),
    (dict(rates=[1, INT32_MAX, 1, 1]), INVALID, "rates"),
    (dict(sizes=None), INVALID, "sizes"),
    (dict(rates=2.0), TypeError, "rates"),
    (dict(padding="FOO"), INVALID, "padding"),
    (dict(mode="FOO"), INVALID, "mode"),
]
