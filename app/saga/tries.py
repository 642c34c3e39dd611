"""Moves of a step under way whose answer is a technical failure, or does not come; done and undone alike."""

from typing import Any

from app.saga.identity import command_id
from app.saga.messages import Failed, RoomFor, TimerDue
from app.saga.standing import ignore
from app.saga.state import (
    TIMED,
    UNDER_WAY,
    Asked,
    Leg,
    Pausing,
    Running,
    Stuck,
    Waiting,
    due_ms,
    leg_of,
)
from app.saga.turn import Turn, because

TIMED_OUT = "timed out"
TOO_LATE = "the order's deadline has passed"


def fail(turn: Turn, reply: Failed) -> None:
    """Asked again after a pause or when there is room; or given up and undone, as it may have happened; or stuck."""
    found = turn.answered(turn.direction, reply)
    if found is None or not _counts(*found, passing=reply.retryable):
        return ignore(turn, reply)
    leg, attempt = found
    failed: dict[str, Any] = {"step": leg.step, "attempt": attempt, "reason": reply.reason}
    failed["retryable"] = reply.retryable
    if not (reply.retryable and _tries_left(turn, leg)):
        return _end(turn, "failed", failed, leg, reply.reason)
    if turn.bears(leg.step):
        id, retry = command_id(turn.id, leg.step, turn.direction, attempt), turn.command(leg.step).retry
        failed["retry_due_ms"] = turn.at_ms + retry.pause_ms(attempt - leg.first + 1, id)
    return turn.happen_to("failed", failed)


def time(turn: Turn, timer: TimerDue) -> None:
    """What waited for this time goes on: an answer did not come, a pause is over, or it is too late for the saga."""
    state = turn.state
    if not isinstance(state, UNDER_WAY) or timer.due_ms != due_ms(state):
        return
    if isinstance(state, Running) and state.deadline_ms == timer.due_ms:
        _run_out(turn, state)
        return
    for leg in state.legs:
        if isinstance(leg, TIMED) and leg.due_ms == timer.due_ms:
            _overdue(turn, leg)
            return  # one at a time, for each has its own cause and outcome; the others are due still


def room(turn: Turn, given: RoomFor) -> None:
    """A step that waits is asked for."""
    state = turn.state
    leg = leg_of(state.legs, given.step) if isinstance(state, UNDER_WAY) else None
    if isinstance(leg, Waiting):
        turn.request(leg)


def _overdue(turn: Turn, leg: Asked | Pausing) -> None:
    if isinstance(leg, Pausing):
        return turn.request(leg)
    timed_out = {"step": leg.step, "attempt": leg.attempt}
    if not _tries_left(turn, leg):
        return _end(turn, "timed_out", timed_out, leg, TIMED_OUT)
    turn.happen_to("timed_out", timed_out)
    return turn.go_on()


def _run_out(turn: Turn, state: Running) -> None:
    """What was asked for may have happened, and is undone too."""
    *others, last = [leg for leg in state.legs if leg.attempt] or state.legs[:1]
    for leg in others:
        turn.happen_to("timed_out", {"step": leg.step, "attempt": leg.attempt})
    why = because(TOO_LATE, last.step)
    turn.happen_to("timed_out", {"step": last.step, "attempt": last.attempt, "because": why})
    turn.go_on()


def _end(turn: Turn, what: str, event: dict[str, Any], leg: Leg, reason: str) -> None:
    """No more tries: forward what can be undone is, and so is the rest; all else needs a person."""
    if isinstance(turn.state, Running) and turn.saga.step(leg.step).undo is not None:
        turn.happen_to(what, {**event, "because": because(reason, leg.step)})
        return turn.go_on()
    turn.happen_to(what, event)
    return turn.happen(
        {"type": "saga.stuck", "step": leg.step, "attempt": leg.attempt, "at_ms": turn.at_ms, "reason": reason}
    )


def _tries_left(turn: Turn, leg: Leg) -> bool:
    return leg.attempt - leg.first + 1 < turn.command(leg.step).retry.attempts


def _counts(leg: Leg, attempt: int, *, passing: bool) -> bool:
    """A failure for good ends an effect, unless an operator asked anew since; a passing one, the attempt under way."""
    if passing:
        return isinstance(leg, Asked) and attempt == leg.attempt
    return attempt >= leg.first and not isinstance(leg, Stuck)
