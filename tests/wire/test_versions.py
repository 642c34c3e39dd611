"""Versions of a saga side by side: each reads and writes by its own definition, and all are documented together."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from app.saga.decide import decide
from app.saga.definition import Command, Saga
from app.saga.outputs import outputs_of
from app.saga.state import NO_SAGA, Progress
from app.saga.verdict import Decision
from app.saga.versions import Versions
from app.wire import asyncapi, schemas
from app.wire.reader import Reader
from app.wire.state_codec import decode, encode
from app.wire.topics import Topics
from app.wire.writer import Origin, OutputRecord, input_cause, write
from tests.saga.order_messages import CONTENT, TWO_ATTEMPTS, cancel
from tests.saga.steps import step
from tests.saga.story import NOON
from tests.wire.schema_validation import resolved, strict_violations, violations
from tests.wire.stories import PLACED, STORIES, VERSIONS, WIDE, WIDE_STORIES, all_decisions, decisions
from tests.wire.values import encoded, headers
from topologies.order import ORDER

READER = Reader(VERSIONS)
TOPICS = Topics(VERSIONS)
DOCUMENT = asyncapi.document(TOPICS)
VALUES = schemas.values(VERSIONS)
ORIGIN = Origin("order.requests", 0, 17, NOON)


def handled(
    progress: Progress, topic: str, type: str, command: str = "", **fields: object
) -> tuple[Progress, list[OutputRecord]]:
    """The decision on a message, as bytes, for a saga whose state is read from its document."""
    known = progress if progress == NO_SAGA else decode(encode(progress))
    causation = command.encode() or None
    received = READER.read(
        topic, b"o-1", encoded({"order_id": "o-1", **fields}), headers(type, ce_causationid=causation)
    )
    saga = VERSIONS.of(known.state)
    verdict = decide(saga, "o-1", known, received.given, NOON)
    assert isinstance(verdict, Decision)
    cause = input_cause(ORIGIN, received.id, received.type, received.trace)
    return verdict.progress, write(saga, "o-1", verdict, cause, NOON)


def started(saga: Saga) -> Progress:
    """A saga of that version which has just started."""
    verdict = decide(saga, "o-1", NO_SAGA, PLACED, NOON)
    assert isinstance(verdict, Decision)
    return verdict.progress


def event_of(records: list[OutputRecord]) -> Any:
    """The history's record among them, which is valid in the schema of all versions."""
    event = orjson.loads(records[0].value or b"")
    schema = schemas.event_record(VERSIONS)
    assert strict_violations(schema, event) == violations(schema, event) == []
    return event


def test_a_new_saga_is_of_the_latest_version() -> None:
    """Its records have that version, and its first two steps are requested."""
    _, records = handled(NO_SAGA, "order.requests", "order.place", **CONTENT)
    assert event_of(records)["version"] == 2
    assert [record.topic for record in records[1:]] == ["reservation.commands", "credit.commands"]


def test_each_saga_goes_on_by_its_own_version() -> None:
    """The same reply leads to other next steps."""
    reply = {"command": "o-1:reservation:do:1", "reservation_id": "r-1"}
    _, old = handled(started(TWO_ATTEMPTS), "reservation.replies", "reservation.reserved", **reply)
    _, new = handled(started(WIDE), "reservation.replies", "reservation.reserved", **reply)
    assert [event_of(records)["version"] for records in (old, new)] == [1, 2]
    assert [record.topic for record in old] == ["saga.events", "payment.commands"]
    assert [record.topic for record in new] == ["saga.events"]


def test_a_reply_of_a_step_that_only_an_old_version_has_is_still_read() -> None:
    """Its topic is consumed, and its sagas end as they would have."""
    assert "payment" not in [step.name for step in VERSIONS.latest.steps]
    assert "payment.replies" in [topic.name for topic in TOPICS.inputs]
    reserved = {"command": "o-1:reservation:do:1", "reservation_id": "r-1"}
    progress, _ = handled(started(TWO_ATTEMPTS), "reservation.replies", "reservation.reserved", **reserved)
    charged = {"command": "o-1:payment:do:1", "payment_id": "p-1"}
    _, (event, outcome) = handled(progress, "payment.replies", "payment.charged", **charged)
    assert event_of([event])["events"][-1]["type"] == "saga.completed"
    assert orjson.loads(outcome.value or b"") == {"order_id": "o-1", "reservation_id": "r-1", "payment_id": "p-1"}


def test_a_reply_to_another_version_is_ignored_and_recorded() -> None:
    """A saga without the step ignores it; the schema of all versions knows its type."""
    charged = {"command": "o-1:payment:do:1", "payment_id": "p-1"}
    _, records = handled(started(WIDE), "payment.replies", "payment.charged", **charged)
    (event,) = event_of(records)["events"]
    assert (event["type"], event["reply"], len(records)) == ("saga.reply.ignored", "payment.charged", 1)


def test_an_ended_saga_keeps_a_version_that_is_missing() -> None:
    """A process with only the latest version refuses its cancel, and writes the saga's own version into the history."""
    *_, (ended, _, _) = decisions(*STORIES["rejected"][:2])
    latest = Versions((WIDE,))
    assert latest.of(ended.progress.state) is WIDE
    verdict = decide(WIDE, "o-1", decode(encode(ended.progress)), cancel(), NOON)
    assert isinstance(verdict, Decision)
    event, outcome = write(WIDE, "o-1", verdict, input_cause(ORIGIN, "m-1", "order.cancel", ()), NOON)
    value = event_of([event])
    assert (value["saga"], value["version"]) == ("order", 1)
    assert dict(outcome.headers)["ce_id"] == f"o-1:outcome:{NOON}:3".encode()


