"""Models of any kind, as a function of a batch of patches."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tf_patches.arguments import invalid
from tf_patches.slides.resolution import Source

Predict = Callable[[tf.Tensor], np.ndarray]


def load_model(model: Any) -> Any:
    """The model of a path; what is no path is a model."""
    return _load(Path(model)) if isinstance(model, (str, os.PathLike)) else model


def weights_digest(model: Any) -> str | None:
    """What tells the weights of a model from others; a function has none."""
    signatures = getattr(model, "signatures", None)
    owners = [model]
    if isinstance(signatures, Mapping):
        owners += signatures.values()
    for owner in owners:
        variables = getattr(owner, "variables", None)
        if isinstance(variables, Sequence) and variables:
            break
    else:
        return None
    digest = hashlib.sha256()
    for variable in variables:
        digest.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return digest.hexdigest()[:16]


def read_model(model: Any) -> Predict:
    """A Keras model, a SavedModel, or a function.

    Keras models get patches of the dtype that they compute with, others get them as the
    slide has them. Both get numbers from 0 to 255.
    """
    if _is_keras(model):
        return _of_keras(model)
    signatures = getattr(model, "signatures", None)
    if not callable(model) and signatures:
        model = _of_signature(signatures)
    if not callable(model):
        raise TypeError(
            "model must be a Keras model, a SavedModel, the path of either, or a "
            f"function of a batch of patches, but got {model!r}."
        )
    return lambda patches: _only_output(model(patches))


def _load(path: Path) -> Any:
    if path.suffix in (".keras", ".h5"):
        import keras

        return keras.models.load_model(path, compile=False)
    if not path.exists():
        raise FileNotFoundError(f"There is no model {path}.")
    return tf.saved_model.load(str(path))


def _is_keras(model: Any) -> bool:
    import sys

    keras = sys.modules.get("keras")
    return keras is not None and isinstance(model, keras.Layer)


def _of_keras(model: Any) -> Predict:
    dtype = model.compute_dtype

    @tf.function(autograph=False)
    def run(patches: tf.Tensor) -> Any:
        return model(tf.cast(patches, dtype), training=False)

    return lambda patches: _only_output(run(patches))


def _of_signature(signatures: Any) -> Callable[[tf.Tensor], Any]:
    function = signatures.get("serving_default") or next(iter(signatures.values()))
    arguments = function.structured_input_signature[1]
    if len(arguments) != 1:
        invalid(
            f"model must take patches alone, but its signature takes "
            f"{', '.join(arguments)}. Give a function that calls it."
        )
    ((name, spec),) = arguments.items()
    return lambda patches: function(**{name: tf.cast(patches, spec.dtype)})


def _only_output(outputs: Any) -> np.ndarray:
    flat = tf.nest.flatten(outputs)
    if len(flat) != 1:
        invalid(
            f"model must give one tensor, but gave {len(flat)}. Give a function that "
            "chooses one."
        )
    return np.asarray(flat[0])


def predict_padded(predict: Predict, patches: tf.Tensor, batch_size: int) -> np.ndarray:
    """Predicts patches in batches that all have one size.

    A model may round otherwise for another size of the batch. The last batch is filled
    up with its first patch.
    """
    results = []
    for first in range(0, len(patches), batch_size):
        batch = patches[first : first + batch_size]
        count = len(batch)
        if count < batch_size:
            fill = tf.repeat(batch[:1], batch_size - count, axis=0)
            batch = tf.concat([batch, fill], 0)
        result = predict(batch)
        if result.ndim == 0 or len(result) != batch_size:
            invalid(
                f"model must give a result for each of the {batch_size} patches of a "
                f"batch, but gave shape {list(result.shape)}."
            )
        results.append(result[:count])
    return results[0] if len(results) == 1 else np.concatenate(results)


def try_model(
    predict: Predict, source: Source, sizes: Sequence[int], batch_size: int
) -> np.ndarray:
    """What a model makes of a patch, found by running it once."""
    if not isinstance(batch_size, int) or batch_size < 1:
        invalid(f"batch_size must be an int above 0, but got {batch_size!r}.")
    patches = tf.zeros([batch_size, *sizes, source.depth], source.dtype)
    return predict_padded(predict, patches, batch_size)[0]
