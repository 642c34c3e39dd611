"""Mutants of what was read: inputs, their results, dead letters, committed offsets."""

from dataclasses import replace

from app.audit.recording import Record, Recording
from tests.audit.mutation import (
    Mutants,
    also,
    cause,
    committed_at,
    double,
    drop,
    edit,
    header,
    instead,
    label,
    last,
    move,
    one,
    put,
    records,
    remake,
    valued,
    without,
)

EVENTS, OUTCOMES, DEAD = "saga.events", "order.outcomes", "saga.dead-letters"
REQUESTS, PAID = "order.requests", "payment.replies"
REASON, MESSAGE, TIME = "__saga.errors.reason", "__saga.errors.message", "__saga.errors.timestamp"


def _letter(record: Record, reason: str) -> Record:
    """The dead letter of a record."""
    known = {
        "reason": reason,
        "message": "so it is",
        "topic": f"t.{record.topic}",
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp_ms,
    }
    marks = [(f"__saga.errors.{name}", str(value).encode()) for name, value in known.items()]
    return replace(record, topic=DEAD, headers=(*record.headers, *marks))


def _paid_by_a_dead_letter(good: Recording) -> Recording:
    return also(good, _letter(one(good, PAID, "happy", "charged"), "invalid"))


def _forgotten(good: Recording) -> Recording:
    refusals = one(good, EVENTS, "refused", "cancel.refused"), one(good, OUTCOMES, "refused", "cancel.refused")
    return also(without(good, *refusals), _letter(one(good, REQUESTS, "refused", "order.cancel"), "unknown_order"))


def _not_sent_on(good: Recording) -> Recording:
    return without(good, last(good, REQUESTS, "misrouted"))


def _sent_on_without_headers(good: Recording) -> Recording:
    copy = last(good, REQUESTS, "misrouted")
    return instead(good, copy, header(copy, "ce_source", None))


def _beyond_the_commit(good: Recording) -> Recording:
    reply = one(good, PAID, "happy", "charged")
    return committed_at(good, (PAID, reply.partition), reply.offset)


def _never_read(good: Recording) -> Recording:
    reply = one(good, PAID, "happy", "charged")
    place = (PAID, reply.partition)
    return committed_at(also(good, reply), place, good.committed[place])


def _nothing_committed(good: Recording) -> Recording:
    return committed_at(good, (REQUESTS, one(good, REQUESTS, "happy").partition), None)


def _whole_saga_gone(good: Recording) -> Recording:
    return without(good, *records(good, EVENTS, "rejected"))


def _second_saga(good: Recording) -> Recording:
    again = last(good, REQUESTS, "repeated", "order.place").offset
    started = valued(one(good, EVENTS, "repeated", "saga.started"), put(seq=6))
    return also(good, valued(started, cause(offset=again)))


def _first_copy_skipped(good: Recording) -> Recording:
    started = one(good, EVENTS, "repeated", "saga.started")
    again = last(good, REQUESTS, "repeated", "order.place").offset
    return instead(good, started, valued(started, cause(offset=again)))


def _no_real_conflict(good: Recording) -> Recording:
    other = one(good, REQUESTS, "repeated", "c-other")
    return instead(good, other, replace(other, value=one(good, REQUESTS, "repeated").value))


def _shorter(letter: Record) -> Record:
    return replace(letter, value=(letter.value or b"")[:9])


MUTANTS: Mutants = {
    "a decision is missing": ("INV-1", drop(EVENTS, "declined", "saga.step.refused")),
    "a decision is there twice": ("INV-1", double(EVENTS, "happy", "saga.completed")),
    "an input was decided and is a dead letter": ("INV-1", _paid_by_a_dead_letter),
    "a malformed input has no dead letter": ("INV-1", drop(DEAD, "bad", "malformed")),
    "a dead letter is there twice": ("INV-1", double(DEAD, "bad", "unknown_order")),
    "another order is taken for a repetition": ("INV-1", drop(DEAD, "repeated", "conflict")),
    "a cancel came to nothing": ("INV-1", drop(EVENTS, "refused", "saga.cancel.refused")),
    "an operation came to nothing": ("INV-1", drop(EVENTS, "refused", "saga.operation.refused")),
    "an ignored reply left no event": ("INV-1", drop(EVENTS, "repeated", "saga.reply.ignored")),
    "a misrouted order was not sent on": ("INV-1", _not_sent_on),
    "a misrouted order was sent on without its headers": ("INV-1", _sent_on_without_headers),
    "an input was decided beyond the committed offset": ("INV-1", _beyond_the_commit),
    "a whole saga is missing": ("INV-11", _whole_saga_gone),
    "an input was never read": ("INV-5", _never_read),
    "nothing was committed for a partition": ("INV-5", _nothing_committed),
    "a saga starts twice": ("INV-2", _second_saga),
    "a later copy of the order started the saga": ("INV-2", _first_copy_skipped),
    "a conflict has the saga's content": ("INV-2", _no_real_conflict),
    "a conflict has no saga": ("INV-2", label(DEAD, "bad", "unknown_order", REASON, "conflict")),
    "a decision's input was aborted": ("INV-18", drop(PAID, "happy", "charged")),
    "a dead letter's record was aborted": ("INV-18", drop(REQUESTS, "bad", "not json")),
    "a cause names another id": ("INV-20", edit(EVENTS, "happy", "charged", cause(id="other"))),
    "a cause names another type": ("INV-20", edit(EVENTS, "happy", "charged", cause(type="payment.refunded"))),
    "a cause names an output": ("INV-20", edit(EVENTS, "happy", "charged", cause(topic="t.order.outcomes"))),
    "a cause's topic carries no such message": ("INV-20", label(PAID, "happy", "", "ce_type", "order.place")),
    "a cause names a topic without the prefix": ("INV-25", edit(EVENTS, "happy", "charged", cause(topic=PAID))),
    "a dead letter has another value": ("INV-11", edit(DEAD, "bad", "unknown_order", put(reason="other"))),
    "a dead letter lost a header": ("INV-11", label(DEAD, "bad", "unknown_order", "ce_id", None)),
    "a dead letter has an unknown reason": ("INV-11", label(DEAD, "bad", "malformed", REASON, "why not")),
    "a dead letter gives no message": ("INV-11", label(DEAD, "bad", "malformed", MESSAGE, None)),
    "a dead letter gives another time": ("INV-11", label(DEAD, "bad", "malformed", TIME, "17")),
    "a dead letter gives no offset": ("INV-11", label(DEAD, "bad", "malformed", "__saga.errors.offset", None)),
    "a cut dead letter has another digest": ("INV-11", label(DEAD, "bad", "too_large", "__saga.errors.sha256", "00")),
    "a cut dead letter has more cut": ("INV-11", remake(DEAD, "bad", "too_large", _shorter)),
    "a short record is called too large": ("INV-11", label(DEAD, "bad", "malformed", REASON, "too_large")),
    "a right key is called wrong": ("INV-11", label(DEAD, "bad", "unknown_order", REASON, "wrong_key")),
    "a known order became unknown": ("INV-11", _forgotten),
    "a dead letter lies elsewhere": ("INV-13", move(DEAD, "bad", "malformed")),
}
