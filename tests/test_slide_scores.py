"""Heat maps of slides: right scores, and nothing lost when the work is interrupted."""

import fcntl
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from child import child_output
from slides_made import cells_of, stained, write_slide

import tf_patches
from tf_patches import slides
from tf_patches.slides import grid as grid_module
from tf_patches.slides.models import load_model, weights_digest

IMAGE = stained(157, 211)
GRID = {"size": 20, "stride": 10, "padding": "SAME"}
INVALID = tf.errors.InvalidArgumentError


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("slides") / "slide.tif"
    return write_slide(path, [IMAGE])


@pytest.fixture(autouse=True)
def small_blocks():
    """Blocks so small that a small slide has many."""
    with mock.patch.object(grid_module, "_BLOCK_SIDE", 50):
        yield


def mean_and_max(patches):
    pixels = tf.cast(patches, tf.float32)
    return tf.stack(
        [tf.reduce_mean(pixels, [1, 2, 3]), tf.reduce_max(pixels, [1, 2, 3])], 1
    )


def score(path, model=mean_and_max, **arguments):
    return slides.score(path, model, **{**GRID, "progress": False, **arguments})


def expected_scores():
    patches = tf_patches.extract_patches(
        IMAGE[np.newaxis], 20, 10, padding="SAME", constant_values=255
    )[0]
    shape = patches.shape[:2]
    scores = mean_and_max(tf.reshape(patches, [-1, 20, 20, 3]))
    return scores.numpy().reshape(*shape, 2)


@pytest.mark.parametrize("batch_size", [1, 5, 32])
def test_scores(path, batch_size):
    heat_map = score(path, batch_size=batch_size)
    np.testing.assert_allclose(heat_map.scores, expected_scores(), rtol=1e-6)
    assert heat_map.grid.sizes == (20, 20)
    assert heat_map.slide.name == path


def test_unwanted_patches_are_not_a_number(path):
    mask = np.zeros([2, 2], bool)
    mask[0, 1] = True
    heat_map = score(path, mask=mask, min_mask_ratio=0.5)
    wanted = np.zeros(heat_map.scores.shape[:2], bool)
    wanted[tuple(cells_of(heat_map.grid).T)] = True
    assert 0.2 < wanted.mean() < 0.3
    np.testing.assert_array_equal(np.isnan(heat_map.scores).all(-1), ~wanted)
    np.testing.assert_allclose(
        heat_map.scores[wanted], expected_scores()[wanted], rtol=1e-6
    )
    nothing = score(path, mask=np.zeros([1, 1]))
    assert np.isnan(nothing.scores).all()


def test_models_of_all_kinds(path, tmp_path):
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(2, 20)]
    model = keras.Sequential(
        [keras.Input([20, 20, 3]), *layers, keras.layers.Flatten()]
    )
    model.save(tmp_path / "model.keras")
    model.export(tmp_path / "exported", verbose=False)
    expected = score(path, lambda patches: model(tf.cast(patches, tf.float32)))
    assert expected.scores.shape == (16, 22, 2)
    for kind in (
        model,
        str(tmp_path / "model.keras"),
        tmp_path / "exported",
        tf.saved_model.load(tmp_path / "exported"),
    ):
        assert weights_digest(load_model(kind)) == weights_digest(model) is not None
        np.testing.assert_allclose(
            score(path, kind).scores, expected.scores, rtol=1e-4, atol=1e-5
        )


def test_one_score_or_a_map_for_each_patch(path):
    def one(patches):
        return np.asarray(patches, np.float64).mean((1, 2, 3))

    assert score(path, one).scores.shape == (16, 22)
    assert score(path, one).scores.dtype == np.float64
    maps = score(path, lambda patches: tf.cast(patches[:, ::10, ::5, 0], tf.int32))
    assert maps.scores.shape == (16, 22, 2, 4)
    assert maps.scores.dtype == np.float32


