"""What conversion reads and writes: whole models or nothing, damaged ones refused."""

import errno
import os
import random
import shutil
from functools import partial

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from test_convert import GRID, contents

import tf_patches
from tf_patches.__main__ import main
from tf_patches.conversion import ConversionError


class Model(tf.Module):
    """All that a SavedModel may hold: variables, assets, nested functions."""

    def __init__(self, vocabulary):
        self.scale = tf.Variable([1.0, 2.0])
        self.vocabulary = tf.saved_model.Asset(vocabulary)
        self.inner = tf.function(partial(tf_patches.extract_patches, **GRID))

    @tf.function(input_signature=[tf.TensorSpec([None, 6, 5, 2], name="images")])
    def there_and_back(self, images):
        patches = self.inner(images * self.scale)
        return tf_patches.fold_patches(patches, tf.shape(images), **GRID)


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    (folder / "words.txt").write_text("one two")
    tf.saved_model.save(Model(str(folder / "words.txt")), str(folder / "ours"))
    return folder / "ours"


@pytest.fixture
def copy(ours, tmp_path):
    return shutil.copytree(ours, tmp_path / "copy")


def assert_refused(model, tmp_path, message):
    """In Python and on the command line; nothing is left behind."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConversionError, match=message):
        tf_patches.to_builtin(model, tmp_path / "new" / "folders" / "out")
    assert main(["convert", str(model), str(tmp_path / "new" / "out")]) == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_all_parts_arrive(ours, tmp_path):
    tf_patches.to_builtin(ours, tmp_path / "a" / "b" / "out")
    before, after = set(contents(ours)), set(contents(tmp_path / "a" / "b" / "out"))
    assert {path.name for path in before ^ after} == {"fingerprint.pb"}
    assert os.listdir(tmp_path / "a" / "b") == ["out"]


def mounted(monkeypatch, folder):
    """Has `folder` behave as one that another file system is mounted at."""
    rename = os.rename

    def across(source, target, **options):
        sides = [folder in os.path.abspath(path) for path in (source, target)]
        if sides[0] != sides[1]:
            raise OSError(errno.EXDEV, "Invalid cross-device link", source)
        rename(source, target, **options)

    monkeypatch.setattr(os, "rename", across)
    monkeypatch.setattr(os, "replace", across)


def test_into_a_mounted_folder(ours, tmp_path, monkeypatch):
    out = tmp_path / "volume"
    out.mkdir()
    mounted(monkeypatch, f"{out}{os.sep}")
    tf_patches.to_builtin(ours, out)
    assert {"variables", "saved_model.pb"} < set(os.listdir(out))
    assert not list(out.glob(".*"))


@pytest.mark.parametrize("moves", range(4))
def test_interrupted_while_parts_are_moved(moves, ours, tmp_path, monkeypatch):
    """The graph is the last to arrive, and what arrived before it goes again."""
    out = tmp_path / "out"
    out.mkdir()
    rename, done = os.rename, []

    def interrupted(source, target, **options):
        assert not (out / "saved_model.pb").exists()
        if len(done) == moves and ".tf_patches." in str(source):
            raise KeyboardInterrupt
        rename(source, target, **options)
        done.append(target)

    monkeypatch.setattr(os, "rename", interrupted)
    monkeypatch.setattr(os, "replace", interrupted)
    if moves == 3:
        tf_patches.to_builtin(ours, out)
        assert (out / "saved_model.pb").exists()
        return
    with pytest.raises(KeyboardInterrupt):
        tf_patches.to_builtin(ours, out)
    assert os.listdir(out) == []


@pytest.mark.parametrize("length", [246, 255])
def test_long_names(length, ours, tmp_path):
    tf_patches.to_builtin(ours, tmp_path / ("n" * length))
    assert os.listdir(tmp_path) == ["n" * length]


@pytest.mark.parametrize("target", ["/etc/passwd", "/dev/zero", "/", ".", "gone"])
def test_links_out_of_the_model(target, copy, tmp_path):
    (copy / "assets" / "p").symlink_to(target)
    assert_refused(copy, tmp_path, "assets/p is a link to .*replace it by a copy")


def test_a_link_in_place_of_the_graph(ours, copy, tmp_path):
    (copy / "saved_model.pb").unlink()
    (copy / "saved_model.pb").symlink_to(ours / "saved_model.pb")
    assert_refused(copy, tmp_path, "saved_model.pb is a link to")


def test_links_in_the_model(copy, tmp_path):
    """Are copied; the model itself may be reached by a link."""
    (copy / "assets" / "again.txt").symlink_to("words.txt")
    (tmp_path / "link").symlink_to(copy)
    tf_patches.to_builtin(tmp_path / "link", tmp_path / "out")
    copied = tmp_path / "out" / "assets" / "again.txt"
    assert copied.read_text() == "one two"
    assert not copied.is_symlink()


@pytest.mark.parametrize("count", [0, 2])
def test_one_graph(count, copy, tmp_path):
    path = copy / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    graphs = [model.meta_graphs[0]] * count
    path.write_bytes(saved_model_pb2.SavedModel(meta_graphs=graphs).SerializeToString())
    assert_refused(copy, tmp_path, f"must hold 1 MetaGraphDef, but has {count}")


def test_pipes(copy, tmp_path):
    os.mkfifo(copy / "assets" / "pipe")
    assert_refused(copy, tmp_path, "assets/pipe is a device, pipe or socket")


def converts_or_is_refused(model, out, **options):
    """Any other exception fails the test. Returns whether it was refused."""
    try:
        tf_patches.to_builtin(model, out, **options)
    except ConversionError as error:
        assert "\n" not in str(error)
        assert not out.exists()
        return True
    shutil.rmtree(out)
    return False


@pytest.mark.parametrize("seed", range(3))
def test_mutated_graphs(seed, copy, tmp_path):
    """Bytes changed at random, and all kinds of short files."""
    graph = (copy / "saved_model.pb").read_bytes()
    rng = random.Random(seed)
    refused = 0
    for _ in range(20):
        mutated = bytearray(graph)
        for _ in range(rng.choice([1, 1, 4])):
            mutated[rng.randrange(len(mutated))] = rng.randrange(256)
        end = rng.choice([len(mutated), len(mutated), rng.randrange(len(mutated))])
        (copy / "saved_model.pb").write_bytes(mutated[:end])
        refused += converts_or_is_refused(copy, tmp_path / "out")
    assert refused


def test_damaged_variables(copy, tmp_path):
    for path in (copy / "variables").iterdir():
        content = path.read_bytes()
        for end in 0, 1, len(content) // 2, len(content) - 1:
            path.write_bytes(content[:end])
            converts_or_is_refused(copy, tmp_path / "out")
        path.unlink()
        assert_refused(copy, tmp_path, "cannot be loaded")
        path.write_bytes(content)


VALUES = {
    "missing": lambda value: value.Clear(),
    "text": lambda value: setattr(value, "s", b"\xff\xfe"),
    "number": lambda value: setattr(value, "i", -1),
    "dtype": lambda value: setattr(value, "type", 99),
    "placeholder": lambda value: setattr(value, "placeholder", "T"),
    "short": lambda value: value.list.i.extend([1]),
    "negative": lambda value: value.list.i.extend([1, -2, 0, 1]),
    "shapes": lambda value: value.list.shape.add().dim.add(size=-7),
}


@pytest.mark.parametrize("plain", [False, True], ids=["built-in", "plain"])
@pytest.mark.parametrize("value", VALUES)
def test_edited_attributes(value, plain, copy, tmp_path):
    saved = (copy / "saved_model.pb").read_bytes()
    refused = 0
    for attribute in "T", "ksizes", "padding", "Tshape", "_output_shapes":
        model = saved_model_pb2.SavedModel.FromString(saved)
        for function in model.meta_graphs[0].graph_def.library.function:
            for node in function.node_def:
                if node.op.startswith("TFPatches>"):
                    node.attr[attribute].Clear()
                    VALUES[value](node.attr[attribute])
        (copy / "saved_model.pb").write_bytes(model.SerializeToString())
        refused += converts_or_is_refused(copy, tmp_path / "out", plain=plain)
    assert refused
