"""Large results in memory that was an earlier one's."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from child import child_output, run_child, run_python
from compare import assert_same_bits

import tf_patches
from tf_patches import memory

MEGABYTE = 1 << 20
LARGE = 4 * MEGABYTE
ONES = [1, 1, 1, 1]
GRID = {"sizes": [1, 3, 3, 1], "strides": ONES, "rates": ONES, "padding": "SAME"}
UNIT = {**GRID, "sizes": ONES}


def images_of(patches_megabytes, seed=0):
    """Images whose patches, by GRID, take so much."""
    cols = round(patches_megabytes * MEGABYTE / (64 * 9 * 4))
    random = np.random.default_rng(seed)
    return tf.constant(random.normal(size=[1, 64, cols, 1]).astype(np.float32))


def used_by(make):
    """What a result takes of the cache, which has it all back in the end."""
    before = memory.usage()["used"]
    result = make()
    used = memory.usage()["used"] - before
    del result
    assert memory.usage()["used"] == before
    return used


def check(images):
    """Bit for bit as the built-in, in memory that holds an earlier result."""
    expected = tf.image.extract_patches(images, **GRID)
    tf_patches.extract_patches(images + 1.0, **GRID)
    assert_same_bits(tf_patches.extract_patches(images, **GRID), expected)


@pytest.mark.parametrize("megabytes", [5, 31, 33, 70])
def test_results_in_used_memory(megabytes):
    images = images_of(megabytes)
    check(images)
    patches = tf_patches.extract_patches(images, **GRID)
    total = tf_patches.fold_patches(patches, images.shape, **GRID)
    ones = tf_patches.extract_patches(tf.ones_like(images), **GRID)
    times = tf_patches.fold_patches(ones, images.shape, **GRID)
    np.testing.assert_allclose(total / times, images, rtol=1e-5)


def test_extraction_takes_large_results_from_the_cache():
    images = images_of(6)
    bytes_of_patches = 9 * images.shape.num_elements() * 4
    used = used_by(lambda: tf_patches.extract_patches(images, **GRID))
    assert bytes_of_patches <= used < bytes_of_patches + 2 * MEGABYTE
    function = tf.function(lambda x: tf_patches.extract_patches(x, **GRID))
    assert used_by(lambda: function(images)) == used


def test_fold_takes_large_results_from_the_cache():
    patches = tf.ones([1, 1024, 1024, 1])

    def fold():
        return tf_patches.fold_patches(patches, [1, 1024, 1024, 1], **UNIT)

    assert used_by(fold) == LARGE


@pytest.mark.parametrize("pixels, used", [(LARGE - 1, 0), (LARGE, LARGE)])
def test_threshold(pixels, used):
    images = tf.zeros([1, 1, pixels, 1], tf.uint8)
    assert used_by(lambda: tf_patches.extract_patches(images, **UNIT)) == used


def test_accelerated_builtin_takes_large_results_from_the_cache():
    child_output(
        """
        import tensorflow as tf
        import tf_patches
        from tf_patches import memory

        ones = [1, 1, 1, 1]
        images = tf.zeros([1, 1024, 1024, 1])

        def used():
            patches = tf.image.extract_patches(images, ones, ones, ones, "SAME")
            return memory.usage()["used"]

        assert used() == 0
        tf_patches.accelerate()
        assert used() == 1 << 22, memory.usage()
        assert memory.usage() | {"limit": 0} == {"used": 0, "kept": 1 << 22, "limit": 0}
        """
    )


def test_next_op_may_take_the_memory_over():
    images = images_of(6)

    @tf.function
    def positive(images):
        return tf.nn.relu(tf_patches.extract_patches(images, **GRID))

    expected = tf.nn.relu(tf.image.extract_patches(images, **GRID))
    for _ in range(2):
        assert_same_bits(positive(images), expected)


def test_clear():
    tf_patches.extract_patches(images_of(6), **GRID)
    held = tf_patches.extract_patches(images_of(5), **GRID)
    expected = held.numpy().copy()
    kept = memory.usage()["kept"]
    assert kept > 0
    assert tf_patches.clear_result_cache() == kept
    assert memory.usage()["kept"] == 0
    assert tf_patches.clear_result_cache() == 0
    assert_same_bits(held, expected)


def test_views_stay_while_calls_go_on():
    views, copies = [], []
    for seed in range(20):
        images = images_of(5 + seed % 3, seed)
        views.append(tf_patches.extract_patches(images, **GRID).numpy())
        copies.append(views[-1].copy())
        if seed % 4 == 3:
            del views[0], copies[0]
        for view, copy in zip(views, copies, strict=True):
            assert_same_bits(view, copy)


def test_threads():
    images = [images_of(megabytes) for megabytes in (4.5, 6, 9, 34)]
    expected = [tf.image.extract_patches(x, **GRID) for x in images]

    def call(turn):
        patches = tf_patches.extract_patches(images[turn % 4], **GRID)
        if turn % 5 == 0:
            tf_patches.clear_result_cache()
        assert_same_bits(patches, expected[turn % 4])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(call, range(40)))


SIZES = """
import os

