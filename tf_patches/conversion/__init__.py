"""The public function: models converted to run without this package."""

import os
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple


class ConversionError(ValueError):
    """Raised if a model cannot be converted, or gives other results afterwards.

    Examples:
      >>> import tempfile
      >>> folder = tempfile.mkdtemp()
      >>> tf.saved_model.save(tf.Module(), folder + "/empty", signatures={})
      >>> try:
      ...   tf_patches.to_builtin(folder + "/empty", folder + "/out")
      ... except tf_patches.ConversionError as error:
      ...   print(error)
      Nothing to convert: no TFPatches>ExtractPatches and no TFPatches>FoldPatches in it
    """


class Conversion(NamedTuple):
    """What `to_builtin` did.

    Attributes:
      converted: How many nodes were replaced, by the name of their op.
      checked: The names of the functions that gave the same bits before and after.

    Examples:
      >>> done = tf_patches.Conversion({"TFPatches>FoldPatches": 2}, ["serve"])
      >>> sum(done.converted.values())
      2
    """

    converted: dict[str, int]
    checked: list[str]


def to_builtin(
    model: Any,
    out_dir: str | os.PathLike[str],
    inputs: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    plain: bool = False,
) -> Conversion:
    """Converts a model to a SavedModel that runs without this package.

    Extraction becomes TensorFlow's own `ExtractImagePatches` or `ExtractVolumePatches`
    if they do the same. Otherwise it becomes a function of TensorFlow's ops: for
    signals, explicit padding, modes and constants other than zeros, and volumes with
    rates or of unknown extents. Folding becomes a function that sums in the same order.
    With `plain`, all ops become reshapes, transposes, slices, gathers and additions,
    for TFLite, ONNX and other formats. Both models are run. `out_dir` appears only if
    they give the same bits.

    Args:
      model: A Keras model, the path of a `.keras` file, or a SavedModel's folder.
      out_dir: The folder to write. It must be new or empty.
      inputs: What to run the models on, `{function: {argument: value}}`. Functions are
        named by signature or attribute (in Keras models: `serve`). By default, all
        functions that hold the ops are run on random numbers.
      plain: Whether to use only operations that every exporter knows. Batch, planes,
        rows and cols may be unknown; known sizes make smaller, faster models. An image
        that is too small for a VALID patch then gives no patches instead of an error.

    Returns:
      A `Conversion`: how many nodes of each op were `converted`, and the names of the
      functions that were `checked`. Functions whose results differ from run to run are
      named in a warning.

    Raises:
      ConversionError: A ValueError: if the model is damaged, holds none of the ops, or
        links to files elsewhere; if it holds ops at positions, or folds with weights or
        means; if a fold adds more than 4096 values to a pixel; if planes, rows or cols
        are unknown in a fold with a mode other than CONSTANT, or in
        `tf.extract_volume_patches` with `plain`; if inputs cannot be generated (pass
        `inputs`); or if results differ.
      OSError: If there is no model, or if `out_dir` exists and is not empty.

    Examples:
      >>> import tempfile
      >>> tiles = dict(sizes=[1, 2, 2, 1], strides=[1, 2, 2, 1],
      ...              rates=[1, 1, 1, 1], padding="VALID")
      >>> module = tf.Module()
      >>> module.extract = tf.function(
      ...     lambda images: tf_patches.extract_patches(images, **tiles),
      ...     input_signature=[tf.TensorSpec([None, None, None, 3])])
      >>> folder = tempfile.mkdtemp()
      >>> tf.saved_model.save(module, folder + "/ours")
      >>> done = tf_patches.to_builtin(folder + "/ours", folder + "/anywhere")
      >>> done.converted, done.checked
      ({'TFPatches>ExtractPatches': 1}, ['serving_default', 'extract'])
    """
    from tf_patches.conversion import check, graph, saved_model  # seldom needed

    ops = [*graph.OURS, *graph.BUILT_IN] if plain else graph.OURS
    out = Path(out_dir).resolve()
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise FileExistsError(f"{out_dir} already exists; choose another path")
    with saved_model.folder_of(model) as source:
        if source.resolve() in out.parents:
            raise ConversionError(f"{out_dir} is in {source}, which is only read")
        with saved_model.written(out) as made:
            converted = saved_model.convert(source, made, ops)
            checked = check.same_results(source, made, ops, inputs)
    return Conversion(converted, checked)


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Raises errors of TensorFlow, Keras and users' code as one sentence."""
    try:
        yield
    except ConversionError:
        raise
    except Exception as error:
        reason = textwrap.shorten(str(error), 600) or type(error).__name__
        raise ConversionError(f"{what}: {reason}") from error
