"""The command line's commands for slides."""

import argparse
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_FAILED = 1  # argparse exits with 2 for wrong usage
_INTERRUPTED = 130  # as shells have it
# TensorFlow's additions around the message of an op.
_AROUND = re.compile(r"^\{\{function_node [^}]*\}\} ?| ?\[Op:[^\]]*\].*$", re.DOTALL)


def add_to(commands: Any) -> None:
    """Adds the commands to the parser of the command line."""
    _add_heatmap(commands)
    _add_predict(commands)
    _add_dispatcher(commands)
    _add_worker(commands)


def run(given: argparse.Namespace) -> int:
    """Does what a parsed command line says; returns the exit status."""
    import tensorflow as tf  # late: to parse a command line takes no TensorFlow

    try:
        _COMMANDS[given.command](given)
    except KeyboardInterrupt:
        _say(f"Interrupted.{_advice(given)}")
        return _INTERRUPTED
    except (tf.errors.OpError, ImportError, OSError, TypeError, ValueError) as error:
        _say(f"{type(error).__name__}: {_sentence(error)}{_advice(given)}")
        return _FAILED
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _sentence(error: Exception) -> str:
    text = getattr(error, "message", str(error))  # of TensorFlow, without its class
    sentence = " ".join(_AROUND.sub("", text).split())
    return sentence if sentence.endswith(".") else f"{sentence}."


def _advice(given: argparse.Namespace) -> str:
    """How to go on, if there are results so far."""
    out = getattr(given, "out", None)
    if out is None or not Path(f"{out}.progress").exists():
        return ""
    return (
        f" Results so far are kept in {out}.partial. To go on, run the same command"
        " with --resume."
    )


def _add_heatmap(commands: Any) -> None:
    heatmap = commands.add_parser(
        "heatmap",
        help="score the patches of a slide with a model",
        description="Runs a model on the patches of a slide, and writes a score for "
        "each: an array [rows, cols, ...], NaN where no patch was wanted.",
    )
    add = heatmap.add_argument
    _add_slide(heatmap, "an .npy file, or a .zarr folder, for the scores")
    add("--size", type=_pixels, required=True, help="pixels: N, or ROWSxCOLS")
    add("--stride", type=_pixels, help="from patch to patch (default: the size)")
    add("--padding", choices=["VALID", "SAME"], default="VALID", type=str.upper)
    add(
        "--mode",
        choices=["CONSTANT", "REFLECT", "SYMMETRIC", "EDGE"],
        default="CONSTANT",
        type=str.upper,
        help="what patches show outside of the slide (default: CONSTANT, the slide's "
        "background)",
    )
    add("--overlay", metavar="PNG", help="a picture of the scores over the slide")
    add(
        "--service",
        metavar="grpc://HOST:PORT",
        help="a tf.data service dispatcher, whose slide-workers read the slide",
    )
    _add_common(heatmap, batch_size=32, min_mask_ratio=0.1)


def _add_predict(commands: Any) -> None:
    predict = commands.add_parser(
        "predict",
        help="predict each pixel of a slide with a model",
        description="Runs a model on overlapping tiles of a slide, and merges its "
        "predictions, [rows, cols, channels].",
    )
    add = predict.add_argument
    _add_slide(predict, "an .npy or a .tif file, or a .zarr folder")
    add("--tile-size", type=_pixels, required=True, help="pixels: N, or ROWSxCOLS")
    add(
        "--overlap",
        type=_overlap,
        default=0.25,
        help="what neighbours share: a fraction, or pixels (default: 0.25)",
    )
    add(
        "--blend", default="gaussian", help="how tiles are weighted (default: gaussian)"
    )
    add("--reduce", choices=["argmax"], help="keep the number of the largest channel")
    _add_common(predict, batch_size=8, min_mask_ratio=0.0)


def _add_slide(parser: argparse.ArgumentParser, out: str) -> None:
    add = parser.add_argument
    add("slide", metavar="SLIDE", help="a file that OpenSlide reads")
    add("model", metavar="MODEL", help="a .keras file, or the folder of a SavedModel")
    add("out", metavar="OUT", help=out)


