"""Trains a model on a part of a slide, and draws its heat map of the whole slide.

python examples/slide.py [SLIDE [HEAT_MAP.png]]

SLIDE is any file that OpenSlide reads, stained with haematoxylin. By default it is a
small picture that scikit-image brings.
"""

import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from skimage import data
from skimage.color import rgb2hed
from skimage.filters import threshold_otsu

from tf_patches import slides

MOST = 2000  # patches to train and to check with: memory holds them for any slide


def nuclei_fractions(patches: np.ndarray) -> np.ndarray:
    """How much of each patch took haematoxylin, the stain of nuclei."""
    stained = rgb2hed(patches)[..., 0]
    # Ink takes far more than any nucleus, and would move the threshold.
    usual = np.clip(stained, *np.quantile(stained, [0.01, 0.99]))
    is_nucleus = stained > threshold_otsu(usual)
    return is_nucleus.mean((1, 2), dtype=np.float32)


def train(patches: np.ndarray, fractions: np.ndarray) -> keras.Model:
    """Trains a small CNN to tell the fractions, the same way each time.

    Args:
      patches: `[count, size, size, 3]`, uint8.
      fractions: `[count]`, 0 to 1.

    Returns:
      A model of `[count, size, size, 3]`, with scores `[count, 1]`.
    """
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [
            keras.Input(patches.shape[1:], dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 5, strides=5, activation="relu"),
            keras.layers.Conv2D(16, 3, strides=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss="mse")
    model.fit(patches, fractions, batch_size=16, epochs=15, verbose=0)
    return model


def train_on_lower_half(
    slide: slides.Slide, size: int, stride: int, **tissue: Any
) -> keras.Model:
    """Trains a model to tell how much of a patch is nuclei."""
    half = slide.levels[0].rows // 2
    patches = slide.patches(size, stride, **tissue)
    lower = patches.filter(lambda patch: patch["position"][0] >= half)
    seen = np.stack([patch["patches"] for patch in lower.take(MOST)])
    return train(seen, nuclei_fractions(seen))


def agreement_on_upper_half(
    heat_map: slides.HeatMap, size: int, stride: int, **tissue: Any
) -> float:
    """How scores correlate with the nuclei of patches that were not trained on."""
    half = heat_map.slide.levels[0].rows // 2
    patches = heat_map.slide.patches(size, stride, **tissue)
    upper = patches.filter(lambda patch: patch["position"][0] + size <= half)
    unseen = list(upper.take(MOST))
    fractions = nuclei_fractions(np.stack([patch["patches"] for patch in unseen]))
    rows, cols = np.transpose([patch["cell"] for patch in unseen])
    return float(np.corrcoef(heat_map.scores[rows, cols, 0], fractions)[0, 1])


def main(
    path: str | None = None, out: str = "heat_map.png", size: int = 64, stride: int = 24
) -> float:
    """Scores a slide; gives the correlation on the half that the model has not seen."""
    slide = slides.open(data.immunohistochemistry() if path is None else path)
    print(slide)
    model = train_on_lower_half(slide, size, stride, mask="otsu")
    heat_map = slides.score(slide, model, size, stride, mask="otsu")
    slides.overlay(heat_map, out, colormap="magma")
    agreement = agreement_on_upper_half(heat_map, size, stride, mask="otsu")
    rows, cols = heat_map.grid.counts
    print(f"Wrote {out}: {rows} x {cols} patches, with nuclei bright.")
    print(f"On the half that was not trained on, the correlation is {agreement:.2f}.")
    return agreement


if __name__ == "__main__":
    tf.get_logger().setLevel("ERROR")
    main(*sys.argv[1:])
