"""What people do with patches, as small functions to copy.

Those that TensorFlow's own op can do take `library` first, so that the demo can run
them with either. In code of your own, write `tf_patches` in its place.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

import tf_patches

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
    padding: str = "VALID",
) -> tf.Tensor:
    """Sums what `square_patches` extracts back into images."""
    return library.fold_patches(
        patches,
        image_shape,
        sizes=[1, size, size, 1],
        strides=[1, stride, stride, 1],
        rates=SOLID,
        padding=padding,
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
    pictures: Sequence[tf.Tensor], size: int, count: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """`count` random crops of each picture, and which picture each is of."""
    crops = [
        tf_patches.stateless_random_patches(picture[tf.newaxis], count, size, [1, i])[0]
        for i, picture in enumerate(pictures)
    ]
    return tf.concat(crops, 0), tf.repeat(tf.range(len(crops)), count)


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