def _add_common(
    parser: argparse.ArgumentParser, batch_size: int, min_mask_ratio: float
) -> None:
    resolution = parser.add_mutually_exclusive_group()
    resolution.add_argument("--level", type=int, help="the slide's level (default: 0)")
    resolution.add_argument("--mpp", type=_positive, help="or micrometres a pixel")
    resolution.add_argument("--power", type=_positive, help="or the objective's power")
    add = parser.add_argument
    add("--slide-mpp", type=_positive, help="micrometres a pixel at level 0")
    add("--slide-power", type=_positive, help="the objective's power at level 0")
    add("--mask", choices=["otsu"], help="score only stained tissue")
    add(
        "--min-mask-ratio",
        type=_ratio,
        default=min_mask_ratio,
        metavar="0..1",
        help=f"the part that must lie under the mask (default: {min_mask_ratio})",
    )
    add("--batch-size", type=_count, default=batch_size, help=f"default: {batch_size}")
    add("--resume", action="store_true", help="continue where the same command stopped")
    add("--quiet", action="store_true", help="show no progress")


def _add_dispatcher(commands: Any) -> None:
    dispatcher = commands.add_parser(
        "slide-dispatcher",
        help="start a dispatcher of tf.data service for slides",
        description="Starts a dispatcher, which runs until it is stopped, and prints "
        "its address. It shares the blocks of a slide out among slide-workers.",
    )
    dispatcher.add_argument(
        "--port", type=int, default=0, help="default: any free port"
    )


def _add_worker(commands: Any) -> None:
    worker = commands.add_parser(
        "slide-worker",
        help="start a worker of tf.data service that can read slides",
        description="Starts a worker, which runs until it is stopped. It opens slides "
        "by the same paths as the process that scores them.",
    )
    add = worker.add_argument
    add("--dispatcher", required=True, metavar="HOST:PORT")
    add("--port", type=int, default=0, help="default: any free port")


def _heatmap(given: argparse.Namespace) -> None:
    from tf_patches import slides

    heat_map = slides.score(
        _open(given),
        given.model,
        given.size,
        given.stride,
        padding=given.padding,
        mode=given.mode,
        service=given.service,
        **_common(given),
    )
    if given.overlay is not None:
        slides.overlay(heat_map, given.overlay)
    rows, cols = heat_map.grid.counts
    print(f"{given.out}: {rows} x {cols} patches, {heat_map.grid.patch_count} scored.")


def _predict(given: argparse.Namespace) -> None:
    from tf_patches import slides

    result = slides.predict(
        _open(given),
        given.model,
        given.tile_size,
        given.overlap,
        blend=given.blend,
        reduce=given.reduce,
        **_common(given),
    )
    print(f"{given.out}: {' x '.join(map(str, result.shape))}, {result.dtype}.")


def _open(given: argparse.Namespace) -> Any:
    from tf_patches import slides

    return slides.open(given.slide, mpp=given.slide_mpp, power=given.slide_power)


def _common(given: argparse.Namespace) -> dict[str, Any]:
    return {
        "batch_size": given.batch_size,
        "output": given.out,
        "resume": given.resume,
        "progress": not given.quiet,
        "mask": given.mask,
        "min_mask_ratio": given.min_mask_ratio,
        "level": given.level,
        "mpp": given.mpp,
        "power": given.power,
    }


def _dispatcher(given: argparse.Namespace) -> None:
    from tf_patches.slides.worker import start_dispatcher

    dispatcher = start_dispatcher(given.port)
    print(f"Sharing out slides at {dispatcher.target}.", flush=True)
    dispatcher.join()


def _worker(given: argparse.Namespace) -> None:
    from tf_patches.slides.worker import start_worker

    address = given.dispatcher
    worker = start_worker(
        address if "://" in address else f"grpc://{address}", given.port
    )
    print(f"Reading slides for {address}.", flush=True)
    worker.join()


_COMMANDS = {
    "heatmap": _heatmap,
    "predict": _predict,
    "slide-dispatcher": _dispatcher,
    "slide-worker": _worker,
}


def _pixels(text: str) -> list[int]:
    """N or ROWSxCOLS."""
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdigit() and int(side) for side in sides):
        raise _refusal("N or ROWSxCOLS, above 0", text)
    return [int(sides[0]), int(sides[-1])]


def _overlap(text: str) -> int | float:
    return int(text) if text.isdigit() else _ratio(text)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise _refusal("an integer above 0", text)
    return int(text)


def _positive(text: str) -> float:
    return _number(text, "a number above 0", lambda number: 0 < number < math.inf)


def _ratio(text: str) -> float:
    return _number(text, "a number, 0 to 1", lambda number: 0 <= number <= 1)


def _number(text: str, meaning: str, is_right: Callable[[float], bool]) -> float:
    try:
        number = float(text)
    except ValueError:
        raise _refusal(meaning, text) from None
    if not is_right(number):
        raise _refusal(meaning, text)
    return number


def _refusal(meaning: str, text: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(f"must be {meaning}, but got {text!r}")
