"""The forms in which arguments may be written, and what is said of those that may not.

The oracle is NumPy: `np.pad`, and all windows of the padded images.
"""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from bad_calls import assert_says, eager, refusal, session, traced
from cases import COMPLEX, DTYPES, FLOATS, INTEGERS, random_bits
from child import run_python
from compare import assert_same_bits
from graphs import in_graph
from numpy.lib.stride_tricks import sliding_window_view

import tf_patches

SPACE = {3: [9], 4: [8, 9], 5: [5, 8, 9]}
INVALID = tf.errors.InvalidArgumentError
MODES = ["CONSTANT", "REFLECT", "SYMMETRIC", "EDGE", "WRAP"]


def images_of(rank, dtype="float32"):
    return random_bits((2, *SPACE[rank], 3), dtype, seed=rank)


def windows(images, sizes, strides, rates, pairs=None, **border):
    """Patches of images that NumPy pads, by one number for each axis of space."""
    axes = range(1, images.ndim - 1)
    if pairs is not None:
        images = np.pad(images, [(0, 0), *pairs, (0, 0)], **border)
    spans = [(size - 1) * rate + 1 for size, rate in zip(sizes, rates, strict=True)]
    every = sliding_window_view(images, spans, tuple(axes))
    taken = every[(slice(None), *(slice(None, None, stride) for stride in strides))]
    taps = taken[(..., *(slice(None, None, rate) for rate in rates))]
    patches = np.moveaxis(taps, images.ndim - 1, -1)
    return np.ascontiguousarray(patches).reshape(*patches.shape[: images.ndim - 1], -1)


def whole(values):
    return [1, *values, 1]


# How one number for each axis of space may be written.
FORMS = {
    "TensorFlow's list": whole,
    "one for each axis": list,
    "tuple": tuple,
    "array": np.array,
    "uint8 array": np.uint8,
    "whole array": lambda values: np.array(whole(values)),
    "NumPy's integers": lambda values: [np.int64(value) for value in values],
    "whole tensors": lambda values: whole(map(tf.constant, values)),
}


@pytest.mark.parametrize("mode", [eager, traced, session])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rank", SPACE)
def test_forms(rank, form, mode):
    images, axes = images_of(rank), rank - 2
    grid = [1, 2, 3][-axes:], [2, 1, 2][-axes:], [1, 2, 1][-axes:]
    written = dict(zip(["sizes", "strides", "rates"], grid, strict=True))
    call = {name: FORMS[form](values) for name, values in written.items()}
    patches = mode(tf_patches.extract_patches, images=images, **call)
    assert_same_bits(patches, windows(images, *grid))


INTS = [2, np.int32(2), np.array(2), np.uint8(2)]


@pytest.mark.parametrize("mode", [eager, traced, session])
@pytest.mark.parametrize("two", INTS, ids=lambda two: type(two).__name__)
@pytest.mark.parametrize("rank", SPACE)
def test_an_int_is_for_every_axis(rank, two, mode):
    images = images_of(rank)
    twice, ones = [2] * (rank - 2), [1] * (rank - 2)
    for given, grid in [
        ((two,), (twice, twice, ones)),
        ((two, 1), (twice, ones, ones)),
        ((3, two, two), ([3] * (rank - 2), twice, twice)),
    ]:
        patches = mode(
            lambda images, given=given: tf_patches.extract_patches(images, *given),
            images=images,
        )
        assert_same_bits(patches, windows(images, *grid))


def test_forms_may_be_mixed():
    images = images_of(4)
    patches = tf_patches.extract_patches(images, [1, 3, 2, 1], 2, (1, 2))
    assert_same_bits(patches, windows(images, [3, 2], [2, 2], [1, 2]))


def test_defaults():
    """Strides are sizes, so that patches lie side by side; they are solid and VALID."""
    images = images_of(4)
    given = [1, 3, 2, 1], [1, 3, 2, 1], [1, 1, 1, 1], "VALID"
    expected = tf.image.extract_patches(images, *given)
    for patches in (
        tf_patches.extract_patches(images, [3, 2]),
        tf_patches.extract_patches(images, [3, 2], None, None),
    ):
        assert_same_bits(patches, expected)
    fours = tf.image.extract_patches(tf.ones([2, 8, 9, 3]), *given)
    folded = tf_patches.fold_patches(fours, [2, 8, 9, 3], [3, 2])
    again = tf_patches.fold_patches(fours, [2, 8, 9, 3], *given)
    assert_same_bits(folded, again)


