"""Measures everything and writes the report.

`python -m benchmarks [--quick] [--match TEXT] [--output FOLDER]`
"""

import argparse
import json
import math
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from rich.console import Console
from rich.progress import Progress

from benchmarks import machine, report
from benchmarks.cases import CASES, Case, contests
from benchmarks.measure import run_child, time_calls
from benchmarks.peers import BUILTIN, DIRECTIONS, US, Peer, UnfitError


def _prepare(
    peers: list[Peer], case: Case, dtype: str, notes: dict[str, None]
) -> dict[str, object]:
    calls = {}
    for peer in peers:
        if not peer.installed:
            notes[f"{peer.name}: {peer.needs} is not installed"] = None
            continue
        try:
            calls[peer.name] = peer.prepare(case, dtype)
        except UnfitError as reason:
            notes[f"{peer.name}: {reason}"] = None
    return calls


def _time(case: Case, dtype: str, calls: dict[str, object], rounds: int) -> dict:
    timings = time_calls(calls, rounds)
    return {
        "case": case.name,
        "dtype": dtype,
        "bytes": case.out_bytes(dtype),
        "milliseconds": {
            name: {key: value * 1e3 for key, value in vars(timing).items()}
            for name, timing in timings.items()
        },
    }


def _memory(direction: str, case: Case, peer: str) -> dict:
    peak = run_child("benchmarks.memory", direction, case.name, "float32", peer)
    images = 4 * math.prod(case.images)
    result = case.out_bytes("float32") if direction == "forward" else images
    return {
        "direction": direction,
        "case": case.name,
        "peer": peer,
        "result": result,
        "peak": int(peak),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few cases, no peers")
    parser.add_argument("--match", default="", help="only cases whose name has this")
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks"))
    return parser.parse_args()


def main() -> None:
    """Runs what the command line asks for."""
    arguments = _arguments()
    quick = arguments.quick
    rounds = 9 if quick else 21
    chosen = [c for c in contests(quick) if arguments.match in c[0].name]
    peers = {
        direction: everyone[:3] if quick else everyone
        for direction, everyone in DIRECTIONS.items()
    }
    memory_cases = [] if quick or arguments.match else [c for c in CASES if c.main]
    memory_runs = [
        (direction, case, peer)
        for direction in DIRECTIONS
        for case in memory_cases
        for peer in (US, BUILTIN)
    ]
    compile_runs = [
        (direction, lowering)
        for direction in DIRECTIONS
        for lowering in ("native", "hlo")
        if memory_cases
    ]
    threads = [] if quick or arguments.match else ["1", "2"]
    notes: dict[str, None] = {}
    results: dict = {
        "command": "make bench-quick" if quick else "make bench",
        "machine": machine.describe(),
        "timings": {direction: [] for direction in DIRECTIONS},
        "memory": [],
        "compile_time": [],
        "scaling": {},
    }
    steps = len(chosen) * len(DIRECTIONS)
    steps += len(memory_runs) + len(compile_runs) + len(threads)
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("measuring", total=steps)
        for case, dtype in chosen:
            for direction in DIRECTIONS:
                progress.update(task, description=f"{case.name}, {dtype}, {direction}")
                calls = _prepare(peers[direction], case, dtype, notes)
                if US in calls:
                    row = _time(case, dtype, calls, rounds)
                    results["timings"][direction].append(row)
                progress.advance(task)
        for run in memory_runs:
            progress.update(task, description=f"memory: {run[1].name}, {run[0]}")
            results["memory"].append(_memory(*run))
            progress.advance(task)
        for run in compile_runs:
            progress.update(task, description=f"compile time: {', '.join(run)}")
            measured = json.loads(run_child("benchmarks.compile_time", *run))
            results["compile_time"].append(measured)
            progress.advance(task)
        for count in threads:
            progress.update(task, description=f"scaling: {count} threads")
            results["scaling"][count] = json.loads(
                run_child("benchmarks.scaling", count)
            )
            progress.advance(task)
    results["notes"] = sorted(notes)
    for path in report.write(results, arguments.output):
        print(path)


if __name__ == "__main__":
    main()
