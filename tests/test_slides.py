"""Regions of slides: as OpenSlide's own Python package reads them, and as written."""

import numpy as np
import openslide
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from slides_made import pyramid, stained, write_slide

from tf_patches import slides

IMAGE = stained(203, 366)
LEVELS = pyramid(IMAGE, 4, 7)  # 7 does not divide the sides: a downsample of 6.99…
ALIGNED = stained(256, 384, seed=1)
INVALID = tf.errors.InvalidArgumentError


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_slide(tmp_path_factory.mktemp("slides") / "odd.tif", LEVELS)


@pytest.fixture(scope="module")
def aligned(tmp_path_factory):
    path = tmp_path_factory.mktemp("slides") / "aligned.tif"
    return write_slide(path, pyramid(ALIGNED, 4, 8))


def by_openslide(path, level, row, col, rows, cols, background=(255, 255, 255)):
    with openslide.OpenSlide(path) as slide:
        corner = [round(n * slide.level_downsamples[level]) for n in (col, row)]
        region = slide.read_region(corner, level, (cols, rows))
    behind = Image.new("RGBA", region.size, background)
    return np.array(Image.alpha_composite(behind, region))[..., :3]


def means(image, scale):
    """Means over squares of `scale` pixels, from sums up to every point."""
    for axis in (0, 1):
        image = np.moveaxis(image.astype(np.float64), axis, 0)
        count = max(1, int(len(image) / scale))
        sums = np.concatenate([np.zeros_like(image[:1]), image.cumsum(0)])
        points = np.arange(count + 1) * scale
        flat = sums.reshape(len(sums), -1).T
        at = np.array([np.interp(points, np.arange(len(sums)), one) for one in flat])
        image = (np.diff(at, axis=1) / scale).T.reshape(count, *image.shape[1:])
        image = np.moveaxis(image, 0, axis)
    return image


def test_describes_itself(path):
    slide = slides.open(path)
    with openslide.OpenSlide(path) as expected:
        sizes = [(level.cols, level.rows) for level in slide.levels]
        assert tuple(sizes) == expected.level_dimensions
        downsamples = [level.downsample for level in slide.levels]
        assert tuple(downsamples) == expected.level_downsamples
        assert slide.properties == dict(expected.properties)
    assert slide.mpp == pytest.approx(0.5)
    assert slide.power is None
    assert slide.images == []
    assert repr(slide) == (
        f"<Slide {path}: 203 rows, 366 cols, 3 levels, mpp 0.5, power None>"
    )
    assert slides.open(slide) is slide


REGIONS = st.tuples(
    st.integers(-70, 270), st.integers(-70, 400), st.integers(0, 90), st.integers(0, 90)
)


@given(region=REGIONS)
def test_level_0_is_the_array(path, region):
    row, col, rows, cols = region
    wide = np.pad(IMAGE, [(100, 400), (100, 400), (0, 0)], constant_values=255)
    expected = wide[row + 100 :, col + 100 :][:rows, :cols]
    pixels = slides.open(path).read(*region)
    assert pixels.dtype == tf.uint8
    np.testing.assert_array_equal(pixels, expected)
    if rows and cols:
        np.testing.assert_array_equal(pixels, by_openslide(path, 0, *region))


@given(
    level=st.sampled_from([1, 2]),
    row=st.integers(0, 20),
    col=st.integers(0, 20),
    rows=st.integers(1, 20),
    cols=st.integers(1, 20),
)
def test_levels_are_their_arrays(aligned, level, row, col, rows, cols):
    downsample = [1, 4, 8][level]
    whole = ALIGNED[::downsample, ::downsample]
    pixels = slides.open(aligned).read(row, col, rows, cols, level=level).numpy()
    inside = whole[row : row + rows, col : col + cols]
    np.testing.assert_array_equal(pixels[: len(inside)], inside)
    expected = by_openslide(aligned, level, row, col, rows, cols)
    np.testing.assert_array_equal(pixels, expected)


