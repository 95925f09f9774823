"""The built-in's bits, in every way that TensorFlow runs an op on CPU."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from child import child_output, run_child
from compare import assert_same_bits
from derivatives import built_in_fold, gradient

import tf_patches
from tf_patches.native import ops

GRID = dict(sizes=[1, 3, 2, 1], strides=[1, 2, 1, 1], rates=[1, 1, 2, 1])
GRID["padding"] = "SAME"
IMAGES = np.random.default_rng(0).normal(size=(4, 7, 6, 3)).astype(np.float32)


def ours(images):
    return tf_patches.extract_patches(images, **GRID)


def built_in(images):
    return tf.image.extract_patches(images, **GRID)


def our_fold(images):
    """Patches, squared so that they do not come from one image, put back."""
    return tf_patches.fold_patches(tf.square(ours(images)), tf.shape(images), **GRID)


def their_fold(images):
    return built_in_fold(tf.square(built_in(images)), tf.shape(images), **GRID)


# Our function of images, and the built-in's that it must equal.
WORK = {
    "extract": (ours, built_in),
    "gradient": (gradient(ours), gradient(built_in)),
    "fold": (our_fold, their_fold),
    "second order": (gradient(gradient(ours)), gradient(gradient(built_in))),
    "gradient of fold": (gradient(our_fold), gradient(their_fold)),
}


def eager(function, images):
    return function(tf.constant(images))


def traced(*shape):
    """In a `tf.function` that is told this much of the images' shape."""

    def run(function, images):
        spec = tf.TensorSpec(shape or None, images.dtype)
        return tf.function(function, input_signature=[spec])(images)

    return run


def session(function, images):
    with tf.Graph().as_default(), tf.compat.v1.Session() as running:
        placeholder = tf.compat.v1.placeholder(images.dtype, [None, None, None, 3])
        return running.run(function(placeholder), {placeholder: images})


def dataset(function, images):
    singles = tf.data.Dataset.from_tensor_slices(images[:, None])
    return tf.concat(list(singles.map(function, num_parallel_calls=4)), 0)


def map_fn(function, images):
    return tf.concat(tf.unstack(tf.map_fn(function, images[:, None])), 0)


def vectorized_map(function, images):
    mapped = tf.vectorized_map(function, images[:, None], fallback_to_while_loop=False)
    return tf.concat(tf.unstack(mapped), 0)


@tf.function
def while_loop(function, images):
    _, result = tf.while_loop(
        lambda turn, _: turn < 3,
        lambda turn, _: (turn + 1, function(images)),
        (0, tf.zeros_like(function(images))),
    )
    return result


@tf.function
def conditional(function, images):
    mean = tf.reduce_mean(images)
    return tf.cond(mean < 9, lambda: function(images), lambda: function(images) - 1)


RUNTIMES = {
    "eager": eager,
    "static shape": traced(4, 7, 6, 3),
    "unknown batch": traced(None, 7, 6, 3),
    "unknown rows and cols": traced(4, None, None, 3),
    "unknown depth": traced(4, 7, 6, None),
    "unknown dimensions": traced(None, None, None, None),
    "unknown rank": traced(),
    "session": session,
    "tf.data": dataset,
    "tf.map_fn": map_fn,
    "tf.vectorized_map": vectorized_map,
    "tf.while_loop": while_loop,
    "tf.cond": conditional,
}


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("work", WORK)
def test_equals_built_in(work, runtime):
    mine, theirs = WORK[work]
    assert_same_bits(RUNTIMES[runtime](mine, IMAGES), eager(theirs, IMAGES))


@pytest.mark.parametrize("work", WORK)
def test_threads_calling_at_once(work):
    mine, theirs = WORK[work]
    batches = [IMAGES[: 1 + i % 4] * (1 + i) for i in range(24)]
    traced_mine = tf.function(mine, reduce_retracing=True)
    for function in mine, traced_mine:
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda x, f=function: eager(f, x), batches))
        for batch, result in zip(batches, results, strict=True):
            assert_same_bits(result, eager(theirs, batch))


