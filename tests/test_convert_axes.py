"""Signals, volumes and borders converted: to the bit, and to which ops."""

from functools import partial

import numpy as np
import pytest
import tensorflow as tf
from child import WITHOUT_THE_PACKAGE
from compare import assert_same_bits
from derivatives import pullback
from test_convert import ops_of, run_elsewhere, save

import tf_patches
from tf_patches.conversion import ConversionError

SPACE = {1: [11], 2: [7, 6], 3: [5, 7, 6]}
IMAGES, VOLUMES = "ExtractImagePatches", "ExtractVolumePatches"
extract, extract_volumes = tf_patches.extract_patches, tf_patches.extract_volume_patches


def shape_of(axes):
    return [2, *SPACE[axes], 3]


def images_of(axes):
    return np.random.default_rng(axes).normal(size=shape_of(axes)).astype(np.float32)


def fold(images, **grid):
    patches = extract(images, **grid)
    return tf_patches.fold_patches(patches * patches, tf.shape(images), **grid)


def gradient(images, **grid):
    return pullback(lambda x: extract(x, **grid) ** 2, images)


def of_complex(images, **grid):
    return tf.math.real(extract(tf.complex(images, images + 1), **grid))


WIDE = {axes: [[0, 0], *[[9, 2], [0, 8], [1, 1]][:axes], [0, 0]] for axes in SPACE}
# The axes of space, the function and its arguments, and the built-in op that they
# become.
WORK = {
    "signals": (1, extract, dict(sizes=3, strides=2, padding="SAME"), None),
    "signals, dilated": (1, extract, dict(sizes=3, rates=2), None),
    "signals, folded": (1, fold, dict(sizes=3, strides=1, padding="SAME"), None),
    "mode of VALID": (2, extract, dict(sizes=3, mode="WRAP"), IMAGES),
    "constant of VALID": (2, extract, dict(sizes=3, constant_values=1), IMAGES),
    "zeros": (2, extract, dict(sizes=3, padding="SAME", constant_values=0.0), IMAGES),
    "ones": (2, extract, dict(sizes=3, padding="SAME", constant_values=1), None),
    "padding": (2, extract, dict(sizes=3, padding=WIDE[2]), None),
    **{
        f"{mode}, {axes}{' folded' if function is fold else ''}": (
            axes,
            function,
            dict(sizes=3, strides=2, rates=2, padding=paddings[axes], mode=mode),
            None,
        )
        for mode, paddings in {
            "REFLECT": dict.fromkeys(SPACE, "SAME"),
            "SYMMETRIC": dict.fromkeys(SPACE, "SAME"),
            "EDGE": WIDE,
            "WRAP": WIDE,
        }.items()
        for axes in SPACE
        for function in (extract, fold)
    },
    "gradient of a border": (
        2,
        gradient,
        dict(sizes=3, strides=1, padding="SAME", mode="REFLECT"),
        None,
    ),
    "volumes": (3, extract, dict(sizes=[2, 3, 3], strides=[1, 3, 2]), VOLUMES),
    "volumes, SAME": (
        3,
        extract,
        dict(sizes=3, strides=[3, 1, 2], padding="SAME"),
        VOLUMES,
    ),
    "volumes, SAME with large strides": (
        3,
        extract,
        dict(sizes=[2, 1, 3], strides=[4, 3, 1], padding="SAME"),
        None,
    ),
    "volumes of the built-in": (
        3,
        extract_volumes,
        dict(ksizes=[2, 1, 3], strides=[4, 3, 1], padding="SAME"),
        VOLUMES,
    ),
    "volumes, dilated": (3, extract, dict(sizes=2, rates=[1, 1, 2]), None),
    "volumes of complex numbers": (3, of_complex, dict(sizes=2), None),
    "volumes, folded": (3, fold, dict(sizes=3, strides=[1, 2, 3]), VOLUMES),
    "volumes, gradient": (3, gradient, dict(sizes=2, strides=1), VOLUMES),
    "volumes of the built-in, dilated": (
        3,
        extract_volumes,
        dict(ksizes=2, strides=3, padding="SAME", rates=2),
        None,
    ),
}


def as_names(names):
    """Names that attributes of a module may have."""
    return {name: "".join(c if c.isalnum() else "_" for c in name) for name in names}


