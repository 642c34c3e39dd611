"""The report: all figures as Markdown, and a picture of how costs grow."""

import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from matplotlib.figure import Figure

from tests.benchmarks.figures import Run
from tests.benchmarks.table import compared, grown, markdown

_PICTURE = "growth.svg"
_COSTS = {"CPU s per 1,000": "orchestrator", "broker CPU s per 1,000": "broker"}


def write(folder: Path, circumstances: str, runs: Sequence[Run], peers: Sequence[str]) -> None:
    """Writes `report.md`, and a picture beside it where sizes were measured."""
    folder.mkdir(parents=True, exist_ok=True)
    beside, sizes = [run for run in runs if not run.axis], [run for run in runs if run.axis and run.figures]
    parts = [f'# What was measured\n\n    make bench ARGS="{" ".join(sys.argv[1:])}"\n\n{circumstances}']
    if beside:
        parts.append(f"## Beside its peers\n\n{markdown(compared(beside, peers))}")
    if sizes:
        draw(sizes, folder / _PICTURE)
        parts.append(f"## As it grows\n\n![Processor time at all sizes]({_PICTURE})\n\n{markdown(grown(sizes))}")
    wrong = [f"- round {run.round}, {run.peer}: {sentence}" for run in runs for sentence in run.wrong]
    if wrong:
        parts.append("## What was wrong\n\n" + "\n".join(wrong))
    (folder / "report.md").write_text("\n\n".join(parts) + "\n", "utf-8")


def draw(runs: Sequence[Run], file: Path) -> None:
    """What a saga costs along each axis."""
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
