"""Contextual attention: a hole is filled with the patches that look most like it."""

import sys

import keras
import numpy as np
import tensorflow as tf

keras.utils.set_random_seed(1)
ONES = [1, 1, 1, 1]


class Attention(keras.layers.Layer):
    """Each patch becomes a mean of all, those most like it counting most."""

    def call(self, features):
        keys = self.patches(features, 3)
        likeness = tf.matmul(tf.nn.l2_normalize(keys, -1), keys, transpose_b=True)
        values = self.patches(features, 4)
        mixed = tf.matmul(tf.nn.softmax(4 * likeness), values)
        return features + self.put_back(mixed, features)

    def patches(self, features, size):
        patches = tf.image.extract_patches(
            features,
            sizes=[1, size, size, 1],
            strides=[1, 2, 2, 1],
            rates=ONES,
            padding="SAME",
        )
        return tf.reshape(patches, [tf.shape(features)[0], -1, patches.shape[-1]])

    def put_back(self, patches, features):
        """Sums overlapping patches: the gradient of taking them out."""
        with tf.GradientTape() as tape:
            tape.watch(features)
            taken = self.patches(features, 4)
        return tape.gradient(taken, features, output_gradients=patches)


def make_model():
    images = keras.Input((12, 12, 3))
    features = keras.layers.Conv2D(8, 3, padding="same", activation="elu")(images)
    filled = keras.layers.Conv2D(3, 3, padding="same")(Attention()(features))
    model = keras.Model(images, filled)
    model.compile(keras.optimizers.Adam(0.01), "mae")
    return model


random = np.random.default_rng(1)
pictures = random.normal(size=(12, 12, 12, 3)).astype(np.float32)
holes = pictures.copy()
holes[:, 4:8, 4:8] = 0
model = make_model()
before = model.predict(holes, verbose=0)
history = model.fit(holes, pictures, batch_size=4, epochs=3, verbose=0)
after = model.predict(holes, verbose=0)
np.savez(sys.argv[1], before=before, losses=history.history["loss"], after=after)