@pytest.mark.parametrize("padding", ["SAME", "same", "Same", b"SAME", b"same"])
def test_padding_names(padding):
    images = images_of(4)
    grid = [1, 3, 3, 1], [1, 2, 2, 1], [1, 1, 1, 1]
    expected = tf.image.extract_patches(images, *grid, "SAME")
    patches = tf_patches.extract_patches(images, *grid, padding)
    assert_same_bits(patches, expected)


PAIRS = {3: [(2, 1)], 4: [(0, 3), (2, 1)], 5: [(1, 0), (0, 3), (2, 1)]}
WRITTEN = {
    "lists": lambda pairs: [list(pair) for pair in pairs],
    "tuples": tuple,
    "array": np.array,
    "integers of NumPy": lambda pairs: list(map(np.int32, pairs)),
}


@pytest.mark.parametrize("mode", [eager, traced, session])
@pytest.mark.parametrize("form", WRITTEN)
@pytest.mark.parametrize("rank", SPACE)
def test_pairs_of_padding(rank, form, mode):
    images = images_of(rank)
    pairs = WRITTEN[form]([(0, 0), *PAIRS[rank], (0, 0)])
    patches = mode(
        tf_patches.extract_patches, images=images, sizes=2, padding=pairs, mode="EDGE"
    )
    two, ones = [2] * (rank - 2), [1] * (rank - 2)
    expected = windows(images, two, two, ones, PAIRS[rank], mode="edge")
    assert_same_bits(patches, expected)


@pytest.mark.parametrize("name", [*MODES, *map(str.lower, MODES), b"WRAP", "Edge"])
def test_modes(name):
    images = images_of(4)
    text = name.decode() if isinstance(name, bytes) else name
    pairs = [(30, 1), (2, 40)]  # wider than the image
    patches = tf_patches.extract_patches(
        images, 3, 1, padding=[(0, 0), *pairs, (0, 0)], mode=name
    )
    expected = windows(images, [3, 3], [1, 1], [1, 1], pairs, mode=text.lower())
    assert_same_bits(patches, expected)


# Numbers that each dtype has, of every kind that may be given.
NUMBERS = {
    **{dtype: [1, 2.0, True, np.int64(7), np.float32(3)] for dtype in INTEGERS},
    **{dtype: [1, 0.1, -0.0, np.nan, -np.inf, np.float16(2)] for dtype in FLOATS},
    **{dtype: [1, 0.5, 1j, complex(-0.0, np.nan)] for dtype in COMPLEX},
    "bool": [True, 1, 1.0, np.True_],
}
FILLED = [
    *((dtype, number) for dtype in DTYPES for number in NUMBERS[dtype]),
    ("uint8", 255),
    ("int8", -128),
    ("int64", -(2**63)),
    ("uint64", 2**64 - 1),
    ("float32", 2**100),
    ("bfloat16", 10**30),
    ("float32", 3.4028235e38),
    ("float16", tf.constant(2.5)),
    ("int16", tf.constant(7, tf.int64)),
]


@pytest.mark.parametrize("dtype, number", FILLED, ids=repr)
def test_constant_values(dtype, number):
    images = images_of(3, dtype)
    grid = dict(sizes=1, padding=[[0, 0], [2, 1], [0, 0]], constant_values=number)
    patches = [
        tf_patches.extract_patches(images, **grid),
        in_graph(lambda images: tf_patches.extract_patches(images, **grid), images),
    ]
    plain = number.numpy() if tf.is_tensor(number) else number
    if isinstance(plain, int) and dtype == "bfloat16":
        plain = float(plain)
    expected = np.full((2, 12, 3), np.array(plain).astype(images.dtype))
    expected[:, 2:-1] = images
    for result in patches:
        assert_same_bits(result, expected)


