"""Mutants of the history: events, states, money and goods, the logs themselves."""

from dataclasses import replace

from app.audit.recording import Record, Recording, Span
from tests.audit.events import COMPLETED, IGNORED, ask, rolled_back, was
from tests.audit.mutation import (
    Mutants,
    Mutation,
    also,
    cause,
    changed,
    double,
    drop,
    edit,
    event,
    header,
    instead,
    label,
    last,
    move,
    one,
    put,
    quantity,
    records,
    remake,
    swapped,
    total,
    valued,
    without,
)

EVENTS, STATE, REQUESTS = "saga.events", "saga.state", "order.requests"
RESERVE, RESERVED, PAY, PAID = "reservation.commands", "reservation.replies", "payment.commands", "payment.replies"
ENDS, STARTS = "saga.completed", "saga.started"


def _left_standing(good: Recording) -> Recording:
    """The declined order ends without a release, in events, commands and replies alike."""
    decision = one(good, EVENTS, "declined", "saga.step.refused")
    shorter = valued(decision, lambda value: value["events"].__setitem__(1, rolled_back("payment")))
    gone = one(good, EVENTS, "declined", "rolled_back"), one(good, RESERVE, "declined", "release")
    return without(instead(good, decision, shorter), *gone, one(good, RESERVED, "declined", "released"))


def _oldest_undone_first(good: Recording) -> Recording:
    first, second = records(good, EVENTS, "cancelled", "saga.compensation.requested")
    half = instead(good, first, valued(first, event(1, step="reservation")))
    return instead(half, second, valued(second, event(1, step="payment")))


def _first_answer_ignored(good: Recording) -> Recording:
    counted = one(good, EVENTS, "repeated", "saga.step.succeeded")
    ignored = one(good, EVENTS, "repeated", "saga.reply.ignored")
    half = instead(good, counted, valued(counted, put(events=[IGNORED])))
    return instead(half, ignored, valued(ignored, put(events=[was("succeeded", "reservation"), ask("payment")])))


def _last_decision_and_input_gone(good: Recording) -> Recording:
    return without(good, one(good, EVENTS, "happy", ENDS), one(good, PAID, "happy"))


def _first_decision_and_input_gone(good: Recording) -> Recording:
    return without(good, one(good, EVENTS, "happy", STARTS), one(good, REQUESTS, "happy"))


def _refunded_though_completed(good: Recording) -> Recording:
    """A refund was sent and answered beside the history."""
    charge, charged = one(good, PAY, "happy", "charge"), one(good, PAID, "happy", "charged")
    undo = f"{(charge.key or b'').decode()}:payment:undo:1"
    refund = header(header(charge, "ce_id", undo), "ce_type", "payment.refund")
    refunded = header(header(charged, "ce_causationid", undo), "ce_type", "payment.refunded")
    return also(good, refund, refunded)


def _caused_by_another_order(good: Recording) -> Recording:
    other = one(good, PAID, "declined")
    return changed(good, one(good, EVENTS, "happy", ENDS), cause(partition=other.partition, offset=other.offset))


def _open_transaction(good: Recording) -> Recording:
    span = good.spans[EVENTS, 0]
    return replace(good, spans={**good.spans, (EVENTS, 0): Span(0, span.stable, span.high + 3)})


def _mixed_writers(good: Recording) -> Recording:
    """The decision on a later order of a partition lies before that on an earlier one."""
    starts = [record for record in good.records if record.topic == EVENTS and b"saga.started" in (record.value or b"")]
    left = starts[0]
    return swapped(good, left, next(r for r in starts[1:] if r.partition == left.partition))


def _last_state(**fields: object) -> Mutation:
    return lambda good: changed(good, last(good, STATE, "happy"), put(**fields))


def _deleted_state(good: Recording) -> Recording:
    state = last(good, STATE, "happy")
    return instead(good, state, replace(state, value=None))


def _ghost(good: Recording) -> Recording:
    return also(good, replace(one(good, STATE, "happy"), key=b"ghost"))


def _cut_short(decision: Record) -> Record:
    return replace(decision, value=b'{"saga_id":')


