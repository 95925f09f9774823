"""What a user writes: right calls, and wrong calls.

A comment `# wrong: WORD` is above each wrong call: Python raises an error, and type
checkers refuse the call by a message that holds the word. Where the comment is
`# only pyright: WORD`, only pyright refuses the call: to mypy, TensorFlow has no types.
"""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import tf_patches
from tf_patches import layers, slides
from tf_patches.typing import Integers, Mode, TensorLike

images = tf.zeros([2, 20, 20, 3])
array = np.zeros([2, 20, 20, 3], np.float32)
window = np.hanning(8)[:, np.newaxis] * np.hanning(8)
masks = tf.zeros([2, 20, 20, 1], tf.uint8)

# Patches of a grid.

patches: tf.Tensor = tf_patches.extract_patches(images, 8)
tf_patches.extract_patches(array, [8, 8], strides=(4, 4), rates=np.int64(2))
tf_patches.extract_patches(array.tolist(), np.array([1, 8, 8, 1]), padding="same")
tf_patches.extract_patches(tf.Variable(images), 8, mode="REFLECT", padding="SAME")
tf_patches.extract_patches(images, 8, padding=[[0, 0], (1, 1), [1, 1], (0, 0)])
tf_patches.extract_patches(images, 8, padding="SAME", constant_values=np.float32(1))
tf_patches.extract_image_patches(images, [1, 8, 8, 1], 4, 1, "VALID", name="patches")
tf_patches.extract_volume_patches(images[tf.newaxis], 2, 2, "VALID", rates=[1, 2, 2])
tf_patches.fold_patches(patches, [None, 20, 20, 3], 8)
tf_patches.fold_patches(patches, images.shape, 8, reduction="mean", weights=window)
tf_patches.fold_patches(patches, tf.shape(images), 8)
total = tf.reduce_sum(patches * 2 + patches[0])
height: int | None = patches.shape[1]


def reflected(x: TensorLike, sizes: Integers, mode: Mode = "REFLECT") -> tf.Tensor:
    return tf_patches.extract_patches(x, sizes, padding="SAME", mode=mode)


reflected(images, [3, 3], "edge")

# wrong: sizes
tf_patches.extract_patches(images)
# wrong: images
tf_patches.extract_patches(images="images.png", sizes=8)
# wrong: images
tf_patches.extract_patches(images=None, sizes=8)
# wrong: sizes
tf_patches.extract_patches(images, sizes="8")
# wrong: sizes
tf_patches.extract_patches(images, sizes=8.5)
# only pyright: Tensor
tf_patches.extract_patches(images, tf.constant(8))
# wrong: 'full'
tf_patches.extract_patches(images, 8, padding="full")
# wrong: padding
tf_patches.extract_patches(images, 8, padding=1)
# wrong: 'MIRROR'
tf_patches.extract_patches(images, 8, padding="SAME", mode="MIRROR")
# wrong: constant_values
tf_patches.extract_patches(images, 8, padding="SAME", constant_values="0")
# wrong: size
tf_patches.extract_patches(images, size=8)
# wrong: positional
tf_patches.extract_patches(images, 8, 8, 1, "VALID", None, "EDGE")
# wrong: ksizes
tf_patches.extract_image_patches(images, ksizes="8", strides=8, rates=1, padding="SAME")
# wrong: padding
tf_patches.extract_volume_patches(images[tf.newaxis], 2, 2)
# wrong: image_shape
tf_patches.fold_patches(patches, image_shape=400, sizes=8)
# wrong: 'max'
tf_patches.fold_patches(patches, images.shape, 8, reduction="max")
# wrong: 'edges'
reflected(images, [3, 3], "edges")

# Patches at positions, and random ones.

placed: tf.Tensor = tf_patches.extract_patches_at(images, [[0, 0], [5, 5]], 8)
tf_patches.extract_patches_at(images, np.zeros([3, 2], int), 8, flips=[True, False])
tf_patches.fold_patches_at(placed, [[0, 0], [5, 5]], images.shape, reduction="max")
cut: tf.Tensor = tf_patches.stateless_random_patches(images, 4, 8, seed=[1, 2])
crops, labels = tf_patches.stateless_random_patches((images, masks), 4, 8, [1, 2])
named: dict[str, tf.Tensor] = tf_patches.stateless_random_patches(
    {"images": images, "masks": masks}, 4, 8, [1, 2], flips="all"
)
found = tf_patches.stateless_random_patches(
    images, 4, 8, [1, 2], return_positions=True, weights=tf.ones([2, 20, 20])
)
crops, positions, flips = found

