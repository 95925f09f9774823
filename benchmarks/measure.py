"""Times calls side by side, and the memory that one call takes."""

import gc
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Call = Callable[[], object]

# A sample is at least this long, so that the clock's grain does not show.
_SAMPLE_SECONDS = 0.0005
_BUDGET_SECONDS = 0.5

# A core that had nothing to do while a peer used one thread is slow for so long:
# what runs on both takes up to three times as long at first, caches aside.
_WARM_UP_SECONDS = 0.06
_SAMPLES_A_ROUND = 3


@dataclass(frozen=True)
class Timing:
    """Seconds a call: the median and the quartiles of the samples."""

    median: float
    low: float
    high: float


def _seconds(call: Call, times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


def _warm_up(call: Call) -> None:
    end = time.perf_counter() + _WARM_UP_SECONDS
    call()
    while time.perf_counter() < end:
        call()


def time_calls(calls: Mapping[str, Call], rounds: int) -> dict[str, Timing]:
    """Times all `calls` every round, so that what disturbs one disturbs all.

    Each is called untimed before, so that no one finds caches and cores as another
    left them. A call much slower than the rest takes part in fewer rounds, at
    least three.
    """
    first = {
        name: min(_seconds(call, 1) for _ in range(2)) for name, call in calls.items()
    }
    times = {
        name: max(1, math.ceil(_SAMPLE_SECONDS / max(seconds, 1e-7)))
        for name, seconds in first.items()
    }
    limit = {
        name: max(3, int(_BUDGET_SECONDS / max(seconds, _WARM_UP_SECONDS)))
        for name, seconds in first.items()
    }
    samples: dict[str, list[float]] = {name: [] for name in calls}
    gc.disable()
    for turn in range(rounds):
        for name, call in calls.items():
            if turn < limit[name]:
                _warm_up(call)
                for _ in range(_samples(first[name])):
                    samples[name].append(_seconds(call, times[name]))
    gc.enable()
    return {name: _timing(seconds) for name, seconds in samples.items()}


def _samples(seconds: float) -> int:
    return _SAMPLES_A_ROUND if seconds < _WARM_UP_SECONDS else 1


def _timing(samples: list[float]) -> Timing:
    low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
    return Timing(median, low, high)


def run_child(module: str, *arguments: str, **environment: str) -> str:
    """The output of `python -m module arguments` in a process of its own."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout
