"""Slides read by tf.data service, by workers in processes of their own that may die."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from slides_made import stained, write_slide

import tf_patches
from tf_patches import slides
from tf_patches.slides import grid as grid_module
from tf_patches.slides import service

IMAGE = stained(400, 500)
GRID = {"size": 30, "stride": 20, "padding": "SAME"}


@pytest.fixture(scope="module")
def dispatcher():
    command = [sys.executable, "-m", "tf_patches", "slide-dispatcher"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line = child.stdout.readline()
    assert line.startswith("Sharing out slides at grpc://localhost:")
    yield line.split()[-1].removesuffix(".")
    child.kill()
    child.wait()


@pytest.fixture(scope="module")
def workers(dispatcher):
    command = [sys.executable, "-m", "tf_patches", "slide-worker", "--dispatcher"]
    address = dispatcher.removeprefix("grpc://")
    children = [
        subprocess.Popen([*command, address], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for child in children:
        assert child.stdout.readline() == f"Reading slides for {address}.\n"
    yield children
    for child in children:
        child.kill()
        child.wait()


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(grid_module, "_BLOCK_SIDE", 50)
    return write_slide(tmp_path / "slide.tif", [IMAGE])


def counts_of(path, seen, **arguments):
    """Scores that tell a patch, which `seen` counts."""

    def model(patches):
        pixels = tf.cast(patches, tf.float32)
        weights = tf.range(30.0 * 30 * 3) / 999
        scores = tf.linalg.matvec(tf.reshape(pixels, [-1, 2700]), weights)
        seen.append(len(scores))
        return scores

    return slides.score(
        path, model, **GRID, batch_size=4, progress=False, **arguments
    ).scores


def test_scores_are_those_of_one_process(path, dispatcher, workers):
    alone, served = [], []
    expected = counts_of(path, alone)
    scores = counts_of(path, served, service=dispatcher)
    np.testing.assert_array_equal(scores, expected)
    assert len(served) == len(alone)


def test_resumes_with_workers(path, dispatcher, workers, tmp_path):
    out = tmp_path / "scores.npy"

    class StoppedError(Exception):
        pass

    class Seen(list):
        def append(self, count):
            super().append(count)
            if len(self) == 20:
                raise StoppedError

    with pytest.raises(StoppedError):
        counts_of(path, Seen(), output=out, service=dispatcher)
    scores = counts_of(path, [], output=out, resume=True, service=dispatcher)
    np.testing.assert_array_equal(scores, counts_of(path, []))


def test_patches_are_distributed_unchanged(path, dispatcher, workers):
    data = slides.open(path).patches(30, 20, padding="SAME", batch_size=16)
    expected = tf_patches.extract_patches(
        IMAGE[np.newaxis], 30, 20, padding="SAME", constant_values=255
    )[0].numpy()
    expected = expected.reshape(*expected.shape[:2], 30, 30, 3)
    data = data.apply(
        tf.data.experimental.service.distribute("parallel_epochs", dispatcher)
    )
    times = np.zeros(expected.shape[:2], int)
    for batch in data:
        rows, cols = batch["cell"].numpy().T
        np.testing.assert_array_equal(batch["patches"], expected[rows, cols])
        times[rows, cols] += 1
    assert (times == 3).all()  # once by each worker


def test_a_damaged_slide_is_an_error(path, dispatcher, workers):
    slide = slides.open(path)
    with open(path, "wb") as file:
        file.write(b"no slide")
    with pytest.raises(tf.errors.InvalidArgumentError, match="is no slide"):
        counts_of(slide, [], service=dispatcher)


def test_a_killed_worker_loses_nothing(path, dispatcher, workers, monkeypatch):
    """The last of the tests: two workers are left, and one that does not answer."""
    monkeypatch.setattr(service, "_SECONDS_OF_SILENCE", 2.0)
    alone, served = [], []
    expected = counts_of(path, alone)

    class Killing(list):
        def append(self, count):
            super().append(count)
            if len(self) == 10:
                workers[1].kill()

    served = Killing()
    scores = counts_of(path, served, service=dispatcher)
    np.testing.assert_array_equal(scores, expected)
    assert len(served) == len(alone)


def test_another_dispatcher(path):
    """It lacks our ops, which this process has: so it is a child's."""
    code = """if True:
        import tensorflow as tf
        dispatcher = tf.data.experimental.service.DispatchServer()
        print(dispatcher.target, flush=True)
        dispatcher.join()
    """
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            with pytest.raises(
                tf.errors.FailedPreconditionError, match="slide-dispatcher"
            ):
                counts_of(path, [], service=child.stdout.readline().strip())
        finally:
            child.kill()


def test_nobody_reads(path, monkeypatch):
    """Without workers the slide is read here, after a while."""
    monkeypatch.setattr(service, "_SECONDS_OF_SILENCE", 0.2)
    lonely = tf.data.experimental.service.DispatchServer()
    scores = counts_of(path, [], service=lonely.target)
    np.testing.assert_array_equal(scores, counts_of(path, []))


def test_arrays_cannot_be_served(dispatcher):
    with pytest.raises(tf.errors.InvalidArgumentError, match="slide in a file"):
        counts_of(IMAGE, [], service=dispatcher)
