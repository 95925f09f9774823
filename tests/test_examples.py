"""The programs of `examples/` run, and prove what they say."""

import runpy
from pathlib import Path

import numpy as np
import tensorflow as tf
from skimage import data

import tf_patches
from examples import denoise, vessels

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name, *arguments, **options):
    """Runs a program; returns what its `main` gives."""
    program = runpy.run_path(str(EXAMPLES / f"{name}.py"))
    return program["main"](*arguments, **options)


def test_every_program_is_run_and_shown():
    tested = {"vit", "denoise", "vessels", "slide", "brain"}
    assert {path.stem for path in EXAMPLES.glob("*.py")} == tested
    page = (EXAMPLES.parent / "docs" / "examples.md").read_text(encoding="utf-8")
    assert all(f'--8<-- "examples/{name}.py"' in page for name in tested)


def test_a_transformer_reads_digits(capsys):
    assert run("vit", epochs=4) > 0.5  # chance is 0.1
    assert "of 297 new digits are read right" in capsys.readouterr().out


def test_a_denoiser_in_tiles_has_no_seams(capsys):
    result = run("denoise", count=600)
    assert result["gain"] > 2  # decibels
    assert result["crop"] < 1e-5 < result["average"]
    assert "dB with noise" in capsys.readouterr().out


def test_balanced_patches_train_a_segmenter(capsys):
    assert run("vessels", steps=60) > 0.8  # ROC AUC; chance is 0.5
    assert "of all pairs" in capsys.readouterr().out


def test_a_slide_becomes_a_heat_map(tmp_path, capsys):
    picture = tmp_path / "heat_map.png"
    assert run("slide", out=str(picture), stride=32) > 0.5  # correlation
    assert picture.stat().st_size > 10_000
    assert f"Wrote {picture}" in capsys.readouterr().out


def test_a_brain_in_blocks(capsys):
    dice = run("brain", count=80)
    said = capsys.readouterr().out
    assert dice > 0.4 > float(said.split()[-1].rstrip("."))  # a guess


# What the demo takes from them.


def test_vessels_are_dark_lines_but_not_the_rim():
    retina = data.retina()
    found = vessels.vessel_pixels(retina)[..., 0]
    assert 0.05 < found.mean() < 0.2
    tissue = np.s_[300:1100, 500:1100]
    green, is_vessel = retina[..., 1][tissue], found[tissue] == 1
    assert green[is_vessel].mean() < green[~is_vessel].mean() - 5
    radii = np.hypot(*(np.indices(found.shape) - 705))
    assert not found[radii > 695].any()


def test_balanced_patches_show_what_is_rare_half_of_the_time():
    mask = np.zeros([60, 80, 1], np.uint8)
    mask[20:25, 30:35] = 1
    picture = np.concatenate([mask, mask + 1], -1)
    steps = vessels.training_data(picture, mask, steps=20, batch=20, size=9)
    patches, masks = map(np.concatenate, zip(*steps.as_numpy_iterator(), strict=True))
    np.testing.assert_array_equal(patches, np.concatenate([masks, masks + 1], -1))
    assert len(masks) == 400
    assert 160 < np.sum(masks[:, 4, 4]) < 240


def test_tiles_of_a_model_that_errs_near_their_border():
    """As one with zeros around its tiles: a crop does not read what is wrong."""
    random = np.random.default_rng(0).integers(0, 256, (50, 37, 3))
    image = tf.constant(random, tf.float32)

    def model(tiles):
        return tf.nn.avg_pool2d(tiles, 3, 1, "SAME") * tf.ones([3])

    whole = model(image[tf.newaxis])[0][1:-1, 1:-1]
    given = []

    def counting(tiles):
        given.append(len(tiles))
        wrong = tf.pad(tiles[:, 1:-1, 1:-1], [(0, 0), (1, 1), (1, 1), (0, 0)])
        return model(wrong)

    tiling = tf_patches.Tiling(image.shape[:-1], 16, overlap=8)
    made = denoise.in_tiles(counting, image, tiling, "crop", tiles_at_once=10)
    assert given == [10, 10, 4]
    np.testing.assert_allclose(made[2:-2, 2:-2], whole[1:-1, 1:-1], rtol=1e-6)