def test_v1_gradients():
    def results(extract):
        with tf.Graph().as_default(), tf.compat.v1.Session() as running:
            images = tf.compat.v1.placeholder(tf.float32, [None, 7, 6, 3])
            patches = extract(images)
            (first,) = tf.compat.v1.gradients(patches, images, patches**2)
            (second,) = tf.compat.v1.gradients(first, images, images)
            return running.run([first, second], {images: IMAGES})

    for mine, theirs in zip(results(ours), results(built_in), strict=True):
        assert_same_bits(mine, theirs)


def test_persistent_tape():
    def gradients(extract):
        images = tf.constant(IMAGES)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(images)
            patches = extract(images)
            squares, cubes = patches**2, patches**3
        return [tape.gradient(target, images) for target in (squares, cubes, squares)]

    for mine, theirs in zip(gradients(ours), gradients(built_in), strict=True):
        assert_same_bits(mine, theirs)


@pytest.mark.parametrize("work", WORK)
def test_forward_accumulator(work):
    def product(function):
        direction = tf.constant(IMAGES[::-1])
        images = tf.constant(IMAGES)
        with tf.autodiff.ForwardAccumulator(images, direction) as accumulator:
            result = function(images)
        return accumulator.jvp(result)

    mine, theirs = map(product, WORK[work])
    assert_same_bits(mine, theirs)


def test_forward_accumulator_is_extraction():
    images, direction = tf.constant(IMAGES), tf.constant(IMAGES[::-1])
    with tf.autodiff.ForwardAccumulator(images, direction) as accumulator:
        patches = ours(images)
    assert_same_bits(accumulator.jvp(patches), built_in(direction))


def test_functions_of_the_library():
    attributes = {"ksizes" if name == "sizes" else name: GRID[name] for name in GRID}
    patches = ops.tf_patches_extract_patches(images=IMAGES, **attributes)
    assert_same_bits(patches, built_in(IMAGES))
    folded = ops.tf_patches_fold_patches(
        patches=patches, image_shape=IMAGES.shape, **attributes
    )
    assert_same_bits(folded, built_in_fold(patches, IMAGES.shape, **GRID))


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    """A SavedModel with every WORK, by tf.function of unknown shape."""
    module = tf.Module()
    spec = tf.TensorSpec([None, None, None, 3], tf.float32)
    for name, (mine, _) in WORK.items():
        function = tf.function(mine, input_signature=[spec])
        setattr(module, name.replace(" ", "_"), function)
    path = tmp_path_factory.mktemp("saved") / "model"
    tf.saved_model.save(module, path, signatures=module.extract)
    return path