def test_constant_values_that_nothing_shows():
    images = images_of(4)
    expected = tf_patches.extract_patches(images, 3, 2, padding="SAME", mode="WRAP")
    patches = tf_patches.extract_patches(
        images, 3, 2, padding="SAME", mode="WRAP", constant_values=1
    )
    assert_same_bits(patches, expected)
    grid = dict(sizes=3, strides=2, padding="SAME")
    folded = tf_patches.fold_patches(patches, images.shape, **grid, constant_values=9)
    assert_same_bits(folded, tf_patches.fold_patches(patches, images.shape, **grid))


def volumes():
    return images_of(5)


@pytest.mark.parametrize("padding", ["SAME", "VALID", "same", b"VALID"])
def test_volumes(padding):
    """Strides larger than sizes too, where SAME begins inside the image."""
    for sizes, strides in [([2, 3, 1], [1, 2, 1]), ([1, 2, 2], [3, 5, 4])]:
        name = padding.decode() if isinstance(padding, bytes) else padding
        expected = tf.extract_volume_patches(
            volumes(), whole(sizes), whole(strides), name.upper()
        )
        for form in FORMS.values():
            given = form(sizes), form(strides)
            patches = tf_patches.extract_volume_patches(volumes(), *given, padding)
            assert_same_bits(patches, expected)


def test_volumes_beyond_the_built_in():
    pairs = PAIRS[5]
    patches = tf_patches.extract_volume_patches(
        volumes(), 2, 3, [(0, 0), *pairs, (0, 0)], rates=[1, 2, 2], mode="symmetric"
    )
    two, three = [2] * 3, [3] * 3
    expected = windows(volumes(), two, three, [1, 2, 2], pairs, mode="symmetric")
    assert_same_bits(patches, expected)
    filled = tf_patches.extract_volume_patches(
        input=volumes(),
        ksizes=1,
        strides=1,
        padding=[(0, 0), *pairs, (0, 0)],
        constant_values=2,
        name="filled",
    )
    ones = [1] * 3
    expected = windows(volumes(), ones, ones, ones, pairs, constant_values=2)
    assert_same_bits(filled, expected)


def unknown(function, images):
    return in_graph(function, images, signature=[None])


@pytest.mark.parametrize("rank", SPACE)
def test_unknown_rank(rank):
    images, axes = images_of(rank), rank - 2
    two, ones = [2] * axes, [1] * axes
    expected = windows(images, two, two, ones)
    for rest in ([], [2], [two, 1]):
        patches = unknown(
            lambda x, rest=rest: tf_patches.extract_patches(x, whole(two), *rest),
            images,
        )
        assert_same_bits(patches, expected)
    known = unknown(
        lambda x: tf_patches.extract_patches(tf.ensure_shape(x, [None] * rank), 2),
        images,
    )
    assert_same_bits(known, expected)
    folded = unknown(
        lambda x: tf_patches.fold_patches(x, images.shape, 2), tf.constant(expected)
    )
    assert_same_bits(folded, tf_patches.fold_patches(expected, images.shape, 2))


def test_volumes_of_unknown_rank():
    patches = unknown(
        lambda x: tf_patches.extract_volume_patches(x, 2, [2, 1, 2], "VALID"), volumes()
    )
    expected = windows(volumes(), [2, 2, 2], [2, 1, 2], [1, 1, 1])
    assert_same_bits(patches, expected)
    with pytest.raises(INVALID, match=r"\[2,8,9,3\]"):
        unknown(
            lambda x: tf_patches.extract_volume_patches(x, 2, 1, "SAME"), images_of(4)
        )


AXES = {3: "cols", 4: "rows, cols", 5: "planes, rows, cols"}


def wrong_lengths():
    for rank, length in itertools.product(SPACE, range(7)):
        if length not in (rank, rank - 2) and (rank, length > 4) != (4, True):
            yield rank, length