@given(
    resolution=st.sampled_from(
        [{"level": 1}, {"level": 2}, {"mpp": 0.8}, {"mpp": 2.9}, {"mpp": 4.2}]
    ),
    corner=st.tuples(
        st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)
    ),
)
def test_regions_are_the_same_however_they_are_cut(path, resolution, corner):
    slide = slides.open(path)
    view = slide.view(**resolution)
    whole = slide.read(0, 0, view.rows, view.cols, **resolution).numpy()
    top, bottom = sorted(int(part * view.rows) for part in corner[:2])
    left, right = sorted(int(part * view.cols) for part in corner[2:])
    part = slide.read(top, left, bottom - top, right - left, **resolution)
    np.testing.assert_array_equal(part, whole[top:bottom, left:right])


def test_long_levels_are_read_in_chunks_that_join(tmp_path):
    """At a downsample of 2.99… OpenSlide by itself gives parts unlike the whole."""
    image = stained(1500, 1801)
    slide = slides.open(write_slide(tmp_path / "long.tif", pyramid(image, 3)))
    assert slide.levels[1].downsample != 3
    whole = slide.read(0, 0, 500, 601, level=1).numpy()
    assert np.abs(whole.astype(int) - image[::3, ::3]).mean() < 2
    for row, col in [(3, 5), (255, 256), (257, 301), (-20, -10)]:
        part = slide.read(row, col, 270, 300, level=1).numpy()
        inside = part[max(0, -row) :, max(0, -col) :]
        expected = whole[max(0, row) : row + 270, max(0, col) : col + 300]
        np.testing.assert_array_equal(
            inside[: expected.shape[0], : expected.shape[1]], expected
        )


@pytest.mark.parametrize(
    "mpp, level, scale",
    [
        (0.5, 0, 1),
        (0.52, 0, 1),  # within 5 percent
        (0.48, 0, 1),
        (0.6, 0, 1.2),
        (1.3, 0, 2.6),
        (1.99, 1, 1),
        (3.0, 1, 1.5),
        (10.0, 2, 20 / 7),
        (2000, 2, 4000 / 7),  # a single pixel
    ],
)
def test_means_over_areas(path, mpp, level, scale):
    slide = slides.open(path)
    view = slide.view(mpp=mpp)
    assert view.level == level
    assert view.scale == pytest.approx(scale, rel=0.02)
    whole = view.read([0, 0, view.rows, view.cols]).numpy()
    exact = LEVELS[level]
    expected = exact if view.scale == 1 else means(exact, min(view.scale, 29))
    if view.scale < 30:
        np.testing.assert_allclose(whole, expected, atol=0.5 + 1e-3)
    assert np.abs(view.rows * view.downsample - 203) <= max(view.downsample, 203)


def test_means_in_strips(path, monkeypatch):
    view = slides.open(path).view(mpp=1.3)
    whole = view.read([0, 0, view.rows, view.cols])
    monkeypatch.setattr("tf_patches.slides.resolution._PIXELS_AT_ONCE", 1000)
    np.testing.assert_array_equal(view.read([0, 0, view.rows, view.cols]), whole)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
