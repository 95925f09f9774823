"""The ops in Keras 3 models: built, trained, saved, and loaded elsewhere."""

import inspect
import json
import textwrap
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from child import child_output, python_output
from compare import assert_same_bits
from keras import layers
from keras_models import (
    BUILT_IN,
    GRID,
    IMAGE_SHAPE,
    IMAGES,
    LABELS,
    MODELS,
    OVERLAP,
    UserLayer,
    make_model,
    train,
    trained,
    user_function,
)

import tf_patches
from tf_patches.keras_operations import (
    ExtractPatches,
    ExtractPatchesAt,
    ExtractVolumePatches,
    FoldPatches,
    FoldPatchesAt,
)


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


# Arguments in the forms that users write, and as a file has them.
WRITTEN = dict(
    sizes=np.array([3, 2]),
    strides=(np.int32(2), 2),
    rates=None,
    padding=np.array([[0, 0], [2, 1], [0, 3], [0, 0]]),
    mode=b"reflect",
    constant_values=np.float32(0.5),
)
PLAIN = dict(
    sizes=[3, 2],
    strides=[2, 2],
    rates=None,
    padding=[[0, 0], [2, 1], [0, 3], [0, 0]],
    mode="REFLECT",
    constant_values=0.5,
)
PLACED = ["sizes", "rates", "mode", "constant_values"]
VOLUMES = dict(ksizes=2, strides=[1, 1, 2], padding="same")
OPERATIONS = [
    (ExtractPatches(**GRID, name="patches"), GRID),
    (ExtractPatches(**WRITTEN, name="patches"), PLAIN),
    (FoldPatches(IMAGE_SHAPE, **GRID, name="images"), GRID),
    (FoldPatches(IMAGE_SHAPE, **WRITTEN, name="images"), PLAIN),
    (
        ExtractVolumePatches(**VOLUMES, name="patches"),
        dict(ksizes=2, strides=[1, 1, 2], padding="SAME"),
    ),
    (
        FoldPatches(IMAGE_SHAPE, **GRID, reduction="mean", name="images"),
        GRID | dict(reduction="MEAN"),
    ),
    (
        ExtractPatchesAt(**{name: WRITTEN[name] for name in PLACED}, name="patches"),
        {name: PLAIN[name] for name in PLACED},
    ),
    (
        FoldPatchesAt(
            np.array([2, 8, 6, 3]), rates=(1, 2), reduction=b"max", name="images"
        ),
        dict(image_shape=[2, 8, 6, 3], rates=[1, 2], reduction="MAX"),
    ),
]


@pytest.mark.parametrize("operation, plain", OPERATIONS)
def test_config_of_an_operation(operation, plain):
    """What version 0.1.0 wrote, of which GRID is all, is still enough."""
    config = json.loads(json.dumps(operation.get_config()))
    copy = type(operation).from_config(config)
    assert copy.get_config() == operation.get_config()
    assert config.items() >= {"name": operation.name, **plain}.items()


def there_and_back(images, shape, **grid):
    """A fold of what a function of the patches makes of them."""
    patches = tf_patches.extract_patches(images, **grid)
    return tf_patches.fold_patches(patches * patches, [None, *shape], **grid)


def there_and_back_at(images, shape, positions, size, **reduction):
    """A fold of what a function of the patches makes of them."""
    patches = tf_patches.extract_patches_at(images, positions, size, mode="reflect")
    return tf_patches.fold_patches_at(
        patches * patches, positions, [None, *shape], mode="reflect", **reduction
    )


