"""Saves a module that infers, and one that computes gradients as well."""

import sys

import numpy as np
import tensorflow as tf

GRID = dict(
    sizes=[1, 3, 2, 1], strides=[1, 2, 1, 1], rates=[1, 1, 2, 1], padding="SAME"
)
images = np.random.default_rng(1).normal(size=(3, 9, 8, 5)).astype(np.float32)


class Infers(tf.Module):
    def __init__(self):
        super().__init__()
        self.scale = tf.Variable(tf.range(1.0, 6.0))

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 5])])
    def infer(self, images):
        return tf.image.extract_patches(images * self.scale, **GRID)


class Learns(Infers):
    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 5])])
    def learn(self, images):
        with tf.GradientTape() as tape:
            patches = self.infer(images)
            loss = tf.reduce_sum(tf.square(patches))
        return tape.gradient(loss, self.scale)


for name, module in {"infers": Infers(), "learns": Learns()}.items():
    tf.saved_model.save(
        module, f"{sys.argv[1]}/{name}", signatures=module.infer.get_concrete_function()
    )
learning = Learns()
np.savez(
    f"{sys.argv[1]}/expected.npz",
    images=images,
    infer=learning.infer(images),
    learn=learning.learn(images),
)