# wrong: positions
tf_patches.extract_patches_at(images, positions=5, sizes=8)
# wrong: sizes
tf_patches.extract_patches_at(images, [[0, 0]])
# wrong: 'median'
tf_patches.fold_patches_at(placed, [[0, 0], [5, 5]], images.shape, reduction="median")
# wrong: stateless_random_patches
tf_patches.stateless_random_patches(images, 4, 8)
# wrong: stateless_random_patches
tf_patches.stateless_random_patches(images, 4, 8, [1, 2], flips="diagonal")
# wrong: stateless_random_patches
tf_patches.stateless_random_patches("images.png", 4, 8, [1, 2])

# Tiles.

tiling = tf_patches.Tiling([20, 20], 8, overlap=0.25, remainder="spread")
tf_patches.Tiling(images.shape[1:-1], [8, 8], stride=4, mode="edge")
tf_patches.Tiling(tf.shape(images)[1:-1], 8)
tiles: tf.Tensor = tiling.cut(images)
two: Any = tiling.cut({"images": images, "masks": masks}, indices=[0, 3])
merged: tf.Tensor = tiling.merge(tiles, "gaussian")
tiling.merge(tiles, blend=np.ones([8, 8]))
tiling.merge(tiles, blend=[np.ones(8), np.ones(8)])
begins = tiling.positions[0].tolist()

# wrong: tile_size
tf_patches.Tiling([20, 20])
# wrong: overlap
tf_patches.Tiling([20, 20], 8, overlap="half")
# wrong: 'keep'
tf_patches.Tiling([20, 20], 8, remainder="keep")
# wrong: cut
tiling.cut("images.png")
# wrong: merge
tiling.merge(tiles, "triangle")
# wrong: shuffle
tiling.shuffle()

# Layers.

layer = layers.ExtractPatches(8, strides=(4, 4), padding="same", mode="reflect")
layer(images)
layers.ExtractPatches(8, padding=((1, 1), (2, 2)), name="patches")
layers.FoldPatches(8, image_size=(20, 20), reduction="mean")
layers.RandomPatches(4, size=8, seed=1, flips="horizontal")

# wrong: size
layers.ExtractPatches()
# wrong: 'full'
layers.ExtractPatches(8, padding="full")
# wrong: 'max'
layers.FoldPatches(8, reduction="max")
# wrong: 'diagonal'
layers.RandomPatches(4, size=8, flips="diagonal")

# Slides.

slide = slides.open(array[0], mpp=0.5)
grey: np.ndarray = slide.thumbnail(most=10)
region: tf.Tensor = slide.read(0, 0, 8, 8, mpp=1)
dataset: tf.data.Dataset = slide.patches(8, stride=[4, 4], padding="SAME", mode="EDGE")
heat_map = slides.score(slide, lambda x: x[:, 0, 0, 0], 8, 4, progress=False)
rows, cols = heat_map.grid.counts
slides.predict(array[0], lambda x: x, 8, 0.5, blend="hann", mode="EDGE", progress=False)
slides.overlay(heat_map, Path("scores.png"), colormap="magma", limits=(0, 1))

# wrong: 'FULL'
slide.patches(8, padding="FULL")
# wrong: size
slide.patches(size="8")
# wrong: level
slide.read(0, 0, 8, 8, levels=1)
# wrong: model
slides.score(slide)
# wrong: blend
slides.predict(slide, lambda x: x, 8, blend="triangle")
# wrong: mode
slides.score(slide, lambda x: x[:, 0, 0, 0], size=8, mode="WRAP")
# wrong: mask
slide.patches(8, mask="tissue")
# wrong: row
slide.read(row="0", col=0, rows=8, cols=8)

# Others.

build: dict[str, Any] = tf_patches.build_info()
freed: int = tf_patches.clear_result_cache()
on: bool = tf_patches.is_accelerated()

# wrong: gradient
tf_patches.accelerate(gradient=True)
# wrong: out_dir
tf_patches.to_builtin("model.keras")
