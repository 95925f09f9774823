"""The rows of the table: which recipe, on which picture, with which patches."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf

from demo import recipes
from demo.comparison import Case
from demo.recipes import square_patches

ASTRONAUT_SIZE = 64
CROP_SIZE, CROPS, TOKEN_SIZE = 64, 100, 16
TILE_SIZE, TILE_STRIDE = 384, 288
SLIDE_SIZE, SLIDE_STRIDE, ROWS_AT_ONCE = 299, 128, 2


def all_cases(
    pictures: Mapping[str, tf.Tensor], large_slide: tf.Tensor, model: keras.Model
) -> list[Case]:
    """Every row of the table."""
    crops, labels = recipes.labelled_crops(list(pictures.values()), CROP_SIZE, CROPS)
    retina = pictures["retina"]
    return [
        documented_examples(),
        old_name(pictures["astronaut"]),
        cnn(crops),
        vit(crops, labels, classes=len(pictures)),
        tiles("A retina in tiles", retina, TILE_SIZE),
        tiles_put_back("Those tiles, put back", retina),
        tiles("A retina in tiles that overlap", retina, TILE_STRIDE),
        slide(pictures["slide"]),
        slide_in_bands(large_slide, model),
    ]


def documented_examples() -> Case:
    """The numbers are those that TensorFlow's documentation prints."""
    image = recipes.one_to_hundred()
    return Case(
        title="Documented examples",
        input=image,
        results=lambda library: recipes.documented_examples(library, image),
        timed=lambda library: next(recipes.documented_examples(library, image)),
        steps=len(recipes.DOCUMENTED_ANSWERS),
        answers=[tf.constant([answer]) for answer in recipes.DOCUMENTED_ANSWERS],
    )


def old_name(picture: tf.Tensor) -> Case:
    """As code written for TensorFlow 1 has it."""
    batch = picture[tf.newaxis]
    return Case(
        title="An astronaut, by the old name",
        input=batch,
        results=lambda library: recipes.old_name(library, batch, ASTRONAUT_SIZE),
        timed=lambda library: next(recipes.old_name(library, batch, ASTRONAUT_SIZE)),
        steps=2,
    )


def cnn(crops: tf.Tensor) -> Case:
    """Every patch is an example of its own."""
    return Case(
        title="Input of a CNN, in tf.function",
        input=crops,
        results=lambda library: [recipes.cnn_batch(library, crops, TOKEN_SIZE)],
        timed=lambda library: square_patches(library, crops, TOKEN_SIZE, TOKEN_SIZE),
    )


def vit(crops: tf.Tensor, labels: tf.Tensor, classes: int) -> Case:
    """Every patch is a token; the weights are compared after training."""
    floats = tf.cast(crops, tf.float32)
    return Case(
        title="Input of a ViT that trains",
        input=floats,
        results=lambda library: recipes.fit_vit(
            library, crops, labels, TOKEN_SIZE, classes
        ),
        timed=lambda library: square_patches(library, floats, TOKEN_SIZE, TOKEN_SIZE),
        steps=2,
    )


def tiles(title: str, picture: tf.Tensor, stride: int) -> Case:
    """A picture cut up."""
    batch = picture[tf.newaxis]

    def cut(library: Any) -> tf.Tensor:
        return square_patches(library, batch, TILE_SIZE, stride, "SAME")

    return Case(title, batch, results=lambda library: [cut(library)], timed=cut)


def tiles_put_back(title: str, picture: tf.Tensor) -> Case:
    """The picture again, from tiles side by side."""
    batch = tf.cast(picture, tf.float32)[tf.newaxis]
    patches = square_patches(tf.image, batch, TILE_SIZE, TILE_SIZE, "SAME")

    def put_back(library: Any) -> tf.Tensor:
        return recipes.fold_square_patches(
            library, patches, batch.shape.as_list(), TILE_SIZE, TILE_SIZE, "SAME"
        )

    return Case(
        title,
        patches,
        results=lambda library: [put_back(library)],
        timed=put_back,
        answers=[batch],
    )


def slide(picture: tf.Tensor) -> Case:
    """Every patch of a slide, which are also those of its bands."""
    batch = picture[tf.newaxis]
    at_once = square_patches(tf.image, batch, SLIDE_SIZE, SLIDE_STRIDE, "SAME")
    return Case(
        title="A slide",
        input=batch,
        results=lambda library: [tf.concat(list(slide_patches(library, picture)), 0)],
        timed=lambda library: square_patches(
            library, batch, SLIDE_SIZE, SLIDE_STRIDE, "SAME"
        ),
        answers=[recipes.as_pictures(at_once, SLIDE_SIZE)],
    )


def slide_in_bands(picture: tf.Tensor, model: keras.Model) -> Case:
    """Every patch of a large slide and its score, in bounded memory."""
    bands = list(recipes.slide_bands(picture, SLIDE_SIZE, SLIDE_STRIDE, ROWS_AT_ONCE))

    def results(library: Any) -> Iterator[tf.Tensor]:
        for patches in slide_patches(library, picture):
            yield patches
            yield recipes.score_patches(model, patches)

    return Case(
        title=f"It enlarged: one of {len(bands)} bands",
        input=bands[0],
        results=results,
        timed=lambda library: square_patches(
            library, bands[0], SLIDE_SIZE, SLIDE_STRIDE
        ),
        steps=2 * len(bands),
    )


def slide_patches(library: Any, picture: tf.Tensor) -> Iterator[tf.Tensor]:
    """The patches of the slide's recipes."""
    return recipes.slide_patches(
        library, picture, SLIDE_SIZE, SLIDE_STRIDE, ROWS_AT_ONCE
    )
