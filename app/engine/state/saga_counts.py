"""Saga counts per partition, maintained incrementally and persisted with the state."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from app.saga.state import ACTIVE_STATES, WITH_DUE_TIME, NotStarted, Queued, State

CounterKey = tuple[str, str]
"""The kind of count, and its step or definition; the name is empty for totals."""
Counters = tuple[CounterKey, ...]

IN_FLIGHT, QUEUED, LIVE, STUCK, ENDED = "asked", "waiting", "live", "stuck", "ended"
_MAX_CACHED_DELTAS = 10_000  # most sagas make a few changes; one with many parallel steps can make almost any number
NO_COUNTERS: Counters = ()
HAS_STUCK, _HAS_ENDED = (STUCK, ""), (ENDED, "")
STUCK_STEP = "stuck_step"
"""The kind of entries for single stuck steps: they are not counted, but kept one by one in the index."""


def counters_of(state: State | None) -> Counters:
    """The counters that a saga in this state adds 1 to."""
    if isinstance(state, ACTIVE_STATES):
        found: list[CounterKey] = [(LIVE, state.data.definition)]
        for active in state.active_steps:
            if isinstance(active, WITH_DUE_TIME):
                found.append((IN_FLIGHT, active.step))
            elif isinstance(active, Queued):
                found.append((QUEUED, active.step))
            else:
                if HAS_STUCK not in found:
                    found.append(HAS_STUCK)
                found.append((STUCK_STEP, f"{active.since_ms}:{active.step}"))
        return tuple(found)
    return NO_COUNTERS if state is None or isinstance(state, NotStarted) else (_HAS_ENDED,)


class SagaCounts:
    """The counts of one partition. `in_flight` and `queued` are by step; a command in backoff counts as in flight.

    `live` are sagas that have not ended, by definition. `stuck` and `ended` are totals.
    """

    def __init__(self) -> None:
        self.in_flight: Counter[str] = Counter()
        self.queued: Counter[str] = Counter()
        self.live: Counter[str] = Counter()
        self._totals: Counter[str] = Counter()
        self._all = {IN_FLIGHT: self.in_flight, QUEUED: self.queued, LIVE: self.live}
        self._deltas: dict[tuple[Counters, Counters], tuple[list[tuple[Counter[str], str, int]], bool]] = {}

    @property
    def stuck(self) -> int:
        """Sagas with a stuck step, which wait for an operator."""
        return self._totals[STUCK]

    @property
    def ended(self) -> int:
        """Sagas that have ended and are still retained."""
        return self._totals[ENDED]

    def change(self, old: Counters, new: Counters) -> bool:
        """Moves one saga from its old counters to its new ones; returns whether a step is or was stuck."""
        deltas = self._deltas.get((old, new))
        if deltas is None:
            if len(self._deltas) >= _MAX_CACHED_DELTAS:
                self._deltas.clear()
            changes = [*self._deltas_of(old, new, -1), *self._deltas_of(new, old, 1)]
            deltas = self._deltas[old, new] = changes, HAS_STUCK in (*old, *new)
        for counter, name, by in deltas[0]:
            counter[name] += by
        return deltas[1]

    def document(self) -> dict[str, Any]:
        """The counts as JSON, in the form that is stored on disk."""
        by_kind = {
            kind: {name: count for name, count in counter.items() if count} for kind, counter in self._all.items()
        }
        return {**by_kind, STUCK: self.stuck, ENDED: self.ended}

    def load(self, counts: dict[str, Any]) -> None:
        """Takes over stored counts."""
        for kind, counter in self._all.items():
            counter.update(counts[kind])
        self._totals.update({kind: counts[kind] for kind in (STUCK, ENDED)})

    def _deltas_of(self, counts: Counters, excluding: Counters, by: int) -> Iterator[tuple[Counter[str], str, int]]:
        for kind, name in counts:
            if (kind, name) not in excluding and kind != STUCK_STEP:
                yield (self._all[kind], name, by) if name else (self._totals, kind, by)
