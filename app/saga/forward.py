"""Moves of a saga that goes forward, or that begins to go back."""

from app.saga.messages import Cancel, Compensate, Refused, Succeeded
from app.saga.people import operated, refuse_cancel, refuse_operation
from app.saga.standing import ignore
from app.saga.state import Leg, Running, Stuck, leg_of
from app.saga.turn import Turn, because


def succeed(turn: Turn, reply: Succeeded) -> None:
    """The step is done, even when it was taken for stuck: on to what comes after it, or to the end."""
    found = turn.answered("do", reply)
    if found is None:
        return ignore(turn, reply)
    leg, attempt = found
    turn.happen({"type": "saga.step.succeeded", "step": leg.step, "attempt": attempt, "result": reply.result})
    return turn.go_on()


def refuse(turn: Turn, reply: Refused) -> None:
    """Nothing was done in this step: only the others are undone. A step that can't be refused has no such answer."""
    found = turn.answered("do", reply)
    if found is None or turn.saga.step(reply.step).refused is None:
        return ignore(turn, reply)
    leg, attempt = found
    turn.happen(
        {
            "type": "saga.step.refused",
            "step": leg.step,
            "attempt": attempt,
            "reason": reply.reason,
            "because": because(reply.reason, leg.step),
        }
    )
    return turn.go_on()


def cancel(turn: Turn, wish: Cancel) -> None:
    """As long as all can be undone an order can be cancelled; what is under way may have happened: it is undone too."""
    state = turn.state
    if not isinstance(state, Running) or not _can_go_back(turn, state):
        return refuse_cancel(turn, wish)
    why = because(wish.reason, state.legs[0].step, requested=True)
    turn.happen({"type": "saga.cancel.requested", "reason": wish.reason, "because": why})
    return turn.go_on()


def compensate(turn: Turn, wish: Compensate) -> None:
    """An operator has a running saga rolled back; a stuck pivot that can't be undone is taken as never done."""
    state = turn.state
    if not isinstance(state, Running) or not (_can_go_back(turn, state) or isinstance(_pivot(turn, state), Stuck)):
        return refuse_operation(turn, wish)
    why = because(wish.reason, state.legs[0].step, requested=True)
    turn.happen(operated(wish, because=why))
    return turn.go_on()


def _can_go_back(turn: Turn, state: Running) -> bool:
    """Whether all that is done, or may be, can be undone."""
    pivot = turn.saga.pivot
    if pivot is None:
        return True
    leg = leg_of(state.legs, pivot.name)
    if leg is None:  # not begun, as long as something before it is under way; else it is done
        return any(other.step in turn.saga.earlier[pivot.name] for other in state.legs)
    return pivot.undo is not None or leg.attempt == 0


def _pivot(turn: Turn, state: Running) -> Leg | None:
    pivot = turn.saga.pivot
    return leg_of(state.legs, pivot.name) if pivot is not None else None
