"""Collects the events of one decision, and folds them into the state as it goes."""

from collections.abc import Callable
from typing import Any, cast

from app.saga.definition import Command, Saga
from app.saga.events import Because, Event
from app.saga.evolve import evolve
from app.saga.message_ids import Direction, attempt_of, idempotency_key
from app.saga.messages import Reply
from app.saga.state import (
    ACTIVE_STATES,
    ActiveStep,
    BackingOff,
    Compensating,
    Queued,
    Running,
    State,
    active_step,
    direction_of,
)

_NAMED = 8  # steps in one sentence: the names of more could exceed the limit of a text field
Admits = Callable[[str], bool]
"""The answer of admission control, by step name."""


class Transition:
    """One input applied to one saga at a time (ms since 1970): `events` grow, and `state` with them.

    `queued` is set when a step stays queued for capacity.

    `try_acquire(step)` says whether a command may be sent now, `keeps_slot(step)` whether a failed step keeps its slot
    in flight during the backoff.
    """

    __slots__ = ("at_ms", "events", "id", "keeps_slot", "queued", "saga", "state", "try_acquire")

    def __init__(
        self, saga: Saga, saga_id: str, state: State, at_ms: int, try_acquire: Admits, keeps_slot: Admits
    ) -> None:
        self.saga = saga
        self.id = saga_id
        self.state = state
        self.at_ms = at_ms
        self.try_acquire = try_acquire
        self.keeps_slot = keeps_slot
        self.queued = False
        self.events: list[Event] = []

    @property
    def direction(self) -> Direction:
        """Whether steps are being done or undone."""
        return direction_of(self.state)

    def emit(self, event: Event) -> None:
        """Adds an event, and applies it to the state."""
        self.events.append(event)
        self.state = evolve(self.saga, self.state, event)

    def emit_for_step(self, suffix: str, event: dict[str, Any]) -> None:
        """Adds a `failed` or `timed_out` event, of the step or of its compensation."""
        kind = "saga.step." if isinstance(self.state, Running) else "saga.compensation."
        self.emit(cast("Event", {"type": kind + suffix, **event}))

    def request(self, active: Queued | BackingOff) -> None:
        """Sends the next attempt of the step."""
        requested = {
            "type": "saga.step.requested" if isinstance(self.state, Running) else "saga.compensation.requested",
            "step": active.step,
            "attempt": active.attempt + 1,
            "at_ms": self.at_ms,
            "due_ms": self.at_ms + self.command(active.step).timeout_ms,
        }
        self.emit(cast("Event", requested))

    def advance(self) -> None:
        """Requests the queued steps that have capacity. Ends the saga if no step is active."""
        state = self.state
        if not isinstance(state, ACTIVE_STATES):
            return
        for active in state.active_steps:
            if isinstance(active, Queued):
                if self.try_acquire(active.step):
                    self.request(active)
                else:
                    self.queued = True
        if not state.active_steps:
            self.emit(self._end(state))

    def match_reply(self, direction: Direction, reply: Reply) -> tuple[ActiveStep, int] | None:
        """The active step, and the attempt of it that the reply answers; None if it answers neither."""
        state = self.state
        active = active_step(state.active_steps, reply.step) if isinstance(state, ACTIVE_STATES) else None
        if active is None:
            return None
        attempt = attempt_of(reply.command, idempotency_key(self.id, active.step, direction))
        return (active, attempt) if attempt is not None and attempt <= active.attempt else None

    def command(self, step: str) -> Command:
        """The command that does or undoes the step, whichever the saga is doing."""
        found = self.saga.step(step)
        command = found.do if isinstance(self.state, Running) else found.undo
        if command is None:
            raise TypeError(f"{step} has no undo")
        return command

    def _end(self, state: Running | Compensating) -> Event:
        forget_ms = self.at_ms + self.saga.retention_ms
        if isinstance(state, Running):
            return {"type": "saga.completed", "forget_ms": forget_ms}
        why = state.why
        return {
            "type": "saga.rolled_back",
            "reason": why.reason,
            "step": why.step,
            "requested": why.requested,
            "forget_ms": forget_ms,
        }


def because(reason: str, step: str, *, requested: bool = False) -> Because:
    """Why the saga rolls back."""
    return {"reason": reason, "step": step, "requested": requested}


def join_names(steps: list[str], between: str) -> str:
    """The names of steps for a sentence; only the first eight are named."""
    more = len(steps) - _NAMED
    return between.join([*steps[:_NAMED], f"{more} more"] if more > 0 else steps)
