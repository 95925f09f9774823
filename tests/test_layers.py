"""The Keras layers: what they compute, and what Keras does with layers."""

import inspect
import json

import keras
import numpy as np
import oracle
import pytest
import tensorflow as tf
from child import child_output
from compare import assert_same_bits
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

import tf_patches
from tf_patches.layers import ExtractPatches, FoldPatches, RandomPatches

RANDOM = np.random.default_rng(11)
IMAGES = RANDOM.integers(-9, 9, [4, 8, 7, 2]).astype(np.float32)
SIGNALS = IMAGES[:, 0]
WINDOW = np.outer([1, 2, 1], [1, 3, 1]).astype(np.float64)
VOLUMES = RANDOM.integers(-9, 9, [2, 5, 6, 7, 2]).astype(np.float32)


def whole(values, axes):
    """An int, or one for each axis, as TensorFlow's list."""
    return [1, *([values] * axes if isinstance(values, int) else values), 1]


def grid_of(layer, rank):
    """The arguments of the oracle, and of TensorFlow's function, for a layer."""
    size, strides, rates = (
        whole(values, rank - 2)
        for values in (layer.size, layer.strides, layer.dilation_rate)
    )
    padding = layer.padding
    padding = padding.upper() if isinstance(padding, str) else [0, *padding, 0]
    return dict(sizes=size, strides=strides, rates=rates, padding=padding)


PAIRS = st.sampled_from([1, 2, 3, (1, 2), (3, 1), (2, 2)])


@given(
    size=PAIRS,
    strides=st.none() | PAIRS,
    dilation_rate=PAIRS,
    padding=st.sampled_from(["valid", "same", "VALID", "SAME"]),
)
def test_extract_as_tensorflow(**arguments):
    layer = ExtractPatches(**arguments)
    theirs = tf.image.extract_patches(IMAGES, **grid_of(layer, 4))
    assert_same_bits(layer(IMAGES), theirs)
    known = layer(keras.Input([8, 7, 2])).shape
    assert known == (None, *theirs.shape[1:])
    assert layer.compute_output_shape((None, 8, 7, 2)) == known
    assert layer(keras.Input([None, 7, None])).shape == (None, None, known[2], None)


@pytest.mark.parametrize(
    "images, arguments",
    [
        (IMAGES, dict(size=3)),
        (IMAGES, dict(size=(3, 2), strides=1, padding="same")),
        (IMAGES, dict(size=(2, 3), strides=(3, 1))),
        (IMAGES, dict(size=3, strides=1, dilation_rate=2)),
        (VOLUMES, dict(size=(2, 3, 2))),
        (VOLUMES, dict(size=(3, 3, 3), strides=(1, 2, 2), padding="same")),
    ],
)
def test_extract_as_keras(images, arguments):
    """The arguments are Keras'; its convolution sums a number and zeros."""
    theirs = keras.ops.image.extract_patches(images, **arguments)
    assert_same_bits(ExtractPatches(**arguments)(images), theirs)


BORDERS = [
    (SIGNALS, dict(size=3)),
    (SIGNALS, dict(size=(3,), strides=1, padding="same", mode="wrap")),
    (SIGNALS, dict(size=2, padding=((3, 1),), mode="EDGE")),
    (IMAGES, dict(size=3, strides=2, padding="same", mode="reflect")),
    (IMAGES, dict(size=(2, 3), padding=[[9, 0], [1, 12]], mode="symmetric")),
    (IMAGES, dict(size=2, strides=1, padding=np.ones([2, 2], int))),
    (VOLUMES, dict(size=2, strides=(1, 2, 2), dilation_rate=(2, 1, 3))),
    (VOLUMES, dict(size=(3, 2, 1), padding="same", mode="edge")),
]


@pytest.mark.parametrize("images, arguments", BORDERS)
def test_signals_and_volumes_and_borders(images, arguments):
    layer = ExtractPatches(**arguments)
    grid = grid_of(layer, images.ndim) | dict(mode=layer.mode.upper())
    patches = layer(images)
    assert_same_bits(patches, oracle.extract(images, **grid))
    fold = FoldPatches(**arguments)
    folded = oracle.fold(patches.numpy(), images.shape, **grid)
    assert_same_bits(fold(patches, like=images), folded)
    assert_same_bits(fold([patches, images]), folded)
    assert_same_bits(fold((patches, tf.shape(images))), folded)
    sized = FoldPatches(**arguments, image_size=images.shape[1:-1])
    assert_same_bits(sized(patches), folded)


