"""The inputs of a saga: a closed union. `id` is the message's own id (`ce_id`)."""

from typing import TypedDict

from app.saga.immutable import immutable


class Money(TypedDict):
    """An amount in the smallest unit of its currency (ISO 4217)."""

    currency: str
    minor: int


class Line(TypedDict):
    """One product of an order."""

    sku: str
    quantity: int
    unit_price: Money


class Order(TypedDict):
    """An order as placed; it never changes."""

    order_id: str
    customer_id: str
    total: Money
    lines: list[Line]


@immutable
class Trace:
    """The W3C trace context that an order came with: its `traceparent`, and its `tracestate` ("" without one)."""

    parent: str
    state: str = ""


@immutable
class Place:
    """A shop places an order. The digest tells two orders with the same id apart."""

    id: str
    order: Order
    digest: str
    trace: Trace | None = None


@immutable
class Cancel:
    """A shop wants its order rolled back."""

    id: str
    reason: str


@immutable
class Succeeded:
    """A participant did a step. `command` is the id of the command, `result` the participant's name for what it did."""

    id: str
    type: str
    step: str
    command: str
    result: str


@immutable
class Refused:
    """A participant refused a step for a business reason, and did nothing."""

    id: str
    type: str
    step: str
    command: str
    reason: str


@immutable
class Undone:
    """A participant undid a step."""

    id: str
    type: str
    step: str
    command: str


@immutable
class Failed:
    """A participant failed technically, to do or to undo a step; whether anything happened is unknown."""

    id: str
    type: str
    step: str
    command: str
    reason: str
    retryable: bool


@immutable
class Retry:
    """An operator has stuck steps sent again: all of them, or one."""

    id: str
    operator: str
    reason: str
    step: str | None = None


@immutable
class Skip:
    """An operator takes a stuck step as done by hand; `step` is needed if several are stuck."""

    id: str
    operator: str
    reason: str
    step: str | None = None


@immutable
class Compensate:
    """An operator rolls a running saga back."""

    id: str
    operator: str
    reason: str


@immutable
class TimerDue:
    """The time (ms since 1970) that the state waits for has come."""

    due_ms: int


@immutable
class CapacityAvailable:
    """A queued step may be sent: its participant has capacity."""

    step: str


Reply = Succeeded | Refused | Undone | Failed
Operation = Retry | Skip | Compensate
Input = Place | Cancel | Reply | Operation | TimerDue | CapacityAvailable
INPUTS: tuple[type[Input], ...] = (
    Place,
    Cancel,
    Succeeded,
    Refused,
    Undone,
    Failed,
    Retry,
    Skip,
    Compensate,
    TimerDue,
    CapacityAvailable,
)

TYPE_OF: dict[type[Input], str] = {
    Place: "order.place",
    Cancel: "order.cancel",
    Retry: "saga.retry",
    Skip: "saga.skip",
    Compensate: "saga.compensate",
}
