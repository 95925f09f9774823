"""Tilings: tiles that cover an image, and merge into what they were cut from."""

import itertools
import math
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from cases import INTEGERS, MANTISSA_BITS, MODES, PART, examples
from compare import assert_same_bits
from graphs import in_graph
from hypothesis import given
from hypothesis import strategies as st

import tf_patches
from tf_patches import windows

REMAINDERS = ["shift", "pad", "spread", "drop"]
MEANS = ["average", "gaussian", "hann", "linear", "cosine"]
EXACT = ["crop", "max", "min"]
BLENDS = [*MEANS, *EXACT]


@st.composite
def plans(draw, axes=(1, 2, 3), remainders=REMAINDERS):
    """The arguments of a tiling: any overlaps, and images smaller than a tile."""
    count = draw(st.sampled_from(axes))
    most = {1: 40, 2: 16, 3: 8}[count]
    tiles = draw(st.lists(st.integers(1, most // 2), min_size=count, max_size=count))
    return {
        "image_size": [draw(st.integers(1, most)) for _ in tiles],
        "tile_size": tiles,
        "stride": [draw(st.integers(max(1, n // 4), n)) for n in tiles],
        "remainder": draw(st.sampled_from(remainders)),
    }


def starts(image, tile, stride, remainder):
    """The starts of tiles along an axis, one after the other."""
    before = 0 if remainder == "pad" else max(0, tile - image) // 2
    if remainder == "drop":
        return [start for start in range(0, image, stride) if start + tile <= image]
    found = [0]
    while found[-1] + tile < image:
        found.append(found[-1] + stride)
    if remainder == "shift":
        found = [min(start, max(0, image - tile)) for start in found]
    if remainder == "spread" and len(found) > 1:
        step = (image - tile) / (len(found) - 1)
        found = [math.floor(i * step + 0.5) for i in range(len(found))]
    return [start - before for start in found]


def all_starts(plan):
    per_axis = zip(plan["image_size"], plan["tile_size"], plan["stride"], strict=True)
    return [starts(*axis, plan["remainder"]) for axis in per_axis]


def factors(blend, starts, size):
    """For each tile along an axis its factor."""
    if blend in ("gaussian", "hann", "linear"):
        return np.tile(getattr(windows, blend)(size), [len(starts), 1])
    found = np.ones([len(starts), size])
    for (k, start), i in itertools.product(enumerate(starts), range(size)):
        if blend == "crop":
            found[k, i] = _nearest(starts, size, start + i) == k
        if blend == "cosine":
            before = starts[k - 1] + size - start if k else 0
            after = start + size - starts[k + 1] if k + 1 < len(starts) else 0
            found[k, i] = _rise(i, before) * _rise(size - 1 - i, after)
    return found


def _nearest(starts, size, pixel):
    """The tile with the nearest middle, the later of two."""
    return min(
        range(len(starts)), key=lambda k: (abs(2 * (pixel - starts[k]) - size + 1), -k)
    )


def _rise(i, shared):
    return math.sin(math.pi / 2 * (i + 0.5) / shared) ** 2 if i < shared else 1


def merge(tiles, image_size, starts, blend, keep=None):
    """Tiles in an accumulator, in float64 but for the largest and smallest value.

    `starts` are those along each axis, `keep` the numbers of the tiles that there are.
    """
    batch, _, *sizes, depth = tiles.shape
    weights = [factors(blend, s, n) for s, n in zip(starts, sizes, strict=True)]
    images = np.zeros([batch, *image_size, depth], np.result_type(tiles, np.float64))
    if blend in ("max", "min"):
        images = images.astype(tiles.dtype)
    total = np.zeros(image_size)
    places = list(itertools.product(*(range(len(s)) for s in starts)))
    keep = range(len(places)) if keep is None else keep
    for number, tile in zip(keep, np.moveaxis(tiles, 1, 0), strict=True):
        pixels = [
            s[k] + np.arange(n)
            for s, k, n in zip(starts, places[number], sizes, strict=True)
        ]
        inside = [(p >= 0) & (p < n) for p, n in zip(pixels, image_size, strict=True)]
        window = np.ones([])
        for w, k in zip(weights, places[number], strict=True):
            window = np.multiply.outer(window, w[k])
        window = window[np.ix_(*inside)]
        tile = tile[(slice(None), *np.ix_(*inside))]
        space = np.ix_(*(p[i] for p, i in zip(pixels, inside, strict=True)))
        at = (slice(None), *space)
        if blend in ("max", "min"):
            extreme = {"max": np.maximum, "min": np.minimum}[blend](images[at], tile)
            images[at] = np.where(total[space][..., None] > 0, extreme, tile)
        else:
            images[at] += np.where(window[..., None] > 0, tile * window[..., None], 0)
        total[space] += window
    if blend in ("max", "min"):
        return images
    return images / np.where(total > 0, total, 1)[..., None]


def noise(shape, dtype=np.float32, seed=0):
    random = np.random.default_rng(seed)
    if np.dtype(dtype).kind in "iu":
        limits = np.iinfo(dtype)
        return random.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return random.normal(size=shape).astype(dtype)


def images_of(plan, depth=2, batch=2, dtype=np.float32):
    return noise([batch, *plan["image_size"], depth], dtype)


def covered(plan):
    return covered_by(tf_patches.Tiling(**plan))


def covered_by(tiling):
    """Which pixels lie under a tile."""
    seen = np.zeros(tiling.image_size, bool)
    for position in tiling.positions:
        ends = position + tiling.tile_size
        seen[tuple(map(slice, np.maximum(position, 0), np.maximum(ends, 0)))] = True
    return seen[..., np.newaxis]


# Where tiles lie.


@examples(200)
@given(plans())
def test_positions_are_the_product_of_the_axes(plan):
    tiling = tf_patches.Tiling(**plan)
    expected = all_starts(plan)
    assert tiling.counts == tuple(map(len, expected))
    assert tiling.count == math.prod(map(len, expected))
    product = np.array(list(itertools.product(*expected)), np.int64)
    assert_same_bits(tiling.positions, product.reshape(-1, len(expected)))


@examples(200)
@given(plans(axes=[1], remainders=["shift", "pad", "spread"]))
def test_tiles_cover_every_pixel(plan):
    assert covered(plan).all()
    tiling = tf_patches.Tiling(**plan)
    (image,), (tile,) = plan["image_size"], plan["tile_size"]
    first, last = tiling.positions[0, 0], tiling.positions[-1, 0]
    if image >= tile:
        assert first == 0
        assert last + tile == image or (tiling.remainder == "pad" and last < image)
    elif tiling.remainder != "pad":
        assert tiling.count == 1
        assert -first in ((tile - image) // 2,)
    steps = np.diff(tiling.positions[:, 0])
    assert (steps > 0).all() and (steps <= tiling.stride[0]).all()


@pytest.mark.parametrize(
    "image, tile, step", [(512, 128, 0.5), (97, 32, 0.5), (13, 4, 1)]
)
def test_spread_is_that_of_nnunet(image, tile, step):
    count = math.ceil((image - tile) / (tile * step)) + 1
    actual = (image - tile) / (count - 1)
    expected = [int(np.round(actual * i)) for i in range(count)]
    tiling = tf_patches.Tiling([image], tile, 1 - step, remainder="spread")
    assert tiling.positions[:, 0].tolist() == expected


@pytest.mark.parametrize(
    "tile, overlap, stride",
    [
        (96, 0.25, 72),  # as MONAI
        (10, 0.9, 1),
        (100, 0.999, 1),
        (7, 0.5, 3),
        (8, 0.0, 8),
        (8, 0, 8),
        (8, 3, 5),
        (8, 7, 1),
        ([8, 16], 0.5, (4, 8)),
        ([8, 16], [2, 0.5], (6, 8)),
        ([8, 16], np.array([2, 4]), (6, 12)),
        (8, np.float32(0.5), 4),
        (8, None, 8),
    ],
)
def test_overlap(tile, overlap, stride):
    tiling = tf_patches.Tiling([200, 300], tile, overlap)
    assert tiling.stride == (stride if isinstance(stride, tuple) else (stride,) * 2)


@pytest.mark.parametrize("remainder", REMAINDERS)
def test_image_without_pixels(remainder):
    tiling = tf_patches.Tiling([0, 9], 4, remainder=remainder)
    assert tiling.count == 0 and tiling.positions.shape == (0, 2)
    tiles = tiling.cut(np.zeros([2, 0, 9, 3], np.float32))
    assert tiles.shape == (2, 0, 4, 4, 3)
    assert tiling.merge(tiles, "cosine").shape == (2, 0, 9, 3)


def test_images_size_in_every_form():
    forms = [
        [20, 30],
        (np.int32(20), 30),
        np.array([20, 30]),
        tf.TensorShape([20, 30]),
        tf.constant([20, 30]),
        [tf.constant(20), 30],
    ]
    for form in forms:
        tiling = tf_patches.Tiling(form, 8, 2)
        assert tiling.image_size == (20, 30)
        assert isinstance(tiling.positions, np.ndarray)


def test_repr():
    tiling = tf_patches.Tiling((20, 30), 8, 0.25)
    assert repr(tiling) == (
        "Tiling(image_size=[20, 30], tile_size=[8, 8], stride=[6, 6], "
        "remainder='shift', mode='REFLECT')"
    )
    same = eval(repr(tiling), {"Tiling": tf_patches.Tiling})
    np.testing.assert_array_equal(same.positions, tiling.positions)


# Cutting.


@examples(60)
@given(
    plans(),
    st.sampled_from(MODES),
    st.sampled_from(["bool", "uint8", "float32", "complex64"]),
)
def test_tiles_are_those_of_a_padded_image(plan, mode, dtype):
    images = (images_of(plan) * 50).astype(dtype)
    tiling = tf_patches.Tiling(**plan, mode=mode)
    wide = [0, *(2 * n for n in plan["tile_size"]), 0]
    padded = np.pad(images, [(n, n) for n in wide], mode.lower())
    expected = [
        padded[
            (
                slice(None),
                *map(slice, p + wide[1:-1], p + wide[1:-1] + plan["tile_size"]),
            )
        ]
        for p in tiling.positions
    ]
    shape = (len(images), tiling.count, *plan["tile_size"], images.shape[-1])
    expected = np.stack(expected, 1) if expected else np.zeros(shape, dtype)
    assert_same_bits(tiling.cut(images), expected)


def test_cut_takes_a_structure_and_a_constant():
    tiling = tf_patches.Tiling([5, 9], 8, mode="CONSTANT", constant_values=7)
    images = {"image": tf.ones([2, 5, 9, 3]), "mask": tf.ones([2, 5, 9, 1], tf.uint8)}
    tiles = tiling.cut(images)
    assert tiles["image"].shape == (2, 2, 8, 8, 3)
    assert tiles["mask"].dtype == tf.uint8
    assert tiles["mask"][0, 0, 0, 0, 0] == 7
    merged = tiling.merge(tiles, "crop")
    for name, image in images.items():
        assert_same_bits(merged[name], image)


# Merging.


@examples(100)
@given(plans(), st.sampled_from(EXACT), st.sampled_from([*INTEGERS, "float32", "bool"]))
def test_unchanged_tiles_merge_into_the_image_exactly(plan, blend, dtype):
    images = images_of(plan, dtype="uint8" if dtype == "bool" else dtype).astype(dtype)
    tiling = tf_patches.Tiling(**plan)
    merged = tiling.merge(tiling.cut(images), blend)
    assert_same_bits(merged, np.where(covered(plan), images, images.dtype.type(0)))


@examples(100)
@given(
    plans(),
    st.sampled_from(MEANS),
    st.sampled_from(["float32", "float64", "complex64"]),
)
def test_unchanged_tiles_merge_into_the_image_within_rounding(plan, blend, dtype):
    images = images_of(plan, dtype="float64").astype(dtype)
    tiling = tf_patches.Tiling(**plan)
    merged = tiling.merge(tiling.cut(images), blend)
    _assert_near(merged, np.where(covered(plan), images, images.dtype.type(0)), 16)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize("remainder", REMAINDERS)
def test_a_constant_image_stays_constant(remainder, blend, dtype):
    images = np.full([1, 37, 45, 1], 0.7, tf.as_dtype(dtype).as_numpy_dtype)
    for overlap in [0, 1, 0.25, 0.5, 0.75, 7]:
        tiling = tf_patches.Tiling([37, 45], [8, 12], overlap, remainder=remainder)
        merged = tiling.merge(tiling.cut(images), blend)
        # Four tiles over a pixel, or up to 56.
        units = 4 if overlap in (0, 1, 0.25, 0.5) else 8
        _assert_near(merged, np.where(covered_by(tiling), images, 0), units)


def _assert_near(ours, expected, units):
    """Within so many units in the last place, of an absolute value if complex."""
    assert ours.dtype == tf.as_dtype(expected.dtype)
    bits = MANTISSA_BITS[PART.get(ours.dtype.name, ours.dtype.name)]
    wide = np.complex128 if ours.dtype.is_complex else np.float64
    ours, expected = ours.numpy().astype(wide), expected.astype(wide)
    _, exponent = np.frexp(np.abs(expected))
    unit = np.where(expected == 0, 0, np.ldexp(2.0**-bits, exponent - 1))
    error = np.abs(ours - expected)
    assert ours.shape == expected.shape
    assert (error <= units * unit).all(), (error / np.where(unit, unit, 1)).max()


@examples(150)
@given(plans(), st.sampled_from(BLENDS), st.sampled_from([1, 3]))
def test_merge_is_that_of_an_accumulator(plan, blend, depth):
    tiling = tf_patches.Tiling(**plan)
    tiles = noise([2, tiling.count, *plan["tile_size"], depth], np.float64)
    expected = merge(tiles, plan["image_size"], all_starts(plan), blend)
    np.testing.assert_allclose(
        tiling.merge(tiles, blend), expected, rtol=1e-11, atol=1e-13
    )


@examples(80)
@given(plans(), st.sampled_from(BLENDS), st.data())
def test_some_of_the_tiles(plan, blend, data):
    tiling = tf_patches.Tiling(**plan)
    numbers = st.integers(0, max(0, tiling.count - 1))
    keep = data.draw(st.lists(numbers, max_size=6 if tiling.count else 0))
    images = images_of(plan, dtype=np.float64)
    tiles = tiling.cut(images, indices=keep)
    assert_same_bits(tiles, tiling.cut(images).numpy()[:, keep])
    tiles = tiles + noise(tiles.shape, np.float64, seed=1)
    if blend == "crop":  # which adds what is there twice
        keep = sorted(set(keep))
        tiles = tiles[:, : len(keep)]
    expected = merge(
        np.asarray(tiles), plan["image_size"], all_starts(plan), blend, keep
    )
    for indices in (keep, tf.constant(keep, tf.int32), np.array(keep, np.uint8)):
        merged = tiling.merge(tiles, blend, indices=indices)
        np.testing.assert_allclose(merged, expected, rtol=1e-11, atol=1e-13)


@examples(80)
@given(plans(), st.sampled_from(BLENDS), st.data())
def test_a_part_of_the_merged_image_has_its_bits(plan, blend, data):
    tiling = tf_patches.Tiling(**plan)
    random = np.random.default_rng(7)
    tiles = random.normal(size=[2, tiling.count, *tiling.tile_size, 3])
    tiles = tiles.astype(np.float32)
    begin = [data.draw(st.integers(0, n - 1)) for n in tiling.image_size]
    size = [
        data.draw(st.integers(1, n - first))
        for n, first in zip(tiling.image_size, begin, strict=True)
    ]
    end = np.add(begin, size)
    # Tiles elsewhere may be missing.
    reach = tiling.positions + np.array(tiling.tile_size) > begin
    is_over = np.all(reach & (tiling.positions < end), 1)
    part = tiling.merge_part(tiles[:, is_over], begin, size, blend, is_over)
    inner = [slice(*pair) for pair in zip(begin, end, strict=True)]
    whole = tiling.merge(tiles, blend).numpy()
    assert_same_bits(part, whole[(slice(None), *inner)])


def test_indices_may_be_a_mask():
    tiling = tf_patches.Tiling([30, 40], 8, 0.25)
    grid = noise(tiling.counts) > 0
    numbers = np.flatnonzero(grid)
    images = noise([1, 30, 40, 3])
    tiles = tiling.cut(images, indices=numbers)
    merged = tiling.merge(tiles, "hann", indices=numbers)
    for mask in (grid, grid.ravel(), grid.tolist(), tf.constant(grid)):
        assert_same_bits(tiling.cut(images, indices=mask), tiles)
        assert_same_bits(tiling.merge(tiles, "hann", indices=mask), merged)
    run = in_graph(
        lambda images, mask: tiling.merge(
            tiling.cut(images, indices=mask), "hann", indices=mask
        ),
        images,
        grid,
        signature=[images.shape, [None, None]],
    )
    assert_same_bits(run, merged)


def test_crop_of_some_tiles_gives_what_all_give():
    tiling = tf_patches.Tiling([30, 40], 8, 0.5)
    tiles = noise([1, tiling.count, 8, 8, 2])
    every = tiling.merge(tiles, "crop").numpy()
    even = np.arange(0, tiling.count, 2)
    some = tiling.merge(tiles[:, even], "crop", indices=even).numpy()
    assert_same_bits(np.where(some != 0, every, 0), some)
    assert 0.3 < np.mean(some != 0) < 0.7


def test_crop_reads_the_middle_alone():
    tiling = tf_patches.Tiling([30, 30], 16, 8)
    tiles = noise([1, tiling.count, 16, 16, 1])
    expected = tiling.merge(tiles, "crop")
    # Two shared pixels on each inner side of any tile, of which none is its own.
    tiles = tiles.reshape([1, *tiling.counts, 16, 16, 1])
    tiles[:, 1:, :, :2] = np.nan
    tiles[:, :-1, :, -2:] = np.inf
    tiles[:, :, 1:, :, :2] = np.nan
    tiles[:, :, :-1, :, -2:] = np.nan
    assert_same_bits(tiling.merge(tiles.reshape([1, -1, 16, 16, 1]), "crop"), expected)


def test_pixels_under_no_tile_are_zero():
    tiling = tf_patches.Tiling([11], 4, remainder="drop")
    for blend in BLENDS:
        merged = tiling.merge(np.full([1, 2, 4, 1], -5, np.float32), blend)
        assert merged[0, :, 0].numpy().tolist() == [-5] * 8 + [0] * 3


def test_a_window_of_ones_own():
    tiling = tf_patches.Tiling([20, 21], [6, 8], 0.5)
    tiles = noise([2, tiling.count, 6, 8, 3], np.float64)
    random = np.random.default_rng(1)
    window = random.uniform(0.1, 1, [6, 8])  # no product of factors
    images, total = np.zeros([2, 20, 21, 3]), np.zeros([20, 21])
    for tile, (row, col) in zip(tiles.swapaxes(0, 1), tiling.positions, strict=True):
        images[:, row : row + 6, col : col + 8] += tile * window[..., None]
        total[row : row + 6, col : col + 8] += window
    expected = images / total[..., None]
    for blend in (window, tf.constant(window), window.astype(np.float32)):
        np.testing.assert_allclose(tiling.merge(tiles, blend), expected, atol=1e-6)
    rows, cols = windows.hann(6), windows.linear(8)
    expected = tiling.merge(tiles, np.outer(rows, cols))
    for blend in ([rows, cols], (tf.constant(rows), cols.tolist())):
        np.testing.assert_allclose(tiling.merge(tiles, blend), expected, rtol=1e-12)


# Tiles of another size, depth or structure.


@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize("remainder", REMAINDERS)
@pytest.mark.parametrize("tile", [(4, 16), (16, 8), (24, 4), (8, 8)])
def test_tiles_of_another_scale(tile, remainder, blend):
    plan = dict(
        image_size=[36, 44], tile_size=[8, 8], stride=[4, 8], remainder=remainder
    )
    if remainder == "spread":
        plan.update(image_size=[40, 48])
    scale = [n / 8 for n in tile]
    tiling = tf_patches.Tiling(**plan)
    tiles = noise([1, tiling.count, *tile, 5], np.float64)
    size = [int(n * s) for n, s in zip(plan["image_size"], scale, strict=True)]
    found = [
        [int(start * s) for start in along]
        for along, s in zip(all_starts(plan), scale, strict=True)
    ]
    merged = tiling.merge(tiles, blend)
    expected = merge(tiles, size, found, blend)
    assert merged.shape == (1, *size, 5)
    np.testing.assert_allclose(merged, expected, rtol=1e-11, atol=1e-13)


def test_a_scale_that_does_not_divide():
    tiling = tf_patches.Tiling([35, 32], 8, 4)
    message = r"tiles have 4 rows for a tile_size of 8, .* 1/2, .* multiples of 2.*pad"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        tiling.merge(tf.zeros([1, tiling.count, 4, 4, 1]))

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 1])])
    def halved(images):
        tiling = tf_patches.Tiling(tf.shape(images)[1:3], 8, 4)
        return tiling.merge(tiling.cut(images)[:, :, ::2, ::2])

    images = noise([1, 36, 32, 1])
    assert_same_bits(halved(images), images[:, ::2, ::2])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"multiples of 2"):
        halved(images[:, :35])


def test_merge_takes_a_structure():
    tiling = tf_patches.Tiling([16, 16], 8, 2)
    tiles = tiling.cut(noise([2, 16, 16, 3]))
    merged = tiling.merge({"same": tiles, "half": (tiles[..., ::2, ::2, :1],)}, "hann")
    assert merged["same"].shape == (2, 16, 16, 3)
    assert merged["half"][0].shape == (2, 8, 8, 1)


# In graphs.


@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize("remainder", REMAINDERS)
def test_sizes_known_only_at_run_time(remainder, blend):
    specs = [tf.TensorSpec([None, None, None, 2, 3])]

    @tf.function(input_signature=specs, autograph=False)
    def round_trip(images):
        tiling = tf_patches.Tiling(
            tf.shape(images)[1:-1], [5, 4, 3], [2, 0.5, 0.5], remainder=remainder
        )
        tiles = tiling.cut(images)
        assert tiles.shape.as_list() == [None, None, 5, 4, 3, 3]
        assert tiling.image_size[-1] == 2 and tiling.counts[-1] in (0, 1)
        assert "image_size=[?, ?, 2]" in repr(tiling)
        merged = tiling.merge(tiles, blend)
        assert merged.shape.as_list() == [None, None, None, 2, 3]
        return merged, tiling.positions, tiling.count, tf.stack(tiling.counts)

    for rows, cols in [(5, 4), (11, 13), (3, 9), (1, 1), (0, 5)]:
        images = noise([2, rows, cols, 2, 3])
        merged, positions, count, counts = round_trip(images)
        tiling = tf_patches.Tiling(
            [rows, cols, 2], [5, 4, 3], [2, 0.5, 0.5], remainder=remainder
        )
        assert_same_bits(positions, tiling.positions)
        assert count == tiling.count and tuple(counts.numpy()) == tiling.counts
        expected = tiling.merge(tiling.cut(images), blend)
        np.testing.assert_allclose(merged, expected, rtol=1e-6)


def test_known_shapes_are_known_in_a_graph():
    @tf.function(input_signature=[tf.TensorSpec([None, 20, None, 3])], autograph=False)
    def trace(images):
        outside = tf_patches.Tiling([20, 30], 8)
        assert outside.cut(images).shape.as_list() == [None, 12, 8, 8, 3]
        merged = outside.merge(outside.cut(images), "crop")
        assert merged.shape.as_list() == [None, 20, 30, 3]
        tiling = tf_patches.Tiling([20, tf.shape(images)[2]], 8)
        assert tiling.counts[0] == 3 and tiling.image_size[0] == 20
        merged = tiling.merge(tiling.cut(images), "crop")
        assert merged.shape.as_list() == [None, 20, None, 3]
        return merged

    images = noise([2, 20, 30, 3])
    assert_same_bits(trace(images), images)


def test_one_plan_in_functions_data_sets_and_out_of_them():
    tiling = tf_patches.Tiling([20, 30], 8, 0.25)
    images = noise([6, 20, 30, 3])
    data = tf.data.Dataset.from_tensor_slices(images).batch(2)
    data = data.map(lambda x: tiling.merge(tiling.cut(x), "crop"), tf.data.AUTOTUNE)
    assert data.element_spec.shape.as_list() == [None, 20, 30, 3]
    assert_same_bits(np.concatenate(list(data)), images)
    assert_same_bits(
        tf.function(lambda x: tiling.merge(tiling.cut(x), "max"))(images), images
    )


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("blend", ["average", "cosine", "crop", "max"])
def test_under_xla(blend, known):
    def round_trip(images):
        tiling = tf_patches.Tiling(tf.shape(images)[1:-1], 8, 0.5)
        return tiling.merge(tiling.cut(images), blend)

    images = noise([2, 20, 30, 3])
    signature = [images.shape if known else [None, None, None, 3]]
    compiled = in_graph(round_trip, images, signature=signature, jit_compile=True)
    np.testing.assert_allclose(compiled, images, rtol=1e-6)


def test_in_a_session():
    images = noise([2, 20, 31, 3])
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        given = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3])
        tiling = tf_patches.Tiling(tf.shape(given)[1:-1], 8, 2)
        half = tiling.cut(given)[:, :, ::2, ::2]
        merged = [tiling.merge(tiling.cut(given), "crop"), tiling.merge(half, "crop")]
        assert_same_bits(session.run(merged[0], {given: images}), images)
        with pytest.raises(tf.errors.InvalidArgumentError, match="multiples of 2"):
            session.run(merged[1], {given: images})


def test_vectorized_map():
    tiling = tf_patches.Tiling([20, 30], 8, 0.25)
    images = noise([3, 2, 20, 30, 3])
    mapped = tf.vectorized_map(
        lambda images: tiling.merge(tiling.cut(images), "crop"),
        images,
        fallback_to_while_loop=False,
    )
    assert_same_bits(mapped, images)


def test_a_window_can_be_learned():
    tiling = tf_patches.Tiling([9], 4, 2)
    tiles = tf.constant(noise([1, tiling.count, 4, 2], np.float64))
    window = tf.Variable(windows.hann(4))
    with tf.GradientTape() as tape:
        merged = tiling.merge(tiles, window)
    theory = tape.gradient(merged, window)
    step = 1e-6
    for i, slope in enumerate(theory):
        change = np.eye(4)[i] * step
        more, less = (tiling.merge(tiles, window + c) for c in (change, -change))
        numeric = tf.reduce_sum(more - less) / (2 * step)
        np.testing.assert_allclose(slope, numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("blend", BLENDS)
def test_gradients(blend):
    tiling = tf_patches.Tiling([5, 4], 3, 1, remainder="pad")
    images = tf.constant(noise([1, 5, 4, 1], np.float64))

    def changed(images):
        tiles = tiling.cut(images)
        return tiling.merge(
            tiles * tf.constant(noise(tiles.shape, np.float64, 1)), blend
        )

    theory, numeric = tf.test.compute_gradient(changed, [images])
    np.testing.assert_allclose(theory[0], numeric[0], rtol=1e-6, atol=1e-7)


# What is refused.


@pytest.mark.parametrize("blend", MEANS)
@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool"])
def test_integers_are_not_averaged(blend, dtype):
    tiling = tf_patches.Tiling([8], 4)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=rf"tiles of {dtype} .*tf\.cast.*crop"
    ):
        tiling.merge(tf.zeros([1, 2, 4, 1], dtype), blend)


def test_complex_numbers_have_no_largest():
    tiling = tf_patches.Tiling([8], 4)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"'max'.*complex64"):
        tiling.merge(tf.zeros([1, 2, 4, 1], tf.complex64), "max")


