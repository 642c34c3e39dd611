"""The JSON Schemas match the records that the code writes."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.saga.definition import Saga
from app.saga.evolve import EVENT_TYPES
from app.wire import schemas
from app.wire.state_codec import KINDS, encode
from app.wire.writer import Origin, OutputRecord, input_cause, timer_cause, write
from tests.saga.order_messages import TWO_ATTEMPTS
from tests.saga.story import AtCapacity, StoryInput
from tests.wire.schema_validation import Schema, allows, check, strict_violations, violations
from tests.wire.stories import ALL_STORIES, ORDER_INPUTS, PLACED, VERSIONS, WIDE, WIDE_INPUTS, all_decisions, decisions
from topologies.order import ORDER

DOCUMENTS = schemas.documents(ORDER)
OF_SAGA = {1: DOCUMENTS, 2: schemas.documents(WIDE)}
OF_ALL = schemas.documents(VERSIONS)
CONTRACT = """
    order.place order.cancel
    reservation.reserve reservation.release payment.charge payment.refund
    reservation.reserved reservation.rejected reservation.released reservation.failed
    payment.charged payment.declined payment.refunded payment.failed
    order.completed order.rejected order.cancelled order.cancel.refused order.stuck
    saga.retry saga.skip saga.compensate
""".split()
EVENTS = """
    saga.started saga.step.requested saga.step.succeeded saga.step.refused saga.step.failed saga.step.timed_out
    saga.compensation.requested saga.compensation.succeeded saga.compensation.failed saga.compensation.timed_out
    saga.cancel.requested saga.cancel.refused saga.operated saga.operation.refused saga.reply.ignored
    saga.completed saga.rolled_back saga.stuck
""".split()
COMMON = frozenset(
    "title description examples type const enum oneOf properties required items minItems maxItems minimum maximum "
    "maxLength pattern format".split()
)
"""Keywords with the same meaning in drafts 7 and 2020-12."""

INPUT = input_cause(Origin("order.requests", 0, 0, 0), "m-1", "order.place", ())
TIMER = timer_cause("reservation:do:1:timeout", 1_772_357_400_125, "o-1:reservation:do:1")


def written(*inputs: StoryInput, saga: Saga = TWO_ATTEMPTS) -> list[OutputRecord]:
    """All records of a saga with these inputs, and its states as records of the changelog."""
    return [
        record
        for decision, _, at in decisions(*inputs, saga=saga)
        for cause in (INPUT, TIMER)
        for record in (
            *write(saga, "o-1", decision, cause, at),
            OutputRecord("saga.state", b"o-1", encode(decision.progress), ()),
        )
    ]


def validated(record: OutputRecord, saga: Saga = TWO_ATTEMPTS) -> str:
    """The name of the record's schema. The record violates nothing and has no unknown field, for all versions too."""
    type = dict(record.headers).get("ce_type")
    name = type.decode() if type else record.topic
    value = orjson.loads(record.value or b"")
    for documents in (OF_SAGA[saga.version], OF_ALL):
        assert strict_violations(documents[name], value) == violations(documents[name], value) == []
    return name


def keywords(schema: Any) -> set[str]:
    """Every keyword that a schema uses."""
    if isinstance(schema, list):
        return set().union(*map(keywords, schema))
    if not isinstance(schema, dict):
        return set()
    inner = [part for name, part in schema.items() if name in ("items", "oneOf")]
    return set(schema) | set().union(*map(keywords, (*inner, *schema.get("properties", {}).values())))


