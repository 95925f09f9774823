"""Digests of what every op that adds gives, as recorded in data/sums.json.

`python tests/sums.py` records them; that a later version changes one is a bug, unless
its changelog says so. The inputs come from integers alone, which no library draws.
"""

import hashlib
import json
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf
from cases import COMPLEX, FLOATS, NUMBERS
from derivatives import pullback

import tf_patches

RECORD = Path(__file__).parent / "data" / "sums.json"

# Enough for several threads; patches overlap, and some lie across the border.
SHAPE = (3, 45, 37, 2)
GRID = {"sizes": [5, 4], "strides": [2, 1], "rates": [1, 2], "padding": "SAME"}
SIGNALS = {"sizes": 90, "strides": 3, "padding": "SAME", "mode": "REFLECT"}
VOLUMES = {"sizes": [3, 2, 4], "strides": 1, "padding": "SAME", "mode": "WRAP"}
TILES = {"sizes": 6, "strides": 4, "mode": "EDGE", "padding": "SAME"}
SIZES = [7, 6]
PLACE = {"rates": [1, 2], "mode": "SYMMETRIC"}


def numbers(shape, dtype, seed=1):
    """From -7 to 7 in steps of a third; of integers any."""
    mixed = np.arange(1, np.prod(shape) + 1, dtype=np.uint64) * (2654435761 + 2 * seed)
    whole = (mixed >> np.uint64(11)) % np.uint64(4091)
    if dtype not in FLOATS + COMPLEX:
        return tf.constant(whole.reshape(shape).astype(dtype))
    values = (whole.astype(np.float64) % 43 - 21).reshape(shape) / 3
    if dtype in COMPLEX:
        values = values + 1j * values[..., ::-1]
    return tf.constant(values.astype(tf.as_dtype(dtype).as_numpy_dtype))


def positions(count):
    """Some of them partly or wholly outside."""
    at = np.arange(SHAPE[0] * count * 2).reshape(SHAPE[0], count, 2)
    return tf.constant(at * 7919 % [[[59, 53]]] - 8)


AT = positions(150)
FLIPS = tf.constant(np.arange(300).reshape(150, 2) % 3 == 0)


def patches_of(image_shape, grid):
    ones = tf.ones(image_shape)
    shape = tf_patches.extract_patches(ones, **grid).shape
    return partial(numbers, shape)


def fold(patches, *weights, image_shape=SHAPE, grid=GRID, reduction="sum"):
    options = {"weights": weights[0] if weights else None, "reduction": reduction}
    return tf_patches.fold_patches(patches, image_shape, **grid, **options)


def fold_at(patches, *factors, reduction="sum"):
    return tf_patches.fold_patches_at(
        patches,
        AT,
        SHAPE,
        flips=FLIPS,
        **PLACE,
        weights=list(factors) or None,
        reduction=reduction,
    )


def extract(images):
    return tf_patches.extract_patches(images, **GRID)


def extract_at(images):
    return tf_patches.extract_patches_at(images, AT, SIZES, flips=FLIPS, **PLACE)


def gradient(function, at, upstream, *weights):
    return pullback(lambda x: function(x, *weights), at, upstream)


def of(function, *inputs, **options):
    """A function, and what makes its inputs of a dtype."""
    return partial(function, **options), inputs


IMAGES = partial(numbers, SHAPE)
PATCHES = patches_of(SHAPE, GRID)
PLACED = partial(numbers, (SHAPE[0], 150, *SIZES, SHAPE[3]))
WINDOW = partial(numbers, GRID["sizes"], seed=2)
FACTORS = [partial(numbers, [150, size], seed=size) for size in SIZES]
UPSTREAM = partial(numbers, SHAPE, seed=3)


def of_fold(image_shape, grid):
    patches = patches_of(image_shape, grid)
    return of(fold, patches, image_shape=image_shape, grid=grid)


mean, mean_at = partial(fold, reduction="mean"), partial(fold_at, reduction="mean")
SUMS = {
    "fold": of(fold, PATCHES),
    "fold signals": of_fold((2, 4000, 3), SIGNALS),
    "fold volumes": of_fold((2, 9, 13, 12, 2), VOLUMES),
    "fold tiles": of_fold((2, 61, 50, 3), TILES),
    "fold weighted": of(fold, PATCHES, WINDOW),
    "fold at": of(fold_at, PLACED),
    "fold weighted at": of(fold_at, PLACED, *FACTORS),
}
REAL = {"fold largest at": of(fold_at, PLACED, reduction="max")}
MEANS = {
    "mean": of(mean, PATCHES),
    "weighted mean": of(mean, PATCHES, WINDOW),
    "mean at": of(mean_at, PLACED),
    "weighted mean at": of(mean_at, PLACED, *FACTORS),
    "gradient": of(partial(gradient, extract), IMAGES, partial(PATCHES, seed=4)),
    "gradient at": of(partial(gradient, extract_at), IMAGES, partial(PLACED, seed=4)),
    "gradient of mean": of(partial(gradient, mean), PATCHES, UPSTREAM, WINDOW),
    "gradient of mean at": of(partial(gradient, mean_at), PLACED, UPSTREAM, *FACTORS),
}


# Complex products are TensorFlow's or XLA's, which round them each in its own way.
WEIGHTED = ["fold weighted", "weighted mean", "gradient of mean"]
WEIGHTED += [f"{name} at" for name in WEIGHTED]


def sums_of(dtype, compiled):
    real = {} if dtype in COMPLEX else REAL
    named = SUMS | real | (MEANS if dtype in FLOATS + COMPLEX else {})
    left_out = WEIGHTED if compiled and dtype in COMPLEX else []
    return {name: named[name] for name in named if name not in left_out}


def digests(dtype, compiled=False):
    """Of each sum, by name."""
    named = sums_of(dtype, compiled)

    def every(inputs):
        return {name: function(*inputs[name]) for name, (function, _) in named.items()}

    inputs = {name: [make(dtype) for make in named[name][1]] for name in named}
    run = tf.function(every, jit_compile=True, autograph=False) if compiled else every
    return {
        name: hashlib.sha256(result.numpy().tobytes()).hexdigest()[:16]
        for name, result in run(inputs).items()
    }


def recorded(dtype, compiled=False):
    """The digests of an earlier version."""
    digests = json.loads(RECORD.read_text())[dtype]
    return {name: digests[name] for name in sums_of(dtype, compiled)}


if __name__ == "__main__":
    now = {dtype: digests(dtype) for dtype in NUMBERS}
    RECORD.write_text(json.dumps(now, indent=1) + "\n")
