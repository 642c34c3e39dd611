"""The records that the orchestrator writes, to the byte."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from app.saga.messages import TimerDue
from app.saga.state import NO_SAGA
from app.saga.verdict import Decision
from app.wire.partition import partition_of
from app.wire.rfc3339 import rfc3339
from app.wire.writer import Cause, Origin, OutputRecord, input_cause, timer_cause, write
from tests.saga.order_messages import (
    CONTENT,
    LINES,
    TOTAL,
    TWO_ATTEMPTS,
    cancel,
    charged,
    compensate,
    declined,
    failed,
    refunded,
    rejected,
    released,
    reserved,
)
from tests.saga.story import NOON, Story, StoryInput
from tests.wire.stories import PLACED, STORIES, decisions
from topologies.order import ORDER

AT = 1_772_357_400_125
ORIGIN = Origin("pre.order.requests", 3, 17, AT - 5)
CAUSE = input_cause(ORIGIN, "m-1", "order.place", ())
TRACE = (("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("tracestate", b"a=1"))
REFUNDING: tuple[StoryInput, ...] = (PLACED, reserved(), cancel())


def written(*inputs: StoryInput, cause: Cause = CAUSE) -> list[OutputRecord]:
    """The records of a saga's last decision after these inputs."""
    *_, (decision, _, _) = decisions(*inputs)
    return write(TWO_ATTEMPTS, "o-1", decision, cause, AT)


def event_of(*inputs: StoryInput, cause: Cause = CAUSE) -> dict[str, Any]:
    """The value of the history's record of the last decision."""
    value = orjson.loads(written(*inputs, cause=cause)[0].value or b"")
    assert isinstance(value, dict)
    return value


def sent(*inputs: StoryInput, cause: Cause = CAUSE) -> OutputRecord:
    """The only record of the last decision beside that of the history."""
    _, record = written(*inputs, cause=cause)
    return record


def test_a_decision_is_one_record_of_the_history() -> None:
    """It comes first, with the order's key, without headers, and leaves the partition to the partitioner."""
    record = written(PLACED)[0]
    assert (record.topic, record.key, tuple(record.headers), record.partition) == ("saga.events", b"o-1", (), None)
    assert record.value == orjson.dumps(
        {
            "saga_id": "o-1",
            "saga": "order",
            "version": 1,
            "seq": 1,
            "at": "2026-03-01T09:30:00.125Z",
            "cause": {"topic": "pre.order.requests", "partition": 3, "offset": 17, "id": "m-1", "type": "order.place"},
            "events": [
                {
                    "type": "saga.started",
                    "order": CONTENT,
                    "digest": PLACED.digest,
                    "at_ms": NOON,
                    "deadline_ms": NOON + 86_400_000,
                },
                {
                    "type": "saga.step.requested",
                    "step": "reservation",
                    "attempt": 1,
                    "at_ms": NOON,
                    "due_ms": NOON + 30_000,
                },
            ],
        }
    )


def test_a_timer_is_named_with_its_due_time() -> None:
    """The event names the timer as its cause; the command names the attempt before it."""
    cause = timer_cause("reservation:do:1:timeout", AT - 20, "o-1:reservation:do:1")
    (decision, given, _) = tuple(decisions(*STORIES["timed out"][:2]))[-1]
    assert isinstance(given, TimerDue)
    event, command = write(TWO_ATTEMPTS, "o-1", decision, cause, AT)
    assert orjson.loads(event.value or b"")["cause"] == {
        "timer": "reservation:do:1:timeout",
        "due": "2026-03-01T09:30:00.105Z",
    }
    assert dict(command.headers)["ce_causationid"] == b"o-1:reservation:do:1"
    assert dict(command.headers)["ce_id"] == b"o-1:reservation:do:2"


