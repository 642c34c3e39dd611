"""Answers that move nothing, and the one that begins."""

from app.saga.messages import TYPE_OF, Cancel, Compensate, Operation, Place, Reply, TimerDue
from app.saga.state import Completed, NotStarted, RolledBack, State, Stuck
from app.saga.turn import Answer, Backward, Forward, Turn, request
from app.saga.verdict import NOTHING, Unacceptable


def start(turn: Turn, _: NotStarted, place: Place) -> Answer:
    """The first valid order of an id starts its saga."""
    return [
        {"type": "saga.started", "order": place.order, "digest": place.digest},
        request(turn, turn.saga.steps[0], 1),
    ]


def recognise(_: Turn, state: Forward | Backward | Stuck | Completed | RolledBack, place: Place) -> Answer:
    """The same order again is a duplicate; another one of the same id is a conflict."""
    if place.digest == state.facts.digest:
        return NOTHING
    return Unacceptable("conflict", "another order has this id")


def unknown(_: Turn, __: NotStarted, ___: Cancel | Reply | Operation) -> Answer:
    """Nothing but an order can start a saga."""
    return Unacceptable("unknown_order", "no order of this id was placed")


def overtaken(_: Turn, __: State, ___: TimerDue) -> Answer:
    """The state does not wait for the time."""
    return NOTHING


def ignore(turn: Turn, state: State, reply: Reply) -> Answer:
    """A duplicate, late or unexpected reply changes nothing, and is recorded."""
    reason = "nothing is awaited"
    if isinstance(state, Forward | Backward | Stuck):
        reason = f"another answer of {state.step} is awaited"
    return [{"type": "saga.reply.ignored", "reply": reply.type, "command": reply.command, "reason": reason}]


def refuse_cancel(_: Turn, state: Backward | Stuck | Completed | RolledBack, __: Cancel) -> Answer:
    """After the end, or on the way back already, there is nothing to cancel."""
    if isinstance(state, Completed):
        reason = "the order is completed"
    elif state.why.requested:
        reason = "the order was cancelled before"
    else:
        reason = "the order is being rolled back" if not isinstance(state, RolledBack) else "the order was rolled back"
    return [{"type": "saga.cancel.refused", "reason": reason}]


def refuse_operation(_: Turn, state: State, wish: Operation) -> Answer:
    """The operation makes no sense here."""
    needs = "a saga that is running" if isinstance(wish, Compensate) else "a saga that is stuck"
    return [
        {
            "type": "saga.operation.refused",
            "operation": TYPE_OF[type(wish)],
            "operator": wish.operator,
            "reason": wish.reason,
            "refusal": f"needs {needs}",
        }
    ]
