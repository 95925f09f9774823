"""Slides in processes: threads, forks, leaks, limits, and files that are damaged."""

import ctypes.util
import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from child import child_output, run_child
from slides_made import pyramid, stained, write_slide

from tf_patches import slides

HERE = Path(__file__).parent
IMAGE = stained(100, 120)
MORE_THAN_ARE_KEPT_OPEN = 20


@pytest.fixture
def path(tmp_path):
    return write_slide(tmp_path / "slide.tif", pyramid(IMAGE, 4), tile=32)


def images_and_paths(folder, count):
    images = [stained(100, 120, seed) for seed in range(count)]
    names = [folder / f"{number}.tif" for number in range(count)]
    return images, [write_slide(n, [i]) for n, i in zip(names, images, strict=True)]


def test_threads_share_slides(tmp_path):
    images, paths = images_and_paths(tmp_path, MORE_THAN_ARE_KEPT_OPEN)
    opened = [slides.open(path) for path in paths]

    def differs(seed):
        random = np.random.default_rng(seed)
        number, row, col = (random.integers(0, n) for n in (len(paths), 80, 90))
        pixels = opened[number].read(row, col, 20, 30).numpy()
        return not np.array_equal(
            pixels, images[number][row : row + 20, col : col + 30]
        )

    with ThreadPoolExecutor(8) as threads:
        assert not any(threads.map(differs, range(400)))


def pixels_by_dataset(path):
    data = slides.open(path).patches(50, batch_size=4)
    return np.concatenate([batch["patches"].numpy() for batch in data])


def test_spawns_after_use(path):
    expected = pixels_by_dataset(path)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        np.testing.assert_array_equal(pool.apply(pixels_by_dataset, [path]), expected)


FORKS_AND_LEAKS = """
    import os, sys
    from pathlib import Path
    from test_slide_processes import (
        MORE_THAN_ARE_KEPT_OPEN, ThreadPoolExecutor, images_and_paths, np, slides, tf
    )

    images, paths = images_and_paths(Path(sys.argv[1]), MORE_THAN_ARE_KEPT_OPEN)
    slide = slides.open(paths[0])

    def check(row):
        pixels = slide.read(row, 3, 20, 100).numpy()
        np.testing.assert_array_equal(pixels, images[0][row : row + 20, 3:103])

    # A forked child shares the places in its parent's files: it opens its own.
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(check, range(0, 80, 5)))
        for _ in range(5):
            child = os.fork()
            if child == 0:
                for row in range(40):
                    check(row)
                os._exit(0)
            list(threads.map(check, range(0, 80, 5)))
            assert os.waitpid(child, 0)[1] == 0

    def kilobytes():
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if "VmRSS" in line)

    def use(openings, regions):
        for number in range(openings):
            slides.open(paths[number % len(paths)])
        for number in range(regions // 10):
            slide.read(number % 9, number % 7, 100, 120)
        tf.data.Dataset.range(regions).map(
            lambda number: slide.read(number % 9, number % 7, 100, 120)
        ).reduce(np.int64(0), lambda count, pixels: count + 1)

    use(60, 200)
    before, files = kilobytes(), len(os.listdir("/proc/self/fd"))
    use(1_000, 10_000)
    print(kilobytes() - before, len(os.listdir("/proc/self/fd")) - files)
"""


def test_forks_and_leaks(tmp_path):
    output = child_output(FORKS_AND_LEAKS, tmp_path, cwd=HERE)
    grown, files = map(int, output.split())
    assert grown < 10_000  # regions that leak would be 396,000
    assert files <= 0


