"""Finds the blood vessels of a retina: a rare class, trained on balanced patches.

python examples/vessels.py
"""

import keras
import numpy as np
import tensorflow as tf
from scipy.ndimage import minimum_filter
from skimage import data
from skimage.filters import sato
from sklearn.metrics import roc_auc_score

import tf_patches

VESSEL_WIDTHS = 3, 5  # pixels, standard deviations
LEAST_RIDGE = 0.015
DARKEST_RETINA, RIM = 40, 41


def vessel_pixels(retina: np.ndarray) -> np.ndarray:
    """Which pixels of a retina are vessels: uint8 `[rows, cols, 1]`, 1 or 0.

    Vessels are dark ridges in green light (Sato et al., "Three-dimensional multi-scale
    line filter", 1998). So is the rim of the retina, which is left out.
    """
    ridges = sato(retina[..., 1] / 255, sigmas=VESSEL_WIDTHS)
    inside = minimum_filter(retina.max(-1) > DARKEST_RETINA, RIM)
    vessels = (ridges > LEAST_RIDGE) & inside
    return vessels[..., np.newaxis].astype(np.uint8)


def balance(mask: np.ndarray) -> np.ndarray:
    """Weights of pixels, `[rows, cols]`, with which each class is drawn as often."""
    classes = mask[..., 0]
    return (1 / np.bincount(classes.ravel()).astype(np.float32))[classes]


def training_data(
    retina: np.ndarray, mask: np.ndarray, steps: int, batch: int = 16, size: int = 64
) -> tf.data.Dataset:
    """Other random patches in every step, the same steps on every run."""
    weights = tf.constant(balance(mask)[np.newaxis])
    tensors = tf.constant(retina[np.newaxis]), tf.constant(mask[np.newaxis])

    def cut(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        patches, masks = tf_patches.stateless_random_patches(
            tensors, batch, size, seed=[1, step], flips="all", weights=weights
        )
        return patches[0], masks[0]

    numbers = tf.data.Dataset.range(steps)
    return numbers.map(cut, num_parallel_calls=tf.data.AUTOTUNE).prefetch(1)


def segmenter() -> keras.Model:
    """A small CNN: `[batch, rows, cols, 3]`, both even, to scores from 0 to 1.

    As most models, it pads its input with zeros, so that it errs near the border of
    a tile.
    """
    pixels = {"padding": "same", "activation": "relu"}
    return keras.Sequential(
        [
            keras.Input([None, None, 3], dtype="uint8"),
            keras.layers.Rescaling(1 / 127.5, offset=-1),
            keras.layers.Conv2D(8, 5, strides=2, **pixels),
            keras.layers.Conv2D(16, 3, **pixels),
            keras.layers.Conv2D(16, 3, dilation_rate=2, **pixels),
            keras.layers.Conv2D(16, 3, dilation_rate=4, **pixels),
            keras.layers.Conv2D(16, 3, **pixels),
            keras.layers.Conv2DTranspose(
                1, 4, strides=2, padding="same", activation="sigmoid"
            ),
        ]
    )


def train(retina: np.ndarray, mask: np.ndarray, steps: int) -> keras.Model:
    """Trains a segmenter, the same way each time."""
    keras.utils.set_random_seed(1)
    model = segmenter()
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss="binary_crossentropy")
    model.fit(training_data(retina, mask, steps), shuffle=False, verbose=0)
    return model


def main(steps: int = 200) -> float:
    """Trains on the lower half of a retina; gives the ROC AUC on the upper half."""
    retina = data.retina()
    mask = vessel_pixels(retina)
    half = len(retina) // 2
    model = train(retina[half:], mask[half:], steps)
    unseen = np.s_[half - 400 : half, 500:900]
    scores = model(retina[unseen][np.newaxis], training=False)[0]
    auc = roc_auc_score(mask[unseen].ravel(), np.ravel(scores))
    print(f"{mask.mean():.0%} of the pixels are vessels.")
    print(f"A vessel has a higher score than another pixel in {auc:.0%} of all pairs.")
    return auc


if __name__ == "__main__":
    main()