def test_constant():
    grid = dict(size=3, strides=2, padding="same")
    layer = ExtractPatches(**grid, constant_values=np.float32(-0.5))
    theirs = oracle.extract(IMAGES, **grid_of(layer, 4), constant_values=-0.5)
    assert_same_bits(layer(IMAGES), theirs)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool"])
def test_integers_keep_their_dtype(dtype):
    images = IMAGES.astype(dtype)
    patches = ExtractPatches(3)(images)
    assert_same_bits(patches, tf_patches.extract_patches(images, 3))
    assert ExtractPatches(3)(keras.Input([8, 7, 2], dtype=dtype)).dtype == dtype


def test_floats_are_of_the_policy(policy):
    """Layers cast floats, whatever they do."""
    compute = policy.removeprefix("mixed_")
    grid = dict(size=3, strides=2, padding="same")
    patches = ExtractPatches(**grid)(IMAGES)
    cast = tf.cast(IMAGES, compute)
    assert_same_bits(
        patches, tf_patches.extract_patches(cast, 3, strides=2, padding="SAME")
    )
    folded = FoldPatches(**grid)(patches, like=IMAGES)
    assert folded.dtype == compute
    given = keras.Input([None, None, 2])
    symbolic = ExtractPatches(**grid)(given)
    assert symbolic.dtype == compute
    assert FoldPatches(**grid)([symbolic, given]).dtype == compute
    double = ExtractPatches(3, dtype="float64")
    assert double(IMAGES.astype(np.float64)).dtype == "float64"


def test_sizes_of_a_fold():
    fold = FoldPatches(3, strides=2, padding="same", image_size=(7, 9))
    assert fold.compute_output_shape((None, 4, 5, 27)) == (None, 7, 9, 3)
    assert fold.compute_output_shape((2, None, None, None)) == (2, 7, 9, None)
    assert fold(keras.Input([4, 5, 27])).shape == (None, 7, 9, 3)
    like = FoldPatches(3, strides=2, padding="same")
    shapes = (None, 4, 5, 27), (None, None, 9, 1)
    assert like.compute_output_shape(list(shapes)) == (None, None, 9, 3)
    assert like.compute_output_shape(*shapes) == (None, None, 9, 3)
    # Of both, what the call is given counts.
    assert fold.compute_output_shape((None, 4, 5, 27), (2, 8, 9, 1)) == (2, 8, 9, 3)


def test_depth_of_a_fold_is_that_of_patches():
    """A model may make one map of three colours."""
    images = keras.Input([None, None, 2])
    patches = ExtractPatches(2)(images)
    maps = FoldPatches(2)(layers.Dense(2 * 2 * 5)(patches), like=images)
    assert maps.shape == (None, None, None, 5)
    assert keras.Model(images, maps)(IMAGES[:, :6, :4]).shape == (4, 6, 4, 5)


SAME = dict(size=3, strides=2, padding="same")


@keras.saving.register_keras_serializable(package="tests")
class Denoiser(keras.Model):
    """A subclassed model, of images of any size."""

    def __init__(self, **options):
        super().__init__(**options)
        self.cut = ExtractPatches(**SAME)
        self.change = layers.Dense(18)
        self.put_back = FoldPatches(**SAME)

    def call(self, images):
        patches = self.change(self.cut(images))
        return self.put_back(patches, like=images)


def functional(shape=(None, None, 2)):
    images = keras.Input(shape)
    patches = ExtractPatches(**SAME)(images)
    patches = layers.Dense(18)(patches)
    return keras.Model(images, FoldPatches(**SAME)([patches, images]))


def functional_by_keyword():
    images = keras.Input([None, None, 2])
    patches = layers.Dense(18)(ExtractPatches(**SAME)(images))
    return keras.Model(images, FoldPatches(**SAME)(patches, like=images))


def sequential():
    return keras.Sequential(
        [
            keras.Input([8, 7, 2]),
            ExtractPatches(**SAME, mode="reflect"),
            layers.Dense(18),
            FoldPatches(**SAME, mode="reflect", image_size=(8, 7)),
        ]
    )


def of_functions():
    """The functions on Keras tensors, whose shape only a tensor knows."""
    images = keras.Input([None, None, 2])
    patches = tf_patches.extract_patches(images, 3, 2, padding="same")
    patches = layers.Dense(18)(patches)
    return keras.Model(
        images, tf_patches.fold_patches(patches, images, 3, 2, padding="same")
    )


