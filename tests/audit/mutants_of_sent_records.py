"""Tampered commands and outcomes."""

from dataclasses import replace

from app.audit.recording.recording import Recording
from tests.audit.mutation import (
    Mutants,
    appended,
    drop,
    duplicate,
    edit,
    edit_header,
    event,
    first_record,
    move,
    pop,
    put,
    quantity,
    replaced,
    total,
    with_header,
    with_json,
)
from tests.audit.topic_logs import traceparent

OUTCOMES, RESERVE, PAY = "order.outcomes", "reservation.commands", "payment.commands"
DOLLARS = {"currency": "USD", "minor": 1000}
NOT_UTC = "2026-01-01T00:00:00+01:00"


def _sent_twice_differently(good: Recording) -> Recording:
    return appended(good, with_json(first_record(good, PAY, "happy"), total(1)))


def _unannounced(good: Recording) -> Recording:
    command = first_record(good, PAY, "happy", "charge")
    return appended(good, with_header(command, "ce_id", f"{(command.key or b'').decode()}:payment:do:2"))


def _undone_but_completed(good: Recording) -> Recording:
    return appended(
        good, replace(first_record(good, RESERVE, "declined", "release"), key=first_record(good, PAY, "happy").key)
    )


def _completed_and_rejected(good: Recording) -> Recording:
    return appended(
        good, replace(first_record(good, OUTCOMES, "declined"), key=first_record(good, OUTCOMES, "happy").key)
    )


def _without_key(good: Recording) -> Recording:
    outcome = first_record(good, OUTCOMES, "happy")
    return replaced(good, outcome, replace(outcome, key=None))


def _same_outcome_id(good: Recording) -> Recording:
    first, second = (
        first_record(good, OUTCOMES, "cancelled", "refused"),
        first_record(good, OUTCOMES, "cancelled", "order.cancelled"),
    )
    return replaced(good, second, with_header(second, "ce_id", dict(first.headers)["ce_id"].decode()))  # type: ignore[union-attr]


