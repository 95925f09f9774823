"""What many calls leave in memory: `python tests/leaks.py SMALL LARGE`.

Prints by how many kilobytes memory grows while so many small and so many large calls of
each kind are made; fails where these are too many.
"""

import os
import sys
from pathlib import Path

import tensorflow as tf

import tf_patches

GRID = {"sizes": 3, "strides": 2, "padding": "SAME", "mode": "REFLECT"}
# The shape of images, and by how many kilobytes memory may grow: by fewer than a
# thousand small results, or two large ones.
SMALL, LARGE = ((2, 6, 5, 1), 800), ((2, 512, 512, 1), 8000)


def extract(images):
    return tf_patches.extract_patches(images, **GRID)


def there_and_back(images):
    patches = extract(images)
    return tf_patches.fold_patches(patches, images.shape, **GRID, reduction="mean")


def gradient(images):
    with tf.GradientTape() as tape:
        tape.watch(images)
        result = there_and_back(images)
    return tape.gradient(result, images, result)


def placed(images):
    patches = tf_patches.extract_patches_at(images, [[1, -2], [0, 3]], 4)
    return tf_patches.fold_patches_at(patches, [[1, -2], [0, 3]], images.shape)


def mapped(images):
    return tf.vectorized_map(there_and_back, images[:, tf.newaxis])


# Not calls that are refused: each of those leaves 0.6 KB, of TensorFlow's own ops too.
KINDS = {
    "eager": there_and_back,
    "placed": placed,
    "gradient": gradient,
    "graph": tf.function(gradient),
    "graph of placed": tf.function(placed),
    "xla": tf.function(gradient, jit_compile=True),
    "vectorized_map": tf.function(mapped),
}


def kilobytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def grown(function, shape, count):
    """By how much memory grows from the first half of all calls to the second."""
    images = tf.random.stateless_normal(shape, [1, 2])
    after = []
    for _ in range(2):
        for _ in range(count // 2):
            function(images)
        tf_patches.clear_result_cache()
        after.append(kilobytes())
    return after[1] - after[0]


if __name__ == "__main__":
    counts, leaks = map(int, sys.argv[1:]), 0
    for (shape, most), count in zip([SMALL, LARGE], counts, strict=True):
        for name, function in KINDS.items():
            growth = grown(function, shape, count)
            leaks += growth > most
            print(f"{growth:6} KB, {count} calls of {shape}: {name}", flush=True)
    sys.exit(leaks)
