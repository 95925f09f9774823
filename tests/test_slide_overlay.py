"""Heat maps as pictures and as GeoJSON: every cell where its patch lies."""

import json

import numpy as np
import pytest
import tensorflow as tf
from compare import assert_same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from slides_made import cells_of

from tf_patches import slides

GREY = 100


def slide_of(rows, cols, **options):
    return slides.open(np.full([rows, cols, 3], GREY, np.uint8), **options)


def numbered(slide, size, stride, *, outputs=None, **options):
    """A heat map whose scores count up from 0."""
    shape = [] if outputs is None else [outputs]
    heat_map = slides.score(
        slide,
        lambda patches: tf.zeros([len(patches), *shape]),
        size,
        stride,
        progress=False,
        **options,
    )
    scores = np.arange(heat_map.scores.size, dtype=np.float32)
    scores = scores.reshape(heat_map.scores.shape)
    return heat_map._replace(scores=np.where(np.isnan(heat_map.scores), np.nan, scores))


def greys(count):
    """A color for each of so many scores: the score itself."""
    return np.repeat(np.arange(count)[:, np.newaxis], 3, 1)


def drawn(heat_map):
    """For each pixel the number of the score over it, or GREY for none."""
    count = heat_map.scores.size
    assert count <= GREY
    picture = slides.overlay(
        heat_map, colormap=greys(101), limits=(0, GREY), alpha=1, most=10**6
    )
    assert (picture == picture[..., :1]).all()
    return picture[..., 0]


@settings(max_examples=25)
@given(
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(3, 9), st.integers(3, 9)),
    st.sampled_from(["VALID", "SAME"]),
)
def test_cells_lie_around_the_middles_of_patches(space, sizes, strides, padding):
    heat_map = numbered(slide_of(*space), sizes, strides, padding=padding)
    expected = np.full(space, GREY)
    cells = cells_of(heat_map.grid)
    positions = heat_map.grid.positions(cells)
    for (row, col), position in zip(cells, positions, strict=True):
        # A pixel is drawn if its middle lies in the cell.
        ranges = []
        for axis in (0, 1):
            extent = min(sizes[axis], strides[axis])
            begin = position[axis] + (sizes[axis] - extent) / 2
            pixels = np.arange(space[axis]) + 0.5
            ranges.append((begin <= pixels) & (pixels < begin + extent))
        expected[np.ix_(*ranges)] = heat_map.scores[row, col]
    np.testing.assert_array_equal(drawn(heat_map), expected)


def test_same_padding_covers_the_slide():
    picture = drawn(numbered(slide_of(60, 90), 31, 10, padding="SAME"))
    np.testing.assert_array_equal(
        picture, np.kron(np.arange(54).reshape(6, 9), np.ones([10, 10]))
    )


def test_thumbnails_and_resolutions():
    slide = slide_of(1000, 600, mpp=0.25)
    heat_map = numbered(slide, 100, 100, mpp=0.5)
    picture = slides.overlay(
        heat_map, colormap=greys(101), limits=(0, GREY), alpha=1, most=50
    )
    assert picture.shape == (50, 30, 3)
    expected = np.kron(np.arange(15).reshape(5, 3), np.ones([10, 10]))
    np.testing.assert_array_equal(picture[..., 0], expected)


def test_colors_blend_with_the_slide():
    heat_map = numbered(slide_of(20, 40), 20, 20, outputs=2)
    heat_map.scores[...] = [[[0.0, 0.25], [0.5, np.nan]]]
    colors = [[200, 0, 0], [0, 0, 200]]
    picture = slides.overlay(heat_map, colormap=colors, alpha=0.25)
    assert picture[0, 0].tolist() == [112, 75, 88]  # 3/4 GREY + 1/4 (150, 0, 50)
    assert picture[0, 39].tolist() == [GREY] * 3
    first = slides.overlay(heat_map, channel=0, colormap=colors, alpha=1)
    assert first[0, 39].tolist() == [100, 0, 100]


def test_limits_are_those_of_scores_that_are_no_probabilities():
    heat_map = numbered(slide_of(20, 60), 20, 20)
    heat_map.scores[...] = [[-10.0, 5.0, 20.0]]
    picture = slides.overlay(heat_map, colormap=greys(101), alpha=1)
    assert picture[0, ::20, 0].tolist() == [0, 50, 100]


