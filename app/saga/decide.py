"""What a saga decides on an input: one table, total over every state and every input."""

from collections.abc import Callable
from typing import Any

from app.saga import moves
from app.saga.definition import Saga
from app.saga.evolve import advance
from app.saga.messages import (
    Cancel,
    Compensate,
    Failed,
    Input,
    Place,
    Refused,
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
    Progress,
    RolledBack,
    Running,
    State,
    Stuck,
)
from app.saga.verdict import Decision, Verdict

Row = dict[type[Input], Callable[[moves.Turn, Any, Any], moves.Answer]]

_NO_REPLY: Row = {
    Succeeded: moves.ignore,
    Refused: moves.ignore,
    Undone: moves.ignore,
    Failed: moves.ignore,
}
_NO_OPERATION: Row = {
    Retry: moves.refuse_operation,
    Skip: moves.refuse_operation,
    Compensate: moves.refuse_operation,
}
_FORWARD: Row = {
    Place: moves.recognise,
    Cancel: moves.cancel,
    Succeeded: moves.succeed,
    Refused: moves.refuse,
    Undone: moves.ignore,
    Failed: moves.fail,
    **_NO_OPERATION,
    Compensate: moves.compensate,
}
_BACKWARD: Row = {
    Place: moves.recognise,
    Cancel: moves.refuse_cancel,
    **_NO_REPLY,
    Undone: moves.undone,
    Failed: moves.fail_undo,
    **_NO_OPERATION,
}
_ENDED: Row = {
    Place: moves.recognise,
    Cancel: moves.refuse_cancel,
    **_NO_REPLY,
    **_NO_OPERATION,
    TimerDue: moves.overtaken,
}
TABLE: dict[type[State], Row] = {
    NotStarted: {
        **dict.fromkeys(
            (Cancel, Succeeded, Refused, Undone, Failed, Retry, Skip, Compensate),
            moves.unknown,
        ),
        Place: moves.start,
        TimerDue: moves.overtaken,
    },
    Running: {**_FORWARD, TimerDue: moves.time_out},
    Pausing: {**_FORWARD, TimerDue: moves.ask_again},
    Compensating: {**_BACKWARD, TimerDue: moves.time_out_undo},
    CompensationPausing: {**_BACKWARD, TimerDue: moves.ask_undo_again},
    Stuck: {**_ENDED, Undone: moves.undone, Retry: moves.retry, Skip: moves.skip},
    Completed: _ENDED,
    RolledBack: _ENDED,
}


def decide(saga: Saga, saga_id: str, progress: Progress, given: Input, at_ms: int) -> Verdict:
    """What comes of an input at a time (ms since 1970). Never raises for any state and input of their closed sets."""
    answer = TABLE[type(progress.state)][type(given)](moves.Turn(saga, saga_id, at_ms), progress.state, given)
    if isinstance(answer, list):
        return Decision(answer, advance(saga, progress, answer))
    return answer
