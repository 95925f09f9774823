"""The public functions: models made to hold built-in ops, or ours."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from tf_patches.conversion import check, graph, saved_model
from tf_patches.conversion.error import ConversionError

_KERAS_SUFFIX = ".keras"


class Conversion(NamedTuple):
    """What was done.

    Attributes:
      converted: How many nodes were exchanged, by the op that they were.
      checked: What was run before and after, and gave the same bits.
    """

    converted: dict[str, int]
    checked: list[str]


class _Direction(NamedTuple):
    exchange: Callable[[Any], dict[str, int]]  # in a GraphDef
    exchange_keras: Callable[[Any], tuple[Any, dict[str, int]]]  # in a Keras model
    holds: Callable[[Any], bool]  # whether a node is one to exchange
    nothing: str  # what the model should hold


_TO_BUILTIN = _Direction(
    graph.to_builtin,
    lambda model: _conversion_of_keras().to_builtin(model),
    graph.holds_ours,
    f"{graph.EXTRACT} or {graph.FOLD}",
)
_FROM_BUILTIN = _Direction(
    graph.from_builtin,
    lambda model: _conversion_of_keras().from_builtin(model),
    graph.holds_built_in,
    graph.BUILT_IN,
)


def to_builtin(
    model_or_dir: Any, out_dir: str | os.PathLike[str], inputs: Any = None
) -> Conversion:
    """Makes of a model one of TensorFlow's own ops alone, which loads anywhere.

    `TFPatches>ExtractPatches` becomes the built-in `ExtractImagePatches`, and
    `TFPatches>FoldPatches` a call of a function of built-in ops that sums in the
    same order: predictions and gradients stay the same to the bit. Both models
    are run to check that, before anything appears in `out_dir`; the one given is
    only read.

    A SavedModel is converted whole, with the training steps that it may hold. To
    a `.keras` file go the functional and sequential models whose patches are
    taken and folded by the functions of this package, in the graph or in Lambda
    layers, from images of known rows, cols and depth; they use `keras.ops` after.
    Every other Keras model can go to a SavedModel.

    Args:
      model_or_dir: A SavedModel's folder, a `.keras` file or a Keras model.
      out_dir: Where to write: a folder that is not there, or is empty; or a
        `.keras` file that is not there, for a Keras model.
      inputs: What to run the models on: a dictionary from the name of a signature
        or function to its arguments, a list or a dictionary by name; only those
        named are run. To a `.keras` file: what the model is called with. Without,
        all functions that hold the ops are run on random numbers.

    Returns:
      A `Conversion`: `converted`, how many nodes there were of each op, and
      `checked`, the names of what was run.

    Raises:
      ValueError: If the model does not hold the ops, if it cannot be expressed
        by built-in ops, if it cannot be run on inputs made up (pass `inputs`), or
        if it gives other results after. `out_dir` is then not written.
      FileNotFoundError: If there is no model.
      FileExistsError: If `out_dir` is a file or a folder that is not empty.

    Warns:
      UserWarning: If a function gives other results every time it is run, and
        can thus not be compared.

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
    return _convert(model_or_dir, out_dir, inputs, _TO_BUILTIN)


