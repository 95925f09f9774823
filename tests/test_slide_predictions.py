"""Dense predictions of slides: to the bit what tilings give in memory."""

import numpy as np
import pytest
import tensorflow as tf
from compare import assert_same_bits
from hypothesis import given
from hypothesis import strategies as st

from tf_patches import Tiling, slides
from tf_patches.slides import merging
from tf_patches.slides.models import predict_padded, read_model

BLENDS = ["average", "gaussian", "hann", "linear", "cosine", "crop", "max", "min"]


def image(rows, cols, depth=3, seed=1):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, [rows, cols, depth], np.uint8)


def model(tiles):
    """Another depth, and other numbers in every tile."""
    numbers = tf.cast(tiles, tf.float32)
    means = tf.reduce_mean(numbers, [1, 2], keepdims=True)
    return tf.concat([numbers / 7 - means, tf.sin(numbers)], -1)


def in_memory(pixels, tiling, run, blend, batch_size=8, indices=None):
    """The same by a tiling: cut, the model on the same batches, merge."""
    indices = np.arange(tiling.count) if indices is None else indices
    tiles = tiling.cut(pixels[np.newaxis], indices)[0]
    made = predict_padded(read_model(run), tiles, batch_size)
    return tiling.merge(made[np.newaxis], blend, indices)[0].numpy()


@st.composite
def plans(draw):
    tile = draw(st.lists(st.integers(1, 9), min_size=2, max_size=2))
    return {
        "image_size": draw(st.lists(st.integers(1, 40), min_size=2, max_size=2)),
        "tile_size": tile,
        "stride": [draw(st.integers(max(1, n // 4), n)) for n in tile],
        "remainder": draw(st.sampled_from(["shift", "pad", "spread", "drop"])),
        "mode": draw(st.sampled_from(["REFLECT", "SYMMETRIC", "EDGE", "CONSTANT"])),
    }


@given(plans(), st.sampled_from(BLENDS), st.integers(1, 9), st.integers(1, 4000))
def test_predictions_have_the_bits_of_a_tiling(plan, blend, batch_size, piece_bytes):
    tiling = Tiling(**plan, constant_values=255)
    pixels = image(*plan["image_size"])
    if not tiling.count:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "_PIECE_BYTES", piece_bytes)
        ours = slides.predict(
            pixels,
            model,
            plan["tile_size"],
            [t - s for t, s in zip(plan["tile_size"], plan["stride"], strict=True)],
            blend=blend,
            batch_size=batch_size,
            remainder=plan["remainder"],
            mode=plan["mode"],
            progress=False,
        )
    assert_same_bits(ours, in_memory(pixels, tiling, model, blend, batch_size))
