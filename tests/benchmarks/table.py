"""The figures of all rounds as one table, in plain text or in Markdown."""

from collections.abc import Iterator, Sequence

from tests.benchmarks.stats import Run, Spread, figure_names, peer_spread, ratio

_NONE = "-"

Rows = Sequence[Sequence[str]]


def comparison(runs: Sequence[Run], peers: Sequence[str]) -> Rows:
    """A row per figure: median and range of each peer, then the first peer's ratio to each of the others."""
    ours, *others = peers
    head = ["median (lowest - highest)", *peers, *(f"{ours} / {other}" for other in others)]
    return [head, *(_row(runs, peers, name) for name in figure_names(runs))]


def growth(runs: Sequence[Run]) -> Rows:
    """A row per size."""
    shown = figure_names(runs)
    sizes = (
        [f"{run.size:,} {run.axis}", *(number(run.figures[name]) for name in shown)] for run in runs if run.figures
    )
    return [["", *shown], *sizes]


def plain_text(rows: Rows) -> str:
    """A table for a terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(_aligned(row, widths)).rstrip() for row in rows)


def markdown(rows: Rows) -> str:
    """A table in Markdown."""
    head, *rest = rows
    line = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, line, *rest))


def ratio_sentence(runs: Sequence[Run], ours: str, theirs: str, name: str) -> str:
    """One sentence on how many times theirs our figure is."""
    times = ratio(runs, ours, theirs, name)
    return f"{name}: {ours} is at {_shown(times)} times {theirs}" if times else f"{name}: nothing to compare"


def _row(runs: Sequence[Run], peers: Sequence[str], name: str) -> list[str]:
    ours, *others = peers
    own = (_shown(peer_spread(runs, peer, name)) for peer in peers)
    return [name, *own, *(_shown(ratio(runs, ours, other, name)) for other in others)]


def _aligned(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    yield row[0].ljust(widths[0])
    yield from (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))


def _shown(values: Spread | None) -> str:
    if values is None:
        return _NONE
    if values.low == values.high:
        return number(values.median)
    return f"{number(values.median)} ({number(values.low)} - {number(values.high)})"


def number(value: float) -> str:
    """Three significant digits, or all digits before the decimal point."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"
