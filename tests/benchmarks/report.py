"""The report: all figures in Markdown, and a chart of how costs grow."""

import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from matplotlib.figure import Figure

from tests.benchmarks.stats import Run
from tests.benchmarks.table import comparison, growth, markdown

_CHART = "growth.svg"
_COSTS = {"CPU s per 1,000": "orchestrator", "broker CPU s per 1,000": "broker"}


def write(folder: Path, setup: str, runs: Sequence[Run], peers: Sequence[str]) -> None:
    """Writes `report.md`, and a chart beside it when sizes were measured."""
    folder.mkdir(parents=True, exist_ok=True)
    compared, sizes = [run for run in runs if not run.axis], [run for run in runs if run.axis and run.figures]
    parts = [f'# Benchmark report\n\n    make bench ARGS="{" ".join(sys.argv[1:])}"\n\n{setup}']
    if compared:
        parts.append(f"## Beside its peers\n\n{markdown(comparison(compared, peers))}")
    if sizes:
        draw(sizes, folder / _CHART)
        parts.append(f"## As it grows\n\n![CPU time at all sizes]({_CHART})\n\n{markdown(growth(sizes))}")
    errors = [f"- round {run.round}, {run.peer}: {error}" for run in runs for error in run.errors]
    if errors:
        parts.append("## Errors\n\n" + "\n".join(errors))
    (folder / "report.md").write_text("\n\n".join(parts) + "\n", "utf-8")


def draw(runs: Sequence[Run], file: Path) -> None:
    """Draws the cost per saga along each axis."""
    axes = [(axis, list(group)) for axis, group in groupby(runs, lambda run: run.axis)]
    figure = Figure(figsize=(3 * len(axes), 3), layout="constrained")
    plots = figure.subplots(1, len(axes), sharey=True, squeeze=False)[0]
    for plot, (axis, group) in zip(plots, axes, strict=True):
        for cost, label in _COSTS.items():
            plot.plot([run.size for run in group], [run.figures[cost] for run in group], marker="o", label=label)
        sizes = [run.size for run in group]
        plot.set_xscale("log")
        plot.set_xticks(sizes, [f"{size:,}" for size in sizes])
        plot.minorticks_off()
        plot.set_xlabel(axis)
        plot.grid(alpha=0.3)
    plots[0].set_yscale("log")
    plots[0].set_ylabel("CPU seconds per 1,000 sagas")
    plots[0].legend()
    figure.savefig(file, metadata={"Date": None})
