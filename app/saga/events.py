"""What a saga decided: the closed set of events. An event is its JSON, so that a log is folded as it is read."""

from typing import Literal, NotRequired, TypedDict

from app.saga.messages import Order


class Started(TypedDict):
    """The order was accepted."""

    type: Literal["saga.started"]
    order: Order
    digest: str


class StepRequested(TypedDict):
    """The step's command is sent; an answer is awaited until `due_ms` (since 1970)."""

    type: Literal["saga.step.requested"]
    step: str
    attempt: int
    due_ms: int


class StepSucceeded(TypedDict):
    """The participant did the step, and calls the result so."""

    type: Literal["saga.step.succeeded"]
    step: str
    attempt: int
    result: str


class StepRefused(TypedDict):
    """The participant refused: nothing was done."""

    type: Literal["saga.step.refused"]
    step: str
    attempt: int
    reason: str


class StepFailed(TypedDict):
    """A technical failure; with `retry_due_ms` (since 1970) the step is asked for again then, else it is given up."""

    type: Literal["saga.step.failed"]
    step: str
    attempt: int
    reason: str
    retryable: bool
    retry_due_ms: NotRequired[int]


class StepTimedOut(TypedDict):
    """No answer came in time."""

    type: Literal["saga.step.timed_out"]
    step: str
    attempt: int


class Because(TypedDict):
    """Why a saga goes back: after which step, and whether somebody asked for it."""

    reason: str
    step: str
    requested: bool


class CompensationRequested(TypedDict):
    """The step's undo is sent; the first one of a saga says why it goes back."""

    type: Literal["saga.compensation.requested"]
    step: str
    attempt: int
    due_ms: int
    because: NotRequired[Because]


class CompensationSucceeded(TypedDict):
    """The participant undid the step."""

    type: Literal["saga.compensation.succeeded"]
    step: str
    attempt: int


class CompensationFailed(TypedDict):
    """A technical failure in undoing; with `retry_due_ms` (since 1970) it is asked for again then."""

    type: Literal["saga.compensation.failed"]
    step: str
    attempt: int
    reason: str
    retryable: bool
    retry_due_ms: NotRequired[int]


class CompensationTimedOut(TypedDict):
    """No answer to an undo came in time."""

    type: Literal["saga.compensation.timed_out"]
    step: str
    attempt: int


class CancelRequested(TypedDict):
    """The order is to be rolled back on its shop's wish."""

    type: Literal["saga.cancel.requested"]
    reason: str


class CancelRefused(TypedDict):
    """A cancel came too late or twice."""

    type: Literal["saga.cancel.refused"]
    reason: str


class Operated(TypedDict):
    """A person acted, and said why."""

    type: Literal["saga.operated"]
    operation: str
    operator: str
    reason: str


class OperationRefused(TypedDict):
    """A person's wish made no sense in this state; `refusal` says why."""

    type: Literal["saga.operation.refused"]
    operation: str
    operator: str
    reason: str
    refusal: str


class ReplyIgnored(TypedDict):
    """A duplicate, late or unexpected reply changed nothing."""

    type: Literal["saga.reply.ignored"]
    reply: str
    command: str
    reason: str


class Finished(TypedDict):
    """Every step was done."""

    type: Literal["saga.completed"]


class WentBack(TypedDict):
    """All that was done is undone."""

    type: Literal["saga.rolled_back"]
    reason: str
    step: str
    requested: bool


class GotStuck(TypedDict):
    """An undo failed for good."""

    type: Literal["saga.stuck"]
    step: str
    attempt: int
    reason: str


Event = (
    Started
    | StepRequested
    | StepSucceeded
    | StepRefused
    | StepFailed
    | StepTimedOut
    | CompensationRequested
    | CompensationSucceeded
    | CompensationFailed
    | CompensationTimedOut
    | CancelRequested
    | CancelRefused
    | Operated
    | OperationRefused
    | ReplyIgnored
    | Finished
    | WentBack
    | GotStuck
)