def from_builtin(
    model_or_dir: Any, out_dir: str | os.PathLike[str], inputs: Any = None
) -> Conversion:
    """Makes of a model that holds the built-in op one that holds ours.

    The other way from `to_builtin`, whose arguments, errors and checks see.
    Programs that load the result need `import tf_patches` first. What
    `to_builtin` made of a SavedModel becomes what it was; the gradient of the
    built-in in a saved training step stays the ops that it is made of.

    Of a Keras model that goes to a `.keras` file, Lambda layers of
    `tf.image.extract_patches`, `keras.ops.unfold` and
    `keras.ops.image.extract_patches` of `[batch, rows, cols, depth]` come to use
    our op.

    Args:
      model_or_dir: As for `to_builtin`.
      out_dir: As for `to_builtin`.
      inputs: As for `to_builtin`.

    Returns:
      As `to_builtin`.

    Raises:
      Exception: As `to_builtin`.

    Examples:
      >>> import tempfile
      >>> grid = dict(sizes=[1, 3, 3, 1], strides=[1, 2, 2, 1],
      ...             rates=[1, 1, 1, 1], padding="SAME")
      >>> module = tf.Module()
      >>> module.extract = tf.function(
      ...     lambda images: tf.image.extract_patches(images, **grid),
      ...     input_signature=[tf.TensorSpec([None, None, None, 3])])
      >>> folder = tempfile.mkdtemp()
      >>> tf.saved_model.save(module, folder + "/theirs")
      >>> done = tf_patches.from_builtin(folder + "/theirs", folder + "/ours")
      >>> done.converted, done.checked
      ({'ExtractImagePatches': 1}, ['serving_default', 'extract'])
    """
    return _convert(model_or_dir, out_dir, inputs, _FROM_BUILTIN)


def _convert(
    source: Any, out_dir: str | os.PathLike[str], inputs: Any, direction: _Direction
) -> Conversion:
    out = Path(out_dir).resolve()
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise FileExistsError(f"{out_dir} is there already; name a new one.")
    if isinstance(source, (str, os.PathLike)):
        source = _found(Path(source))
    if isinstance(source, Path):
        if out.suffix == _KERAS_SUFFIX:
            raise ConversionError(
                f"A SavedModel does not become a {_KERAS_SUFFIX} file: name a folder."
            )
        if source.resolve() in out.parents:
            raise ConversionError(f"{out_dir} is in {source}, which is only read.")
        return _convert_saved_model(source, out, inputs, direction)
    if out.suffix == _KERAS_SUFFIX:
        return _convert_keras(source, out, inputs, direction)
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder, "exported")
        _conversion_of_keras().export(source, exported)
        return _convert_saved_model(exported, out, inputs, direction)


def _found(path: Path) -> Any:
    """The SavedModel's folder, or the Keras model in a file."""
    if not path.exists():
        raise FileNotFoundError(f"There is no {path}.")
    if path.is_dir() and saved_model.is_saved_model(path):
        return path
    if path.is_file() and path.suffix == _KERAS_SUFFIX:
        return _conversion_of_keras().load(path)
    raise ConversionError(
        f"{path} is neither the folder of a SavedModel nor a {_KERAS_SUFFIX} file."
    )


def _convert_saved_model(
    source: Path, out: Path, inputs: Any, direction: _Direction
) -> Conversion:
    with _appearing(out) as made:
        converted = saved_model.convert(source, made, direction.exchange)
        if not converted:
            raise _nothing(direction)
        checked = [
            name
            for tags in saved_model.tags(source, direction.holds)
            for name in check.saved_models(source, made, tags, direction.holds, inputs)
        ]
    return Conversion(converted, checked)


def _convert_keras(
    model: Any, out: Path, inputs: Any, direction: _Direction
) -> Conversion:
    new, converted = direction.exchange_keras(model)
    if not converted:
        raise _nothing(direction)
    with _appearing(out) as made:
        new.save(made)
        conversion = _conversion_of_keras()
        conversion.check_same(model, conversion.load(made), inputs)
    return Conversion(converted, [model.name])


def _nothing(direction: _Direction) -> ConversionError:
    return ConversionError(
        f"There is nothing to convert: the model holds no {direction.nothing}."
    )


def _conversion_of_keras() -> ModuleType:
    try:
        from tf_patches.conversion import keras_model
    except ImportError as error:  # TensorFlow works without Keras, and so do we
        raise ConversionError(f"Keras models need Keras: {error}.") from error
    return keras_model


@contextmanager
def _appearing(out: Path) -> Iterator[Path]:
    """A path to write what is to be at `out`, and appears there when all went well."""
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent)
    try:
        made = Path(folder, out.name)
        yield made
        if not out.is_dir():
            made.replace(out)
            return
        for part in made.iterdir():  # it may be the folder that someone is in
            part.replace(out / part.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