@pytest.mark.parametrize(
    ("inputs", "topic", "type", "action", "attempt", "value"),
    (
        ((PLACED,), "reservation.commands", "reservation.reserve", "reservation:do", 1, {"lines": LINES}),
        (
            (PLACED, reserved()),
            "payment.commands",
            "payment.charge",
            "payment:do",
            1,
            {"customer_id": "ann", "total": TOTAL},
        ),
        (REFUNDING, "payment.commands", "payment.refund", "payment:undo", 1, {"total": TOTAL}),
        (
            (*REFUNDING, refunded()),
            "reservation.commands",
            "reservation.release",
            "reservation:undo",
            1,
            {"reservation_id": "r-1"},
        ),
        ((PLACED, cancel()), "reservation.commands", "reservation.release", "reservation:undo", 1, {}),
        (STORIES["retried"][:3], "reservation.commands", "reservation.reserve", "reservation:do", 2, {"lines": LINES}),
        (STORIES["timed out"][:6], "reservation.commands", "reservation.release", "reservation:undo", 3, {}),
    ),
)
def test_a_command_is_as_the_contract_has_it(
    inputs: tuple[StoryInput, ...], topic: str, type: str, action: str, attempt: int, value: dict[str, object]
) -> None:
    """Topic, key, value and every header, in their order. An undo names its step's result only if it was confirmed."""
    assert sent(*inputs) == OutputRecord(
        topic,
        b"o-1",
        orjson.dumps({"order_id": "o-1", **value}),
        [
            ("ce_specversion", b"1.0"),
            ("ce_id", f"o-1:{action}:{attempt}".encode()),
            ("ce_type", type.encode()),
            ("ce_source", b"/saga-orchestrator"),
            ("ce_time", b"2026-03-01T09:30:00.125Z"),
            ("ce_correlationid", b"o-1"),
            ("ce_causationid", b"m-1"),
            ("content-type", b"application/json"),
            ("ce_idempotencykey", f"o-1:{action}".encode()),
        ],
        None,
    )


@pytest.mark.parametrize(
    ("inputs", "seq", "type", "value"),
    (
        ((PLACED, reserved(), charged()), 3, "order.completed", {"reservation_id": "r-1", "payment_id": "p-1"}),
        ((PLACED, rejected()), 2, "order.rejected", {"reason": "out of stock", "step": "reservation"}),
        (
            (PLACED, reserved(), declined(), released()),
            4,
            "order.rejected",
            {"reason": "no funds", "step": "payment"},
        ),
        ((PLACED, cancel(), released()), 3, "order.cancelled", {"reason": "changed my mind"}),
        ((PLACED, compensate(), released()), 3, "order.cancelled", {"reason": "fraud"}),
        ((PLACED, cancel(), cancel()), 3, "order.cancel.refused", {"reason": "the order was cancelled before"}),
        (
            (*REFUNDING, failed("payment:undo", for_good=True)),
            4,
            "order.stuck",
            {"reason": "database down", "step": "payment"},
        ),
    ),
)
def test_an_outcome_is_as_the_contract_has_it(
    inputs: tuple[StoryInput, ...], seq: int, type: str, value: dict[str, object]
) -> None:
    """Topic, key, value and every header, in their order; an outcome has no idempotency key."""
    assert sent(*inputs) == OutputRecord(
        "order.outcomes",
        b"o-1",
        orjson.dumps({"order_id": "o-1", **value}),
        [
            ("ce_specversion", b"1.0"),
            ("ce_id", f"o-1:outcome:{NOON}:{seq}".encode()),
            ("ce_type", type.encode()),
            ("ce_source", b"/saga-orchestrator"),
            ("ce_time", b"2026-03-01T09:30:00.125Z"),
            ("ce_correlationid", b"o-1"),
            ("ce_causationid", b"m-1"),
            ("content-type", b"application/json"),
        ],
        None,
    )


@pytest.mark.parametrize("inputs", ((PLACED,), (PLACED, rejected())))
def test_a_trace_is_propagated_to_messages(inputs: tuple[StoryInput, ...]) -> None:
    """To commands and outcomes, never to the history."""
    event, record = written(*inputs, cause=input_cause(ORIGIN, "m-1", "t", TRACE))
    assert tuple(event.headers) == ()
    assert tuple(header for header in record.headers if header not in sent(*inputs).headers) == TRACE


@pytest.mark.parametrize("story", tuple(STORIES))
def test_every_message_id_is_unique(story: str) -> None:
    """Within a saga; and its sequence numbers count from 1 without gaps."""
    ids, seqs = [], []
    for decision, _, at in decisions(*STORIES[story]):
        event, *others = write(TWO_ATTEMPTS, "o-1", decision, CAUSE, at)
        ids += [dict(record.headers)["ce_id"] for record in others]
        seqs.append(orjson.loads(event.value or b"")["seq"])
    assert len(ids) == len(set(ids))
    assert seqs == list(range(1, len(seqs) + 1))