PLAN = dict(image_size=[20, 30], tile_size=8)


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"image_size": [None, 30]}, ValueError, r"image_size.*tf\.shape\(images\)"),
        ({"image_size": tf.TensorShape(None)}, TypeError, "image_size"),
        ({"image_size": 20}, TypeError, "image_size.* 20"),
        ({"image_size": "20"}, TypeError, "image_size.*'20'"),
        ({"image_size": [20.0, 30]}, TypeError, r"image_size.*20\.0"),
        ({"image_size": tf.constant([1.0])}, TypeError, "image_size"),
        ({"image_size": [20, -1]}, ValueError, "image_size.*-1"),
        ({"image_size": [2**70]}, ValueError, f"image_size.*{2**70}"),
        ({"image_size": []}, ValueError, r"image_size.*\[\]"),
        ({"image_size": [1, 2, 3, 4]}, ValueError, r"image_size.*\[1, 2, 3, 4\]"),
        ({"tile_size": 0}, ValueError, "tile_size.* 0"),
        ({"tile_size": [8, 8, 8]}, ValueError, r"tile_size.*list of 2.*\[8, 8, 8\]"),
        ({"tile_size": 8.0}, TypeError, "tile_size.*8.0"),
        ({"tile_size": "8"}, TypeError, "tile_size.*'8'"),
        ({"stride": 9}, ValueError, "stride.*at most tile_size.*9"),
        ({"stride": 0}, ValueError, "stride.*at least 1"),
        ({"stride": 4, "overlap": 4}, ValueError, "overlap or stride"),
        ({"overlap": 8}, ValueError, "overlap.*8"),
        ({"overlap": 1.0}, ValueError, r"overlap.*1\.0"),
        ({"overlap": -0.1}, ValueError, r"overlap.*-0\.1"),
        ({"overlap": float("nan")}, ValueError, "overlap.*nan"),
        ({"overlap": [1, 2, 3]}, ValueError, r"overlap.*\[1, 2, 3\]"),
        ({"overlap": "half"}, TypeError, "overlap.*'half'"),
        ({"remainder": "keep"}, ValueError, "remainder.*'keep'"),
        ({"remainder": None}, TypeError, "remainder.*None"),
        ({"mode": "MIRROR"}, ValueError, "mode.*'MIRROR'"),
        ({"mode": 3}, TypeError, "mode.*3"),
    ],
)
def test_plans_that_are_refused(change, error, message):
    eager = tf.errors.InvalidArgumentError if error is ValueError else error
    with pytest.raises(eager, match=f"(?s){message}"):
        tf_patches.Tiling(**{**PLAN, **change})
    with tf.Graph().as_default(), pytest.raises(error, match=f"(?s){message}"):
        tf_patches.Tiling(**{**PLAN, **change})


