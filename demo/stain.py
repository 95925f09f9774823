"""A small model that says how much of a patch is stained."""

import keras
import tensorflow as tf
from skimage.color import rgb2hed
from skimage.filters import threshold_otsu


def stained_pixels(slide: tf.Tensor) -> tf.Tensor:
    """Which pixels of a slide took the brown stain: `[rows, cols, 1]`, 1.0 or 0.0.

    Colour deconvolution separates the stains, and Otsu's threshold says where
    there is any.
    """
    brown = rgb2hed(slide.numpy())[..., 2:]
    return tf.cast(brown > threshold_otsu(brown), tf.float32)


def stained_fractions(stained: tf.Tensor, size: int, stride: int) -> tf.Tensor:
    """How much of each patch took the stain, of the part that is on the slide."""
    fractions = tf.nn.avg_pool2d(stained[tf.newaxis], size, stride, "SAME")
    return fractions[0, :, :, 0]


def train_model(patches: tf.Tensor, fractions: tf.Tensor) -> keras.Model:
    """Trains a small CNN to tell those fractions, the same way each time.

    Args:
      patches: `[rows, cols, size, size, depth]`, uint8.
      fractions: `[rows, cols]`.

    Returns:
      A model of `[count, size, size, depth]`, with scores `[count, 1]`.
    """
    keras.utils.set_random_seed(7)
    picture_shape = patches.shape[2:]
    model = keras.Sequential(
        [
            keras.Input(picture_shape, dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 5, strides=5, activation="relu"),
            keras.layers.Conv2D(16, 3, strides=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss="mse")
    model.fit(
        tf.reshape(patches, [-1, *picture_shape]),
        tf.reshape(fractions, [-1, 1]),
        batch_size=16,
        epochs=15,
        verbose=0,
    )
    return model
