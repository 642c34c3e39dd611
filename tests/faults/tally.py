"""What a run of faults adds up to: how many of which, how soon all went on, and whether anything was broken."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import ceil

from rich.table import Table

from tests.faults.pulse import Recovery


@dataclass(slots=True)
class Tally:
    """Faults by name, recovery times (seconds) by the fault before, sagas proved, and what was found broken."""

    faults: Counter[str] = field(default_factory=Counter)
    recoveries: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    sagas: int = 0
    rounds: int = 0
    states: int = 0
    broken: list[str] = field(default_factory=list)

    def struck(self, fault: str) -> None:
        """One fault more."""
        self.faults[fault] += 1

    def recovered(self, recoveries: Iterable[Recovery]) -> None:
        """Takes in how soon all went on."""
        for recovery in recoveries:
            if recovery.seconds is not None:
                self.recoveries[recovery.fault].append(recovery.seconds)

    def add(self, other: "Tally") -> None:
        """Takes in another run's."""
        self.faults += other.faults
        for fault, seconds in other.recoveries.items():
            self.recoveries[fault] += seconds
        self.sagas += other.sagas
        self.rounds += other.rounds
        self.states += other.states
        self.broken += other.broken

    def table(self) -> Table:
        """For people."""
        table = Table(
            "fault",
            "times",
            "no decision for: half",
            "nine in ten",
            "all",
            title="Faults, and how long a partition stood still",
        )
        for cells in self.rows():
            table.add_row(*cells)
        return table

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Fault, how often, and how long a partition took no decision at most, in half, nine in ten and all of them."""
        for fault, times in sorted(self.faults.items()):
            seconds = sorted(self.recoveries.get(fault, ()))
            yield (
                fault,
                f"{times}",
                *(f"{_quantile(seconds, share):.1f} s" if seconds else "-" for share in (0.5, 0.9, 1)),
            )

    def verdict(self) -> str:
        """One line."""
        return (
            f"{sum(self.faults.values())} faults in {self.rounds} rounds, {self.sagas:,} sagas proved, "
            f"{self.states:,} states equal warm, cold and folded, {len(self.broken)} invariants broken"
        )


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[ceil(len(ordered) * share) - 1]