def test_one_version_is_described_as_the_saga_is() -> None:
    """The documents have the same bytes."""
    alone = Versions((ORDER,))
    assert schemas.encoded(schemas.documents(alone)) == schemas.encoded(schemas.documents(ORDER))
    assert asyncapi.document(Topics(alone)) == asyncapi.document(Topics(ORDER))
    assert [topic.name for topic in Topics(alone).all] == [topic.name for topic in Topics(ORDER).all]


def test_the_topics_are_those_of_all_versions() -> None:
    """Each topic once."""
    names = [topic.name for topic in TOPICS.all]
    assert len(names) == len(set(names))
    assert set(names) == {topic.name for saga in (TWO_ATTEMPTS, WIDE) for topic in Topics(saga).all}
    assert list(DOCUMENT["channels"]) == names


@pytest.mark.parametrize(
    ("saga", "required"),
    (
        (ORDER, ["order_id", "reservation_id", "payment_id"]),
        (WIDE, ["order_id", "reservation_id", "credit_id"]),
        (VERSIONS, ["order_id", "reservation_id"]),
    ),
    ids=("the order saga", "one with steps that can be skipped", "both"),
)
def test_a_completed_order_has_what_every_version_always_has(saga: Saga | Versions, required: list[str]) -> None:
    """The results of steps that can be skipped, or that a version lacks, are optional."""
    schema = schemas.values(saga)["order.completed"]
    assert schema["required"] == required
    assert set(schema["properties"]) == {"order_id"} | {step.result for step in saga.steps}


def test_a_command_has_what_every_version_gives_it() -> None:
    """A field that one version lacks is optional; so is the result of a step that can be skipped."""
    reserve, bonus = VALUES["reservation.reserve"], VALUES["bonus.do"]
    assert set(reserve["properties"]) == {"order_id", "customer_id", "lines"}
    assert reserve["required"] == ["order_id", "lines"]
    assert set(bonus["properties"]) == {"order_id", "credit_id", "parcel_id"}
    assert bonus["required"] == ["order_id", "credit_id"]


def test_a_step_without_an_undo_or_a_refusal_has_no_messages_for_them() -> None:
    """The messages that it has are documented as for any other step."""
    assert not [name for name in VALUES if name.startswith(("parcel.und", "bonus.und", "bonus.no", "letter.no"))]
    assert None not in VALUES
    operations = DOCUMENT["operations"]
    assert {name for name in operations if name.startswith(("sendParcel", "sendBonus"))} == {
        "sendParcelDo",
        "sendBonusDo",
    }
    replies = [reference["$ref"] for reference in operations["sendBonusDo"]["reply"]["messages"]]
    assert replies == [f"#/channels/bonus.replies/messages/bonus.{word}" for word in ("yes", "failed")]
    assert READER.types("bonus.replies") == ("bonus.yes", "bonus.failed")


def test_the_document_of_all_versions_holds_for_each() -> None:
    """Its references lead somewhere. All messages of either version are in their channels, with valid headers."""
    messages = resolved(DOCUMENT, DOCUMENT)["components"]["messages"]
    cause = input_cause(ORIGIN, "m-1", "order.place", ())
    for saga, decision in all_decisions():
        for record in write(saga, "o-1", decision, cause, NOON)[1:]:
            headers = {name: (value or b"").decode() for name, value in record.headers}
            assert headers["ce_type"] in DOCUMENT["channels"][record.topic]["messages"]
            assert strict_violations(messages[headers["ce_type"]]["headers"], headers) == []


def test_skipped_steps_leave_their_results_out() -> None:
    """An order whose pivot and bonus were skipped is completed without their results, as the schemas allow."""
    *_, (decision, _, _) = decisions(*WIDE_STORIES["the pivot taken as done"], saga=WIDE)
    (outcome,) = (output for output in outputs_of(WIDE, "o-1", decision) if output.type == "order.completed")
    value = dict(outcome.value)
    assert value.keys() == {"order_id", "reservation_id", "credit_id", "letter_id"}
    assert (
        violations(VALUES["order.completed"], value) == violations(schemas.values(WIDE)["order.completed"], value) == []
    )


def renamed() -> Versions:
    """Two versions; the new one sends the same command to another participant, by a step of another name."""
    old = step("parcel")
    new = replace(
        old, name="drone", do=Command("parcel.do", ("lines",)), result="drone_id", undo=Command("parcel.undo")
    )
    return Versions((Saga("parcels", 1, (old,)), Saga("parcels", 2, (new,))))


def test_one_type_may_go_to_two_steps() -> None:
    """Both topics carry it; value and ids may be those of either step."""
    document, values = asyncapi.document(Topics(renamed())), schemas.values(renamed())
    assert values["parcel.do"]["required"] == ["order_id"]
    assert set(values["parcel.yes"]["properties"]) == {"order_id", "parcel_id", "drone_id"}
    assert values["parcel.yes"]["required"] == ["order_id"]
    assert {"sendParcelDo", "sendDroneParcelDo"} <= set(document["operations"])
    for name in ("parcel", "drone"):
        assert list(document["channels"][f"{name}.commands"]["messages"]) == ["parcel.do", "parcel.undo"]
    headers = document["components"]["messages"]["parcel.do"]["headers"]["properties"]
    for name in ("parcel", "drone"):
        assert violations(headers["ce_id"], f"o-1:{name}:do:1") == []
        assert violations(headers["ce_idempotencykey"], f"o-1:{name}:do") == []
    assert violations(headers["ce_id"], "o-1:letter:do:1")
