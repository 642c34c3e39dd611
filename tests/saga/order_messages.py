"""The messages of one order's saga with good defaults: its inputs, its commands and its outcomes."""

from app.saga.definition import with_policy
from app.saga.messages import (
    Cancel,
    CapacityAvailable,
    Compensate,
    Failed,
    Line,
    Money,
    Order,
    Place,
    Refused,
    Retry,
    Skip,
    Succeeded,
    Undone,
)
from app.saga.outputs import SendCommand, SendOutcome
from topologies.order import ORDER

ID = "o-1"
TOTAL: Money = {"currency": "EUR", "minor": 4200}
LINES: list[Line] = [{"sku": "tea", "quantity": 2, "unit_price": {"currency": "EUR", "minor": 2100}}]
CONTENT: Order = {"order_id": ID, "customer_id": "ann", "total": TOTAL, "lines": LINES}

TWO_ATTEMPTS = with_policy(ORDER, attempts=2)
ONE_ATTEMPT = with_policy(ORDER, attempts=1)

# inputs of shops, operators and admission control


def placed(customer: str = "ann", message: str = "placed") -> Place:
    """The order; another customer gives it other content."""
    return Place(message, {**CONTENT, "customer_id": customer}, f"digest of {customer}'s order")


def cancel(reason: str = "changed my mind") -> Cancel:
    """The shop cancels the order."""
    return Cancel("cancel", reason)


def retry(reason: str = "it is up again", step: str | None = None) -> Retry:
    """An operator retries all stuck steps, or one."""
    return Retry("retry", "olga", reason, step)


def skip(reason: str = "done by hand", step: str | None = None) -> Skip:
    """An operator takes a stuck step as done; its name is needed if several are stuck."""
    return Skip("skip", "olga", reason, step)


def compensate(reason: str = "fraud") -> Compensate:
    """An operator rolls the running saga back."""
    return Compensate("compensate", "olga", reason)


def capacity_for(step: str) -> CapacityAvailable:
    """The step's participant has capacity for one more command."""
    return CapacityAvailable(step)


# replies; `to` names another command than this order's attempt


def reserved(attempt: int = 1, to: str = "", result: str = "r-1") -> Succeeded:
    """The products are reserved."""
    return Succeeded("reply", "reservation.reserved", "reservation", to or f"{ID}:reservation:do:{attempt}", result)


def rejected(attempt: int = 1, to: str = "", reason: str = "out of stock") -> Refused:
    """The products are not available."""
    return Refused("reply", "reservation.rejected", "reservation", to or f"{ID}:reservation:do:{attempt}", reason)


def released(attempt: int = 1, to: str = "") -> Undone:
    """The reservation is undone."""
    return Undone("reply", "reservation.released", "reservation", to or f"{ID}:reservation:undo:{attempt}")


def charged(attempt: int = 1, to: str = "", result: str = "p-1") -> Succeeded:
    """The money is taken."""
    return Succeeded("reply", "payment.charged", "payment", to or f"{ID}:payment:do:{attempt}", result)


def declined(attempt: int = 1, to: str = "", reason: str = "no funds") -> Refused:
    """The money is not available."""
    return Refused("reply", "payment.declined", "payment", to or f"{ID}:payment:do:{attempt}", reason)


def refunded(attempt: int = 1, to: str = "") -> Undone:
    """The money is given back."""
    return Undone("reply", "payment.refunded", "payment", to or f"{ID}:payment:undo:{attempt}")


def failed(action: str, attempt: int = 1, *, for_good: bool = False, reason: str = "database down") -> Failed:
    """A technical failure of an attempt; `action` is a step and a direction, such as `payment:undo`."""
    step = action.partition(":")[0]
    return Failed("reply", f"{step}.failed", step, f"{ID}:{action}:{attempt}", reason, retryable=not for_good)


# commands


def reserve(attempt: int = 1) -> SendCommand:
    """Reserve the products."""
    return _command("reservation", "reservation.reserve", "do", attempt, {"lines": LINES})


def release(attempt: int = 1, known: str = "") -> SendCommand:
    """Undo the reservation, by its id if that is known."""
    return _command("reservation", "reservation.release", "undo", attempt, {"reservation_id": known} if known else {})


def charge(attempt: int = 1) -> SendCommand:
    """Take the money."""
    return _command("payment", "payment.charge", "do", attempt, {"customer_id": "ann", "total": TOTAL})


def refund(attempt: int = 1, known: str = "") -> SendCommand:
    """Give the money back, by the payment's id if that is known."""
    return _command(
        "payment", "payment.refund", "undo", attempt, {"total": TOTAL, **({"payment_id": known} if known else {})}
    )


def _command(step: str, type: str, direction: str, attempt: int, fields: dict[str, object]) -> SendCommand:
    action = f"{ID}:{step}:{direction}"
    return SendCommand(f"{step}.commands", type, f"{action}:{attempt}", action, {"order_id": ID, **fields})


# outcomes


def order_completed(reservation: str = "r-1", payment: str = "p-1") -> SendOutcome:
    """Every step is done."""
    value = {"order_id": ID, "reservation_id": reservation, "payment_id": payment}
    return SendOutcome("order.completed", value)


def order_rejected(reason: str, step: str) -> SendOutcome:
    """Rolled back because of a step."""
    return SendOutcome("order.rejected", {"order_id": ID, "reason": reason, "step": step})


def order_cancelled(reason: str = "changed my mind") -> SendOutcome:
    """Rolled back on request."""
    return SendOutcome("order.cancelled", {"order_id": ID, "reason": reason})


def order_stuck(reason: str, step: str) -> SendOutcome:
    """A step is stuck until an operator acts."""
    return SendOutcome("order.stuck", {"order_id": ID, "reason": reason, "step": step})


def cancel_refused(reason: str) -> SendOutcome:
    """The cancel came too late, or twice."""
    return SendOutcome("order.cancel.refused", {"order_id": ID, "reason": reason})