MUTANTS: Mutants = {
    "a command was sent twice": ("INV-3", duplicate(PAY, "happy")),
    "a command was sent twice with other content": ("INV-3", _sent_twice_differently),
    "a command is missing": ("INV-26", drop(RESERVE, "declined", "reservation.release")),
    "a command was sent without a request event": ("INV-26", _unannounced),
    "a completed saga sent an undo": ("INV-8", _undone_but_completed),
    "the charge is another amount": ("INV-12", edit(PAY, "happy", "charge", total(1))),
    "the charge is in another currency": ("INV-12", edit(PAY, "happy", "charge", put(total=DOLLARS))),
    "the charge is for another customer": ("INV-12", edit(PAY, "happy", "charge", put(customer_id="c-other"))),
    "the refund is another amount": ("INV-12", edit(PAY, "refund_retried", "refund", total(1))),
    "other lines are reserved": ("INV-12", edit(RESERVE, "happy", "reserve", quantity(9))),
    "a release names another reservation": ("INV-12", edit(RESERVE, "declined", "release", put(reservation_id="r"))),
    "a release names no reservation": ("INV-12", edit(RESERVE, "declined", "release", pop("reservation_id"))),
    "a refund names a payment never confirmed": ("INV-12", edit(PAY, "cancelled", "refund", put(payment_id="p"))),
    "a command has no idempotency key": ("INV-25", edit_header(PAY, "happy", "", "ce_idempotencykey", None)),
    "a command's idempotency key has the attempt": (
        "INV-25",
        edit_header(PAY, "happy", "", "ce_idempotencykey", "o:payment:do:1"),
    ),
    "a command has another cause": ("INV-25", edit_header(PAY, "happy", "", "ce_causationid", "something")),
    "a command after a timeout names the order": (
        "INV-25",
        edit_header(PAY, "in_doubt", "payment:do:2", "ce_causationid", "in_doubt-4:place"),
    ),
    "a command after a backoff names the failure": (
        "INV-25",
        edit_header(RESERVE, "retried", "reservation:do:2", "ce_causationid", "retried-3:reservation:do:1:failed"),
    ),
    "a command after a timeout has lost its order's trace": (
        "INV-25",
        edit_header(RESERVE, "traced", "reservation:do:2", "traceparent", None),
    ),
    "a command is in another trace": ("INV-25", edit_header(PAY, "traced", "", "traceparent", traceparent(8))),
    "a command names another span of its trace": (
        "INV-25",
        edit_header(PAY, "traced", "", "traceparent", f"00-{7:032x}-{8:016x}-01"),
    ),
    "an outcome has lost its order's trace": (
        "INV-25",
        edit_header(OUTCOMES, "traced", "order.completed", "traceparent", None),
    ),
    "an outcome has the trace of an order that has ended": (
        "INV-25",
        edit_header(OUTCOMES, "traced", "refused", "traceparent", traceparent(7)),
    ),
    "a command has a trace, though no message has": (
        "INV-25",
        edit_header(PAY, "happy", "", "traceparent", traceparent(7)),
    ),
    "a saga starts with another trace than its order's": (
        "INV-12",
        edit("saga.events", "traced", "saga.started", event(0, trace=traceparent(8))),
    ),
    "a command has no time": ("INV-25", edit_header(PAY, "happy", "", "ce_time", None)),
    "a command's time is not in UTC": ("INV-25", edit_header(PAY, "happy", "", "ce_time", NOT_UTC)),
    "a command has no source": ("INV-25", edit_header(PAY, "happy", "", "ce_source", None)),
    "a command has another version of CloudEvents": ("INV-25", edit_header(PAY, "happy", "", "ce_specversion", "0.3")),
    "a command has the correlation id of another saga": (
        "INV-25",
        edit_header(PAY, "happy", "", "ce_correlationid", "other"),
    ),
    "a command's type is not its effect's": ("INV-25", edit_header(PAY, "happy", "", "ce_type", "payment.refund")),
    "a command's id has no attempt": ("INV-25", edit_header(PAY, "happy", "", "ce_id", "happy-0:payment:do")),
    "a command names another order": ("INV-13", edit(PAY, "happy", "charge", put(order_id="other"))),
    "a command is in a wrong partition": ("INV-13", move(PAY, "happy")),
    "an outcome is missing": ("INV-24", drop(OUTCOMES, "happy")),
    "an outcome exists twice": ("INV-24", duplicate(OUTCOMES, "happy")),
    "an order is completed and rejected": ("INV-24", _completed_and_rejected),
    "a cancelled order has the outcome rejected": (
        "INV-24",
        edit_header(OUTCOMES, "cancelled", "order.cancelled", "ce_type", "order.rejected"),
    ),
    "a rejected order has the outcome cancelled": (
        "INV-24",
        edit_header(OUTCOMES, "declined", "", "ce_type", "order.cancelled"),
    ),
    "a stuck order has no outcome": ("INV-24", drop(OUTCOMES, "refund_stuck")),
    "a refused cancel has no outcome": ("INV-24", drop(OUTCOMES, "cancelled", "order.cancel.refused")),
    "an outcome names another step": ("INV-24", edit(OUTCOMES, "declined", "", put(step="reservation"))),
    "an outcome names another payment": ("INV-12", edit(OUTCOMES, "happy", "", put(payment_id="p-other"))),
    "an outcome has no reason": ("INV-25", edit(OUTCOMES, "declined", "", pop("reason"))),
    "an outcome has another cause": ("INV-25", edit_header(OUTCOMES, "happy", "", "ce_causationid", "something")),
    "an outcome has an idempotency key": ("INV-25", edit_header(OUTCOMES, "happy", "", "ce_idempotencykey", "k")),
    "two outcomes have the same id": ("INV-25", _same_outcome_id),
    "an outcome has no key": ("INV-13", _without_key),
}
