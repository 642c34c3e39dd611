"""Tampered decisions, states, amounts of money and goods, and logs."""

from dataclasses import replace

from app.audit.recording.recording import Record, Recording, Span
from tests.audit.events import COMPLETED, IGNORED, request, rolled_back, step_was
from tests.audit.mutation import (
    Mutants,
    Mutation,
    appended,
    cause,
    drop,
    duplicate,
    edit,
    edit_header,
    edit_record,
    edited,
    event,
    first_record,
    last_record,
    move,
    put,
    quantity,
    records,
    replaced,
    swapped,
    total,
    with_header,
    with_json,
    without,
)

EVENTS, STATE, REQUESTS = "saga.events", "saga.state", "order.requests"
RESERVE, RESERVED, PAY, PAID = "reservation.commands", "reservation.replies", "payment.commands", "payment.replies"
ENDS, STARTS = "saga.completed", "saga.started"


def _never_undone(good: Recording) -> Recording:
    """The declined order ends without a release, in events, commands and replies alike."""
    decision = first_record(good, EVENTS, "declined", "saga.step.refused")
    shorter = with_json(decision, lambda value: value["events"].__setitem__(1, rolled_back("payment")))
    missing = first_record(good, EVENTS, "declined", "rolled_back"), first_record(good, RESERVE, "declined", "release")
    return without(replaced(good, decision, shorter), *missing, first_record(good, RESERVED, "declined", "released"))


def _oldest_undone_first(good: Recording) -> Recording:
    first, second = records(good, EVENTS, "cancelled", "saga.compensation.requested")
    half = replaced(good, first, with_json(first, event(1, step="reservation")))
    return replaced(half, second, with_json(second, event(1, step="payment")))


def _first_reply_ignored(good: Recording) -> Recording:
    counted = first_record(good, EVENTS, "repeated", "saga.step.succeeded")
    ignored = first_record(good, EVENTS, "repeated", "saga.reply.ignored")
    half = replaced(good, counted, with_json(counted, put(events=[IGNORED])))
    return replaced(
        half, ignored, with_json(ignored, put(events=[step_was("succeeded", "reservation"), request("payment")]))
    )


def _last_decision_and_input_gone(good: Recording) -> Recording:
    return without(good, first_record(good, EVENTS, "happy", ENDS), first_record(good, PAID, "happy"))


def _first_decision_and_input_gone(good: Recording) -> Recording:
    return without(good, first_record(good, EVENTS, "happy", STARTS), first_record(good, REQUESTS, "happy"))


def _refunded_but_completed(good: Recording) -> Recording:
    """A refund was sent and replied to, without any event."""
    charge, charged = first_record(good, PAY, "happy", "charge"), first_record(good, PAID, "happy", "charged")
    undo = f"{(charge.key or b'').decode()}:payment:undo:1"
    refund = with_header(with_header(charge, "ce_id", undo), "ce_type", "payment.refund")
    refunded = with_header(with_header(charged, "ce_causationid", undo), "ce_type", "payment.refunded")
    return appended(good, refund, refunded)


def _caused_by_another_order(good: Recording) -> Recording:
    other = first_record(good, PAID, "declined")
    return edited(
        good, first_record(good, EVENTS, "happy", ENDS), cause(partition=other.partition, offset=other.offset)
    )


def _open_transaction(good: Recording) -> Recording:
    span = good.spans[EVENTS, 0]
    return replace(good, spans={**good.spans, (EVENTS, 0): Span(0, span.stable, span.high + 3)})


def _interleaved_writers(good: Recording) -> Recording:
    """The decision on a later order of a partition comes before the decision on an earlier one."""
    starts = [record for record in good.records if record.topic == EVENTS and b"saga.started" in (record.value or b"")]
    left = starts[0]
    return swapped(good, left, next(r for r in starts[1:] if r.partition == left.partition))


def _last_state(**fields: object) -> Mutation:
    return lambda good: edited(good, last_record(good, STATE, "happy"), put(**fields))


def _deleted_state(good: Recording) -> Recording:
    state = last_record(good, STATE, "happy")
    return replaced(good, state, replace(state, value=None))


def _state_without_saga(good: Recording) -> Recording:
    return appended(good, replace(first_record(good, STATE, "happy"), key=b"ghost"))


def _not_json(decision: Record) -> Record:
    return replace(decision, value=b'{"saga_id":')


