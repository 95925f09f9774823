"""AutoGraph rewrites what users write, and nothing of ours."""

import inspect
import json
import re
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from child import child_output

import tf_patches
from tf_patches import layers, slides


def calls():
    """A call of each function and method that a graph may hold, by name."""
    images = tf.zeros([2, 20, 20, 3])
    patches = tf_patches.extract_patches(images, 8)
    placed = tf_patches.extract_patches_at(images, [[0, 0]], 8)
    tiling = tf_patches.Tiling([20, 20], 8, 0.5)
    tiles = tiling.cut(images)
    factors = [tf.ones(8), tf.ones(8)]
    slide = slides.open(images[0].numpy(), mpp=1)
    random_layer = layers.RandomPatches(4, 8, flips="all", mode="reflect")
    return {
        "extract_patches": partial(
            tf_patches.extract_patches, images, 8, padding="same", mode="edge"
        ),
        "extract_image_patches": partial(
            tf_patches.extract_image_patches, images, 8, 8, 1, "VALID"
        ),
        "extract_volume_patches": partial(
            tf_patches.extract_volume_patches, images[tf.newaxis], 2, 3, "SAME"
        ),
        "fold_patches": partial(
            tf_patches.fold_patches, patches, images, 8, weights=factors
        ),
        "extract_patches_at": partial(
            tf_patches.extract_patches_at, images, [[0, 0]], 8, flips=[True, False]
        ),
        "fold_patches_at": partial(
            tf_patches.fold_patches_at, placed, [[0, 0]], images, reduction="max"
        ),
        "stateless_random_patches": partial(
            tf_patches.stateless_random_patches,
            images,
            4,
            8,
            [1, 2],
            flips="all",
            weights=images[..., 0],
        ),
        "Tiling": partial(tf_patches.Tiling, images.shape[1:-1], 8, 0.5),
        "Tiling.cut": partial(tiling.cut, (images, images), indices=[1, 2]),
        "Tiling.merge": partial(tiling.merge, tiles, "cosine"),
        "Tiling.merge_part": partial(tiling.merge_part, tiles, [0, 0], [3, 3], "crop"),
        "Tiling.merged_axes": partial(tiling.merged_axes, [4, 4]),
        "Slide.read": partial(slide.read, 0, 0, 8, tf.constant(8), mpp=2),
        "Slide.patches": partial(slide.patches, 8, 4, mode="EDGE"),
        "layers.ExtractPatches": partial(layers.ExtractPatches(8), images),
        "layers.FoldPatches": partial(layers.FoldPatches(8), patches, like=images),
        "layers.RandomPatches": partial(random_layer, images, training=True),
        "layers.RandomPatches, later": partial(random_layer, images, training=False),
    }


def trace(call):
    """Traces a function of a user's that makes the call."""

    def users_function():
        call()
        return 0

    tf.function(users_function)()


def score_slides():
    """What no `tf.function` of a user's holds, but traces functions of ours."""
    slide = np.zeros([20, 20, 3], np.uint8)
    next(iter(slides.open(slide).patches(8)))
    slides.score(slide, lambda patches: patches[:, 0, 0, 0], 8, progress=False)
    slides.predict(slide, lambda tiles: tf.cast(tiles, tf.float32), 8, progress=False)


def print_rewritten():
    """Prints the names of the functions that AutoGraph rewrote, for each call."""

    def made():
        return {name for name in sys.modules if name.startswith("__autograph_")}

    trace(list)
    rewritten = {}
    runs = {name: partial(trace, call) for name, call in calls().items()}
    for name, run in {**runs, "slides": score_slides}.items():
        before = made()
        run()
        sources = [Path(sys.modules[name].__file__) for name in made() - before]
        rewritten[name] = re.findall(
            r"def tf__(\w+)", "".join(path.read_text() for path in sources)
        )
    print(json.dumps({"users": len(made()), "ours": rewritten}))


def test_leaves_our_functions_alone():
    printed = json.loads(
        child_output(
            "import test_autograph; test_autograph.print_rewritten()",
            cwd=Path(__file__).parent,
        )
    )
    assert printed["users"] == 1
    assert printed["ours"] == {name: [] for name in printed["ours"]}
    ops = {
        name
        for name, function in inspect.getmembers(tf_patches, inspect.isfunction)
        if name in tf_patches.__all__
        and "name" in inspect.signature(function).parameters
    }
    assert ops
    assert ops <= printed["ours"].keys()


BAD_CALLS = [
    (tf_patches.extract_patches, [4, 4], [2]),
    (tf_patches.fold_patches, [1, 2, 2, 4], [[1, None, 4, 1], 2]),
    (tf_patches.extract_patches_at, [1, 4, 4, 1], [[[0]], 2]),
    (tf_patches.stateless_random_patches, [4, 4], [1, 2, [1, 2]]),
    (tf_patches.Tiling, [2, 2], [2]),
    (tf_patches.Tiling([4, 4], 2).cut, [4, 4, 1], []),
    (tf_patches.Tiling([4, 4], 2).merge, [1, 3, 2, 2, 1], []),
    (layers.ExtractPatches(8), [4, 4], []),
]


@pytest.mark.parametrize("function, shape, arguments", BAD_CALLS)
def test_errors_show_lines_that_are_there(function, shape, arguments):
    """AutoGraph puts a star after each function that it rewrote."""
    with pytest.raises(Exception) as caught:
        trace(lambda: function(tf.zeros(shape), *arguments))
    frames = re.findall(r'File "(.*)", line \d+, in (\S+)  (\**)\n', str(caught.value))
    assert (__file__, "users_function", "*") in frames
    assert all(stars != "*" for path, _, stars in frames if path != __file__), frames