def test_an_order_id_that_is_used_again_has_new_outcome_ids() -> None:
    """A shop that drops duplicates gets both outcomes, though both are of a second decision."""
    ids = []
    for noon in (NOON, NOON + 1):
        story = Story(TWO_ATTEMPTS, NO_SAGA, noon).moved_by(PLACED)
        verdict = story.when(rejected()).verdict
        assert isinstance(verdict, Decision)
        ids += [dict(out.headers)["ce_id"] for out in write(TWO_ATTEMPTS, "o-1", verdict, CAUSE, AT)[1:]]
    assert ids == [f"o-1:outcome:{NOON}:2".encode(), f"o-1:outcome:{NOON + 1}:2".encode()]


@pytest.mark.parametrize("story", tuple(STORIES))
def test_the_same_decision_gives_the_same_bytes(story: str) -> None:
    """Repeated after a crash, at the same time and with the same cause, it writes the same records."""
    once, again = (
        [write(TWO_ATTEMPTS, "o-1", decision, CAUSE, at) for decision, _, at in decisions(*STORIES[story])]
        for _ in range(2)
    )
    assert once == again


@pytest.mark.parametrize("inputs", ((PLACED, reserved(), charged(), charged()), (PLACED, rejected(), compensate())))
def test_an_input_that_changes_nothing_is_only_recorded(inputs: tuple[StoryInput, ...]) -> None:
    """An ignored reply or a refused operation sends nothing."""
    assert len(written(*inputs)) == 1
    assert len(event_of(*inputs)["events"]) == 1


def test_a_cause_has_the_position_of_its_input() -> None:
    """Topic with prefix, partition, offset, id and type, to look it up."""
    assert CAUSE.fields == {
        "topic": "pre.order.requests",
        "partition": 3,
        "offset": 17,
        "id": "m-1",
        "type": "order.place",
    }
    assert (CAUSE.id, CAUSE.trace) == ("m-1", ())
    timer = timer_cause("t", AT, "o-1:payment:do:1")
    assert (timer.id, timer.trace, timer.fields["due"]) == ("o-1:payment:do:1", (), rfc3339(AT))


def test_text_goes_out_as_it_came_in() -> None:
    """A reason in any script is the same in the history and in the outcome, as unescaped UTF-8."""
    reason = "kein Vorrat: \u00e9\U0001f600\u202e \0"
    event, outcome = written(PLACED, rejected(reason=reason))
    assert orjson.loads(outcome.value or b"")["reason"] == reason
    assert reason[:-1].encode() in (event.value or b"")


def test_all_records_of_an_order_have_one_key() -> None:
    """So they are in the same partition of every topic."""
    for inputs in STORIES.values():
        for decision, _, at in decisions(*inputs):
            records = write(TWO_ATTEMPTS, "o-1", decision, CAUSE, at)
            assert {record.key for record in records} == {b"o-1"}
            assert {record.partition for record in records} == {None}
    assert partition_of(b"o-1", 12) in range(12)


def test_the_history_has_the_definition_of_a_new_saga() -> None:
    """Its name and version."""
    value = event_of(PLACED)
    assert (value["saga"], value["version"]) == (ORDER.name, ORDER.version)


@pytest.mark.parametrize("given_input", (cancel(), compensate(), charged()))
def test_the_history_keeps_the_definition_that_a_saga_started_with(given_input: StoryInput) -> None:
    """Even if a later definition decides for an ended saga."""
    *_, (completed, _, _) = decisions(PLACED, reserved(), charged())
    later = replace(TWO_ATTEMPTS, name="purchase", version=7)
    verdict = Story(later, completed.progress, NOON).when(given_input).verdict
    assert isinstance(verdict, Decision)
    event, *_ = write(later, "o-1", verdict, CAUSE, AT)
    value = orjson.loads(event.value or b"")
    assert (value["saga"], value["version"], value["seq"]) == ("order", 1, 4)