@pytest.mark.parametrize("name", ["sizes", "strides", "rates"])
@pytest.mark.parametrize("rank, length", [*wrong_lengths()])
def test_wrong_lengths(rank, length, name):
    """The message shows the forms, and what is missing from a single image."""
    call = dict(images=images_of(rank), sizes=2) | {name: [1] * length}
    for mode, kind in {eager: INVALID, traced: ValueError}.items():
        error = refusal(mode, tf_patches.extract_patches, call)
        assert type(error) is kind
        axes = re.escape(f"an int, [{AXES[rank]}] or [1, {AXES[rank]}, 1] for images")
        assert_says(error, rf"{name} must be {axes} .*{re.escape(repr([1] * length))}")
        is_single = length in (rank - 1, rank + 1)
        assert ("images[tf.newaxis]" in str(error)) == is_single


def of_shape(*shape):
    return dict(images=np.zeros(shape, np.float32))


# What is wrong with a call that would otherwise work, the class, what is said.
REFUSED = [
    (of_shape(4, 4), INVALID, r"images must be \[batch, cols, depth\].*\[4,4\]"),
    (of_shape(1, 1, 1, 4, 4, 1), INVALID, r"images must be .*\[1,1,1,4,4,1\]"),
    (dict(sizes=2.0), TypeError, r"sizes.*an int or a list.*2\.0"),
    (dict(sizes=tf.constant(2)), TypeError, "sizes.*fixed when a graph is built"),
    (dict(sizes=2**31), INVALID, "sizes.*32 bits.*2147483648"),
    (dict(sizes=[2, 2**31]), INVALID, "sizes.*32 bits.*2147483648"),
    (dict(sizes=[2, [2]]), TypeError, r"sizes.*\[2\]"),
    (dict(sizes=0), tf.errors.OutOfRangeError, r"sizes.*\[1, 0, 0, 1\]"),
    (dict(strides=[1, -1]), tf.errors.OutOfRangeError, r"strides.*\[1, 1, -1, 1\]"),
    (dict(padding="EXPLICIT"), INVALID, "padding must be VALID, SAME or pairs of.*'EX"),
    (dict(padding=b"\xff"), INVALID, r"padding.*b'\\xff'"),
    (dict(padding=0), TypeError, "padding must be .* 0"),
    (dict(padding=[1, 1]), TypeError, r"padding must be .*\[1, 1\]"),
    (dict(padding=["SAME"]), TypeError, r"padding must be .*\['SAME'\]"),
    (dict(padding=[[0, 0.5]] * 4), TypeError, r"padding must be .*0\.5"),
    (dict(padding=np.zeros([4, 2])), TypeError, "padding must be .*array"),
    (dict(padding=tf.zeros([4, 2], tf.int32)), TypeError, "padding must be .*Tensor"),
    (dict(padding=[[1, 1], [1, 1]]), INVALID, r"padding.*4 pairs.*\[\[1, 1\], \[1, 1"),
    (dict(padding=[[0, 0]] * 5), INVALID, r"padding.*4 pairs"),
    (dict(padding=[[0, 0, 0]] * 4), INVALID, r"padding.*pairs.*\[0, 0, 0\]"),
    (dict(padding=[[0, 0], [0, -1]] * 2), INVALID, r"padding.*0 to 2147483647.*-1"),
    (dict(padding=[[0, 0], [0, 2**31]] * 2), INVALID, "padding.*2147483648"),
    (dict(padding=[[0, 1], *[[0, 0]] * 3]), tf.errors.UnimplementedError, "padding"),
    (dict(padding=[*[[0, 0]] * 3, [1, 0]]), tf.errors.UnimplementedError, "padding"),
    (dict(mode="MIRROR"), INVALID, "mode must be CONSTANT, REFLECT.*'MIRROR'"),
    (dict(mode=None), TypeError, "mode must be .* None"),
    (dict(mode=["WRAP"]), TypeError, r"mode must be .*\['WRAP'\]"),
]
CONSTANTS_REFUSED = [
    (dict(constant_values="1"), TypeError, "constant_values.*a number.*'1'"),
    (dict(constant_values=None), TypeError, "constant_values.*None"),
    (dict(constant_values=[1]), TypeError, r"constant_values.*\[1\]"),
    (dict(constant_values=np.ones(1)), TypeError, r"constant_values.*array"),
    (dict(constant_values=1j), INVALID, "constant_values.*float32.*1j"),
    (dict(constant_values=1e39), INVALID, r"constant_values.*float32.*1e\+39"),
    (dict(constant_values=10**400), INVALID, "constant_values.*float32.*1000"),
]


