"""Results as plots."""

from pathlib import Path

import matplotlib
from matplotlib import pyplot as plt

from benchmarks.peers import BUILTIN, US
from benchmarks.ratios import ratio

matplotlib.use("Agg")


def plot_ratios(results: dict, peer: str, title: str, path: Path) -> None:
    directions = results["timings"]
    figure, axes = plt.subplots(
        1, len(directions), figsize=(7 * len(directions), 9), layout="constrained"
    )
    for axis, (direction, rows) in zip(axes, directions.items(), strict=True):
        names = list(dict.fromkeys(row["case"] for row in rows))[::-1]
        for dtype, colour in (("float32", "#1f5fa8"), ("uint8", "#e0862a")):
            points = [
                (times, names.index(row["case"]))
                for row in rows
                if row["dtype"] == dtype and (times := ratio(row, peer)) is not None
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


def plot_memory(results: dict, path: Path) -> None:
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