def _tiles(*shape):
    return np.zeros(shape, np.float32)


IMAGES, TILES, TILE = (
    _tiles(1, 20, 30, 3),
    _tiles(1, 12, 8, 8, 3),
    _tiles(1, 1, 8, 8, 3),
)


@pytest.mark.parametrize(
    "method, arguments, error, message",
    [
        ("cut", [IMAGES[:, 1:]], ValueError, r"images.*20, 30.*\[1,19,30,3\]"),
        ("cut", [IMAGES[0]], ValueError, r"\[20,30,3\].*images\[tf\.newaxis\]"),
        ("cut", [3.0], ValueError, r"images.*\[\]"),
        ("cut", [keras.Input([20, 30, 3])], TypeError, "images.*KerasTensor.*Lambda"),
        ("cut", [IMAGES, [12]], ValueError, "indices.*12"),
        ("cut", [IMAGES, [-1]], ValueError, "indices.*12"),
        ("cut", [IMAGES, [[1]]], ValueError, r"indices.*\[1,1\]"),
        ("cut", [IMAGES, 3], ValueError, r"indices.*\[\]"),
        ("cut", [IMAGES, [0.5]], TypeError, "indices.*0.5"),
        ("cut", [IMAGES, "all"], TypeError, "indices.*'all'"),
        ("cut", [IMAGES, [True]], ValueError, r"indices.*a bool.*12.*\[1\]"),
        ("merge", [TILES[:, 1:]], ValueError, r"12.*\[1,11,8,8,3\]"),
        ("merge", [TILES[0]], ValueError, r"tf\.reshape\(tiles"),
        ("merge", [TILES[:, :, :0]], ValueError, "tiles.*size"),
        ("merge", [TILES, "hanning"], ValueError, "blend.*'hanning'"),
        ("merge", [TILES, None], TypeError, "blend.*None"),
        ("merge", [TILES, np.ones(8)], ValueError, r"blend.*\[8, 8\].*\[8\]"),
        ("merge", [TILES, [np.ones(8)]], ValueError, r"blend.*2 factors.*\[8\]"),
        ("merge", [TILE, "max", [12]], ValueError, "indices.*12"),
        ("merge", [TILES[:, :2], "crop", [3, 3]], ValueError, r"once.*\[3, 3\]"),
        ("merge", [TILE, "max", [1, 2]], ValueError, "tiles.* 2"),
    ],
)
def test_calls_that_are_refused(method, arguments, error, message):
    call = getattr(tf_patches.Tiling(**PLAN), method)
    eager = tf.errors.InvalidArgumentError if error is ValueError else error
    with pytest.raises(eager, match=f"(?s){message}"):
        call(*arguments)
    with pytest.raises(error, match=f"(?s){message}"):
        tf.function(lambda: call(*arguments), autograph=False)()


