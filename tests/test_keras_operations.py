"""The ops in Keras 3 models: built, trained, saved, and loaded elsewhere."""

import inspect
import json
from functools import cache, partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from child import child_output
from compare import assert_same_bits
from keras import layers

import tf_patches
from tf_patches.keras_operations import ExtractPatches, FoldPatches

GRID = dict(
    sizes=[1, 3, 3, 1], strides=[1, 2, 2, 1], rates=[1, 1, 1, 1], padding="SAME"
)
OVERLAP = GRID | dict(strides=[1, 1, 1, 1], rates=[1, 2, 1, 1])
IMAGES = np.random.default_rng(2).normal(size=(12, 8, 6, 3)).astype(np.float32)
LABELS = IMAGES.mean((1, 2))[:, :1] * 3 + 1
IMAGE_SHAPE = [None, 8, 6, 3]


@keras.saving.register_keras_serializable(package="tests")
def user_function(images):
    return tf_patches.extract_patches(images, **GRID)


@keras.saving.register_keras_serializable(package="tests")
class UserLayer(layers.Layer):
    """A layer with a model of patches inside."""

    extract = staticmethod(tf_patches.extract_patches)

    def __init__(self, **options):
        super().__init__(**options)
        patches = layers.Lambda(self.extract, arguments=dict(GRID))
        self.encoder = keras.Sequential([patches, layers.Dense(8)])

    def build(self, shape):
        self.encoder.build(shape)

    def call(self, images):
        return self.extract(self.encoder(images), **OVERLAP)


class BuiltInUserLayer(UserLayer):
    extract = staticmethod(tf.image.extract_patches)


def lambda_of(function, **arguments):
    return lambda images: layers.Lambda(function, arguments=arguments)(images)


def built_in_fold(patches, image_shape, **grid):
    image_shape = [tf.shape(patches)[0], *image_shape[1:]]
    with tf.GradientTape() as tape:
        images = tf.zeros(image_shape, patches.dtype)
        tape.watch(images)
        zeros = tf.image.extract_patches(images, **grid)
    return tape.gradient(zeros, images, output_gradients=patches)


def fold_squares(extract, fold, images):
    patches = extract(images, **OVERLAP)
    return fold(patches * patches, IMAGE_SHAPE, **OVERLAP)


OLD_NAMES = {("ksizes" if name == "sizes" else name): GRID[name] for name in GRID}
BUILT_IN = lambda_of(tf.image.extract_patches, **GRID)
BUILT_IN_FOLD = lambda_of(
    partial(fold_squares, tf.image.extract_patches, built_in_fold)
)

# How a model gets its patches: ours, and the built-in's that it must equal.
MODELS = {
    "lambda of a function": (lambda_of(user_function), BUILT_IN),
    "lambda of the op": (lambda_of(tf_patches.extract_patches, **GRID), BUILT_IN),
    "lambda of the old name": (
        lambda_of(tf_patches.extract_image_patches, **OLD_NAMES),
        BUILT_IN,
    ),
    "lambda of fold": (
        lambda images: lambda_of(
            tf_patches.fold_patches, image_shape=IMAGE_SHAPE, **OVERLAP
        )(tf_patches.extract_patches(images, **OVERLAP) ** 2),
        BUILT_IN_FOLD,
    ),
    "functional": (partial(tf_patches.extract_patches, **GRID), BUILT_IN),
    "functional by the old name": (
        partial(tf_patches.extract_image_patches, **OLD_NAMES),
        BUILT_IN,
    ),
    "functional of numpy and tensors": (
        lambda images: tf_patches.extract_patches(
            images,
            np.array([1, 3, 3, 1]),
            (1, np.int64(2), tf.constant(2), 1),
            np.ones(4, np.uint8),
            b"SAME",
        ),
        BUILT_IN,
    ),
    "functional fold": (
        partial(fold_squares, tf_patches.extract_patches, tf_patches.fold_patches),
        BUILT_IN_FOLD,
    ),
    "layer of the user": (
        lambda images: UserLayer()(images),
        lambda images: BuiltInUserLayer()(images),
    ),
}


def make_model(patches_of, image_shape=IMAGE_SHAPE[1:]):
    """Layers before and after the patches, so that gradients go through them."""
    keras.utils.set_random_seed(3)
    images = keras.Input(image_shape)
    patches = patches_of(layers.Dense(3, activation="tanh")(images))
    score = layers.Dense(1)(layers.GlobalAveragePooling2D()(patches))
    model = keras.Model(images, score)
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return model


