"""`tf.vectorized_map` and jacobians of ops at positions, and of weighted folds."""

from functools import partial

import composed
import numpy as np
import pytest
import tensorflow as tf
from compare import assert_same_bits
from derivatives import batch_jacobian, gradient, jacobian
from graphs import LOOPS, in_graph, node_types, run_without_loops

import tf_patches

TURNS, BATCH, COUNT = 3, 2, 4
SPACES = {1: (7,), 2: (5, 4), 3: (4, 3, 5)}
SIZES = {1: (3,), 2: (2, 3), 3: (2, 3, 2)}


def random_of(seed=1):
    return np.random.default_rng(seed)


def normal(*shape, seed=1):
    return random_of(seed).normal(size=shape).astype(np.float32)


# How each argument comes: nothing, the same in all turns, or another in each; for all
# images or for each.
PLACES = {
    None: None,
    "same": (COUNT,),
    "same of each": (BATCH, COUNT),
    "turn's": (TURNS, COUNT),
    "turn's of each": (TURNS, BATCH, COUNT),
}


def places(form, axes, seed):
    positions = random_of(seed).integers(-2, 5, (*PLACES[form], axes))
    return positions.astype(np.int32 if seed % 2 else np.int64)


def flips_of(form, axes):
    return None if form is None else places(form, axes, seed=3) % 2 == 0


def turn(value, form, index):
    """What a turn sees of an argument."""
    return value[index] if form and form.startswith("turn's") else value


def check(function, arguments, caplog):
    """Maps over those arguments that are of a turn, without a loop.

    `arguments` are pairs of a value and its form.
    """
    are_mapped = [bool(form and form.startswith("turn's")) for _, form in arguments]
    elements = [value for value, form in arguments if form and "turn's" in form]
    assert elements

    def of_turn(elements):
        given = iter(elements)
        return function(
            *(
                next(given) if is_mapped else value
                for (value, _), is_mapped in zip(arguments, are_mapped, strict=True)
            )
        )

    actual = run_without_loops(
        lambda *elements: tf.vectorized_map(of_turn, elements), caplog, *elements
    )
    expected = [
        function(*(turn(value, form, index) for value, form in arguments))
        for index in range(TURNS)
    ]
    assert_same_bits(actual, expected)


EXTRACTIONS = [
    (images, positions, flips)
    for images in ("same", "turn's")
    for positions in list(PLACES)[1:]
    for flips in PLACES
    if any(form and "turn's" in form for form in (images, positions, flips))
]


@pytest.mark.parametrize(
    "axes, images, positions, flips",
    [
        (axes, *forms)
        for axes in SPACES
        for forms in EXTRACTIONS
        if axes == 2 or forms[2] in (None, "turn's of each")
    ],
)
def test_extract(axes, images, positions, flips, caplog):
    shape = (BATCH, *SPACES[axes], 3)

    def extract(images, positions, flips):
        return tf_patches.extract_patches_at(
            images, positions, list(SIZES[axes]), mode="REFLECT", flips=flips
        )

    given = normal(*([TURNS] if images == "turn's" else []), *shape)
    check(
        extract,
        [
            (given, images),
            (places(positions, axes, seed=1), positions),
            (flips_of(flips, axes), flips),
        ],
        caplog,
    )


def test_images_of_all_turns_are_not_copied():
    images = normal(BATCH, *SPACES[2], 3)
    positions = places("turn's", 2, seed=1)

    @tf.function
    def mapped(images, positions):
        return tf.vectorized_map(
            lambda at: tf_patches.extract_patches_at(images, at, 2), positions
        )

    graph = mapped.get_concrete_function(images, positions).graph.as_graph_def()
    nodes = [node for node in graph.node if node.op == "TFPatches>ExtractPatchesAt"]
    assert {node.input[0] for node in nodes} == {"images"}


WEIGHTS = {
    None: None,
    "window": SIZES[2],
    "profiles": None,
    "profiles of each": None,
    "turn's window": (TURNS, *SIZES[2]),
    "turn's profiles": (TURNS,),
    "turn's profiles of each": (TURNS, COUNT),
}


def weights_of(form):
    """Positive numbers and zeros; profiles as one tensor, so that they are mapped."""
    if form is None:
        return None
    lead = [TURNS] if "turn's" in form else []
    if "window" in form:
        shape = [*lead, *SIZES[2]]
    else:
        shape = [*lead, *([COUNT] if "each" in form else []), sum(SIZES[2])]
    return random_of().integers(0, 4, shape).astype(np.float32) / 3