@pytest.mark.parametrize("scale", [1.1, 1.3, 2.4, 3.7, 12.5])
def test_means_have_the_same_bits_in_graphs(dtype, scale):
    """Even of numbers whose means lie halfway between two others, as at 2.4."""
    limits = np.iinfo(dtype)
    random = np.random.default_rng(7)
    image = random.integers(limits.min, limits.max + 1, [300, 260, 1]).astype(dtype)
    view = slides.open(tf.constant(image), mpp=1).view(mpp=scale)
    region = [0, 0, view.rows, view.cols]
    eager = view.read(region)
    compiled = tf.function(lambda: view.read(region))()
    np.testing.assert_array_equal(eager, compiled)
    for row in (0, view.rows // 2, view.rows - 1):
        part = view.read([row, 1, 1, view.cols - 1])
        np.testing.assert_array_equal(part, eager[row : row + 1, 1:])


def test_power_and_overrides(path):
    with pytest.raises(INVALID, match=r"does not say its power.*power=…"):
        slides.open(path).view(power=10)
    slide = slides.open(path, power=40, mpp=0.25)
    assert (slide.power, slide.mpp) == (40, 0.25)
    assert slide.view(power=10) == slide.view(level=1) == slide.view(mpp=1.0)
    assert slide.view(power=20).scale == 2
    assert slide.view() == slide.view(level=0) == slide.view(power=40)
    with pytest.raises(INVALID, match=r"mpp=0.1 is finer than the slide.*level=0"):
        slide.view(mpp=0.1)
    with pytest.raises(INVALID, match=r"power=80 is finer .* power=40"):
        slide.view(power=80)
    with pytest.raises(INVALID, match=r"one of level, mpp.*level=0 and mpp=1"):
        slide.view(level=0, mpp=1)


def test_background(path):
    region = (-2, 364, 4, 4)
    red = slides.open(path, background=[255, 0, 0]).read(*region)
    np.testing.assert_array_equal(red, by_openslide(path, 0, *region, (255, 0, 0)))
    assert (slides.open(path).read(500, -500, 2, 2).numpy() == 255).all()
    assert (slides.open(path, background=7).read(500, 0, 2, 2).numpy() == 7).all()


@pytest.mark.parametrize(
    "dtype, background, outside",
    [
        (np.uint8, None, 255),
        (np.uint16, None, 0),
        (np.float32, 0.5, 0.5),
        (np.float64, [0.25, -1], [0.25, -1]),
        (np.int8, -3, -3),
        (bool, True, True),
    ],
)
def test_arrays_are_slides(dtype, background, outside):
    array = np.random.default_rng(0).uniform(0, 100, [9, 8, 2]).astype(dtype)
    expected = np.full([11, 10, 2], outside, dtype)
    expected[1:-1, 1:-1] = array
    for kind in (array, tf.constant(array)):
        slide = slides.open(kind, background=background)
        pixels = slide.read(-1, -1, 11, 10)
        assert pixels.dtype == array.dtype
        np.testing.assert_array_equal(pixels, expected)
    assert slide.levels == [(9, 8, 1.0)]


def test_memory_maps_are_slides(tmp_path):
    mapped = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.uint8, IMAGE.shape)
    mapped[:] = IMAGE
    slide = slides.open(mapped, mpp=0.5)
    np.testing.assert_array_equal(slide.read(7, 9, 30, 40), IMAGE[7:37, 9:49])
    np.testing.assert_allclose(
        slide.read(0, 0, 101, 183, mpp=1), means(IMAGE, 2), atol=0.5 + 1e-3
    )


def test_reads_in_graphs(path):
    slide = slides.open(path)

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32)] * 2)
    def read(row, rows):
        return slide.read(row, 3, rows, 20)

    np.testing.assert_array_equal(read(5, 30), IMAGE[5:35, 3:23])
    with pytest.raises(INVALID, match="rows must be 0 to"):
        read(5, -1)
    data = tf.data.Dataset.range(0, 120, 30)
    data = data.map(lambda row: slide.read(row, 0, 30, 366), num_parallel_calls=2)
    np.testing.assert_array_equal(np.concatenate([*data]), IMAGE[:120])
    assert tf.function(lambda: slide.read(0, 0, 2, 3))().shape == [2, 3, 3]


def test_thumbnail(path):
    slide = slides.open(path)
    np.testing.assert_array_equal(slide.thumbnail(), IMAGE)
    small = slide.thumbnail(100)
    assert small.shape == (55, 100, 3)
    np.testing.assert_allclose(small, means(IMAGE, 3.66), atol=0.5 + 1e-3)
    assert slide.thumbnail(1).shape == (1, 1, 3)


