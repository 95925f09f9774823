"""The public function: models converted to run without this package."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from tf_patches.conversion.errors import ConversionError

__all__ = ["Conversion", "ConversionError", "to_builtin"]


class Conversion(NamedTuple):
    """What was replaced: nodes by op; and which functions gave the same bits after."""

    converted: dict[str, int]
    checked: list[str]


def to_builtin(
    model: Any,
    out_dir: str | os.PathLike[str],
    inputs: Any = None,
    *,
    plain: bool = False,
) -> Conversion:
    """Converts a model to a SavedModel that runs without this package.

    `TFPatches>ExtractPatches` becomes TensorFlow's own `ExtractImagePatches`, and
    `TFPatches>FoldPatches` a function that sums in the same order, also in saved
    training steps. With `plain`, both and `ExtractImagePatches` become reshapes,
    transposes, slices, gathers and additions, for TFLite, ONNX and other formats.

    Both models are run and must give the same bits before anything appears in
    `out_dir`; `model` is only read.

    Args:
      model: A Keras model, the path of a `.keras` file, or a SavedModel's folder.
      out_dir: The folder to write, which must not exist or be empty.
      inputs: What to run the models on: a dictionary from the name of a signature
        or function (in Keras models: `serve`) to its arguments, a list or a
        dictionary by name. By default, all functions that hold the ops are run on
        random numbers.
      plain: Whether to use only operations that every exporter knows. Any batch,
        rows and cols work; known rows and cols make smaller, faster models. An
        image too small for a VALID patch then gives no patches, not an error.

    Returns:
      A `Conversion`: `converted`, how many nodes there were of each op, and
      `checked`, the names of the functions that were run.

    Raises:
      ConversionError: A ValueError: if the model is damaged, holds none of the ops
        or links to files elsewhere; if more than 4096 patches of a fold cover a
        pixel; if inputs cannot be generated (pass `inputs`); if results differ.
      OSError: If there is no model, or something at `out_dir`.

    Warns:
      UserWarning: If results differ from run to run, and cannot be compared.

    Examples:
      >>> import tempfile
      >>> grid = dict(sizes=[1, 3, 3, 1], strides=[1, 2, 2, 1],
      ...             rates=[1, 1, 1, 1], padding="SAME")
      >>> module = tf.Module()
      >>> module.extract = tf.function(
      ...     lambda images: tf_patches.extract_patches(images, **grid),
      ...     input_signature=[tf.TensorSpec([None, None, None, 3])])
      >>> folder = tempfile.mkdtemp()
      >>> tf.saved_model.save(module, folder + "/ours")
      >>> done = tf_patches.to_builtin(folder + "/ours", folder + "/anywhere")
      >>> done.converted, done.checked
      ({'TFPatches>ExtractPatches': 1}, ['serving_default', 'extract'])
    """
    # Here, as most programs never convert anything.
    from tf_patches.conversion import check, graph, saved_model

    ops = [*graph.OURS, graph.BUILT_IN] if plain else graph.OURS
    out = Path(out_dir).resolve()
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise FileExistsError(f"{out_dir} already exists; choose another path")
    with saved_model.folder_of(model) as source:
        if source.resolve() in out.parents:
            raise ConversionError(f"{out_dir} is in {source}, which is only read")
        with saved_model.written(out) as made:
            converted, tags = saved_model.convert(source, made, ops)
            checks = [check.same_results((source, made), t, ops, inputs) for t in tags]
    return Conversion(converted, [name for names in checks for name in names])