@pytest.mark.parametrize("name", ["viridis", "magma"])
def test_colormaps_are_those_of_matplotlib(name):
    matplotlib = pytest.importorskip("matplotlib")
    heat_map = numbered(slide_of(1, 256), 1, 1)
    heat_map.scores[...] = np.linspace(0, 1, 256)
    picture = slides.overlay(heat_map, colormap=name, alpha=1, most=256)
    exact = matplotlib.colormaps[name](np.linspace(0, 1, 256))[:, :3] * 255
    assert np.abs(picture[0] - exact).max() < 8


def test_a_picture_is_written_as_png(tmp_path):
    path = tmp_path / "overlay.png"
    picture = slides.overlay(numbered(slide_of(60, 90), 10, 10), path)
    assert_same_bits(tf.io.decode_png(path.read_bytes()), picture)
    assert [entry.name for entry in tmp_path.iterdir()] == ["overlay.png"]


def test_no_cells_leave_the_slide_as_it_is(tmp_path):
    heat_map = numbered(slide_of(60, 90), 10, 10, mask=np.zeros([2, 2]))
    assert (slides.overlay(heat_map) == GREY).all()
    slides.to_geojson(heat_map, tmp_path / "cells.geojson")
    assert json.loads((tmp_path / "cells.geojson").read_text())["features"] == []


def features_of(heat_map, path, **options):
    slides.to_geojson(heat_map, path, **options)
    read = json.loads(path.read_text())
    assert read["type"] == "FeatureCollection"
    assert not path.with_name(path.name + ".new").exists()
    return read["features"]


def test_geojson_has_a_polygon_for_each_cell(tmp_path):
    mask = np.zeros([4, 3])
    mask[1, 2] = 1
    slide = slide_of(400, 300, mpp=0.25)
    heat_map = numbered(slide, 100, 50, mpp=0.5, padding="SAME", mask=mask)
    features = features_of(heat_map, tmp_path / "cells.geojson")
    cells = cells_of(heat_map.grid)
    assert 0 < len(cells) < heat_map.scores.size
    assert len(features) == len(cells)
    for (row, col), feature in zip(cells, features, strict=True):
        assert feature["type"] == "Feature"
        assert feature["properties"] == {
            "objectType": "tile",
            "measurements": {"score": heat_map.scores[row, col]},
        }
        (ring,) = feature["geometry"]["coordinates"]
        # Cells of 50 pixels, so of 100 in level 0, x before y.
        top, left = 100 * row, 100 * col
        assert ring == [
            [left, top],
            [left + 100, top],
            [left + 100, top + 100],
            [left, top + 100],
            [left, top],
        ]


def test_geojson_names_the_class_of_the_highest_score(tmp_path):
    heat_map = numbered(slide_of(20, 60), 20, 20, outputs=2)
    heat_map.scores[...] = [[[0.25, 0.75], [0.5, 0.25], [np.nan, np.nan]]]
    features = features_of(
        heat_map, tmp_path / "cells.geojson", classes=["normal", "tumor"]
    )
    assert [feature["properties"] for feature in features] == [
        {
            "objectType": "tile",
            "measurements": {"normal": low, "tumor": high},
            "classification": {"name": name},
        }
        for low, high, name in [(0.25, 0.75, "tumor"), (0.5, 0.25, "normal")]
    ]
    unnamed = features_of(heat_map, tmp_path / "cells.geojson")
    assert unnamed[0]["properties"] == {
        "objectType": "tile",
        "measurements": {"score 0": 0.25, "score 1": 0.75},
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 2}, "alpha must be 0 to 1, but got 2"),
        ({"channel": 3}, "channel must be below 2"),
        ({"colormap": "jet"}, "colormap must be viridis, magma"),
        ({"colormap": [1, 2]}, "colormap must be an array"),
        ({"limits": (1, 1)}, "limits must be"),
    ],
)
def test_bad_arguments(options, message):
    heat_map = numbered(slide_of(20, 40), 20, 20, outputs=2)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        slides.overlay(heat_map, **options)


def test_classes_must_be_as_many_as_scores(tmp_path):
    heat_map = numbered(slide_of(20, 40), 20, 20, outputs=2)
    with pytest.raises(tf.errors.InvalidArgumentError, match="classes must be 2 names"):
        slides.to_geojson(heat_map, tmp_path / "cells.geojson", classes=["one"])