# Of the shape of images without the batch, and a function of images, whose result
# a model is to give.
BEYOND = {
    "signals": ([20, 2], partial(tf_patches.extract_patches, sizes=4, strides=3)),
    "signals, folded": (
        [20, 2],
        partial(there_and_back, shape=[20, 2], sizes=4, padding="same", mode="edge"),
    ),
    "volumes": (
        [6, 8, 7, 2],
        partial(tf_patches.extract_patches, sizes=[2, 3, 3], rates=2, padding="SAME"),
    ),
    "volumes, folded": (
        [6, 8, 7, 2],
        partial(there_and_back, shape=[6, 8, 7, 2], sizes=3, strides=[1, 2, 2]),
    ),
    "volumes, SAME with large strides": (
        [6, 8, 7, 2],
        partial(tf_patches.extract_volume_patches, ksizes=2, strides=4, padding="SAME"),
    ),
    "a border": (
        [8, 6, 3],
        partial(tf_patches.extract_patches, sizes=5, padding="same", mode="symmetric"),
    ),
    "a border, folded": (
        [8, 6, 3],
        partial(
            there_and_back,
            shape=[8, 6, 3],
            sizes=3,
            strides=1,
            padding=[[0, 0], [9, 9], [9, 9], [0, 0]],
            mode="wrap",
        ),
    ),
    "a weighted mean": (
        [8, 6, 3],
        lambda images: tf_patches.fold_patches(
            tf_patches.extract_patches(images, 3, 1),
            [None, 8, 6, 3],
            3,
            1,
            reduction="mean",
            weights=np.outer([1, 2, 1], [0.5, 1, 0.5]),
        ),
    ),
    "factors": (
        [8, 6, 3],
        lambda images: tf_patches.fold_patches(
            tf_patches.extract_patches(images, 3, 1),
            [None, 8, 6, 3],
            3,
            1,
            weights=[[1, 2, 1], np.float32([0.5, 1, 0.5])],
        ),
    ),
    "at positions": (
        [8, 6, 3],
        partial(
            tf_patches.extract_patches_at,
            positions=[[0, 1], [-2, 4]],
            sizes=[3, 2],
            rates=2,
            mode="edge",
            flips=[[True, False], [False, False]],
        ),
    ),
    "signals at positions, folded": (
        [20, 2],
        partial(
            there_and_back_at,
            shape=[20, 2],
            positions=np.array([[3], [17], [-1]]),
            size=4,
            reduction="mean",
            weights=[[0.5, 1, 1, 0.5]],
        ),
    ),
    "volumes at positions, folded": (
        [6, 8, 7, 2],
        partial(
            there_and_back_at,
            shape=[6, 8, 7, 2],
            positions=[[3, 1, 0], [0, 0, 0]],
            size=[2, 3, 2],
            reduction="min",
        ),
    ),
    "a constant": (
        [8, 6, 3],
        partial(
            tf_patches.extract_image_patches,
            ksizes=3,
            strides=2,
            rates=1,
            padding="SAME",
            constant_values=-0.25,
        ),
    ),
}


def test_beyond_the_built_in(tmp_path):
    """Built, trained a step, saved, and loaded where nothing else is known."""
    random = np.random.default_rng(4)
    expected = {}
    for name, (shape, function) in BEYOND.items():
        images = random.normal(size=(3, *shape)).astype(np.float32)
        given = keras.Input(shape)
        patches = function(given)
        assert patches.shape[1:] == function(tf.constant(images)).shape[1:]
        model = keras.Model(given, function(layers.Dense(shape[-1])(given)))
        model.compile("sgd", "mse")
        model.fit(images, model.predict(images, verbose=0) + 1, verbose=0)
        model.save(tmp_path / f"{name}.keras")
        np.save(tmp_path / f"{name} images.npy", images)
        expected[name] = function(model.layers[1](images))
    child_output(
        """
        import sys
        import keras
        import numpy as np
        import tf_patches

        for name in sys.argv[1:]:
            model = keras.models.load_model(f"{name}.keras")
            images = np.load(f"{name} images.npy")
            np.save(f"{name}.npy", model.predict(images, verbose=0))
        """,
        *BEYOND,
        cwd=tmp_path,
    )
    for name, patches in expected.items():
        assert_same_bits(np.load(tmp_path / f"{name}.npy"), patches)


def model_of_positions():
    """Of whose inputs some are positions, flips and weights."""
    images = keras.Input([None, None, 3], name="images")
    positions = keras.Input([4, 2], dtype="int64", name="positions")
    flips = keras.Input([4, 2], dtype="bool", name="flips")
    weights = keras.Input([2], batch_size=3, name="weights")
    inputs = [images, positions, flips, weights]
    patches = tf_patches.extract_patches_at(images, positions, [3, 2], flips=flips)
    assert patches.shape == (None, 4, 3, 2, 3)
    folded = tf_patches.fold_patches_at(
        patches, positions, [None, 9, 9, 3], flips=flips, weights=weights
    )
    assert folded.shape == (None, 9, 9, 3)
    return keras.Model(inputs, [patches, folded])


def test_positions_are_an_input(tmp_path):
    random = np.random.default_rng(6)
    images = random.normal(size=(3, 8, 6, 3)).astype(np.float32)
    positions = random.integers(-2, 6, (3, 4, 2))
    flips = random.random((3, 4, 2)) < 0.5
    weights = random.random((3, 2)).astype(np.float32)
    patches = tf_patches.extract_patches_at(images, positions, [3, 2], flips=flips)
    folded = tf_patches.fold_patches_at(
        patches, positions, [3, 9, 9, 3], flips=flips, weights=weights
    )
    model = model_of_positions()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for each in model, loaded:
        ours = each([images, positions, flips, weights])
        assert_same_bits(ours[0], patches)
        assert_same_bits(ours[1], folded)


