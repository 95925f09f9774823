"""A small model that finds the blood vessels of a retina."""

import keras
import numpy as np
import tensorflow as tf
from scipy.ndimage import minimum_filter
from skimage.filters import sato

VESSEL_WIDTHS = 3, 5  # pixels, standard deviations
LEAST_RIDGE = 0.015
DARKEST_RETINA, RIM = 40, 41


def vessel_pixels(retina: tf.Tensor) -> tf.Tensor:
    """Which pixels of a retina are vessels: uint8 `[rows, cols, 1]`, 1 or 0.

    Vessels are dark ridges in green light (Sato et al., "Three-dimensional multi-scale
    line filter", 1998). So is the rim of the retina, which is left out.
    """
    picture = retina.numpy()
    ridges = sato(picture[..., 1] / 255, sigmas=VESSEL_WIDTHS)
    inside = minimum_filter(picture.max(-1) > DARKEST_RETINA, RIM)
    vessels = (ridges > LEAST_RIDGE) & inside
    return tf.constant(vessels[..., np.newaxis], tf.uint8)


def train_model(patches: tf.Tensor, masks: tf.Tensor, epochs: int = 8) -> keras.Model:
    """Trains a small CNN to tell vessels, the same way each time.

    As most models, it pads its input with zeros, so that it errs near the border of
    a tile.

    Args:
      patches: `[count, rows, cols, 3]`, uint8.
      masks: `[count, rows, cols, 1]`, 1 or 0.
      epochs: How often the model sees each patch.

    Returns:
      A model of `[count, rows, cols, 3]`, both even, with scores
      `[count, rows, cols, 1]` from 0 to 1.
    """
    keras.utils.set_random_seed(1)
    pixels = {"padding": "same", "activation": "relu"}
    model = keras.Sequential(
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
    model.compile(optimizer=keras.optimizers.Adam(5e-3), loss="binary_crossentropy")
    model.fit(patches, masks, batch_size=16, epochs=epochs, verbose=0)
    return model
