"""Replays a partition's decisions: commands in flight by step, and the order in which sagas got theirs."""

from collections import defaultdict
from collections.abc import Iterable

from tests.broker.order_load import Decision

_REQUESTED = ("saga.step.requested", "saga.compensation.requested")
_ANSWERED = ("succeeded", "refused")
_FAILED = ("failed", "timed_out")


class StepQueues:
    """Replays the decisions of one partition. `first`: the first step; `then`: the next step by step.

    `max_in_flight`: by step, the most commands that were in flight at a time. `requested` and `queued`: by step, the
    sagas in the order in which the step was first requested, and in which it could first have been requested.
    """

    def __init__(self, first: str, then: dict[str, str]) -> None:
        self._first, self._then = first, then
        self._in_flight: dict[str, set[str]] = defaultdict(set)
        self.max_in_flight: dict[str, int] = defaultdict(int)
        self.requested: dict[str, list[str]] = defaultdict(list)
        self.queued: dict[str, list[str]] = defaultdict(list)

    def play(self, decisions: Iterable[Decision]) -> "StepQueues":
        """Replays decisions in log order; returns itself."""
        for one in decisions:
            for event in one.events:
                self._on_event(one.saga_id, event["type"], event.get("step", ""), event)
            for step, sagas in self._in_flight.items():
                self.max_in_flight[step] = max(self.max_in_flight[step], len(sagas))
        return self

    def _on_event(self, saga: str, type: str, step: str, event: dict[str, object]) -> None:
        outcome = type.rpartition(".")[2]
        if type == "saga.started":
            self.queued[self._first].append(saga)
        elif type in _REQUESTED:
            self._in_flight[step].add(saga)
            if event["attempt"] == 1:
                self.requested[step].append(saga)
        elif outcome in _ANSWERED or (outcome in _FAILED and "retry_due_ms" not in event):
            self._in_flight[step].discard(saga)
        if type == "saga.step.succeeded" and step in self._then:
            self.queued[self._then[step]].append(saga)
