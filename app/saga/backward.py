"""Moves of a saga that goes back, or that is stuck on its way back."""

from app.saga.events import CompensationFailed, CompensationSucceeded, CompensationTimedOut, Event, GotStuck
from app.saga.identity import command_id
from app.saga.messages import Failed, Retry, Skip, TimerDue, Undone
from app.saga.standing import ignore
from app.saga.state import Compensating, CompensationPausing, Stuck
from app.saga.turn import TIMED_OUT, Answer, Backward, Turn, answers, counts, operated, request_undo
from app.saga.verdict import NOTHING


def undone(turn: Turn, state: Backward | Stuck, reply: Undone) -> Answer:
    """The undo is done, even when it was taken for stuck: on to the step before, or to the end."""
    attempt = answers(turn, state, "undo", reply)
    if attempt is None:
        return ignore(turn, state, reply)
    done: CompensationSucceeded = {"type": "saga.compensation.succeeded", "step": state.step, "attempt": attempt}
    return [done, _undo_before(turn, state)]


def fail_undo(turn: Turn, state: Backward, reply: Failed) -> Answer:
    """Asked for again after a pause, or stuck."""
    attempt = answers(turn, state, "undo", reply)
    if attempt is None or not counts(state, reply, attempt):
        return ignore(turn, state, reply)
    failed: CompensationFailed = {
        "type": "saga.compensation.failed",
        "step": state.step,
        "attempt": attempt,
        "reason": reply.reason,
        "retryable": reply.retryable,
    }
    if reply.retryable and _undo_attempts_left(turn, state):
        retry, id = turn.saga.step(state.step).undo.retry, command_id(turn.id, state.step, "undo", attempt)
        failed["retry_due_ms"] = turn.at_ms + retry.pause_ms(attempt - state.first_attempt + 1, id)
        return [failed]
    return [failed, _stick(state, reply.reason)]


def time_out_undo(turn: Turn, state: Compensating, timer: TimerDue) -> Answer:
    """No answer to an undo in time: asked for again at once, or stuck."""
    if timer.due_ms != state.due_ms:
        return NOTHING
    timed_out: CompensationTimedOut = {
        "type": "saga.compensation.timed_out",
        "step": state.step,
        "attempt": state.attempt,
    }
    if _undo_attempts_left(turn, state):
        return [timed_out, request_undo(turn, turn.saga.step(state.step), state.attempt + 1)]
    return [timed_out, _stick(state, TIMED_OUT)]


def ask_undo_again(turn: Turn, state: CompensationPausing, timer: TimerDue) -> Answer:
    """The pause after a failed undo is over."""
    if timer.due_ms != state.due_ms:
        return NOTHING
    return [request_undo(turn, turn.saga.step(state.step), state.attempt + 1)]


def retry(turn: Turn, state: Stuck, wish: Retry) -> Answer:
    """The stuck undo is sent again, with fresh attempts."""
    return [operated(wish), request_undo(turn, turn.saga.step(state.step), state.attempt + 1)]


def skip(turn: Turn, state: Stuck, wish: Skip) -> Answer:
    """The stuck undo is taken as done by hand."""
    return [operated(wish), _undo_before(turn, state)]


def _undo_before(turn: Turn, state: Backward | Stuck) -> Event:
    following, why = turn.saga.before(state.step), state.why
    if following is not None:
        return request_undo(turn, following, 1)
    return {"type": "saga.rolled_back", "reason": why.reason, "step": why.step, "requested": why.requested}


def _undo_attempts_left(turn: Turn, state: Backward) -> bool:
    used = state.attempt - state.first_attempt + 1
    return used < turn.saga.step(state.step).undo.retry.attempts


def _stick(state: Backward, reason: str) -> GotStuck:
    return {"type": "saga.stuck", "step": state.step, "attempt": state.attempt, "reason": reason}