@pytest.mark.parametrize(
    "arguments, error, match",
    [
        ({"row": 1.5}, TypeError, "row must be an integer, but got 1.5"),
        ({"col": None}, TypeError, "col must be an integer, but got None"),
        ({"rows": -1}, INVALID, "rows must be 0 to .* pixels, but got -1"),
        ({"cols": 2**41}, INVALID, "cols must be 0 to .* pixels"),
        ({"row": -(2**41)}, INVALID, "row must be .* pixels"),
        ({"row": tf.constant(1.0)}, TypeError, "row must be an integer"),
        ({"level": 3}, INVALID, "level must be 0 to 2, as the slide has 3, but got 3"),
        ({"level": -1}, INVALID, "level must be 0 to 2"),
        ({"level": "0"}, INVALID, "level must be 0 to 2"),
        ({"mpp": 0}, INVALID, "mpp must be a number above 0, but got 0"),
        ({"mpp": "1"}, INVALID, "mpp must be a number above 0, but got '1'"),
        ({"power": float("nan")}, INVALID, "power must be a number above 0"),
    ],
)
def test_bad_regions(path, arguments, error, match):
    good = {"row": 0, "col": 0, "rows": 1, "cols": 1}
    with pytest.raises(error, match=match):
        slides.open(path).read(**{**good, **arguments})


@pytest.mark.parametrize(
    "slide, error, match",
    [
        ("/none.tif", tf.errors.NotFoundError, "There is no slide /none.tif: No such"),
        (__file__, INVALID, "test_slides.py is no slide that OpenSlide can read"),
        ("/", INVALID, "/ is no slide"),
        (3, TypeError, "A slide is a path, or anything with a shape"),
        (
            np.zeros([3, 3]),
            INVALID,
            r"must be \[rows, cols, depth\].*got shape \[3, 3\]",
        ),
        (np.zeros([0, 3, 3]), INVALID, "none of them 0"),
        (np.zeros([3, 3, 3], object), TypeError, "holds numbers"),
        (np.zeros([3, 3, 3], "U2"), TypeError, "holds numbers"),
    ],
)
def test_bad_slides(slide, error, match):
    with pytest.raises(error, match=match):
        slides.open(slide)


@pytest.mark.parametrize("background", [[1, 2], 300, -1, 0.5, "red", [[1, 2, 3]]])
def test_bad_backgrounds(path, background):
    for slide in (path, IMAGE):
        with pytest.raises(INVALID, match="background must be a number of uint8 for"):
            slides.open(slide, background=background)


@pytest.mark.parametrize("name", ["mpp", "power"])
def test_bad_overrides(path, name):
    for slide in (path, IMAGE):
        with pytest.raises(INVALID, match=f"{name} must be a number above 0"):
            slides.open(slide, **{name: -1})


def test_bad_arguments_of_the_op(path):
    from tf_patches.slides.library import ops

    def read(region, path=path, background=()):
        background = tf.constant(background, tf.uint8)
        region = tf.constant(region, tf.int64)
        return ops.tf_patches_read_slide(path, region, background)

    least, most = -(2**63), 2**63 - 1
    np.testing.assert_array_equal(read([0, 0, 0, 203, 366]), IMAGE)
    assert read([0, 5, 5, 0, 7]).shape == (0, 7, 3)
    for region in [
        [3, 0, 0, 1, 1],
        [-1, 0, 0, 1, 1],
        [0, least, 0, 1, 1],
        [0, 0, least, 1, 1],
        [0, most, most, 1, 1],
        [0, 0, 0, -1, 1],
        [0, 0, 0, 1, least],
        [0, 0, 0, most, most],
        [0, 0, 0],
        [[0, 0, 0, 1, 1]],
    ]:
        with pytest.raises(INVALID, match=r"(region|level) must"):
            read(region)
    with pytest.raises(INVALID, match="background must be"):
        read([0, 0, 0, 1, 1], background=[1, 2])
    with pytest.raises(INVALID, match="zero byte"):
        read([0, 0, 0, 1, 1], path=f"{path}\0")
    with pytest.raises(INVALID, match="path must be a scalar"):
        read([0, 0, 0, 1, 1], path=[path])
    with pytest.raises(INVALID, match="has no image 'label'"):
        ops.tf_patches_read_slide_image(path, "label", tf.constant([], tf.uint8))
