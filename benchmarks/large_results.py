"""Large results in a process of its own: the first call, a loop, and the next op.

`python -m benchmarks.large_results CASE DTYPE MAKER` prints milliseconds, and bytes
of memory, as JSON. MAKER is "tf_patches" or "copy"; the environment says whether
results are kept.
"""

import gc
import json
import os
import statistics
import sys
import time

# TensorFlow's plain allocator, which most processors get: oneDNN's keeps memory too.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import tensorflow as tf

from benchmarks.cases import CASES, make_images
from benchmarks.measure import Call
from benchmarks.memory import added_by
from tf_patches import extract_patches, memory

_CALLS = 9


def _milliseconds(call: Call) -> float:
    start = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - start
    del result
    return seconds * 1e3


def _loop(call: Call) -> float:
    return statistics.median(_milliseconds(call) for _ in range(_CALLS))


def main(case_name: str, dtype: str, maker: str) -> None:
    """Warms up on little, so that the first large call is the first in nothing else."""
    case = next(case for case in CASES if case.name == case_name)
    images = tf.constant(make_images(case, dtype))

    def extract() -> tf.Tensor:
        return extract_patches(images, **case.grid)

    patches = extract() if maker == "copy" else None

    def copy() -> tf.Tensor:
        return tf.raw_ops.DeepCopy(x=patches)

    make = copy if maker == "copy" else extract

    def read() -> tf.Tensor:
        return tf.reduce_max(make())

    little = tf.constant(make_images(case, dtype)[:, :8, :8])
    one = [1, 1, 1, 1]
    tf.reduce_max(extract_patches(little, one, one, one, "VALID"))
    tf.raw_ops.DeepCopy(x=little)
    gc.disable()
    first = []
    peak = added_by(lambda: first.append(_milliseconds(make)))
    measured = {"first": first[0], "loop": _loop(make), "read": _loop(read)}
    print(json.dumps({**measured, "peak": peak, "kept": memory.usage()["kept"]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
