"""Models converted to built-in ops, run where the package cannot be imported."""

import shutil
from functools import partial

import numpy as np
import pytest
import tensorflow as tf
from cases import DTYPES, NUMBERS, random_bits
from child import WITHOUT_THE_PACKAGE, child_output
from compare import assert_same_bits, assert_same_numbers
from derivatives import built_in_fold, pullback
from graphs import noise
from oracle import extract, fold, patches_shape
from tensorflow.core.protobuf import saved_model_pb2

import tf_patches
from tf_patches.conversion import ConversionError, functions

GRID = dict(
    sizes=[1, 3, 2, 1], strides=[1, 2, 1, 1], rates=[1, 1, 2, 1], padding="SAME"
)
APART = GRID | dict(strides=[1, 4, 5, 1], rates=[1, 1, 1, 1], padding="VALID")
SHAPE = (2, 7, 6, 3)


def patches_of(take, _, images):
    return take(images, **GRID)


def apart(take, _, images):
    return take(images, **APART)


def gradient(take, _, images):
    return pullback(partial(take, **GRID), images, tf.square)


def second_order(take, put, images):
    return pullback(partial(gradient, take, put), images, images)


def there_and_back(take, put, images):
    patches = take(images, **GRID)
    return put(patches * patches, tf.shape(images), **GRID)


def loop(take, put, images):
    return tf.while_loop(
        lambda turn, _: turn < 3,
        lambda turn, images: (turn + 1, there_and_back(take, put, images) / 8),
        (0, images),
        shape_invariants=(tf.TensorShape([]), images.shape),
    )[1]


def branches(take, put, images):
    return tf.cond(
        tf.reduce_mean(images) < 9,
        lambda: gradient(take, put, images),
        lambda: images - 1,
    )


def nested(take, put, images):
    inner = tf.function(partial(there_and_back, take, put))
    with tf.control_dependencies([inner(images)]):
        return inner(tf.function(lambda images: inner(images) + 1)(images))


OURS = (tf_patches.extract_patches, tf_patches.fold_patches)
BUILT_IN = (tf.image.extract_patches, built_in_fold)
WORK = [
    patches_of,
    apart,
    gradient,
    second_order,
    there_and_back,
    loop,
    branches,
    nested,
]
UNKNOWN = [None, None, None, None]


def save(path, functions, **options):
    """A SavedModel of functions by name, each with its signature."""
    module = tf.Module()
    for name, (function, *specs) in functions.items():
        traced = tf.function(function, input_signature=specs, autograph=False)
        setattr(module, name, traced)
    tf.saved_model.save(module, str(path), signatures={}, **options)
    return path


def work(pair, shape=UNKNOWN):
    spec = tf.TensorSpec(shape, tf.float32)
    return {one.__name__: (partial(one, *pair), spec) for one in WORK}


def run_elsewhere(model, tmp_path, setting="import tf_patches\n", **inputs):
    """What functions of a model give in a process of its own, by name."""
    np.savez(tmp_path / "inputs.npz", **inputs)
    child_output(
        setting
        + """
import sys
import numpy as np
import tensorflow as tf

path, folder = sys.argv[1:]
model = tf.saved_model.load(path)
with np.load(folder + "/inputs.npz") as inputs:
    results = {name: getattr(model, name)(tf.constant(inputs[name])) for name in inputs}
np.savez(folder + "/results.npz", **results)
""",
        model,
        tmp_path,
        cwd=tmp_path,
    )
    with np.load(tmp_path / "results.npz") as results:
        return dict(results)


def nodes_of(path):
    """The ops of all nodes of a SavedModel, and their names, by graph or function."""
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((path / "saved_model.pb").read_bytes())
    (part,) = model.meta_graphs
    scopes = {
        function.signature.name: function.node_def
        for function in part.graph_def.library.function
    }
    return {
        name: sorted((node.name, node.op) for node in nodes)
        for name, nodes in {**scopes, "": part.graph_def.node}.items()
    }


