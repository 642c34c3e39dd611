"""The closed set of events that decisions consist of. An event is its JSON, so a log is folded as it is read.

The events after an event in the same decision are its consequences. Queueing has no event: a step that is ready or has
timed out is queued until a `requested` event says that its command was sent.
"""

from typing import Literal, NotRequired, TypedDict

from app.saga.messages import Order


class Because(TypedDict):
    """Why the saga rolls back: the reason, the step it had reached, and whether a shop or an operator requested it."""

    reason: str
    step: str
    requested: bool


class Started(TypedDict):
    """The order was accepted at `at_ms` (ms since 1970). If not completed by `deadline_ms`, the saga rolls back.

    `trace` and `tracestate` are the order's W3C trace context, if it had one.
    """

    type: Literal["saga.started"]
    order: Order
    digest: str
    at_ms: int
    deadline_ms: NotRequired[int]
    trace: NotRequired[str]
    tracestate: NotRequired[str]


class StepRequested(TypedDict):
    """The step's command was sent at `at_ms`. Without a reply by `due_ms` (ms since 1970) the attempt times out."""

    type: Literal["saga.step.requested"]
    step: str
    attempt: int
    at_ms: int
    due_ms: int


class StepSucceeded(TypedDict):
    """The participant did the step; `result` is the participant's name for what it did."""

    type: Literal["saga.step.succeeded"]
    step: str
    attempt: int
    result: str


class StepRefused(TypedDict):
    """The participant refused the step: nothing was done."""

    type: Literal["saga.step.refused"]
    step: str
    attempt: int
    reason: str
    because: Because


class StepFailed(TypedDict):
    """A technical failure. It is sent again at `retry_due_ms` (ms since 1970) or, without it, when capacity is free."""

    type: Literal["saga.step.failed"]
    step: str
    attempt: int
    reason: str
    retryable: bool
    retry_due_ms: NotRequired[int]
    because: NotRequired[Because]


class StepTimedOut(TypedDict):
    """No reply came in time, or the saga's deadline passed. With `because` the saga rolls back."""

    type: Literal["saga.step.timed_out"]
    step: str
    attempt: int
    because: NotRequired[Because]


class CompensationRequested(TypedDict):
    """The step's undo was sent at `at_ms`. Without a reply by `due_ms` (ms since 1970) the attempt times out."""

    type: Literal["saga.compensation.requested"]
    step: str
    attempt: int
    at_ms: int
    due_ms: int


class CompensationSucceeded(TypedDict):
    """The participant undid the step."""

    type: Literal["saga.compensation.succeeded"]
    step: str
    attempt: int


class CompensationFailed(TypedDict):
    """The undo failed. It is sent again at `retry_due_ms` (ms since 1970) or, without it, when capacity is free."""

    type: Literal["saga.compensation.failed"]
    step: str
    attempt: int
    reason: str
    retryable: bool
    retry_due_ms: NotRequired[int]


class CompensationTimedOut(TypedDict):
    """No reply to an undo came in time."""

    type: Literal["saga.compensation.timed_out"]
    step: str
    attempt: int


class CancelRequested(TypedDict):
    """The shop cancelled the order: the saga rolls back."""

    type: Literal["saga.cancel.requested"]
    reason: str
    because: Because


class CancelRefused(TypedDict):
    """A cancel came too late, or twice."""

    type: Literal["saga.cancel.refused"]
    reason: str


class Operated(TypedDict):
    """An operator acted, with a reason: on `steps`, which were stuck, or to roll the saga back (`because`)."""

    type: Literal["saga.operated"]
    operation: str
    operator: str
    reason: str
    steps: NotRequired[list[str]]
    because: NotRequired[Because]


class OperationRefused(TypedDict):
    """An operation made no sense in this state; `refusal` says why."""

    type: Literal["saga.operation.refused"]
    operation: str
    operator: str
    reason: str
    refusal: str


class ReplyIgnored(TypedDict):
    """A duplicate, late or unexpected reply, which changed nothing."""

    type: Literal["saga.reply.ignored"]
    reply: str
    command: str
    reason: str


class Finished(TypedDict):
    """Every step is done. The saga's state is deleted at `forget_ms` (ms since 1970)."""

    type: Literal["saga.completed"]
    forget_ms: int


class WentBack(TypedDict):
    """Every step that was done is undone. The saga's state is deleted at `forget_ms` (ms since 1970)."""

    type: Literal["saga.rolled_back"]
    reason: str
    step: str
    requested: bool
    forget_ms: int


class GotStuck(TypedDict):
    """A step failed for good at `at_ms` (ms since 1970): it can't roll back any more, or could not be undone."""

    type: Literal["saga.stuck"]
    step: str
    attempt: int
    at_ms: int
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
