"""What `tf.extract_volume_patches` gives before `accelerate`, it gives after it.

As in test_accelerate.py: before is this process, after is another.
"""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import tensorflow as tf
from bad_calls import MODES, refusal
from cases import COMPLEX, FLOATS, INTEGERS, random_bits
from child import child_output
from compare import assert_same_bits, assert_same_numbers
from derivatives import batch_jacobian, gradient, jacobian, pullback
from graphs import LOOPS, in_graph, node_types

import tf_patches

SECONDS = 300


@pytest.fixture(scope="module")
def after():
    """Calls a function of a module here in a process that accelerates."""
    with ProcessPoolExecutor(
        1, get_context("spawn"), initializer=tf_patches.accelerate
    ) as processes:
        yield lambda *call: processes.submit(*call).result(SECONDS)
    assert not tf_patches.is_accelerated()


def drawn(dtypes, count):
    """Volumes and requests for their patches, with strides below and above sizes."""
    random = np.random.default_rng(1)
    for seed in range(count):
        space = random.integers(1, 8, 3)
        most = np.minimum(space, 4)
        sizes, strides = random.integers(1, most + 1), random.integers(1, 6, 3)
        shape = *random.integers(1, 3, 1), *space, *random.integers(1, 4, 1)
        padding = ["SAME", "VALID"][seed % 2]
        volumes = random_bits(tuple(map(int, shape)), dtypes[seed % len(dtypes)], seed)
        lists = [[1, *map(int, values), 1] for values in (sizes, strides)]
        yield volumes, *lists, padding


def extract(call):
    return tf.extract_volume_patches(*call).numpy()


def extract_in_graph(call):
    volumes, *rest = call
    return in_graph(
        lambda x: tf.extract_volume_patches(x, *rest), volumes, signature=[None]
    ).numpy()


def every(function, calls):
    return [function(call) for call in calls]


@pytest.mark.parametrize("results", [extract, extract_in_graph])
def test_patches(results, after):
    calls = list(drawn([*FLOATS, *INTEGERS], 240))
    mine = after(every, results, calls)
    for ours, theirs in zip(mine, every(extract, calls), strict=True):
        assert_same_bits(ours, theirs)


def pullback_of(call):
    """Of patches of volumes, from bits of any kind."""
    volumes, *rest = call
    zeros = tf.zeros(volumes.shape, volumes.dtype)
    shape = tf.extract_volume_patches(zeros, *rest).shape
    upstream = random_bits(tuple(shape), volumes.dtype.name, seed=len(shape))
    return pullback(lambda x: tf.extract_volume_patches(x, *rest), zeros, upstream)


def gradients(call):
    return pullback_of(call).numpy()


def gradients_in_graph(call):
    return tf.function(lambda: pullback_of(call))().numpy()


@pytest.mark.parametrize("results, count", [(gradients, 120), (gradients_in_graph, 40)])
def test_gradients(results, count, after):
    calls = list(drawn(FLOATS, count))
    mine = after(every, results, calls)
    for ours, theirs in zip(mine, every(gradients, calls), strict=True):
        assert_same_numbers(ours, theirs)


VOLUMES = np.random.default_rng(1).normal(size=(2, 5, 4, 3, 2)).astype(np.float32)
LISTS = [1, 2, 1, 2, 1], [1, 3, 2, 1, 1]


def cubed(volumes):
    return tf.extract_volume_patches(volumes, *LISTS, "SAME") ** 3


first = gradient(cubed)
DERIVATIVES = {
    "second order": gradient(first),
    "jacobian": jacobian(cubed),
    "jacobian of the gradient": jacobian(first),
    "batch jacobian": batch_jacobian(cubed),
    "map": lambda volumes: tf.vectorized_map(cubed, volumes[:, None]),
    "map of the gradient": lambda volumes: tf.vectorized_map(first, volumes[:, None]),
}


def derivative(name):
    return DERIVATIVES[name](tf.constant(VOLUMES)).numpy()


@pytest.mark.parametrize("name", DERIVATIVES)
def test_derivatives(name, after):
    ours, theirs = after(derivative, name), derivative(name)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def loops():
    graphs = {
        name: tf.function(function).get_concrete_function(tf.constant(VOLUMES))
        for name, function in DERIVATIVES.items()
    }
    return {name for name, graph in graphs.items() if node_types(graph) & LOOPS}


def test_no_loops(after):
    assert loops() >= {"map", "map of the gradient"}
    assert not after(loops)


