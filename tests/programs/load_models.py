"""Loads modules that were saved, and runs all that they hold."""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf


def run(folder):
    images = np.load(folder.parent / "expected.npz")["images"]
    module = tf.saved_model.load(folder)
    yield "infer", module.infer(images)
    yield "infer", module.signatures["serving_default"](tf.constant(images))["output_0"]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(module.infer(images)))
    yield "learn", tape.gradient(loss, module.scale)
    if hasattr(module, "learn"):
        yield "learn", module.learn(images)


for folder in map(Path, sys.argv[1:]):
    expected = np.load(folder.parent / "expected.npz")
    try:
        same = [
            result.numpy().tobytes() == expected[name].tobytes()
            for name, result in run(folder)
        ]
        outcome = "same" if all(same) else f"differs {same}"
    except RuntimeError as error:
        outcome = str(error).splitlines()[0]
    print(f"{folder.parent.name} {folder.name}: {outcome}")
