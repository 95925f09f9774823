"""Runs a case with two libraries: are the results the same, and how long it takes."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import tensorflow as tf


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
      title: What it is.
      input: What goes into the call that is timed.
      results: Does the recipe with a library; gives every result, in order.
      timed: The recipe's extraction alone, or its fold.
      steps: How many results there are.
      answers: The results, where they are known beforehand.
    """

    title: str
    input: tf.Tensor
    results: Callable[[Any], Iterable[tf.Tensor]]
    timed: Callable[[Any], tf.Tensor]
    steps: int = 1
    answers: Sequence[tf.Tensor] = ()


@dataclass(frozen=True)
class Outcome:
    """What came of a case; `output` is of the call timed, times are in seconds."""

    equal: bool
    output: tf.TensorShape
    our_time: float
    builtin_time: float


def compare(
    case: Case, ours: Any, builtin: Any, on_step: Callable[[], None] = lambda: None
) -> Outcome:
    """Checks every bit of every result; then times both libraries, in turns."""
    equal = _same_results(case, ours, builtin, on_step) and _right_answers(case, ours)
    our_time, builtin_time = _median_times(
        lambda: case.timed(ours), lambda: case.timed(builtin)
    )
    return Outcome(equal, case.timed(builtin).shape, our_time, builtin_time)


def same_bits(ours: Any, theirs: Any) -> bool:
    """Whether two tensors have one dtype, one shape and the same bytes."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if (ours.dtype, ours.shape) != (theirs.dtype, theirs.shape):
        return False
    return np.array_equal(_bytes(ours), _bytes(theirs))


def _bytes(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _same_results(
    case: Case, ours: Any, builtin: Any, on_step: Callable[[], None]
) -> bool:
    equal = True
    for pair in zip(case.results(ours), case.results(builtin), strict=True):
        equal = same_bits(*pair) and equal
        on_step()
    return equal


def _right_answers(case: Case, ours: Any) -> bool:
    if not case.answers:
        return True
    return all(
        same_bits(*pair) for pair in zip(case.results(ours), case.answers, strict=True)
    )


def _median_times(
    *calls: Callable[[], Any], fewest: int = 5, most: int = 100, enough: float = 0.5
) -> list[float]:
    """Median seconds of each call, after one to warm up.

    The calls take turns, `fewest` to `most` of them, until they took `enough`.
    """
    for call in calls:
        call()
    rounds: list[list[float]] = []
    while len(rounds) < fewest or (
        len(rounds) < most and sum(map(sum, rounds)) < enough
    ):
        rounds.append([_seconds(call) for call in calls])
    return [median(times) for times in zip(*rounds, strict=True)]


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
