"""What a saga can be told: the closed set of inputs. `id` is the message's own id (`ce_id`)."""

from typing import TypedDict

from app.saga.facts import fact


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
    """An order as it was placed; nothing in it is ever changed."""

    order_id: str
    customer_id: str
    total: Money
    lines: list[Line]


@fact
class Place:
    """A shop places an order; the digest tells two contents apart."""

    id: str
    order: Order
    digest: str


@fact
class Cancel:
    """A shop wants its order rolled back."""

    id: str
    reason: str


@fact
class Succeeded:
    """A participant did a step; `command` is the id of the command it answers, `result` what it calls what it did."""

    id: str
    type: str
    step: str
    command: str
    result: str


@fact
class Refused:
    """A participant refused a step for a business reason, and did nothing."""

    id: str
    type: str
    step: str
    command: str
    reason: str


@fact
class Undone:
    """A participant undid a step."""

    id: str
    type: str
    step: str
    command: str


@fact
class Failed:
    """A participant failed technically, in doing or undoing; whether anything happened is open."""

    id: str
    type: str
    step: str
    command: str
    reason: str
    retryable: bool


@fact
class Retry:
    """An operator has what is stuck asked for again: all of it, or one step."""

    id: str
    operator: str
    reason: str
    step: str | None = None


@fact
class Skip:
    """An operator takes what is stuck as done by hand; where several steps are, one has to be named."""

    id: str
    operator: str
    reason: str
    step: str | None = None


@fact
class Compensate:
    """An operator has a running saga rolled back."""

    id: str
    operator: str
    reason: str


@fact
class TimerDue:
    """The time (ms since 1970) that a state waits for has come."""

    due_ms: int


@fact
class RoomFor:
    """A step that waits may be asked for: its participant has room."""

    step: str


Reply = Succeeded | Refused | Undone | Failed
Operation = Retry | Skip | Compensate
Input = Place | Cancel | Reply | Operation | TimerDue | RoomFor
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
    RoomFor,
)

TYPE_OF: dict[type[Input], str] = {
    Place: "order.place",
    Cancel: "order.cancel",
    Retry: "saga.retry",
    Skip: "saga.skip",
    Compensate: "saga.compensate",
}
