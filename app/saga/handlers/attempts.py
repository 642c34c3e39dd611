"""Attempts that fail, time out or are queued: failure replies, due timers, free capacity; the same for do and undo."""

from typing import Any

from app.saga.handlers.replies import ignore_reply
from app.saga.message_ids import command_id
from app.saga.messages import CapacityAvailable, Failed, TimerDue
from app.saga.state import (
    ACTIVE_STATES,
    WITH_DUE_TIME,
    ActiveStep,
    BackingOff,
    InFlight,
    Queued,
    Running,
    Stuck,
    active_step,
    due_ms,
)
from app.saga.transition import Transition, because

TIMED_OUT = "timed out"
TOO_LATE = "the order's deadline has passed"


def on_failed(transition: Transition, reply: Failed) -> None:
    """Retries after a backoff or when capacity is free. With no attempts left the saga rolls back or becomes stuck."""
    found = transition.match_reply(transition.direction, reply)
    if found is None or not _still_counts(*found, retryable=reply.retryable):
        return ignore_reply(transition, reply)
    active, attempt = found
    failed: dict[str, Any] = {"step": active.step, "attempt": attempt, "reason": reply.reason}
    failed["retryable"] = reply.retryable
    if not (reply.retryable and _attempts_left(transition, active)):
        return _give_up(transition, "failed", failed, active, reply.reason)
    if transition.keeps_slot(active.step):
        id = command_id(transition.id, active.step, transition.direction, attempt)
        retry = transition.command(active.step).retry
        failed["retry_due_ms"] = transition.at_ms + retry.pause_ms(attempt - active.first + 1, id)
    else:
        transition.queued = True
    return transition.emit_for_step("failed", failed)


def on_timer(transition: Transition, timer: TimerDue) -> None:
    """A reply did not come in time, a backoff is over, or the saga's deadline has passed."""
    state = transition.state
    if not isinstance(state, ACTIVE_STATES) or timer.due_ms != due_ms(state):
        return
    if isinstance(state, Running) and state.deadline_ms == timer.due_ms:
        _deadline_passed(transition, state)
        return
    for active in state.active_steps:
        if isinstance(active, WITH_DUE_TIME) and active.due_ms == timer.due_ms:
            _step_due(transition, active)
            return  # one per decision, as each has its own cause and outcome; the others stay due


def on_capacity(transition: Transition, capacity: CapacityAvailable) -> None:
    """Requests the step if it is queued."""
    state = transition.state
    active = active_step(state.active_steps, capacity.step) if isinstance(state, ACTIVE_STATES) else None
    if isinstance(active, Queued):
        transition.request(active)


def _step_due(transition: Transition, active: InFlight | BackingOff) -> None:
    if isinstance(active, BackingOff):
        return transition.request(active)
    timed_out = {"step": active.step, "attempt": active.attempt}
    if not _attempts_left(transition, active):
        return _give_up(transition, "timed_out", timed_out, active, TIMED_OUT)
    transition.emit_for_step("timed_out", timed_out)
    return transition.advance()


def _deadline_passed(transition: Transition, state: Running) -> None:
    """Steps that were requested may have happened, so they are undone too."""
    *others, last = [active for active in state.active_steps if active.attempt] or state.active_steps[:1]
    for active in others:
        transition.emit_for_step("timed_out", {"step": active.step, "attempt": active.attempt})
    why = because(TOO_LATE, last.step)
    transition.emit_for_step("timed_out", {"step": last.step, "attempt": last.attempt, "because": why})
    transition.advance()


def _give_up(transition: Transition, suffix: str, event: dict[str, Any], active: ActiveStep, reason: str) -> None:
    """A running step with an undo rolls the saga back, as it may have happened; any other step is stuck."""
    if isinstance(transition.state, Running) and transition.saga.step(active.step).undo is not None:
        transition.emit_for_step(suffix, {**event, "because": because(reason, active.step)})
        return transition.advance()
    transition.emit_for_step(suffix, event)
    return transition.emit(
        {
            "type": "saga.stuck",
            "step": active.step,
            "attempt": active.attempt,
            "at_ms": transition.at_ms,
            "reason": reason,
        }
    )


def _attempts_left(transition: Transition, active: ActiveStep) -> bool:
    return active.attempt - active.first + 1 < transition.command(active.step).retry.attempts


def _still_counts(active: ActiveStep, attempt: int, *, retryable: bool) -> bool:
    """A final failure counts unless an operator has retried since. A retryable one counts for the attempt in flight."""
    if retryable:
        return isinstance(active, InFlight) and attempt == active.attempt
    return attempt >= active.first and not isinstance(active, Stuck)
