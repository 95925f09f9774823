"""One case, one dtype: all peers that can do it, timed side by side."""

from collections.abc import Iterable

from benchmarks.cases import Case
from benchmarks.measure import Call, time_calls
from benchmarks.peers import Peer, UnfitError
from benchmarks.placed import Cut, Merge


def prepare(
    peers: Iterable[Peer], case: Case | Cut | Merge, dtype: str, notes: dict[str, None]
) -> dict[str, Call]:
    """The peers' calls by name; `notes` gets why others take no part."""
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


def time(
    case: Case | Cut | Merge, dtype: str, calls: dict[str, Call], rounds: int
) -> dict:
    """A row of the report."""
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
