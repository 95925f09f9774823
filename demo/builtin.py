"""TensorFlow's own functions, under the names that they have in `tf_patches`."""

from collections.abc import Sequence

import tensorflow as tf

extract_patches = tf.image.extract_patches
extract_image_patches = tf.compat.v1.extract_image_patches


@tf.function
def fold_patches(
    patches: tf.Tensor,
    image_shape: Sequence[int],
    sizes: Sequence[int],
    strides: Sequence[int],
    rates: Sequence[int],
    padding: str,
) -> tf.Tensor:
    """Sums patches back into images: there is no such op, but a gradient is one."""
    images = tf.zeros(image_shape, patches.dtype)
    with tf.GradientTape() as tape:
        tape.watch(images)
        extracted = extract_patches(images, sizes, strides, rates, padding)
    return tape.gradient(extracted, images, output_gradients=patches)
