"""Real pictures, out of the files that the scikit-image wheel carries."""

from importlib.resources import files

import tensorflow as tf

PICTURES = {
    "slide": "ihc.png",
    "retina": "retina.jpg",
    "astronaut": "astronaut.png",
}


def read_pictures() -> dict[str, tf.Tensor]:
    """Reads every picture, as uint8 `[rows, cols, 3]`."""
    folder = files("skimage") / "data"
    return {
        name: tf.io.decode_image((folder / file).read_bytes(), channels=3)
        for name, file in PICTURES.items()
    }


def enlarge(picture: tf.Tensor, factor: int) -> tf.Tensor:
    """Makes a picture `factor` times as large each way, as a closer scan would be."""
    rows, cols, _ = picture.shape
    larger = tf.image.resize(picture, [rows * factor, cols * factor], "bicubic")
    return tf.saturate_cast(tf.round(larger), picture.dtype)