def written(weights, form):
    """The weights of a turn as users write them."""
    if form is None or "window" in form:
        return weights
    rows = SIZES[2][0]
    return [weights[..., :rows], weights[..., rows:]]


FOLDS = [
    (patches, positions, flips, weights)
    for patches in ("same", "turn's")
    for positions in list(PLACES)[1:]
    for flips in (None, "same", "turn's of each")
    for weights in WEIGHTS
    if any(form and "turn's" in form for form in (patches, positions, flips, weights))
][::3]


@pytest.mark.parametrize("patches, positions, flips, weights", FOLDS)
def test_fold(patches, positions, flips, weights, caplog):
    check_fold(patches, positions, flips, weights, "mean", caplog)


@pytest.mark.parametrize(
    "reduction, weights",
    [
        ("sum", None),
        ("sum", "window"),
        ("sum", "turn's profiles of each"),
        ("max", None),
        ("min", None),
    ],
)
def test_fold_with_reductions(reduction, weights, caplog):
    check_fold("turn's", "turn's", None, weights, reduction, caplog)


def check_fold(patches, positions, flips, weights, reduction, caplog):
    values = normal(
        *([TURNS] if patches == "turn's" else []), BATCH, COUNT, *SIZES[2], 2
    )

    def fold(patches, positions, flips, given):
        return tf_patches.fold_patches_at(
            patches,
            positions,
            [BATCH, *SPACES[2], 2],
            flips=flips,
            reduction=reduction,
            weights=written(given, weights),
        )

    check(
        fold,
        [
            (values, patches),
            (places(positions, 2, seed=1), positions),
            (flips_of(flips, 2), flips),
            (weights_of(weights), weights),
        ],
        caplog,
    )


GRID = dict(sizes=[2, 3], strides=1, rates=[2, 1], padding="SAME", mode="EDGE")


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize(
    "patches, weights",
    [
        ("turn's", None),
        ("turn's", "window"),
        ("turn's", "turn's window"),
        ("same", "turn's window"),
    ],
)
def test_fold_of_a_grid(weights, patches, reduction, caplog):
    values = normal(*([TURNS] if patches == "turn's" else []), BATCH, *SPACES[2], 12)

    def fold(patches, given):
        return tf_patches.fold_patches(
            patches, [None, *SPACES[2], 2], **GRID, reduction=reduction, weights=given
        )

    check(fold, [(values, patches), (weights_of(weights), weights)], caplog)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32", "complex64"])
def test_weights_of_turns_in_other_dtypes(dtype, caplog):
    """As of one turn, where they are no arguments of the op."""
    patches = tf.cast(random_of().integers(-9, 9, (TURNS, 1, COUNT, 2, 3, 1)), dtype)
    weights = tf.cast(random_of(2).integers(0, 4, (TURNS, 2, 3)), dtype)

    def fold(patches, weights):
        return tf_patches.fold_patches_at(
            patches, places("same", 2, seed=1), [1, 5, 4, 1], weights=weights
        )

    check(fold, [(patches, "turn's"), (weights, "turn's")], caplog)


def test_nan_that_weights_of_turns_leave_out(caplog):
    patches = normal(TURNS, 1, 1, 2, 2, 1)
    patches[:, 0, 0, 0, 0] = np.nan
    weights = np.float32([[[0, 1], [2, 3]]] * TURNS)

    def fold(patches, weights):
        return tf_patches.fold_patches_at(
            patches, [[0, 0]], [1, 2, 2, 1], reduction="mean", weights=weights
        )

    check(fold, [(patches, "turn's"), (weights, "turn's")], caplog)


def test_largest_with_weights_of_turns():
    patches = normal(TURNS, 1, 1, 2, 2, 1)

    def fold(turn):
        patches, weights = turn
        return tf_patches.fold_patches_at(
            patches, [[0, 0]], [1, 2, 2, 1], reduction="max", weights=weights
        )

    with pytest.raises(ValueError, match=r"weights must be none.*MAX"):
        tf.vectorized_map(fold, (patches, np.ones([TURNS, 2, 2], np.float32)))


def test_image_shapes_of_turns(caplog):
    patches = normal(TURNS, BATCH, COUNT, 2, 3, 1)

    def fold(patches, shape):
        return tf_patches.fold_patches_at(patches, places("same", 2, seed=1), shape)

    shapes = np.array([[BATCH, 5, 4, 1]] * TURNS)
    check(fold, [(patches, "turn's"), (shapes, "turn's")], caplog)
    with pytest.raises(tf.errors.InvalidArgumentError, match="image_shape"):
        shapes[1, 1] = 6
        tf.vectorized_map(lambda turn: fold(*turn), (patches, shapes))


