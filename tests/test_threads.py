"""The same results on any number of threads, and for any number of callers."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tensorflow as tf
from cases import SHARED_OUT, random_bits
from compare import assert_same_bits

import tf_patches

DIGESTS = """
import hashlib
import os
import sys

import numpy as np

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[1]))

import tf_patches
from cases import SHARED_OUT, random_bits


def gradient(op, images, grid):
    with tf.GradientTape() as tape:
        tape.watch(images)
        patches = op(images, **grid)
    return tape.gradient(patches, images, random(patches.shape))


def random(shape):
    return tf.constant(random_bits(shape, "float32", seed=1))


def digest(tensor):
    return hashlib.sha256(tensor.numpy().tobytes()).hexdigest()


for shape, grid in SHARED_OUT:
    images = random(shape)
    extract = tf_patches.extract_patches
    ours = gradient(extract, images, grid)
    builtin = gradient(tf.image.extract_patches, images, grid)
    np.testing.assert_array_equal(ours, builtin)
    print(digest(extract(images, **grid)), digest(ours))
"""


def _digests(threads):
    command = [sys.executable, "-c", DIGESTS, str(threads)]
    tests = Path(__file__).parent
    run = subprocess.run(command, cwd=tests, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def test_number_of_threads_changes_nothing():
    on_one = _digests(1)
    assert len(set(on_one)) == len(SHARED_OUT)
    assert _digests(2) == on_one


@pytest.mark.parametrize("shape, grid", SHARED_OUT)
def test_threads_may_call_at_once(shape, grid):
    def results(seed):
        images = random_bits(shape, "float32", seed)
        with tf.GradientTape() as tape:
            variable = tf.constant(images)
            tape.watch(variable)
            patches = tf_patches.extract_patches(variable, **grid)
        return patches, tape.gradient(patches, variable)

    seeds = [1, 2, 3] * 4
    alone = {seed: results(seed) for seed in set(seeds)}
    with ThreadPoolExecutor(max_workers=8) as threads:
        together = list(threads.map(results, seeds))
    for seed, (patches, gradient) in zip(seeds, together, strict=True):
        assert_same_bits(patches, alone[seed][0])
        assert_same_bits(gradient, alone[seed][1])
