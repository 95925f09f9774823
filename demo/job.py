"""The demo itself: compares, prints the table, draws the pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import tf_patches
from demo import builtin, cases, pictures, recipes, slides, stain
from demo.comparison import Case, Outcome, compare
from demo.images import enlarge, read_pictures
from examples import slide as slide_example
from examples import vessels
from examples.denoise import in_tiles

ENLARGEMENT = 8
VESSEL_STEPS = 200
VESSEL_TILE_SIZE, OVERLAP, DETAIL = 160, 0.25, 300
TIMES = "\N{MULTIPLICATION SIGN}"


def run(console: Console, output: Path, library: Any = tf_patches) -> int:
    """Does it all; gives the exit status, 1 if any result differs."""
    with console.status("Reading the pictures"):
        images = read_pictures()
        slide = enlarge(images["slide"], ENLARGEMENT)
        stained = enlarge(stain.stained_pixels(images["slide"]), ENLARGEMENT)
    with console.status("Training a small model on half of a slide"):
        model = train_on_lower_half(slide, stained)

    rows = cases.all_cases(images, slide, model)
    outcomes = compare_all(console, rows, library)
    console.print(table(rows, outcomes))
    if not all(outcome.equal for outcome in outcomes):
        console.print("Not every result equals TensorFlow's.", style="bold red")
        return 1

    with console.status("Training a small model on random patches of half a retina"):
        retina = images["retina"]
        vessel_model = train_on_random_patches(retina)
    with console.status("Finding vessels in tiles"):
        found = vessels_in_tiles(vessel_model, retina)
    with console.status("Drawing"):
        scores = recipes.heat_map(model, cases.slide_patches(tf_patches, slide))
        paths = draw(output, images, slide, scores.numpy(), found)
    console.print(
        "On the half of the slide that the model has not seen, the heat map and the "
        f"stain correlate: {agreement_on_upper_half(scores, stained):.2f}."
    )
    errors = [f"{error:.4f} {way}" for way, error in seams(vessel_model, retina, found)]
    console.print(
        "Vessels found in tiles are off from those found in the whole retina by "
        f"{', '.join(errors)}."
    )
    paths += slides.run(console, output, slide, model)
    for path in paths:
        console.print(f"Wrote {path}", highlight=False, soft_wrap=True)
    return 0


def train_on_lower_half(slide: tf.Tensor, stained: tf.Tensor) -> keras.Model:
    """Makes the model that the slide is scored with; its upper half is left out."""
    half = slide.shape[0] // 2
    size, stride = cases.SLIDE_SIZE, 2 * cases.SLIDE_STRIDE
    patches = recipes.square_patches(
        tf_patches, slide[tf.newaxis, half:], size, stride, "SAME"
    )
    fractions = stain.stained_fractions(stained[half:], size, stride)
    pictures_of_patches = tf.reshape(patches, [-1, size, size, 3])
    return slide_example.train(pictures_of_patches, tf.reshape(fractions, [-1]))


def agreement_on_upper_half(scores: tf.Tensor, stained: tf.Tensor) -> float:
    """How the scores correlate with the stain where the model was not trained."""
    fractions = stain.stained_fractions(stained, cases.SLIDE_SIZE, cases.SLIDE_STRIDE)
    # The last row of the upper half's patches reaches into the lower.
    unseen = slice(0, len(scores) // 2 - 1)
    return np.corrcoef(np.ravel(scores[unseen]), np.ravel(fractions[unseen]))[0, 1]


def train_on_random_patches(retina: tf.Tensor) -> keras.Model:
    """Makes the model that finds vessels; it does not see the upper half."""
    half = retina[retina.shape[0] // 2 :].numpy()
    return vessels.train(half, vessels.vessel_pixels(half), VESSEL_STEPS)


def vessels_in_tiles(model: keras.Model, retina: tf.Tensor) -> dict[str, np.ndarray]:
    """What the model makes of a retina: tiles put together in three ways."""
    size, space = VESSEL_TILE_SIZE, retina.shape[:-1]
    apart = tf_patches.Tiling(space, size)
    overlapping = tf_patches.Tiling(space, size, OVERLAP)
    ways = {
        "side by side": (apart, "average"),
        "averaged where they overlap": (overlapping, "average"),
        "weighted by a window": (overlapping, "gaussian"),
    }
    return {way: in_tiles(model, retina, *how).numpy() for way, how in ways.items()}


def seams(
    model: keras.Model, retina: tf.Tensor, found: Mapping[str, np.ndarray]
) -> list[tuple[str, float]]:
    """How far tiles are from what the model makes of the whole retina, on average."""
    space = retina.shape[:-1]
    even = [pixels + pixels % 2 for pixels in space]  # as the model needs
    whole = in_tiles(model, retina, tf_patches.Tiling(space, even), "average")
    return [
        (way, float(np.abs(whole - vessels).mean())) for way, vessels in found.items()
    ]


def compare_all(console: Console, rows: Sequence[Case], library: Any) -> list[Outcome]:
    """Compares every case, and shows how far it is."""
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=sum(case.steps for case in rows))
        outcomes = []
        for case in rows:
            progress.update(task, description=case.title)
            outcomes.append(
                compare(case, library, builtin, lambda: progress.advance(task))
            )
    return outcomes


def table(rows: Sequence[Case], outcomes: Sequence[Outcome]) -> Table:
    """What came out, a row for each case."""
    result = Table(
        title="tf_patches beside tf.image.extract_patches",
        caption=(
            "Equal: every bit of every result, trained weights and scores too. "
            "Times: of the one call that makes this output of this input, the "
            "extraction alone (for tiles put back: the fold, which TensorFlow has "
            "as a gradient); medians of warm runs, taken in turns."
        ),
        caption_justify="left",
    )
    result.add_column("Recipe")
    result.add_column("Input")
    result.add_column("Output")
    result.add_column("Equal", justify="center")
    result.add_column("Ours", justify="right")
    result.add_column("Built-in", justify="right")
    result.add_column("Ratio", justify="right")
    for case, outcome in zip(rows, outcomes, strict=True):
        result.add_row(
            case.title,
            f"{case.input.dtype.name} {TIMES.join(map(str, case.input.shape))}",
            TIMES.join(map(str, outcome.output)),
            "[green]yes[/]" if outcome.equal else "[bold red]NO[/]",
            _milliseconds(outcome.our_time),
            _milliseconds(outcome.builtin_time),
            f"{outcome.builtin_time / outcome.our_time:.1f}{TIMES}",
        )
    return result


def draw(
    output: Path,
    images: Mapping[str, tf.Tensor],
    slide: tf.Tensor,
    scores: np.ndarray,
    found: Mapping[str, np.ndarray],
) -> list[Path]:
    """Writes the pictures; gives their paths."""
    small = output / "small"  # as README and the documentation show them
    small.mkdir(parents=True, exist_ok=True)
    scored = pictures.ScoredSlide(
        picture=images["slide"].numpy(),
        pixels=slide.shape[0],
        size=cases.SLIDE_SIZE,
        stride=cases.SLIDE_STRIDE,
        scores=scores,
    )
    places = pictures.places_to_show(scores)
    slide_figure = pictures.slide_figure(scored, places, patches_at(places, slide))
    tiles_figure = draw_tiles(images["retina"], found)
    random_figure = draw_random_patches(images["retina"])
    return [
        pictures.save(draw_patches(images["astronaut"]), output / "patches.png"),
        pictures.save(random_figure, output / "random.png"),
        pictures.save(tiles_figure, output / "tiles.png"),
        pictures.save(slide_figure, output / "slide.png"),
        pictures.save_small(random_figure, small / "random.png"),
        pictures.save_small(slide_figure, small / "slide.png"),
        pictures.save_small(tiles_figure, small / "tiles.png"),
    ]


def draw_patches(picture: tf.Tensor) -> Figure:
    """A picture, and its patches."""
    size = cases.ASTRONAUT_SIZE
    patches = recipes.square_patches(tf_patches, picture[tf.newaxis], size, size)
    return pictures.patches_figure(
        picture.numpy(), recipes.as_pictures(patches, size).numpy()
    )


def draw_random_patches(picture: tf.Tensor) -> Figure:
    """A picture, random patches of it, and those of its mask."""
    mask = vessels.vessel_pixels(picture.numpy())
    (patches, masks), positions, _ = tf_patches.stateless_random_patches(
        (picture[tf.newaxis], mask[np.newaxis]),
        count=16,
        sizes=96,
        seed=[1, 2],
        flips="all",
        weights=vessels.balance(mask)[np.newaxis],
        return_positions=True,
    )
    return pictures.random_patches_figure(
        picture.numpy(), patches[0].numpy(), masks[0].numpy(), positions[0].numpy()
    )


def draw_tiles(picture: tf.Tensor, found: Mapping[str, np.ndarray]) -> Figure:
    """A part of a picture, and what a model made of it in tiles."""
    rows, cols, _ = picture.shape
    size = min(DETAIL, rows // 2, cols // 2)
    return pictures.tiles_figure(
        picture.numpy(),
        found,
        corner=(rows // 2 - size, cols // 2),
        size=size,
        tile_size=VESSEL_TILE_SIZE,
    )


def patches_at(places: Sequence[tuple[int, int]], slide: tf.Tensor) -> np.ndarray:
    """Some patches of a slide, by row and col."""
    found = {}
    first = 0
    for band in cases.slide_patches(tf_patches, slide):
        here = [place for place in places if 0 <= place[0] - first < len(band)]
        found |= {(row, col): band[row - first, col].numpy() for row, col in here}
        first += len(band)
    return np.stack([found[place] for place in places])


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"