def ops_of(path):
    return {op for nodes in nodes_of(path).values() for _, op in nodes}


IMAGES = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return save(tmp_path_factory.mktemp("saved") / "ours", work(OURS))


@pytest.fixture(scope="module")
def converted(ours):
    out = ours.parent / "converted"
    return out, tf_patches.to_builtin(ours, out)


def assert_gives(results):
    for one in WORK:
        array = one(*BUILT_IN, tf.constant(IMAGES))
        assert_same_bits(results[one.__name__], array)


EVERY = {one.__name__: IMAGES for one in WORK}


def test_runs_without_the_package(converted, tmp_path):
    out, done = converted
    assert set(done.converted) == {"TFPatches>ExtractPatches", "TFPatches>FoldPatches"}
    assert set(done.checked) == set(EVERY)
    assert not {op for op in ops_of(out) if op.startswith("TFPatches>")}
    assert_gives(run_elsewhere(out, tmp_path, WITHOUT_THE_PACKAGE, **EVERY))


def test_the_original_is_only_read(ours, tmp_path):
    copy = shutil.copytree(ours, tmp_path / "copy")
    tf_patches.to_builtin(copy, tmp_path / "out")
    assert contents(copy) == contents(ours)
    assert not list(tmp_path.glob(".*"))


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_gradient_of_a_loaded_model(converted, tmp_path):
    """Also of the functions that stand for our ops: taken by who loads the model."""
    np.save(tmp_path / "images.npy", IMAGES)
    child_output(
        WITHOUT_THE_PACKAGE
        + """
import numpy as np
import tensorflow as tf

images = tf.constant(np.load(sys.argv[2]))
model = tf.saved_model.load(sys.argv[1])
with tf.GradientTape() as tape:
    tape.watch(images)
    result = model.there_and_back(images)
np.save("gradient.npy", tape.gradient(result, images, images))
""",
        converted[0],
        tmp_path / "images.npy",
        cwd=tmp_path,
    )
    images = tf.constant(IMAGES)
    theirs = pullback(partial(there_and_back, *BUILT_IN), images, images)
    assert_same_bits(np.load(tmp_path / "gradient.npy"), theirs)


@pytest.mark.parametrize("shape", [None, [2, 7, 6, 3], [None, 7, None, 3]], ids=str)
def test_shapes(shape, tmp_path):
    path = save(tmp_path / "ours", work(OURS, shape))
    if shape is None:  # what holds numbers of unknown rank cannot be made up
        inputs = {name: {"images": IMAGES} for name in EVERY}
        tf_patches.to_builtin(path, tmp_path / "out", inputs)
    else:
        tf_patches.to_builtin(path, tmp_path / "out")
    assert_gives(
        run_elsewhere(tmp_path / "out", tmp_path, WITHOUT_THE_PACKAGE, **EVERY)
    )


def bytes_of(array):
    """The same bits, as NumPy can store them of any dtype."""
    size = array.dtype.itemsize
    return array.view(np.uint8).reshape(*array.shape, *([size] if size > 1 else []))


def of_bytes(function, dtype, given):
    """A function of tensors as one of their bytes."""
    if dtype == "bool":
        return tf.cast(function(tf.cast(given, tf.bool)), tf.uint8)
    return tf.bitcast(function(tf.bitcast(given, dtype)), tf.uint8)


def test_extraction_of_all_dtypes(tmp_path):
    images = {dtype: random_bits(SHAPE, dtype, 3) for dtype in DTYPES}
    take = partial(tf_patches.extract_patches, **GRID)
    results = converted_and_run(take, images, tmp_path)
    for dtype in DTYPES:
        assert_same_bits(results[dtype], bytes_of(extract(images[dtype], **GRID)))


