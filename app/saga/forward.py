"""Moves of a saga that goes forward, or that begins to go back."""

from app.saga.events import Because, Event, StepFailed, StepRefused, StepSucceeded, StepTimedOut
from app.saga.identity import command_id
from app.saga.messages import Cancel, Compensate, Failed, Refused, Succeeded, TimerDue
from app.saga.standing import ignore
from app.saga.state import Pausing, Running
from app.saga.turn import TIMED_OUT, Answer, Forward, Turn, answers, counts, go_back, operated, request
from app.saga.verdict import NOTHING


def succeed(turn: Turn, state: Forward, reply: Succeeded) -> Answer:
    """The step is done: on to the next one, or to the end."""
    attempt = answers(turn, state, "do", reply)
    if attempt is None:
        return ignore(turn, state, reply)
    done: StepSucceeded = {
        "type": "saga.step.succeeded",
        "step": state.step,
        "attempt": attempt,
        "result": reply.result,
    }
    following = turn.saga.after(state.step)
    return [done, {"type": "saga.completed"} if following is None else request(turn, following, 1)]


def refuse(turn: Turn, state: Forward, reply: Refused) -> Answer:
    """Nothing was done in this step: only those before it are undone."""
    attempt = answers(turn, state, "do", reply)
    if attempt is None:
        return ignore(turn, state, reply)
    refused: StepRefused = {"type": "saga.step.refused", "step": state.step, "attempt": attempt, "reason": reply.reason}
    because: Because = {"reason": reply.reason, "step": state.step, "requested": False}
    return [refused, go_back(turn, turn.saga.before(state.step), because)]


def fail(turn: Turn, state: Forward, reply: Failed) -> Answer:
    """Asked for again after a pause, or given up; then it may have happened, and is undone too."""
    attempt = answers(turn, state, "do", reply)
    if attempt is None or not counts(state, reply, attempt):
        return ignore(turn, state, reply)
    retry = turn.saga.step(state.step).do.retry
    failed: StepFailed = {
        "type": "saga.step.failed",
        "step": state.step,
        "attempt": attempt,
        "reason": reply.reason,
        "retryable": reply.retryable,
    }
    if reply.retryable and state.attempt < retry.attempts:
        failed["retry_due_ms"] = turn.at_ms + retry.pause_ms(attempt, command_id(turn.id, state.step, "do", attempt))
        return [failed]
    return [failed, _give_up(turn, state, reply.reason, requested=False)]


def time_out(turn: Turn, state: Running, timer: TimerDue) -> Answer:
    """No answer in time: asked for again at once, or given up."""
    if timer.due_ms != state.due_ms:
        return NOTHING
    timed_out: StepTimedOut = {"type": "saga.step.timed_out", "step": state.step, "attempt": state.attempt}
    step = turn.saga.step(state.step)
    if state.attempt < step.do.retry.attempts:
        return [timed_out, request(turn, step, state.attempt + 1)]
    return [timed_out, _give_up(turn, state, TIMED_OUT, requested=False)]


def ask_again(turn: Turn, state: Pausing, timer: TimerDue) -> Answer:
    """The pause after a failure is over."""
    if timer.due_ms != state.due_ms:
        return NOTHING
    return [request(turn, turn.saga.step(state.step), state.attempt + 1)]


def cancel(turn: Turn, state: Forward, wish: Cancel) -> Answer:
    """Before the end an order can be cancelled; the step that is under way may have happened, and is undone too."""
    return [
        {"type": "saga.cancel.requested", "reason": wish.reason},
        _give_up(turn, state, wish.reason, requested=True),
    ]


def compensate(turn: Turn, state: Forward, wish: Compensate) -> Answer:
    """An operator has a running saga rolled back."""
    return [operated(wish), _give_up(turn, state, wish.reason, requested=True)]


def _give_up(turn: Turn, state: Forward, reason: str, *, requested: bool) -> Event:
    """Goes back, the step under way included: it may have happened."""
    return go_back(turn, turn.saga.step(state.step), {"reason": reason, "step": state.step, "requested": requested})
