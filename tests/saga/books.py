"""A saga's books, kept from its events alone: what was asked, done and undone, and what may come next."""

from collections import defaultdict
from typing import Any

from app.saga.definition import Saga
from app.saga.events import Event
from app.saga.identity import Direction
from tests.saga.lives import Moment

Effect = tuple[str, Direction]


class Book:
    """What became of each step so far. Whatever breaks the rules of a saga fails an assertion."""

    def __init__(self, saga: Saga) -> None:
        self.saga = saga
        self.asked: dict[Effect, int] = defaultdict(int)
        self.tries: dict[Effect, int] = defaultdict(int)
        self.done = set[str]()
        self.refused = set[str]()
        self.undone = set[str]()
        self.stuck = set[str]()
        self.back = False
        self.ended = False

    def take(self, event: Event) -> None:
        """One more event."""
        entries = {
            "saga.step.requested": self._asked_to_do,
            "saga.compensation.requested": self._asked_to_undo,
            "saga.step.succeeded": self._done,
            "saga.step.refused": self._refused,
            "saga.compensation.succeeded": self._undone,
            "saga.stuck": self._stuck,
            "saga.operated": self._operated,
            "saga.completed": self._completed,
            "saga.rolled_back": self._rolled_back,
        }
        if "because" in event:
            self._turned(event)
        if event["type"] in entries:
            entries[event["type"]](event)

    def can_go_back(self) -> bool:
        """Whether all that was done, or may have been, can be undone."""
        pivot = self.saga.pivot
        if pivot is None:
            return True
        return pivot.name not in self.done and (pivot.undo is not None or not self.asked[pivot.name, "do"])

    def pivot_is_stuck(self) -> bool:
        """Whether it is open if the point of no return was passed, and a person must say so."""
        return self.saga.pivot is not None and self.saga.pivot.name in self.stuck

    def to_undo(self) -> set[str]:
        """All that was asked for and may have happened."""
        asked = {step for step, direction in self.asked if direction == "do" and self.asked[step, direction]}
        return {step for step in asked - self.refused if self.saga.step(step).undo is not None}

    def _asked_to_do(self, event: Any) -> None:
        step: str = event["step"]
        assert not self.back
        assert self.saga.earlier[step] <= self.done
        assert step not in self.done
        self._counted((step, "do"), event["attempt"])

    def _asked_to_undo(self, event: Any) -> None:
        step: str = event["step"]
        assert self.back
        assert step in self.to_undo() - self.undone
        assert self.saga.later[step] & self.to_undo() <= self.undone
        self._counted((step, "undo"), event["attempt"])

    def _counted(self, effect: Effect, attempt: int) -> None:
        step = self.saga.step(effect[0])
        command = step.do if effect[1] == "do" else step.undo
        self.asked[effect] += 1
        self.tries[effect] += 1
        assert attempt == self.asked[effect]
        assert command is not None
        assert self.tries[effect] <= command.retry.attempts

    def _done(self, event: Any) -> None:
        assert self.asked[event["step"], "do"] >= event["attempt"]
        assert not self.back
        self.done.add(event["step"])
        self.stuck.discard(event["step"])

    def _refused(self, event: Any) -> None:
        assert self.asked[event["step"], "do"] >= event["attempt"]
        assert event["step"] not in self.done
        self.refused.add(event["step"])
        self.stuck.discard(event["step"])

    def _undone(self, event: Any) -> None:
        assert self.asked[event["step"], "undo"] >= event["attempt"]
        assert event["step"] not in self.undone
        self.undone.add(event["step"])
        self.stuck.discard(event["step"])

    def _stuck(self, event: Any) -> None:
        assert self.back or not self.can_go_back()
        self.stuck.add(event["step"])

    def _turned(self, event: Any) -> None:
        """Back, because of this event: never past the pivot, and where that is open only by refusal or by hand."""
        pivot = self.saga.pivot
        assert not self.back
        self.back = True
        if not self.can_go_back():
            assert pivot is not None
            assert pivot.name not in self.done
            by_hand = event["type"] == "saga.operated" and pivot.name in self.stuck
            assert by_hand or (event["type"] == "saga.step.refused" and event["step"] == pivot.name)

    def _operated(self, event: Any) -> None:
        if "because" in event:
            self.stuck.clear()
            return
        assert set() < set(event["steps"]) <= self.stuck
        assert len(event["steps"]) == 1 or event["operation"] == "saga.retry"
        for step in event["steps"]:
            if event["operation"] == "saga.retry":
                self.tries[step, "undo" if self.back else "do"] = 0
            else:
                (self.undone if self.back else self.done).add(step)
        self.stuck -= set(event["steps"])

    def _completed(self, _: Any) -> None:
        assert not self.ended
        assert not self.back
        assert self.done == set(self.saga.place)
        assert not any(direction == "undo" for _, direction in self.asked)
        self.ended = True

    def _rolled_back(self, _: Any) -> None:
        assert not self.ended
        assert self.back
        assert self.undone == self.to_undo()
        self.ended = True


def read(saga: Saga, life: list[Moment]) -> Book:
    """The books of a whole life."""
    book = Book(saga)
    for moment in life:
        for event in moment.events:
            book.take(event)
    return book
