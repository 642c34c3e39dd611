"""The words of an order's story: what it is told, what it asks for, and what it answers, each with good defaults."""

from app.saga.definition import with_policy
from app.saga.effects import SendCommand, SendOutcome
from app.saga.messages import (
    Cancel,
    Compensate,
    Failed,
    Line,
    Money,
    Order,
    Place,
    Refused,
    Retry,
    RoomFor,
    Skip,
    Succeeded,
    Undone,
)
from topologies.order import ORDER

ID = "o-1"
TOTAL: Money = {"currency": "EUR", "minor": 4200}
LINES: list[Line] = [{"sku": "tea", "quantity": 2, "unit_price": {"currency": "EUR", "minor": 2100}}]

BRIEF = with_policy(ORDER, attempts=2)
HASTY = with_policy(ORDER, attempts=1)

# what a shop or an operator says, and the engine of its room


def placed(customer: str = "ann", message: str = "placed") -> Place:
    """The order; another customer makes it another content."""
    order: Order = {"order_id": ID, "customer_id": customer, "total": TOTAL, "lines": LINES}
    return Place(message, order, f"digest of {customer}'s order")


def cancel(reason: str = "changed my mind") -> Cancel:
    """The shop no longer wants the order."""
    return Cancel("cancel", reason)


def retry(reason: str = "it is up again", step: str | None = None) -> Retry:
    """An operator has what is stuck asked for again, or one step of it."""
    return Retry("retry", "olga", reason, step)


def skip(reason: str = "done by hand", step: str | None = None) -> Skip:
    """An operator takes a stuck step as done, by its name where several are."""
    return Skip("skip", "olga", reason, step)


def compensate(reason: str = "fraud") -> Compensate:
    """An operator has a running saga rolled back."""
    return Compensate("compensate", "olga", reason)


def room_for(step: str) -> RoomFor:
    """The step's participant has room for one command more."""
    return RoomFor(step)


# what participants answer; `to` names another command than the attempt of this order


def reserved(attempt: int = 1, to: str = "", result: str = "r-1") -> Succeeded:
    """The products are reserved."""
    return Succeeded("reply", "reservation.reserved", "reservation", to or f"{ID}:reservation:do:{attempt}", result)


def rejected(attempt: int = 1, to: str = "", reason: str = "out of stock") -> Refused:
    """The products can't be had."""
    return Refused("reply", "reservation.rejected", "reservation", to or f"{ID}:reservation:do:{attempt}", reason)


def released(attempt: int = 1, to: str = "") -> Undone:
    """The reservation is undone."""
    return Undone("reply", "reservation.released", "reservation", to or f"{ID}:reservation:undo:{attempt}")


def charged(attempt: int = 1, to: str = "", result: str = "p-1") -> Succeeded:
    """The money is taken."""
    return Succeeded("reply", "payment.charged", "payment", to or f"{ID}:payment:do:{attempt}", result)


def declined(attempt: int = 1, to: str = "", reason: str = "no funds") -> Refused:
    """The money can't be had."""
    return Refused("reply", "payment.declined", "payment", to or f"{ID}:payment:do:{attempt}", reason)


def refunded(attempt: int = 1, to: str = "") -> Undone:
    """The money is given back."""
    return Undone("reply", "payment.refunded", "payment", to or f"{ID}:payment:undo:{attempt}")


def failed(effect: str, attempt: int = 1, *, for_good: bool = False, reason: str = "database down") -> Failed:
    """A technical failure of an attempt of an effect, such as `payment:undo`."""
    step = effect.partition(":")[0]
    return Failed("reply", f"{step}.failed", step, f"{ID}:{effect}:{attempt}", reason, retryable=not for_good)


# what is asked of participants


def reserve(attempt: int = 1) -> SendCommand:
    """Reserve the products."""
    return _ask("reservation", "reservation.reserve", "do", attempt, {"lines": LINES})


def release(attempt: int = 1, known: str = "") -> SendCommand:
    """Undo the reservation, by its id when that is known."""
    return _ask("reservation", "reservation.release", "undo", attempt, {"reservation_id": known} if known else {})


def charge(attempt: int = 1) -> SendCommand:
    """Take the money."""
    return _ask("payment", "payment.charge", "do", attempt, {"customer_id": "ann", "total": TOTAL})


def refund(attempt: int = 1, known: str = "") -> SendCommand:
    """Give the money back, by the payment's id when that is known."""
    return _ask(
        "payment", "payment.refund", "undo", attempt, {"total": TOTAL, **({"payment_id": known} if known else {})}
    )


def _ask(step: str, type: str, direction: str, attempt: int, fields: dict[str, object]) -> SendCommand:
    effect = f"{ID}:{step}:{direction}"
    return SendCommand(f"{step}.commands", type, f"{effect}:{attempt}", effect, {"order_id": ID, **fields})


# what the shop is told


def order_completed(reservation: str = "r-1", payment: str = "p-1") -> SendOutcome:
    """Everything was done."""
    value = {"order_id": ID, "reservation_id": reservation, "payment_id": payment}
    return SendOutcome("order.completed", value)


def order_rejected(reason: str, step: str) -> SendOutcome:
    """Rolled back, because of a step."""
    return SendOutcome("order.rejected", {"order_id": ID, "reason": reason, "step": step})


def order_cancelled(reason: str = "changed my mind") -> SendOutcome:
    """Rolled back, because somebody asked for it."""
    return SendOutcome("order.cancelled", {"order_id": ID, "reason": reason})


def order_stuck(reason: str, step: str) -> SendOutcome:
    """Can't go back without a person."""
    return SendOutcome("order.stuck", {"order_id": ID, "reason": reason, "step": step})


def cancel_refused(reason: str) -> SendOutcome:
    """The cancel came too late or twice."""
    return SendOutcome("order.cancel.refused", {"order_id": ID, "reason": reason})
