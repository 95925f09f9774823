"""A small vision transformer, written against TensorFlow and Keras alone."""

import sys

import keras
import numpy as np
import tensorflow as tf

keras.utils.set_random_seed(1)


class Patches(keras.layers.Layer):
    """Images to the patches that they consist of."""

    def __init__(self, size):
        super().__init__()
        self.size = size

    def call(self, images):
        square = [1, self.size, self.size, 1]
        patches = tf.image.extract_patches(
            images, sizes=square, strides=square, rates=[1, 1, 1, 1], padding="VALID"
        )
        _, rows, cols, depth = patches.shape
        return tf.reshape(patches, [-1, rows * cols, depth])


class Positions(keras.layers.Layer):
    """Adds to every patch what is learned of its place."""

    def build(self, shape):
        self.places = self.add_weight(shape=shape[1:], name="places")

    def call(self, tokens):
        return tokens + self.places


def block(tokens):
    normal = keras.layers.LayerNormalization()(tokens)
    tokens += keras.layers.MultiHeadAttention(2, 8)(normal, normal)
    return tokens + keras.layers.Dense(16, "gelu")(tokens)


def make_model():
    images = keras.Input((16, 16, 3))
    # Pixels are learned too, so that gradients pass through the patches.
    pixels = keras.layers.Conv2D(3, 1, activation="tanh")(images)
    tokens = keras.layers.Dense(16)(Patches(4)(pixels))
    tokens = block(Positions()(tokens))
    scores = keras.layers.Dense(4)(keras.layers.GlobalAveragePooling1D()(tokens))
    model = keras.Model(images, scores)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    return model


random = np.random.default_rng(1)
images = random.normal(size=(24, 16, 16, 3)).astype(np.float32)
labels = random.integers(0, 4, 24)
model = make_model()
before = model.predict(images, verbose=0)
history = model.fit(images, labels, batch_size=8, epochs=3, verbose=0)
after = model.predict(images, verbose=0)
np.savez(sys.argv[1], before=before, losses=history.history["loss"], after=after)