def train(model):
    history = model.fit(
        IMAGES, LABELS, batch_size=5, epochs=4, shuffle=False, verbose=0
    )
    losses = history.history["loss"]
    assert losses[-1] < losses[0]
    return model


@cache
def trained(patches_of, policy="float32"):
    assert keras.config.dtype_policy().name == policy
    return train(make_model(patches_of))


def assert_same_model(mine, theirs):
    for weights, expected in zip(mine.get_weights(), theirs.get_weights(), strict=True):
        assert_same_bits(weights, expected)
    assert_same_bits(mine.predict(IMAGES, verbose=0), theirs.predict(IMAGES, verbose=0))
    assert mine.evaluate(IMAGES, LABELS, verbose=0) == theirs.evaluate(
        IMAGES, LABELS, verbose=0
    )


@pytest.mark.parametrize("name", MODELS)
def test_trains_as_with_the_built_in(name):
    mine, theirs = MODELS[name]
    model = trained(mine)
    assert_same_model(model, trained(theirs))

    copy = keras.models.model_from_json(model.to_json())
    copy.set_weights(model.get_weights())
    assert_same_bits(copy(IMAGES), model(IMAGES))


def test_fresh_process(tmp_path):
    """Every model, trained and saved, predicts the same where it is only loaded."""
    models = {name: trained(mine) for name, (mine, _) in MODELS.items()}
    for name, model in models.items():
        model.save(tmp_path / f"{name}.keras")
    np.save(tmp_path / "images.npy", IMAGES)
    child_output(
        f"""
        import sys
        import keras
        import numpy as np
        import tf_patches
        from keras import layers

        folder, *names = sys.argv[1:]
        images = np.load(folder + "/images.npy")
        GRID, OVERLAP = {GRID!r}, {OVERLAP!r}
        exec({inspect.getsource(user_function)!r})
        exec({inspect.getsource(UserLayer)!r})
        for name in names:
            model = keras.models.load_model(f"{{folder}}/{{name}}.keras")
            np.save(f"{{folder}}/{{name}}.npy", model.predict(images, verbose=0))
        """,
        tmp_path,
        *models,
        cwd=tmp_path,
    )
    for name, model in models.items():
        expected = model.predict(IMAGES, verbose=0)
        assert_same_bits(np.load(tmp_path / f"{name}.npy"), expected)


def test_unknown_rows_and_cols():
    model = train(make_model(MODELS["functional"][0], [None, None, 3]))
    assert_same_model(model, trained(BUILT_IN))
    larger = np.tile(IMAGES, [1, 2, 3, 1])
    theirs = make_model(BUILT_IN, [None, None, 3])
    theirs.set_weights(model.get_weights())
    assert_same_bits(
        model.predict(larger, verbose=0), theirs.predict(larger, verbose=0)
    )


@pytest.mark.parametrize(
    "shape, grid, expected",
    [
        ([8, 6, 3], GRID, (None, 4, 3, 27)),
        ([8, 6, 3], GRID | dict(padding="VALID"), (None, 3, 2, 27)),
        ([None, 6, 3], GRID, (None, None, 3, 27)),
        ([None, None, 3], OVERLAP, (None, None, None, 27)),
        ([8, 6, None], GRID, (None, 4, 3, None)),
    ],
)
def test_symbolic_shapes(shape, grid, expected):
    images = keras.Input(shape)
    assert tf_patches.extract_patches(images, **grid).shape == expected
    assert tf_patches.extract_image_patches(images, **grid).shape == expected


@pytest.mark.parametrize(
    "image_shape, expected",
    [
        ([None, 8, 6, 3], (None, 8, 6, 3)),
        ((None, 8, np.int64(6), 3), (None, 8, 6, 3)),
        (tf.TensorShape([None, 8, 6, 3]), (None, 8, 6, 3)),
        ([5, 8, 6, 3], (5, 8, 6, 3)),
        (np.array([5, 8, 6, 3]), (5, 8, 6, 3)),
        (tf.constant([5, 8, 6, 3]), (5, 8, 6, 3)),
    ],
    ids=repr,
)
def test_image_shapes(image_shape, expected):
    patches = keras.Input([4, 3, 27])
    folded = tf_patches.fold_patches(patches, image_shape, **GRID)
    assert folded.shape == expected
    copy = keras.models.model_from_json(keras.Model(patches, folded).to_json())
    assert copy.output_shape == expected
    five = np.ones([5, 4, 3, 27], np.float32)
    assert_same_bits(copy(five), tf_patches.fold_patches(five, [5, 8, 6, 3], **GRID))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "bfloat16", "float64"])
