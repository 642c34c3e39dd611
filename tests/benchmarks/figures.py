"""Figures out of measurements: percentiles, medians with their spread, ratios of rounds."""

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
    """What one orchestrator did in one round: its figures, and what was wrong; some are of a size on an axis."""

    round: int
    peer: str
    figures: Mapping[str, float] = field(default_factory=dict)
    wrong: Sequence[str] = ()
    axis: str = ""
    size: int = 0


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest of the ordered values that at least this share (0 to 1) of them don't exceed; nan of none."""
    if not ordered:
        return float("nan")
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def spread(values: Iterable[float]) -> Spread | None:
    """The spread of some values; None of none."""
    known = list(values)
    return Spread(median(known), min(known), max(known)) if known else None


def of_peer(runs: Sequence[Run], peer: str, name: str) -> Spread | None:
    """A figure of a peer over all rounds."""
    return spread(_by_round(runs, peer, name).values())


def ratio(runs: Sequence[Run], ours: str, theirs: str, name: str) -> Spread | None:
    """A figure of ours divided by theirs of the same round, so that what a whole round suffered cancels out."""
    own, other = _by_round(runs, ours, name), _by_round(runs, theirs, name)
    return spread(own[number] / other[number] for number in own.keys() & other.keys() if other[number])


def of_load(result: Mapping[str, float]) -> dict[str, float]:
    """The figures, by name, of what a driver says of a drain or a closed loop."""
    return {
        "sagas/s": result["sagas_per_s"],
        "CPU s per 1,000": result["cpu_s_per_1000"],
        "broker CPU s per 1,000": result["broker_cpu_s_per_1000"],
        "peak memory MiB": result["peak_mib"],
    }


def names(runs: Iterable[Run]) -> list[str]:
    """The names of all figures, as they first came."""
    return list(dict.fromkeys(name for run in runs for name in run.figures))


def _by_round(runs: Sequence[Run], peer: str, name: str) -> dict[int, float]:
    return {run.round: run.figures[name] for run in runs if run.peer == peer and name in run.figures}
