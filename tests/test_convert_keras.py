"""Keras models converted both ways, to `.keras` files and to SavedModels."""

import zipfile
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from child import WITHOUT_THE_PACKAGE, child_output
from compare import assert_same_bits
from keras import layers
from keras_models import (
    BUILT_IN,
    BUILT_IN_FOLD,
    GRID,
    IMAGES,
    LABELS,
    MODELS,
    OVERLAP,
    lambda_of,
    make_model,
    trained,
)

import tf_patches
from tf_patches.conversion.error import ConversionError


def sequential(images):
    """Lambda layers of ours in a sequential model in the functional one."""
    parts = [
        layers.Lambda(tf_patches.extract_patches, arguments=OVERLAP),
        layers.Lambda(
            tf_patches.fold_patches,
            arguments={"image_shape": [None, 8, 6, 3], **OVERLAP},
        ),
    ]
    return keras.Sequential([keras.Input(images.shape[1:]), *parts])(images)


def shared(images):
    """One layer, called twice, in a functional model in the functional one."""
    inner = keras.Input(images.shape[1:])
    take = layers.Lambda(tf_patches.extract_patches, arguments=GRID)
    return keras.Model(inner, take(inner) + take(inner * 2))(images)


def valid(images):
    grid = GRID | dict(padding="VALID", strides=[1, 1, 3, 1])
    return tf_patches.extract_patches(images, **grid)


CODE_OF_ITS_OWN = ["lambda of a function", "layer of the user"]
EXPRESSIBLE = {
    **{name: make for name, (make, _) in MODELS.items() if name not in CODE_OF_ITS_OWN},
    "sequential": sequential,
    "shared": shared,
    "valid": valid,
}

FIT = dict(batch_size=5, epochs=2, shuffle=False, verbose=0)


def continues(model):
    """What a trained model predicts, and how it trains on: a copy of it."""
    predicted = model.predict(IMAGES, verbose=0)
    return predicted, model.fit(IMAGES, LABELS, **FIT).history["loss"]


def test_files_run_without_the_package(tmp_path):
    """Trained models predict the same, and train on the same, optimizer and all."""
    expected = {}
    for name, make in EXPRESSIBLE.items():
        model = make_model(make)
        model.fit(IMAGES, LABELS, **FIT)
        out = tmp_path / f"{name}.keras"
        done = tf_patches.to_builtin(model, out)
        assert done.checked == [model.name]
        assert b"tf_patches" not in zipfile.ZipFile(out).read("config.json")
        expected[name] = continues(model)
    np.savez(tmp_path / "data.npz", images=IMAGES, labels=LABELS)
    child_output(
        WITHOUT_THE_PACKAGE
        + f"""
import keras
import numpy as np

folder, *names = sys.argv[1:]
data = np.load(folder + "/data.npz")
for name in names:
    model = keras.models.load_model(f"{{folder}}/{{name}}.keras")
    predicted = model.predict(data["images"], verbose=0)
    trained = model.fit(data["images"], data["labels"], **{FIT!r})
    np.savez(f"{{folder}}/{{name}}.npz", predicted, trained.history["loss"])
""",
        tmp_path,
        *expected,
        cwd=tmp_path,
    )
    for name, results in expected.items():
        with np.load(tmp_path / f"{name}.npz") as files:
            for ours, theirs in zip(files.values(), results, strict=True):
                assert_same_bits(ours, np.asarray(theirs))


def served(folder):
    model = tf.saved_model.load(folder)
    return model.serve(tf.constant(IMAGES)).numpy()


def test_saved_models_run_without_the_package(tmp_path):
    """Of every model, whatever its code: exported from it, or before."""
    for name, (make, _) in MODELS.items():
        model = make_model(make)
        model.export(tmp_path / "ours" / name, verbose=False)
        source = model if name == "functional" else tmp_path / "ours" / name
        done = tf_patches.to_builtin(source, tmp_path / name)
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
    tf_patches.to_builtin(str(tmp_path / "ours.keras"), tmp_path / "out.keras")
    tf_patches.to_builtin(tmp_path / "ours.keras", tmp_path / "folder")
    assert (tmp_path / "ours.keras").read_bytes() == before
    converted = keras.models.load_model(tmp_path / "out.keras")
    assert_same_bits(converted(IMAGES), model(IMAGES))
    model.export(tmp_path / "exported", verbose=False)
    assert_same_bits(served(tmp_path / "folder"), served(tmp_path / "exported"))


@pytest.mark.parametrize("name", ["lambda of the op", "functional fold"])
def test_mixed_precision(policy, name, tmp_path):
    model = make_model(MODELS[name][0])
    tf_patches.to_builtin(model, tmp_path / "out.keras")
    converted = keras.models.load_model(tmp_path / "out.keras")
    assert converted.output.dtype == model.output.dtype
    assert_same_bits(converted(IMAGES), model(IMAGES))


def test_trained_in_mixed_precision(policy, tmp_path):
    """The optimizer scales the loss, and keeps how."""
    model = trained(MODELS["lambda of the op"][0], policy)
    tf_patches.to_builtin(model, tmp_path / "out.keras")
    converted = keras.models.load_model(tmp_path / "out.keras")
    for ours, theirs in zip(
        model.optimizer.variables, converted.optimizer.variables, strict=True
    ):
        assert_same_bits(theirs, ours)


