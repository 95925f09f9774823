"""Saves models and what they give in the folder that the command line names.

The folder 0.1.0 was made so by that version, at commit 463b150.
"""

import shutil
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import tf_patches

GRID = {"strides": [1, 2, 1, 1], "rates": [1, 1, 2, 1], "padding": "SAME"}
GRID["sizes"] = [1, 3, 2, 1]
SHAPE = [2, 7, 6, 3]
DTYPES = ["float16", "bfloat16", "float32", "float64", "complex64", "uint8", "int32"]
NUMBERS = np.arange(np.prod(SHAPE)).reshape(SHAPE) * 37 % 101
IMAGES = (NUMBERS / 8 - 5).astype(np.float32)


def extract(images):
    return tf_patches.extract_patches(images, **GRID)


def there_and_back(images):
    patches = extract(images)
    return tf_patches.fold_patches(patches * patches, tf.shape(images), **GRID)


def gradient(images):
    with tf.GradientTape() as tape:
        tape.watch(images)
        patches = extract(images)
    return tape.gradient(patches, images, patches * patches)


FUNCTIONS = {f.__name__: f for f in (extract, there_and_back, gradient)}


def save_module(folder):
    module = tf.Module()
    results = {}
    for name, function in FUNCTIONS.items():
        for compiled in False, True:
            key = f"{name}_compiled" if compiled else name
            spec = tf.TensorSpec([None, None, None, 3], name="images")
            traced = tf.function(
                function, input_signature=[spec], autograph=False, jit_compile=compiled
            )
            setattr(module, key, traced)
            results[key] = traced(tf.constant(IMAGES)).numpy()
    path = folder / "saved_model"
    tf.saved_model.save(module, str(path), signatures=module.extract)
    shutil.make_archive(path, "zip", path)
    shutil.rmtree(path)
    return results


def save_keras(folder):
    images = keras.Input([7, 6, 3])
    patches = keras.layers.Lambda(tf_patches.extract_patches, arguments=GRID)(images)
    folded = tf_patches.fold_patches(extract(images), [None, 7, 6, 3], **GRID)
    model = keras.Model(images, [patches, folded])
    model.save(folder / "model.keras")
    return dict(
        zip(["patches", "folded"], model.predict(IMAGES, verbose=0), strict=True)
    )


def save_graph(folder):
    results = {}
    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
        for dtype in DTYPES:
            images = tf.constant(NUMBERS, dtype, name=f"images_{dtype}")
            patches = tf.identity(extract(images), f"patches_{dtype}")
            for kind in "int32", "int64":
                shape = tf.constant(SHAPE, kind)
                folded = tf_patches.fold_patches(patches, shape, **GRID)
                tf.identity(tf.cast(folded, tf.complex128), f"folded_{dtype}_{kind}")
            tf.identity(tf.cast(patches, tf.complex128), f"cast_{dtype}")
        bools = extract(tf.constant(NUMBERS % 3 == 0, name="images_bool"))
        tf.identity(bools, "cast_bool")
        names = [n.name for n in graph.as_graph_def().node]
        names = [n for n in names if n.startswith(("cast", "folded"))]
        names = [n for n in names if graph.get_operation_by_name(n).type == "Identity"]
        for name in names:
            results[name] = session.run(f"{name}:0")
        (folder / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    return results


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    saved = {"saved_model": save_module, "keras": save_keras, "graph": save_graph}
    for name, save in saved.items():
        np.savez_compressed(folder / f"{name}.npz", **save(folder))