def test_weights_are_an_input():
    patches = keras.Input([4, 3, 27])
    rows, cols = (keras.Input(batch_shape=[3]) for _ in range(2))
    window = keras.Input(batch_shape=[3, 3])
    call = dict(image_shape=IMAGE_SHAPE, **GRID, reduction="mean")
    factored = tf_patches.fold_patches(patches, **call, weights=[rows, cols])
    whole = tf_patches.fold_patches(patches, **call, weights=window)
    model = keras.Model([patches, rows, cols, window], [factored, whole])
    copy = keras.models.model_from_json(model.to_json())
    some = np.random.default_rng(7).normal(size=(2, 4, 3, 27)).astype(np.float32)
    factors = np.float32([[1, 2, 1], [1, 3, 0.5]])
    for each in model, copy:
        for images in each([some, *factors, np.outer(*factors)]):
            expected = tf_patches.fold_patches(some, **call, weights=list(factors))
            assert_same_bits(images, expected)


def test_positions_are_the_only_input():
    """On images that the model has."""
    positions = keras.Input([2], dtype="int32")
    patches = tf_patches.extract_patches_at(IMAGES, positions, 2)
    assert patches.shape == (12, None, 2, 2, 3)
    at = np.array([[0, 1], [3, -1]], np.int32)
    model = keras.Model(positions, patches)
    copy = keras.models.model_from_json(model.to_json())
    for each in model, copy:
        expected = tf_patches.extract_patches_at(IMAGES, at, 2)
        assert_same_bits(each(at), expected)


PLACED_REFUSED = [
    (dict(sizes=[3]), ValueError, r"sizes must be an int, \[rows, cols\] or"),
    (dict(sizes=0), tf.errors.OutOfRangeError, r"sizes.*\[0, 0\]"),
    (dict(positions=[[0]]), ValueError, r"positions must be \[count, 2\]"),
    (dict(positions=keras.Input([2])), TypeError, "positions must be integers"),
    (dict(flips=[1, 0]), TypeError, "flips must be bool"),
    (dict(mode="FOO"), ValueError, "mode.*FOO"),
]


@pytest.mark.parametrize("wrong, error, message", PLACED_REFUSED)
def test_bad_positions_when_a_model_is_built(wrong, error, message):
    call = dict(images=keras.Input([8, 6, 3]), positions=[[0, 0]], sizes=2) | wrong
    with pytest.raises(error, match=message):
        tf_patches.extract_patches_at(**call)


def test_unknown_extents_beyond_the_built_in():
    images = keras.Input([None, None, 3])
    patches = tf_patches.extract_patches(images, 5, 2, padding="same", mode="reflect")
    assert patches.shape == (None, None, None, 75)
    model = keras.Model(images, patches)
    expected = tf_patches.extract_patches(IMAGES, 5, 2, padding="same", mode="reflect")
    assert_same_bits(model(IMAGES), expected)


def test_volumes_in_a_lambda():
    volumes = np.random.default_rng(5).normal(size=(2, 4, 5, 6, 1))
    volumes = volumes.astype(np.float32)
    layer = layers.Lambda(tf_patches.extract_volume_patches, arguments=VOLUMES)
    model = keras.Sequential([keras.Input([4, 5, 6, 1]), layer])
    copy = keras.models.model_from_json(model.to_json())
    expected = tf.extract_volume_patches(
        volumes, [1, 2, 2, 2, 1], [1, 1, 1, 2, 1], "SAME"
    )
    assert_same_bits(copy(volumes), expected)


