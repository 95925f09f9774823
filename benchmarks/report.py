"""Results as JSON, as Markdown tables and as plots."""

import json
import statistics
from pathlib import Path

import matplotlib
from matplotlib import pyplot as plt

from benchmarks.peers import (
    ACCELERATED,
    BUILTIN,
    BUILTIN_XLA,
    COPY,
    FUNCTION,
    HLO,
    US,
    XLA,
)

matplotlib.use("Agg")

Row = dict[str, object]


def _ratio(row: Row, peer: str, to: str = US) -> float | None:
    """How many times as long as the other, or as ours, the peer takes."""
    timings = row["milliseconds"]
    if peer not in timings or to not in timings:
        return None
    return timings[peer]["median"] / timings[to]["median"]


def _cell(row: Row, peer: str) -> str:
    timing = row["milliseconds"].get(peer)
    if timing is None:
        return "–"
    return f"{timing['median']:.3g}"


def _table(rows: list[Row], peers: list[str]) -> list[str]:
    others = [peer for peer in peers if peer not in (US, BUILTIN, COPY)]
    columns = [US, BUILTIN, COPY, *others]
    head = ["case", "dtype", "MB", *columns, "× built-in", "× copy"]
    lines = [
        "| " + " | ".join(head) + " |",
        "| " + " | ".join("---" for _ in head) + " |",
    ]
    for row in rows:
        speeds = [_ratio(row, BUILTIN), _ratio(row, COPY)]
        cells = [
            str(row["case"]),
            str(row["dtype"]),
            f"{row['bytes'] / 1e6:.3g}",
            *(_cell(row, peer) for peer in columns),
            *("–" if speed is None else f"{speed:.3g}" for speed in speeds),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _large(rows: list[Row], dtype: str | None = None) -> list[Row]:
    """Those of a megabyte and more, where a call's own cost does not count."""
    return [r for r in rows if r["bytes"] >= 1e6 and dtype in (None, r["dtype"])]


def _ratios(rows: list[Row], peer: str, to: str = US) -> list[float]:
    return [ratio for row in rows if (ratio := _ratio(row, peer, to)) is not None]


def _geometric_means(rows: list[Row]) -> list[str]:
    lines = []
    for dtype in dict.fromkeys(row["dtype"] for row in rows):
        for peer, label in ((BUILTIN, "the built-in"), (COPY, "the copy limit")):
            speeds = _ratios(_large(rows, dtype), peer)
            if speeds:
                mean = statistics.geometric_mean(speeds)
                lines.append(
                    f"- {dtype} against {label}: geometric mean {mean:.3g} ×, "
                    f"least {min(speeds):.3g} ×"
                )
    return lines


# A label, and who takes how many times as long as whom, in which dtype.
_XLA_CONTESTS = [
    ("compiled, times as long as our own", XLA, US, None),
    ("compiled, times as long as our own in a tf.function", XLA, FUNCTION, None),
    ("compiled, times as fast as the built-in compiled", BUILTIN_XLA, XLA, "float32"),
    ("HLO, times as fast as the built-in compiled", BUILTIN_XLA, HLO, "float32"),
]


def _xla_table(directions: dict[str, list[Row]]) -> list[str]:
    lines = [
        "| direction | what | dtype | cases | geometric mean | least | most |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for direction, rows in directions.items():
        for label, peer, to, dtype in _XLA_CONTESTS:
            if ratios := _ratios(_large(rows, dtype), peer, to):
                mean = statistics.geometric_mean(ratios)
                figures = (mean, min(ratios), max(ratios))
                lines.append(
                    f"| {direction} | {label} | {dtype or 'all'} | {len(ratios)} | "
                    + " | ".join(f"{figure:.3g} ×" for figure in figures)
                    + " |"
                )
    return lines


def _compile_table(rows: list[Row]) -> list[str]:
    cases = list(rows[0]["milliseconds"])
    head = ["direction", "lowering", *cases, "peak added MB", "result MB"]
    lines = [
        "| " + " | ".join(head) + " |",
        "| " + " | ".join("---" for _ in head) + " |",
    ]
    for row in rows:
        figures = [
            *(f"{row['milliseconds'][case]:.3g}" for case in cases),
            *(f"{row[key] / 1e6:.1f}" for key in ("peak", "result")),
        ]
        cells = [row["direction"], row["lowering"], *figures]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _accelerated_table(results: dict) -> list[str]:
    lines = [
        "| direction | dtype | cases | times as long as ours | over 1.05 × + 20 µs | "
        "times as fast as the built-in |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for direction, rows in results["accelerated"].items():
        for dtype in dict.fromkeys(row["dtype"] for row in rows):
            of_dtype = [row for row in rows if row["dtype"] == dtype]
            timings = [row["milliseconds"] for row in of_dtype]
            late = [
                t[BUILTIN]["median"] > 1.05 * t[US]["median"] + 0.02 for t in timings
            ]
            speeds = _ratios(
                _large(results["timings"][direction], dtype), BUILTIN, ACCELERATED
            )
            lines.append(
                f"| {direction} | {dtype} | {len(of_dtype)} | "
                f"{statistics.geometric_mean(_ratios(of_dtype, BUILTIN)):.3g} × | "
                f"{sum(late)} | {statistics.geometric_mean(speeds):.3g} × |"
            )
    return lines


def _memory_table(rows: list[Row]) -> list[str]:
    lines = [
        "| direction | case | peer | result MB | peak added MB |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        lines.append(
            f"| {row['direction']} | {row['case']} | {row['peer']} "
            f"| {row['result'] / 1e6:.1f} | {row['peak'] / 1e6:.1f} |"
        )
    return lines


def _scaling_table(scaling: dict[str, dict]) -> list[str]:
    lines = [
        "| sweep | at | forward 1 thread | 2 threads | backward 1 thread | 2 threads |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for sweep, points in scaling["1"].items():
        for at, one in points.items():
            two = scaling["2"][sweep][at]
            cells = (t[d] for d in ("forward", "backward") for t in (one, two))
            lines.append(
                f"| {sweep} | {at} | " + " | ".join(f"{c:.3g}" for c in cells) + " |"
            )
    return lines


def write_markdown(results: dict, path: Path) -> None:
    """Every table, with the machine and the command above them."""
    machine = ", ".join(f"{key} {value}" for key, value in results["machine"].items())
    lines = ["# Benchmarks", "", f"`{results['command']}` on: {machine}.", ""]
    for direction, rows in results["timings"].items():
        lines += [f"## {direction.capitalize()}, median milliseconds", ""]
        lines += [*_geometric_means(rows), ""]
        peers = list(dict.fromkeys(p for row in rows for p in row["milliseconds"]))
        lines += [*_table(rows, peers), ""]
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
    xla = _xla_table(results["timings"])
    if len(xla) > 2:
        lines += ["## XLA, cases of 1 MB and more", "", *xla, ""]
    if results["compile_time"]:
        rows = results["compile_time"]
        lines += [
            "## XLA compile time, milliseconds",
            "",
            f"Patches of one image of 64x64x3, stride 1; peak and result: "
            f"{rows[0]['case']}, what the first call adds, compilation included.",
            "",
            *_compile_table(rows),
            "",
        ]
    if results["memory"]:
        lines += ["## Peak memory", "", *_memory_table(results["memory"]), ""]
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
    path.write_text("\n".join(lines), encoding="utf-8")


def _plot_ratio(results: dict, peer: str, title: str, path: Path) -> None:
    directions = results["timings"]
    figure, axes = plt.subplots(
        1, len(directions), figsize=(7 * len(directions), 9), layout="constrained"
    )
    for axis, (direction, rows) in zip(axes, directions.items(), strict=True):
        names = list(dict.fromkeys(row["case"] for row in rows))[::-1]
        for dtype, colour in (("float32", "#1f5fa8"), ("uint8", "#e0862a")):
            points = [
                (ratio, names.index(row["case"]))
                for row in rows
                if row["dtype"] == dtype and (ratio := _ratio(row, peer)) is not None
            ]
            if points:
                axis.scatter(
                    *zip(*points, strict=True), color=colour, label=dtype, s=36
                )
        axis.axvline(1, color="0.4", linewidth=1)
        axis.set_xscale("log")
        axis.set_yticks(range(len(names)), names)
        axis.set_title(direction)
        axis.set_xlabel(title)
        axis.grid(axis="x", alpha=0.3)
        axis.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _plot_memory(results: dict, path: Path) -> None:
    rows = results["memory"]
    figure, axis = plt.subplots(figsize=(9, 6), layout="constrained")
    labels = list(dict.fromkeys(f"{r['case']}, {r['direction']}" for r in rows))[::-1]
    for offset, (peer, colour) in enumerate(((US, "#1f5fa8"), (BUILTIN, "#9aa3ad"))):
        chosen = [r for r in rows if r["peer"] == peer]
        positions = [labels.index(f"{r['case']}, {r['direction']}") for r in chosen]
        axis.barh(
            [p + 0.2 - 0.4 * offset for p in positions],
            [r["peak"] / 1e6 for r in chosen],
            height=0.36,
            color=colour,
            label=peer,
        )
    axis.set_yticks(range(len(labels)), labels)
    axis.set_xlabel("peak memory added by one call, MB")
    axis.set_xscale("log")
    axis.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def write(results: dict, folder: Path) -> list[Path]:
    """Writes every form of `results` into `folder` and says which files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [
        folder / name
        for name in ("results.json", "results.md", "speedup.png", "limit.png")
    ]
    paths[0].write_text(json.dumps(results, indent=1), encoding="utf-8")
    write_markdown(results, paths[1])
    _plot_ratio(results, BUILTIN, "times as fast as the built-in", paths[2])
    _plot_ratio(results, COPY, "times as fast as copying the patches once", paths[3])
    if results["memory"]:
        paths.append(folder / "memory.png")
        _plot_memory(results, paths[-1])
    return paths
