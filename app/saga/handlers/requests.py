"""A shop's cancel: granted while everything can still be undone, else refused with a reason."""

from app.saga.messages import Cancel
from app.saga.state import Compensating, Completed, RolledBack, Running, active_step
from app.saga.transition import Transition, because


def cancel(transition: Transition, request: Cancel) -> None:
    """Rolls the saga back if it can. Steps in flight may have happened, so they are compensated too."""
    state = transition.state
    if not isinstance(state, Running) or not can_roll_back(transition, state):
        return refuse_cancel(transition, request)
    why = because(request.reason, state.active_steps[0].step, requested=True)
    transition.emit({"type": "saga.cancel.requested", "reason": request.reason, "because": why})
    return transition.advance()


def refuse_cancel(transition: Transition, _: Cancel) -> None:
    """Refuses a cancel after the end, after the pivot, or while the saga already rolls back."""
    state = transition.state
    if isinstance(state, Completed):
        reason = "the order is completed"
    elif not isinstance(state, Compensating | RolledBack):
        reason = "the order can't be undone any more"
    elif state.why.requested:
        reason = "the order was cancelled before"
    else:
        reason = "the order is being rolled back" if isinstance(state, Compensating) else "the order was rolled back"
    transition.emit({"type": "saga.cancel.refused", "reason": reason})


def can_roll_back(transition: Transition, state: Running) -> bool:
    """Whether every step that is done, or may be done, can be undone."""
    pivot = transition.saga.pivot
    if pivot is None:
        return True
    active = active_step(state.active_steps, pivot.name)
    if active is None:  # the pivot has not begun if a step before it is active; else it is done
        return any(other.step in transition.saga.earlier[pivot.name] for other in state.active_steps)
    return pivot.undo is not None or active.attempt == 0