def test_what_is_refused_at_run_time():
    tiling = tf_patches.Tiling(**PLAN)

    def refused(function, *arguments, signature):
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            in_graph(function, *arguments, signature=signature)
        return str(caught.value)

    message = refused(tiling.cut, IMAGES[:, 1:], signature=[None])
    assert re.search(r"images must be \[batch, 20, 30, depth\]", message)
    for indices in ([12], [-1]):
        message = refused(
            lambda i: tiling.cut(IMAGES, i), tf.constant(indices), signature=[[None]]
        )
        assert "indices must be at least 0 and below the count of tiles, 12." in message
    message = refused(
        lambda i: tiling.cut(IMAGES, i), tf.constant([True]), signature=[[None]]
    )
    assert "indices must hold a bool for each of the 12 tiles" in message
    with pytest.raises(ValueError, match=r"tiles must have a known size.*ensure_shape"):
        in_graph(tiling.merge, TILES, signature=[None])


def test_ragged_tensors_are_refused():
    ragged = tf.ragged.constant([[1.0, 2.0], [3.0]])
    tiling = tf_patches.Tiling(**PLAN)
    for method, name in ((tiling.cut, "images"), (tiling.merge, "tiles")):
        with pytest.raises(ValueError, match=rf"{name} must be .*{name}\.to_tensor"):
            method(ragged)
