"""What people wish: seen to where it makes sense, refused with a reason where it doesn't, and recorded either way."""

from app.saga.events import Because, Operated
from app.saga.messages import TYPE_OF, Cancel, Compensate, Operation, Retry, Skip
from app.saga.state import Compensating, Completed, RolledBack, Running, stuck
from app.saga.turn import Turn, named


def see_to(turn: Turn, wish: Retry | Skip) -> None:
    """What is stuck is asked for again with fresh attempts, or taken as done by hand."""
    all_stuck = [leg.step for leg in stuck(turn.state)]
    steps = [step for step in all_stuck if wish.step in (None, step)]
    if not steps:
        return refuse(turn, wish, f"needs {wish.step} to be stuck" if all_stuck else "needs a saga that is stuck")
    if len(steps) > 1 and isinstance(wish, Skip):
        return refuse(turn, wish, f"needs the name of one step, as several are stuck: {named(steps, ', ')}")
    turn.happen(operated(wish, steps=steps))
    return turn.go_on()


def operated(wish: Operation, *, steps: list[str] | None = None, because: Because | None = None) -> Operated:
    """A person acted."""
    event: Operated = {
        "type": "saga.operated",
        "operation": TYPE_OF[type(wish)],
        "operator": wish.operator,
        "reason": wish.reason,
    }
    if steps is not None:
        event["steps"] = steps
    if because is not None:
        event["because"] = because
    return event


def refuse_operation(turn: Turn, wish: Operation) -> None:
    """The operation makes no sense here."""
    needs = "a saga that is stuck"
    if isinstance(wish, Compensate):
        past = isinstance(turn.state, Running)
        needs = "a saga that can still go back" if past else "a saga that is running"
    refuse(turn, wish, f"needs {needs}")


def refuse(turn: Turn, wish: Operation, refusal: str) -> None:
    """The operation changes nothing; it and why are recorded."""
    turn.happen(
        {
            "type": "saga.operation.refused",
            "operation": TYPE_OF[type(wish)],
            "operator": wish.operator,
            "reason": wish.reason,
            "refusal": refusal,
        }
    )


def refuse_cancel(turn: Turn, _: Cancel) -> None:
    """After the end, past the point of no return, or on the way back already, there is nothing to cancel."""
    state = turn.state
    if isinstance(state, Completed):
        reason = "the order is completed"
    elif not isinstance(state, Compensating | RolledBack):
        reason = "the order can't be undone any more"
    elif state.why.requested:
        reason = "the order was cancelled before"
    else:
        reason = "the order is being rolled back" if isinstance(state, Compensating) else "the order was rolled back"
    turn.happen({"type": "saga.cancel.refused", "reason": reason})