MUTANTS: Mutants = {
    "a completed saga goes on": ("INV-4", edit(EVENTS, "repeated", '"seq":5', put(events=[ask("payment", 2)]))),
    "a refused payment completes the order": (
        "INV-4",
        edit(EVENTS, "declined", "saga.step.refused", event(1, type="saga.completed")),
    ),
    "a time-out succeeds": ("INV-4", edit(EVENTS, "in_doubt", "timed_out", event(0, type="saga.step.succeeded"))),
    "an event is unheard of": ("INV-4", edit(EVENTS, "happy", ENDS, event(1, type="saga.finished"))),
    "an event names an unknown step": ("INV-4", edit(EVENTS, "happy", ENDS, event(0, step="shipping"))),
    "an event's step is a list": ("INV-25", edit(EVENTS, "happy", ENDS, event(0, step=["payment"]))),
    "an attempt is left out": ("INV-4", edit(EVENTS, "in_doubt", "timed_out", event(1, attempt=3))),
    "the payment is asked for at the start": ("INV-4", edit(EVENTS, "happy", STARTS, event(1, step="payment"))),
    "a step is asked for again without need": ("INV-4", edit(EVENTS, "happy", ENDS, event(1, **ask("payment", 2)))),
    "an undo without need": (
        "INV-4",
        edit(EVENTS, "happy", "saga.step.succeeded", event(1, type="saga.compensation.requested", step="reservation")),
    ),
    "an ignored reply changes something": (
        "INV-4",
        edit(EVENTS, "in_doubt", "saga.reply.ignored", lambda value: value["events"].append(COMPLETED)),
    ),
    "a cancel is refused going forward": (
        "INV-4",
        edit(EVENTS, "cancelled", "saga.cancel.requested", put(events=[{"type": "saga.cancel.refused"}])),
    ),
    "a saga changes its version": ("INV-4", edit(EVENTS, "happy", ENDS, put(version=2))),
    "stuck without a failure": ("INV-4", edit(EVENTS, "until_stuck", "saga.stuck", event(1, step="reservation"))),
    "a saga does not go on": ("INV-5", _last_decision_and_input_gone),
    "the first answer was ignored": ("INV-7", _first_answer_ignored),
    "a second answer counts": (
        "INV-7",
        edit(EVENTS, "repeated", "saga.reply.ignored", put(events=[was("succeeded", "reservation")])),
    ),
    "an undo is answered twice": ("INV-7", edit(EVENTS, "in_doubt", "saga.rolled_back", event(0, step="payment"))),
    "the oldest step is undone first": ("INV-8", _oldest_undone_first),
    "a step is left standing": ("INV-8", _left_standing),
    "a refused step is undone": ("INV-8", edit(EVENTS, "declined", "saga.step.refused", event(1, step="payment"))),
    "a reply to an effect never asked for counts": (
        "INV-20",
        label(RESERVED, "happy", "", "ce_causationid", "happy-0:payment:do:1"),
    ),
    "a reply to an attempt never sent counts": (
        "INV-20",
        label(RESERVED, "happy", "", "ce_causationid", "happy-0:reservation:do:7"),
    ),
    "a reply to another order counts": (
        "INV-20",
        label(PAID, "happy", "", "ce_causationid", "declined-1:payment:do:1"),
    ),
    "a decision has another number": ("INV-20", edit(EVENTS, "happy", ENDS, put(seq=4))),
    "the first decision is missing, and its input": ("INV-20", _first_decision_and_input_gone),
    "a timer took effect twice": ("INV-3", double(EVENTS, "retried", '"timer"')),
    "a refund was never answered": ("INV-6", drop(PAID, "in_doubt", "payment.refunded")),
    "a release was never answered": ("INV-6", drop(RESERVED, "declined", "reservation.released")),
    "a completed order was never charged": ("INV-6", drop(PAID, "happy", "charged")),
    "a completed order was refunded": ("INV-6", _refunded_though_completed),
    "too little was charged": ("INV-6", edit(PAY, "happy", "charge", total(1))),
    "too much was reserved": ("INV-6", edit(RESERVE, "happy", "reserve", quantity(99))),
    "the order costs more than was charged": ("INV-6", edit(REQUESTS, "happy", "order.place", total(5000))),
    "a decision lies in another partition": ("INV-13", move(EVENTS, "happy", ENDS)),
    "a state lies in another partition": ("INV-13", move(STATE, "happy")),
    "a decision names another saga": ("INV-13", edit(EVENTS, "happy", ENDS, put(saga_id="other"))),
    "a decision was caused by another order's reply": ("INV-13", _caused_by_another_order),
    "two writers mixed their decisions": ("INV-21", _mixed_writers),
    "a transaction hangs": ("INV-23", _open_transaction),
    "a decision has a header": ("INV-25", label(EVENTS, "happy", "", "ce_id", "x")),
    "a decision has no events": ("INV-25", edit(EVENTS, "happy", ENDS, put(events=[]))),
    "a decision has no cause": ("INV-25", edit(EVENTS, "happy", ENDS, put(cause={}))),
    "a decision is numbered 0": ("INV-25", edit(EVENTS, "happy", STARTS, put(seq=0))),
    "a decision is no JSON": ("INV-25", remake(EVENTS, "happy", "", _cut_short)),
    "a decision's time has no zone": ("INV-25", edit(EVENTS, "happy", ENDS, put(at="2026-01-01T00:00:00"))),
    "the last state is missing": ("INV-10", lambda good: without(good, last(good, STATE, "happy"))),
    "a saga has no state": ("INV-10", lambda good: without(good, *records(good, STATE, "cancelled_packing"))),
    "a state was deleted": ("INV-10", _deleted_state),
    "a state has another number": ("INV-10", _last_state(seq=9)),
    "a state says something else": ("INV-10", _last_state(state="stuck")),
    "a state has more than its events": ("INV-10", _last_state(more=1)),
    "a state has no history": ("INV-10", _ghost),
}
