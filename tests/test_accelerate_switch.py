"""How a process changes over: what ran before, threads, the environment, devices."""

import json
from types import SimpleNamespace

import pytest
import tensorflow as tf
from child import child_output, run_child
from tensorflow.python.framework import ops as framework

import tf_patches
from tf_patches import builtin

# Programs begin with this. Kernels word their refusals differently.
START = """
import numpy as np
import tensorflow as tf
import tf_patches

GRID = dict(sizes=[1, 2, 2, 1], strides=[1, 1, 1, 1], rates=[1, 1, 1, 1])
IMAGES = np.random.default_rng(1).normal(size=(2, 9, 8, 3)).astype(np.float32)
UNKNOWN = [tf.TensorSpec(None)]

def extract(images):
    return tf.image.extract_patches(images, **GRID, padding="SAME")

def gradient(images):
    with tf.GradientTape() as tape:
        tape.watch(images)
        patches = extract(images)
        loss = patches * patches
    return tape.gradient(loss, images)

def kernel_of(run):
    try:
        run(IMAGES[0])
    except tf.errors.InvalidArgumentError as error:
        words = dict(ours="images must be 4-dim", theirs="input must be 4-dim")
        (kernel,) = (kernel for kernel in words if words[kernel] in str(error))
        return kernel

def nodes(function, *arguments):
    graph = tf.function(function).get_concrete_function(*arguments).graph
    return {node.type for node in graph.get_operations()}
"""


def run(program, *arguments, **environment):
    return child_output(START + program, *arguments, **environment)


def test_what_ran_before(tmp_path):
    printed = run(
        """
import json

def session(run_before):
    graph = tf.Graph()
    with graph.as_default():
        images = tf.compat.v1.placeholder(tf.float32)
        patches = extract(images)
    session = tf.compat.v1.Session(graph=graph)
    if run_before:
        session.run(patches, {images: IMAGES})
    return lambda fed: session.run(patches, {images: fed})

def dataset():
    fed = []
    (spec,) = UNKNOWN
    images = tf.data.Dataset.from_generator(lambda: fed[-1:], output_signature=spec)
    patches = images.map(extract)
    def run(images):
        fed.append(images)
        return next(iter(patches))
    return run

function = tf.function(extract, input_signature=UNKNOWN)
module = tf.Module()
module.extract = function
tf.saved_model.save(module, "model", signatures=function.get_concrete_function())
loaded = tf.saved_model.load("model")
signature = loaded.signatures["serving_default"]
RUNS = {
    "eager": extract,
    "function": function,
    "concrete function": function.get_concrete_function(),
    "nested": tf.function(lambda x: function(x), input_signature=UNKNOWN),
    "loaded": loaded.extract,
    "signature": lambda images: signature(tf.constant(images)),
    "dataset": dataset(),
    "session": session(run_before=False),
    "session that ran": session(run_before=True),
}
before = {name: call(IMAGES) for name, call in RUNS.items() if name != "session"}
assert {kernel_of(RUNS[name]) for name in before} == {"theirs"}
tf_patches.accelerate()
for name, result in before.items():
    tf.nest.map_structure(np.testing.assert_array_equal, RUNS[name](IMAGES), result)
print(json.dumps({name: kernel_of(call) for name, call in RUNS.items()}))
""",
        cwd=tmp_path,
    )
    kernels = json.loads(printed)
    assert kernels.pop("session that ran") == "theirs"
    assert len(kernels) == 8
    assert set(kernels.values()) == {"ours"}


def test_gradients_traced_before():
    """They stay as they were traced; what is traced later changes over."""
    run(
        """
images = tf.constant(IMAGES)
before = tf.function(gradient)
expected = before(images).numpy()
tf_patches.accelerate()
types = {n.type for n in before.get_concrete_function(images).graph.get_operations()}
assert "ExtractImagePatches" in types
assert "TFPatches>FoldPatches" not in types
assert "TFPatches>FoldPatches" in nodes(gradient, images)
for function in before, gradient, tf.function(gradient):
    np.testing.assert_array_equal(function(images), expected)
"""
    )


def test_the_last_call_decides_on_gradients():
    run(
        """
from tensorflow.python.framework import ops

images = tf.constant(IMAGES)
original = ops.gradient_registry.lookup("ExtractImagePatches")
expected = gradient(images).numpy()
for gradients in [False, True, True, False, False, True]:
    tf_patches.accelerate(gradients)
    assert tf_patches.is_accelerated()
    registered = ops.gradient_registry.lookup("ExtractImagePatches")
    assert (registered is original) == (not gradients)
    assert ("TFPatches>FoldPatches" in nodes(gradient, images)) == gradients
    assert kernel_of(extract) == "ours"
    np.testing.assert_array_equal(gradient(images), expected)
"""
    )


def test_before_tensorflow_starts():
    """What must be set before TensorFlow runs anything can still be set."""
    run(
        """
tf_patches.accelerate()
tf.config.threading.set_intra_op_parallelism_threads(1)
(cpu,) = tf.config.list_physical_devices("CPU")
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)
with tf.device("CPU:1"):
    assert kernel_of(extract) == "ours"
"""
    )


