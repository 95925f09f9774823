"""How much of a patch of a slide is stained."""

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
