"""The AsyncAPI document matches the code."""

from importlib.resources import files

import orjson
import pytest

from app.saga.definition import Saga
from app.wire import asyncapi, schemas
from app.wire.invalid_record import InvalidRecord
from app.wire.reader import Reader
from app.wire.topics import Topic, Topics
from app.wire.writer import Origin, OutputRecord, dead_letter, input_cause, write
from tests.saga.order_messages import TWO_ATTEMPTS
from tests.saga.steps import step
from tests.wire.schema_validation import Schema, allows, resolved, strict_violations, violations
from tests.wire.stories import STORIES, decisions
from topologies.order import ORDER

TOPICS = Topics(ORDER)
DOCUMENT = asyncapi.document(TOPICS)
CHANNELS, OPERATIONS = DOCUMENT["channels"], DOCUMENT["operations"]
MESSAGES, READER = DOCUMENT["components"]["messages"], Reader(ORDER)
ORIGIN = Origin("order.requests", 0, 17, 1_772_357_400_125)
PARENT = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


def names(references: list[dict[str, str]]) -> list[str]:
    """The message types that references in a channel lead to."""
    return [reference["$ref"].split("/messages/")[1] for reference in references]


def headers_of(name: str) -> Schema:
    """The schema of a message's headers."""
    schema = resolved(DOCUMENT, MESSAGES[name])["headers"]
    assert isinstance(schema, dict)
    return schema


def as_text(record: OutputRecord) -> dict[str, str]:
    """The headers of a record as text, as the document has them."""
    return {name: (value or b"").decode() for name, value in record.headers}


def test_the_generated_copy_is_fresh() -> None:
    """The file in the package is the one that the code generates."""
    kept = files("app.wire").joinpath("generated/asyncapi.json").read_bytes()
    assert kept == schemas.encoded(DOCUMENT), (
        "app/wire/generated/asyncapi.json is stale; write it anew: saga wire asyncapi app/wire/generated/asyncapi.json"
    )


def test_it_is_asyncapi_3_and_complete() -> None:
    """It has the versions of AsyncAPI and of the contract, and every reference leads somewhere."""
    assert (DOCUMENT["asyncapi"], DOCUMENT["info"]["version"]) == ("3.0.0", "1.0.0")
    assert resolved(DOCUMENT, DOCUMENT)


def test_references_stay_within_their_rules() -> None:
    """Operations refer to channels, and to messages of their own channel, as AsyncAPI requires."""
    for operation in OPERATIONS.values():
        for exchange in (operation, operation.get("reply", operation)):
            channel = exchange["channel"]["$ref"]
            assert channel.removeprefix("#/channels/") in CHANNELS
            assert exchange["messages"]
            assert all(reference["$ref"].startswith(f"{channel}/messages/") for reference in exchange["messages"])


@pytest.mark.parametrize("topic", TOPICS.all, ids=lambda topic: topic.name)
def test_each_topic_is_a_channel(topic: Topic) -> None:
    """With its configuration as a Kafka binding; the number of partitions is left open."""
    channel = CHANNELS[topic.name]
    binding = channel["bindings"]["kafka"]
    assert channel["address"] == binding["topic"] == topic.name
    assert topic.writer in channel["description"]
    assert topic.reader in channel["description"]
    assert "partitions" not in binding
    config = {"cleanup.policy": [topic.config["cleanup.policy"]]}
    retention = {"retention.ms": int(topic.config["retention.ms"])} if "retention.ms" in topic.config else {}
    assert binding["topicConfiguration"] == config | retention


def test_channels_are_all_topics_and_messages_have_one_channel() -> None:
    """Nothing is missing or duplicated."""
    assert list(CHANNELS) == [topic.name for topic in TOPICS.all]
    carried = [name for channel in CHANNELS.values() for name in channel["messages"]]
    assert sorted(carried) == sorted(MESSAGES)


def test_a_prefix_changes_addresses_alone() -> None:
    """Channels keep their names, so that documents can be compared."""
    prefixed = asyncapi.document(Topics(ORDER, "test-1."))["channels"]
    assert list(prefixed) == list(CHANNELS)
    for name, channel in prefixed.items():
        assert channel["address"] == channel["bindings"]["kafka"]["topic"] == f"test-1.{name}"


def test_every_message_of_the_reader_is_received() -> None:
    """Requests and operations by operations of their own, replies as replies to commands."""
    for topic in TOPICS.inputs:
        assert tuple(CHANNELS[topic.name]["messages"]) == READER.types(topic.name)
    received = {
        name
        for operation in OPERATIONS.values()
        for part in (operation, operation.get("reply"))
        if part is not None and (part is not operation or operation["action"] == "receive")
        for name in names(part["messages"])
    }
    assert received - {"saga.state"} == {type for topic in TOPICS.inputs for type in READER.types(topic.name)}


@pytest.mark.parametrize(
    ("command", "replies"),
    (
        ("reservation.reserve", ["reservation.reserved", "reservation.rejected", "reservation.failed"]),
        ("reservation.release", ["reservation.released", "reservation.failed"]),
        ("payment.charge", ["payment.charged", "payment.declined", "payment.failed"]),
        ("payment.refund", ["payment.refunded", "payment.failed"]),
    ),
)
def test_a_command_is_a_request_with_its_replies(command: str, replies: list[str]) -> None:
    """The topic of each command, and the replies that it may have on which topic."""
    (operation,) = (one for one in OPERATIONS.values() if names(one["messages"]) == [command])
    step = command.split(".", maxsplit=1)[0]
    assert operation["action"] == "send"
    assert operation["channel"] == {"$ref": f"#/channels/{step}.commands"}
    assert operation["reply"]["channel"] == {"$ref": f"#/channels/{step}.replies"}
    assert names(operation["reply"]["messages"]) == replies


