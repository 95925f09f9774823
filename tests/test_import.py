"""Importing the package: what it brings, and that it changes nobody else's program."""

import json
import re
import sys

from child import child_output

# TensorFlow names the module of a library's ops so.
OPS_OF_A_LIBRARY = re.compile(r"\b[0-9a-f]{40}\b")

# What a program may hold that an import could change. Every probe prints as JSON.
PROBES = """
    import gc, json, locale, logging, os, random, signal, sys, threading, warnings
    import keras
    import numpy as np
    import tensorflow as tf
    from tensorflow.python.framework import kernels, op_def_registry, ops
    from tensorflow.python.ops import array_ops
    from tensorflow.python.ops.parallel_for import pfor

    OPS = [name for name in dir(tf.raw_ops) if name[0].isupper()]

    def kernels_of(op):
        found = kernels.get_registered_kernels_for_op(op).kernel
        return sorted(kernel.SerializeToString(deterministic=True).hex()
                      for kernel in found)

    def probe():
        state = {
            "environment": dict(os.environ),
            "folder": os.getcwd(),
            "path": sys.path,
            "hooks": [id(sys.excepthook), id(sys.displayhook), len(sys.meta_path)],
            "warnings": [repr(f) for f in warnings.filters],
            "logging": repr(logging.root.handlers) + str(tf.get_logger().level),
            "signals": [repr(signal.getsignal(s)) for s in signal.valid_signals()],
            "threads": len(threading.enumerate()),
            "locale": locale.setlocale(locale.LC_ALL),
            "random": repr(random.getstate()) + repr(np.random.get_state()),
            "numpy": repr(np.geterr()) + repr(np.get_printoptions()),
            "recursion": sys.getrecursionlimit(),
            "garbage": [gc.isenabled(), gc.get_threshold()],
            "eager": tf.executing_eagerly(),
            "keras": [keras.backend.backend(), keras.config.floatx(),
                      keras.config.dtype_policy().name,
                      keras.config.is_traceback_filtering_enabled()],
            "extract": [
                id(tf.image.extract_patches),
                id(tf.compat.v1.extract_image_patches),
                id(tf.raw_ops.ExtractImagePatches),
                id(getattr(array_ops, "_get_int_list_attr", None)),
            ],
        }
        tables = {
            "gradients": {
                name: id(entry["type"])
                for name, entry in ops.gradient_registry._registry.items()
            },
            "converters": {
                name: id(f) for name, f in pfor._pfor_converter_registry.items()
            } if hasattr(pfor, "_pfor_converter_registry") else {},
            "objects": {
                name: id(value)
                for name, value in keras.saving.get_custom_objects().items()
            },
            "kernels": {op: kernels_of(op) for op in OPS},
            "modules": {name: id(module) for name, module in sys.modules.items()},
        }
        return json.loads(json.dumps([state, tables]))
"""


def test_changes_nothing():
    printed = child_output(
        PROBES
        + """
    state, tables = probe()
    import tf_patches
    state_after, tables_after = probe()
    for name in state:
        assert state[name] == state_after[name], name
    added = {}
    for name, table in tables.items():
        after = tables_after[name]
        assert table.items() <= after.items(), name
        added[name] = sorted(after.keys() - table.keys())
    print(json.dumps(added))
    """
    )
    added = json.loads(printed)
    assert added["gradients"] == [
        "TFPatches>ExtractPatches",
        "TFPatches>ExtractPatchesAt",
        "TFPatches>FoldPatches",
        "TFPatches>FoldPatchesAt",
        "TFPatches>FoldWeightedPatches",
    ]
    assert set(added["converters"]) <= set(added["gradients"])
    assert added["kernels"] == []
    assert all(name.startswith("tf_patches>") for name in added["objects"])
    packages = {name.partition(".")[0] for name in added["modules"]}
    assert packages <= {
        *sys.stdlib_module_names,
        "tf_patches",
        "tensorflow",
        "keras",
        "numpy",
        *OPS_OF_A_LIBRARY.findall(" ".join(packages)),
    }


def test_leaves_tensorflow_to_be_configured():
    """TensorFlow refuses these once its devices are in use."""
    child_output(
        """
        import tensorflow as tf
        import tf_patches

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        (cpu,) = tf.config.list_physical_devices("CPU")
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, two)
        assert len(tf.config.list_logical_devices("CPU")) == 2
        """
    )


GRID = dict(
    sizes=[1, 2, 2, 1], strides=[1, 1, 1, 1], rates=[1, 1, 1, 1], padding="SAME"
)
USE = f"""
    def use():
        image = tf.ones([1, 4, 4, 1])
        with tf.GradientTape() as tape:
            tape.watch(image)
            patches = tf_patches.extract_patches(image, **{GRID!r})
        folded = tf_patches.fold_patches(patches, [1, 4, 4, 1], **{GRID!r})
        assert (tape.gradient(patches, image).numpy() == folded.numpy()).all()
        mapped = tf.vectorized_map(
            lambda image: tf_patches.extract_patches(image, **{GRID!r}), image[None]
        )
        assert (mapped[0].numpy() == patches.numpy()).all()
    """


def test_reloaded():
    """As notebooks do: module by module, or all of it anew."""
    child_output(
        USE
        + """
    import importlib, sys
    import keras
    import tensorflow as tf
    import tf_patches

    use()
    names = [name for name in sys.modules if name.startswith("tf_patches")]
    for name in sorted(names, reverse=True):
        importlib.reload(sys.modules[name])
    use()
    for name in names:
        del sys.modules[name]
    import tf_patches
    use()
    """
    )


def test_reloaded_after_accelerating():
    """The kernel stays the one that was registered first."""
    child_output(
        USE
        + f"""
    import sys
    import tensorflow as tf

    for _ in range(2):
        import tf_patches

        tf_patches.accelerate()
        use()
        image = tf.reshape(tf.range(16.0), [1, 4, 4, 1])
        patches = tf.image.extract_patches(image, **{GRID!r})
        ours = tf_patches.extract_patches(image, **{GRID!r})
        assert (patches.numpy() == ours.numpy()).all()
        for name in [name for name in sys.modules if name.startswith("tf_patches")]:
            del sys.modules[name]
    """
    )


def test_without_private_modules_of_tensorflow():
    """Only what needs them is missing: a loop maps the op, as it maps others."""
    child_output(
        USE
        + """
    import sys
    import tensorflow as tf

    private = "tensorflow.python.ops.parallel_for.pfor"
    package, _, name = private.rpartition(".")
    pfor = sys.modules[private]
    delattr(sys.modules[package], name)
    sys.modules[private] = None
    import tf_patches
    assert tf_patches.vectorized.pfor is None
    sys.modules[private] = pfor
    setattr(sys.modules[package], name, pfor)
    use()

    sys.modules["tensorflow.python.eager.context"] = None
    del sys.modules["tensorflow.python.eager"].context
    try:
        tf_patches.accelerate()
    except RuntimeError as error:
        assert "does not know" in str(error)
        assert tf.__version__ in str(error)
    else:
        raise AssertionError
    assert not tf_patches.is_accelerated()
    """
    )