def test_nested(caplog):
    images = normal(2, TURNS, BATCH, 5, 4, 3)
    positions = random_of().integers(-2, 5, (2, TURNS, COUNT, 2))

    def there_and_back(turn):
        images, positions = turn
        patches = tf_patches.extract_patches_at(images, positions, 2)
        return tf_patches.fold_patches_at(
            patches, positions, [None, 5, 4, 3], reduction="mean"
        )

    def outer(images, positions):
        return tf.vectorized_map(
            lambda turn: tf.vectorized_map(there_and_back, turn), (images, positions)
        )

    actual = run_without_loops(outer, caplog, images, positions)
    expected = [
        [there_and_back(turn) for turn in zip(*outer, strict=True)]
        for outer in zip(images, positions, strict=True)
    ]
    assert_same_bits(actual, expected)


def test_unknown_shapes():
    images = normal(TURNS, BATCH, 5, 4, 3)
    positions = places("turn's of each", 2, seed=1)

    def cut(turn):
        images, positions = turn
        return tf_patches.extract_patches_at(images, positions, [1, 2, 3, 1])

    def mapped(*turns):
        return tf.vectorized_map(cut, turns)

    actual = in_graph(mapped, images, positions, signature=[None, [None] * 4])
    expected = [cut(turn) for turn in zip(images, positions, strict=True)]
    assert_same_bits(actual, expected)
    traced = tf.function(mapped).get_concrete_function(
        tf.TensorSpec(None), tf.TensorSpec([None] * 4, tf.int64)
    )
    assert not node_types(traced) & LOOPS


@pytest.mark.parametrize("positions", ["same", "same of each"])
@pytest.mark.parametrize("derivative", [jacobian, batch_jacobian])
def test_jacobians(derivative, positions, caplog):
    """Fold and extraction are linear, each the other's adjoint."""
    at = places(positions, 2, seed=1)
    images = tf.constant(normal(BATCH, 5, 4, 1))
    extract = partial(
        tf_patches.extract_patches_at, positions=at, sizes=[2, 3], mode="WRAP"
    )
    patches = extract(images)
    fold = partial(
        tf_patches.fold_patches_at,
        positions=at,
        image_shape=images.shape,
        mode="WRAP",
    )
    of_extract = run_without_loops(derivative(extract), caplog, images)
    of_fold = run_without_loops(derivative(fold), caplog, patches)
    if derivative is jacobian:
        order = [5, 6, 7, 8, 0, 1, 2, 3, 4]
        assert_same_bits(of_fold, np.transpose(of_extract, order))
    run_without_loops(derivative(gradient(extract)), caplog, images)


@pytest.mark.parametrize("derivative", [lambda function: function, gradient])
@pytest.mark.parametrize(
    "reduction, of_weights",
    [("sum", False), ("sum", True), ("mean", False), ("mean", True), ("max", False)],
)
def test_jacobians_of_folds(reduction, of_weights, derivative, caplog):
    """Of patches or of weights, as those of TensorFlow's own ops."""
    patches = tf.constant(normal(1, COUNT, 2, 3, 1))
    weights = None if reduction == "max" else tf.constant(normal(2, 3, seed=2) + 3)
    at = places("same", 2, seed=1)

    def ours(x):
        return tf_patches.fold_patches_at(
            patches if of_weights else x,
            at,
            [1, 5, 4, 1],
            reduction=reduction,
            weights=x if of_weights else weights,
        )

    def theirs(x):
        window = x if of_weights else weights
        return composed.fold_at(
            patches if of_weights else x,
            at,
            (1, 5, 4, 1),
            (1, 1),
            reduction=reduction,
            weights=None if window is None else window[..., tf.newaxis],
        )

    x = weights if of_weights else patches
    actual = run_without_loops(jacobian(derivative(ours)), caplog, x)
    expected = tf.function(jacobian(derivative(theirs)))(x)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


def test_no_turns():
    images = normal(0, BATCH, 5, 4, 3)
    patches = tf.vectorized_map(
        lambda images: tf_patches.extract_patches_at(images, [[0, 0]], 2), images
    )
    assert patches.shape == (0, BATCH, 1, 2, 2, 3)
    positions = np.zeros([0, COUNT, 2], int)
    patches = tf.vectorized_map(
        lambda at: tf_patches.extract_patches_at(normal(BATCH, 5, 4, 3), at, 2),
        positions,
    )
    assert patches.shape == (0, BATCH, COUNT, 2, 2, 3)