@pytest.mark.parametrize("shape_dtype", ["int32", "int64"])
def test_folds_of_all_dtypes(shape_dtype, tmp_path):
    shape = patches_shape(SHAPE, **GRID)
    patches = {dtype: random_bits(shape, dtype, 3) for dtype in NUMBERS}
    image_shape = tf.constant(SHAPE, shape_dtype)

    def put(patches):
        return nan_as_one(tf_patches.fold_patches(patches, image_shape, **GRID))

    results = converted_and_run(put, patches, tmp_path)
    for dtype in NUMBERS:
        theirs = fold(patches[dtype], SHAPE, **GRID)
        ours = results[dtype].view(theirs.dtype).reshape(SHAPE)
        assert_same_numbers(ours, theirs)


def nan_as_one(values):
    """Any NaN as one: what TensorFlow 2.20 sums of float16 has lost the payload."""
    if values.dtype != tf.float16:
        return values
    return tf.where(tf.math.is_nan(values), tf.constant(np.nan, tf.float16), values)


def converted_and_run(function, arrays, tmp_path):
    """What a function gives of arrays, by dtype, all as bytes, after conversion."""
    inputs = {dtype: bytes_of(array) for dtype, array in arrays.items()}
    functions = {
        dtype: (
            partial(of_bytes, function, dtype),
            tf.TensorSpec(inputs[dtype].shape, tf.uint8),
        )
        for dtype in inputs
    }
    save(tmp_path / "ours", functions)
    tf_patches.to_builtin(tmp_path / "ours", tmp_path / "out")
    return run_elsewhere(tmp_path / "out", tmp_path, WITHOUT_THE_PACKAGE, **inputs)


class Trained(tf.Module):
    """A saved training step, whose gradient is a fold."""

    def __init__(self):
        self.scale = tf.Variable([1.0, 2.0, 3.0])

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3])])
    def step(self, images):
        with tf.GradientTape() as tape:
            patches = tf_patches.extract_patches(images * self.scale, **GRID)
            loss = tf.reduce_mean(patches**2)
        self.scale.assign_sub(0.01 * tape.gradient(loss, self.scale))
        return loss


def test_training_step(tmp_path):
    model = Trained()
    tf.saved_model.save(model, str(tmp_path / "ours"))
    tf_patches.to_builtin(tmp_path / "ours", tmp_path / "out")
    result = child_output(
        WITHOUT_THE_PACKAGE
        + """
import numpy as np
import tensorflow as tf

model = tf.saved_model.load(sys.argv[1])
images = tf.constant(np.load(sys.argv[2]))
print([float(model.step(images)).hex() for _ in range(3)], model.scale.numpy().tolist())
""",
        tmp_path / "out",
        saved(tmp_path / "images.npy"),
        cwd=tmp_path,
    )
    losses = [float(model.step(tf.constant(IMAGES))).hex() for _ in range(3)]
    assert result.split() == f"{losses} {model.scale.numpy().tolist()}".split()


def test_compiled_by_xla(tmp_path):
    compiled = tf.function(partial(there_and_back, *OURS), jit_compile=True)
    path = save(tmp_path / "ours", {"f": (compiled, tf.TensorSpec(UNKNOWN))})
    tf_patches.to_builtin(path, tmp_path / "out")
    results = run_elsewhere(tmp_path / "out", tmp_path, WITHOUT_THE_PACKAGE, f=IMAGES)
    assert_same_bits(results["f"], there_and_back(*BUILT_IN, tf.constant(IMAGES)))


@pytest.mark.large(3)
def test_more_pixels_than_float32_counts(tmp_path):
    """Where the built-in's own gradient is wrong."""
    grid = dict(
        sizes=[1, 2, 2, 1], strides=[1, 2, 2, 1], rates=[1, 1, 1, 1], padding="VALID"
    )
    put = partial(tf_patches.fold_patches, image_shape=[1, 4200, 4200, 1], **grid)
    save(tmp_path / "ours", {"f": (put, tf.TensorSpec([1, 2100, 2100, 4], tf.uint8))})
    tf_patches.to_builtin(tmp_path / "ours", tmp_path / "out")
    converted = tf.saved_model.load(tmp_path / "out")
    assert np.all(converted.f(tf.ones([1, 2100, 2100, 4], tf.uint8)) == 1)


