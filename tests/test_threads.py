"""The same results on any number of threads, and for any number of callers."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import tensorflow as tf
from cases import SHARED_OUT, SHARED_OUT_ANY, random_bits
from child import child_output
from compare import assert_same_bits
from derivatives import pullback

import tf_patches

DIGESTS = """
import hashlib
import sys
from functools import partial

import numpy as np
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[1]))

import tf_patches
from cases import SHARED_OUT, SHARED_OUT_ANY, random_bits
from derivatives import pullback


def random(shape):
    return tf.constant(random_bits(shape, "float32", seed=1))


def digest(tensor):
    return hashlib.sha256(tensor.numpy().tobytes()).hexdigest()


for shape, grid in [*SHARED_OUT, *SHARED_OUT_ANY]:
    images = random(shape)
    extract = partial(tf_patches.extract_patches, **grid)
    patches = extract(images)
    upstream = random(patches.shape)
    ours = pullback(extract, images, upstream)
    if (shape, grid) in SHARED_OUT:
        builtin = pullback(partial(tf.image.extract_patches, **grid), images, upstream)
        np.testing.assert_array_equal(ours, builtin)
    print(digest(patches), digest(ours))
"""


def _digests(threads):
    return child_output(DIGESTS, threads, cwd=Path(__file__).parent).splitlines()


def test_number_of_threads_changes_nothing():
    on_one = _digests(1)
    assert len(set(on_one)) == len(SHARED_OUT) + len(SHARED_OUT_ANY)
    assert _digests(2) == on_one
    assert _digests(16) == on_one


@pytest.mark.parametrize("shape, grid", [*SHARED_OUT, *SHARED_OUT_ANY])
def test_threads_may_call_at_once(shape, grid):
    extract = partial(tf_patches.extract_patches, **grid)

    def results(seed):
        images = tf.constant(random_bits(shape, "float32", seed))
        return extract(images), pullback(extract, images)

    seeds = [1, 2, 3] * 4
    alone = {seed: results(seed) for seed in set(seeds)}
    with ThreadPoolExecutor(max_workers=8) as threads:
        together = list(threads.map(results, seeds))
    for seed, (patches, gradient) in zip(seeds, together, strict=True):
        assert_same_bits(patches, alone[seed][0])
        assert_same_bits(gradient, alone[seed][1])
