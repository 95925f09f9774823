"""The command line: run a program accelerated; convert a model; score slides."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any
from zipfile import BadZipFile

import numpy as np

import tf_patches
from tf_patches import slide_commands
from tf_patches.conversion import ConversionError
from tf_patches.run_program import run_module, run_script

_FAILED = 2  # as argparse exits


def main(arguments: Sequence[str]) -> int:
    """Does what the command line says; returns the exit status."""
    given = _parser().parse_args(_without_program_arguments(arguments))
    if given.command == "run":
        if given.module is not None:
            return run_module(given.module, arguments[3:])
        return run_script(given.script, arguments[2:])
    if given.command == "convert":
        return _convert(given)
    return slide_commands.run(given)


def _without_program_arguments(arguments: Sequence[str]) -> Sequence[str]:
    """What is for us: the arguments of a program may look like ours."""
    if arguments[:1] != ["run"]:
        return arguments
    return arguments[:3] if arguments[1:2] == ["-m"] else arguments[:2]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tf_patches",
        description="Patches of images for TensorFlow, exact and fast.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_convert(commands)
    slide_commands.add_to(commands)
    return parser


def _add_run(commands: Any) -> None:
    run = commands.add_parser(
        "run",
        help="run an unchanged program with TensorFlow's own op accelerated",
        description="Runs a program as `python` does, after tf_patches.accelerate().",
        usage="python -m tf_patches run [-h] (SCRIPT | -m MODULE) [ARGUMENTS ...]",
    )
    program = run.add_mutually_exclusive_group(required=True)
    program.add_argument("script", nargs="?", metavar="SCRIPT", help="a script")
    program.add_argument("-m", dest="module", metavar="MODULE", help="a module")


def _add_convert(commands: Any) -> None:
    convert = commands.add_parser(
        "convert",
        help="convert a saved model to one that runs without tf_patches",
        description="Writes a SavedModel of TensorFlow's own ops. Both models are run "
        "and must give identical results.",
    )
    add = convert.add_argument
    add("source", metavar="IN", help="the folder of a SavedModel, or a .keras file")
    add("out", metavar="OUT", help="the folder to write, which is new or empty")
    add(
        "--plain",
        action="store_true",
        help="use only operations that TFLite, ONNX and other exporters know",
    )
    add(
        "--inputs",
        metavar="FILE.npz",
        help="what to run the models on: arrays named FUNCTION/ARGUMENT, as "
        "serve/images (default: random numbers)",
    )


def _convert(given: argparse.Namespace) -> int:
    try:
        done = tf_patches.to_builtin(
            given.source, given.out, _read_inputs(given.inputs), plain=given.plain
        )
    except (ConversionError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return _FAILED
    counts = ", ".join(f"{count} {op}" for op, count in done.converted.items())
    print(f"Converted {counts}.")
    same = ", ".join(done.checked)
    print(f"The same bits from {same}." if same else "Nothing could be compared.")
    return 0


def _read_inputs(path: str | None) -> dict[str, Any] | None:
    if path is None:
        return None
    inputs: dict[str, dict[str, Any]] = {}
    try:
        with np.load(path) as arrays:
            for name in arrays:
                function, _, argument = name.rpartition("/")
                inputs.setdefault(function, {})[argument] = arrays[name]
    except (ValueError, TypeError, AttributeError, EOFError, BadZipFile) as error:
        message = f"{path} is not a .npz file of arrays: {error}"
        raise ConversionError(message) from error
    return inputs


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
