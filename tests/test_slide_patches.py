"""Patches of slides: those of the whole image, in blocks, some under a mask."""

from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from slides_made import cells_of, pyramid, stained, write_slide

import tf_patches
from tf_patches import slides
from tf_patches.slides import grid as grid_module

IMAGE = stained(157, 211)
INVALID = tf.errors.InvalidArgumentError


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("slides") / "slide.tif"
    return write_slide(path, pyramid(IMAGE, 4))


def blocks_of(side):
    """Makes blocks so small that a small slide has many."""
    return mock.patch.object(grid_module, "_BLOCK_SIDE", side)


def joined(data, is_batched):
    elements = [{k: v.numpy() for k, v in element.items()} for element in data]
    join = np.concatenate if is_batched else np.stack
    return {name: join([one[name] for one in elements]) for name in elements[0]}


def of_the_whole(image, size, stride, padding, mode):
    """All patches, `[rows, cols, size, size, depth]`."""
    patches = tf_patches.extract_patches(
        image[np.newaxis],
        size,
        stride,
        padding=padding,
        mode=mode,
        constant_values=255 if mode == "CONSTANT" else 0,
    )[0]
    return patches.numpy().reshape(*patches.shape[:2], *size, 3)


# A case builds a dataset, which takes a while.
FEWER = settings(max_examples=settings.default.max_examples // 2)
PAIRS = st.tuples(st.integers(1, 60), st.integers(1, 60))


@FEWER
@given(
    size=PAIRS,
    stride=st.tuples(st.integers(7, 90), st.integers(7, 90)),
    padding=st.sampled_from(["VALID", "SAME"]),
    mode=st.sampled_from(["CONSTANT", "REFLECT", "SYMMETRIC", "EDGE"]),
    batch_size=st.sampled_from([None, 1, 7, 32]),
    block=st.integers(1, 130),
    parallel_reads=st.integers(1, 3),
    shape=st.sampled_from([(157, 211), (40, 211), (1, 30), (23, 17)]),
)
def test_patches_of_the_whole(
    path, size, stride, padding, mode, batch_size, block, parallel_reads, shape
):
    image = IMAGE[: shape[0], : shape[1]]
    slide = slides.open(path if shape == (157, 211) else image)
    grid = {"size": size, "stride": stride, "padding": padding, "mode": mode}
    with blocks_of(block):
        data = slide.patches(
            **grid, batch_size=batch_size, parallel_reads=parallel_reads
        )
    if padding == "VALID" and np.any(np.array(size) > shape):
        assert not list(data)
        return
    expected = of_the_whole(image, size, stride, padding, mode)
    got = joined(data, batch_size is not None)
    rows, cols = got["cell"].T
    np.testing.assert_array_equal(got["patches"], expected[rows, cols])
    np.testing.assert_array_equal(got["index"], np.arange(len(rows)))
    cells = np.ravel_multi_index((rows, cols), expected.shape[:2])
    assert sorted(cells) == list(range(np.prod(expected.shape[:2])))
    steps = got["position"] - got["cell"] * np.array(stride)
    assert (steps == steps[0]).all() and (steps <= 0).all()
    if padding == "VALID":
        assert (steps == 0).all()


@pytest.mark.parametrize("resolution", [{"level": 1}, {"mpp": 0.9}, {"mpp": 3.1}])
def test_patches_of_other_resolutions(path, resolution):
    slide = slides.open(path)
    view = slide.view(**resolution)
    whole = view.read([0, 0, view.rows, view.cols]).numpy()
    expected = of_the_whole(whole, (11, 13), (5, 8), "SAME", "REFLECT")
    with blocks_of(30):
        data = slide.patches(
            (11, 13), (5, 8), padding="SAME", mode="REFLECT", batch_size=9, **resolution
        )
    got = joined(data, True)
    np.testing.assert_array_equal(got["patches"], expected[tuple(got["cell"].T)])


def test_shapes_are_known(path):
    slide = slides.open(path)
    spec = slide.patches([20, 30]).element_spec
    assert spec["patches"] == tf.TensorSpec([20, 30, 3], tf.uint8)
    spec = slide.patches(20, batch_size=4).element_spec
    assert spec["patches"] == tf.TensorSpec([None, 20, 20, 3], tf.uint8)
    assert [len(b["index"]) for b in slide.patches(50, batch_size=4)] == [4, 4, 4]
    assert [len(b["index"]) for b in slide.patches(50, batch_size=5)] == [5, 5, 2]


def test_every_pixel_is_read_in_one_block():
    """Neighbouring blocks share what their patches overlap, and no more."""
    with blocks_of(64):
        grid = slides.open(IMAGE).grid(16, 8)
    read = np.zeros(IMAGE.shape[:2], int)
    for row, col, rows, cols in grid.regions:
        assert max(rows, cols) <= 64
        read[row : row + rows, col : col + cols] += 1
    assert read[:152, :208].min() == 1
    assert read.sum() < 1.4 * read.size


def naive_ratios(mask, positions, size, space):
    """The part of each patch under the mask, by counting fine points."""
    fine = 8
    ratios = []
    for row, col in positions:
        rows = (row + (np.arange(size[0] * fine) + 0.5) / fine) / space[0]
        cols = (col + (np.arange(size[1] * fine) + 0.5) / fine) / space[1]
        rows, cols = rows[(rows >= 0) & (rows < 1)], cols[(cols >= 0) & (cols < 1)]
        at_rows = (rows * mask.shape[0]).astype(int)
        at_cols = (cols * mask.shape[1]).astype(int)
        under = mask[np.ix_(at_rows, at_cols)].sum()
        ratios.append(under / (size[0] * size[1] * fine**2))
    return np.array(ratios)


def is_over(mask, position, size, space):
    """Whether a patch shares area with a pixel of the mask."""
    begins, ends = np.array(position), np.array(position) + size
    pixels = np.argwhere(mask)
    tops, bottoms = pixels * space[:2], (pixels + 1) * space[:2]
    shares = (tops < ends * mask.shape) & (bottoms > begins * mask.shape)
    return shares.all(1).any()


@settings(max_examples=settings.default.max_examples // 4)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    share=st.floats(0, 1),
    least=st.floats(0, 1),
    padding=st.sampled_from(["VALID", "SAME"]),
    seed=st.integers(0, 99),
)
def test_masks(path, shape, share, least, padding, seed):
    mask = np.random.default_rng(seed).uniform(size=shape) < share
    slide = slides.open(path)
    grid = {"size": (20, 30), "stride": (17, 12), "padding": padding}
    with blocks_of(70):
        every = slide.grid(**grid)
        some = slide.grid(**grid, mask=mask, min_mask_ratio=least)
        data = slide.patches(**grid, mask=mask, min_mask_ratio=least, batch_size=8)
    cells, wanted = cells_of(every), cells_of(some)
    positions = every.positions(cells)
    ratios = naive_ratios(mask, positions, (20, 30), IMAGE.shape)
    kept = {tuple(cell) for cell in wanted}
    for cell, position, ratio in zip(cells, positions, ratios, strict=True):
        if ratio > least + 0.05:
            assert tuple(cell) in kept
        if ratio < least - 0.05 or not is_over(mask, position, (20, 30), IMAGE.shape):
            assert tuple(cell) not in kept
    order = [tuple(cell) for cell in cells if tuple(cell) in kept]
    assert order == [tuple(cell) for cell in wanted]
    if not kept:
        assert not list(data)
        return
    got = joined(data, True)
    expected = of_the_whole(IMAGE, (20, 30), (17, 12), padding, "CONSTANT")
    np.testing.assert_array_equal(got["cell"], wanted)
    np.testing.assert_array_equal(got["patches"], expected[tuple(got["cell"].T)])


def test_otsu_finds_the_tissue(path):
    """`stained` paints an ellipse: its middle is tissue, and corners are not."""
    slide = slides.open(path)
    row, col = np.mgrid[:157, :211]
    truth = ((row / 157 - 0.5) / 0.3) ** 2 + ((col / 211 - 0.4) / 0.25) ** 2 < 1
    by_otsu = slide.grid(10, mask="otsu", min_mask_ratio=0.5)
    by_truth = slide.grid(10, mask=truth, min_mask_ratio=0.5)
    np.testing.assert_array_equal(cells_of(by_otsu), cells_of(by_truth))
    assert 20 < by_otsu.patch_count < 100


def test_otsu_threshold_is_that_of_skimage():
    filters = pytest.importorskip("skimage.filters")
    from tf_patches.slides.tissue import otsu_threshold

    for seed in range(5):
        random = np.random.default_rng(seed)
        parts = random.normal(60, 12, 500), random.normal(150 + seed, 25, 300)
        values = np.concatenate(parts).clip(0, 255).astype(np.uint8)
        expected = filters.threshold_otsu(values)
        assert abs(otsu_threshold(values) - expected) <= 1
    otsu_threshold(np.zeros([4], np.uint8))


def test_masks_by_functions(path):
    slide = slides.open(path)
    thumbnails = []

    def upper_half(thumbnail):
        thumbnails.append(thumbnail)
        return np.arange(len(thumbnail))[:, np.newaxis] < len(thumbnail) // 2

    grid = slide.grid(10, mask=upper_half, min_mask_ratio=0.9)
    np.testing.assert_array_equal(thumbnails[0], slide.thumbnail())
    assert cells_of(grid)[:, 0].max() == 6
    assert grid.patch_count == 7 * 21
    assert slide.grid(10, mask=lambda _: [[0]]).patch_count == 0


@pytest.mark.parametrize(
    "arguments, error, match",
    [
        ({"size": 0}, INVALID, r"size must be an int, or \[rows, cols\], above 0"),
        ({"size": [1, 2, 3]}, INVALID, r"size must be .* got \[1, 2, 3\]"),
        ({"size": None}, INVALID, "size must be an int .* got None"),
        ({"size": "big"}, TypeError, "size must be an int"),
        ({"stride": -1}, INVALID, "stride must be .* above 0, but got -1"),
        ({"padding": "FULL"}, INVALID, "padding must be 'VALID' or 'SAME'.*'FULL'"),
        ({"padding": [[1, 1]]}, INVALID, "padding must be 'VALID' or 'SAME'"),
        ({"mode": "WRAP"}, INVALID, "mode must be .*'WRAP'.*other end"),
        ({"mode": "zero"}, INVALID, "mode must be .*'zero'"),
        ({"mask": "tissue"}, INVALID, "mask must be 'otsu', an array or a function"),
        ({"mask": np.ones(3)}, INVALID, r"mask must be an array \[rows, cols\]"),
        ({"mask": np.ones([0, 3])}, INVALID, r"mask must be .*shape \[0, 3\]"),
        ({"mask": lambda _: "no"}, INVALID, "mask must be an array"),
        ({"min_mask_ratio": 1.5}, INVALID, "min_mask_ratio must be 0 to 1.*1.5"),
        ({"min_mask_ratio": "a"}, INVALID, "min_mask_ratio must be 0 to 1.*'a'"),
        ({"batch_size": 0}, INVALID, "batch_size must be an integer above 0.* 0"),
        ({"batch_size": 2.5}, INVALID, "batch_size must be an integer above 0"),
        ({"parallel_reads": 0}, INVALID, "parallel_reads must be an integer above 0"),
        ({"level": 2}, INVALID, "level must be 0 to 1"),
    ],
)
def test_bad_arguments(path, arguments, error, match):
    with pytest.raises(error, match=match):
        slides.open(path).patches(**{"size": 10, **arguments})
