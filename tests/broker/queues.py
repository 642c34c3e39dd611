"""How much each step's participant was asked at a time, and in which order, told from a partition's decisions."""

from collections import defaultdict
from collections.abc import Iterable

from tests.broker.crowd import Decided

_REQUESTED = ("saga.step.requested", "saga.compensation.requested")
_ANSWERED = ("succeeded", "refused")
_FAILED = ("failed", "timed_out")


class Queues:
    """Plays the decisions of one partition, in order. `most`: by step, the most commands that were outstanding.

    `starts` and `wishes`: by step, the sagas in the order in which it was first asked for, and could first have been.
    """

    def __init__(self, first: str, then: dict[str, str]) -> None:
        self._first, self._then = first, then
        self._outstanding: dict[str, set[str]] = defaultdict(set)
        self.most: dict[str, int] = defaultdict(int)
        self.starts: dict[str, list[str]] = defaultdict(list)
        self.wishes: dict[str, list[str]] = defaultdict(list)

    def play(self, decisions: Iterable[Decided]) -> "Queues":
        """Plays them all; returns itself."""
        for one in decisions:
            for event in one.events:
                self._happen(one.saga_id, event["type"], event.get("step", ""), event)
            for step, sagas in self._outstanding.items():
                self.most[step] = max(self.most[step], len(sagas))
        return self

    def _happen(self, saga: str, type: str, step: str, event: dict[str, object]) -> None:
        what = type.rpartition(".")[2]
        if type == "saga.started":
            self.wishes[self._first].append(saga)
        elif type in _REQUESTED:
            self._outstanding[step].add(saga)
            if event["attempt"] == 1:
                self.starts[step].append(saga)
        elif what in _ANSWERED or (what in _FAILED and "retry_due_ms" not in event):
            self._outstanding[step].discard(saga)
        if type == "saga.step.succeeded" and step in self._then:
            self.wishes[self._then[step]].append(saga)
