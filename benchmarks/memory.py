"""The peak of memory that one call adds, measured in a process of its own.

`python -m benchmarks.memory DIRECTION CASE DTYPE PEER` prints it as JSON, and what is
kept for other results after the call, in bytes.
"""

import json
import os
import sys
from pathlib import Path

# oneDNN's allocator keeps memory that was freed, and hides what a call takes of it.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import tf_patches
from benchmarks.cases import CASES
from benchmarks.measure import Call
from benchmarks.peers import DIRECTIONS
from benchmarks.placed import TASKS


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def added_by(call: Call) -> int:
    """The bytes that the process grows by at most while it makes the call."""
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = _status("VmRSS")
    result = call()
    del result
    return _status("VmHWM") - before


def main(direction: str, case_name: str, dtype: str, peer_name: str) -> None:
    """Warms the call up on the least case, so that only the call's own shows."""
    if direction in TASKS:
        peers, cases = TASKS[direction].peers, [c for c, _ in TASKS[direction].contests]
    else:
        peers, cases = DIRECTIONS[direction], CASES
    peer = next(p for p in peers if p.name == peer_name)
    peer.prepare(min(cases, key=lambda case: case.out_bytes(dtype)), dtype)()
    call = peer.prepare(next(c for c in cases if c.name == case_name), dtype)
    tf_patches.clear_result_cache()
    peak = added_by(call)
    print(json.dumps({"peak": peak, "kept": tf_patches.clear_result_cache()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