@pytest.mark.parametrize("name", tuple(DOCUMENTS))
def test_a_schema_is_valid_in_both_drafts(name: str) -> None:
    """It uses only keywords that old and new tools read alike."""
    check(DOCUMENTS[name])
    assert keywords(DOCUMENTS[name]) - {"$schema"} <= COMMON
    assert DOCUMENTS[name]["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert DOCUMENTS[name]["title"] == name
    assert DOCUMENTS[name]["description"]


def test_there_is_a_schema_for_everything() -> None:
    """For each message of the contract, the history and the state; in them for each event and each state."""
    assert sorted(DOCUMENTS) == sorted([*CONTRACT, "saga.events", "saga.state"])
    assert list(schemas.events(ORDER)) == EVENTS == list(EVENT_TYPES)
    states = DOCUMENTS["saga.state"]["oneOf"]
    assert [state["properties"]["state"]["const"] for state in states] == list(KINDS)
    for state in states[:2]:
        active_steps = state["properties"]["legs"]["items"]["oneOf"]
        assert [active["properties"]["is"]["const"] for active in active_steps] == [
            "waiting",
            "asked",
            "pausing",
            "stuck",
        ]


@pytest.mark.parametrize("name", tuple(DOCUMENTS))
def test_a_schema_has_an_example_that_it_allows(name: str) -> None:
    """It has every field and no unknown one. Without any required field it is a violation."""
    value = schemas.example(DOCUMENTS[name])
    assert strict_violations(DOCUMENTS[name], value) == violations(DOCUMENTS[name], value) == []
    for field in DOCUMENTS[name]["required"]:
        assert violations(DOCUMENTS[name], {other: part for other, part in value.items() if other != field})


@pytest.mark.parametrize("name", tuple(DOCUMENTS))
def test_a_schema_allows_unknown_fields(name: str) -> None:
    """A new field is no violation for today's consumers."""
    value = {**schemas.example(DOCUMENTS[name]), "field_to_come": 1}
    assert allows(DOCUMENTS[name], value)
    assert strict_violations(DOCUMENTS[name], value)


def test_every_record_is_as_its_schema_says() -> None:
    """Of every story, with inputs and timers as causes; every message that the orchestrator sends occurs."""
    seen = {validated(record, saga) for saga, inputs in ALL_STORIES.values() for record in written(*inputs, saga=saga)}
    sent = {name for name in CONTRACT if name.startswith("order.") and name not in ("order.place", "order.cancel")}
    commands = {"reservation.reserve", "reservation.release", "payment.charge", "payment.refund"}
    wide = {"credit.do", "credit.undo", "parcel.do", "bonus.do", "letter.do"}
    assert seen == sent | commands | wide | {"saga.events", "saga.state"}


def test_every_event_occurs_and_is_as_its_schema_says() -> None:
    """Each event type has a schema of its own, which no other event matches."""
    events = schemas.events(VERSIONS)
    seen: dict[tuple[str, ...], Any] = {}
    for _, decision in all_decisions():
        for event in decision.events:
            assert strict_violations(events[event["type"]], event) == []
            seen[event["type"], *sorted(event)] = event
    assert {type for type, *_ in seen} == set(EVENTS)
    for (type, *_), event in seen.items():
        assert [name for name, schema in events.items() if allows(schema, event)] == [type]


@pytest.mark.parametrize("type", EVENTS)
def test_every_field_of_an_event_occurs_and_is_optional_only_where_it_can_be_absent(type: str) -> None:
    """In parallel, at the pivot, past the deadline, without capacity, with operators: every field occurs."""
    schema = schemas.events(VERSIONS)[type]
    occurring = [set(event) for _, decision in all_decisions() for event in decision.events if event["type"] == type]
    assert set().union(*occurring) == set(schema["properties"])
    assert set(schema["required"]) == set.intersection(*occurring)


@settings(max_examples=60)
@given(st.lists(st.sampled_from(ORDER_INPUTS), max_size=12))
def test_records_of_random_inputs_are_as_their_schemas_say(inputs: list[StoryInput]) -> None:
    """Messages, history and states after any inputs in any order."""
    for record in written(PLACED, *inputs):
        validated(record)


@settings(max_examples=30)
@given(st.sampled_from((PLACED, AtCapacity(PLACED))), st.lists(st.sampled_from(WIDE_INPUTS), max_size=16))
def test_records_of_a_saga_with_every_kind_of_step_are_as_their_schemas_say(
    placed: StoryInput, inputs: list[StoryInput]
) -> None:
    """Parallel steps, a pivot, and retriable steps."""
    for record in written(placed, *inputs, saga=WIDE):
        validated(record, WIDE)


@pytest.mark.parametrize(
    ("type", "optional"),
    (
        ("saga.started", {"deadline_ms", "trace", "tracestate"}),
        ("saga.step.requested", set()),
        ("saga.step.refused", set()),
        ("saga.step.failed", {"retry_due_ms", "because"}),
        ("saga.step.timed_out", {"because"}),
        ("saga.compensation.requested", set()),
        ("saga.compensation.failed", {"retry_due_ms"}),
        ("saga.cancel.requested", set()),
        ("saga.operated", {"steps", "because"}),
        ("saga.completed", set()),
        ("saga.rolled_back", set()),
        ("saga.stuck", set()),
    ),
)
def test_optional_fields_of_an_event(type: str, optional: set[str]) -> None:
    """They are those that the core declares as optional."""
    schema = schemas.events(ORDER)[type]
    assert set(schema["properties"]) - set(schema["required"]) == optional


@pytest.mark.parametrize("type", ("saga.retry", "saga.skip", "saga.compensate"))
def test_optional_fields_of_an_operation(type: str) -> None:
    """The name of one step, where it makes sense; the documentation shows a step of the saga."""
    schema = DOCUMENTS[type]
    step = set() if type == "saga.compensate" else {"step"}
    assert set(schema["properties"]) - set(schema["required"]) == step
    assert set(schema["required"]) == {"order_id", "operator", "reason"}
    assert schemas.example(schema).get("step") == ("reservation" if step else None)


_BECAUSE: Schema = {"reason": "r", "step": "payment", "requested": True}
_STUCK: Schema = {"type": "saga.stuck", "step": "payment", "attempt": 1, "at_ms": 1, "reason": "r"}
_CANCELLED: Schema = {"type": "saga.cancel.requested", "reason": "r"}
_OPERATED: Schema = {"type": "saga.operated", "operation": "saga.retry", "operator": "olga", "reason": "r"}
_IN_FLIGHT: Schema = {"is": "asked", "step": "payment", "attempt": 1, "asked_ms": 1, "due_ms": 1}


@pytest.mark.parametrize(
    ("name", "path", "value"),
    (
        ("saga.events", ("seq",), 0),
        ("saga.events", ("seq",), True),
        ("saga.events", ("saga",), "other"),
        ("saga.events", ("at",), "2026-03-01T09:30:00.125+01:00"),
        ("saga.events", ("cause",), {"topic": "order.requests"}),
        ("saga.events", ("events",), []),
        ("saga.events", ("events", 0, "type"), "saga.began"),
        ("saga.events", ("events", 0, "digest"), "short"),
        ("saga.events", ("events", 0, "order", "total", "minor"), -1),
        ("saga.events", ("events", 0, "at_ms"), "noon"),
        ("saga.events", ("events", 0, "deadline_ms"), None),
        ("saga.events", ("events", 0), {"type": "saga.completed", "forget_ms": 1.5}),
        ("saga.events", ("events", 0), {"type": "saga.completed"}),
        ("saga.events", ("events", 0), {**_STUCK, "attempt": 0}),
        ("saga.events", ("events", 0), {**_STUCK, "step": "delivery"}),
        ("saga.events", ("events", 0), {**_CANCELLED, "because": {"reason": "r", "step": "payment"}}),
        ("saga.events", ("events", 0), {**_CANCELLED, "because": {**_BECAUSE, "requested": 1}}),
        ("saga.events", ("events", 0), {**_CANCELLED, "because": {**_BECAUSE, "step": "delivery"}}),
        ("saga.events", ("events", 0), {**_OPERATED, "steps": []}),
        ("saga.events", ("events", 0), {**_OPERATED, "steps": ["delivery"]}),
        ("saga.events", ("events", 0), {**_OPERATED, "operation": "saga.stop"}),
        ("saga.state", ("saga",), "other"),
        ("saga.state", ("state",), "walking"),
        ("saga.state", ("state",), "stuck"),
        ("saga.state", ("state",), "completed"),
        ("saga.state", ("deadline_ms",), None),
        ("saga.state", ("legs",), []),
        ("saga.state", ("legs", 0, "is"), "walking"),
        ("saga.state", ("legs", 0, "is"), "asked"),
        ("saga.state", ("legs", 0, "step"), "delivery"),
        ("saga.state", ("legs", 0, "attempt"), -1),
        ("saga.state", ("legs", 0, "first"), 1),
        ("saga.state", ("legs", 0), {**_IN_FLIGHT, "attempt": 0}),
        ("saga.state", ("legs", 0), {**_IN_FLIGHT, "due_ms": "noon"}),
        ("saga.state", ("results", "payment_id"), 1),
    ),
)
def test_a_log_that_was_tampered_with_is_a_violation(name: str, path: tuple[str | int, ...], value: object) -> None:
    """The schemas of the history and the state are narrow enough to notice."""
    schema: Schema = DOCUMENTS[name]
    document = schemas.example(schema)
    holder = document = orjson.loads(orjson.dumps(document))
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = value
    assert violations(schema, document)


def test_the_same_log_without_tampering_is_allowed() -> None:
    """The events and active steps above are valid themselves."""
    for event in (_STUCK, {**_CANCELLED, "because": _BECAUSE}, {**_OPERATED, "steps": ["payment"]}):
        assert violations(schemas.events(ORDER)[str(event["type"])], event) == []
    assert violations(DOCUMENTS["saga.state"], {**schemas.example(DOCUMENTS["saga.state"]), "legs": [_IN_FLIGHT]}) == []


def test_documents_are_the_same_bytes_each_time() -> None:
    """Generated files change only with the contract."""
    assert schemas.encoded(schemas.documents(ORDER)) == schemas.encoded(schemas.documents(ORDER))
    assert schemas.encoded({"b": 1, "a": [1]}) == b'{\n  "b": 1,\n  "a": [\n    1\n  ]\n}\n'
