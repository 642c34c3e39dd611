"""A second, independent model of a saga, kept from its events alone: it checks that each event may come next."""

from collections import defaultdict
from typing import Any

from app.saga.definition import Saga
from app.saga.events import Event
from app.saga.message_ids import Direction
from tests.saga.random_sagas import Moment

Task = tuple[str, Direction]
"""A step, and whether it is done or undone."""


class ReferenceModel:
    """What became of each step so far. An event that breaks the rules of a saga fails an assertion."""

    def __init__(self, saga: Saga) -> None:
        self.saga = saga
        self.requested: dict[Task, int] = defaultdict(int)
        self.attempts: dict[Task, int] = defaultdict(int)
        self.done = set[str]()
        self.refused = set[str]()
        self.undone = set[str]()
        self.stuck = set[str]()
        self.rolling_back = False
        self.ended = False

    def apply(self, event: Event) -> None:
        """Checks and applies one more event."""
        handlers = {
            "saga.step.requested": self._do_requested,
            "saga.compensation.requested": self._undo_requested,
            "saga.step.succeeded": self._done,
            "saga.step.refused": self._refused,
            "saga.compensation.succeeded": self._undone,
            "saga.stuck": self._stuck,
            "saga.operated": self._operated,
            "saga.completed": self._completed,
            "saga.rolled_back": self._rolled_back,
        }
        if "because" in event:
            self._rollback_started(event)
        if event["type"] in handlers:
            handlers[event["type"]](event)

    def can_roll_back(self) -> bool:
        """Whether every step that is done, or may be done, can be undone."""
        pivot = self.saga.pivot
        if pivot is None:
            return True
        return pivot.name not in self.done and (pivot.undo is not None or not self.requested[pivot.name, "do"])

    def pivot_is_stuck(self) -> bool:
        """Whether the pivot is stuck, so that an operator must say if it happened."""
        return self.saga.pivot is not None and self.saga.pivot.name in self.stuck

    def to_undo(self) -> set[str]:
        """Every step that was requested and may have happened."""
        requested = {
            step for step, direction in self.requested if direction == "do" and self.requested[step, direction]
        }
        return {step for step in requested - self.refused if self.saga.step(step).undo is not None}

    def _do_requested(self, event: Any) -> None:
        step: str = event["step"]
        assert not self.rolling_back
        assert self.saga.earlier[step] <= self.done
        assert step not in self.done
        self._count_attempt((step, "do"), event["attempt"])

    def _undo_requested(self, event: Any) -> None:
        step: str = event["step"]
        assert self.rolling_back
        assert step in self.to_undo() - self.undone
        assert self.saga.later[step] & self.to_undo() <= self.undone
        self._count_attempt((step, "undo"), event["attempt"])

    def _count_attempt(self, task: Task, attempt: int) -> None:
        step = self.saga.step(task[0])
        command = step.do if task[1] == "do" else step.undo
        self.requested[task] += 1
        self.attempts[task] += 1
        assert attempt == self.requested[task]
        assert command is not None
        assert self.attempts[task] <= command.retry.attempts

    def _done(self, event: Any) -> None:
        assert self.requested[event["step"], "do"] >= event["attempt"]
        assert not self.rolling_back
        self.done.add(event["step"])
        self.stuck.discard(event["step"])

    def _refused(self, event: Any) -> None:
        assert self.requested[event["step"], "do"] >= event["attempt"]
        assert event["step"] not in self.done
        self.refused.add(event["step"])
        self.stuck.discard(event["step"])

    def _undone(self, event: Any) -> None:
        assert self.requested[event["step"], "undo"] >= event["attempt"]
        assert event["step"] not in self.undone
        self.undone.add(event["step"])
        self.stuck.discard(event["step"])

    def _stuck(self, event: Any) -> None:
        assert self.rolling_back or not self.can_roll_back()
        self.stuck.add(event["step"])

    def _rollback_started(self, event: Any) -> None:
        """Not past the pivot; and while the pivot is in doubt, only by its refusal or by an operator."""
        pivot = self.saga.pivot
        assert not self.rolling_back
        self.rolling_back = True
        if not self.can_roll_back():
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
                self.attempts[step, "undo" if self.rolling_back else "do"] = 0
            else:
                (self.undone if self.rolling_back else self.done).add(step)
        self.stuck -= set(event["steps"])

    def _completed(self, _: Any) -> None:
        assert not self.ended
        assert not self.rolling_back
        assert self.done == set(self.saga.step_index)
        assert not any(direction == "undo" for _, direction in self.requested)
        self.ended = True

    def _rolled_back(self, _: Any) -> None:
        assert not self.ended
        assert self.rolling_back
        assert self.undone == self.to_undo()
        self.ended = True


def check_run(saga: Saga, run: list[Moment]) -> ReferenceModel:
    """Checks every event of a run; the model after the last one."""
    model = ReferenceModel(saga)
    for moment in run:
        for event in moment.events:
            model.apply(event)
    return model
