"""Rows of the results, and how long one peer takes against another."""

from benchmarks.peers import US

# A case in a dtype, and the milliseconds of every peer that took part.
Row = dict[str, object]


def ratio(row: Row, peer: str, to: str = US) -> float | None:
    """How many times as long as the other, or as ours, the peer takes."""
    timings = row["milliseconds"]
    if peer not in timings or to not in timings:
        return None
    return timings[peer]["median"] / timings[to]["median"]


def ratios(rows: list[Row], peer: str, to: str = US) -> list[float]:
    """Of the rows in which both took part."""
    every = (ratio(row, peer, to) for row in rows)
    return [known for known in every if known is not None]


def large(rows: list[Row], dtype: str | None = None, least: float = 1e6) -> list[Row]:
    """Those of so many bytes; by default where a call's own cost does not count."""
    return [r for r in rows if r["bytes"] >= least and dtype in (None, r["dtype"])]
