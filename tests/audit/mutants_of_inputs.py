"""Tampered inputs: their results, dead letters, and the committed offsets."""

from dataclasses import replace

from app.audit.recording.recording import Record, Recording
from tests.audit.mutation import (
    Mutants,
    appended,
    cause,
    committed_at,
    drop,
    duplicate,
    edit,
    edit_header,
    edit_record,
    first_record,
    last_record,
    move,
    put,
    records,
    replaced,
    with_header,
    with_json,
    without,
)

EVENTS, OUTCOMES, DEAD = "saga.events", "order.outcomes", "saga.dead-letters"
REQUESTS, PAID = "order.requests", "payment.replies"
REASON, MESSAGE, TIME = "__saga.errors.reason", "__saga.errors.message", "__saga.errors.timestamp"


def _dead_letter(record: Record, reason: str) -> Record:
    """The dead letter of a record."""
    known = {
        "reason": reason,
        "message": "so it is",
        "topic": f"t.{record.topic}",
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp_ms,
    }
    added = [(f"__saga.errors.{name}", str(value).encode()) for name, value in known.items()]
    return replace(record, topic=DEAD, headers=(*record.headers, *added))


def _decided_and_dead_lettered(good: Recording) -> Recording:
    return appended(good, _dead_letter(first_record(good, PAID, "happy", "charged"), "invalid"))


def _known_order_dead_lettered(good: Recording) -> Recording:
    refusals = [first_record(good, topic, "refused", "cancel.refused") for topic in (EVENTS, OUTCOMES)]
    cancel = first_record(good, REQUESTS, "refused", "order.cancel")
    return appended(without(good, *refusals), _dead_letter(cancel, "unknown_order"))


def _not_rerouted(good: Recording) -> Recording:
    return without(good, last_record(good, REQUESTS, "misrouted"))


def _rerouted_without_header(good: Recording) -> Recording:
    copy = last_record(good, REQUESTS, "misrouted")
    return replaced(good, copy, with_header(copy, "ce_source", None))


def _committed_offset_too_low(good: Recording) -> Recording:
    reply = first_record(good, PAID, "happy", "charged")
    return committed_at(good, (PAID, reply.partition), reply.offset)


def _never_read(good: Recording) -> Recording:
    reply = first_record(good, PAID, "happy", "charged")
    partition = (PAID, reply.partition)
    return committed_at(appended(good, reply), partition, good.committed[partition])


def _nothing_committed(good: Recording) -> Recording:
    return committed_at(good, (REQUESTS, first_record(good, REQUESTS, "happy").partition), None)


def _all_decisions_missing(good: Recording) -> Recording:
    return without(good, *records(good, EVENTS, "rejected"))


def _second_saga(good: Recording) -> Recording:
    again = last_record(good, REQUESTS, "repeated", "order.place").offset
    started = with_json(first_record(good, EVENTS, "repeated", "saga.started"), put(seq=6))
    return appended(good, with_json(started, cause(offset=again)))


def _first_copy_skipped(good: Recording) -> Recording:
    started = first_record(good, EVENTS, "repeated", "saga.started")
    again = last_record(good, REQUESTS, "repeated", "order.place").offset
    return replaced(good, started, with_json(started, cause(offset=again)))


def _conflict_with_same_content(good: Recording) -> Recording:
    other = first_record(good, REQUESTS, "repeated", "c-other")
    return replaced(good, other, replace(other, value=first_record(good, REQUESTS, "repeated").value))


def _cut_more(letter: Record) -> Record:
    return replace(letter, value=(letter.value or b"")[:9])


MUTANTS: Mutants = {
    "a decision is missing": ("INV-1", drop(EVENTS, "declined", "saga.step.refused")),
    "a decision exists twice": ("INV-1", duplicate(EVENTS, "happy", "saga.completed")),
    "an input has a decision and a dead letter": ("INV-1", _decided_and_dead_lettered),
    "a malformed input has no dead letter": ("INV-1", drop(DEAD, "bad", "malformed")),
    "a dead letter exists twice": ("INV-1", duplicate(DEAD, "bad", "unknown_order")),
    "a conflicting order has no dead letter": ("INV-1", drop(DEAD, "repeated", "conflict")),
    "a cancel has no result": ("INV-1", drop(EVENTS, "refused", "saga.cancel.refused")),
    "an operation has no result": ("INV-1", drop(EVENTS, "refused", "saga.operation.refused")),
    "an ignored reply has no event": ("INV-1", drop(EVENTS, "repeated", "saga.reply.ignored")),
    "a misrouted order was not rerouted": ("INV-1", _not_rerouted),
    "a misrouted order was rerouted without a header": ("INV-1", _rerouted_without_header),
    "an input past the committed offset has a decision": ("INV-1", _committed_offset_too_low),
    "all decisions of a saga are missing": ("INV-11", _all_decisions_missing),
    "an input was never read": ("INV-5", _never_read),
    "a partition has no committed offset": ("INV-5", _nothing_committed),
    "a saga starts twice": ("INV-2", _second_saga),
    "a later copy of the order started the saga": ("INV-2", _first_copy_skipped),
    "a conflict has the saga's content": ("INV-2", _conflict_with_same_content),
    "a conflict has no saga": ("INV-2", edit_header(DEAD, "bad", "unknown_order", REASON, "conflict")),
    "a decision's input was aborted": ("INV-18", drop(PAID, "happy", "charged")),
    "a dead letter's record was aborted": ("INV-18", drop(REQUESTS, "bad", "not json")),
    "a cause names another id": ("INV-20", edit(EVENTS, "happy", "charged", cause(id="other"))),
    "a cause names another type": ("INV-20", edit(EVENTS, "happy", "charged", cause(type="payment.refunded"))),
    "a cause is in an output topic": ("INV-20", edit(EVENTS, "happy", "charged", cause(topic="t.order.outcomes"))),
    "a cause has a type that its topic does not carry": (
        "INV-20",
        edit_header(PAID, "happy", "", "ce_type", "order.place"),
    ),
    "a cause names a topic without the prefix": ("INV-25", edit(EVENTS, "happy", "charged", cause(topic=PAID))),
    "a dead letter has another value": ("INV-11", edit(DEAD, "bad", "unknown_order", put(reason="other"))),
    "a dead letter lost a header": ("INV-11", edit_header(DEAD, "bad", "unknown_order", "ce_id", None)),
    "a dead letter has an unknown reason": ("INV-11", edit_header(DEAD, "bad", "malformed", REASON, "why not")),
    "a dead letter has no message": ("INV-11", edit_header(DEAD, "bad", "malformed", MESSAGE, None)),
    "a dead letter has another timestamp": ("INV-11", edit_header(DEAD, "bad", "malformed", TIME, "17")),
    "a dead letter has no offset": ("INV-11", edit_header(DEAD, "bad", "malformed", "__saga.errors.offset", None)),
    "a truncated dead letter has another digest": (
        "INV-11",
        edit_header(DEAD, "bad", "too_large", "__saga.errors.sha256", "00"),
    ),
    "a truncated dead letter is cut too short": ("INV-11", edit_record(DEAD, "bad", "too_large", _cut_more)),
    "a short record has the reason too_large": ("INV-11", edit_header(DEAD, "bad", "malformed", REASON, "too_large")),
    "a record with the right key has the reason wrong_key": (
        "INV-11",
        edit_header(DEAD, "bad", "unknown_order", REASON, "wrong_key"),
    ),
    "a known order has the reason unknown_order": ("INV-11", _known_order_dead_lettered),
    "a dead letter is in a wrong partition": ("INV-13", move(DEAD, "bad", "malformed")),
}