def test_symbolic_dtypes(dtype):
    assert (
        tf_patches.extract_patches(keras.Input([8, 6, 3], dtype=dtype), **GRID).dtype
        == dtype
    )


OPERATIONS = [
    ExtractPatches(**GRID, name="patches"),
    FoldPatches(IMAGE_SHAPE, **GRID, name="images"),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: type(o).__name__)
def test_config_of_an_operation(operation):
    config = json.loads(json.dumps(operation.get_config()))
    copy = type(operation).from_config(config)
    assert copy.get_config() == operation.get_config()
    assert config.items() >= {"name": operation.name, **GRID}.items()


REFUSED = [
    (dict(sizes=[1, 0, 3, 1]), tf.errors.OutOfRangeError, r"sizes.*\[1, 0, 3, 1\]"),
    (dict(sizes=[2, 3, 3, 1]), tf.errors.UnimplementedError, r"sizes.*\[2, 3, 3, 1\]"),
    (dict(sizes=[1, 3, 3]), ValueError, r"sizes.*\[1, 3, 3\]"),
    (dict(sizes=[1, 13, 3, 1], padding="VALID"), ValueError, "sizes 13"),
    (dict(sizes=None), TypeError, "sizes.*None"),
    (dict(strides=3), TypeError, "strides.*3"),
    (dict(padding="same"), ValueError, "padding.*same"),
    (dict(images=keras.KerasTensor([8, 6, 3])), ValueError, "4-dimensional"),
    (dict(images=keras.Input([8, 6, 3], sparse=True)), TypeError, "SparseTensor"),
]


@pytest.mark.parametrize("wrong, error, message", REFUSED)
def test_bad_input_when_a_model_is_built(wrong, error, message):
    call = dict(images=keras.Input([8, 6, 3]), **GRID) | wrong
    with pytest.raises(error, match=message):
        tf_patches.extract_patches(**call)


@pytest.mark.parametrize(
    "image_shape, error, message",
    [
        ([None, None, 6, 3], ValueError, "image_shape.*None, None, 6, 3"),
        ([None, 8, 6], ValueError, "image_shape must have 4 values"),
        ([None, 8, 6, 4], ValueError, "4 and 3"),
        (None, ValueError, "image_shape"),
        ("text", TypeError, "image_shape.*string"),
    ],
)
def test_bad_image_shape_when_a_model_is_built(image_shape, error, message):
    with pytest.raises(error, match=message):
        tf_patches.fold_patches(keras.Input([4, 3, 27]), image_shape, **GRID)


@pytest.fixture(params=["mixed_float16", "mixed_bfloat16"])
def policy(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("name", ["lambda of the op", "functional", "functional fold"])
def test_mixed_precision(policy, name):
    mine, theirs = MODELS[name]
    patches = mine(layers.Dense(3)(keras.Input([8, 6, 3])))
    assert patches.dtype == policy.removeprefix("mixed_")
    assert_same_model(trained(mine, policy), trained(theirs, policy))


WITHOUT_KERAS = {
    "not installed": """
        import sys
        from importlib.machinery import PathFinder

        class WithoutKeras(PathFinder):
            @classmethod
            def find_spec(cls, name, path=None, target=None):
                if name.partition(".")[0] != "keras":
                    return super().find_spec(name, path, target)

        sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutKeras
        """,
    "forbidden": """
        import sys
        sys.modules["keras"] = None
        """,
}


@pytest.mark.parametrize("lack", WITHOUT_KERAS)
def test_without_keras(lack):
    child_output(
        WITHOUT_KERAS[lack]
        + f"""
        import sys
        import tensorflow as tf
        import tf_patches

        assert not sys.modules.get("keras")
        patches = tf_patches.extract_patches(tf.ones([2, 8, 6, 3]), **{GRID!r})
        assert patches.shape == (2, 4, 3, 27)
        assert "tf_patches.keras_operations" not in sys.modules
        """
    )
