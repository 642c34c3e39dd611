"""Statistics of measurements: percentiles, medians with their range, and ratios within rounds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values, the lowest and the highest."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Run:
    """The figures of one orchestrator in one round, and its errors. `axis`, `size`: set when sizes are measured."""

    round: int
    peer: str
    figures: Mapping[str, float] = field(default_factory=dict)
    errors: Sequence[str] = ()
    axis: str = ""
    size: int = 0


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that this share (0 to 1) of the sorted values, or more, doesn't exceed; nan of none."""
    if not ordered:
        return float("nan")
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def spread(values: Iterable[float]) -> Spread | None:
    """The spread of some values; None if there are none."""
    known = list(values)
    return Spread(median(known), min(known), max(known)) if known else None


def peer_spread(runs: Sequence[Run], peer: str, name: str) -> Spread | None:
    """A figure of a peer over all rounds."""
    return spread(_by_round(runs, peer, name).values())


def ratio(runs: Sequence[Run], ours: str, theirs: str, name: str) -> Spread | None:
    """A figure of ours divided by theirs in the same round: what slows down a whole round cancels out."""
    own, other = _by_round(runs, ours, name), _by_round(runs, theirs, name)
    return spread(own[number] / other[number] for number in own.keys() & other.keys() if other[number])


def load_figures(result: Mapping[str, float]) -> dict[str, float]:
    """The figures of a drain or a closed loop, by name, from the driver's result."""
    return {
        "sagas/s": result["sagas_per_s"],
        "CPU s per 1,000": result["cpu_s_per_1000"],
        "broker CPU s per 1,000": result["broker_cpu_s_per_1000"],
        "peak memory MiB": result["peak_mib"],
    }


def figure_names(runs: Iterable[Run]) -> list[str]:
    """The names of all figures, in the order of their first appearance."""
    return list(dict.fromkeys(name for run in runs for name in run.figures))


def _by_round(runs: Sequence[Run], peer: str, name: str) -> dict[int, float]:
    return {run.round: run.figures[name] for run in runs if run.peer == peer and name in run.figures}
