"""States as documents: nothing is lost, and the same state gives the same bytes."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.saga.state import (
    LEGS,
    STATES,
    Asked,
    Compensating,
    Completed,
    Facts,
    NotStarted,
    Pausing,
    Progress,
    RolledBack,
    Running,
    State,
    Stuck,
    Waiting,
    Why,
)
from app.wire.statedoc import KINDS, LEG_KINDS, STATE_NAMES, decode, encode, state_name
from tests.saga.places import PLACES, at
from tests.wire.stories import TALES, all_decisions, decisions
from tests.wire.values import junk

STARTED = tuple(place for place in PLACES if not isinstance(at(place).state, NotStarted))
NOON = 43_200_000

_texts = st.text(max_size=20)
_numbers = st.integers(1, 2**53 - 1)
_facts = st.builds(
    Facts,
    saga=_texts,
    version=_numbers,
    digest=_texts,
    started_ms=_numbers,
    order=st.dictionaries(_texts, _texts | st.lists(_numbers, max_size=2), max_size=2),
    results=st.dictionaries(_texts, _texts, max_size=2),
)
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "facts": _facts,
    "why": st.builds(Why, _texts, _texts, st.booleans()),
    "step": _texts,
    "reason": _texts,
    "left": st.lists(_texts, max_size=2).map(tuple),
    "deadline_ms": st.none() | _numbers,
    "first": st.just(1) | _numbers,
}


def made(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a kind of state, or of a step under way."""
    return st.builds(kind, **{field.name: _FIELDS.get(field.name, _numbers) for field in fields(kind)})


_FIELDS["legs"] = st.lists(st.sampled_from(LEGS).flatmap(made), max_size=3).map(tuple)


def states(kind: type[State]) -> st.SearchStrategy[Progress]:
    """Any state of a kind, and how many decisions led to it."""
    return st.builds(Progress, _numbers, made(kind))


_WHY = Why("no funds", "payment", requested=False)
_KEPT = Facts("order", 1, "d", NOON, {"customer_id": "ann"}, {"reservation_id": "r-1"})
_LEGS = (
    Waiting("a", 0, 1),
    Asked("b", 2, 2, NOON, NOON + 1),
    Pausing("c", 1, 1, NOON + 2),
    Stuck("d", 3, 2, NOON, "down"),
)
WHOLE = {
    "running": Progress(1, Running(_KEPT, NOON + 9, _LEGS)),
    "compensating": Progress(2, Compensating(_KEPT, _WHY, _LEGS, ("e", "f"))),
    "completed": Progress(3, Completed(_KEPT, NOON + 9)),
    "rolled_back": Progress(4, RolledBack(_KEPT, _WHY, NOON + 9)),
}
"""Of each kind of state one with all that it can have."""
OPTIONAL = {"order", "results", "deadline_ms", "left", "first"}
CONTENT = {"order", "results"}


@pytest.mark.parametrize("place", STARTED)
def test_every_place_of_the_order_saga_is_read_back(place: str) -> None:
    """Wherever an order can be, its document tells where."""
    progress = at(place).progress
    document = encode(progress)
    assert decode(document) == progress
    assert encode(decode(document)) == document


def test_every_state_of_every_story_is_read_back() -> None:
    """All kinds of states and of steps under way occur, and every one comes back as it was."""
    seen, legs = set[str](), set[type]()
    for _, decision in all_decisions():
        assert decode(encode(decision.progress)) == decision.progress
        seen.add(state_name(decision.progress.state))
        legs.update(type(leg) for leg in getattr(decision.progress.state, "legs", ()))
    assert seen == set(STATE_NAMES)
    assert legs == set(LEGS)


@given(st.sampled_from(tuple(KINDS.values())).flatmap(states))
def test_any_state_is_read_back(progress: Progress) -> None:
    """Whatever is in it, to the byte."""
    document = encode(progress)
    assert decode(document) == progress
    assert encode(decode(document)) == document


@pytest.mark.parametrize("story", tuple(TALES))
def test_the_same_story_gives_the_same_bytes(story: str) -> None:
    """Told twice, or told on from what was read back, a saga's documents are the same to the byte."""
    saga, said = TALES[story]
    told, again = ([encode(decision.progress) for decision, _, _ in decisions(*said, saga=saga)] for _ in range(2))
    assert told == again
    assert told


