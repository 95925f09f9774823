"""Dense predictions of slides: to the bit what tilings give in memory."""

import errno
import signal
import sys

import numpy as np
import pytest
import tensorflow as tf
import tifffile
from child import child_output
from compare import assert_same_bits
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_patches import Tiling, slides
from tf_patches.slides import merging, outputs
from tf_patches.slides.models import predict_padded, read_model

BLENDS = ["average", "gaussian", "hann", "linear", "cosine", "crop", "max", "min"]


def image(rows, cols, depth=3, seed=1):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, [rows, cols, depth], np.uint8)


def model(tiles):
    """Another depth, and other numbers in every tile."""
    numbers = tf.cast(tiles, tf.float32)
    means = tf.reduce_mean(numbers, [1, 2], keepdims=True)
    return tf.concat([numbers / 7 - means, tf.sin(numbers)], -1)


def in_memory(pixels, tiling, run, blend, batch_size=8, indices=None):
    """The same by a tiling: cut, the model on the same batches, merge."""
    indices = np.arange(tiling.count) if indices is None else indices
    if len(indices) == 0:
        return np.zeros([*tiling.image_size, 6], np.float32)
    tiles = tiling.cut(pixels[np.newaxis], indices)[0]
    made = predict_padded(read_model(run), tiles, batch_size)
    return tiling.merge(made[np.newaxis], blend, indices)[0].numpy()