REFUSED = [
    (dict(sizes=[1, 0, 3, 1]), tf.errors.OutOfRangeError, r"sizes.*\[1, 0, 3, 1\]"),
    (dict(sizes=[2, 3, 3, 1]), tf.errors.UnimplementedError, r"sizes.*\[2, 3, 3, 1\]"),
    (dict(sizes=[1, 3, 3]), ValueError, r"sizes.*\[1, 3, 3\]"),
    (dict(sizes=[1, 13, 3, 1], padding="VALID"), ValueError, "sizes 13"),
    (dict(sizes=None), TypeError, "sizes.*None"),
    (dict(sizes=[3]), ValueError, r"sizes must be an int, \[rows, cols\] or"),
    (dict(strides=3.0), TypeError, r"strides.*3\.0"),
    (dict(padding="FOO"), ValueError, "padding.*FOO"),
    (dict(padding=[[1, 1]]), ValueError, r"padding.*4 pairs.*\[\[1, 1\]\]"),
    (dict(mode="FOO"), ValueError, "mode.*FOO"),
    (dict(constant_values="a"), TypeError, "constant_values.*'a'"),
    (dict(images=keras.KerasTensor([8, 6, 3])), ValueError, r"images\[tf.newaxis\]"),
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
        ([None, 8, 6], ValueError, "image_shape must be a vector of 4 integers"),
        ([None, 8, 6, 4], ValueError, r"do not match image_shape \[\?,8,6,4\]"),
        (None, ValueError, "image_shape"),
        ("text", TypeError, "image_shape.*string"),
    ],
)
def test_bad_image_shape_when_a_model_is_built(image_shape, error, message):
    with pytest.raises(error, match=message):
        tf_patches.fold_patches(keras.Input([4, 3, 27]), image_shape, **GRID)


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
    program = (
        WITHOUT_KERAS[lack]
        + f"""
        import sys
        import tensorflow as tf
        import tf_patches

        assert not sys.modules.get("keras")
        patches = tf_patches.extract_patches(tf.ones([2, 8, 6, 3]), **{GRID!r})
        assert patches.shape == (2, 4, 3, 27)
        assert "tf_patches.keras_operations" not in sys.modules
        assert not hasattr(tf_patches, "no_such_name")
        try:
            tf_patches.layers
        except ModuleNotFoundError as error:
            assert error.name == "keras"
        else:
            raise AssertionError
        """
    )
    python_output("-c", textwrap.dedent(program))


def users_own(name):
    """A function of the user's, which nobody registered, by the name of one of ours."""

    def function(images):
        return images / 255

    function.__name__ = name
    return function


NAMES = [
    "extract_patches",
    "extract_image_patches",
    "extract_volume_patches",
    "fold_patches",
    "extract_patches_at",
    "fold_patches_at",
]
OPERATION_NAMES = [
    "ExtractPatches",
    "ExtractVolumePatches",
    "FoldPatches",
    "ExtractPatchesAt",
    "FoldPatchesAt",
]


@pytest.mark.parametrize("name", NAMES + OPERATION_NAMES)
def test_is_never_taken_for_a_function_of_the_users(name):
    """Keras saves a function that is not registered by its bare name."""
    images = keras.Input([8, 6, 3])
    function = users_own(name)
    scaled = layers.Lambda(function, output_shape=(8, 6, 3))(images)
    model = keras.Model(images, scaled)
    for copy in (
        lambda: keras.models.clone_model(model),
        lambda: keras.models.model_from_json(model.to_json()),
    ):
        with pytest.raises(TypeError, match=r"Could not locate|Unable to revive"):
            copy()
    with keras.saving.custom_object_scope({name: function}):
        assert keras.models.clone_model(model).layers[-1].function is function


def test_functions_of_keras_of_the_same_name():
    """They fail as they do where nobody imports this package."""
    layer = layers.Lambda(keras.ops.image.extract_patches, arguments=dict(size=2))
    with pytest.raises(TypeError, match="Could not locate function 'extract_patches'"):
        type(layer).from_config(layer.get_config())


@pytest.mark.parametrize("name", MODELS)
def test_models_saved_by_version_0_1_0(name):
    """They hold shorter names, which still are ours, and ours alone."""
    model = trained(MODELS[name][0])
    saved = model.to_json()
    old = saved.replace("tf_patches>tf_patches.", "tf_patches>")
    assert (old != saved) == ("tf_patches>" in saved)
    copy = keras.models.model_from_json(old)
    copy.set_weights(model.get_weights())
    assert_same_bits(copy(IMAGES), model(IMAGES))
    names = "tf_patches>tf_patches."
    assert copy.to_json().count(names) == saved.count(names)


RAGGED = r"images.*images\.to_tensor\(\).*convert_to_tensor"


def test_ragged_images():
    images = keras.Input([None, 6, 3], ragged=True)
    with pytest.raises(TypeError, match=RAGGED):
        tf_patches.extract_patches(images, **GRID)
    dense = keras.ops.convert_to_tensor(images, ragged=False)
    patches = tf_patches.extract_patches(dense, **GRID)
    rows = tf.RaggedTensor.from_tensor(IMAGES[:, None].reshape(-1, 4, 6, 3))
    theirs = tf.image.extract_patches(rows.to_tensor(), **GRID)
    assert_same_bits(keras.Model(images, patches)(rows), theirs)


def test_ragged_patches():
    patches = keras.Input([None, 3, 27], ragged=True)
    with pytest.raises(TypeError, match=RAGGED.replace("images", "patches")):
        tf_patches.fold_patches(patches, IMAGE_SHAPE, **GRID)