def of_a_symbolic_number():
    images = keras.Input([None, 7, 2])
    patches = tf_patches.extract_patches(images, 3, 2, padding="same")
    patches = layers.Dense(18)(patches)
    rows = RowsOf()(images)
    shape = [None, rows, 7, 2]
    return keras.Model(
        images, tf_patches.fold_patches(patches, shape, 3, 2, padding="same")
    )


@keras.saving.register_keras_serializable(package="tests")
class RowsOf(keras.Operation):
    """The rows of images, as a Keras tensor that is a number."""

    def call(self, images):
        return tf.shape(images)[1]

    def compute_output_spec(self, images):
        return keras.KerasTensor((), "int32")

    def get_config(self):
        return {}


# Models of what a user's own program has to define, too.
OF_THE_USER = ("subclassed", "functions, of a symbolic number")
MODELS = {
    "functional": functional,
    "functional by keyword": functional_by_keyword,
    "sequential": sequential,
    "functions": of_functions,
    "functions, of a symbolic number": of_a_symbolic_number,
    "subclassed": Denoiser,
}


def averaging():
    """Seams averaged out by a window."""
    return keras.Sequential(
        [
            keras.Input([8, 7, 2]),
            ExtractPatches(**SAME),
            layers.Dense(18),
            FoldPatches(**SAME, image_size=(8, 7), reduction="mean", weights=WINDOW),
        ]
    )


def random(**options):
    cut = RandomPatches(3, (4, 3), seed=5, flips="all")
    model = keras.Sequential([keras.Input([None, None, 2]), cut, layers.Dense(2)])
    model.compile("sgd", "mse", **options)
    return model


def random_pairs():
    images = keras.Input([8, 7, 2])
    pair = dict(image=images, squared=images * images)
    patches = RandomPatches(3, 4, mode="edge")(pair)
    return keras.Model(images, layers.Concatenate()(list(patches.values())))


def expected(model, images):
    """What a model must give, of TensorFlow's own ops and the model's weights."""
    weights, bias = model.get_weights()
    mode = "REFLECT" if isinstance(model, keras.Sequential) else "CONSTANT"
    grid = dict(sizes=[1, 3, 3, 1], strides=[1, 2, 2, 1], rates=[1, 1, 1, 1])
    grid |= dict(padding="SAME", mode=mode)
    patches = oracle.extract(images, **grid) @ weights + bias
    return oracle.fold(patches, images.shape, **grid)


@pytest.mark.parametrize(
    "name, jit_compile",
    [*((name, False) for name in MODELS), ("functional", True), ("functions", True)],
)
def test_models_learn(name, jit_compile):
    keras.utils.set_random_seed(1)
    model = MODELS[name]()
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=jit_compile)
    history = model.fit(IMAGES, IMAGES, epochs=4, shuffle=False, verbose=0)
    losses = history.history["loss"]
    assert losses[-1] < losses[0]
    folded = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(folded, expected(model, IMAGES), 1e-4, 1e-4)


def test_models_of_images_of_another_size():
    larger = np.tile(IMAGES, [1, 2, 3, 1])
    for name in ("functional", "functions", "subclassed"):
        model = MODELS[name]()
        folded = model.predict(larger, verbose=0)
        np.testing.assert_allclose(folded, expected(model, larger), 1e-4, 1e-4)


def test_copies_and_exports(tmp_path):
    for name, make in MODELS.items():
        model = make()
        outputs = model.predict(IMAGES, verbose=0)
        model.export(tmp_path / name, verbose=False)
        saved = tf.saved_model.load(tmp_path / name)
        np.testing.assert_allclose(saved.serve(IMAGES), outputs, 1e-5, 1e-5)
        if name not in OF_THE_USER:
            clone = keras.models.clone_model(model)
            clone.set_weights(model.get_weights())
            assert_same_bits(clone.predict(IMAGES, verbose=0), outputs)


def test_to_builtin(tmp_path):
    """A model of layers runs where neither Keras nor this package is."""
    model = functional()
    model.predict(IMAGES, verbose=0)
    tf_patches.to_builtin(model, tmp_path / "plain", plain=True)
    saved = tf.saved_model.load(tmp_path / "plain")
    outputs = saved.signatures["serving_default"](tf.constant(IMAGES))
    (folded,) = outputs.values()
    np.testing.assert_allclose(folded, expected(model, IMAGES), 1e-4, 1e-4)


