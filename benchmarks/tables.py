"""Results as tables in Markdown."""

import statistics
from collections.abc import Iterable, Sequence

from benchmarks.peers import (
    ACCELERATED,
    BUILTIN,
    BUILTIN_XLA,
    COPY,
    FUNCTION,
    HLO,
    US,
    WARM_COPY,
    XLA,
)
from benchmarks.ratios import Row, large, ratio, ratios


def markdown(results: dict) -> str:
    """Every table, with the machine and the command above them."""
    machine = ", ".join(f"{key} {value}" for key, value in results["machine"].items())
    lines = ["# Benchmarks", "", f"`{results['command']}` on: {machine}.", ""]
    lines += [
        "## In short, median milliseconds",
        "",
        *_short_table(results["timings"]),
        "",
    ]
    for direction, rows in results["timings"].items():
        lines += [f"## {direction.capitalize()}, median milliseconds", ""]
        lines += [*_means(rows), ""]
        lines += [*_peers_table(rows), ""]
    if any(results["placed"].values()):
        lines += [
            "## At any place, median milliseconds",
            "",
            "MB: the patches, or the tiles that are merged.",
            "",
            *_placed_table(results["placed"]),
            "",
        ]
    if results["accelerated"]:
        lines += [
            "## TensorFlow's own op, accelerated",
            "",
            "Beside ours, in a process of its own; the built-in, in another. Geometric "
            "means; the last of cases of 1 MB and more.",
            "",
            *_accelerated_table(results),
            "",
        ]
    if xla := _xla_rows(results["timings"]):
        lines += ["## XLA, cases of 1 MB and more", "", *_xla_table(xla), ""]
    if rows := results["compile_time"]:
        lines += [
            "## XLA compile time, milliseconds",
            "",
            f"Patches of one image of 64x64x3, stride 1; peak and result: "
            f"{rows[0]['case']}, what the first call adds, compilation included.",
            "",
            *_compile_table(rows),
            "",
        ]
    if rows := results["large_results"]:
        lines += [
            "## Large results",
            "",
            "In processes of their own, without oneDNN, whose allocator keeps what is "
            "freed; medians. A first call, calls in a loop, and calls whose results "
            "the next op reads (tf.reduce_max), in milliseconds; what the first call "
            "adds at its peak, and what is kept after the last, in MB.",
            "",
            *_large_results_table(rows),
            "",
        ]
    if rows := results["models"]:
        lines += [
            "## Models, milliseconds",
            "",
            "Blocks written against the built-in alone, 56x56x192, batch 8. Patches: "
            "the block's extractions and folds alone.",
            "",
            *_models_table(rows),
            "",
        ]
    if rows := results["memory"]:
        lines += ["## Peak memory", "", *_memory_table(rows), ""]
    if results["scaling"]:
        lines += [
            "## Scaling, milliseconds",
            "",
            *_scaling_table(results["scaling"]),
            "",
        ]
    if results["notes"]:
        lines += [
            "## Not measured",
            "",
            *(f"- {note}" for note in results["notes"]),
            "",
        ]
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Iterable[Iterable[object]]) -> list[str]:
    every = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(map(str, row)) + " |" for row in every]


def _digits(figure: float | None, unit: str = "") -> str:
    return "–" if figure is None else f"{figure:.3g}{unit}"


def _times(figure: float) -> str:
    return _digits(figure, " ×")


def _median(row: Row | None, peer: str) -> str:
    timing = row and row["milliseconds"].get(peer)
    return _digits(timing and timing["median"])


