"""What earlier versions saved loads, and gives the bits that it gave."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from compare import assert_same_bits
from op_definitions import breaches, recorded, registered

DATA = Path(__file__).parent / "data"
VERSIONS = ["0.1.0"]
IMAGES = ((np.arange(252).reshape(2, 7, 6, 3) * 37 % 101) / 8 - 5).astype(np.float32)


@pytest.fixture(params=VERSIONS)
def saved(request):
    return DATA / request.param


def given_by(saved, kind):
    with np.load(saved / f"{kind}.npz") as results:
        return dict(results)


def test_saved_model(saved, tmp_path):
    shutil.unpack_archive(saved / "saved_model.zip", tmp_path)
    model = tf.saved_model.load(tmp_path)
    expected = given_by(saved, "saved_model")
    assert len(expected) == 6
    for name, result in expected.items():
        assert_same_bits(getattr(model, name)(tf.constant(IMAGES)), result)
    served = model.signatures["serving_default"](images=tf.constant(IMAGES))
    assert_same_bits(*served.values(), expected["extract"])


def test_gradient_of_a_loaded_model(saved, tmp_path):
    """Taken anew, by the gradient that is registered now."""
    shutil.unpack_archive(saved / "saved_model.zip", tmp_path)
    model = tf.saved_model.load(tmp_path)
    images = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(images)
        patches = model.extract(images)
    gradient = tape.gradient(patches, images, patches * patches)
    assert_same_bits(gradient, given_by(saved, "saved_model")["gradient"])


def test_keras(saved):
    model = keras.models.load_model(saved / "model.keras")
    expected = given_by(saved, "keras")
    results = model.predict(IMAGES, verbose=0)
    assert_same_bits(results[0], expected["patches"])
    assert_same_bits(results[1], expected["folded"])


def test_graph(saved):
    """Of many dtypes, with image shapes of either kind."""
    expected = given_by(saved, "graph")
    assert len(expected) == 8 + 2 * 7
    definition = tf.compat.v1.GraphDef.FromString((saved / "graph.pb").read_bytes())
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.graph_util.import_graph_def(definition, name="")
        results = session.run({name: f"{name}:0" for name in expected})
    for name, result in expected.items():
        assert_same_bits(results[name], result)


@pytest.mark.parametrize("name", recorded())
def test_nodes_of_recorded_ops_mean_the_same(name):
    op = registered().get(name)
    assert op is not None, f"{name} is gone"
    assert breaches(recorded()[name], op) == []


def test_all_ops_are_recorded():
    assert recorded() == registered(), "run: python tests/op_definitions.py"


def attribute(op, name):
    return next(attr for attr in op.attr if attr.name == name)


BREACHES = {
    "an attribute without a default": (
        lambda op: op.attr.add(name="more", type="int"),
        "more is new and has no default",
    ),
    "another default": (
        lambda op: setattr(attribute(op, "mode").default_value, "s", b"EDGE"),
        "mode changed its default",
    ),
    "no default": (
        lambda op: attribute(op, "mode").ClearField("default_value"),
        "mode changed its default",
    ),
    "an attribute less": (lambda op: op.attr.pop(0), "is gone"),
    "an attribute renamed": (
        lambda op: setattr(attribute(op, "ksizes"), "name", "sizes"),
        "ksizes is gone",
    ),
    "another type": (
        lambda op: setattr(attribute(op, "ksizes"), "type", "int"),
        "ksizes changed its type",
    ),
    "a mode less": (
        lambda op: attribute(op, "mode").allowed_values.list.s.pop(),
        "mode allows less",
    ),
    "a dtype less": (
        lambda op: attribute(op, "T").allowed_values.list.type.pop(),
        "T allows less",
    ),
    "an input more": (
        lambda op: op.input_arg.add(name="flips", type=tf.bool.as_datatype_enum),
        "input_arg changed",
    ),
    "an output renamed": (
        lambda op: setattr(op.output_arg[0], "name", "result"),
        "output_arg changed",
    ),
}


@pytest.mark.parametrize("change, found", BREACHES.values(), ids=BREACHES)
def test_breaches_are_found(change, found):
    before = recorded()["TFPatches>ExtractPatches"]
    after = type(before).FromString(before.SerializeToString())
    change(after)
    assert any(found in breach for breach in breaches(before, after))


def test_what_may_change():
    """Another attribute that has a default, and another mode."""
    before = recorded()["TFPatches>ExtractPatches"]
    after = type(before).FromString(before.SerializeToString())
    after.attr.add(name="more", type="int").default_value.i = 0
    attribute(after, "mode").allowed_values.list.s.append(b"MIRROR")
    assert breaches(before, after) == []
