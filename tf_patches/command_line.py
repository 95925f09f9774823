"""What the command line may say.

Nothing here imports TensorFlow, so that help and wrong usage are answered at once.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from tf_patches import slide_commands

_PACKAGE = "tf_patches"


def is_starting() -> bool:
    """Whether Python imports the package to run `python -m tf_patches`.

    Until Python knows the path of a module that it runs, `sys.argv` begins with "-m".
    """
    if sys.argv[:1] != ["-m"]:
        return False
    module = sys.orig_argv[-len(sys.argv)]  # in front of the same arguments
    return module in (_PACKAGE, f"-m{_PACKAGE}")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """What a command line says. Help and wrong usage end the program."""
    return _parser().parse_args(_without_program_arguments(arguments))


def _without_program_arguments(arguments: Sequence[str]) -> Sequence[str]:
    """Our own arguments: the arguments of a program may look like ours."""
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
    add("out", metavar="OUT", help="the folder to write: new or empty")
    add(
        "--plain",
        action="store_true",
        help="use only operations that TFLite, ONNX and other exporters know",
    )
    add(
        "--inputs",
        metavar="FILE.npz",
        help="inputs for both models: arrays named FUNCTION/ARGUMENT, such as "
        "serve/images (default: random numbers)",
    )