# Of what README shows: a label, and who, in which direction and dtype.
_IN_SHORT = [
    ("float32: ours", US, "forward", "float32"),
    ("accelerated", ACCELERATED, "forward", "float32"),
    ("built-in", BUILTIN, "forward", "float32"),
    ("copy", COPY, "forward", "float32"),
    ("warm copy", WARM_COPY, "forward", "float32"),
    ("uint8: ours", US, "forward", "uint8"),
    ("built-in", BUILTIN, "forward", "uint8"),
    ("copy", COPY, "forward", "uint8"),
    ("warm copy", WARM_COPY, "forward", "uint8"),
    ("gradient: ours", US, "backward", "float32"),
    ("built-in", BUILTIN, "backward", "float32"),
    ("copy", COPY, "backward", "float32"),
    ("warm copy", WARM_COPY, "backward", "float32"),
]


def _short_table(directions: dict[str, list[Row]]) -> list[str]:
    found = {
        (direction, row["dtype"], row["case"]): row
        for direction, rows in directions.items()
        for row in rows
    }
    rows = []
    for case in dict.fromkeys(case for _, _, case in found):
        of_case = (found.get((*kind, case)) for _, _, *kind in _IN_SHORT)
        peers = (peer for _, peer, *_ in _IN_SHORT)
        rows.append([case, *map(_median, of_case, peers)])
    return _table(["case", *(label for label, *_ in _IN_SHORT)], rows)


def _peers_table(rows: list[Row]) -> list[str]:
    peers = dict.fromkeys(peer for row in rows for peer in row["milliseconds"])
    columns = list(dict.fromkeys([US, BUILTIN, COPY, WARM_COPY, *peers]))
    return _table(
        ["case", "dtype", "MB", *columns, "× built-in", "× copy", "× warm"],
        (
            [
                row["case"],
                row["dtype"],
                _digits(row["bytes"] / 1e6),
                *(_median(row, peer) for peer in columns),
                _digits(ratio(row, BUILTIN)),
                _digits(ratio(row, COPY)),
                _digits(ratio(row, WARM_COPY)),
            ]
            for row in rows
        ),
    )


def _placed_table(tasks: dict[str, list[Row]]) -> list[str]:
    return _table(
        ["task", "case", "dtype", "MB", "who", "median", "times as long as ours"],
        (
            [
                *(task, row["case"], row["dtype"], _digits(row["bytes"] / 1e6), peer),
                _median(row, peer),
                _times(ratio(row, peer)),
            ]
            for task, rows in tasks.items()
            for row in rows
            for peer in row["milliseconds"]
        ),
    )


# A peer, its label, and from how many bytes on.
_AGAINST = [
    (BUILTIN, "the built-in", 1e6),
    (COPY, "TensorFlow's copy", 1e6),
    (WARM_COPY, "a copy into memory that is there", 1e6),
    (COPY, "TensorFlow's copy, results of 32 MB and more", 32e6),
    (WARM_COPY, "a copy into memory that is there, results of 32 MB and more", 32e6),
]


def _means(rows: list[Row]) -> list[str]:
    lines = []
    for dtype in dict.fromkeys(row["dtype"] for row in rows):
        for peer, label, least in _AGAINST:
            if speeds := ratios(large(rows, dtype, least), peer):
                lines.append(
                    f"- {dtype} against {label}: geometric mean "
                    f"{_times(statistics.geometric_mean(speeds))}, least "
                    f"{_times(min(speeds))}; as fast or faster in "
                    f"{sum(speed >= 1 for speed in speeds)} of {len(speeds)} cases"
                )
    return lines


# A label, and who takes how many times as long as whom, in which dtype.
_XLA_CONTESTS = [
    ("compiled, times as long as our own", XLA, US, None),
    ("compiled, times as long as our own in a tf.function", XLA, FUNCTION, None),
    ("compiled, times as fast as the built-in compiled", BUILTIN_XLA, XLA, "float32"),
    ("HLO, times as fast as the built-in compiled", BUILTIN_XLA, HLO, "float32"),
]


def _xla_rows(directions: dict[str, list[Row]]) -> list[list[object]]:
    lines = []
    for direction, rows in directions.items():
        for label, peer, to, dtype in _XLA_CONTESTS:
            if speeds := ratios(large(rows, dtype), peer, to):
                figures = statistics.geometric_mean(speeds), min(speeds), max(speeds)
                cells = [direction, label, dtype or "all", len(speeds)]
                lines.append([*cells, *map(_times, figures)])
    return lines