DAMAGED = """
    import sys
    from pathlib import Path
    from slides_made import damaged, read_levels
    from test_slide_processes import np, slides, tf

    path = Path(sys.argv[1])
    whole = path.read_bytes()
    outcomes = {"pixels": 0, "error": 0}
    for seed in range(400):
        path.write_bytes(damaged(whole, seed))
        try:
            read_levels(slides.open(str(path)))
            outcomes["pixels"] += 1
        except tf.errors.OpError as error:
            assert str(path) in error.message, error
            outcomes["error"] += 1
    path.write_bytes(whole)
    slide = slides.open(str(path))
    np.testing.assert_array_equal(slide.read(0, 0, 2, 2), np.load(sys.argv[2])[:2, :2])
    print(outcomes["pixels"], outcomes["error"])
"""


def test_damaged_slides(path, tmp_path):
    """They give pixels or an error that names the file; the process lives."""
    np.save(tmp_path / "image.npy", IMAGE)
    pixels, errors = child_output(
        DAMAGED, path, tmp_path / "image.npy", cwd=HERE
    ).split()
    assert int(pixels) > 20
    assert int(errors) > 50


def test_files_that_vanish_or_change_while_open(path):
    slide = slides.open(path)
    np.testing.assert_array_equal(slide.read(0, 0, 100, 120), IMAGE)
    hidden = path + ".hidden"
    os.rename(path, hidden)
    with pytest.raises(tf.errors.NotFoundError, match=f"There is no slide {path}"):
        slide.read(0, 0, 100, 120)
    os.rename(hidden, path)
    np.testing.assert_array_equal(slide.read(0, 0, 100, 120), IMAGE)
    write_slide(hidden, pyramid(255 - IMAGE, 4))
    os.replace(hidden, path)
    np.testing.assert_array_equal(slide.read(0, 0, 100, 120), 255 - IMAGE)
    Path(path).write_bytes(Path(path).read_bytes()[:5000])
    for _ in range(2):
        with pytest.raises(tf.errors.OpError, match=path):
            slide.read(0, 0, 100, 120)
    Path(path).write_text("no slide")
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{path} is no slide"):
        slide.read(0, 0, 100, 120)
    write_slide(path, [IMAGE])
    with pytest.raises(tf.errors.InvalidArgumentError, match="level must be 0 to 0"):
        slide.read(0, 0, 1, 1, level=1)
    np.testing.assert_array_equal(slide.read(0, 0, 100, 120), IMAGE)


@pytest.mark.skipif(
    ctypes.util.find_library("openslide") is not None, reason="the system has OpenSlide"
)
def test_openslide_is_missing(path):
    ended = run_child(
        """
        import sys

        sys.modules["openslide_bin"] = None
        from tf_patches import slides
        import numpy as np

        print(slides.open(np.zeros([4, 4, 3])).read(0, 0, 1, 1).shape)
        slides.open(sys.argv[1])
        """,
        path,
    )
    assert ended.stdout == "(1, 1, 3)\n"
    last = ended.stderr.strip().splitlines()[-1]
    assert "FailedPreconditionError" in last
    assert "Slides are read by OpenSlide, which cannot be loaded" in last
    assert "Install it: pip install openslide-bin" in last


MEMORY = """
    import resource, sys
    import tensorflow as tf
    from slides_made import write_large
    from tf_patches import slides

    write_large(sys.argv[1], 100_000)
    slides.open(sys.argv[1]).read(0, 0, 9, 9)
    list(tf.data.Dataset.range(9).map(lambda n: n).prefetch(2))

    def megabytes():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000

    def use(**arguments):
        before = megabytes()
        data = slides.open(sys.argv[1]).patches(299, 128, batch_size=32, **arguments)
        seen = sum(len(batch["index"]) for batch in data.take(13))
        print(seen, data.cardinality().numpy(), round(megabytes() - before))

    use()
    use(mask="otsu")
    use(mpp=0.5)
"""


def test_memory_over_a_large_slide(tmp_path):
    """100,000 pixels a side, 30 gigabytes: memory holds some blocks."""
    output = child_output(MEMORY, tmp_path / "large.tif", cwd=HERE)
    for line in output.splitlines():
        seen, _, megabytes = map(int, line.split())
        assert seen == 13 * 32
        assert megabytes < 1000