import tensorflow as tf
import tf_patches
from tf_patches import memory

ones = [1, 1, 1, 1]
grid = dict(sizes=[1, 3, 3, 1], strides=ones, rates=ones, padding="SAME")


def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def images_of(megabytes):
    return tf.zeros([1, 64, int(megabytes * 1e6 / (64 * 9)), 1], tf.uint8)


def call(megabytes):
    return tf_patches.extract_patches(images_of(megabytes), **grid)


# Allocators and threads of TensorFlow's own come with the first calls.
for _ in range(3):
    call(1)
"""


@pytest.mark.parametrize("limit", [24, 160])
def test_memory_of_many_calls(limit):
    """Live tensors, and no more than the limit; after giving back, live ones."""
    child_output(
        SIZES
        + f"""
held = [call(8) for _ in range(3)]
images = [images_of(5 * n) for n in range(1, 21)]
before = resident()
for turn in range(200):
    tf_patches.extract_patches(images[turn * 7 % 20], **grid)
    assert resident() < before + {limit} * 1.05 + 20, (turn, resident(), before)
tf_patches.clear_result_cache()
assert resident() < before + 20, (resident(), before)
assert memory.usage()["kept"] == 0
""",
        TF_PATCHES_RESULT_CACHE_MB=str(limit),
        TF_ENABLE_ONEDNN_OPTS="0",  # whose allocator keeps what is freed
    )


def test_memory_without_huge_pages():
    """As where the system has them switched off."""
    child_output(
        SIZES
        + """
import ctypes

import numpy as np

PR_SET_THP_DISABLE = 41
assert ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0
for _ in range(3):
    assert not call(50).numpy().any()
assert memory.usage()["kept"] > 0
"""
    )


def test_address_space_of_one_and_a_half_results():
    """Nobody else finds less room than without the cache."""
    child_output(
        SIZES
        + """
import resource

call(6)
tf_patches.clear_result_cache()
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
used = int(status["VmSize"].split()[0]) * 1024
resource.setrlimit(resource.RLIMIT_AS, [used + (300 << 20)] * 2)
for megabytes in (60, 200, 120, 200, 10, 180, 200):
    call(megabytes)
    tf.zeros([int(megabytes * 1e6)], tf.uint8)
""",
        TF_ENABLE_ONEDNN_OPTS="0",
    )


def test_fork():
    """The child reads, frees and makes results, and so does its parent."""
    child_output(
        SIZES
        + """
import numpy as np

