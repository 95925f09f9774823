"""Derivatives of functions of images, as a tape takes them; the built-in's fold."""

from functools import partial

import tensorflow as tf


def pullback(function, at, upstream=None):
    """The gradient at the argument of `function`, from that at its result.

    `upstream` is ones where it is not given, and may be a function of the result.
    """
    with tf.GradientTape() as tape:
        tape.watch(at)
        result = function(at)
    if callable(upstream):
        upstream = upstream(result)
    return tape.gradient(result, at, output_gradients=upstream)


def gradient(function):
    """The gradient of a function of images, at the images, on which it depends."""
    return lambda images: pullback(function, images, tf.square)


def built_in_fold(patches, image_shape, **grid):
    """TensorFlow has no fold but in the gradient of its extraction."""
    extract = partial(tf.image.extract_patches, **grid)
    return pullback(extract, tf.zeros(image_shape, patches.dtype), patches)


def jacobian(function, differentiate=tf.GradientTape.jacobian):
    def of(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            result = function(images)
        return differentiate(tape, result, images)

    return of


batch_jacobian = partial(jacobian, differentiate=tf.GradientTape.batch_jacobian)