@pytest.mark.parametrize(
    "model, error, match",
    [
        (3, TypeError, "model must be a Keras model, a SavedModel"),
        ("/none/model", FileNotFoundError, "no model /none/model"),
        ("/none/model.keras", ValueError, "/none/model.keras"),
        (lambda p: tf.reduce_mean(p), INVALID, "a result for each of the 32 patches"),
        (lambda p: p[:3], INVALID, r"of a batch, but gave shape \[3, 20, 20, 3\]"),
        (lambda p: (p, p), INVALID, "must give one tensor, but gave 2"),
    ],
)
def test_bad_models(path, model, error, match):
    with pytest.raises(error, match=match):
        score(path, model)


@pytest.mark.parametrize(
    "arguments, error, match",
    [
        ({"output": "scores.png"}, INVALID, "output must end with one of .npy, .zarr"),
        ({"resume": True}, INVALID, "resume=True needs an output"),
        ({"batch_size": 0}, INVALID, "batch_size must be an integer above 0"),
        ({"output": "/none/scores.npy"}, OSError, "/none/scores.npy"),
        ({"service": 3}, TypeError, "service must be an address"),
        ({"service": "localhost:1"}, INVALID, "service must be an address.*grpc://"),
        (
            {"service": "grpc://localhost:1"},
            tf.errors.UnavailableError,
            "No dispatcher answers at grpc://localhost:1",
        ),
    ],
)
def test_bad_arguments(path, arguments, error, match):
    with pytest.raises(error, match=match):
        score(path, **arguments)


class StoppedError(Exception):
    pass


def stopping_after(calls):
    """A model that fails after so many batches, of which the first is a trial."""
    left = [calls]

    def model(patches):
        left[0] -= 1
        if left[0] < 0:
            raise StoppedError
        return mean_and_max(patches)

    return model


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_resumes_after_any_batch(path, tmp_path):
    out = tmp_path / "scores.npy"
    whole = score(path, output=tmp_path / "whole.npy").scores
    assert isinstance(whole, np.memmap)
    np.testing.assert_allclose(whole, expected_scores(), rtol=1e-6)
    (tmp_path / "whole.npy").rename(tmp_path.parent / "whole.npy")
    (tmp_path / "whole.npy.json").unlink()
    for calls in (2, 3, 9, 16, 24):
        with pytest.raises(StoppedError):
            score(path, stopping_after(calls), output=out)
        assert names(tmp_path) == ["scores.npy.partial", "scores.npy.progress"]
        done = len((tmp_path / "scores.npy.progress").read_text().splitlines()) - 1
        counting = mock.Mock(side_effect=mean_and_max)
        resumed = score(path, counting, output=out, resume=True)
        assert names(tmp_path) == ["scores.npy", "scores.npy.json"]
        assert out.read_bytes() == (tmp_path.parent / "whole.npy").read_bytes()
        np.testing.assert_array_equal(resumed.scores, whole)
        assert counting.call_count == 1 + resumed.grid.block_count - done
        for name in names(tmp_path):
            (tmp_path / name).unlink()


def test_resumes_after_several_stops(path, tmp_path):
    out = tmp_path / "scores.npy"
    for _ in range(6):
        with pytest.raises(StoppedError):
            score(path, stopping_after(4), output=out, resume=True)
    resumed = score(path, output=out, resume=True).scores
    np.testing.assert_array_equal(resumed, score(path).scores)


def test_a_torn_line_of_progress(path, tmp_path):
    out = tmp_path / "scores.npy"
    progress = tmp_path / "scores.npy.progress"
    with pytest.raises(StoppedError):
        score(path, stopping_after(14), output=out)
    text = progress.read_text()
    assert text.splitlines()[-1] == "12"
    for end in ("1", "1\n1", "\n"):
        progress.write_text(text.removesuffix("12\n") + end)
        with pytest.raises(StoppedError):
            score(path, stopping_after(3), output=out, resume=True)
        assert progress.read_text().endswith("\n")
    resumed = score(path, output=out, resume=True).scores
    np.testing.assert_array_equal(resumed, score(path).scores)


