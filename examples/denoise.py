"""Removes the noise of a photograph, tile by tile and without seams.

python examples/denoise.py
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from skimage import data

import tf_patches

NOISE = 0.1  # standard deviation; pixels are 0 to 1


def denoiser() -> keras.Model:
    """A small CNN that tells the noise. It errs at borders, as it pads with zeros."""
    noisy = keras.Input([None, None, 3])
    layer = noisy
    for rate in (1, 2, 1):
        layer = keras.layers.Conv2D(
            16, 3, padding="same", dilation_rate=rate, activation="relu"
        )(layer)
    noise = keras.layers.Conv2D(3, 3, padding="same", kernel_initializer="zeros")(layer)
    return keras.Model(noisy, noisy - noise)


def add_noise(images: tf.Tensor, seed: int) -> tf.Tensor:
    """Adds noise that is the same on every run."""
    return images + NOISE * tf.random.stateless_normal(images.shape, [seed, 0])


def train(picture: tf.Tensor, count: int, size: int = 32) -> keras.Model:
    """Trains a denoiser on random patches of a picture."""
    clean = tf_patches.stateless_random_patches(
        picture[tf.newaxis], count, size, seed=[1, 2], flips="all"
    )[0]
    keras.utils.set_random_seed(1)
    model = denoiser()
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss="mse")
    model.fit(add_noise(clean, 3), clean, batch_size=16, epochs=2, verbose=0)
    return model


def in_tiles(
    model: Callable[[tf.Tensor], tf.Tensor],
    image: tf.Tensor,
    tiling: tf_patches.Tiling,
    blend: str,
    tiles_at_once: int = 16,
) -> tf.Tensor:
    """What a model makes of an image `[rows, cols, depth]`, some tiles at a time."""
    every = np.arange(tiling.count)
    made = [
        model(tiling.cut(image[tf.newaxis], every[first : first + tiles_at_once])[0])
        for first in range(0, tiling.count, tiles_at_once)
    ]
    return tiling.merge(tf.concat(made, 0)[tf.newaxis], blend)[0]


def psnr(picture: tf.Tensor, truth: tf.Tensor) -> float:
    """Peak signal to noise ratio, in decibels."""
    return float(tf.image.psnr(picture, truth, max_val=1))


def main(count: int = 1200) -> dict[str, float]:
    """Trains on a cup of coffee, denoises an astronaut; gives what came of it."""
    coffee, astronaut = (
        tf.image.convert_image_dtype(picture, tf.float32)
        for picture in (data.coffee(), data.astronaut())
    )
    model = train(coffee, count)
    noisy = add_noise(astronaut, 4)
    tiling = tf_patches.Tiling(noisy.shape[:-1], tile_size=128, overlap=32)
    before = psnr(noisy, astronaut)
    after = psnr(in_tiles(model, noisy, tiling, "hann"), astronaut)
    print(f"PSNR: {before:.1f} dB with noise, {after:.1f} dB without.")

    whole = model(noisy[tf.newaxis])[0]
    inside = np.s_[8:-8, 8:-8]  # at its own border the whole picture errs too
    seams = {}
    for blend in "average", "crop":
        difference = in_tiles(model, noisy, tiling, blend) - whole
        seams[blend] = float(tf.reduce_max(tf.abs(difference[inside])))
    print(
        "Largest difference between tiles and the whole picture at once: "
        f"{seams['average']:.1g} averaged, {seams['crop']:.1g} cropped."
    )
    return {"gain": after - before, **seams}


if __name__ == "__main__":
    main()
