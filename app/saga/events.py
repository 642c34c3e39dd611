"""What a saga decided: the closed set of events. An event is its JSON, so that a log is folded as it is read.

What follows from an event is told by the ones after it in the same decision; what doesn't, waits: a step whose turn has
come, or whose time ran out, waits to be asked for until `requested` says that it was.
"""

from typing import Literal, NotRequired, TypedDict

from app.saga.messages import Order


class Because(TypedDict):
    """On the event that makes a saga go back: why, after which step, and whether somebody asked for it."""

    reason: str
    step: str
    requested: bool


class Started(TypedDict):
    """The order was accepted at `at_ms` (since 1970); not done by `deadline_ms`, it goes back."""

    type: Literal["saga.started"]
    order: Order
    digest: str
    at_ms: int
    deadline_ms: NotRequired[int]


class StepRequested(TypedDict):
    """The step's command is sent at `at_ms`; an answer is awaited until `due_ms` (since 1970)."""

    type: Literal["saga.step.requested"]
    step: str
    attempt: int
    at_ms: int
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
    because: Because


class StepFailed(TypedDict):
    """A technical failure; the step is asked for again at `retry_due_ms` (since 1970), or when there is room."""

    type: Literal["saga.step.failed"]
    step: str
    attempt: int
    reason: str
    retryable: bool
    retry_due_ms: NotRequired[int]
    because: NotRequired[Because]


class StepTimedOut(TypedDict):
    """No answer came in time, or the saga's deadline passed: then there is a reason to go back."""

    type: Literal["saga.step.timed_out"]
    step: str
    attempt: int
    because: NotRequired[Because]


class CompensationRequested(TypedDict):
    """The step's undo is sent at `at_ms`; an answer is awaited until `due_ms` (since 1970)."""

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
    """A technical failure in undoing; it is asked for again at `retry_due_ms` (since 1970), or when there is room."""

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
    because: Because


class CancelRefused(TypedDict):
    """A cancel came too late or twice."""

    type: Literal["saga.cancel.refused"]
    reason: str


class Operated(TypedDict):
    """A person acted, and said why: on these steps, which were stuck, or so that the saga goes back."""

    type: Literal["saga.operated"]
    operation: str
    operator: str
    reason: str
    steps: NotRequired[list[str]]
    because: NotRequired[Because]


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
    """Every step was done; the saga is forgotten at `forget_ms` (since 1970)."""

    type: Literal["saga.completed"]
    forget_ms: int


class WentBack(TypedDict):
    """All that was done is undone; the saga is forgotten at `forget_ms` (since 1970)."""

    type: Literal["saga.rolled_back"]
    reason: str
    step: str
    requested: bool
    forget_ms: int


class GotStuck(TypedDict):
    """A step failed for good at `at_ms` (since 1970), in being done past the way back, or in being undone."""

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
