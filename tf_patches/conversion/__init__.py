"""The public function: models made to run without this package."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from tf_patches.conversion.errors import ConversionError

__all__ = ["Conversion", "ConversionError", "to_builtin"]


class Conversion(NamedTuple):
    """What was done.

    Attributes:
      converted: How many nodes were replaced, by the op that they were.
      checked: The functions that ran before and after, and gave the same bits.
    """

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
    `TFPatches>FoldPatches` a function of TensorFlow's ops that sums in the same
    order, also in saved training steps. With `plain`, both ops and
    `ExtractImagePatches` become reshapes, transposes, slices, gathers and
    additions, which TFLite, ONNX and other formats know too.

    Predictions and gradients stay the same to the bit. Both models are run to
    check it before anything appears in `out_dir`; `model` is only read.

    Args:
      model: A Keras model, the path of a `.keras` file, or a SavedModel's folder.
      out_dir: The folder to write, which must not exist or be empty.
      inputs: What to run the models on: a dictionary from the name of a signature
        or function (`serve` in Keras models) to its arguments, a list or a
        dictionary by name; only the functions named are run. By default, all
        functions that hold the ops are run on random numbers.
      plain: Whether to use only operations that every exporter knows. Rows and
        cols that the model leaves open are computed; models with known rows and
        cols are simpler and faster. A VALID patch larger than such an image gives
        no patches, not an error. A fold takes an addition for each patch over a
        pixel (`ceil(size / stride)` along an axis at rate 1), at most 1024.

    Returns:
      A `Conversion`: `converted`, how many nodes there were of each op, and
      `checked`, the names of the functions that were run.

    Raises:
      ConversionError: A ValueError. If the model is damaged, holds none of the
        ops or links to files elsewhere, if it cannot be run on generated inputs
        (pass `inputs`), or if it gives other results after. Nothing is written.
      FileNotFoundError: If there is no model.
      FileExistsError: If `out_dir` is a file or a folder that is not empty.

    Warns:
      UserWarning: If a function's results differ from run to run, so that they
        cannot be compared.

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
            if not converted:
                raise ConversionError(
                    f"Nothing to convert: the model holds no {' or '.join(ops)}"
                )
            checked = [
                name
                for each in tags
                for name in check.same_results(source, made, each, ops, inputs)
            ]
    return Conversion(converted, checked)
