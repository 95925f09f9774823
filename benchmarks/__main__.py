"""Measures everything and writes the report.

`python -m benchmarks [--quick] [--match TEXT] [--output FOLDER]`
"""

import argparse
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Else torch's threads go on spinning while the next peer is timed.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from rich.console import Console
from rich.progress import Progress

from benchmarks import contest, machine, report
from benchmarks.cases import CASES, LARGE, Case, contests
from benchmarks.measure import run_child
from benchmarks.models import BLOCKS
from benchmarks.peers import ACCELERATED, BUILTIN, COPY, DIRECTIONS, US, Peer
from benchmarks.placed import FOLD_TWICE, TASKS, Cut, Merge

# What is being measured, and what adds it to the results.
Step = tuple[str, Callable[[], None]]


def _add_contest(
    rows: list,
    peers: Sequence[Peer],
    case: Case | Cut | Merge,
    dtype: str,
    quick: bool,
    notes: dict,
) -> None:
    calls = contest.prepare(peers[: 4 if quick else None], case, dtype, notes)
    if US in calls:
        rows.append(contest.time(case, dtype, calls, _rounds(quick)))


def _add_accelerated(results: dict, quick: bool) -> None:
    flags = ["--quick"] if quick else []
    output = run_child("benchmarks.accelerated", str(_rounds(quick)), *flags)
    results["accelerated"] = json.loads(output)
    for direction, rows in results["timings"].items():
        for row, other in zip(rows, results["accelerated"][direction], strict=True):
            if BUILTIN in other["milliseconds"]:
                row["milliseconds"][ACCELERATED] = other["milliseconds"][BUILTIN]


def _add_memory(results: dict, direction: str, case: Case | Merge, peer: str) -> None:
    taken = run_child("benchmarks.memory", direction, case.name, "float32", peer)
    images = 4 * math.prod(case.images)
    result = case.out_bytes("float32") if direction == "forward" else images
    row = {"direction": direction, "case": case.name, "peer": peer}
    results["memory"].append({**row, "result": result, **json.loads(taken)})


# Who makes a large result, and how much is kept for it; by default an eighth of memory.
_MAKERS = {
    "ours": (US, ""),
    "ours, nothing kept": (US, "0"),
    "TensorFlow's copy": (COPY, ""),
}


def _add_large_result(results: dict, case: Case, dtype: str, maker: str) -> None:
    peer, megabytes = _MAKERS[maker]
    arguments = "benchmarks.large_results", case.name, dtype, peer
    output = run_child(*arguments, TF_PATCHES_RESULT_CACHE_MB=megabytes)
    row = {"case": case.name, "dtype": dtype, "maker": maker}
    row["result"] = case.out_bytes(dtype)
    results["large_results"].append({**row, **json.loads(output)})


def _add_model(results: dict, block: str) -> None:
    plain, accelerated = (
        json.loads(run_child("benchmarks.models", block, how)) for how in "01"
    )
    row = {"block": block, "plain": plain, "accelerated": accelerated}
    results["models"].append(row)


def _add_compile_time(results: dict, direction: str, lowering: str) -> None:
    output = run_child("benchmarks.compile_time", direction, lowering)
    results["compile_time"].append(json.loads(output))


def _add_scaling(results: dict, threads: str) -> None:
    results["scaling"][threads] = json.loads(run_child("benchmarks.scaling", threads))


def _rounds(quick: bool) -> int:
    return 3 if quick else 7


def _contests(results: dict, quick: bool) -> Iterator[Step]:
    notes = results["notes"]
    for case, dtype in contests(quick):
        for direction, peers in DIRECTIONS.items():
            rows = results["timings"][direction]
            add = partial(_add_contest, rows, peers, case, dtype, quick, notes)
            yield f"{case.name}, {dtype}, {direction}", add
    for task, (peers, placed) in TASKS.items():
        for case, dtype in placed[: 1 if quick else None]:
            rows = results["placed"][task]
            add = partial(_add_contest, rows, peers, case, dtype, quick, notes)
            yield f"{task}: {case.name}, {dtype}", add


def _steps(results: dict, quick: bool, match: str) -> Iterator[Step]:
    yield from (step for step in _contests(results, quick) if match in step[0])
    if match:
        return
    yield "accelerated", partial(_add_accelerated, results, quick)
    # Processes in turn, as a fresh one's memory depends on what the machine did.
    for _ in range(1 if quick else 3):
        for case, dtype in LARGE[:1] if quick else LARGE:
            for maker in _MAKERS:
                add = partial(_add_large_result, results, case, dtype, maker)
                yield f"large results: {case.name}, {dtype}, {maker}", add
    if quick:
        return
    for direction in DIRECTIONS:
        for case in (case for case in CASES if case.main):
            for peer in (US, BUILTIN):
                add = partial(_add_memory, results, direction, case, peer)
                yield f"memory: {case.name}, {direction}", add
    for case, _ in TASKS["merge"].contests:
        for peer in (US, FOLD_TWICE):
            add = partial(_add_memory, results, "merge", case, peer)
            yield f"memory: merge, {case.name}", add
    for block in BLOCKS:
        yield f"model: {block}", partial(_add_model, results, block)
    for direction in DIRECTIONS:
        for lowering in ("native", "hlo"):
            add = partial(_add_compile_time, results, direction, lowering)
            yield f"compile time: {direction}, {lowering}", add
    for threads in ("1", "2"):
        yield f"scaling: {threads} threads", partial(_add_scaling, results, threads)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few cases, no peers")
    parser.add_argument(
        "--match", default="", help="only contests whose line of progress has this"
    )
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks"))
    return parser.parse_args()


def main() -> None:
    """Runs what the command line asks for."""
    arguments = _arguments()
    results: dict = {
        "command": "make bench-quick" if arguments.quick else "make bench",
        "machine": machine.describe(),
        "timings": {direction: [] for direction in DIRECTIONS},
        "placed": {task: [] for task in TASKS},
        "accelerated": {},
        "large_results": [],
        "memory": [],
        "models": [],
        "compile_time": [],
        "scaling": {},
        "notes": {},
    }
    steps = list(_steps(results, arguments.quick, arguments.match))
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("measuring", total=len(steps))
        for description, add in steps:
            progress.update(task, description=description)
            add()
            progress.advance(task)
    results["notes"] = sorted(results["notes"])
    for path in report.write(results, arguments.output):
        print(path)


if __name__ == "__main__":
    main()