def test_payloads_are_the_json_schemas() -> None:
    """The same schemas; those that occur often have a name."""
    values = schemas.values(ORDER)
    values |= {"saga.events": schemas.event_record(ORDER), "saga.state": schemas.state_document(ORDER)}
    for name, schema in values.items():
        message = resolved(DOCUMENT, MESSAGES[name])
        assert {"description": message["summary"], **message["payload"]} == schema
        assert message["bindings"]["kafka"]["key"] == schemas.ORDER_KEY


@pytest.mark.parametrize("name", tuple(schemas.values(ORDER)))
def test_examples_are_valid(name: str) -> None:
    """Each message has an example that its schemas allow; the reader accepts the example of an input."""
    (example,) = MESSAGES[name]["examples"]
    assert strict_violations(headers_of(name), example["headers"]) == []
    assert strict_violations(schemas.values(ORDER)[name], example["payload"]) == []
    assert MESSAGES[name]["correlationId"] == {"location": "$message.header#/ce_correlationid"}
    assert example["headers"]["ce_correlationid"] == example["payload"]["order_id"]
    topic = next(topic.name for topic in TOPICS.all if name in CHANNELS[topic.name]["messages"])
    if topic in [known.name for known in TOPICS.inputs]:
        headers = [(header, value.encode()) for header, value in example["headers"].items()]
        assert READER.read(topic, b"o-1001", orjson.dumps(example["payload"]), headers).type == name


@pytest.mark.parametrize("trace", ((), (PARENT,), (PARENT, ("tracestate", b"a=1"))))
def test_headers_that_are_written_are_as_their_schema_says(trace: tuple[tuple[str, bytes], ...]) -> None:
    """Every command and outcome of every story, with and without a trace. No other header is optional."""
    cause = input_cause(ORIGIN, "m-1", "order.place", trace)
    seen = set()
    for decision, _, at in (decided for inputs in STORIES.values() for decided in decisions(*inputs)):
        for record in write(TWO_ATTEMPTS, "o-1", decision, cause, at)[1:]:
            name, headers = as_text(record)["ce_type"], as_text(record)
            seen.add(name)
            assert record.topic in [topic for topic, channel in CHANNELS.items() if name in channel["messages"]]
            assert strict_violations(headers_of(name), headers) == violations(headers_of(name), headers) == []
            for missing in headers.keys() - {"traceparent", "tracestate"}:
                assert violations(
                    headers_of(name), {other: value for other, value in headers.items() if other != missing}
                )
    assert len(seen) == 9


@pytest.mark.parametrize("type", tuple(type for topic in TOPICS.inputs for type in READER.types(topic.name)))
def test_headers_that_are_read_are_as_their_schema_says(type: str) -> None:
    """Id and type are required, on a reply the cause too; all others are optional."""
    needed = {"ce_id": "m-1", "ce_type": type, "ce_causationid": "o-1:payment:do:1"}
    reply = not type.startswith(("order.", "saga."))
    assert allows(headers_of(type), needed | {"x-unknown": "1"})
    for missing in needed:
        without = {name: value for name, value in needed.items() if name != missing}
        assert allows(headers_of(type), without) == (missing == "ce_causationid" and not reply)


@pytest.mark.parametrize(
    ("header", "value"),
    (
        ("ce_id", "o-1:payment:do:1"),
        ("ce_id", "o-1:payment:undo:0"),
        ("ce_idempotencykey", "o-1:payment:undo:1"),
        ("ce_idempotencykey", "o-1:reservation:undo"),
        ("ce_type", "payment.charge"),
        ("ce_source", "/payment"),
        ("ce_specversion", "0.3"),
        ("ce_time", "yesterday"),
        ("ce_correlationid", "o 1"),
        ("content-type", "text/plain"),
    ),
)
def test_a_wrong_header_of_a_command_is_a_violation(header: str, value: str) -> None:
    """The schema of a refund's headers is as narrow as the contract."""
    (example,) = MESSAGES["payment.refund"]["examples"]
    assert violations(headers_of("payment.refund"), {**example["headers"], header: value})


@pytest.mark.parametrize("value", (b"{}", b"x" * 300_000))
def test_dead_letters_are_as_their_schema_says(value: bytes) -> None:
    """Whole or truncated, a dead letter has the headers of the document, and none of a CloudEvent."""
    record = dead_letter(ORIGIN, b"k", value, [("x", b"1")], InvalidRecord("malformed", "why"))
    schema = headers_of("saga.dead-letters")
    assert violations(schema, as_text(record)) == []
    names = {name for name, _ in record.headers if name != "x"}
    assert names <= set(schema["properties"])
    assert set(schema["required"]) <= names
    assert violations(schema, {**as_text(record), "__saga.errors.reason": "odd"})


def test_logs_have_no_headers() -> None:
    """The history and the state are not CloudEvents."""
    for name in ("saga.events", "saga.state"):
        assert "headers" not in MESSAGES[name]
        assert "correlationId" not in MESSAGES[name]


def test_another_saga_has_a_document_of_its_own() -> None:
    """Nothing of the order saga is built in, except for the order itself."""
    other = asyncapi.document(Topics(Saga("parcels", 1, (step("parcel"),))))
    assert "parcel.commands" in other["channels"]
    assert not [name for name in other["components"]["messages"] if name.startswith(("payment", "reservation"))]
