"""Answers that move nothing, the one that begins, and the one that forgets."""

from app.saga.events import Started
from app.saga.messages import Cancel, Input, Operation, Place, Reply, Succeeded, TimerDue
from app.saga.state import UNDER_WAY, Compensating, Completed, NotStarted, RolledBack
from app.saga.turn import Turn, named
from app.saga.verdict import FORGOTTEN, Forgotten, Unacceptable


def start(turn: Turn, place: Place) -> None:
    """The first valid order of an id starts its saga."""
    started: Started = {"type": "saga.started", "order": place.order, "digest": place.digest, "at_ms": turn.at_ms}
    if turn.saga.deadline_ms is not None:
        started["deadline_ms"] = turn.at_ms + turn.saga.deadline_ms
    turn.happen(started)
    turn.go_on()


def recognise(turn: Turn, place: Place) -> Unacceptable | None:
    """The same order again is a duplicate; another one of the same id is a conflict."""
    if isinstance(turn.state, NotStarted) or place.digest == turn.state.facts.digest:
        return None
    return Unacceptable("conflict", "another order has this id")


def unknown(_: Turn, __: Cancel | Reply | Operation) -> Unacceptable:
    """Nothing but an order can start a saga."""
    return Unacceptable("unknown_order", "no order of this id was placed, or it ended long ago")


def overtaken(_: Turn, __: Input) -> None:
    """The state does not wait for that."""


def forget(turn: Turn, timer: TimerDue) -> Forgotten | None:
    """A saga that has ended is remembered for a while only."""
    state = turn.state
    return FORGOTTEN if isinstance(state, Completed | RolledBack) and timer.due_ms == state.forget_ms else None


def ignore(turn: Turn, reply: Reply) -> None:
    """A duplicate, late or unexpected reply changes nothing, and is recorded."""
    state, reason = turn.state, "nothing is awaited"
    if (
        isinstance(reply, Succeeded)
        and isinstance(state, Compensating | RolledBack)
        and not turn.saga.undoable.get(reply.step, True)
    ):
        reason = f"{reply.step} was taken as never done, and can't be undone: see to it"
    elif isinstance(state, UNDER_WAY):
        reason = f"another answer of {named([leg.step for leg in state.legs], ' and ')} is awaited"
    turn.happen({"type": "saga.reply.ignored", "reply": reply.type, "command": reply.command, "reason": reason})
