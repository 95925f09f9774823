"""Every name that TensorFlow has for the op, eagerly and in an old session."""

import sys

import numpy as np
import tensorflow as tf

old = tf.compat.v1
SIZES, STRIDES, RATES = [1, 3, 2, 1], [1, 2, 1, 1], [1, 1, 2, 1]
LISTS = {"strides": STRIDES, "rates": RATES, "padding": "SAME"}
NAMES = {
    "image": lambda x: tf.image.extract_patches(x, sizes=SIZES, **LISTS),
    "v1": lambda x: old.extract_image_patches(x, SIZES, STRIDES, RATES, "SAME"),
    "v1_image": lambda x: old.image.extract_image_patches(x, ksizes=SIZES, **LISTS),
    "v1_patches": lambda x: old.image.extract_patches(x, sizes=SIZES, **LISTS),
    "raw": lambda x: tf.raw_ops.ExtractImagePatches(images=x, ksizes=SIZES, **LISTS),
}

images = np.random.default_rng(1).normal(size=(3, 9, 8, 5)).astype(np.float32)
results = {}
for name, extract in NAMES.items():
    results[name] = extract(images).numpy()
    results[f"{name} of bytes"] = extract(images.astype(np.int8)).numpy()
    with tf.Graph().as_default(), old.Session() as session:
        placeholder = old.placeholder(tf.float32, [None, None, None, 5])
        patches = extract(placeholder)
        (gradient,) = old.gradients(patches, placeholder, patches * patches)
        feed = {placeholder: images}
        results[f"{name} in a session"], results[f"{name} gradient"] = session.run(
            [patches, gradient], feed
        )
np.savez(sys.argv[1], **results)