def saved(path):
    np.save(path, IMAGES)
    return path


def test_session(tmp_path):
    """A model as TensorFlow 1 saves it, run as TensorFlow 1 runs it."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        images = v1.placeholder(tf.float32, [None, 7, 6, 3], name="images")
        scale = v1.get_variable("scale", initializer=2.0)
        patches = tf_patches.extract_patches(images * scale, **GRID)
        folded = tf_patches.fold_patches(patches, tf.shape(images), **GRID)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(
            session, str(tmp_path / "ours"), {"images": images}, {"folded": folded}
        )
    done = tf_patches.to_builtin(tmp_path / "ours", tmp_path / "out")
    assert done.checked == ["serving_default"]
    child_output(
        WITHOUT_THE_PACKAGE
        + """
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
with tf.Graph().as_default(), v1.Session() as session:
    model = v1.saved_model.load(session, ["serve"], sys.argv[1])
    signature = model.signature_def["serving_default"]
    images = {signature.inputs["images"].name: np.load(sys.argv[2])}
    np.save("folded.npy", session.run(signature.outputs["folded"].name, images))
""",
        tmp_path / "out",
        saved(tmp_path / "images.npy"),
        cwd=tmp_path,
    )
    patches = tf.image.extract_patches(IMAGES * 2, **GRID)
    theirs = built_in_fold(patches, SHAPE, **GRID)
    assert_same_bits(np.load(tmp_path / "folded.npy"), theirs)


def test_other_files(tmp_path):
    """All files beside the graph stay, except its fingerprint."""
    path = save(tmp_path / "ours", {"f": (partial(apart, *OURS), tf.TensorSpec(SHAPE))})
    fill(path / "assets.extra", "labels.txt", b"one two")
    tf_patches.to_builtin(path, tmp_path / "out")
    before, after = contents(path), contents(tmp_path / "out")
    changed = {path.name for path in before if before[path] != after.get(path)}
    assert changed == {"saved_model.pb", "fingerprint.pb"}
    assert {path.name for path in set(before) - set(after)} == {"fingerprint.pb"}
    assert not set(after) - set(before)


def test_strides_whose_products_have_64_bits(tmp_path):
    """`put` finds taps by products of numbers below a stride, here up to 2**32."""
    shape = 1, 140010, 1, 1
    grid = dict(sizes=[1, 3, 1, 1], strides=[1, 70001, 1, 1], rates=[1, 69999, 1, 1])
    grid["padding"] = "VALID"
    patches = random_bits(patches_shape(shape, **grid), "uint8", 3)

    def put(patches, image_shape):
        return tf_patches.fold_patches(patches, image_shape, **grid)

    specs = tf.TensorSpec(UNKNOWN, tf.uint8), tf.TensorSpec([4], tf.int32)
    path = save(tmp_path / "ours", {"put": (put, *specs)})
    inputs = {"put": {"patches": patches, "image_shape": shape}}
    assert tf_patches.to_builtin(path, tmp_path / "out", inputs).checked == ["put"]


def test_op_list(ours, converted):
    """The list of ops that a graph needs is that of what it now holds."""
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((converted[0] / "saved_model.pb").read_bytes())
    listed = [op.name for op in model.meta_graphs[0].meta_info_def.stripped_op_list.op]
    assert listed == sorted(ops_of(converted[0]))


def test_given_inputs(ours, tmp_path):
    inputs = {"gradient": {"images": IMAGES}, "loop": {"images": IMAGES.tolist()}}
    assert tf_patches.to_builtin(ours, tmp_path / "out", inputs).checked == [
        "gradient",
        "loop",
    ]


def noisy(images):
    images += noise(tf.shape(images))
    return tf_patches.extract_patches(images, **GRID)


def test_random_results_are_not_compared(tmp_path):
    spec = tf.TensorSpec(SHAPE)
    functions = {"f": (noisy, spec), "g": (partial(apart, *OURS), spec)}
    path = save(tmp_path / "ours", functions)
    with pytest.warns(UserWarning, match="differ from run to run: .*f"):
        assert tf_patches.to_builtin(path, tmp_path / "out").checked == ["g"]


def of_ragged(rows):
    return tf_patches.extract_patches(rows.to_tensor(shape=[None, 8, 8, 3]), **GRID)


def test_ragged_inputs(tmp_path):
    spec = tf.RaggedTensorSpec([None, None, 8, 3], tf.float32, ragged_rank=1)
    path = save(tmp_path / "ours", {"f": (of_ragged, spec)})
    with pytest.raises(ConversionError, match=r"inputs=\{'f': .*RaggedTensorSpec"):
        tf_patches.to_builtin(path, tmp_path / "out")
    rows = tf.RaggedTensor.from_row_lengths(tf.ones([9, 8, 3]), [2, 7])
    done = tf_patches.to_builtin(path, tmp_path / "out", {"f": {"#0": rows}})
    assert done.checked == ["f"]


def test_functions_in_lists_and_dictionaries(tmp_path):
    module = tf.Module()
    spec = [tf.TensorSpec(SHAPE)]
    takes = [tf.function(partial(apart, *OURS), spec, autograph=False)]
    module.listed, module.named = takes, {"a": takes[0]}
    tf.saved_model.save(module, str(tmp_path / "ours"), signatures={})
    done = tf_patches.to_builtin(tmp_path / "ours", tmp_path / "out")
    assert done.checked == ["listed.0"]


def test_counts_of_bool(tmp_path):
    """Its extraction is a function in which there are built-in ops."""
    path = save(
        tmp_path / "ours", {"f": (partial(apart, *OURS), tf.TensorSpec(SHAPE, tf.bool))}
    )
    done = tf_patches.to_builtin(path, tmp_path / "out")
    assert done.converted == {"TFPatches>ExtractPatches": 1}


def decoded(encoded):
    images = tf.io.decode_image(encoded, expand_animations=False)
    return tf_patches.extract_patches(images[None], **GRID)


def of_text(tmp_path):
    return save(tmp_path / "ours", {"decode": (decoded, tf.TensorSpec([], tf.string))})


def test_inputs_that_cannot_be_made_up(tmp_path):
    path = of_text(tmp_path)
    with pytest.raises(ConversionError, match=r"inputs=\{'decode': .*tf.string"):
        tf_patches.to_builtin(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    picture = tf.io.encode_png(tf.ones([8, 8, 3], tf.uint8)).numpy()
    tf_patches.to_builtin(path, tmp_path / "out", {"decode": {"encoded": picture}})
    assert (tmp_path / "out").exists()


def fill(path, name, content):
    path.mkdir()
    (path / name).write_bytes(content)
    return path


WRONG = {
    "missing": (
        lambda tmp_path: tmp_path / "none",
        FileNotFoundError,
        "No such file or folder: .*none",
    ),
    "another folder": (
        lambda tmp_path: fill(tmp_path / "bad", "notes.txt", b"none"),
        ConversionError,
        "has no saved_model.pb$",
    ),
    "another file": (lambda tmp_path: __file__, ConversionError, "Keras cannot load"),
    "damaged": (
        lambda tmp_path: fill(tmp_path / "bad", "saved_model.pb", b"no model"),
        ConversionError,
        "bad holds a damaged SavedModel",
    ),
    "in text": (
        lambda tmp_path: fill(tmp_path / "bad", "saved_model.pbtxt", b""),
        ConversionError,
        "bad is a SavedModel in text, which cannot be converted",
    ),
    "in pieces": (
        lambda tmp_path: fill(tmp_path / "bad", "saved_model.cpb", b""),
        ConversionError,
        "has no saved_model.pb$",
    ),
    "no model": (lambda tmp_path: 5, ConversionError, "model must be .* but is 5"),
    "none of our ops": (
        lambda tmp_path: save(
            tmp_path / "m", {"f": (lambda x: x + 1, tf.TensorSpec(SHAPE))}
        ),
        ConversionError,
        "Nothing to convert.*TFPatches>ExtractPatches",
    ),
    "ops at positions": (
        lambda tmp_path: save(
            tmp_path / "m", {"f": (cut_a_corner, tf.TensorSpec(SHAPE))}
        ),
        ConversionError,
        "TFPatches>ExtractPatchesAt cannot be converted",
    ),
    "means": (
        lambda tmp_path: save(
            tmp_path / "m", {"f": (mean_of_patches, tf.TensorSpec(SHAPE))}
        ),
        ConversionError,
        "TFPatches>FoldWeightedPatches cannot be converted",
    ),
}


def cut_a_corner(images):
    """And all of a grid, which alone could be converted."""
    tf_patches.extract_patches(images, 1)
    return tf_patches.extract_patches_at(images, [[0, 0]], 1)


def mean_of_patches(images):
    return tf_patches.fold_patches(images, SHAPE, 1, reduction="mean")


@pytest.mark.parametrize("wrong", WRONG)
def test_bad_models(wrong, tmp_path):
    make, error, message = WRONG[wrong]
    with pytest.raises(error, match=message):
        tf_patches.to_builtin(make(tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    "inputs, message",
    [
        ({"other": {}}, r"inputs has 'other', the model only \['apart'"),
        ({"apart": {}}, r"dictionary of \['images'\], but is {}"),
        ({"apart": {"image": IMAGES}}, r"dictionary of \['images'\], but is {'image"),
        ({"apart": [IMAGES]}, r"inputs\['apart'\] must be a dictionary"),
        ({"apart": 3}, r"inputs\['apart'\] must be .* but is 3"),
        ({"apart": {"images": "text"}}, "apart cannot take the inputs"),
        ({"apart": {"images": IMAGES[0]}}, "The model fails on the inputs: "),
    ],
)
def test_bad_inputs(inputs, message, ours, tmp_path):
    with pytest.raises(ConversionError, match=message):
        tf_patches.to_builtin(ours, tmp_path / "out", inputs)


def test_refuses_to_overwrite(ours, tmp_path):
    (tmp_path / "file").write_text("mine")
    for out in tmp_path, tmp_path / "file":
        with pytest.raises(
            FileExistsError, match="already exists; choose another path"
        ):
            tf_patches.to_builtin(ours, out)
    assert (tmp_path / "file").read_text() == "mine"


def test_empty_folders_are_filled(ours, tmp_path, monkeypatch):
    for name in "plain", "current", "linked":
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to("linked")
    monkeypatch.chdir(tmp_path / "current")
    for out in tmp_path / "plain", ".", tmp_path / "link":
        tf_patches.to_builtin(ours, out)
    for name in "plain", "current", "linked":
        assert (tmp_path / name / "saved_model.pb").exists()
    assert not list(tmp_path.glob(".*"))


def test_refuses_to_write_into_the_model(ours):
    before = contents(ours)
    with pytest.raises(ConversionError, match="which is only read"):
        tf_patches.to_builtin(ours, ours / "out")
    assert contents(ours) == before


def test_a_model_that_may_only_be_read(ours, tmp_path):
    """Its copy may be written to: the converted model is, after that."""
    path = shutil.copytree(ours, tmp_path / "ours")
    folders = [path, path / "variables"]
    for folder in folders:
        folder.chmod(0o555)
    tf_patches.to_builtin(path, tmp_path / "out")
    for folder in tmp_path / "out", tmp_path / "out" / "variables":
        assert folder.stat().st_mode & 0o777 == 0o755
    for folder in folders:
        folder.chmod(0o755)  # for pytest to remove it


def test_other_results_are_refused(ours, tmp_path, monkeypatch):
    """As from a TensorFlow whose built-in is wrong: here, one that adds one."""
    wrong = functions.fold_patches
    monkeypatch.setattr(
        functions, "fold_patches", lambda *args, **grid: wrong(*args, **grid) + 1
    )
    with pytest.raises(ConversionError, match=r"other results: .*gradient"):
        tf_patches.to_builtin(ours, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".*"))
