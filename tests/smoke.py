"""Runs an installed package a little; `make wheels` does so with each wheel.

`python smoke.py 2.20`, from a folder without the sources, with that TensorFlow.
"""

import sys

import numpy as np
import tensorflow as tf

import tf_patches
from tf_patches.slides.library import ops as slide_ops

GRID = dict(sizes=[1, 3, 3, 1], strides=[1, 2, 2, 1], rates=[1, 1, 1, 1])
BUILTIN = tf.image.extract_patches


def gradient(extract, images, padding):
    with tf.GradientTape() as tape:
        tape.watch(images)
        patches = extract(images, **GRID, padding=padding)
        total = tf.reduce_sum(patches * patches)
    return tape.gradient(total, images)


def check_grid(images, padding):
    wanted = BUILTIN(images, **GRID, padding=padding)
    for function in (
        tf_patches.extract_patches,
        tf.function(tf_patches.extract_patches),
        *compiled(),
    ):
        same(function(images, **GRID, padding=padding), wanted)
    ours = gradient(tf_patches.extract_patches, images, padding)
    same(ours, gradient(BUILTIN, images, padding))


def compiled():
    """By XLA, if there is a library for it, which depends on TensorFlow alone."""
    xla = tf_patches.build_info()["xla"]
    print("XLA:", xla)
    minor = tuple(map(int, tf.__version__.split(".")[:2]))
    assert (xla == "built") == (minor >= (2, 20)), xla
    if xla != "built":
        return []
    return [tf.function(tf_patches.extract_patches, jit_compile=True)]


def check_places(images):
    positions = [[0, 0], [4, 5], [7, 1]]
    patches = tf_patches.extract_patches_at(images, positions, 3)
    wanted = [images[:, row : row + 3, col : col + 3] for row, col in positions]
    same(patches, tf.stack(wanted, axis=1))
    times = tf_patches.fold_patches_at(tf.ones_like(patches), positions, images.shape)
    counts = np.zeros(images.shape, np.float32)
    for row, col in positions:
        counts[:, row : row + 3, col : col + 3] += 1
    same(times, counts)


def same(ours, wanted):
    assert np.asarray(ours).tobytes() == np.asarray(wanted).tobytes()


(version,) = sys.argv[1:]
assert tf.__version__.startswith(f"{version}."), tf.__version__
assert "site-packages" in tf_patches.__file__, tf_patches.__file__
images = tf.random.stateless_normal([2, 13, 11, 3], [1, 2])
check_grid(images, "SAME")
check_grid(images, "VALID")
check_places(images)
assert [name for name in dir(slide_ops) if "read_slide" in name]
print("tf_patches", tf_patches.__version__, "runs with TensorFlow", tf.__version__)