def _xla_table(rows: list[list[object]]) -> list[str]:
    return _table(
        ["direction", "what", "dtype", "cases", "geometric mean", "least", "most"], rows
    )


def _compile_table(rows: list[Row]) -> list[str]:
    cases = list(rows[0]["milliseconds"])
    return _table(
        ["direction", "lowering", *cases, "peak added MB", "result MB"],
        (
            [
                row["direction"],
                row["lowering"],
                *(_digits(row["milliseconds"][case]) for case in cases),
                *(f"{row[key] / 1e6:.1f}" for key in ("peak", "result")),
            ]
            for row in rows
        ),
    )


def _accelerated_table(results: dict) -> list[str]:
    lines = []
    for direction, rows in results["accelerated"].items():
        for dtype in dict.fromkeys(row["dtype"] for row in rows):
            of_dtype = [
                row
                for row in rows
                if row["dtype"] == dtype and BUILTIN in row["milliseconds"]
            ]
            timings = [row["milliseconds"] for row in of_dtype]
            late = [
                t[BUILTIN]["median"] > 1.05 * t[US]["median"] + 0.02 for t in timings
            ]
            speeds = ratios(
                large(results["timings"][direction], dtype), BUILTIN, ACCELERATED
            )
            means = map(statistics.geometric_mean, (ratios(of_dtype, BUILTIN), speeds))
            ours, builtin = map(_times, means)
            lines.append([direction, dtype, len(of_dtype), ours, sum(late), builtin])
    head = ["direction", "dtype", "cases", "times as long as ours"]
    return _table(
        [*head, "over 1.05 × + 20 µs", "times as fast as the built-in"], lines
    )


def _large_results_table(rows: list[Row]) -> list[str]:
    times = ("first", "loop", "read")
    lines = []
    for key in dict.fromkeys((r["case"], r["dtype"], r["maker"]) for r in rows):
        of_key = [r for r in rows if (r["case"], r["dtype"], r["maker"]) == key]
        median = {
            name: statistics.median(row[name] for row in of_key)
            for name in (*times, "result", "peak", "kept")
        }
        megabytes = (f"{median[n] / 1e6:.1f}" for n in ("result", "peak", "kept"))
        lines.append([*key, *(_digits(median[name]) for name in times), *megabytes])
    head = ["case", "dtype", "who", "first call", "in a loop", "read by the next op"]
    return _table([*head, "result MB", "peak added MB", "kept after MB"], lines)


def _models_table(rows: list[Row]) -> list[str]:
    lines = []
    for row in rows:
        for what in ("forward", "step", "forward, patches", "step, patches"):
            plain, accelerated = row["plain"][what], row["accelerated"][what]
            cells = [row["block"], what, _digits(plain), _digits(accelerated)]
            lines.append([*cells, _times(plain / accelerated)])
    return _table(["block", "what", "plain", "accelerated", "gain"], lines)


def _memory_table(rows: list[Row]) -> list[str]:
    return _table(
        ["direction", "case", "peer", "result MB", "peak added MB", "kept after MB"],
        (
            [
                *(row[key] for key in ("direction", "case", "peer")),
                *(f"{row[key] / 1e6:.1f}" for key in ("result", "peak", "kept")),
            ]
            for row in rows
        ),
    )


def _scaling_table(scaling: dict[str, dict]) -> list[str]:
    lines = []
    for sweep, points in scaling["1"].items():
        for at, one in points.items():
            both = one, scaling["2"][sweep][at]
            cells = [t[way] for way in ("forward", "backward") for t in both]
            lines.append([sweep, at, *map(_digits, cells)])
    head = ["sweep", "at", "forward 1 thread", "2 threads", "backward 1 thread"]
    return _table([*head, "2 threads"], lines)