def gradient_where_nothing_is_known():
    of = gradient(lambda x: tf.extract_volume_patches(x, *LISTS, "VALID"))
    return in_graph(of, VOLUMES, signature=[None]).numpy()


def test_unknown_rank(after):
    with pytest.raises((ValueError, TypeError)):
        gradient_where_nothing_is_known()
    known = gradient(lambda x: tf.extract_volume_patches(x, *LISTS, "VALID"))
    assert_same_bits(
        after(gradient_where_nothing_is_known), known(tf.constant(VOLUMES))
    )


CALL = dict(input=VOLUMES, ksizes=LISTS[0], strides=LISTS[1], padding="SAME")
WRONG = [
    dict(ksizes=[1, 2, 2, 1]),
    dict(ksizes=[2, 2, 2, 2, 1]),
    dict(ksizes=[1, 2, 2, 2, 2]),
    dict(ksizes=[1, 0, 2, 2, 1]),
    dict(ksizes=[1, 9, 2, 2, 1], strides=[1] * 5, padding="VALID"),
    dict(strides=[1, 1, 1, 1, 2]),
    dict(strides=[1, 1, 0, 1, 1]),
    dict(padding="FOO"),
    *(dict(input=np.zeros([1] * rank, np.float32)) for rank in (0, 1, 4, 6)),
    *(dict(input=VOLUMES.astype(dtype)) for dtype in ["bool", *COMPLEX]),
]


def refusals():
    """The class for every mode and all that is wrong."""
    return [
        (mode.__name__, str(wrong)[:80], type(error))
        for mode in MODES
        for wrong in WRONG
        for error in [refusal(mode, tf.extract_volume_patches, CALL | wrong)]
    ]


def test_refusals(after):
    assert after(refusals) == refusals()


def test_a_sixth_value(after):
    """TensorFlow's kernel does not look at it."""
    call = VOLUMES, [*LISTS[0], 7], [*LISTS[1], 3], "SAME"
    assert_same_bits(after(extract, call), extract(call))


def message():
    call = CALL | {"ksizes": [1, 9, 2, 2, 1], "strides": [1] * 5, "padding": "VALID"}
    return str(refusal(MODES[0], tf.extract_volume_patches, call))


def test_the_kernel_is_ours(after):
    assert "A patch of 9 planes" not in message()
    assert "A patch of 9 planes" in after(message)


def test_gradients_of_either_op_are_chosen_together():
    child_output(
        """
        import numpy as np
        import tensorflow as tf
        import tf_patches
        from tensorflow.python.framework import ops

        volumes = np.random.default_rng(1).normal(size=(2, 5, 4, 3, 2))
        volumes = tf.constant(volumes)

        def gradient(volumes):
            with tf.GradientTape() as tape:
                tape.watch(volumes)
                patches = tf.extract_volume_patches(
                    volumes, [1, 2, 1, 2, 1], [1, 3, 2, 1, 1], "SAME"
                )
            return tape.gradient(patches, volumes, patches)

        def is_ours():
            graph = tf.function(gradient).get_concrete_function(volumes).graph
            types = {node.type for node in graph.get_operations()}
            assert "ExtractVolumePatches" in types
            return "TFPatches>FoldPatches" in types

        names = ["ExtractImagePatches", "ExtractVolumePatches"]
        originals = [ops.gradient_registry.lookup(name) for name in names]
        expected = gradient(volumes).numpy()
        assert not is_ours()
        for gradients in [True, False, False, True]:
            tf_patches.accelerate(gradients)
            assert is_ours() == gradients
            registered = [ops.gradient_registry.lookup(name) for name in names]
            assert (registered == originals) == (not gradients)
            np.testing.assert_array_equal(gradient(volumes), expected)
        """
    )


def test_functions_saved_under_it_load_anywhere(tmp_path):
    child_output(
        """
        import sys
        import tensorflow as tf
        import tf_patches

        tf_patches.accelerate()
        module = tf.Module()
        module.extract = tf.function(
            lambda x: tf.extract_volume_patches(x, [1, 2, 1, 2, 1], [1] * 5, "SAME"),
            input_signature=[tf.TensorSpec([None] * 5)],
        )
        module.extract(tf.zeros([1] * 5))
        tf.saved_model.save(module, sys.argv[1])
        """,
        tmp_path / "model",
    )
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    theirs = tf.extract_volume_patches(VOLUMES, [1, 2, 1, 2, 1], [1] * 5, "SAME")
    assert_same_bits(loaded.extract(VOLUMES), theirs)
