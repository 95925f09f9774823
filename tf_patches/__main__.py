"""What the commands do: run a program accelerated; convert a model; score slides."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any
from zipfile import BadZipFile

import numpy as np

import tf_patches
from tf_patches import slide_commands
from tf_patches.command_line import parse
from tf_patches.conversion import ConversionError
from tf_patches.run_program import run_module, run_script

_FAILED = 2  # as argparse exits


def main(arguments: Sequence[str]) -> int:
    """Does what the command line says; returns the exit status."""
    given = parse(arguments)
    if given.command == "run":
        if given.module is not None:
            return run_module(given.module, arguments[3:])
        return run_script(given.script, arguments[2:])
    if given.command == "convert":
        return _convert(given)
    return slide_commands.run(given)


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
