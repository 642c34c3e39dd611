"""Start, duplicate, expiry, and inputs that change nothing."""

from app.saga.events import Started
from app.saga.messages import Cancel, Input, Operation, Place, Reply, TimerDue
from app.saga.state import Completed, NotStarted, RolledBack
from app.saga.transition import Transition
from app.saga.verdict import EXPIRED, DeadLettered, Expired


def start(transition: Transition, place: Place) -> None:
    """Starts the saga of the first valid order with this id."""
    started: Started = {
        "type": "saga.started",
        "order": place.order,
        "digest": place.digest,
        "at_ms": transition.at_ms,
    }
    if transition.saga.deadline_ms is not None:
        started["deadline_ms"] = transition.at_ms + transition.saga.deadline_ms
    if place.trace is not None:
        started["trace"] = place.trace.parent
        if place.trace.state:
            started["tracestate"] = place.trace.state
    transition.emit(started)
    transition.advance()


def duplicate_or_conflict(transition: Transition, place: Place) -> DeadLettered | None:
    """The same order again is a duplicate; a different order with the same id is a conflict."""
    if isinstance(transition.state, NotStarted) or place.digest == transition.state.data.digest:
        return None
    return DeadLettered("conflict", "another order has this id")


def unknown_order(_: Transition, __: Cancel | Reply | Operation) -> DeadLettered:
    """Only an order can start a saga."""
    return DeadLettered("unknown_order", "no order of this id was placed, or it ended long ago")


def no_longer_waited_for(_: Transition, __: Input) -> None:
    """The state does not wait for this timer or this capacity."""


def expire(transition: Transition, timer: TimerDue) -> Expired | None:
    """Deletes the state of an ended saga when its retention time is over."""
    state = transition.state
    return EXPIRED if isinstance(state, Completed | RolledBack) and timer.due_ms == state.forget_ms else None
