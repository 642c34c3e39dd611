"""The moves of a saga: each answers one kind of input in some states, with the events that happen."""

from app.saga.definition import Saga, Step
from app.saga.events import Because, Event
from app.saga.facts import fact
from app.saga.identity import Direction, attempt_of, command_id, effect_key
from app.saga.messages import (
    TYPE_OF,
    Cancel,
    Compensate,
    Failed,
    Operation,
    Place,
    Refused,
    Reply,
    Retry,
    Skip,
    Succeeded,
    TimerDue,
    Undone,
)
from app.saga.state import (
    Compensating,
    CompensationPausing,
    Completed,
    NotStarted,
    Pausing,
    RolledBack,
    Running,
    State,
    Stuck,
)
from app.saga.verdict import NOTHING, Nothing, Unacceptable

Answer = list[Event] | Nothing | Unacceptable
Forward = Running | Pausing
Backward = Compensating | CompensationPausing

TIMED_OUT = "timed out"


@fact
class Turn:
    """Which saga decides, and when (ms since 1970)."""

    saga: Saga
    id: str
    at_ms: int


# placing


def start(turn: Turn, _: NotStarted, place: Place) -> Answer:
    """The first valid order of an id starts its saga."""
    return [
        {"type": "saga.started", "order": place.order, "digest": place.digest},
        _request(turn, turn.saga.steps[0], 1),
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


# replies, going forward


def succeed(turn: Turn, state: Forward, reply: Succeeded) -> Answer:
    """The step is done: on to the next one, or to the end."""
    attempt = _answers(turn, state, "do", reply)
    if attempt is None:
        return ignore(turn, state, reply)
    done: Event = {"type": "saga.step.succeeded", "step": state.step, "attempt": attempt, "result": reply.result}
    following = turn.saga.after(state.step)
    return [done, {"type": "saga.completed"} if following is None else _request(turn, following, 1)]


def refuse(turn: Turn, state: Forward, reply: Refused) -> Answer:
    """Nothing was done in this step: only those before it are undone."""
    attempt = _answers(turn, state, "do", reply)
    if attempt is None:
        return ignore(turn, state, reply)
    refused: Event = {"type": "saga.step.refused", "step": state.step, "attempt": attempt, "reason": reply.reason}
    return [refused, _go_back(turn, turn.saga.before(state.step), reply.reason, state.step, requested=False)]


def fail(turn: Turn, state: Forward, reply: Failed) -> Answer:
    """Asked for again after a pause, or given up; then it may have happened, and is undone too."""
    attempt = _answers(turn, state, "do", reply)
    if attempt is None or not _counts(state, reply, attempt):
        return ignore(turn, state, reply)
    retry = turn.saga.step(state.step).do.retry
    failed: Event = {
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


# replies, going back


def undone(turn: Turn, state: Backward | Stuck, reply: Undone) -> Answer:
    """The undo is done, even when it was taken for stuck: on to the step before, or to the end."""
    attempt = _answers(turn, state, "undo", reply)
    if attempt is None:
        return ignore(turn, state, reply)
    done: Event = {"type": "saga.compensation.succeeded", "step": state.step, "attempt": attempt}
    return [done, _undo_before(turn, state)]


def fail_undo(turn: Turn, state: Backward, reply: Failed) -> Answer:
    """Asked for again after a pause, or stuck."""
    attempt = _answers(turn, state, "undo", reply)
    if attempt is None or not _counts(state, reply, attempt):
        return ignore(turn, state, reply)
    failed: Event = {
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


def ignore(turn: Turn, state: State, reply: Reply) -> Answer:
    """A duplicate, late or unexpected reply changes nothing, and is recorded."""
    waiting = isinstance(state, Forward | Backward | Stuck)
    reason = f"{state.step} is awaited otherwise" if waiting else "nothing is awaited"
    return [{"type": "saga.reply.ignored", "reply": reply.type, "command": reply.command, "reason": reason}]


# time


def time_out(turn: Turn, state: Running, timer: TimerDue) -> Answer:
    """No answer in time: asked for again at once, or given up."""
    if timer.due_ms != state.due_ms:
        return NOTHING
    timed_out: Event = {"type": "saga.step.timed_out", "step": state.step, "attempt": state.attempt}
    step = turn.saga.step(state.step)
    if state.attempt < step.do.retry.attempts:
        return [timed_out, _request(turn, step, state.attempt + 1)]
    return [timed_out, _give_up(turn, state, TIMED_OUT, requested=False)]


def ask_again(turn: Turn, state: Pausing, timer: TimerDue) -> Answer:
    """The pause after a failure is over."""
    if timer.due_ms != state.due_ms:
        return NOTHING
    return [_request(turn, turn.saga.step(state.step), state.attempt + 1)]


def time_out_undo(turn: Turn, state: Compensating, timer: TimerDue) -> Answer:
    """No answer to an undo in time: asked for again at once, or stuck."""
    if timer.due_ms != state.due_ms:
        return NOTHING
    timed_out: Event = {"type": "saga.compensation.timed_out", "step": state.step, "attempt": state.attempt}
    if _undo_attempts_left(turn, state):
        return [timed_out, _request_undo(turn, turn.saga.step(state.step), state.attempt + 1)]
    return [timed_out, _stick(state, TIMED_OUT)]


def ask_undo_again(turn: Turn, state: CompensationPausing, timer: TimerDue) -> Answer:
    """The pause after a failed undo is over."""
    if timer.due_ms != state.due_ms:
        return NOTHING
    return [_request_undo(turn, turn.saga.step(state.step), state.attempt + 1)]


# shops and operators


def cancel(turn: Turn, state: Forward, wish: Cancel) -> Answer:
    """Before the end an order can be cancelled; the step that is under way may have happened, and is undone too."""
    return [
        {"type": "saga.cancel.requested", "reason": wish.reason},
        _give_up(turn, state, wish.reason, requested=True),
    ]


def refuse_cancel(_: Turn, state: Backward | Stuck | Completed | RolledBack, __: Cancel) -> Answer:
    """After the end, or on the way back already, there is nothing to cancel."""
    if isinstance(state, Completed):
        reason = "the order is completed"
    elif state.why.requested:
        reason = "the order was cancelled before"
    else:
        reason = "the order is being rolled back" if not isinstance(state, RolledBack) else "the order was rolled back"
    return [{"type": "saga.cancel.refused", "reason": reason}]


def compensate(turn: Turn, state: Forward, wish: Compensate) -> Answer:
    """An operator has a running saga rolled back."""
    return [_operated(wish), _give_up(turn, state, wish.reason, requested=True)]


def retry(turn: Turn, state: Stuck, wish: Retry) -> Answer:
    """The stuck undo is sent again, with fresh attempts."""
    return [_operated(wish), _request_undo(turn, turn.saga.step(state.step), state.attempt + 1)]


def skip(turn: Turn, state: Stuck, wish: Skip) -> Answer:
    """The stuck undo is taken as done by hand."""
    return [_operated(wish), _undo_before(turn, state)]


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


# what the moves share


def _answers(turn: Turn, state: Forward | Backward | Stuck, direction: Direction, reply: Reply) -> int | None:
    """Which of the attempts sent so far the reply answers; None for a reply to anything else."""
    if reply.step != state.step:
        return None
    attempt = attempt_of(reply.command, effect_key(turn.id, state.step, direction))
    return attempt if attempt is not None and attempt <= state.attempt else None


def _counts(state: Forward | Backward, reply: Failed, attempt: int) -> bool:
    """A failure for good ends an effect; a passing one only the attempt that is under way, and that once."""
    return not reply.retryable or (attempt == state.attempt and isinstance(state, Running | Compensating))


def _request(turn: Turn, step: Step, attempt: int) -> Event:
    return {
        "type": "saga.step.requested",
        "step": step.name,
        "attempt": attempt,
        "due_ms": turn.at_ms + step.do.timeout_ms,
    }


def _request_undo(turn: Turn, step: Step, attempt: int, because: Because | None = None) -> Event:
    requested: Event = {
        "type": "saga.compensation.requested",
        "step": step.name,
        "attempt": attempt,
        "due_ms": turn.at_ms + step.undo.timeout_ms,
    }
    if because is not None:
        requested["because"] = because
    return requested


def _give_up(turn: Turn, state: Forward, reason: str, *, requested: bool) -> Event:
    """Goes back, the step under way included: it may have happened."""
    return _go_back(turn, turn.saga.step(state.step), reason, state.step, requested=requested)


def _go_back(turn: Turn, first: Step | None, reason: str, step: str, *, requested: bool) -> Event:
    if first is None:
        return {"type": "saga.rolled_back", "reason": reason, "step": step, "requested": requested}
    return _request_undo(turn, first, 1, {"reason": reason, "step": step, "requested": requested})


def _undo_before(turn: Turn, state: Backward | Stuck) -> Event:
    following, why = turn.saga.before(state.step), state.why
    if following is not None:
        return _request_undo(turn, following, 1)
    return {"type": "saga.rolled_back", "reason": why.reason, "step": why.step, "requested": why.requested}


def _undo_attempts_left(turn: Turn, state: Backward) -> bool:
    used = state.attempt - state.first_attempt + 1
    return used < turn.saga.step(state.step).undo.retry.attempts


def _stick(state: Backward, reason: str) -> Event:
    return {"type": "saga.stuck", "step": state.step, "attempt": state.attempt, "reason": reason}


def _operated(wish: Operation) -> Event:
    return {
        "type": "saga.operated",
        "operation": TYPE_OF[type(wish)],
        "operator": wish.operator,
        "reason": wish.reason,
    }
