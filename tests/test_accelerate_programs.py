"""Programs that know nothing of this package, with it and without.

Each is run as it is, by a Python that cannot import the package, and by one that
accelerates: the results must be the same to the bit, and losses too.
"""

from pathlib import Path

import numpy as np
import pytest
from child import WITHOUT_THE_PACKAGE, child_output, run_child
from compare import assert_same_bits

PROGRAMS = Path(__file__).parent / "programs"

# What runs the program that `sys.argv` names, once it has done what is put first.
RUN = """
import runpy
import sys
{}
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
{}
"""
# TensorFlow's own kernel says less.
CHECK_KERNEL = """
import tensorflow as tf
ones, sizes = [1, 1, 1, 1], [1, 3, 3, 1]
try:
    tf.image.extract_patches(tf.zeros(ones), sizes, ones, ones, "VALID")
except tf.errors.InvalidArgumentError as error:
    message = str(error)
assert "A patch of 3 rows" in message
assert tf_patches.is_accelerated()
"""
BEFORE_AND_AFTER = {
    "plain": (WITHOUT_THE_PACKAGE, "assert 'tf_patches' not in sys.modules"),
    "accelerated": ("import tf_patches; tf_patches.accelerate()", CHECK_KERNEL),
    "forward only": ("import tf_patches; tf_patches.accelerate(False)", CHECK_KERNEL),
}


def run(how, program, *arguments, **environment):
    code = RUN.format(*BEFORE_AND_AFTER[how])
    return child_output(code, PROGRAMS / program, *arguments, **environment)


def test_the_package_can_be_hidden():
    ended = run_child(WITHOUT_THE_PACKAGE + "import tf_patches")
    assert ended.returncode == 1
    assert "No module named 'tf_patches'" in ended.stderr


@pytest.mark.parametrize("name", ["names", "unfold", "vit", "inpainting"])
def test_program(name, tmp_path):
    for how in "plain", "accelerated":
        run(how, f"{name}.py", tmp_path / how)
    before, after = (
        np.load(tmp_path / "plain.npz"),
        np.load(tmp_path / "accelerated.npz"),
    )
    assert set(before) == set(after)
    for name in before:
        assert_same_bits(after[name], before[name])


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Folders with saved models, by how the program that saved them was run."""
    folder = tmp_path_factory.mktemp("saved")
    for how in BEFORE_AND_AFTER:
        (folder / how).mkdir()
        run(how, "save_models.py", folder / how)
    return folder


MODELS = [f"{how}/{name}" for how in BEFORE_AND_AFTER for name in ("infers", "learns")]


def test_saved_models_hold_tensorflows_ops_only(saved):
    """But for a function that computes our gradient."""

    def holds(model, name):
        return name in (saved / model / "saved_model.pb").read_bytes()

    assert all(holds(model, b"ExtractImagePatches") for model in MODELS)
    ours = [model for model in MODELS if holds(model, b"TFPatches>")]
    assert ours == ["accelerated/learns"]
    assert holds(*ours, b"TFPatches>FoldPatches")
    assert not holds(*ours, b"TFPatches>ExtractPatches")


@pytest.mark.parametrize("how", ["plain", "accelerated"])
def test_saved_models(how, saved):
    """Loaded where the package cannot be imported, and where it accelerates."""
    models = [saved / model for model in MODELS]
    printed = run(how, "load_models.py", *models)
    expected = {model.replace("/", " "): "same" for model in MODELS}
    outcomes = dict(line.split(": ", 1) for line in printed.splitlines())
    if how == "plain":
        del expected["accelerated learns"]
        assert "TFPatches>FoldPatches" in outcomes.pop("accelerated learns")
    assert outcomes == expected