@pytest.mark.parametrize("wrong, kind, message", REFUSED + CONSTANTS_REFUSED)
def test_refused(wrong, kind, message):
    call = dict(images=np.ones([1, 4, 4, 1], np.float32), sizes=2) | wrong
    assert_refused(tf_patches.extract_patches, call, kind, message)


@pytest.mark.parametrize("wrong, kind, message", REFUSED)
def test_folds_that_are_refused(wrong, kind, message):
    patches = wrong.get("images", np.ones([1, 4, 4, 4], np.float32))
    rest = {name: value for name, value in wrong.items() if name != "images"}
    call = dict(patches=patches, image_shape=[1, 8, 8, 1], sizes=2) | rest
    message = message.replace("images", "patches")
    assert_refused(tf_patches.fold_patches, call, kind, message)


def assert_refused(function, call, kind, message):
    error = refusal(eager, function, call)
    assert type(error) is kind, error
    assert_says(error, message)
    later = refusal(traced, function, call)
    assert type(later) in (kind if kind is TypeError else ValueError, kind), later
    assert_says(later, message)


@pytest.mark.parametrize(
    "dtype, number",
    [
        *((dtype, number) for dtype in INTEGERS for number in [0.5, np.nan, 2**64]),
        *((f"uint{bits}", -1) for bits in (8, 16, 32, 64)),
        ("uint8", 256),
        ("int8", 128),
        ("int64", 2**63),
        ("int64", 2.0**63),
        ("bool", 2),
        ("bool", 0.5),
        ("float16", 65520),
        ("bfloat16", 10**39),
        ("float64", 1j),
        ("complex64", 1e39),
    ],
)
def test_numbers_that_a_dtype_has_not(dtype, number):
    images = images_of(4, dtype)
    with pytest.raises(INVALID, match=f"constant_values must be .*of {dtype}, but"):
        tf_patches.extract_patches(images, 2, constant_values=number)


def test_constants_that_only_the_run_knows():
    def call(images):
        number = tf.random.uniform([])
        return tf_patches.extract_patches(images, 2, constant_values=number)

    with pytest.raises(TypeError, match=r"constant_values.*when the graph is"):
        tf.function(call)(images_of(4))


@pytest.mark.parametrize("name", ["sizes", "strides", "rates"])
@pytest.mark.parametrize("value", [2, [2], [2, 2], [2, 2, 2], [1, 2, 2]])
def test_forms_that_take_a_known_rank(name, value):
    """Where `sizes` are TensorFlow's list, they tell the rank."""
    call = {"sizes": 2, name: value}

    def extract(images):
        return tf_patches.extract_patches(images, **call)

    wanted = "sizes" if name != "sizes" else name
    message = rf"{wanted} must be a list.*unknown rank.*{re.escape(repr(call[wanted]))}"
    with pytest.raises(ValueError, match=f"{message}.*tf.ensure_shape"):
        unknown(extract, images_of(4))


def test_names_that_users_write():
    """Also those of TensorFlow 1, and those of `tf.extract_volume_patches`."""
    with pytest.raises(INVALID, match=r"ksizes must be an int, \[rows, cols\]"):
        tf_patches.extract_image_patches(images_of(4), [1, 2, 1], 1, 1, "SAME")
    with pytest.raises(INVALID, match=r"sizes must be an int, \[rows, cols\]"):
        tf_patches.extract_image_patches(
            images_of(4), sizes=[1, 2, 1], strides=1, rates=1, padding="SAME"
        )
    with pytest.raises(INVALID, match=r"ksizes must be an int.*input of shape \[2,5"):
        tf_patches.extract_volume_patches(volumes(), [2, 2], 1, "SAME")
    for rank in 3, 4:
        with pytest.raises(INVALID, match=r"input must be .*input\[tf.newaxis\]"):
            tf_patches.extract_volume_patches(images_of(rank), 2, 1, "SAME")