def test_states_have_the_names_of_the_documents() -> None:
    """What has not started has a name, but no document; what waits for a person is stuck in whatever state it is."""
    assert STATE_NAMES == ("running", "compensating", "completed", "rolled_back", "stuck")
    assert (*KINDS.values(),) == STATES[1:]
    assert (*LEG_KINDS.values(),) == LEGS
    assert state_name(NotStarted()) == "not_started"
    for name, progress in WHOLE.items():
        assert orjson.loads(encode(progress))["state"] == name
        assert state_name(progress.state) == ("stuck" if hasattr(progress.state, "legs") else name)
    assert state_name(Running(_KEPT, None, _LEGS[:3])) == "running"


def test_a_document_is_small_and_plain() -> None:
    """Nothing is in it that the state does not say, and a completed order keeps nothing of the order itself."""
    ended = ["state", "seq", "saga", "version", "digest", "started_ms"]
    done = orjson.loads(encode(at("completed").progress))
    assert list(done) == [*ended, "results", "forget_ms"]
    rolled_back = orjson.loads(encode(at("rolled back, nothing to undo").progress))
    assert list(rolled_back) == [*ended, "why", "forget_ms"]
    running = orjson.loads(encode(at("payment asked for").progress))
    assert running["order"].keys() == {"customer_id", "total"}
    assert [list(leg) for leg in running["legs"]] == [["is", "step", "attempt", "asked_ms", "due_ms"]]
    assert len(encode(at("completed").progress)) < 210


@given(st.binary(max_size=60))
def test_bytes_that_are_no_document_are_refused(value: bytes) -> None:
    """Whatever they are, with a ValueError."""
    with pytest.raises(ValueError, match="not a saga's state"):
        decode(value)


@given(junk | st.fixed_dictionaries({"state": st.sampled_from(tuple(KINDS))}, optional={"legs": junk, "why": junk}))
def test_documents_of_others_are_refused(value: object) -> None:
    """Any JSON, even with some of our words, is a ValueError, whose sentence shows nothing of it."""
    with suppress(orjson.JSONEncodeError):
        document = orjson.dumps(value)
        with pytest.raises(ValueError, match=r"^not a saga's state: [A-Za-z]+$"):
            decode(document)


def objects(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    """Every object within a document that is ours to know, and where it is."""
    if isinstance(value, dict):
        yield path, value
    for part, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        if part not in CONTENT:
            yield from objects(inner, (*path, part))


@pytest.mark.parametrize("name", tuple(WHOLE))
def test_each_field_is_needed_and_there_is_no_other(name: str) -> None:
    """One that lacks a field or has one too many is refused: it may mean what we don't know."""
    document = orjson.loads(encode(WHOLE[name]))
    for _, part in list(objects(document)):
        for field in (*part, "field_to_come"):
            kept = dict(part)
            if field in part:
                del part[field]
            else:
                part[field] = 1
            if field not in OPTIONAL:
                with pytest.raises(ValueError, match="not a saga's state"):
                    decode(orjson.dumps(document))
            else:
                assert decode(orjson.dumps(document)) != WHOLE[name]
            part.clear()
            part.update(kept)
    assert decode(orjson.dumps(document)) == WHOLE[name]


def test_a_field_of_another_kind_is_one_too_many() -> None:
    """What only another kind of state or of step under way has."""
    for name, progress in WHOLE.items():
        document = orjson.loads(encode(progress))
        for other in WHOLE.values():
            for field, value in orjson.loads(encode(other)).items():
                if field not in document:
                    with pytest.raises(ValueError, match="not a saga's state"):
                        decode(orjson.dumps({**document, field: value}))
        assert decode(orjson.dumps(document)).seq == progress.seq, name


@given(st.sampled_from(tuple(WHOLE)), st.data())
def test_a_damaged_document_is_read_or_refused(name: str, data: st.DataObject) -> None:
    """Whatever takes the place of a field, nothing but ValueError is ever raised."""
    document = orjson.loads(encode(WHOLE[name]))
    _, part = data.draw(st.sampled_from(list(objects(document))))
    field = data.draw(st.sampled_from(sorted(part)))
    part[field] = data.draw(junk)
    with suppress(ValueError, orjson.JSONEncodeError):
        assert isinstance(decode(orjson.dumps(document)), Progress)


@given(st.sampled_from(tuple(WHOLE)), st.integers(0, 600), st.integers(0, 9), st.binary(max_size=9))
def test_damaged_bytes_are_read_or_refused(name: str, where: int, gone: int, instead: bytes) -> None:
    """Whatever takes the place of some bytes, nothing but ValueError is ever raised."""
    document = encode(WHOLE[name])
    with suppress(ValueError):
        assert isinstance(decode(document[:where] + instead + document[where + gone :]), Progress)
