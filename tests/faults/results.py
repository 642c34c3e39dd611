"""Adds up fault rounds: faults by kind, recovery times, audited sagas, and violations."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import ceil

from rich.table import Table

from tests.faults.decision_watch import Recovery


@dataclass(slots=True)
class Results:
    """Counts of faults by name, recovery times (seconds) by fault, and the violations found.

    `sagas`: audited; `states`: sagas whose stored, restored and replayed states were compared.
    """

    faults: Counter[str] = field(default_factory=Counter)
    recoveries: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    sagas: int = 0
    rounds: int = 0
    states: int = 0
    violations: list[str] = field(default_factory=list)

    def count_fault(self, fault: str) -> None:
        """Counts one fault more."""
        self.faults[fault] += 1

    def add_recoveries(self, recoveries: Iterable[Recovery]) -> None:
        """Adds the times of finished recoveries; unfinished ones are left out."""
        for recovery in recoveries:
            if recovery.seconds is not None:
                self.recoveries[recovery.fault].append(recovery.seconds)

    def add(self, other: "Results") -> None:
        """Adds the results of other rounds."""
        self.faults += other.faults
        for fault, seconds in other.recoveries.items():
            self.recoveries[fault] += seconds
        self.sagas += other.sagas
        self.rounds += other.rounds
        self.states += other.states
        self.violations += other.violations

    def table(self) -> Table:
        """The rows as a table for a terminal."""
        table = Table(
            "fault",
            "times",
            "no decision for: p50",
            "p90",
            "max",
            title="Faults, and the longest time in which an affected partition took no decision",
        )
        for cells in self.rows():
            table.add_row(*cells)
        return table

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Fault, count, and p50, p90 and maximum of the longest time in which a partition took no decision."""
        for fault, times in sorted(self.faults.items()):
            seconds = sorted(self.recoveries.get(fault, ()))
            yield (
                fault,
                f"{times}",
                *(f"{_quantile(seconds, share):.1f} s" if seconds else "-" for share in (0.5, 0.9, 1)),
            )

    def summary(self) -> str:
        """All totals in one line."""
        return (
            f"{sum(self.faults.values())} faults in {self.rounds} rounds, {self.sagas:,} sagas audited, "
            f"{self.states:,} states equal on disk, restored and replayed, {len(self.violations)} violations"
        )


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[ceil(len(ordered) * share) - 1]
