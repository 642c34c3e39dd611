"""One turn of a saga: what happened so far in it, and what follows once it is known what happened."""

from collections.abc import Callable
from typing import Any, cast

from app.saga.definition import Command, Saga
from app.saga.events import Because, Event
from app.saga.evolve import evolve
from app.saga.identity import Direction, attempt_of, effect_key
from app.saga.messages import Reply
from app.saga.state import UNDER_WAY, Compensating, Leg, Pausing, Running, State, Waiting, direction_of, leg_of

_NAMED = 8  # steps in one sentence; the names of more may be longer together than a text may be
Room = Callable[[str], bool]
"""What a step's participant bears."""


class Turn:
    """A saga that takes in one input, at a time (ms since 1970): it grows events, and its state with them.

    `room` tells whether a step may be asked for now, `bears` whether one that failed may be asked for after a pause.
    """

    __slots__ = ("at_ms", "bears", "events", "id", "room", "saga", "state")

    def __init__(self, saga: Saga, saga_id: str, state: State, at_ms: int, room: Room, bears: Room) -> None:
        self.saga = saga
        self.id = saga_id
        self.state = state
        self.at_ms = at_ms
        self.room = room
        self.bears = bears
        self.events: list[Event] = []

    @property
    def direction(self) -> Direction:
        """Whether steps are done or undone now."""
        return direction_of(self.state)

    def happen(self, event: Event) -> None:
        """This happened."""
        self.events.append(event)
        self.state = evolve(self.saga, self.state, event)

    def happen_to(self, what: str, event: dict[str, Any]) -> None:
        """This happened to a step, in being done or undone: failed, or timed_out."""
        kind = "saga.step." if isinstance(self.state, Running) else "saga.compensation."
        self.happen(cast("Event", {"type": kind + what, **event}))

    def request(self, leg: Waiting | Pausing) -> None:
        """The step is asked for."""
        asked = {
            "type": "saga.step.requested" if isinstance(self.state, Running) else "saga.compensation.requested",
            "step": leg.step,
            "attempt": leg.attempt + 1,
            "at_ms": self.at_ms,
            "due_ms": self.at_ms + self.command(leg.step).timeout_ms,
        }
        self.happen(cast("Event", asked))

    def go_on(self) -> None:
        """What follows: steps that wait are asked for, if there is room; with nothing under way, the saga has ended."""
        state = self.state
        if not isinstance(state, UNDER_WAY):
            return
        for leg in state.legs:
            if isinstance(leg, Waiting) and self.room(leg.step):
                self.request(leg)
        if not state.legs:
            self.happen(self._end(state))

    def answered(self, direction: Direction, reply: Reply) -> tuple[Leg, int] | None:
        """The step under way and which of its attempts the reply answers; None for a reply to anything else."""
        state = self.state
        leg = leg_of(state.legs, reply.step) if isinstance(state, UNDER_WAY) else None
        if leg is None:
            return None
        attempt = attempt_of(reply.command, effect_key(self.id, leg.step, direction))
        return (leg, attempt) if attempt is not None and attempt <= leg.attempt else None

    def command(self, step: str) -> Command:
        """What the step's participant is asked now."""
        found = self.saga.step(step)
        command = found.do if isinstance(self.state, Running) else found.undo
        if command is None:
            raise TypeError(f"{step} is never undone")
        return command

    def _end(self, state: Running | Compensating) -> Event:
        forget_ms = self.at_ms + self.saga.remembered_ms
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
    """Why a saga goes back."""
    return {"reason": reason, "step": step, "requested": requested}


def named(steps: list[str], between: str) -> str:
    """The names of steps, for a sentence."""
    more = len(steps) - _NAMED
    return between.join([*steps[:_NAMED], f"{more} more"] if more > 0 else steps)
