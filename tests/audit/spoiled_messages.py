"""Mutants of what was sent: commands and outcomes."""

from dataclasses import replace

from app.audit.recording import Recording
from tests.audit.mutation import (
    Mutants,
    also,
    double,
    drop,
    edit,
    header,
    instead,
    label,
    move,
    one,
    pop,
    put,
    quantity,
    total,
    valued,
)

OUTCOMES, RESERVE, PAY = "order.outcomes", "reservation.commands", "payment.commands"
DOLLARS = {"currency": "USD", "minor": 1000}
LOCAL = "2026-01-01T00:00:00+01:00"


def _sent_twice_differently(good: Recording) -> Recording:
    return also(good, valued(one(good, PAY, "happy"), total(1)))


def _unannounced(good: Recording) -> Recording:
    command = one(good, PAY, "happy", "charge")
    return also(good, header(command, "ce_id", f"{(command.key or b'').decode()}:payment:do:2"))


def _undone_though_completed(good: Recording) -> Recording:
    return also(good, replace(one(good, RESERVE, "declined", "release"), key=one(good, PAY, "happy").key))


def _completed_and_rejected(good: Recording) -> Recording:
    return also(good, replace(one(good, OUTCOMES, "declined"), key=one(good, OUTCOMES, "happy").key))


def _without_key(good: Recording) -> Recording:
    outcome = one(good, OUTCOMES, "happy")
    return instead(good, outcome, replace(outcome, key=None))


def _same_outcome_id(good: Recording) -> Recording:
    first, second = one(good, OUTCOMES, "cancelled", "refused"), one(good, OUTCOMES, "cancelled", "order.cancelled")
    return instead(good, second, header(second, "ce_id", dict(first.headers)["ce_id"].decode()))  # type: ignore[union-attr]


MUTANTS: Mutants = {
    "a command was sent twice": ("INV-3", double(PAY, "happy")),
    "a command was sent twice with other content": ("INV-3", _sent_twice_differently),
    "a command is missing": ("INV-26", drop(RESERVE, "declined", "reservation.release")),
    "a command was sent that no event announces": ("INV-26", _unannounced),
    "a completed saga sent an undo": ("INV-8", _undone_though_completed),
    "the charge is another amount": ("INV-12", edit(PAY, "happy", "charge", total(1))),
    "the charge is in another currency": ("INV-12", edit(PAY, "happy", "charge", put(total=DOLLARS))),
    "the charge is for another customer": ("INV-12", edit(PAY, "happy", "charge", put(customer_id="c-other"))),
    "the refund is another amount": ("INV-12", edit(PAY, "unstuck", "refund", total(1))),
    "other lines are reserved": ("INV-12", edit(RESERVE, "happy", "reserve", quantity(9))),
    "a release names another reservation": ("INV-12", edit(RESERVE, "declined", "release", put(reservation_id="r"))),
    "a release names no reservation": ("INV-12", edit(RESERVE, "declined", "release", pop("reservation_id"))),
    "a refund names a payment never confirmed": ("INV-12", edit(PAY, "cancelled", "refund", put(payment_id="p"))),
    "a command has no idempotency key": ("INV-25", label(PAY, "happy", "", "ce_idempotencykey", None)),
    "a command's idempotency key has the attempt": (
        "INV-25",
        label(PAY, "happy", "", "ce_idempotencykey", "o:payment:do:1"),
    ),
    "a command has another cause": ("INV-25", label(PAY, "happy", "", "ce_causationid", "something")),
    "a command after a time-out names the order": (
        "INV-25",
        label(PAY, "in_doubt", "payment:do:2", "ce_causationid", "in_doubt-4:place"),
    ),
    "a command after a pause names the failure": (
        "INV-25",
        label(RESERVE, "retried", "reservation:do:2", "ce_causationid", "retried-3:reservation:do:1:failed"),
    ),
    "a command has no time": ("INV-25", label(PAY, "happy", "", "ce_time", None)),
    "a command's time is local": ("INV-25", label(PAY, "happy", "", "ce_time", LOCAL)),
    "a command has no source": ("INV-25", label(PAY, "happy", "", "ce_source", None)),
    "a command is of another version of CloudEvents": ("INV-25", label(PAY, "happy", "", "ce_specversion", "0.3")),
    "a command is correlated with another saga": ("INV-25", label(PAY, "happy", "", "ce_correlationid", "other")),
    "a command's type is not its effect's": ("INV-25", label(PAY, "happy", "", "ce_type", "payment.refund")),
    "a command's id has no attempt": ("INV-25", label(PAY, "happy", "", "ce_id", "happy-0:payment:do")),
    "a command names another order": ("INV-13", edit(PAY, "happy", "charge", put(order_id="other"))),
    "a command lies in another partition": ("INV-13", move(PAY, "happy")),
    "an outcome is missing": ("INV-24", drop(OUTCOMES, "happy")),
    "an outcome is there twice": ("INV-24", double(OUTCOMES, "happy")),
    "an order is completed and rejected": ("INV-24", _completed_and_rejected),
    "a cancelled order is told as rejected": (
        "INV-24",
        label(OUTCOMES, "cancelled", "order.cancelled", "ce_type", "order.rejected"),
    ),
    "a rejected order is told as cancelled": ("INV-24", label(OUTCOMES, "declined", "", "ce_type", "order.cancelled")),
    "a stuck order is not told": ("INV-24", drop(OUTCOMES, "until_stuck")),
    "a refused cancel is not told": ("INV-24", drop(OUTCOMES, "cancelled", "order.cancel.refused")),
    "an outcome names another step": ("INV-24", edit(OUTCOMES, "declined", "", put(step="reservation"))),
    "an outcome names another payment": ("INV-12", edit(OUTCOMES, "happy", "", put(payment_id="p-other"))),
    "an outcome gives no reason": ("INV-25", edit(OUTCOMES, "declined", "", pop("reason"))),
    "an outcome has another cause": ("INV-25", label(OUTCOMES, "happy", "", "ce_causationid", "something")),
    "an outcome has an idempotency key": ("INV-25", label(OUTCOMES, "happy", "", "ce_idempotencykey", "k")),
    "two outcomes have the same id": ("INV-25", _same_outcome_id),
    "an outcome has no key": ("INV-13", _without_key),
}
