"""Finds the white matter of a brain: a 3-D model, trained and run block by block.

python examples/brain.py
"""

from importlib.metadata import distribution

import keras
import nibabel
import numpy as np
import tensorflow as tf

import tf_patches

FOLDER = "nilearn/datasets/data"
SCAN = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
WHITE = "mni_icbm152_wm_tal_nlin_sym_09a_converted.nii.gz"


def read(name: str) -> np.ndarray:
    """A volume `[planes, rows, cols, 1]` of the brain that nilearn brings, halved."""
    path = distribution("nilearn").locate_file(f"{FOLDER}/{name}")
    return np.asarray(nibabel.load(path).dataobj)[::2, ::2, ::2, np.newaxis]


def segmenter() -> keras.Model:
    """A small CNN of volumes `[batch, planes, rows, cols, 1]` to scores 0 to 1."""
    voxels = {"padding": "same", "activation": "relu"}
    return keras.Sequential(
        [
            keras.Input([None, None, None, 1]),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv3D(8, 3, **voxels),
            keras.layers.Conv3D(8, 3, **voxels),
            keras.layers.Conv3D(1, 1, activation="sigmoid"),
        ]
    )


def train(scan: np.ndarray, white: np.ndarray, count: int) -> keras.Model:
    """Trains on random blocks that have the brain in their middle."""
    blocks, labels = tf_patches.stateless_random_patches(
        (scan[np.newaxis], white[np.newaxis]),
        count,
        sizes=16,
        seed=[1, 2],
        flips="all",
        weights=(scan[np.newaxis, ..., 0] > 0).astype(np.float32),
    )
    keras.utils.set_random_seed(1)
    model = segmenter()
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss="binary_crossentropy")
    model.fit(blocks[0], labels[0], batch_size=8, epochs=5, verbose=0)
    return model


def in_blocks(model: keras.Model, scan: np.ndarray) -> np.ndarray:
    """Runs a model over a volume of any size, a block at a time."""
    tiling = tf_patches.Tiling(scan.shape[:-1], tile_size=32, overlap=0.25)
    made = [
        model(tiling.cut(scan[np.newaxis], indices=[index])[0], training=False)
        for index in range(tiling.count)
    ]
    return tiling.merge(tf.concat(made, 0)[tf.newaxis], blend="gaussian")[0].numpy()


def main(count: int = 120) -> float:
    """Trains on the left half of a brain; gives the Dice score of the right half."""
    scan, white = read(SCAN), (read(WHITE) > 127).astype(np.uint8)
    half = len(scan) // 2
    model = train(scan[:half], white[:half], count)
    found = in_blocks(model, scan[half:]) > 0.5
    truth = white[half:] == 1
    dice = 2 * np.sum(found & truth) / (np.sum(found) + np.sum(truth))
    guess = 2 * truth.mean() / (1 + truth.mean())  # of white matter everywhere
    print(f"Dice score of the unseen half: {dice:.2f}. White everywhere: {guess:.2f}.")
    return float(dice)


if __name__ == "__main__":
    main()
