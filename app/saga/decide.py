"""What a saga decides on an input: one table, total over every state and every input."""

from collections.abc import Callable
from typing import Any

from app.saga import backward, forward, standing
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
from app.saga.turn import Answer, Turn
from app.saga.verdict import Decision, Verdict

Row = dict[type[Input], Callable[[Turn, Any, Any], Answer]]

_NO_REPLY: Row = {
    Succeeded: standing.ignore,
    Refused: standing.ignore,
    Undone: standing.ignore,
    Failed: standing.ignore,
}
_NO_OPERATION: Row = {
    Retry: standing.refuse_operation,
    Skip: standing.refuse_operation,
    Compensate: standing.refuse_operation,
}
_FORWARD: Row = {
    Place: standing.recognise,
    Cancel: forward.cancel,
    Succeeded: forward.succeed,
    Refused: forward.refuse,
    Undone: standing.ignore,
    Failed: forward.fail,
    **_NO_OPERATION,
    Compensate: forward.compensate,
}
_BACKWARD: Row = {
    Place: standing.recognise,
    Cancel: standing.refuse_cancel,
    **_NO_REPLY,
    Undone: backward.undone,
    Failed: backward.fail_undo,
    **_NO_OPERATION,
}
_ENDED: Row = {
    Place: standing.recognise,
    Cancel: standing.refuse_cancel,
    **_NO_REPLY,
    **_NO_OPERATION,
    TimerDue: standing.overtaken,
}
TABLE: dict[type[State], Row] = {
    NotStarted: {
        **dict.fromkeys(
            (Cancel, Succeeded, Refused, Undone, Failed, Retry, Skip, Compensate),
            standing.unknown,
        ),
        Place: standing.start,
        TimerDue: standing.overtaken,
    },
    Running: {**_FORWARD, TimerDue: forward.time_out},
    Pausing: {**_FORWARD, TimerDue: forward.ask_again},
    Compensating: {**_BACKWARD, TimerDue: backward.time_out_undo},
    CompensationPausing: {**_BACKWARD, TimerDue: backward.ask_undo_again},
    Stuck: {**_ENDED, Undone: backward.undone, Retry: backward.retry, Skip: backward.skip},
    Completed: _ENDED,
    RolledBack: _ENDED,
}


def decide(saga: Saga, saga_id: str, progress: Progress, given: Input, at_ms: int) -> Verdict:
    """What comes of an input at a time (ms since 1970). Never raises for any state and input of their closed sets."""
    answer = TABLE[type(progress.state)][type(given)](Turn(saga, saga_id, at_ms), progress.state, given)
    if isinstance(answer, list):
        return Decision(answer, advance(saga, progress, answer))
    return answer
