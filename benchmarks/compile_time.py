"""What it takes XLA to compile our op: the time, and the peak of memory.

`python -m benchmarks.compile_time DIRECTION LOWERING` prints them as JSON. The
lowering is a value of TF_PATCHES_XLA_LOWERING.
"""

import json
import os
import statistics
import sys
import time

os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # as in benchmarks.memory

from benchmarks.cases import CASES, Case
from benchmarks.memory import added_by
from benchmarks.peers import compilable, ours_of

LARGE = next(case for case in CASES if case.name == "slide 299x299")
SIZES = [
    Case(f"{side}x{side}", (1, 64, 64, 3), (side, side), (1, 1))
    for side in (3, 8, 16, 32, 64)
]
_ROUNDS = 5


def _ours(direction: str, case: Case) -> tuple:
    return compilable(direction, ours_of, case, "float32")


def _milliseconds(direction: str, case: Case) -> float:
    """Compiles the function anew every time, and runs nothing."""
    function, tensors = _ours(direction, case)
    compiler = function.experimental_get_compiler_ir(*tensors)
    times = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        compiler(stage="optimized_hlo")
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def _memory(direction: str, case: Case) -> dict[str, int]:
    """What the first call, which compiles, adds at its peak; its result's bytes."""
    function, tensors = _ours(direction, case)
    results = []
    peak = added_by(lambda: results.append(function(*tensors)))
    return {"peak": peak, "result": results[0].shape.num_elements() * 4}


def main(direction: str, lowering: str) -> None:
    """Warms XLA up first. Memory comes before the process keeps any of it."""
    os.environ["TF_PATCHES_XLA_LOWERING"] = lowering
    _memory(direction, SIZES[0])
    measured = {
        "direction": direction,
        "lowering": lowering,
        "case": LARGE.name,
        **_memory(direction, LARGE),
        "milliseconds": {
            case.name: _milliseconds(direction, case) for case in (*SIZES, LARGE)
        },
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main(*sys.argv[1:])