MUTANTS: Mutants = {
    "a completed saga goes on": ("INV-4", edit(EVENTS, "repeated", '"seq":5', put(events=[request("payment", 2)]))),
    "a refused payment completes the order": (
        "INV-4",
        edit(EVENTS, "declined", "saga.step.refused", event(1, type="saga.completed")),
    ),
    "a timer leads to a success": (
        "INV-4",
        edit(EVENTS, "in_doubt", "timed_out", event(0, type="saga.step.succeeded")),
    ),
    "an event has an unknown type": ("INV-4", edit(EVENTS, "happy", ENDS, event(1, type="saga.finished"))),
    "an event names an unknown step": ("INV-4", edit(EVENTS, "happy", ENDS, event(0, step="shipping"))),
    "an event's step is a list": ("INV-25", edit(EVENTS, "happy", ENDS, event(0, step=["payment"]))),
    "an attempt is skipped": ("INV-4", edit(EVENTS, "in_doubt", "timed_out", event(1, attempt=3))),
    "the payment is requested at the start": ("INV-4", edit(EVENTS, "happy", STARTS, event(1, step="payment"))),
    "a settled step is requested again": ("INV-4", edit(EVENTS, "happy", ENDS, event(1, **request("payment", 2)))),
    "an undo is requested while the saga is running": (
        "INV-4",
        edit(EVENTS, "happy", "saga.step.succeeded", event(1, type="saga.compensation.requested", step="reservation")),
    ),
    "an ignored reply completes the saga": (
        "INV-4",
        edit(EVENTS, "in_doubt", "saga.reply.ignored", lambda value: value["events"].append(COMPLETED)),
    ),
    "a cancel is refused although the saga can compensate": (
        "INV-4",
        edit(EVENTS, "cancelled", "saga.cancel.requested", put(events=[{"type": "saga.cancel.refused"}])),
    ),
    "a saga changes its version": ("INV-4", edit(EVENTS, "happy", ENDS, put(version=2))),
    "stuck without a failure": ("INV-4", edit(EVENTS, "refund_stuck", "saga.stuck", event(1, step="reservation"))),
    "a saga stops before its end": ("INV-5", _last_decision_and_input_gone),
    "the first reply was ignored": ("INV-7", _first_reply_ignored),
    "a second reply counts": (
        "INV-7",
        edit(EVENTS, "repeated", "saga.reply.ignored", put(events=[step_was("succeeded", "reservation")])),
    ),
    "an undo succeeds twice": ("INV-7", edit(EVENTS, "in_doubt", "saga.rolled_back", event(0, step="payment"))),
    "the oldest step is undone first": ("INV-8", _oldest_undone_first),
    "a step is not undone": ("INV-8", _never_undone),
    "a refused step is undone": ("INV-8", edit(EVENTS, "declined", "saga.step.refused", event(1, step="payment"))),
    "a reply to an effect never requested counts": (
        "INV-20",
        edit_header(RESERVED, "happy", "", "ce_causationid", "happy-0:payment:do:1"),
    ),
    "a reply to an attempt never sent counts": (
        "INV-20",
        edit_header(RESERVED, "happy", "", "ce_causationid", "happy-0:reservation:do:7"),
    ),
    "a reply to another order counts": (
        "INV-20",
        edit_header(PAID, "happy", "", "ce_causationid", "declined-1:payment:do:1"),
    ),
    "a decision has another number": ("INV-20", edit(EVENTS, "happy", ENDS, put(seq=4))),
    "the first decision is missing, and its input": ("INV-20", _first_decision_and_input_gone),
    "a timer fired twice": ("INV-3", duplicate(EVENTS, "retried", '"timer"')),
    "a refund has no reply": ("INV-6", drop(PAID, "in_doubt", "payment.refunded")),
    "a release has no reply": ("INV-6", drop(RESERVED, "declined", "reservation.released")),
    "a completed order was never charged": ("INV-6", drop(PAID, "happy", "charged")),
    "a completed order was refunded": ("INV-6", _refunded_but_completed),
    "too little was charged": ("INV-6", edit(PAY, "happy", "charge", total(1))),
    "too much was reserved": ("INV-6", edit(RESERVE, "happy", "reserve", quantity(99))),
    "the order costs more than was charged": ("INV-6", edit(REQUESTS, "happy", "order.place", total(5000))),
    "a decision is in a wrong partition": ("INV-13", move(EVENTS, "happy", ENDS)),
    "a state is in a wrong partition": ("INV-13", move(STATE, "happy")),
    "a decision names another saga": ("INV-13", edit(EVENTS, "happy", ENDS, put(saga_id="other"))),
    "a decision was caused by another order's reply": ("INV-13", _caused_by_another_order),
    "two writers interleave their decisions": ("INV-21", _interleaved_writers),
    "a transaction is open": ("INV-23", _open_transaction),
    "a decision has a header": ("INV-25", edit_header(EVENTS, "happy", "", "ce_id", "x")),
    "a decision has no events": ("INV-25", edit(EVENTS, "happy", ENDS, put(events=[]))),
    "a decision has no cause": ("INV-25", edit(EVENTS, "happy", ENDS, put(cause={}))),
    "a decision is numbered 0": ("INV-25", edit(EVENTS, "happy", STARTS, put(seq=0))),
    "a decision is not JSON": ("INV-25", edit_record(EVENTS, "happy", "", _not_json)),
    "a decision's time has no zone": ("INV-25", edit(EVENTS, "happy", ENDS, put(at="2026-01-01T00:00:00"))),
    "the last state is missing": ("INV-10", lambda good: without(good, last_record(good, STATE, "happy"))),
    "a saga has no state": ("INV-10", lambda good: without(good, *records(good, STATE, "cancelled_packing"))),
    "a state was deleted": ("INV-10", _deleted_state),
    "a state has another number": ("INV-10", _last_state(seq=9)),
    "a state has another status": ("INV-10", _last_state(state="stuck")),
    "a state has one field more than the fold of its events": ("INV-10", _last_state(more=1)),
    "a state has no decisions": ("INV-10", _state_without_saga),
}
