"""What a saga decides on an input: one table, total over every state and every input."""

from collections.abc import Callable
from typing import Any

from app.saga import backward, forward, people, standing, tries
from app.saga.definition import Saga
from app.saga.messages import (
    Cancel,
    Compensate,
    Failed,
    Input,
    Place,
    Refused,
    Retry,
    RoomFor,
    Skip,
    Succeeded,
    TimerDue,
    Undone,
)
from app.saga.state import Compensating, Completed, NotStarted, Progress, RolledBack, Running, State
from app.saga.turn import Room, Turn
from app.saga.verdict import NOTHING, Decision, Forgotten, Unacceptable, Verdict

Row = dict[type[Input], Callable[[Turn, Any], Unacceptable | Forgotten | None]]

_ENDED: Row = {
    Place: standing.recognise,
    Cancel: people.refuse_cancel,
    **dict.fromkeys((Succeeded, Refused, Undone, Failed), standing.ignore),
    **dict.fromkeys((Retry, Skip, Compensate), people.refuse_operation),
    TimerDue: standing.forget,
    RoomFor: standing.overtaken,
}
TABLE: dict[type[State], Row] = {
    NotStarted: {
        **dict.fromkeys((Cancel, Succeeded, Refused, Undone, Failed, Retry, Skip, Compensate), standing.unknown),
        Place: standing.start,
        TimerDue: standing.overtaken,
        RoomFor: standing.overtaken,
    },
    Running: {
        Place: standing.recognise,
        Cancel: forward.cancel,
        Succeeded: forward.succeed,
        Refused: forward.refuse,
        Undone: standing.ignore,
        Failed: tries.fail,
        Retry: people.see_to,
        Skip: people.see_to,
        Compensate: forward.compensate,
        TimerDue: tries.time,
        RoomFor: tries.room,
    },
    Compensating: {
        Place: standing.recognise,
        Cancel: people.refuse_cancel,
        Succeeded: standing.ignore,
        Refused: standing.ignore,
        Undone: backward.undone,
        Failed: tries.fail,
        Retry: people.see_to,
        Skip: people.see_to,
        Compensate: people.refuse_operation,
        TimerDue: tries.time,
        RoomFor: tries.room,
    },
    Completed: _ENDED,
    RolledBack: _ENDED,
}


def always(_: str) -> bool:
    """Every participant bears everything."""
    return True


def decide(
    saga: Saga,
    saga_id: str,
    progress: Progress,
    given: Input,
    at_ms: int,
    room: Room = always,
    bears: Room = always,
) -> Verdict:
    """What comes of an input at a time (ms since 1970), and of what the participants bear (see Turn).

    Never raises for any state of the saga and any input of their closed sets.
    """
    turn = Turn(saga, saga_id, progress.state, at_ms, room, bears)
    said = TABLE[type(progress.state)][type(given)](turn, given)
    if said is not None:
        return said
    return Decision(turn.events, Progress(progress.seq + 1, turn.state)) if turn.events else NOTHING
