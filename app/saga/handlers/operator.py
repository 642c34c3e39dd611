"""An operator's operations: applied where they make sense, otherwise refused with a reason; always recorded."""

from app.saga.events import Because, Operated
from app.saga.handlers.requests import can_roll_back
from app.saga.messages import TYPE_OF, Compensate, Operation, Retry, Skip
from app.saga.state import Running, Stuck, active_step, stuck
from app.saga.transition import Transition, because, join_names


def retry_or_skip(transition: Transition, operation: Retry | Skip) -> None:
    """Sends stuck steps again with fresh attempts, or takes them as done by hand."""
    all_stuck = [active.step for active in stuck(transition.state)]
    steps = [step for step in all_stuck if operation.step in (None, step)]
    if not steps:
        needs = f"needs {operation.step} to be stuck" if all_stuck else "needs a saga that is stuck"
        return _refuse(transition, operation, needs)
    if len(steps) > 1 and isinstance(operation, Skip):
        several = join_names(steps, ", ")
        return _refuse(transition, operation, f"needs the name of one step, as several are stuck: {several}")
    transition.emit(_operated(operation, steps=steps))
    return transition.advance()


def compensate(transition: Transition, operation: Compensate) -> None:
    """Rolls a running saga back; a stuck pivot without an undo is taken as never done."""
    state = transition.state
    if not isinstance(state, Running) or not (can_roll_back(transition, state) or _is_pivot_stuck(transition, state)):
        return refuse_operation(transition, operation)
    why = because(operation.reason, state.active_steps[0].step, requested=True)
    transition.emit(_operated(operation, because=why))
    return transition.advance()


def refuse_operation(transition: Transition, operation: Operation) -> None:
    """Refuses an operation that makes no sense in this state."""
    needs = "a saga that is stuck"
    if isinstance(operation, Compensate):
        past_pivot = isinstance(transition.state, Running)
        needs = "a saga that can still go back" if past_pivot else "a saga that is running"
    _refuse(transition, operation, f"needs {needs}")


def _operated(operation: Operation, *, steps: list[str] | None = None, because: Because | None = None) -> Operated:
    event: Operated = {
        "type": "saga.operated",
        "operation": TYPE_OF[type(operation)],
        "operator": operation.operator,
        "reason": operation.reason,
    }
    if steps is not None:
        event["steps"] = steps
    if because is not None:
        event["because"] = because
    return event


def _refuse(transition: Transition, operation: Operation, refusal: str) -> None:
    transition.emit(
        {
            "type": "saga.operation.refused",
            "operation": TYPE_OF[type(operation)],
            "operator": operation.operator,
            "reason": operation.reason,
            "refusal": refusal,
        }
    )


def _is_pivot_stuck(transition: Transition, state: Running) -> bool:
    pivot = transition.saga.pivot
    return pivot is not None and isinstance(active_step(state.active_steps, pivot.name), Stuck)
