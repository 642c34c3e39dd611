"""The decision table: one handler for each state and each type of input.

The table and the state diagrams in README.md are generated from it (app/saga/state_diagram.py).
"""

from collections.abc import Callable
from typing import Any

from app.saga.definition import Saga
from app.saga.evolve import with_cause
from app.saga.handlers import attempts, lifecycle, operator, replies, requests
from app.saga.messages import (
    Cancel,
    CapacityAvailable,
    Compensate,
    Failed,
    Input,
    Place,
    Refused,
    Retry,
    Skip,
    Succeeded,
    TimerDue,
    Undone,
)
from app.saga.state import Compensating, Completed, NotStarted, Progress, RolledBack, Running, State
from app.saga.transition import Admits, Transition
from app.saga.verdict import NO_CHANGE, DeadLettered, Decision, Expired, Verdict

Row = dict[type[Input], Callable[[Transition, Any], DeadLettered | Expired | None]]

_ENDED: Row = {
    Place: lifecycle.duplicate_or_conflict,
    Cancel: requests.refuse_cancel,
    **dict.fromkeys((Succeeded, Refused, Undone, Failed), replies.ignore_reply),
    **dict.fromkeys((Retry, Skip, Compensate), operator.refuse_operation),
    TimerDue: lifecycle.expire,
    CapacityAvailable: lifecycle.no_longer_waited_for,
}
TABLE: dict[type[State], Row] = {
    NotStarted: {
        **dict.fromkeys((Cancel, Succeeded, Refused, Undone, Failed, Retry, Skip, Compensate), lifecycle.unknown_order),
        Place: lifecycle.start,
        TimerDue: lifecycle.no_longer_waited_for,
        CapacityAvailable: lifecycle.no_longer_waited_for,
    },
    Running: {
        Place: lifecycle.duplicate_or_conflict,
        Cancel: requests.cancel,
        Succeeded: replies.on_succeeded,
        Refused: replies.on_refused,
        Undone: replies.ignore_reply,
        Failed: attempts.on_failed,
        Retry: operator.retry_or_skip,
        Skip: operator.retry_or_skip,
        Compensate: operator.compensate,
        TimerDue: attempts.on_timer,
        CapacityAvailable: attempts.on_capacity,
    },
    Compensating: {
        Place: lifecycle.duplicate_or_conflict,
        Cancel: requests.refuse_cancel,
        Succeeded: replies.ignore_reply,
        Refused: replies.ignore_reply,
        Undone: replies.on_undone,
        Failed: attempts.on_failed,
        Retry: operator.retry_or_skip,
        Skip: operator.retry_or_skip,
        Compensate: operator.refuse_operation,
        TimerDue: attempts.on_timer,
        CapacityAvailable: attempts.on_capacity,
    },
    Completed: _ENDED,
    RolledBack: _ENDED,
}


def always(_: str) -> bool:
    """Every participant has capacity."""
    return True


def decide(
    saga: Saga,
    saga_id: str,
    progress: Progress,
    given: Input,
    at_ms: int,
    try_acquire: Admits = always,
    keeps_slot: Admits = always,
) -> Verdict:
    """The verdict on one input at a time (ms since 1970), given what admission control allows (see Transition).

    Never raises for any state of the saga and any input of their closed unions.
    """
    transition = Transition(saga, saga_id, progress.state, at_ms, try_acquire, keeps_slot)
    verdict = TABLE[type(progress.state)][type(given)](transition, given)
    if verdict is not None:
        return verdict
    if transition.queued:  # by a message: a timer and free capacity have no id
        transition.state = with_cause(progress.state, transition.state, getattr(given, "id", None))
    return Decision(transition.events, Progress(progress.seq + 1, transition.state)) if transition.events else NO_CHANGE
