"""The commands for slides: results, pictures, errors in a sentence, exit statuses."""

import subprocess
import sys
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from slides_made import stained, write_slide

from tf_patches import slides
from tf_patches.__main__ import main
from tf_patches.slides import job

IMAGE = stained(157, 211)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    write_slide(folder / "slide.tif", [IMAGE])
    pixels = keras.Input([None, None, 3])
    means = keras.layers.GlobalAveragePooling2D()(pixels)
    keras.Model(pixels, means).save(folder / "means.keras")
    keras.Model(pixels, keras.layers.Rescaling(2)(pixels)).save(folder / "twice.keras")
    (folder / "no_model.keras").write_text("")
    return folder


def run(files, command, model, out, *options):
    arguments = [command, files / "slide.tif", files / model, out, *options]
    return main([str(argument) for argument in arguments])


def test_heatmap(files, tmp_path, capsys):
    out, picture = tmp_path / "scores.npy", tmp_path / "scores.png"
    options = ["--size", "20x30", "--stride", "10", "--padding", "same"]
    options += ["--mode", "reflect", "--mpp", "1.1", "--mask", "otsu"]
    options += ["--min-mask-ratio", "0.5", "--batch-size", "7", "--overlay", picture]
    assert run(files, "heatmap", "means.keras", out, *options) == 0
    expected = slides.score(
        files / "slide.tif",
        files / "means.keras",
        [20, 30],
        10,
        padding="SAME",
        mode="REFLECT",
        mpp=1.1,
        mask="otsu",
        min_mask_ratio=0.5,
        batch_size=7,
        progress=False,
    )
    np.testing.assert_array_equal(np.load(out), expected.scores)
    drawn = tf.io.decode_png(tf.io.read_file(str(picture)))
    np.testing.assert_array_equal(drawn, slides.overlay(expected))
    said = capsys.readouterr()
    count = expected.grid.patch_count
    assert said.out == f"{out}: 8 x 10 patches, {count} scored.\n"
    assert f"{count}/{count} patches" in said.err


def test_predict(files, tmp_path, capsys):
    out = tmp_path / "classes.npy"
    options = ["--tile-size", "64", "--overlap", "16", "--reduce", "argmax", "--quiet"]
    options += ["--slide-mpp", "0.25", "--slide-power", "40", "--power", "40"]
    assert run(files, "predict", "twice.keras", out, *options) == 0
    np.testing.assert_array_equal(np.load(out), IMAGE.argmax(-1))
    said = capsys.readouterr()
    assert said.out == f"{out}: 157 x 211, uint8.\n"
    assert said.err == ""


def test_goes_on(files, tmp_path, capsys):
    out = tmp_path / "scores.npy"
    options = ["--size", "20", "--quiet"]
    full = mock.Mock(side_effect=OSError(28, "No space left on device"))
    with mock.patch.object(job.Job, "mark", full):
        assert run(files, "heatmap", "means.keras", out, *options) == 1
    assert capsys.readouterr().err == (
        "OSError: [Errno 28] No space left on device. Results so far are kept in "
        f"{out}.partial. To go on, run the same command with --resume.\n"
    )
    with mock.patch.object(job.Job, "mark", side_effect=KeyboardInterrupt):
        assert run(files, "heatmap", "means.keras", out, *options, "--resume") == 130
    assert capsys.readouterr().err.startswith("Interrupted. Results so far are kept in")
    assert run(files, "heatmap", "means.keras", out, *options, "--resume") == 0
    assert np.load(out).shape == (7, 10, 3)


HEATMAP = ["heatmap", "{slide}", "{model}", "{out}", "--size", "20"]
SIZE = ["--size", "20"]
FAILURES = {
    "no slide": (["heatmap", "none", "{model}", "{out}", *SIZE], "There is no slide"),
    "not a slide": (["heatmap", __file__, "{model}", "{out}", *SIZE], "is no slide"),
    "no model": (["heatmap", "{slide}", "none", "{out}", *SIZE], "no model none"),
    "not a model": (["heatmap", "{slide}", "{bad}", "{out}", *SIZE], "no_model.keras"),
    "output": (["heatmap", "{slide}", "{model}", "a.png", *SIZE], "output must end"),
    "finer": ([*HEATMAP, "--mpp", "0.1"], "mpp=0.1 is finer than the slide"),
    "power": ([*HEATMAP, "--power", "5"], "does not say its power"),
    "level": ([*HEATMAP, "--level", "7"], "level must be 0 to 0"),
    "service": ([*HEATMAP, "--service", "grpc://localhost:1"], "No dispatcher answers"),
    "worker": (
        ["slide-worker", "--dispatcher", "localhost:1"],
        "No dispatcher answers",
    ),
    "no address": (["slide-worker", "--dispatcher", "here"], "must be an address"),
    "model gives no maps": (
        ["predict", "{slide}", "{model}", "{out}", "--tile-size", "32"],
        "model must give [batch, rows, cols, channels]",
    ),
    "blend": (
        ["predict", "{slide}", "{twice}", "{out}", "--tile-size", "9", "--blend", "x"],
        "blend must be",
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_failures_are_a_sentence(failure, files, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, message = FAILURES[failure]
    places = {
        "slide": files / "slide.tif",
        "model": files / "means.keras",
        "twice": files / "twice.keras",
        "bad": files / "no_model.keras",
        "out": tmp_path / "out.npy",
    }
    quiet = [] if arguments[0] == "slide-worker" else ["--quiet"]
    assert main([part.format(**places) for part in arguments] + quiet) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert "function_node" not in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["heatmap", "a", "b", "c"], "required: --size"),
        (["heatmap", "a", "b"], "required: OUT"),
        ([*HEATMAP, "--stride", "0"], "--stride: must be N or ROWSxCOLS, above 0"),
        ([*HEATMAP, "--stride", "1x2x3"], "but got '1x2x3'"),
        ([*HEATMAP, "--mpp", "-1"], "--mpp: must be a number above 0, but got '-1'"),
        ([*HEATMAP, "--mpp", "1", "--level", "1"], "not allowed with argument"),
        ([*HEATMAP, "--min-mask-ratio", "2"], "must be a number, 0 to 1, but got '2'"),
        ([*HEATMAP, "--batch-size", "x"], "must be an integer above 0, but got 'x'"),
        ([*HEATMAP, "--mask", "tissue"], "invalid choice: 'tissue'"),
        (["predict", "a", "b", "c"], "required: --tile-size"),
        (["slide-worker"], "required: --dispatcher"),
    ],
)
def test_usage(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_as_a_program(files, tmp_path):
    command = [sys.executable, "-m", "tf_patches", "heatmap", "slide.tif"]
    command += ["means.keras", tmp_path / "scores.npy", "--size", "50", "--quiet"]
    ended = subprocess.run(command, cwd=files, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"{tmp_path / 'scores.npy'}: 3 x 4 patches, 12 scored.\n"
