"""Keras' unfold, which calls TensorFlow's op: as it is, and in a model that learns."""

import itertools
import sys

import keras
import numpy as np

keras.utils.set_random_seed(1)


class Neighbours(keras.layers.Layer):
    """Weighs every pixel, and then what is around it, by weights that it learns."""

    def build(self, shape):
        _, depth, rows, cols = shape
        self.pixels = self.add_weight(shape=(rows, cols), name="pixels")
        self.around = self.add_weight(shape=(depth * 9, 1), name="around")

    def call(self, images):
        return keras.ops.unfold(images * self.pixels, 3, padding=1) * self.around


def make_model():
    images = keras.Input((2, 8, 8), batch_size=4)
    model = keras.Model(images, keras.layers.Dense(1)(Neighbours()(images)))
    model.compile("adam", "mse")
    return model


random = np.random.default_rng(1)
images = random.normal(size=(8, 2, 8, 8)).astype(np.float32)
model = make_model()
history = model.fit(images, np.ones([8, 18, 1]), batch_size=4, epochs=3, verbose=0)
results = {"losses": history.history["loss"]}
grids = itertools.product([1, (2, 3)], [1, 2], [0, (1, 2)], [1, (3, 1)])
for kernel, dilation, padding, stride in grids:
    unfolded = keras.ops.unfold(images, kernel, dilation, padding, stride)
    results[f"{kernel} {dilation} {padding} {stride}"] = unfolded.numpy()
np.savez(sys.argv[1], **results)
