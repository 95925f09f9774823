"""Runs the recipes on real pictures, beside TensorFlow's own op."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

PIPE_WIDTH = 120


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the demo; gives the exit status, 1 if any result differs."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("demo_output"),
        help="the folder to write the pictures to (default: %(default)s)",
    )
    output = parser.parse_args(arguments).output
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    with console.status("Starting TensorFlow"), _quiet_tensorflow():
        # Here, so that --help need not wait for it.
        import tensorflow as tf

        from demo import job
    tf.config.experimental.enable_op_determinism()
    return job.run(console, output)


@contextmanager
def _quiet_tensorflow() -> Iterator[None]:
    """Keeps TensorFlow's account of this machine off the screen.

    Its first lines come before it looks at the log level, so standard error is
    shut meanwhile.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    screen = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(screen, 2)
        os.close(screen)
        os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
