"""The JSON Schemas say what the code writes: no more, no less."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.saga.definition import Saga
from app.saga.evolve import EVENT_TYPES
from app.wire import schemas
from app.wire.statedoc import KINDS, encode
from app.wire.writer import Origin, Out, input_cause, timer_cause, write
from tests.saga.given import Crowded, Said
from tests.saga.words import BRIEF
from tests.wire.judge import Schema, allows, check, flaws, strangers
from tests.wire.stories import PLACED, SAID, TALES, VERSIONS, WIDE, WIDE_SAID, all_decisions, decisions
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
"""Words that mean the same in drafts 7 and 2020-12."""

INPUT = input_cause(Origin("order.requests", 0, 0, 0), "m-1", "order.place", ())
TIMER = timer_cause("reservation:do:1:timeout", 1_772_357_400_125, "o-1:reservation:do:1")


def written(*said: Said, saga: Saga = BRIEF) -> list[Out]:
    """All records of a saga that is told all that, and its states as those of its changelog."""
    return [
        record
        for decision, _, at in decisions(*said, saga=saga)
        for cause in (INPUT, TIMER)
        for record in (
            *write(saga, "o-1", decision, cause, at),
            Out("saga.state", b"o-1", encode(decision.progress), ()),
        )
    ]


def judged(record: Out, saga: Saga = BRIEF) -> str:
    """Which schema a record was held against, and found without a flaw or an unknown field: its saga's, and all's."""
    type = dict(record.headers).get("ce_type")
    name = type.decode() if type else record.topic
    value = orjson.loads(record.value or b"")
    for documents in (OF_SAGA[saga.version], OF_ALL):
        assert strangers(documents[name], value) == flaws(documents[name], value) == []
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
    assert [state["properties"]["state"]["const"] for state in states] == list(KINDS)
    for state in states[:2]:
        legs = state["properties"]["legs"]["items"]["oneOf"]
        assert [leg["properties"]["is"]["const"] for leg in legs] == ["waiting", "asked", "pausing", "stuck"]


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
    seen = {judged(record, saga) for saga, said in TALES.values() for record in written(*said, saga=saga)}
    sent = {name for name in CONTRACT if name.startswith("order.") and name not in ("order.place", "order.cancel")}
    commands = {"reservation.reserve", "reservation.release", "payment.charge", "payment.refund"}
    wide = {"credit.do", "credit.undo", "parcel.do", "bonus.do", "letter.do"}
    assert seen == sent | commands | wide | {"saga.events", "saga.state"}


def test_every_event_occurs_and_is_as_its_schema_says() -> None:
    """Each event type has its own schema, which no other event fits."""
    events = schemas.events(VERSIONS)
    seen: dict[tuple[str, ...], Any] = {}
    for _, decision in all_decisions():
        for event in decision.events:
            assert strangers(events[event["type"]], event) == []
            seen[event["type"], *sorted(event)] = event
    assert {type for type, *_ in seen} == set(EVENTS)
    for (type, *_), event in seen.items():
        assert [name for name, schema in events.items() if allows(schema, event)] == [type]


@pytest.mark.parametrize("type", EVENTS)
def test_every_field_of_an_event_occurs_and_is_optional_only_where_it_can_be_absent(type: str) -> None:
    """In parallel, at the pivot, past the deadline, without room, with operators: no field is there for nothing."""
    schema = schemas.events(VERSIONS)[type]
    told = [set(event) for _, decision in all_decisions() for event in decision.events if event["type"] == type]
    assert set().union(*told) == set(schema["properties"])
    assert set(schema["required"]) == set.intersection(*told)


@settings(max_examples=60)
@given(st.lists(st.sampled_from(SAID), max_size=12))
def test_whatever_a_saga_is_told_it_writes_by_the_schemas(said: list[Said]) -> None:
    """Messages, history and states of sagas that were told things in any order."""
    for record in written(PLACED, *said):
        judged(record)


@settings(max_examples=30)
@given(st.sampled_from((PLACED, Crowded(PLACED))), st.lists(st.sampled_from(WIDE_SAID), max_size=16))
def test_so_does_one_with_steps_of_every_kind(placed: Said, said: list[Said]) -> None:
    """In parallel, past the way back, and with what must succeed."""
    for record in written(placed, *said, saga=WIDE):
        judged(record, WIDE)


@pytest.mark.parametrize(
    ("type", "optional"),
    (
        ("saga.started", {"deadline_ms"}),
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
def test_what_an_event_may_lack(type: str, optional: set[str]) -> None:
    """Only what the core declares so is optional."""
    schema = schemas.events(ORDER)[type]
    assert set(schema["properties"]) - set(schema["required"]) == optional


@pytest.mark.parametrize("type", ("saga.retry", "saga.skip", "saga.compensate"))
def test_what_an_operation_may_lack(type: str) -> None:
    """The name of one step, where there can be one; the documentation shows a step of the saga."""
    schema = DOCUMENTS[type]
    step = set() if type == "saga.compensate" else {"step"}
    assert set(schema["properties"]) - set(schema["required"]) == step
    assert set(schema["required"]) == {"order_id", "operator", "reason"}
    assert schemas.example(schema).get("step") == ("reservation" if step else None)


_BECAUSE: Schema = {"reason": "r", "step": "payment", "requested": True}
_STUCK: Schema = {"type": "saga.stuck", "step": "payment", "attempt": 1, "at_ms": 1, "reason": "r"}
_CANCELLED: Schema = {"type": "saga.cancel.requested", "reason": "r"}
_OPERATED: Schema = {"type": "saga.operated", "operation": "saga.retry", "operator": "olga", "reason": "r"}
_ASKED: Schema = {"is": "asked", "step": "payment", "attempt": 1, "asked_ms": 1, "due_ms": 1}


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
        ("saga.state", ("legs", 0), {**_ASKED, "attempt": 0}),
        ("saga.state", ("legs", 0), {**_ASKED, "due_ms": "noon"}),
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


def test_what_it_is_narrow_against_is_else_allowed() -> None:
    """Put right, the same events and steps under way have no flaw."""
    for event in (_STUCK, {**_CANCELLED, "because": _BECAUSE}, {**_OPERATED, "steps": ["payment"]}):
        assert flaws(schemas.events(ORDER)[str(event["type"])], event) == []
    assert flaws(DOCUMENTS["saga.state"], {**schemas.example(DOCUMENTS["saga.state"]), "legs": [_ASKED]}) == []


def test_documents_are_the_same_bytes_each_time() -> None:
    """Generated files change only with the contract."""
    assert schemas.encoded(schemas.documents(ORDER)) == schemas.encoded(schemas.documents(ORDER))
    assert schemas.encoded({"b": 1, "a": [1]}) == b'{\n  "b": 1,\n  "a": [\n    1\n  ]\n}\n'