@st.composite
def plans(draw):
    tile = draw(st.lists(st.integers(1, 9), min_size=2, max_size=2))
    return {
        "image_size": draw(st.lists(st.integers(1, 30), min_size=2, max_size=2)),
        "tile_size": tile,
        "stride": [draw(st.integers(max(1, n // 4), n)) for n in tile],
        "remainder": draw(st.sampled_from(["shift", "pad", "spread", "drop"])),
        "mode": draw(st.sampled_from(["REFLECT", "SYMMETRIC", "EDGE", "CONSTANT"])),
    }


@settings(max_examples=25)
@given(
    plans(),
    st.sampled_from(BLENDS),
    st.integers(1, 9),
    st.sampled_from([600, 4000, 10**6]),
)
def test_predictions_have_the_bits_of_a_tiling(plan, blend, batch_size, piece_bytes):
    tiling = Tiling(**plan, constant_values=255)
    pixels = image(*plan["image_size"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "_PIECE_BYTES", piece_bytes)
        ours = slides.predict(
            pixels,
            model,
            plan["tile_size"],
            [t - s for t, s in zip(plan["tile_size"], plan["stride"], strict=True)],
            blend=blend,
            batch_size=batch_size,
            remainder=plan["remainder"],
            mode=plan["mode"],
            progress=False,
        )
    assert_same_bits(ours, in_memory(pixels, tiling, model, blend, batch_size))


def half(tiles):
    """A model that halves rows and cols."""
    return tf.nn.avg_pool2d(tf.cast(tiles, tf.float32), 2, 2, "VALID")


def twice(tiles):
    return tf.repeat(tf.repeat(tf.cast(tiles[..., :1], tf.float32), 2, 1), 2, 2)


@pytest.mark.parametrize(("run", "shape"), [(half, (21, 26)), (twice, (82, 102))])
def test_models_may_have_another_scale(run, shape):
    pixels = image(41, 51)
    ours = slides.predict(pixels, run, 16, 4, remainder="shift", progress=False)
    # Where a scale does not divide the slide, its mode says what lies beyond.
    whole = (
        np.pad(pixels, [(0, 1), (0, 1), (0, 0)], "reflect") if run is half else pixels
    )
    tiling = Tiling(whole.shape[:2], 16, 4)
    assert ours.shape[:2] == shape
    assert_same_bits(ours, in_memory(whole, tiling, run, "gaussian"))


def test_a_scale_that_does_not_divide_positions_is_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="scale of 1/2"):
        slides.predict(image(41, 51), half, 16, 3, progress=False)


@pytest.mark.parametrize("channels", [3, 300])
def test_reduction_to_the_largest_channel(channels):
    weights = np.random.default_rng(2).normal(size=[3, channels]).astype(np.float32)

    def run(tiles):
        return tf.cast(tiles, tf.float32) @ weights

    pixels = image(40, 50)
    ours = slides.predict(pixels, run, 16, 0.5, reduce="argmax", progress=False)
    merged = in_memory(pixels, Tiling([40, 50], 16, 0.5), run, "gaussian")
    assert ours.dtype == (np.uint8 if channels == 3 else np.int32)
    assert_same_bits(ours, merged.argmax(-1).astype(ours.dtype))


def test_reduction_by_a_function():
    pixels = image(40, 50)
    ours = slides.predict(
        pixels, model, 16, 5, reduce=lambda made: made[..., 1] > 0, progress=False
    )
    merged = in_memory(pixels, Tiling([40, 50], 16, 5), model, "gaussian")
    assert_same_bits(ours, merged[..., 1] > 0)


@pytest.mark.parametrize("blend", BLENDS)
def test_tiles_off_the_mask_are_not_predicted(blend):
    pixels = image(60, 70)
    mask = np.zeros([6, 7])
    mask[1:3, 4], mask[5, 0] = 1, 1
    seen = []

    def run(tiles):
        seen.append(len(tiles))
        return model(tiles)

    ours = slides.predict(
        pixels, run, 16, 0.5, blend=blend, mask=mask, batch_size=4, progress=False
    )
    tiling = Tiling([60, 70], 16, 0.5)
    large = np.kron(mask, np.ones([10, 10]))
    tissue = tiling.cut(large[np.newaxis, ..., np.newaxis])[0]
    wanted = np.flatnonzero(tf.reduce_any(tissue != 0, [1, 2, 3]))
    assert 0 < len(wanted) < tiling.count / 2
    assert len(seen) == 1 + -(-len(wanted) // 4)  # one to learn the shape
    expected = in_memory(pixels, tiling, model, blend, 4, wanted)
    assert_same_bits(ours, expected)
    assert not ours[:, :16][:20].any()


def test_an_empty_mask_gives_zeros():
    ours = slides.predict(
        image(40, 50), model, 16, mask=np.zeros([2, 2]), progress=False
    )
    assert_same_bits(ours, np.zeros([40, 50, 6], np.float32))


def read(path):
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix == ".zarr":
        return np.asarray(pytest.importorskip("zarr").open_array(str(path))[:])
    return tifffile.imread(path)


@pytest.mark.parametrize("suffix", [".npy", ".zarr", ".tif", ".tiff"])
def test_outputs(tmp_path, suffix):
    pixels, path = image(300, 310), tmp_path / f"out{suffix}"
    ours = slides.predict(pixels, model, 64, 0.25, output=path, progress=False)
    expected = in_memory(pixels, Tiling([300, 310], 64, 0.25), model, "gaussian")
    assert_same_bits(read(path), expected)
    assert_same_bits(np.asarray(ours[:]), expected)
    assert_same_bits(ours[3:200:7, 40:310], expected[3:200:7, 40:310])
    assert {entry.name for entry in tmp_path.iterdir()} == {
        path.name,
        f"{path.name}.json",
    }


def test_a_tiff_of_labels_has_every_second_pixel(tmp_path):
    pixels, path = image(600, 530), tmp_path / "labels.tif"
    ours = slides.predict(
        pixels, model, 64, reduce="argmax", output=path, progress=False
    )
    with tifffile.TiffFile(path) as file:
        levels = [page.asarray() for page in file.pages]
        assert all(page.is_tiled for page in file.pages)
    assert [level.shape for level in levels] == [(600, 530), (300, 265), (150, 132)]
    assert_same_bits(np.asarray(ours), levels[0])
    assert_same_bits(levels[1], levels[0][::2, ::2])
    assert_same_bits(levels[2], levels[0][:600:4, :528:4])


def test_openslide_opens_a_tiff_of_colors(tmp_path):
    pixels, path = image(600, 530), tmp_path / "colors.tif"
    slide = slides.open(pixels, mpp=0.5)
    slides.predict(
        slide, lambda tiles: tiles, 64, blend="crop", output=path, progress=False
    )
    made = slides.open(path)
    assert made.mpp == pytest.approx(0.5, rel=1e-3)
    assert [level[:2] for level in made.levels] == [(600, 530), (300, 265), (150, 132)]
    assert_same_bits(made.read(0, 0, 600, 530), pixels)
    fours = pixels[:, :530].reshape(300, 2, 265, 2, 3).mean((1, 3))
    assert_same_bits(
        made.read(0, 0, 300, 265, level=1), np.rint(fours).astype(np.uint8)
    )


def failing_after(calls):
    """The model, but it fails at a call."""
    left = [calls]

    def run(tiles):
        if left[0] == 0:
            raise RuntimeError("no more")
        left[0] -= 1
        return model(tiles)

    return run


@pytest.mark.parametrize("suffix", [".npy", ".tif", ".zarr"])
@pytest.mark.parametrize("overlap", [0, 0.3, 0.75])
def test_a_job_that_failed_goes_on(tmp_path, suffix, overlap):
    pixels, path = image(50, 40), tmp_path / f"out{suffix}"
    options = {"batch_size": 3, "output": path, "progress": False}
    tiling = Tiling([50, 40], 12, overlap)
    batches = -(-tiling.count // 3)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no more"):
            slides.predict(
                pixels,
                failing_after(batches // 2),
                12,
                overlap,
                resume=True,
                **options,
            )
        assert not path.exists()
    calls = []

    def counted(tiles):
        calls.append(len(tiles))
        return model(tiles)

    slides.predict(pixels, counted, 12, overlap, resume=True, **options)
    assert len(calls) < batches  # what was done is not done again
    expected = in_memory(pixels, tiling, model, "gaussian", 3)
    assert_same_bits(read(path), expected)


def test_another_request_does_not_go_on(tmp_path):
    path = tmp_path / "out.npy"
    with pytest.raises(RuntimeError, match="no more"):
        slides.predict(image(50, 40), failing_after(3), 12, output=path, progress=False)
    with pytest.raises(tf.errors.InvalidArgumentError, match="another request"):
        slides.predict(
            image(50, 40), model, 12, 4, output=path, resume=True, progress=False
        )


def test_a_job_begun_again_forgets_what_was_done(tmp_path):
    path = tmp_path / "out.npy"
    options = {"batch_size": 3, "output": path, "progress": False}
    with pytest.raises(RuntimeError, match="no more"):
        slides.predict(image(50, 40, seed=1), failing_after(9), 12, **options)
    with pytest.raises(RuntimeError, match="no more"):
        slides.predict(image(50, 40, seed=2), failing_after(1), 12, **options)
    slides.predict(image(50, 40, seed=2), model, 12, resume=True, **options)
    tiling = Tiling([50, 40], 12, 0.25)
    pixels = image(50, 40, seed=2)
    assert_same_bits(np.load(path), in_memory(pixels, tiling, model, "gaussian", 3))


KILLED_TWICE = """
import os, signal, sys
import numpy as np
import tensorflow as tf
from tf_patches import slides
from tf_patches.slides import outputs

write = outputs.NpyOutput.write

def predict(writes):
    def write_or_die(self, row, col, values):
        nonlocal writes
        writes -= 1
        if writes == 0:  # in the middle of a write
            write(self, row, col, values[: len(values) // 2])
            self._file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        write(self, row, col, values)

    outputs.NpyOutput.write = write_or_die
    pixels = np.random.default_rng(1).integers(0, 256, [90, 80, 3], np.uint8)
    kernel = np.random.default_rng(2).normal(size=[5, 5, 3, 4]).astype(np.float32)
    model = lambda tiles: tf.nn.conv2d(tf.cast(tiles, tf.float32), kernel, 1, "SAME")
    slides.predict(pixels, model, 24, 0.7, output=sys.argv[1], resume=True,
                   progress=False)

for writes in (3, 5, -1):
    child = os.fork()  # before TensorFlow has threads: quicker than a new process
    if child == 0:
        predict(writes)
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(ended, os.path.exists(sys.argv[1]))
"""


def test_a_job_that_was_killed_goes_on(tmp_path):
    path = tmp_path / "out.npy"
    printed = child_output(KILLED_TWICE, path)
    killed = f"{-signal.SIGKILL} False"
    assert printed.splitlines() == [killed, killed, "0 True"]
    kernel = np.random.default_rng(2).normal(size=[5, 5, 3, 4]).astype(np.float32)

    def run(tiles):
        return tf.nn.conv2d(tf.cast(tiles, tf.float32), kernel, 1, "SAME")

    tiling = Tiling([90, 80], 24, 0.7)
    assert_same_bits(np.load(path), in_memory(image(90, 80), tiling, run, "gaussian"))


PEAK_OF_ROWS = """
import resource, sys
import numpy as np
import tensorflow as tf
from tf_patches import slides

class Tall:
    dtype = np.dtype(np.uint8)

    def __init__(self, rows):
        self.shape = (rows, 512, 3)

    def __getitem__(self, key):
        rows, cols = (len(range(n)[part]) for n, part in zip(self.shape, key))
        return np.full([rows, cols, 3], 7, np.uint8)

def peak(rows):
    model = lambda tiles: tf.repeat(tf.cast(tiles, tf.float32), 4, -1)
    slides.predict(
        Tall(rows), model, 256, 0.6, reduce="argmax", output=sys.argv[1],
        progress=False)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

peak(600)
print(peak(900), peak(4900))
"""


def test_memory_does_not_depend_on_rows(tmp_path):
    path = tmp_path / "out.tif"
    low, high = map(float, child_output(PEAK_OF_ROWS, path).split())
    # The 4000 rows more have 100 MB of merged numbers, and 640 MB in tiles.
    assert high - low < 40


def test_files(tmp_path):
    """The pixels of a file, over several rows of tiles and parts of rows."""
    pixels, path = image(1500, 1300), tmp_path / "slide.tif"
    tifffile.imwrite(
        path, pixels, tile=(256, 256), photometric="rgb", compression="zlib"
    )

    def run(tiles):
        return tiles[..., :2] // 3

    ours = slides.predict(path, run, [500, 300], 0.4, blend="max", progress=False)
    assert_same_bits(ours, pixels[..., :2] // 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduce": "max"}, "reduce must be 'argmax' or a function, but got 'max'"),
        ({"mode": "WRAP"}, "mode must be CONSTANT, REFLECT, SYMMETRIC, EDGE"),
        ({"blend": "none"}, "blend must be average"),
        ({"batch_size": 0}, "batch_size must be an int above 0, but got 0"),
        ({"output": "out.png"}, "output must end with one of .npy, .zarr, .tif"),
        ({"resume": True}, "resume=True needs an output"),
        ({"overlap": 12}, "overlap must be"),
        ({"reduce": lambda pixels: pixels[0]}, "reduce must give .rows, cols."),
        ({"min_mask_ratio": 2, "mask": np.ones([2, 2])}, "min_mask_ratio must be 0"),
        ({"model": lambda tiles: tiles}, "uint8 cannot be averaged"),
        ({"model": lambda tiles: tiles[:, 0, 0]}, "model must give .batch, rows, cols"),
        (
            {"model": lambda tiles: tf.zeros([8, 12, 12, 1]), "reduce": "argmax"},
            "gives only one",
        ),
    ],
)
def test_bad_arguments(options, message):
    arguments = {"model": model, "tile_size": 12, "progress": False, **options}
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        slides.predict(image(50, 40), **arguments)


def test_bfloat16_becomes_float32(tmp_path):

    def run(tiles):
        return tf.cast(tiles, tf.bfloat16)

    pixels, path = image(50, 40), tmp_path / "out.npy"
    slides.predict(pixels, run, 12, output=path, progress=False)
    merged = in_memory(pixels, Tiling([50, 40], 12, 0.25), run, "gaussian")
    assert_same_bits(np.load(path), merged.astype(np.float32))


@pytest.mark.parametrize("window", ["of tiles", "of axes"])
def test_a_window_of_ones_own(window):
    random = np.random.default_rng(3)
    blend = (
        random.uniform(0.1, 1, [12, 10])
        if window == "of tiles"
        else [random.uniform(0.1, 1, n) for n in (12, 10)]
    )
    pixels = image(50, 40)
    ours = slides.predict(pixels, model, [12, 10], 0.5, blend=blend, progress=False)
    tiling = Tiling([50, 40], [12, 10], 0.5)
    assert_same_bits(ours, in_memory(pixels, tiling, model, blend))


def test_resolutions(tmp_path):
    slide, path = slides.open(image(300, 260), mpp=0.25), tmp_path / "out.tif"
    slides.predict(slide, half, 32, 8, mpp=0.6, output=path, progress=False)
    pixels = slide.read(0, 0, 125, 108, mpp=0.6).numpy()
    pixels = np.pad(pixels, [(0, 1), (0, 0), (0, 0)], "reflect")
    tiling = Tiling([126, 108], 32, 8)
    assert_same_bits(read(path), in_memory(pixels, tiling, half, "gaussian"))
    with tifffile.TiffFile(path) as file:
        numerator, denominator = file.pages[0].tags["XResolution"].value
    assert numerator / denominator == pytest.approx(1e4 / 1.2, rel=1e-3)


def test_a_tiff_that_could_not_be_written_is_written_later(tmp_path, monkeypatch):
    pixels, path = image(50, 40), tmp_path / "out.tif"

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(outputs, "write_tiff", full)
        slides.predict(pixels, model, 12, output=path, progress=False)
    assert not path.exists()
    # Nothing is predicted again but what the model is tried with.
    run = failing_after(1)
    slides.predict(pixels, run, 12, output=path, resume=True, progress=False)
    tiling = Tiling([50, 40], 12, 0.25)
    assert_same_bits(read(path), in_memory(pixels, tiling, model, "gaussian"))


def test_a_missing_tifffile_is_named_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tifffile", None)
    run = failing_after(1)
    with pytest.raises(ImportError, match="pip install tifffile"):
        slides.predict(image(50, 40), run, 12, output=tmp_path / "out.tif")
    assert not list(tmp_path.iterdir())


def test_what_no_tiff_holds_is_refused(tmp_path):
    def run(tiles):
        return tf.complex(*[tf.cast(tiles, tf.float32)] * 2)

    with pytest.raises(tf.errors.InvalidArgumentError, match="complex64 of shape"):
        slides.predict(image(50, 40), run, 12, output=tmp_path / "out.tif")