def test_saved_model_in_a_fresh_process(saved_model, tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    child_output(
        """
        import sys
        import tf_patches
        import numpy as np
        import tensorflow as tf

        saved, folder, *names = sys.argv[1:]
        images = tf.constant(np.load(f"{folder}/images.npy"))
        model = tf.saved_model.load(saved)
        results = {name: getattr(model, name)(images) for name in names}
        results["signature"] = model.signatures["serving_default"](images)["output_0"]
        with tf.GradientTape() as tape:
            tape.watch(images)
            patches = model.extract(images)
        results["trained"] = tape.gradient(patches, images, patches * patches)
        np.savez(f"{folder}/results.npz", **results)
        """,
        saved_model,
        tmp_path,
        *(name.replace(" ", "_") for name in WORK),
        cwd=tmp_path,
    )
    expected = {
        name.replace(" ", "_"): eager(f, IMAGES) for name, (_, f) in WORK.items()
    }
    expected["signature"] = expected["extract"]
    expected["trained"] = expected["gradient"]
    with np.load(tmp_path / "results.npz") as results:
        assert set(results) == set(expected)
        for name in results:
            assert_same_bits(results[name], expected[name])


def test_saved_model_without_the_import(saved_model, tmp_path):
    ended = run_child(
        "import sys, tensorflow as tf; tf.saved_model.load(sys.argv[1])",
        saved_model,
        cwd=tmp_path,
    )
    assert ended.returncode == 1, ended.stderr
    assert "Op type not registered 'TFPatches>" in ended.stderr


def test_two_replicas(tmp_path):
    """Gradients through the op in a MirroredStrategy, summed over its replicas."""
    np.save(tmp_path / "images.npy", IMAGES)
    child_output(
        f"""
        import sys
        import numpy as np
        import tensorflow as tf
        import tf_patches

        (cpu,) = tf.config.list_physical_devices("CPU")
        halves = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, halves)
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        with strategy.scope():
            scale = tf.Variable([1.0, 2.0, 3.0])

        def replica(extract, images):
            with tf.GradientTape() as tape:
                tape.watch(images)
                patches = extract(images * scale, **{GRID!r})
                loss = tf.reduce_sum(patches ** 3)
            gradients = tape.gradient(loss, [images, scale])
            every = tf.distribute.get_replica_context().all_reduce("SUM", gradients[1])
            return patches, gradients[0], every

        @tf.function
        def step(extract, images):
            outputs = strategy.run(replica, (extract, images))
            return [strategy.experimental_local_results(o) for o in outputs]

        images = tf.data.Dataset.from_tensors(np.load(sys.argv[1] + "/images.npy"))
        batches = images.unbatch().batch(4)
        (images,) = strategy.experimental_distribute_dataset(batches)
        graph = step.get_concrete_function(tf_patches.extract_patches, images).graph
        nodes = graph.get_operations()
        places = {{node.device[-5:] for node in nodes if "Patches" in node.type}}
        assert places == {{"CPU:0", "CPU:1"}}, places
        mine = tf.nest.flatten(step(tf_patches.extract_patches, images))
        theirs = tf.nest.flatten(step(tf.image.extract_patches, images))
        assert [len(part) for part in mine] == [2, 2, 2, 2, 3, 3]
        for one, other in zip(mine, theirs):
            assert one.numpy().tobytes() == other.numpy().tobytes()
        """,
        tmp_path,
    )


def test_fork_before_use():
    """Both processes then have threads of their own, in tf.data as elsewhere."""
    child_output(
        """
        import os
        import tensorflow as tf
        import tf_patches

        child = os.fork()
        images = tf.reshape(tf.range(4 * 200 * 210 * 3.0), [4, 200, 210, 3])
        data = tf.data.Dataset.from_tensor_slices(images).batch(2)
        data = data.map(lambda x: tf_patches.extract_patches(x, 5, 1, mode="EDGE"))
        patches = tf.concat(list(data), 0)
        folded = tf_patches.fold_patches(
            patches, images.shape, 5, 1, mode="EDGE", reduction="mean"
        )
        assert tf.reduce_all(folded == images)
        if child == 0:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        """
    )


def test_op_determinism(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    child_output(
        f"""
        import sys
        import numpy as np
        import tensorflow as tf
        import tf_patches

        tf.keras.utils.set_random_seed(1)
        tf.config.experimental.enable_op_determinism()

        def gradient(extract, images):
            with tf.GradientTape() as tape:
                tape.watch(images)
                patches = extract(images, **{GRID!r})
            return tape.gradient(patches, images, patches * patches)

        images = tf.constant(np.load(sys.argv[1] + "/images.npy"))
        for run in gradient, tf.function(gradient):
            mine = run(tf_patches.extract_patches, images).numpy()
            theirs = run(tf.image.extract_patches, images).numpy()
            assert mine.tobytes() == theirs.tobytes()
        """,
        tmp_path,
    )


def test_dispatches_to_types_of_users():
    class Slide(tf.experimental.ExtensionType):
        pixels: tf.Tensor

    @tf.experimental.dispatch_for_api(tf_patches.extract_patches, {"images": Slide})
    def extract_from_slide(
        images,
        sizes,
        strides=None,
        rates=None,
        padding="VALID",
        name=None,
        *,
        mode="CONSTANT",
        constant_values=0,
    ):
        return tf_patches.extract_patches(
            images.pixels,
            sizes,
            strides,
            rates,
            padding,
            name,
            mode=mode,
            constant_values=constant_values,
        )

    pixels = tf.reshape(tf.range(48), [1, 4, 4, 3])
    grid = ([1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID")
    assert_same_bits(
        tf_patches.extract_patches(Slide(pixels), *grid),
        tf.image.extract_patches(pixels, *grid),
    )
