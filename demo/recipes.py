"""What people do with patches, as small functions to copy.

Each takes `library` first, so that the demo can run it with this package and
with TensorFlow's own op. In code of your own, write `tf_patches` in its place.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

SOLID = [1, 1, 1, 1]


def square_patches(
    library: Any, images: tf.Tensor, size: int, stride: int, padding: str = "VALID"
) -> tf.Tensor:
    """Patches of size x size pixels, one every `stride` pixels each way."""
    return library.extract_patches(
        images,
        sizes=[1, size, size, 1],
        strides=[1, stride, stride, 1],
        rates=SOLID,
        padding=padding,
    )


def fold_square_patches(
    library: Any,
    patches: tf.Tensor,
    image_shape: Sequence[int],
    size: int,
    stride: int,
) -> tf.Tensor:
    """Sums what `square_patches` extracts back into images."""
    return library.fold_patches(
        patches,
        image_shape,
        sizes=[1, size, size, 1],
        strides=[1, stride, stride, 1],
        rates=SOLID,
        padding="VALID",
    )


def as_pictures(patches: tf.Tensor, size: int) -> tf.Tensor:
    """One image's square patches to look at: `[rows, cols, size, size, depth]`."""
    _, rows, cols, values = patches.shape
    return tf.reshape(patches, [rows, cols, size, size, values // (size * size)])


# The documented examples.


def one_to_hundred() -> tf.Tensor:
    """An image of ten rows of ten numbers."""
    return tf.reshape(tf.range(1, 101), [1, 10, 10, 1])


def documented_examples(library: Any, image: tf.Tensor) -> Iterator[tf.Tensor]:
    """What TensorFlow's documentation does with that image."""
    three, four = [1, 3, 3, 1], [1, 4, 4, 1]
    five_apart, seven_apart = [1, 5, 5, 1], [1, 7, 7, 1]
    spread = [1, 2, 2, 1]
    yield library.extract_patches(image, three, five_apart, SOLID, "VALID")
    yield library.extract_patches(image, three, five_apart, spread, "VALID")
    yield library.extract_patches(image, four, seven_apart, SOLID, "VALID")
    yield library.extract_patches(image, four, seven_apart, SOLID, "SAME")


DOCUMENTED_ANSWERS = (
    [
        [
            [1, 2, 3, 11, 12, 13, 21, 22, 23],
            [6, 7, 8, 16, 17, 18, 26, 27, 28],
        ],
        [
            [51, 52, 53, 61, 62, 63, 71, 72, 73],
            [56, 57, 58, 66, 67, 68, 76, 77, 78],
        ],
    ],
    [
        [
            [1, 3, 5, 21, 23, 25, 41, 43, 45],
            [6, 8, 10, 26, 28, 30, 46, 48, 50],
        ],
        [
            [51, 53, 55, 71, 73, 75, 91, 93, 95],
            [56, 58, 60, 76, 78, 80, 96, 98, 100],
        ],
    ],
    [[[1, 2, 3, 4, 11, 12, 13, 14, 21, 22, 23, 24, 31, 32, 33, 34]]],
    [
        [
            [1, 2, 3, 4, 11, 12, 13, 14, 21, 22, 23, 24, 31, 32, 33, 34],
            [8, 9, 10, 0, 18, 19, 20, 0, 28, 29, 30, 0, 38, 39, 40, 0],
        ],
        [
            [71, 72, 73, 74, 81, 82, 83, 84, 91, 92, 93, 94, 0, 0, 0, 0],
            [78, 79, 80, 0, 88, 89, 90, 0, 98, 99, 100, 0, 0, 0, 0, 0],
        ],
    ],
)


# The old name.


def old_name(library: Any, images: tf.Tensor, size: int) -> Iterator[tf.Tensor]:
    """As code for TensorFlow 1 calls it: by position, and by keyword."""
    ksizes = [1, size, size, 1]
    yield library.extract_image_patches(images, ksizes, ksizes, SOLID, "VALID")
    yield library.extract_image_patches(
        images=images, ksizes=ksizes, strides=ksizes, rates=SOLID, padding="SAME"
    )


# Patches as the input of a model.


def labelled_crops(
    library: Any, pictures: Sequence[tf.Tensor], size: int, across: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """`across` x `across` crops of each picture, and which picture each is of."""
    crops = []
    for picture in pictures:
        rows, cols, depth = picture.shape
        stride = (min(rows, cols) - size) // (across - 1)
        patches = square_patches(library, picture[tf.newaxis], size, stride)
        grid = patches[:, :across, :across]
        crops.append(tf.reshape(grid, [-1, size, size, depth]))
    return tf.concat(crops, 0), tf.repeat(tf.range(len(crops)), across * across)


def cnn_batch(library: Any, images: tf.Tensor, size: int) -> tf.Tensor:
    """Every patch as an example of its own: `[batch * count, size, size, depth]`."""

    @tf.function
    def cut(images: tf.Tensor) -> tf.Tensor:
        patches = square_patches(library, images, size, stride=size)
        return tf.reshape(patches, [-1, size, size, images.shape[-1]])

    return cut(images)


def small_vit(
    library: Any, image_shape: Sequence[int], size: int, classes: int
) -> keras.Model:
    """A small vision transformer that cuts its patches in a Lambda layer.

    They are patches of features, so that training sends gradients through them.
    """
    images = keras.Input(image_shape)
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(images)
    features = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(scaled)
    patches = keras.layers.Lambda(
        lambda features: square_patches(library, features, size, stride=size)
    )(features)
    # [batch, rows, cols, values] becomes [batch, count, values].
    tokens = keras.layers.Reshape([-1, patches.shape[-1]])(patches)
    tokens = keras.layers.Dense(32)(tokens)
    tokens += keras.layers.Attention(use_scale=True)([tokens, tokens])
    tokens = keras.layers.LayerNormalization()(tokens)
    summary = keras.layers.GlobalAveragePooling1D()(tokens)
    return keras.Model(images, keras.layers.Dense(classes)(summary))


def fit_vit(
    library: Any, images: tf.Tensor, labels: tf.Tensor, size: int, classes: int
) -> Iterator[tf.Tensor]:
    """Trains the small transformer; gives all its weights, then its answers."""
    keras.utils.set_random_seed(1)
    model = small_vit(library, images.shape[1:], size, classes)
    model.compile(
        optimizer=keras.optimizers.Adam(5e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(images, labels, batch_size=30, epochs=5, verbose=0)
    yield tf.concat([tf.reshape(weight, [-1]) for weight in model.get_weights()], 0)
    yield model(images)


# Tiling one image.


def reflect_border(image: tf.Tensor, size: int, margin: int) -> tf.Tensor:
    """Reflects an image's border outward, until tiles cover all of the image."""
    rows, cols, _ = image.shape
    own = size - 2 * margin
    return tf.pad(
        image,
        [[margin, margin + -rows % own], [margin, margin + -cols % own], [0, 0]],
        mode="REFLECT",
    )


def cut_tiles(library: Any, image: tf.Tensor, size: int, margin: int = 0) -> tf.Tensor:
    """Cuts an image into tiles, and loses no pixel.

    Args:
      library: `tf_patches`.
      image: `[rows, cols, depth]`.
      size: The rows, and cols, of a tile.
      margin: The pixels around a tile's own that its neighbours have too.

    Returns:
      The tiles, `[tile_rows, tile_cols, size, size, depth]`.
    """
    padded = reflect_border(image, size, margin)
    patches = square_patches(library, padded[tf.newaxis], size, size - 2 * margin)
    return as_pictures(patches, size)


def put_back(
    library: Any, tiles: tf.Tensor, rows: int, cols: int, margin: int = 0
) -> tf.Tensor:
    """Puts the tiles of `cut_tiles` back: the mean, where they overlap.

    Args:
      library: `tf_patches`.
      tiles: `[tile_rows, tile_cols, size, size, depth]`, floating.
      rows: The rows of the image.
      cols: The cols of the image.
      margin: As given to `cut_tiles`.

    Returns:
      The image, `[rows, cols, depth]`.
    """
    tile_rows, tile_cols, size, _, depth = tiles.shape
    own = size - 2 * margin
    padded_shape = [
        1,
        tile_rows * own + 2 * margin,
        tile_cols * own + 2 * margin,
        depth,
    ]
    patches = tf.reshape(tiles, [1, tile_rows, tile_cols, -1])
    ones = tf.ones_like(patches)
    total = fold_square_patches(library, patches, padded_shape, size, own)
    count = fold_square_patches(library, ones, padded_shape, size, own)
    return (total / count)[0, margin : margin + rows, margin : margin + cols]


# A volume, in blocks that overlap.


def in_blocks(
    library: Any,
    volume: tf.Tensor,
    model: Callable[[tf.Tensor], tf.Tensor],
    size: int,
    stride: int,
    blocks_at_once: int = 64,
) -> tf.Tensor:
    """What a model makes of a volume, block by block: the mean, where blocks overlap.

    Blocks that do not fit see the volume reflected beyond its end.

    Args:
      library: `tf_patches`.
      volume: `[planes, rows, cols, depth]`, floating.
      model: Makes `[blocks, size, size, size, values]` of blocks of that shape.
      size: The planes, rows and cols of a block.
      stride: The pixels from one block to the next, at most `size`.
      blocks_at_once: How many blocks the model is given at once.

    Returns:
      `[planes, rows, cols, values]`, of every pixel of the volume.
    """
    grid = {"sizes": size, "strides": stride, "padding": "SAME"}
    patches = library.extract_patches(volume[tf.newaxis], **grid, mode="REFLECT")
    blocks = tf.reshape(patches, [-1, size, size, size, volume.shape[-1]])
    parts = range(0, len(blocks), blocks_at_once)
    made = tf.concat([model(blocks[i : i + blocks_at_once]) for i in parts], 0)
    values = made.shape[-1]
    # Without a mode the fold drops what lies beyond the volume.
    total = library.fold_patches(
        tf.reshape(made, [*patches.shape[:-1], -1]),
        [1, *volume.shape[:-1], values],
        **grid,
    )
    ones = tf.ones([*patches.shape[:-1], size**3], made.dtype)
    times = library.fold_patches(ones, [1, *volume.shape[:-1], 1], **grid)
    return (total / times)[0]


# A slide, with more patches than memory holds.


def slide_bands(
    slide: tf.Tensor, size: int, stride: int, rows_at_once: int
) -> Iterator[tf.Tensor]:
    """Cuts a slide into bands `[1, rows, cols, depth]`, of some rows of patches each.

    The bands' patches with padding VALID are the slide's with padding SAME.
    """
    count, *above_and_below = same_padding(slide.shape[0], size, stride)
    _, *left_and_right = same_padding(slide.shape[1], size, stride)
    padded = tf.pad(slide, [above_and_below, left_and_right, [0, 0]])[tf.newaxis]
    for first in range(0, count, rows_at_once):
        last = min(first + rows_at_once, count) - 1
        yield padded[:, first * stride : last * stride + size]


def same_padding(pixels: int, size: int, stride: int) -> tuple[int, int, int]:
    """How many patches padding SAME gives, and the zeros that it adds at each end."""
    count = -(-pixels // stride)
    zeros = max((count - 1) * stride + size - pixels, 0)
    return count, zeros // 2, zeros - zeros // 2


def slide_patches(
    library: Any, slide: tf.Tensor, size: int, stride: int, rows_at_once: int
) -> Iterator[tf.Tensor]:
    """All patches of a slide, some rows of them at a time, as pictures."""
    for band in slide_bands(slide, size, stride, rows_at_once):
        yield as_pictures(square_patches(library, band, size, stride), size)


def score_patches(model: keras.Model, patches: tf.Tensor) -> tf.Tensor:
    """A model's score of each of `[rows, cols, size, size, depth]` patches."""
    rows, cols, *picture_shape = patches.shape
    scores = model(tf.reshape(patches, [-1, *picture_shape]))
    return tf.reshape(scores, [rows, cols])


def heat_map(model: keras.Model, bands: Iterable[tf.Tensor]) -> tf.Tensor:
    """A model's score of every patch of a slide, in the place of the patch."""
    return tf.concat([score_patches(model, patches) for patches in bands], 0)