def test_fresh_process(tmp_path):
    """A `.keras` file needs but `import tf_patches`."""
    outputs = {}
    more = dict(averaging=averaging, random=random, pairs=random_pairs)
    for name, make in (MODELS | more).items():
        model = make()
        outputs[name] = model.predict(IMAGES, verbose=0)
        model.save(tmp_path / f"{name}.keras")
    np.save(tmp_path / "images.npy", IMAGES)
    child_output(
        f"""
        import sys
        import tf_patches
        import keras
        import numpy as np
        import tensorflow as tf

        images = np.load("images.npy")
        for name in sys.argv[1:]:
            if name in {OF_THE_USER!r}:
                from keras import layers
                from tf_patches.layers import ExtractPatches, FoldPatches
                SAME = {SAME!r}
                exec({inspect.getsource(Denoiser)!r})
                exec({inspect.getsource(RowsOf)!r})
            model = keras.models.load_model(f"{{name}}.keras")
            np.save(f"{{name}}.npy", model.predict(images, verbose=0))
        """,
        *sorted(outputs, key=lambda name: name in OF_THE_USER),
        cwd=tmp_path,
    )
    for name, output in outputs.items():
        assert_same_bits(np.load(tmp_path / f"{name}.npy"), output)


LAYERS = [
    ExtractPatches(3),
    ExtractPatches((3,), strides=2, dilation_rate=(2,), name="frames"),
    ExtractPatches((2, 3), (1, 2), 2, "same", "reflect", 0.5, dtype="float64"),
    ExtractPatches(np.array([3, 2]), padding=np.array([[1, 2], [0, 3]]), mode="WRAP"),
    ExtractPatches((2, 2, 2), padding=[[1, 1], [0, 0], [2, 2]]),
    FoldPatches(3),
    FoldPatches(3, 2, image_size=9, dtype="mixed_float16"),
    FoldPatches((3, 3), 1, 2, "same", "edge", image_size=[8, 7], reduction="MEAN"),
    FoldPatches(3, reduction="mean", weights=WINDOW),
    FoldPatches((3, 2), reduction="mean", weights=[[1, 2, 1], np.ones(2)]),
    RandomPatches(4, 3),
    RandomPatches(np.int64(4), (3, 2), 7, "ALL", "REFLECT", 0.5, [2, 1], name="crops"),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_config(layer):
    config = layer.get_config()
    config = json.loads(json.dumps(config))
    again = type(layer).from_config(config).get_config()
    assert json.loads(json.dumps(again)) == config
    saved = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    assert saved["registered_name"] == f"tf_patches>{type(layer).__module__}." + (
        type(layer).__name__
    )
    copy = keras.saving.deserialize_keras_object(saved)
    assert type(copy) is type(layer)
    assert json.loads(json.dumps(copy.get_config())) == config


def test_in_other_layers():
    films = np.stack([IMAGES, IMAGES[::-1]], 1)
    patches = layers.TimeDistributed(ExtractPatches(3, 2))(films)
    assert_same_bits(patches[:, 0], ExtractPatches(3, 2)(IMAGES))
    assert_same_bits(patches[:, 1], ExtractPatches(3, 2)(IMAGES[::-1]))


def test_in_a_pipeline():
    data = tf.data.Dataset.from_tensor_slices(IMAGES).batch(3)
    cut, put_back = ExtractPatches(**SAME), FoldPatches(**SAME)
    data = data.map(lambda images: put_back(cut(images), like=images))
    assert data.element_spec.shape == (None, 8, 7, 2)
    for images, folded in zip(np.split(IMAGES, [3]), data, strict=True):
        assert_same_bits(folded, put_back(cut(images), like=images))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_in_a_function(jit_compile):
    cut, put_back = ExtractPatches(**SAME), FoldPatches(**SAME)

    @tf.function(input_signature=[tf.TensorSpec([None] * 4)], jit_compile=jit_compile)
    def function(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            patches = cut(images)
            folded = put_back(patches * patches, like=images)
        return patches, folded, tape.gradient(folded, images)

    patches, folded, gradient = function(IMAGES)
    grid = grid_of(cut, 4)
    expected = oracle.extract(IMAGES, **grid)
    assert_same_bits(patches, expected)
    assert_same_bits(folded, oracle.fold(expected**2, IMAGES.shape, **grid))
    covered = oracle.coverage(IMAGES.shape, **grid)[..., np.newaxis]
    assert_same_bits(gradient, 2 * IMAGES * covered.astype(np.float32))


FORMS = r"an int, \(cols,\) for signals .*\(rows, cols\).*\(planes, rows, cols\)"
REFUSED = [
    (dict(size=()), FORMS + r".*size=\(\)"),
    (dict(size=(1, 2, 3, 4)), FORMS + r".*size=\(1, 2, 3, 4\)"),
    (dict(size=3.5), FORMS + r".*size=3\.5"),
    (dict(size=(3, 2.5)), FORMS + r".*size=\(3, 2\.5\)"),
    (dict(size=0), FORMS + ".*size=0"),
    (dict(size=None), FORMS + ".*size=None"),
    (dict(size="text"), FORMS + ".*size='text'"),
    (dict(strides=(1, -1)), r"`strides`.*" + FORMS + r".*strides=\(1, -1\)"),
    (dict(dilation_rate=[]), r"`dilation_rate`.*" + FORMS),
    (dict(size=(3, 3), strides=(1, 1, 1)), r"`size` and `strides`.*\(1, 1, 1\)"),
    (dict(size=(3, 3), dilation_rate=(1,)), r"`size` and `dilation_rate`.*\(1,\)"),
    (dict(size=(3, 3), padding=((1, 1),)), r"`size` and `padding`"),
    (dict(padding="full"), "'valid', 'same' or pairs.*padding='full'"),
    (dict(padding=((1, 2, 3),)), r"\(\(top, bottom\), \(left, right\)\)"),
    (dict(padding=((1, -2),)), r"-2"),
    (dict(padding=3), "padding=3"),
    (dict(mode="full"), "'reflect'.*or 'wrap'.*mode='full'"),
    (dict(mode=None), "mode=None"),
    (dict(data_format="channels_first"), "data_format"),
]


@pytest.mark.parametrize("layer", [ExtractPatches, FoldPatches])
@pytest.mark.parametrize("wrong, message", REFUSED)
def test_refused(layer, wrong, message):
    with pytest.raises(ValueError, match=message):
        layer(**(dict(size=3) | wrong))


def test_refused_of_one_layer():
    with pytest.raises(TypeError, match=r"constant_values.*'a'"):
        ExtractPatches(3, constant_values="a")
    with pytest.raises(ValueError, match=r"`image_size`.*image_size=\(0, 3\)"):
        FoldPatches(3, image_size=(0, 3))
    with pytest.raises(ValueError, match="`size` and `image_size`"):
        FoldPatches((3, 3), image_size=(9,))
    with pytest.raises(ValueError, match=r"'sum' or 'mean'.*reduction='max'"):
        FoldPatches(3, reduction="max")


@pytest.mark.parametrize(
    "size, shape",
    [((3, 3, 3), (2, 8, 7, 2)), ((3,), (2, 8, 7, 2)), (3, (8, 7)), (3, (1,) * 6)],
)
def test_refused_inputs(size, shape):
    message = FORMS + r".*Received: size=.*inputs\[None\]"
    layer = ExtractPatches(size)
    with pytest.raises(ValueError, match=message):
        layer(tf.zeros(shape))
    with pytest.raises(ValueError, match=message):
        layer(keras.Input(batch_shape=shape))
    with pytest.raises(ValueError, match=message):
        FoldPatches(size)(tf.zeros(shape), like=tf.zeros(shape))


def test_refused_images_of_a_fold():
    fold, patches = FoldPatches(3), keras.Input([2, 2, 18])
    with pytest.raises(ValueError, match=r"image_size=.*like=images"):
        fold(patches)
    for inputs in ([patches], [patches] * 3):
        with pytest.raises(ValueError, match="list of patches and `like`"):
            fold(inputs)
    with pytest.raises(ValueError, match="do not match image_shape"):
        fold(patches, like=keras.Input([9, 9, 2]))
    with pytest.raises(ValueError, match=r"image_shape must be a vector of 4"):
        fold(patches, like=keras.Input([6, 2]))


def test_wide_patches():
    """TensorFlow's own errors come through as they are."""
    with pytest.raises(ValueError, match="sizes 30"):
        ExtractPatches(30, 2)(keras.Input([8, 7, 2]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="sizes 30"):
        ExtractPatches(30, 2)(IMAGES)


def test_image_shape_of_a_tensor():
    """Also where nothing of Keras is: the shape of images stands for them."""
    grid = dict(sizes=3, strides=2, padding="same")
    patches = tf_patches.extract_patches(IMAGES, **grid)
    folded = tf_patches.fold_patches(patches, IMAGES.shape, **grid)
    for images in (IMAGES, tf.constant(IMAGES), tf.Variable(IMAGES)):
        assert_same_bits(tf_patches.fold_patches(patches, images, **grid), folded)

    @tf.function(input_signature=[tf.TensorSpec([None] * 4)] * 2)
    def function(patches, images):
        return tf_patches.fold_patches(patches, images, **grid)

    assert_same_bits(function(patches, IMAGES), folded)
    with pytest.raises(tf.errors.InvalidArgumentError, match="do not match"):
        function(patches, IMAGES[:, :, 2:])


SYMBOLIC = {
    "images": (lambda images: images, (None, None, 7, 2)),
    "numbers": (lambda images: [None, RowsOf()(images), 7, 2], (None, None, 7, 2)),
    "shape of images": (lambda images: IMAGES, IMAGES.shape),
}


@pytest.mark.parametrize("name", SYMBOLIC)
def test_symbolic_image_shape(name):
    shape_of, known = SYMBOLIC[name]
    images, grid = keras.Input([None, 7, 2]), dict(sizes=3, strides=2, padding="same")
    patches = tf_patches.extract_patches(images, **grid)
    folded = tf_patches.fold_patches(patches, shape_of(images), **grid)
    assert folded.shape == known
    model = keras.Model(images, folded)
    copy = keras.models.model_from_json(model.to_json())
    theirs = tf_patches.extract_patches(IMAGES, **grid)
    theirs = tf_patches.fold_patches(theirs, IMAGES.shape, **grid)
    assert_same_bits(model(IMAGES), theirs)
    assert_same_bits(copy(IMAGES), theirs)


@pytest.mark.parametrize("name", SYMBOLIC)
def test_symbolic_image_shape_at_positions(name):
    shape_of, known = SYMBOLIC[name]
    images, positions = keras.Input([None, 7, 2]), [[-1, 0], [3, 4], [4, 4]]
    patches = tf_patches.extract_patches_at(images, positions, 3)
    folded = tf_patches.fold_patches_at(patches, positions, shape_of(images))
    assert folded.shape == known
    model = keras.Model(images, folded)
    copy = keras.models.model_from_json(model.to_json())
    theirs = tf_patches.extract_patches_at(IMAGES, positions, 3)
    theirs = tf_patches.fold_patches_at(theirs, positions, IMAGES)
    assert_same_bits(copy(IMAGES), theirs)


def test_shapes_that_say_too_little():
    """Keras gives the shape of a Keras tensor without what is unknown."""
    images, patches = keras.Input([None, 7, 2]), keras.Input([4, 4, 18])
    shape = keras.ops.shape(images)
    with pytest.raises(ValueError, match=r"may be None.*such as the images"):
        tf_patches.fold_patches(patches, shape, 3, 2, padding="same")


def test_means_and_windows():
    """As a fold of products divided by the fold of the window."""
    cut = ExtractPatches(**SAME)
    patches = cut(IMAGES).numpy()
    grid = grid_of(cut, 4)
    for weights, window in {
        "none": (None, np.ones([3, 3])),
        "window": (WINDOW, WINDOW),
        "factors": ([[1, 2, 1], [1, 3, 1]], WINDOW),
    }.values():
        window = np.repeat(window.astype(np.float32), 2).reshape(-1)
        total = oracle.fold(patches * window, IMAGES.shape, **grid)
        summed = FoldPatches(**SAME, weights=weights)(patches, like=IMAGES)
        assert_same_bits(summed, total)
        ones = np.broadcast_to(window, patches.shape)
        mean = total / oracle.fold(ones, IMAGES.shape, **grid)
        folded = FoldPatches(**SAME, weights=weights, reduction="mean")
        assert_same_bits(folded(patches, like=IMAGES), mean)


NUMBERED = np.arange(2 * 9 * 11, dtype=np.float32).reshape(2, 9, 11, 1)


def places(patches):
    """The first pixels of patches of NUMBERED, `[batch, count, 2]`."""
    first = np.asarray(patches)[..., 0, 0, 0].astype(int) % 99
    return np.stack([first // 11, first % 11], -1)


def test_random_patches_are_of_the_images():
    cut = RandomPatches(50, (3, 4), seed=1)
    patches = cut(NUMBERED).numpy()
    assert patches.shape == (2, 50, 3, 4, 1)
    at = places(patches)
    for image, cut_of_image, corners in zip(NUMBERED, patches, at, strict=True):
        for patch, (row, col) in zip(cut_of_image, corners, strict=True):
            assert_same_bits(patch, image[row : row + 3, col : col + 4])
    # Of 7 rows and 8 cols of places, none is left out.
    assert set(at[..., 0].flat) == set(range(7))
    assert set(at[..., 1].flat) == set(range(8))


def test_every_call_cuts_others():
    cuts = [RandomPatches(20, 3, seed=seed) for seed in (1, 1, 2, None)]
    calls = [[cut(NUMBERED).numpy().tobytes() for _ in range(3)] for cut in cuts]
    assert calls[0] == calls[1]
    assert len({call for of_a_layer in calls for call in of_a_layer}) == 9


def test_flips():
    cut = RandomPatches(60, 3, seed=1, flips="horizontal")
    steps = np.diff(cut(NUMBERED), axis=3)
    assert set(steps.flat) == {-1, 1}
    assert set(np.diff(cut(NUMBERED), axis=2).flat) == {11}
    assert set(np.diff(cut(NUMBERED, training=False), axis=3).flat) == {1}


@pytest.mark.parametrize("training", [False, True])
def test_a_structure_is_cut_alike(training):
    cut = RandomPatches(5, 4, seed=1, flips="all")
    masks = NUMBERED.astype(np.uint8)
    both = np.concatenate([NUMBERED, -NUMBERED], -1)
    patches, (labels, twice) = cut((NUMBERED, [masks, both]), training=training)
    assert_same_bits(labels, patches.numpy().astype(np.uint8))
    assert_same_bits(twice, np.concatenate([patches, -patches], -1))
    named = cut(dict(image=NUMBERED, mask=masks), training=training)
    assert_same_bits(named["mask"], named["image"].numpy().astype(np.uint8))

    images, masks = keras.Input([None, 11, 3]), keras.Input([9, None, 1], dtype="bool")
    patches, labels = cut((images, masks), training=training)
    assert (patches.shape, patches.dtype) == ((None, 5, 4, 4, 3), "float32")
    assert (labels.shape, labels.dtype) == ((None, 5, 4, 4, 1), "bool")
    shapes = cut.compute_output_shape(dict(a=(2, 9, 9, 3), b=(2, None, None, None)))
    assert shapes == dict(a=(2, 5, 4, 4, 3), b=(2, 5, 4, 4, None))


@pytest.mark.parametrize("size", [(3, 4), (4, 3), (9, 11), (8, 10), 1])
def test_centre_at_inference(size):
    """The first patch is what Keras' RandomCrop cuts then."""
    rows, cols = whole(size, 2)[1:-1]
    theirs = layers.CenterCrop(rows, cols)(NUMBERED)
    patches = RandomPatches(7, size)(NUMBERED, training=False)
    assert_same_bits(patches[:, 0], theirs)
    one = RandomPatches(1, size)(NUMBERED, training=False)
    assert_same_bits(one, patches[:, :1])


def test_evenly_at_inference():
    signals = np.arange(1000.0, dtype=np.float32).reshape(1, 1000, 1)
    for count in (1, 2, 3, 10, 100):
        patches = RandomPatches(count, 8)(signals, training=False)
        first = np.sort(patches[0, :, 0, 0])
        gaps = np.diff([0, *first, 992])
        assert gaps.max() < 2 * 992 / count


def test_small_images():
    cut, reflect = RandomPatches(30, (12, 4)), RandomPatches(30, 12, 1, mode="reflect")
    for training in (False, True):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"12.*pass a mode"):
            cut(NUMBERED, training=training)
        with pytest.raises(ValueError, match=r"12.*pass a mode"):
            cut(keras.Input([9, 11, 1]), training=training)
        padded = np.pad(NUMBERED[0, :, :, 0], 3, mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (12, 12))
        windows = {window.tobytes() for window in windows.reshape(-1, 12, 12)}
        patches = reflect(NUMBERED, training=training).numpy()
        assert {patch.tobytes() for patch in patches[0]} <= windows
    # In the middle, where there is one more pixel before than behind.
    constant = RandomPatches(1, 12, mode="constant", constant_values=-1)
    middle = np.pad(NUMBERED, [(0, 0), (2, 1), (1, 0), (0, 0)], constant_values=-1)
    assert_same_bits(constant(NUMBERED, training=False)[:, 0], middle)


def test_random_patches_of_signals_and_volumes():
    cut = RandomPatches(5, 3, seed=2, dilation_rate=2)
    assert cut(SIGNALS).shape == (4, 5, 3, 2)
    assert cut(VOLUMES).shape == (2, 5, 3, 3, 3, 2)
    taps = np.diff(cut(NUMBERED), axis=3)
    assert set(taps.flat) == {2}
    assert cut(keras.Input([None, None, None, 2])).shape == (None, 5, 3, 3, 3, 2)


def test_random_patches_are_of_the_policy(policy):
    compute = policy.removeprefix("mixed_")
    patches, labels = RandomPatches(2, 3)((IMAGES, IMAGES.astype(np.uint8)))
    assert (patches.dtype, labels.dtype) == (compute, "uint8")


@pytest.mark.parametrize("jit_compile", [False, True])
def test_random_patches_in_a_function(jit_compile):
    cut, same = (RandomPatches(3, 4, seed=1, flips="all") for _ in range(2))
    compiled = tf.function(cut, jit_compile=jit_compile)
    for _ in range(2):
        assert_same_bits(compiled(NUMBERED), same(NUMBERED))
    inference = compiled(NUMBERED, training=False)
    assert_same_bits(inference, same(NUMBERED, training=False))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_model_of_random_patches(jit_compile, tmp_path):
    model = random(jit_compile=jit_compile)
    target = np.zeros([4, 3, 4, 3, 2], np.float32)
    losses = model.fit(IMAGES, target, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert_same_bits(model.predict(IMAGES, verbose=0), model(IMAGES, training=False))
    assert model.evaluate(IMAGES, target, verbose=0) == model.evaluate(
        IMAGES, target, verbose=0
    )
    model.save(tmp_path / "model.keras")
    # Random numbers begin anew, as those of Keras' own layers do.
    copies = [keras.models.load_model(tmp_path / "model.keras") for _ in range(2)]
    first, second = (copy(IMAGES, training=True) for copy in copies)
    assert_same_bits(first, second)


def test_random_patches_in_a_pipeline():
    cut = RandomPatches(3, 4, seed=3)
    data = tf.data.Dataset.from_tensor_slices((NUMBERED, NUMBERED.astype(np.uint8)))
    data = data.batch(1).map(lambda *tensors: cut(tensors)).repeat(2)
    assert [spec.shape for spec in data.element_spec] == [(None, 3, 4, 4, 1)] * 2
    patches, labels = map(np.concatenate, zip(*data, strict=True))
    assert_same_bits(labels, patches.astype(np.uint8))
    # As many calls of a layer that begins at the same seed.
    again = RandomPatches(3, 4, seed=3)
    for image, of_image in zip([*NUMBERED, *NUMBERED], patches, strict=True):
        assert_same_bits(again(image[np.newaxis])[0], of_image)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(count=0), "`count`.*at least 1.*count=0"),
        (dict(count=2.5), r"`count`.*count=2\.5"),
        (dict(count=None), r"`count`.*count=None"),
        (dict(size=(1, 2, 3, 4)), FORMS),
        (dict(dilation_rate=(1, 2, 3, 4)), FORMS),
        (dict(size=(2, 2), dilation_rate=(1,)), "`size` and `dilation_rate`"),
        (dict(flips="diagonal"), "'horizontal', 'vertical' or 'all'.*'diagonal'"),
        (dict(mode="full"), "'wrap'.*mode='full'"),
        (dict(seed="text"), "`seed` must be an integer.*text"),
    ],
)
def test_refused_random_patches(wrong, message):
    with pytest.raises(ValueError, match=message):
        RandomPatches(**(dict(count=2, size=3) | wrong))


def test_refused_inputs_of_random_patches():
    cut = RandomPatches(2, (3, 3))
    with pytest.raises(ValueError, match=FORMS):
        cut(SIGNALS)
    with pytest.raises(ValueError, match=FORMS):
        cut((IMAGES, SIGNALS))
    with pytest.raises(tf.errors.InvalidArgumentError, match="same batch and space"):
        cut((IMAGES, IMAGES[:, 1:]))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"flips.*'vertical'"):
        RandomPatches(2, 3, flips="vertical")(SIGNALS)
