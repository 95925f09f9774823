"""TensorFlow's own op under `accelerate` beside ours, in a process of its own.

`python -m benchmarks.accelerated ROUNDS [--quick]` prints the rows as JSON.
"""

import json
import sys

import tf_patches
from benchmarks import contest
from benchmarks.cases import contests
from benchmarks.peers import BUILTIN, DIRECTIONS, US, Peer


def _rows(peers: list[Peer], rounds: int, quick: bool) -> list[dict]:
    pair = [peer for peer in peers if peer.name in (US, BUILTIN)]
    return [
        contest.time(case, dtype, calls, rounds)
        for case, dtype in contests(quick)
        if (calls := contest.prepare(pair, case, dtype, notes={}))
    ]


def main(rounds: int, quick: bool) -> None:
    """Accelerates, and only then builds what it times."""
    tf_patches.accelerate()
    rows = {name: _rows(peers, rounds, quick) for name, peers in DIRECTIONS.items()}
    print(json.dumps(rows))


if __name__ == "__main__":
    main(int(sys.argv[1]), "--quick" in sys.argv)