def test_only_the_same_request_is_resumed(path, tmp_path):
    out = tmp_path / "scores.npy"
    with pytest.raises(StoppedError):
        score(path, stopping_after(4), output=out)
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    others = [
        {"stride": 11},
        {"batch_size": 31},
        {"padding": "VALID"},
        {"mode": "EDGE"},
        {"mask": "otsu"},
        {"model": lambda patches: mean_and_max(patches)[:, 0]},
    ]
    for other in others:
        with pytest.raises(
            INVALID, match=r"belongs to another request.*leave resume out"
        ):
            score(path, **other, output=out, resume=True)
    with pytest.raises(INVALID, match="belongs to another request"):
        score(slides.open(path, background=0), output=out, resume=True)
    assert before == {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    (tmp_path / "scores.npy.partial").write_bytes(b"short")
    with pytest.raises((INVALID, ValueError)):
        score(path, output=out, resume=True)


def test_a_replaced_slide_is_not_resumed(tmp_path):
    path = write_slide(tmp_path / "slide.tif", [IMAGE])
    out = tmp_path / "scores.npy"
    with pytest.raises(StoppedError):
        score(path, stopping_after(4), output=out)
    write_slide(path, [255 - IMAGE])
    with pytest.raises(INVALID, match="belongs to another request"):
        score(path, output=out, resume=True)


def test_a_new_run_does_not_believe_an_old_one(path, tmp_path):
    out = tmp_path / "scores.npy"
    with pytest.raises(StoppedError):
        score(path, stopping_after(9), output=out)
    fill = mock.patch(
        "tf_patches.slides.outputs.NpyOutput.flush", side_effect=StoppedError
    )
    with fill, pytest.raises(StoppedError):
        score(path, output=out)
    resumed = score(path, output=out, resume=True).scores
    np.testing.assert_array_equal(resumed, score(path).scores)


def test_a_result_is_replaced_at_the_end_only(path, tmp_path):
    out = tmp_path / "scores.npy"
    np.save(out, np.ones(3))
    with pytest.raises(StoppedError):
        score(path, stopping_after(5), output=out)
    np.testing.assert_array_equal(np.load(out), np.ones(3))
    score(path, output=out, resume=True)
    np.testing.assert_array_equal(np.load(out), score(path).scores)
    assert names(tmp_path) == ["scores.npy", "scores.npy.json"]


def test_a_finished_result_is_not_computed_again(path, tmp_path):
    out = tmp_path / "scores.npy"
    score(path, output=out)
    counting = mock.Mock(side_effect=mean_and_max)
    again = score(path, counting, output=out, resume=True)
    assert counting.call_count == 1  # the model is tried
    np.testing.assert_array_equal(again.scores, score(path).scores)
    other = score(path, output=out, stride=11, resume=True)
    np.testing.assert_array_equal(other.scores, score(path, stride=11).scores)
    assert score(path, output=out, resume=True).scores.shape == again.scores.shape


def test_a_finished_result_is_told_from_one_that_stopped_later(path, tmp_path):
    """The record of the old result does not stand for the new one."""
    out = tmp_path / "scores.npy"
    score(path, output=out)
    old = out.read_bytes()
    with pytest.raises(StoppedError):
        score(path, stopping_after(5), output=out)
    assert out.read_bytes() == old
    counting = mock.Mock(side_effect=mean_and_max)
    score(path, counting, output=out, resume=True)
    assert counting.call_count > 1
    assert out.read_bytes() == old


def test_another_model_is_not_taken_for_the_same(path, tmp_path):
    out, file = tmp_path / "scores.npy", tmp_path / "model.keras"
    model = keras.Sequential([keras.Input([20, 20, 3]), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2))
    model.save(file)
    with (
        mock.patch.object(slides.job.Job, "mark", side_effect=[None] * 3 + [OSError]),
        pytest.raises(OSError),
    ):
        score(path, model, output=out)
    model.layers[-1].bias.assign([1, 2])
    with pytest.raises(INVALID, match="belongs to another request"):
        score(path, model, output=out, resume=True)
    resumed = score(path, str(file), output=out, resume=True).scores
    np.testing.assert_array_equal(resumed, score(path, file).scores)


def test_one_process_writes_an_output(path, tmp_path):
    out = tmp_path / "scores.npy"
    with open(tmp_path / "scores.npy.progress", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(
            tf.errors.FailedPreconditionError,
            match=r"Another process writes .*scores\.npy\. Wait",
        ):
            score(path, output=out)
    assert names(tmp_path) == ["scores.npy.progress"]
    score(path, output=out)


def test_zarr(path, tmp_path):
    out = tmp_path / "scores.zarr"
    for resume in (False, True, True):
        with pytest.raises(StoppedError):
            score(path, stopping_after(6), output=out, resume=resume)
        assert names(tmp_path) == ["scores.zarr.partial", "scores.zarr.progress"]
    resumed = score(path, output=out, resume=True).scores
    np.testing.assert_array_equal(resumed[:], score(path).scores)
    assert names(tmp_path) == ["scores.zarr", "scores.zarr.json"]


def test_zarr_is_missing(path, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ImportError, match=r"Install it: pip install 'zarr>=3'"):
        score(path, output=tmp_path / "scores.zarr")


KILLED = """
    import sys
    from pathlib import Path
    from test_slide_scores import GRID, grid_module, mean_and_max, slides

    grid_module._BLOCK_SIDE = 50
    path, out, resume = sys.argv[1:]

    def model(patches):
        print("batch", flush=True)
        input()
        return mean_and_max(patches)

    slides.score(
        path, model, **GRID, output=out, resume=bool(resume), progress=False
    )
"""


def test_kill_9(path, tmp_path):
    """Killed again and again, wherever it is after a batch."""
    out = tmp_path / "scores.npy"
    code = "\n".join(line[4:] for line in KILLED.splitlines())
    for resume in ("", "resume"):
        child = subprocess.Popen(
            [sys.executable, "-c", code, path, out, resume],
            cwd=Path(__file__).parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(5):
            assert child.stdout.readline() == "batch\n"
            child.stdin.write("\n")
            child.stdin.flush()
        child.kill()
        assert child.wait() == -signal.SIGKILL
        assert not out.exists()
    done = (tmp_path / "scores.npy.progress").read_text().splitlines()[1:]
    assert len(done) >= 6
    resumed = score(path, output=out, resume=True).scores
    np.testing.assert_array_equal(resumed, score(path).scores)


FULL = """
    import errno, resource, signal, sys
    from test_slide_scores import grid_module, score

    grid_module._BLOCK_SIDE = 50
    path, folder = sys.argv[1:]
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    ended = []
    for limit in (0, 100, 1000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            score(path, output=f"{folder}/{limit}.npy")
        except OSError as error:
            ended.append(errno.errorcode[error.errno])
    resource.setrlimit(resource.RLIMIT_FSIZE, [resource.RLIM_INFINITY] * 2)
    print(*ended)  # to a file
"""


def test_a_full_disk(path, tmp_path):
    """Files that may not grow fail as on a full disk."""
    ended = child_output(FULL, path, tmp_path, cwd=Path(__file__).parent)
    assert ended.split() == ["EFBIG"] * 3
    assert not list(tmp_path.glob("*.npy"))
    expected = score(path).scores
    for limit in (0, 100, 1000):
        out = tmp_path / f"{limit}.npy"
        resumed = score(path, output=out, resume=True).scores
        np.testing.assert_array_equal(resumed, expected)
    assert names(tmp_path) == sorted(
        f"{limit}.npy{end}" for limit in (0, 100, 1000) for end in ("", ".json")
    )


def test_progress_that_cannot_grow(path, tmp_path):
    """The scores fit, and the list of blocks does not."""
    out = tmp_path / "scores.npy"
    ordinary = slides.job.Job.mark

    def mark(job, unit):
        if unit == 7:
            raise OSError(28, "No space left on device")
        ordinary(job, unit)

    with mock.patch.object(slides.job.Job, "mark", mark), pytest.raises(OSError):
        score(path, output=out)
    assert not out.exists()
    resumed = score(path, output=out, resume=True).scores
    np.testing.assert_array_equal(resumed, score(path).scores)