@pytest.mark.parametrize("plain", [False, True], ids=["built-in", "plain"])
def test_runs_without_the_package(plain, tmp_path):
    names = as_names(WORK)
    functions = {
        names[name]: (partial(function, **grid), tf.TensorSpec(shape_of(axes)))
        for name, (axes, function, grid, _) in WORK.items()
    }
    save(tmp_path / "ours", functions)
    done = tf_patches.to_builtin(tmp_path / "ours", tmp_path / "out", plain=plain)
    assert set(done.checked) == set(functions)
    ops = ops_of(tmp_path / "out")
    assert not {op for op in ops if op.startswith("TFPatches>")}
    assert ops.isdisjoint({IMAGES, VOLUMES}) == plain
    inputs = {names[name]: images_of(row[0]) for name, row in WORK.items()}
    results = run_elsewhere(tmp_path / "out", tmp_path, WITHOUT_THE_PACKAGE, **inputs)
    for name, (axes, function, grid, _) in WORK.items():
        expected = function(tf.constant(images_of(axes)), **grid)
        assert_same_bits(results[names[name]], expected)


@pytest.mark.parametrize("name", WORK)
def test_built_in_ops(name, tmp_path):
    axes, function, grid, built_in = WORK[name]
    spec = tf.TensorSpec([None, *shape_of(axes)[1:]])
    save(tmp_path / "ours", {"f": (partial(function, **grid), spec)})
    tf_patches.to_builtin(tmp_path / "ours", tmp_path / "out")
    found = ops_of(tmp_path / "out") & {IMAGES, VOLUMES}
    assert found == ({built_in} if built_in else set())


UNKNOWN = [
    name
    for name, (_, function, grid, _) in WORK.items()
    if function not in (fold, gradient) or "mode" not in grid
]


@pytest.mark.parametrize("plain", [False, True], ids=["built-in", "plain"])
def test_unknown_extents(plain, tmp_path):
    """TensorFlow's op takes patches of volumes of unknown extents for rank 4."""
    names = as_names(UNKNOWN)
    functions, inputs = {}, {}
    for name in UNKNOWN:
        axes, function, grid, _ = WORK[name]
        for known in [[None, *SPACE[axes][1:]], [None] * axes]:
            key = f"{names[name]}_{known.count(None)}"
            spec = tf.TensorSpec([None, *known, 3])
            functions[key] = partial(function, **grid), spec
            inputs[key] = {"images": images_of(axes)}
            if function is extract_volumes:
                inputs[key] = {"input": images_of(axes)}
    save(tmp_path / "ours", functions)
    done = tf_patches.to_builtin(
        tmp_path / "ours", tmp_path / "out", inputs, plain=plain
    )
    assert set(done.checked) == set(functions)
    assert VOLUMES not in ops_of(tmp_path / "out")


@pytest.mark.parametrize("name", ["EDGE, 2 folded", "gradient of a border"])
def test_folds_with_borders_of_unknown_extents_are_refused(name, tmp_path):
    _, function, grid, _ = WORK[name]
    spec = tf.TensorSpec([None, 7, None, 3])
    save(tmp_path / "ours", {"f": (partial(function, **grid), spec)})
    message = f"A fold with mode {grid['mode']} .* known rows and cols|known ones"
    with pytest.raises(ConversionError, match=message):
        tf_patches.to_builtin(tmp_path / "ours", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def of_tensorflow(volumes):
    call = [1, 2, 1, 3, 1], [1, 4, 3, 1, 1], "SAME"
    return tf.extract_volume_patches(volumes, *call) * 2


def test_volumes_of_tensorflow(tmp_path):
    spec = tf.TensorSpec([None, 5, 7, 6, None])
    save(tmp_path / "theirs", {"take": (of_tensorflow, spec)})
    inputs = {"take": {"volumes": images_of(3)}}
    done = tf_patches.to_builtin(
        tmp_path / "theirs", tmp_path / "out", inputs, plain=True
    )
    assert set(done.converted) == {VOLUMES}
    loaded = tf.saved_model.load(tmp_path / "out")
    assert_same_bits(loaded.take(images_of(3)), of_tensorflow(images_of(3)))


@pytest.mark.parametrize("shape", [[None, 5, None, 6, 3], [None] * 5, None])
def test_volumes_of_tensorflow_of_unknown_extents(shape, tmp_path):
    """The model says of their patches what TensorFlow says."""
    save(tmp_path / "theirs", {"take": (of_tensorflow, tf.TensorSpec(shape))})
    with pytest.raises(ConversionError, match=f"{VOLUMES} of unknown .*four-dim"):
        tf_patches.to_builtin(tmp_path / "theirs", tmp_path / "out", plain=True)
