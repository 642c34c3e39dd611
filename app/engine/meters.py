"""What the engine counts and times: plain numbers that the loop adds to, and that a scrape reads on another thread.

A number here costs the hot path a dictionary entry or a bisection, and no lock. Readers see values of slightly
different moments, as they do in any metrics system.
"""

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

SHORT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 5.0, 15.0)
"""Upper bounds for parts of a batch: a median transaction takes 5 to 20 ms, and may take 15 s."""
LATENESS_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0, 3600.0)
"""Upper bounds for the lateness of timers."""
RECORDS = (0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 4000.0)
"""Upper bounds for the records of a batch."""


class Histogram:
    """Observations counted by upper bound. `counts` has one more entry than `bounds`, for those above the last."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Adds one observation."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @contextmanager
    def timing(self) -> Iterator[None]:
        """Observes how many seconds the block takes; not if it raises."""
        begun = time.perf_counter()
        yield
        self.observe(time.perf_counter() - begun)


def _by_key() -> defaultdict[tuple[str, ...], int]:
    return defaultdict(int)


@dataclass(slots=True)
class Meters:
    """The meters of one pod. Keys of counters are the values of their labels, in the order of the metric's labels."""

    records: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    """By topic."""
    decisions: defaultdict[tuple[str, ...], int] = field(default_factory=_by_key)
    """By cause (an input's type, or timeout, pause, room, deadline) and type of the first event."""
    advances: defaultdict[tuple[str, str, str, str, int], int] = field(default_factory=lambda: defaultdict(int))
    """Decisions of the usual kind, with the one command that each sent: the fields of `decisions` and `commands`."""
    commands: defaultdict[tuple[str, str, int], int] = field(default_factory=lambda: defaultdict(int))
    """By type of the request event, step and attempt."""
    outcomes: defaultdict[tuple[str, ...], int] = field(default_factory=_by_key)
    """By outcome type."""
    dead_letters: defaultdict[tuple[str, ...], int] = field(default_factory=_by_key)
    """By reason code and topic without prefix."""
    rerouted: defaultdict[tuple[str, ...], int] = field(default_factory=_by_key)
    """By topic without prefix."""
    rebalances: defaultdict[tuple[str, ...], int] = field(default_factory=_by_key)
    """By what happened: assigned, revoked, lost."""
    step_durations: defaultdict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    """By step, and bit length of the milliseconds from the last attempt's command to the reply that ended the step."""
    step_ms: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    """By step: the sum of those durations."""
    saga_durations: defaultdict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    """By outcome, and bit length of the milliseconds from the saga's start to its end."""
    saga_ms: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    """By outcome: the sum of those durations."""
    timer_lateness: Histogram = field(default_factory=lambda: Histogram(LATENESS_SECONDS))
    batch_records: Histogram = field(default_factory=lambda: Histogram(RECORDS))
    decide_seconds: Histogram = field(default_factory=lambda: Histogram(SHORT_SECONDS))
    flush_seconds: Histogram = field(default_factory=lambda: Histogram(SHORT_SECONDS))
    offsets_seconds: Histogram = field(default_factory=lambda: Histogram(SHORT_SECONDS))
    commit_seconds: Histogram = field(default_factory=lambda: Histogram(SHORT_SECONDS))
    save_seconds: Histogram = field(default_factory=lambda: Histogram(SHORT_SECONDS))
    restored_records: int = 0
    commit_failures: int = 0
    last_commit: float = 0.0
    """When (monotonic seconds) the last transaction was committed; 0 before the first."""

    def time_step(self, step: str, duration_ms: int) -> None:
        """Adds the duration of a step."""
        self.step_durations[step, duration_ms.bit_length()] += 1
        self.step_ms[step] += duration_ms

    def all_decisions(self) -> dict[tuple[str, ...], int]:
        """`decisions` with those of the usual kind."""
        found: defaultdict[tuple[str, ...], int] = defaultdict(int, self.decisions)
        for (cause, first, *_), count in list(self.advances.items()):
            found[cause, first] += count
        return found

    def all_commands(self) -> dict[tuple[str, str, int], int]:
        """`commands` with those of the usual decisions."""
        found = defaultdict(int, self.commands)
        for (_, __, request, step, attempt), count in list(self.advances.items()):
            found[request, step, attempt] += count
        return found