VOLUMES_REFUSED = [
    dict(ksizes=None),
    dict(ksizes=[1, 2, 2, 1]),
    dict(ksizes=[2, 2, 2, 2, 1]),
    dict(ksizes=[1, 0, 2, 2, 1]),
    dict(ksizes=[1, 9, 2, 2, 1], padding="VALID"),
    dict(ksizes=[1, "2", 2, 2, 1]),
    dict(ksizes="text"),
    dict(strides=[1, 1, 1, 1, 2]),
    dict(strides=[1, 1, 0, 1, 1]),
    dict(padding="FOO"),
    dict(padding=None),
    dict(input=np.zeros([4, 4, 4, 1], np.float32)),
    dict(input=np.zeros([2, 4, 4, 4, 1]).astype(str)),
]


@pytest.mark.parametrize("mode", [eager, traced])
@pytest.mark.parametrize("wrong", VOLUMES_REFUSED, ids=repr)
def test_volumes_are_refused_as_the_built_in_does(wrong, mode):
    call = dict(
        input=volumes(), ksizes=[1, 2, 2, 2, 1], strides=[1, 1, 1, 1, 1], padding="SAME"
    )
    expected = refusal(mode, tf.extract_volume_patches, call | wrong)
    error = refusal(mode, tf_patches.extract_volume_patches, call | wrong)
    assert type(error) is type(expected), error


def test_volumes_whose_argument_is_missing():
    call = dict(input=volumes(), ksizes=2, strides=1, padding="SAME")
    for name in call:
        rest = {key: value for key, value in call.items() if key != name}
        with pytest.raises(TypeError, match=f"missing.*'{name}'"):
            tf_patches.extract_volume_patches(**rest)


def test_border_arguments_go_by_name():
    images = images_of(4)
    with pytest.raises(TypeError, match="positional"):
        tf_patches.extract_patches(images, 2, 2, 1, "SAME", "name", "WRAP")


class Masked(tf.experimental.ExtensionType):
    values: tf.Tensor


@pytest.mark.parametrize(
    "function, call",
    [
        (tf_patches.extract_patches, dict(sizes=2, mode="WRAP")),
        (tf_patches.extract_image_patches, dict(ksizes=2, mode="WRAP")),
        (tf_patches.extract_volume_patches, dict(ksizes=2, strides=1, padding="SAME")),
    ],
)
def test_can_be_dispatched(function, call):
    """As TensorFlow's own: on types of the user's, with any argument."""
    name = "input" if function is tf_patches.extract_volume_patches else "images"
    seen = []

    @tf.experimental.dispatch_for_api(function, {name: Masked})
    def masked(*arguments, **named):
        seen.append(named)
        return "masked"

    try:
        assert function(Masked(tf.zeros([1])), **call) == "masked"
    finally:
        tf.__internal__.dispatch  # noqa: B018
        from tensorflow.python.util import dispatch

        dispatch.unregister_dispatch_for(masked)
    assert seen


RIGHT = """
import numpy as np
import tf_patches

extract = tf_patches.extract_patches
images = np.zeros([1, 4, 4, 1])
extract(images, 2, [1, 1], (1, 1), "same", mode="reflect", constant_values=0.5)
extract(images, np.array([2, 2]), padding=[[0, 0], [1, 1], [1, 1], [0, 0]])
"""
WRONG = [
    'extract(images, 2, padding="SMAE")',
    'extract(images, 2, mode="mirror")',
    'extract(images, "2")',
    "extract(images)",
    'tf_patches.extract_volume_patches(images, 2, 1, "FULL")',
    "tf_patches.fold_patches(images, [1, 8, 8, 1], 2, stride=1)",
]


def test_a_type_checker_sees_mistakes(tmp_path):
    program = RIGHT + "\n".join(WRONG) + "\n"
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    # It does not follow the links of an editable installation.
    sources = str(Path(tf_patches.__file__).parents[1])
    command = ["-m", "mypy", "--ignore-missing-imports", "program.py"]
    ended = run_python(*command, cwd=tmp_path, MYPYPATH=sources)
    told = {int(n) for n in re.findall(r"^program.py:(\d+): error", ended.stdout, re.M)}
    first = RIGHT.count("\n") + 1
    assert told == set(range(first, first + len(WRONG))), ended.stdout