def test_sequential(tmp_path):
    take = layers.Lambda(tf_patches.extract_patches, arguments=GRID)
    model = keras.Sequential([take, layers.Dense(2)])
    with pytest.raises(ConversionError, match="call it once"):
        tf_patches.to_builtin(model, tmp_path / "out.keras")
    expected = model(IMAGES)
    done = tf_patches.to_builtin(model, tmp_path / "out.keras")
    assert done.converted == {"TFPatches>ExtractPatches": 1}
    converted = keras.models.load_model(tmp_path / "out.keras")
    assert_same_bits(converted(IMAGES), expected)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "bfloat16", "float64"])
def test_dtypes(dtype, tmp_path):
    images = keras.Input([8, 6, 3], dtype=dtype)
    patches = tf_patches.extract_patches(images, **GRID)
    tf_patches.to_builtin(keras.Model(images, patches), tmp_path / "out.keras")
    converted = keras.models.load_model(tmp_path / "out.keras")
    given = tf.cast(tf.range(2 * 8 * 6 * 3) % 2, dtype)
    given = tf.reshape(given, [2, 8, 6, 3])
    assert_same_bits(converted(given), tf_patches.extract_patches(given, **GRID))


def unfold(images):
    channels_first = keras.ops.transpose(images, (0, 3, 1, 2))
    return keras.ops.unfold(channels_first, (3, 2), (1, 2), (1, 0), (2, 1))[..., None]


def keras_extract(padding, images):
    return keras.ops.image.extract_patches(images, (3, 2), (2, 1), 1, padding)


FROM = {
    "lambda": BUILT_IN,
    "lambda of the old name": lambda_of(
        tf.compat.v1.image.extract_image_patches,
        **{"ksizes": [1, 3, 3, 1]},
        strides=[1, 1, 1, 1],
        rates=[1, 1, 1, 1],
        padding="VALID",
    ),
    "keras.ops.image, same": partial(keras_extract, "same"),
    "keras.ops.image, valid": partial(keras_extract, "valid"),
}


@pytest.mark.parametrize("name", FROM)
def test_from_builtin(name, tmp_path):
    model = make_model(FROM[name])
    done = tf_patches.from_builtin(model, tmp_path / "ours.keras")
    assert sum(done.converted.values()) == 1
    assert b"tf_patches" in zipfile.ZipFile(tmp_path / "ours.keras").read("config.json")
    ours = keras.models.load_model(tmp_path / "ours.keras")
    assert_same_bits(ours.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0))


def test_from_unfold(tmp_path):
    """Which in Keras works for a known batch alone."""
    images = keras.Input(batch_shape=[2, 8, 6, 3])
    model = keras.Model(images, unfold(images))
    tf_patches.from_builtin(model, tmp_path / "ours.keras")
    ours = keras.models.load_model(tmp_path / "ours.keras")
    assert_same_bits(ours(IMAGES[:2]), model(IMAGES[:2]))


class Subclassed(keras.Model):
    def call(self, images):
        return tf_patches.extract_patches(images, **GRID)


def unknown_size(grid):
    images = keras.Input([None, 6, 3])
    return keras.Model(images, tf_patches.extract_patches(images, **grid))


def two_sizes():
    inputs = [keras.Input([8, 6, 3]), keras.Input([9, 6, 3])]
    take = layers.Lambda(tf_patches.extract_patches, arguments=GRID)
    return keras.Model(inputs, [take(images) for images in inputs])


def no_patches():
    images = keras.Input([8, 6, 3])
    return keras.Model(images, layers.Flatten()(images))


REFUSED = {
    "subclass": (Subclassed, "not a functional or sequential model.*name a folder"),
    "a function's code": (
        partial(make_model, MODELS["lambda of a function"][0]),
        "code of its own.*name a folder",
    ),
    "a layer's code": (
        partial(make_model, MODELS["layer of the user"][0]),
        "code of its own.*name a folder",
    ),
    "unknown size": (
        partial(unknown_size, GRID),
        r"shape \(None, None, 6, 3\).*name a folder",
    ),
    "two sizes": (two_sizes, "several shapes.*name a folder"),
    "no patches": (no_patches, "nothing to convert"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, tmp_path):
    make, message = REFUSED[name]
    with pytest.raises(ConversionError, match=message):
        tf_patches.to_builtin(make(), tmp_path / "out.keras")
    assert not list(tmp_path.iterdir())


def test_unknown_size_goes_to_a_saved_model(tmp_path):
    tf_patches.to_builtin(unknown_size(GRID), tmp_path / "out")
    theirs = tf.image.extract_patches(IMAGES, **GRID)
    assert_same_bits(served(tmp_path / "out"), theirs)


def test_given_inputs(tmp_path):
    images = keras.Input([8, 6, 3], name="pictures")
    model = keras.Model(images, tf_patches.extract_patches(images, **GRID))
    tf_patches.to_builtin(model, tmp_path / "one.keras", IMAGES)
    tf_patches.to_builtin(model, tmp_path / "two.keras", {"pictures": IMAGES})
    with pytest.raises(ConversionError, match=r"cannot run on inputs.*shape"):
        tf_patches.to_builtin(model, tmp_path / "three.keras", IMAGES[..., :2])
    assert not (tmp_path / "three.keras").exists()


def test_fold_oracle_is_the_built_in():
    """The models that were compared above fold as the built-in's gradient."""
    mine = make_model(MODELS["functional fold"][0])
    assert_same_bits(mine(IMAGES), make_model(BUILT_IN_FOLD)(IMAGES))
