"""Plain models through the real exporters, run by the real runtimes."""

from functools import partial

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from child import python_output
from compare import assert_same_bits

import tf_patches

TILES = dict(
    sizes=[1, 4, 4, 1], strides=[1, 4, 4, 1], rates=[1, 1, 1, 1], padding="VALID"
)
SAME = dict(
    sizes=[1, 3, 3, 1], strides=[1, 1, 1, 1], rates=[1, 1, 1, 1], padding="SAME"
)
DILATED = SAME | dict(strides=[1, 2, 1, 1], rates=[1, 2, 3, 1])
GRIDS = {"tiles": TILES, "same": SAME, "dilated": DILATED}


def folded(grid, images):
    patches = tf_patches.extract_patches(images, **grid)
    return tf_patches.fold_patches(patches / 4, tf.shape(images), **grid) + 1


def volumes(function, **grid):
    return lambda images: function(tf.expand_dims(images, -1), **grid)


def signals(function, **grid):
    def of(images):
        return function(tf.reshape(images, [tf.shape(images)[0], -1, 3]), **grid)

    return of


MODES = ["REFLECT", "SYMMETRIC", "EDGE", "WRAP"]
WIDE = dict(sizes=3, strides=2, padding=[[0, 0], [30, 1], [2, 40], [0, 0]])
# Wider than the images all the same; what an image is folded from grows with it.
BEYOND = WIDE | dict(padding=[[0, 0], [13, 1], [2, 10], [0, 0]])
SOLID = dict(sizes=[3, 2, 2], strides=[2, 1, 1], padding="SAME")
LINES = dict(sizes=4, strides=3, rates=2, padding="SAME")
APART = dict(ksizes=[1, 2, 1, 2, 1], strides=[1, 5, 4, 3, 1], padding="SAME")

WORK = {
    **{name: partial(tf_patches.extract_patches, **GRIDS[name]) for name in GRIDS},
    **{f"{n}, built-in": partial(tf.image.extract_patches, **GRIDS[n]) for n in GRIDS},
    **{f"{name}, folded": partial(folded, GRIDS[name]) for name in GRIDS},
    **{
        mode: partial(tf_patches.extract_patches, **WIDE | dict(mode=mode))
        for mode in MODES
    },
    "constant": partial(tf_patches.extract_patches, **WIDE, constant_values=0.5),
    "padding, folded": partial(folded, WIDE),
    "volumes": volumes(tf_patches.extract_patches, **SOLID),
    "volumes, reflected": volumes(tf_patches.extract_patches, **SOLID, mode="REFLECT"),
    "volumes, apart": volumes(tf_patches.extract_volume_patches, **APART),
    "volumes, folded": volumes(partial(folded, SOLID)),
    "signals": signals(tf_patches.extract_patches, **LINES),
    "signals, folded": signals(partial(folded, LINES)),
}
# What only images of known rows and cols can be converted of.
KNOWN = {
    "volumes, built-in": volumes(tf.extract_volume_patches, **APART),
    **{f"{mode}, folded": partial(folded, BEYOND | dict(mode=mode)) for mode in MODES},
    "volumes, wrapped and folded": volumes(partial(folded, SOLID | dict(mode="WRAP"))),
}
SHAPES = {"unknown batch": [None, 12, 9, 3], "all unknown but depth": [None] * 3 + [3]}


def images(*shape):
    return np.random.default_rng(3).uniform(-1, 1, shape).astype(np.float32)


GIVEN = {
    "unknown batch": [images(2, 12, 9, 3), images(5, 12, 9, 3)],
    "all unknown but depth": [images(2, 12, 9, 3), images(1, 17, 21, 3)],
}


@pytest.fixture(scope="module", params=SHAPES)
def model(request, tmp_path_factory):
    """What to give a model, the model, and the folder of the plain one."""

    @tf.function(
        input_signature=[tf.TensorSpec(SHAPES[request.param], name="images")],
        autograph=False,
    )
    def every(images):
        known = KNOWN if request.param == "unknown batch" else {}
        work = [*WORK.values(), *known.values()]
        return {f"result_{i}": one(images) for i, one in enumerate(work)}

    folder = tmp_path_factory.mktemp("saved")
    module = tf.Module()
    module.every = every
    tf.saved_model.save(module, str(folder / "ours"), signatures=every)
    tf_patches.to_builtin(folder / "ours", folder / "plain", plain=True)
    return GIVEN[request.param], every, folder


def converter(folder):
    made = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    made.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return made


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_tflite(model):
    given, every, folder = model
    interpreter = tf.lite.Interpreter(
        model_content=converter(folder / "plain").convert()
    )
    run = interpreter.get_signature_runner()
    for images in given:
        results, expected = run(images=images), every(tf.constant(images))
        for name in expected:
            assert_same_bits(results[name], expected[name])


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_tflite_in_int8(model):
    """Within what 256 steps over the range of all values make of the result."""
    given, every, folder = model
    made = converter(folder / "plain")
    made.optimizations = [tf.lite.Optimize.DEFAULT]
    made.representative_dataset = lambda: [[images] for images in given]
    made.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    interpreter = tf.lite.Interpreter(model_content=made.convert())
    interpreter.allocate_tensors()
    kinds = [tensor["dtype"] for tensor in interpreter.get_tensor_details()]
    assert kinds.count(np.int8) > kinds.count(np.float32)
    run = interpreter.get_signature_runner()
    for images in given:
        results, expected = run(images=images), every(tf.constant(images))
        # Not in KNOWN, where dozens of sums, one after the other, are each rounded.
        for name, values in list(expected.items())[: len(WORK)]:
            step = np.ptp(values) / 255
            np.testing.assert_allclose(results[name], values, atol=6 * step)


def test_tflite_does_not_take_what_is_not_plain(model):
    """Otherwise the tests above would show nothing."""
    with pytest.raises(Exception, match=r"TFPatches>|ExtractImagePatches|custom op"):
        converter(model[2] / "ours").convert()


def test_onnx(model, tmp_path):
    given, every, folder = model
    options = ["--saved-model", folder / "plain", "--output", tmp_path / "model.onnx"]
    python_output("-m", "tf2onnx.convert", *options, "--opset", 17)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert {i.name for i in session.get_inputs()} == {"images"}
    names = [output.name for output in session.get_outputs()]
    for images in given:
        results = dict(zip(names, session.run(names, {"images": images}), strict=True))
        for name, expected in every(tf.constant(images)).items():
            assert_same_bits(results[name], expected)
