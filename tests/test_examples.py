"""The programs of `examples/` run, and prove what they say."""

import runpy
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name, *arguments, **options):
    """Runs a program; returns what its `main` gives."""
    program = runpy.run_path(str(EXAMPLES / f"{name}.py"))
    return program["main"](*arguments, **options)


def test_every_program_is_run():
    tested = {"vit", "denoise", "vessels", "slide", "brain"}
    assert {path.stem for path in EXAMPLES.glob("*.py")} == tested


def test_a_transformer_reads_digits(capsys):
    assert run("vit", epochs=4) > 0.5  # chance is 0.1
    assert "of 297 new digits are read right" in capsys.readouterr().out


def test_a_denoiser_in_tiles_has_no_seams(capsys):
    result = run("denoise", count=400)
    assert result["gain"] > 3  # decibels
    assert result["crop"] < 1e-5 < result["average"]
    assert "dB with noise" in capsys.readouterr().out


def test_balanced_patches_train_a_segmenter(capsys):
    assert run("vessels", steps=60) > 0.9  # ROC AUC; chance is 0.5
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
