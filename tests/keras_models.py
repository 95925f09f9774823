"""Keras models of patches: ours, and the built-in's that they must equal."""

from functools import cache, partial

import keras
import numpy as np
import tensorflow as tf
from derivatives import built_in_fold
from keras import layers

import tf_patches

GRID = dict(
    sizes=[1, 3, 3, 1], strides=[1, 2, 2, 1], rates=[1, 1, 1, 1], padding="SAME"
)
OVERLAP = GRID | dict(strides=[1, 1, 1, 1], rates=[1, 2, 1, 1])
IMAGES = np.random.default_rng(2).normal(size=(12, 8, 6, 3)).astype(np.float32)
LABELS = IMAGES.mean((1, 2))[:, :1] * 3 + 1
IMAGE_SHAPE = [None, 8, 6, 3]


@keras.saving.register_keras_serializable(package="tests")
def user_function(images):
    return tf_patches.extract_patches(images, **GRID)


@keras.saving.register_keras_serializable(package="tests")
class UserLayer(layers.Layer):
    """A layer with a model of patches inside."""

    extract = staticmethod(tf_patches.extract_patches)

    def __init__(self, **options):
        super().__init__(**options)
        patches = layers.Lambda(self.extract, arguments=dict(GRID))
        self.encoder = keras.Sequential([patches, layers.Dense(8)])

    def build(self, shape):
        self.encoder.build(shape)

    def call(self, images):
        return self.extract(self.encoder(images), **OVERLAP)


class BuiltInUserLayer(UserLayer):
    extract = staticmethod(tf.image.extract_patches)


def lambda_of(function, **arguments):
    return lambda images: layers.Lambda(function, arguments=arguments)(images)


def built_in_fold_of_any_batch(patches, image_shape, **grid):
    return built_in_fold(patches, [tf.shape(patches)[0], *image_shape[1:]], **grid)


def fold_squares(extract, fold, images):
    patches = extract(images, **OVERLAP)
    return fold(patches * patches, IMAGE_SHAPE, **OVERLAP)


OLD_NAMES = {("ksizes" if name == "sizes" else name): GRID[name] for name in GRID}
BUILT_IN = lambda_of(tf.image.extract_patches, **GRID)
BUILT_IN_FOLD = lambda_of(
    partial(fold_squares, tf.image.extract_patches, built_in_fold_of_any_batch)
)

# How a model gets its patches: ours, and the built-in's that it must equal.
MODELS = {
    "lambda of a function": (lambda_of(user_function), BUILT_IN),
    "lambda of the op": (lambda_of(tf_patches.extract_patches, **GRID), BUILT_IN),
    "lambda of the old name": (
        lambda_of(tf_patches.extract_image_patches, **OLD_NAMES),
        BUILT_IN,
    ),
    "lambda of fold": (
        lambda images: lambda_of(
            tf_patches.fold_patches, image_shape=IMAGE_SHAPE, **OVERLAP
        )(tf_patches.extract_patches(images, **OVERLAP) ** 2),
        BUILT_IN_FOLD,
    ),
    "functional": (partial(tf_patches.extract_patches, **GRID), BUILT_IN),
    "functional by the old name": (
        partial(tf_patches.extract_image_patches, **OLD_NAMES),
        BUILT_IN,
    ),
    "functional of numpy and tensors": (
        lambda images: tf_patches.extract_patches(
            images,
            np.array([1, 3, 3, 1]),
            (1, np.int64(2), tf.constant(2), 1),
            np.ones(4, np.uint8),
            b"SAME",
        ),
        BUILT_IN,
    ),
    "functional fold": (
        partial(fold_squares, tf_patches.extract_patches, tf_patches.fold_patches),
        BUILT_IN_FOLD,
    ),
    "layer of the user": (
        lambda images: UserLayer()(images),
        lambda images: BuiltInUserLayer()(images),
    ),
}


def make_model(patches_of, image_shape=IMAGE_SHAPE[1:]):
    """Layers before and after the patches, so that gradients go through them."""
    keras.utils.set_random_seed(3)
    images = keras.Input(image_shape)
    patches = patches_of(layers.Dense(3, activation="tanh")(images))
    score = layers.Dense(1)(layers.GlobalAveragePooling2D()(patches))
    model = keras.Model(images, score)
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return model


def train(model):
    history = model.fit(
        IMAGES, LABELS, batch_size=5, epochs=4, shuffle=False, verbose=0
    )
    losses = history.history["loss"]
    assert losses[-1] < losses[0]
    return model


@cache
def trained(patches_of, policy="float32"):
    assert keras.config.dtype_policy().name == policy
    return train(make_model(patches_of))
