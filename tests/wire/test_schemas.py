"""The JSON Schemas say what the code writes: no more, no less."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.saga.evolve import EVENT_TYPES
from app.wire import schemas
from app.wire.statedoc import STATE_NAMES, encode
from app.wire.writer import Origin, Out, Writer, input_cause, timer_cause
from tests.saga.given import Said
from tests.saga.words import BRIEF
from tests.wire.judge import Schema, allows, check, flaws, strangers
from tests.wire.stories import PLACED, SAID, STORIES, all_decisions, decisions
from topologies.order import ORDER

DOCUMENTS = schemas.documents(ORDER)
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
"""Words that mean the same in drafts 7 and 2020-12."""

INPUT = input_cause(Origin("order.requests", 0, 0, 0), "m-1", "order.place", ())
TIMER = timer_cause("reservation:do:1:timeout", 1_772_357_400_125, "o-1:reservation:do:1")


def written(*said: Said) -> list[Out]:
    """All records of a saga that is told all that."""
    writer = Writer(BRIEF)
    told = decisions(*said)
    return [
        record
        for decision, _, at in told
        for cause in (INPUT, TIMER)
        for record in writer.write("o-1", decision, cause, at)
    ]


def judged(record: Out) -> str:
    """Which schema a record was held against, and found without a flaw or an unknown field."""
    type = dict(record.headers).get("ce_type")
    name = type.decode() if type else record.topic
    value = orjson.loads(record.value or b"")
    assert strangers(DOCUMENTS[name], value) == []
    assert flaws(DOCUMENTS[name], value) == []
    return name


def words(schema: Any) -> set[str]:
    """Every keyword that a schema uses."""
    if isinstance(schema, list):
        return set().union(*map(words, schema))
    if not isinstance(schema, dict):
        return set()
    inner = [part for name, part in schema.items() if name in ("items", "oneOf")]
    return set(schema) | set().union(*map(words, (*inner, *schema.get("properties", {}).values())))


@pytest.mark.parametrize("name", tuple(DOCUMENTS))
def test_a_schema_is_one_in_both_drafts(name: str) -> None:
    """It is valid, and uses only words that old and new tools read alike."""
    check(DOCUMENTS[name])
    assert words(DOCUMENTS[name]) - {"$schema"} <= COMMON
    assert DOCUMENTS[name]["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert DOCUMENTS[name]["title"] == name
    assert DOCUMENTS[name]["description"]


def test_there_is_a_schema_for_everything() -> None:
    """Each message of the contract, the history and the state; each event, each state."""
    assert sorted(DOCUMENTS) == sorted([*CONTRACT, "saga.events", "saga.state"])
    assert list(schemas.events(ORDER)) == EVENTS == list(EVENT_TYPES)
    states = DOCUMENTS["saga.state"]["oneOf"]
    assert [state["properties"]["state"]["const"] for state in states] == list(STATE_NAMES)


@pytest.mark.parametrize("name", tuple(DOCUMENTS))
def test_a_schema_has_an_example_that_it_allows(name: str) -> None:
    """With every field, and nothing that the schema does not name; a field less, where it is required, is a flaw."""
    value = schemas.example(DOCUMENTS[name])
    assert strangers(DOCUMENTS[name], value) == flaws(DOCUMENTS[name], value) == []
    for field in DOCUMENTS[name]["required"]:
        assert flaws(DOCUMENTS[name], {other: part for other, part in value.items() if other != field})


@pytest.mark.parametrize("name", tuple(DOCUMENTS))
def test_a_schema_leaves_room(name: str) -> None:
    """A field to come is no flaw for readers of today, though it is a stranger to this version."""
    value = {**schemas.example(DOCUMENTS[name]), "field_to_come": 1}
    assert allows(DOCUMENTS[name], value)
    assert strangers(DOCUMENTS[name], value)


def test_all_that_is_written_is_as_its_schema_says() -> None:
    """Every story, from inputs and timers; and every message that the orchestrator sends occurs."""
    seen = {judged(record) for said in STORIES.values() for record in written(*said)}
    sent = {name for name in CONTRACT if name.startswith("order.") and name not in ("order.place", "order.cancel")}
    commands = {"reservation.reserve", "reservation.release", "payment.charge", "payment.refund"}
    assert seen == sent | commands | {"saga.events"}


def test_every_event_occurs_and_is_as_its_schema_says() -> None:
    """Each event type has its own schema, which no other event fits."""
    events = schemas.events(ORDER)
    seen: dict[str, Any] = {}
    for event in (event for decision in all_decisions() for event in decision.events):
        seen[event["type"]] = event
        assert strangers(events[event["type"]], event) == []
    assert set(seen) == set(EVENTS)
    for type, event in seen.items():
        assert [name for name, schema in events.items() if allows(schema, event)] == [type]


def test_every_state_is_as_its_schema_says() -> None:
    """Each document of each story."""
    for decision in all_decisions():
        document = orjson.loads(encode(decision.progress))
        assert strangers(DOCUMENTS["saga.state"], document) == flaws(DOCUMENTS["saga.state"], document) == []


@given(st.lists(st.sampled_from(SAID), max_size=12))
def test_whatever_a_saga_is_told_it_writes_by_the_schemas(said: list[Said]) -> None:
    """Messages, history and states of sagas that were told things in any order."""
    for record in written(PLACED, *said):
        judged(record)
    for decision, _, _ in decisions(PLACED, *said):
        assert strangers(DOCUMENTS["saga.state"], orjson.loads(encode(decision.progress))) == []


@pytest.mark.parametrize(
    ("type", "optional"),
    (
        ("saga.step.failed", {"retry_due_ms"}),
        ("saga.compensation.failed", {"retry_due_ms"}),
        ("saga.compensation.requested", {"because"}),
        ("saga.started", set()),
        ("saga.completed", set()),
    ),
)
def test_what_an_event_may_lack(type: str, optional: set[str]) -> None:
    """Only what the core declares so is optional."""
    schema = schemas.events(ORDER)[type]
    assert set(schema["properties"]) - set(schema["required"]) == optional


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
        ("saga.state", ("state",), "walking"),
        ("saga.state", ("state",), "stuck"),
        ("saga.state", ("step",), "delivery"),
        ("saga.state", ("attempt",), 0),
        ("saga.state", ("due_ms",), "noon"),
        ("saga.state", ("results", "payment_id"), 1),
    ),
)
def test_a_log_that_was_tampered_with_is_flawed(name: str, path: tuple[str | int, ...], value: object) -> None:
    """The schemas of the history and the state are narrow enough to notice."""
    schema: Schema = DOCUMENTS[name]
    document = schemas.example(schema)
    holder = document = orjson.loads(orjson.dumps(document))
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = value
    assert flaws(schema, document)


def test_documents_are_the_same_bytes_each_time() -> None:
    """Generated files change only with the contract."""
    assert schemas.encoded(schemas.documents(ORDER)) == schemas.encoded(schemas.documents(ORDER))
    assert schemas.encoded({"b": 1, "a": [1]}) == b'{\n  "b": 1,\n  "a": [\n    1\n  ]\n}\n'
