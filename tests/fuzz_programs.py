"""Graphs and slides at random, until the time is over: errors, no crash.

`python tests/fuzz_programs.py SECONDS` tries seed after seed in a child process. A seed
that ends the child, or fails otherwise, is printed, and
`python tests/fuzz_programs.py 0 SEED` tries that seed alone.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import tensorflow as tf
from slides_made import damaged, pyramid, read_levels, stained, write_slide
from test_hostile_graphs import IMAGES, OPS, extract_graph, in_function, placed_graph

from tf_patches import slides

_NUMBERS = [0, 1, 2, 3, 4, 7, -1, 2**31 - 1, 2**31, 2**33, 2**62, 2**63 - 1, -(2**63)]
_SMALL = [1, 1, 2, 3, 4]
_TEXTS = [b"", b"\0", b"SAME", b"VALID", b"EXPLICIT", b"REFLECT", b"WRAP", b"EDGE"]
_TEXTS += [b"SUM", b"MEAN", b"MAX", b"MIN"]
_MOST_BYTES = 12 << 30
_DTYPES = [tf.float32, tf.float16, tf.bfloat16, tf.int8, tf.int64, tf.complex64]
_DTYPES += [tf.uint8, tf.bool, tf.string, tf.int32, tf.float64, tf.qint8]


class _Draw:
    """Values that an op may be given, and others."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)

    def of(self, values):
        return values[self.random.integers(len(values))]

    def number(self):
        return self.of(_SMALL if self.random.random() < 0.7 else _NUMBERS)

    def attribute(self, value):
        """Something else, mostly of the kind of `value`."""
        if self.random.random() < 0.05:
            value = self.of([[1], b"SAME", 3, tf.float32])
        if isinstance(value, list):
            change = self.of([-1, 0, 0, 0, 0, 0, 1])
            values = [self.number() for _ in range(max(0, len(value) + change))]
            if len(values) > 3 and self.random.random() < 0.7:
                values[0] = values[-1] = 1
            return values
        if isinstance(value, tf.DType):
            return self.of(_DTYPES)
        return self.of(_TEXTS) if isinstance(value, bytes) else self.number()

    def array(self, value):
        """Another array, mostly of the same dtype and rank."""
        dtype = value.dtype
        if self.random.random() < 0.1:
            dtype = self.of([np.float32, np.int32, np.int64, np.bool_, np.float16])
        shape = list(value.shape)
        for axis in range(len(shape)):
            if self.random.random() < 0.3:
                shape[axis] = int(self.random.integers(6))
        if self.random.random() < 0.1:
            shape = shape[1:] if self.random.random() < 0.5 else [*shape, 2]
        if np.issubdtype(dtype, np.integer):
            numbers = [self.number() for _ in range(int(np.prod(shape)))]
            return np.array(numbers, np.int64).astype(dtype).reshape(shape)
        return self.random.standard_normal(shape).astype(dtype)


def _any_graph(draw):
    """A graph and what to feed it; near to one that is sound."""
    grid = {"ksizes": [1, 2, 2, 1], "strides": [1] * 4, "rates": [1] * 4}
    extra = {"mode": b"", "explicit_paddings": [0] * 8, "padding": b"", "T": tf.float32}
    op = draw.of([*OPS, "ExtractPatches"])
    inputs, attributes, result = OPS.get(op, ({"images": IMAGES}, grid, "patches"))
    attributes = {**attributes, **extra, "reduction": b"SUM"}
    changed = {
        name: draw.attribute(value)
        for name, value in attributes.items()
        if draw.random.random() < 0.2
    }
    fed = {
        name: draw.array(value) if draw.random.random() < 0.4 else value
        for name, value in inputs.items()
    }
    if op == "ExtractPatches":
        graph = extract_graph(changed)
    else:
        changed = {name: value for name, value in changed.items() if name != "padding"}
        graph, _ = placed_graph(op, changed, fed)
    if draw.random.random() < 0.3:
        graph = in_function(graph, result)
    return graph, fed


def try_graph(seed):
    """Runs a graph; an error is all right."""
    try:
        graph, fed = _any_graph(_Draw(seed))
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            tf.graph_util.import_graph_def(graph, name="")
            session.run("out:0", {f"{name}:0": value for name, value in fed.items()})
    except (ValueError, TypeError, tf.errors.OpError):
        return "refused"
    return "accepted"


def try_slide(seed, path, whole):
    """Reads a slide that is damaged; an error that names the file is all right."""
    path.write_bytes(damaged(whole, seed))
    try:
        slide = slides.open(str(path))
        read_levels(slide)
        next(iter(slide.patches(40, 20, padding="SAME", batch_size=9)))
    except tf.errors.OpError as error:
        assert str(path) in error.message, error
        return "refused"
    return "accepted"


def _child(first, last, end):
    """Tries seeds until the time is over; prints each before and after."""
    # Large results are refused then, instead of filling the machine's memory.
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    with tempfile.TemporaryDirectory() as folder:
        slide = write_slide(Path(folder) / "slide.tif", pyramid(stained(100, 120), 4))
        path, whole = Path(slide), Path(slide).read_bytes()
        for seed in range(first, last):
            print(seed, end=" ", flush=True)
            turn, is_graph = divmod(seed, 4)
            outcome = try_graph(seed) if is_graph else try_slide(turn, path, whole)
            print(outcome, flush=True)
            if time.time() > end:
                return


def _run(first, last, end):
    """Tries seeds in children; returns those that failed, and counts of outcomes."""
    failed, outcomes = [], Counter()
    while first < last and (not failed or time.time() < end):
        command = [sys.executable, __file__, "child", *map(str, (first, last, end))]
        child = subprocess.run(command, capture_output=True, text=True)
        lines = [line.split() for line in child.stdout.splitlines()]
        outcomes.update(outcome for _, *printed in lines for outcome in printed)
        if child.returncode == 0:
            break
        print(f"{lines[-1][0]} failed:\n{child.stderr[-3000:]}")
        failed.append(int(lines[-1][0]))
        first = failed[-1] + 1
    return failed, dict(outcomes)


def main():
    if sys.argv[1] == "child":
        first, last, end = sys.argv[2:]
        return _child(int(first), int(last), float(end))
    seconds, *seeds = map(int, sys.argv[1:])
    first = seeds[0] if seeds else time.time_ns() % 10**9
    last = first + (1 if seeds else 10**9)
    failed, outcomes = _run(first, last, time.time() + seconds)
    print(f"fuzzed: {outcomes}, failed: {failed}")
    return sys.exit(bool(failed))


if __name__ == "__main__":
    main()