ones = tf.ones([1, 64, 64, 1], tf.uint8)
image = np.random.default_rng(0).integers(0, 255, [1, 64, 20000, 1], np.uint8)
patches = tf_patches.extract_patches(image, **grid)
view = patches.numpy()
expected = view.copy()
call(9)
for _ in range(3):
    child = os.fork()
    if child == 0:
        good = (view == expected).all()
        view[:] = 0
        del view, patches
        good = good and tf_patches.clear_result_cache() > 0
        tf_patches.extract_patches(ones, **grid)
        os._exit(0 if good and memory.usage()["used"] == 0 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert (view == expected).all()
    call(9)
"""
    )


def test_tensors_that_outlive_the_interpreter():
    ended = run_python(
        "-c",
        SIZES
        + """
import atexit

kept = call(9)
view = call(9).numpy()
tf.held = call(9)
call(9)
atexit.register(lambda: call(9))


class Last:
    def __del__(self):
        tf_patches.clear_result_cache()
        self.patches = call(9)


last = Last()
last.itself = last
""",
    )
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr and "Exception" not in ended.stderr


@pytest.mark.parametrize(
    "environment",
    [
        {"TF_CPU_ALLOCATOR_USE_BFC": "true"},
        {"TF_ENABLE_ONEDNN_OPTS": "0"},
        {"MALLOC_ARENA_MAX": "1"},
    ],
    ids=str,
)
def test_beside_other_allocators(environment):
    child_output(
        SIZES
        + """
patches = call(9)
assert memory.usage()["used"] > 9e6
assert not tf.reduce_any(tf.identity(patches + 1) != 1)
""",
        **environment,
    )


def test_profilers():
    """They ask each tensor's allocator for its name and its statistics."""
    images = images_of(6).numpy()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        patches = tf_patches.extract_patches(images, **GRID)
        v1 = tf.compat.v1
        options = v1.RunOptions(trace_level=v1.RunOptions.FULL_TRACE)
        metadata = v1.RunMetadata()
        session.run(patches.op, options=options, run_metadata=metadata)
    nodes = [n for d in metadata.step_stats.dev_stats for n in d.node_stats]
    (node,) = [node for node in nodes if node.node_name == patches.op.name]
    described = node.output[0].tensor_description.allocation_description
    assert described.allocator_name == "tf_patches_results"
    assert described.requested_bytes == 9 * images.nbytes


def test_two_copies_share_nothing(tmp_path):
    child_output(
        SIZES
        + """
import ctypes
import shutil
import sys

from tf_patches import native

copy = shutil.copy(native._FOLDER / "_ops.so", sys.argv[1])
tf.load_library(copy)
functions = ctypes.CDLL(copy)
before = memory.usage()
functions.TfPatchesSetResultCacheLimit(ctypes.c_int64(0))
assert memory.usage() == before and before["limit"] > 0
""",
        tmp_path / "_copy.so",
    )


def test_switched_off():
    child_output(
        SIZES
        + """
patches = call(9)
assert not patches.numpy().any()
assert memory.usage() == {"used": 0, "kept": 0, "limit": 0}
""",
        TF_PATCHES_RESULT_CACHE_MB="0",
    )


LIMIT = "from tf_patches import memory; print(memory.usage()['limit'])"


@pytest.mark.parametrize(
    "value, limit", [("0", 0), ("007", 7 << 20), ("9" * 30, (1 << 63) - 1)]
)
def test_limit(value, limit):
    printed = child_output(LIMIT, TF_PATCHES_RESULT_CACHE_MB=value)
    assert int(printed) == limit


def test_default_limit():
    memory_of_machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    printed = child_output(LIMIT, TF_PATCHES_RESULT_CACHE_MB="")
    assert 0 < int(printed) <= min(memory_of_machine // 8, 4 << 30)


@pytest.mark.parametrize("value", ["-1", "1.5", "1e3", "two", " 1", "٣"])
def test_limit_that_is_no_number(value):
    ended = run_child("import tf_patches", TF_PATCHES_RESULT_CACHE_MB=value)
    assert ended.returncode == 1
    *_, message = ended.stderr.splitlines()
    assert message.startswith("ValueError: TF_PATCHES_RESULT_CACHE_MB")
    assert repr(value) in message
