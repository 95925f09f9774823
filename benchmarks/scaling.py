"""How our time grows with threads, image side, overlap and batch.

`python -m benchmarks.scaling THREADS` prints the sweeps' milliseconds as JSON.
"""

import json
import sys

import tensorflow as tf

from benchmarks.cases import Case
from benchmarks.measure import time_calls
from benchmarks.peers import BACKWARD, FORWARD

SWEEPS = {
    "image side": [
        Case(str(side), (1, side, side, 3), (7, 7), (1, 1))
        for side in (64, 128, 256, 512, 1024)
    ],
    "stride of 32x32 patches": [
        Case(str(stride), (2, 512, 512, 3), (32, 32), (stride, stride))
        for stride in (32, 16, 8, 4)
    ],
    "batch": [
        Case(str(batch), (batch, 64, 64, 16), (3, 3), (1, 1))
        for batch in (1, 4, 16, 64)
    ],
}


def _milliseconds(case: Case) -> dict[str, float]:
    calls = {
        "forward": FORWARD[0].prepare(case, "float32"),
        "backward": BACKWARD[0].prepare(case, "float32"),
    }
    timings = time_calls(calls, rounds=3)
    return {name: timing.median * 1e3 for name, timing in timings.items()}


def main(threads: int) -> None:
    """Sets the number of threads, which must come before any op runs."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    sweeps = {
        name: {case.name: _milliseconds(case) for case in cases}
        for name, cases in SWEEPS.items()
    }
    print(json.dumps(sweeps))


if __name__ == "__main__":
    main(int(sys.argv[1]))
