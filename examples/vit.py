"""A vision transformer that reads handwritten digits, patch by patch.

python examples/vit.py
"""

import keras
import numpy as np
from sklearn.datasets import load_digits

from tf_patches.layers import ExtractPatches

SIDE, PATCH, WIDTH, CLASSES = 8, 2, 32, 10
TOKENS = (SIDE // PATCH) ** 2


def vision_transformer(blocks: int = 1) -> keras.Model:
    """Patches become tokens; attention lets every token see all others."""
    images = keras.Input([SIDE, SIDE, 1])
    patches = ExtractPatches(PATCH)(images)
    tokens = keras.layers.Reshape([TOKENS, PATCH * PATCH])(patches)
    tokens = keras.layers.Dense(WIDTH)(tokens)
    places = keras.layers.Embedding(TOKENS, WIDTH)(np.arange(TOKENS)[np.newaxis])
    tokens = tokens + places
    for _ in range(blocks):
        normal = keras.layers.LayerNormalization()(tokens)
        attention = keras.layers.MultiHeadAttention(num_heads=4, key_dim=WIDTH // 4)
        tokens = tokens + attention(normal, normal)
        normal = keras.layers.LayerNormalization()(tokens)
        wide = keras.layers.Dense(2 * WIDTH, activation="gelu")(normal)
        tokens = tokens + keras.layers.Dense(WIDTH)(wide)
    summary = keras.layers.Flatten()(keras.layers.LayerNormalization()(tokens))
    return keras.Model(images, keras.layers.Dense(CLASSES)(summary))


def main(epochs: int = 10) -> float:
    """Trains on 1500 digits; gives the accuracy on the other 297."""
    keras.utils.set_random_seed(1)
    digits, labels = load_digits(return_X_y=True)
    digits = digits.reshape(-1, SIDE, SIDE, 1).astype("float32") / 16
    model = vision_transformer()
    model.compile(
        optimizer=keras.optimizers.Adam(3e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(digits[:1500], labels[:1500], batch_size=32, epochs=epochs, verbose=0)
    _, accuracy = model.evaluate(digits[1500:], labels[1500:], verbose=0)
    print(f"{accuracy:.0%} of 297 new digits are read right; chance is 10%.")
    return accuracy


if __name__ == "__main__":
    main()
