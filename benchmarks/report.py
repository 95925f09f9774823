"""Writes results as JSON, tables and plots."""

import json
from pathlib import Path

from benchmarks import plots, tables
from benchmarks.peers import BUILTIN, COPY


def write(results: dict, folder: Path) -> list[Path]:
    """Writes every form of `results` into `folder` and says which files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [
        folder / name
        for name in ("results.json", "results.md", "speedup.png", "limit.png")
    ]
    paths[0].write_text(json.dumps(results, indent=1), encoding="utf-8")
    paths[1].write_text(tables.markdown(results), encoding="utf-8")
    plots.plot_ratios(results, BUILTIN, "times as fast as the built-in", paths[2])
    copying = "times as fast as copying the patches once"
    plots.plot_ratios(results, COPY, copying, paths[3])
    if results["memory"]:
        paths.append(folder / "memory.png")
        plots.plot_memory(results, paths[-1])
    return paths