def test_random_numbers_start_afresh():
    """The price of changing over what ran before; tf.random.set_seed has it too."""
    run(
        """
drawn = tf.function(lambda: tf.random.normal([], seed=1))
first, second = drawn(), drawn()
assert first != second
tf_patches.accelerate()
assert drawn() == first
tf_patches.accelerate()
tf_patches.accelerate(gradients=False)
assert drawn() == second
"""
    )


def test_while_other_threads_run():
    run(
        """
import threading
from concurrent.futures import ThreadPoolExecutor

images = tf.constant(IMAGES)
function = tf.function(gradient, input_signature=UNKNOWN)
expected = extract(images).numpy()
# Of known rank: TensorFlow's own gradient needs it.
known = tf.function(gradient, input_signature=[tf.TensorSpec([None] * 4)])
gradients = known(images).numpy()
running, changed = threading.Barrier(64), threading.Event()

def work(number):
    def turn():
        np.testing.assert_array_equal(extract(images), expected)
        np.testing.assert_array_equal(known(images), gradients)
        np.testing.assert_array_equal(gradient(images), gradients)
        if number % 10 == 0:  # tracing keeps the others waiting
            fresh = tf.function(gradient)
            np.testing.assert_array_equal(fresh(images), gradients)
    turn()
    running.wait()
    turns = 0
    while not changed.is_set():
        turn()
        turns += 1
    turn()
    return turns

def change(_):
    running.wait()
    tf_patches.accelerate()

with ThreadPoolExecutor(64) as pool:
    workers = [pool.submit(work, i) for i in range(60)]
    changers = [pool.submit(change, i) for i in range(4)]
    for changer in changers:
        changer.result()
    changed.set()
    for worker in workers:
        worker.result()
assert kernel_of(tf.function(extract, input_signature=UNKNOWN)) == "ours"
np.testing.assert_array_equal(function(images), gradients)
"""
    )


ASKED = "import tf_patches; print(tf_patches.is_accelerated())"


@pytest.mark.parametrize("value, expected", [("1", True), ("0", False), ("", False)])
def test_environment(value, expected):
    printed = child_output(ASKED, TF_PATCHES_ACCELERATE=value)
    assert printed.split() == [str(expected)]


def test_environment_that_says_something_else():
    ended = run_child(ASKED, TF_PATCHES_ACCELERATE="yes")
    assert ended.returncode == 1
    *_, message = ended.stderr.splitlines()
    assert "TF_PATCHES_ACCELERATE" in message
    assert "'yes'" in message


def test_another_tensorflow(monkeypatch):
    """One that keeps its gradients elsewhere is refused before anything changes."""
    monkeypatch.delattr(framework, "gradient_registry")
    with pytest.raises(RuntimeError, match=f"TensorFlow {tf.__version__}.*registry"):
        tf_patches.accelerate()
    assert not tf_patches.is_accelerated()


# There is no such device here: what follows says that there is.
def with_gpu():
    devices = tf.config.get_visible_devices()
    name = "/physical_device:GPU:0"
    return lambda: [*devices, tf.config.PhysicalDevice(name, "GPU")]


def test_visible_gpu_keeps_gradients_to_itself():
    run(
        """
from unittest import mock

def placed(device):
    def run(images):
        with tf.device(device):
            patches = extract(images)
        return tf.gradients(patches, images, patches)
    return "TFPatches>FoldPatches" in nodes(run, tf.constant(IMAGES))

tf_patches.accelerate()
assert placed(None) and placed("CPU:0") and placed("GPU:0")
expected = gradient(tf.constant(IMAGES))
devices = tf.config.get_visible_devices()
gpu = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
with mock.patch("tensorflow.config.get_visible_devices", lambda: [*devices, gpu]):
    assert not placed(None)
    assert not placed("GPU:0")
    assert placed("CPU:0")
    np.testing.assert_array_equal(gradient(tf.constant(IMAGES)), expected)
    np.testing.assert_array_equal(tf.function(gradient)(IMAGES), expected)
"""
    )


ON_CPU = "/job:localhost/replica:0/task:0/device:CPU:0"
ON_GPU = "/job:localhost/replica:0/task:0/device:GPU:0"


@pytest.mark.parametrize(
    "images, gradient, ours",
    [
        (ON_CPU, ON_CPU, True),
        (ON_GPU, ON_GPU, False),
        (ON_CPU, ON_GPU, False),
        (ON_GPU, ON_CPU, False),
    ],
)
def test_eager_tensors_on_a_gpu(images, gradient, ours, monkeypatch):
    monkeypatch.setattr(tf.config, "get_visible_devices", with_gpu())
    op = SimpleNamespace(inputs=[SimpleNamespace(device=images)])
    assert builtin._is_on_cpu(op, SimpleNamespace(device=gradient)) == ours
