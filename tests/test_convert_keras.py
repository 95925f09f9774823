"""Keras models, in memory and in files, converted to SavedModels."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from child import WITHOUT_THE_PACKAGE, child_output
from compare import assert_same_bits
from keras_models import BUILT_IN_FOLD, GRID, IMAGES, MODELS, make_model, trained

import tf_patches
from tf_patches.conversion import ConversionError


def served(folder):
    model = tf.saved_model.load(folder)
    return model.serve(tf.constant(IMAGES)).numpy()


@pytest.mark.parametrize("plain", [False, True], ids=["built-in", "plain"])
def test_run_without_the_package(plain, tmp_path):
    """Every model, whatever its code: exported before, or by the conversion."""
    for name, (make, _) in MODELS.items():
        model = make_model(make)
        model.export(tmp_path / "ours" / name, verbose=False)
        source = model if name == "functional" else tmp_path / "ours" / name
        done = tf_patches.to_builtin(source, tmp_path / name, plain=plain)
        assert "serve" in done.checked
    np.save(tmp_path / "images.npy", IMAGES)
    child_output(
        WITHOUT_THE_PACKAGE
        + """
import numpy as np
import tensorflow as tf

folder, *names = sys.argv[1:]
images = tf.constant(np.load(folder + "/images.npy"))
for name in names:
    model = tf.saved_model.load(f"{folder}/{name}")
    np.save(f"{folder}/{name}.npy", model.serve(images))
""",
        tmp_path,
        *MODELS,
        cwd=tmp_path,
    )
    for name in MODELS:
        expected = served(tmp_path / "ours" / name)
        assert_same_bits(np.load(tmp_path / f"{name}.npy"), expected)


def test_from_a_file(tmp_path):
    model = trained(MODELS["functional fold"][0])
    model.save(tmp_path / "ours.keras")
    before = (tmp_path / "ours.keras").read_bytes()
    tf_patches.to_builtin(str(tmp_path / "ours.keras"), tmp_path / "out")
    assert (tmp_path / "ours.keras").read_bytes() == before
    model.export(tmp_path / "exported", verbose=False)
    assert_same_bits(served(tmp_path / "out"), served(tmp_path / "exported"))


def test_built_in_op_of_either_old_name(tmp_path):
    """The two are one function each, and no conversion asks which."""
    v1 = tf.compat.v1
    takes = v1.extract_image_patches, v1.image.extract_image_patches
    for i, take in enumerate(takes):
        grid = {("ksizes" if name == "sizes" else name): GRID[name] for name in GRID}
        layer = keras.layers.Lambda(take, arguments=grid)
        model = keras.Sequential([keras.Input([8, 6, 3]), layer])
        out = tmp_path / str(i)
        done = tf_patches.to_builtin(model, out, plain=True)
        assert set(done.converted) == {"ExtractImagePatches"}
        assert_same_bits(served(out), tf.image.extract_patches(IMAGES, **GRID))


@pytest.mark.parametrize("name", ["lambda of the op", "functional fold"])
def test_mixed_precision(policy, name, tmp_path):
    model = make_model(MODELS[name][0])
    tf_patches.to_builtin(model, tmp_path / "out", plain=True)
    model.export(tmp_path / "exported", verbose=False)
    assert_same_bits(served(tmp_path / "out"), served(tmp_path / "exported"))


def test_unknown_size(tmp_path):
    images = keras.Input([None, 6, 3])
    model = keras.Model(images, tf_patches.extract_patches(images, **GRID))
    tf_patches.to_builtin(model, tmp_path / "out")
    theirs = tf.image.extract_patches(IMAGES, **GRID)
    assert_same_bits(served(tmp_path / "out"), theirs)


def no_patches(tmp_path):
    images = keras.Input([8, 6, 3])
    return keras.Model(images, keras.layers.Flatten()(images))


def unbuilt(tmp_path):
    take = keras.layers.Lambda(tf_patches.extract_patches, arguments=GRID)
    return keras.Sequential([take, keras.layers.Dense(2)])


def damaged(tmp_path):
    (tmp_path / "model.keras").write_bytes(b"PK no more")
    return tmp_path / "model.keras"


@pytest.mark.parametrize(
    "make, message",
    [
        (no_patches, "Nothing to convert"),
        (unbuilt, "Keras cannot load or export <Sequential"),
        (damaged, "Keras cannot load or export .*model.keras"),
    ],
)
def test_refused(make, message, tmp_path):
    with pytest.raises(ConversionError, match=message):
        tf_patches.to_builtin(make(tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_fold_oracle_is_the_built_in():
    """The models that were compared above fold as the built-in's gradient."""
    mine = make_model(MODELS["functional fold"][0])
    assert_same_bits(mine(IMAGES), make_model(BUILT_IN_FOLD)(IMAGES))
