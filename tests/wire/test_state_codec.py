"""States as documents: nothing is lost, and the same state gives the same bytes."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.saga.messages import Trace
from app.saga.state import (
    ACTIVE_STEPS,
    STATES,
    BackingOff,
    Compensating,
    Completed,
    InFlight,
    NotStarted,
    Progress,
    Queued,
    RolledBack,
    Running,
    SagaData,
    State,
    Stuck,
    Why,
)
from app.wire.state_codec import ACTIVE_STEP_KINDS, KINDS, STATE_NAMES, decode, encode, state_name
from tests.saga.situations import STARTED, at
from tests.wire.stories import ALL_STORIES, all_decisions, decisions
from tests.wire.values import junk

NOON = 43_200_000

_texts = st.text(max_size=20)
_numbers = st.integers(1, 2**53 - 1)
_traces = st.none() | st.builds(Trace, _texts, _texts)
_data = st.builds(
    SagaData,
    saga=_texts,
    version=_numbers,
    digest=_texts,
    started_ms=_numbers,
    order=st.dictionaries(_texts, _texts | st.lists(_numbers, max_size=2), max_size=2),
    results=st.dictionaries(_texts, _texts, max_size=2),
    trace=_traces,
)
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "data": _data,
    "why": st.builds(Why, _texts, _texts, st.booleans()),
    "step": _texts,
    "reason": _texts,
    "left": st.lists(_texts, max_size=2).map(tuple),
    "deadline_ms": st.none() | _numbers,
    "first": st.just(1) | _numbers,
    "cause": st.none() | _texts,
}


def instances(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a kind of state or of active step."""
    return st.builds(kind, **{field.name: _FIELDS.get(field.name, _numbers) for field in fields(kind)})


_FIELDS["active_steps"] = st.lists(st.sampled_from(ACTIVE_STEPS).flatmap(instances), max_size=3).map(tuple)


def states(kind: type[State]) -> st.SearchStrategy[Progress]:
    """Any state of a kind, with the number of its decisions."""
    return st.builds(Progress, _numbers, instances(kind))


_WHY = Why("no funds", "payment", requested=False)
_DATA = SagaData("order", 1, "d", NOON, {"customer_id": "ann"}, {"reservation_id": "r-1"}, Trace("00-1-2-01"))
_ACTIVE_STEPS = (
    Queued("a", 0, 1, "m-1"),
    InFlight("b", 2, 2, NOON, NOON + 1),
    BackingOff("c", 1, 1, NOON + 2),
    Stuck("d", 3, 2, NOON, "down"),
)
COMPLETE = {
    "running": Progress(1, Running(_DATA, NOON + 9, _ACTIVE_STEPS)),
    "compensating": Progress(2, Compensating(_DATA, _WHY, _ACTIVE_STEPS, ("e", "f"))),
    "completed": Progress(3, Completed(_DATA, NOON + 9)),
    "rolled_back": Progress(4, RolledBack(_DATA, _WHY, NOON + 9)),
}
"""One state of each kind, with all its optional fields."""
OPTIONAL = {"order", "results", "deadline_ms", "left", "first", "trace", "cause"}
CONTENT = {"order", "results"}


@pytest.mark.parametrize("situation", STARTED)
def test_every_situation_of_the_order_saga_is_read_back(situation: str) -> None:
    """Its document gives the same progress, and the same bytes again."""
    progress = at(situation).progress
    document = encode(progress)
    assert decode(document) == progress
    assert encode(decode(document)) == document


def test_every_state_of_every_story_is_read_back() -> None:
    """All kinds of states and of active steps occur, and each is read back."""
    seen, active_steps = set[str](), set[type]()
    for _, decision in all_decisions():
        assert decode(encode(decision.progress)) == decision.progress
        seen.add(state_name(decision.progress.state))
        active_steps.update(type(active) for active in getattr(decision.progress.state, "active_steps", ()))
    assert seen == set(STATE_NAMES)
    assert active_steps == set(ACTIVE_STEPS)


@given(st.sampled_from(tuple(KINDS.values())).flatmap(states))
def test_any_state_is_read_back(progress: Progress) -> None:
    """Whatever is in it, to the byte."""
    document = encode(progress)
    assert decode(document) == progress
    assert encode(decode(document)) == document


@pytest.mark.parametrize("story", tuple(ALL_STORIES))
def test_the_same_story_gives_the_same_bytes(story: str) -> None:
    """A second run gives the same documents, to the byte."""
    saga, inputs = ALL_STORIES[story]
    once, again = ([encode(decision.progress) for decision, _, _ in decisions(*inputs, saga=saga)] for _ in range(2))
    assert once == again
    assert once


def test_states_have_the_names_of_the_documents() -> None:
    """An order that has not started has a name but no document; a saga with a stuck step is called stuck."""
    assert STATE_NAMES == ("running", "compensating", "completed", "rolled_back", "stuck")
    assert (*KINDS.values(),) == STATES[1:]
    assert (*ACTIVE_STEP_KINDS.values(),) == ACTIVE_STEPS
    assert state_name(NotStarted()) == "not_started"
    for name, progress in COMPLETE.items():
        assert orjson.loads(encode(progress))["state"] == name
        assert state_name(progress.state) == ("stuck" if hasattr(progress.state, "active_steps") else name)
    assert state_name(Running(_DATA, None, _ACTIVE_STEPS[:3])) == "running"


def test_a_document_is_small_and_plain() -> None:
    """It has only the fields of its state, and a completed order keeps nothing of the order itself."""
    ended = ["state", "seq", "saga", "version", "digest", "started_ms"]
    done = orjson.loads(encode(at("completed").progress))
    assert list(done) == [*ended, "results", "forget_ms"]
    rolled_back = orjson.loads(encode(at("rolled back, nothing to undo").progress))
    assert list(rolled_back) == [*ended, "why", "forget_ms"]
    running = orjson.loads(encode(at("payment in flight").progress))
    assert running["order"].keys() == {"customer_id", "total"}
    assert [list(active) for active in running["legs"]] == [["is", "step", "attempt", "asked_ms", "due_ms"]]
    assert len(encode(at("completed").progress)) < 210


@given(st.binary(max_size=60))
def test_bytes_that_are_no_document_are_refused(value: bytes) -> None:
    """With a ValueError, whatever they are."""
    with pytest.raises(ValueError, match="not a saga's state"):
        decode(value)


@given(junk | st.fixed_dictionaries({"state": st.sampled_from(tuple(KINDS))}, optional={"legs": junk, "why": junk}))
def test_documents_of_others_are_refused(value: object) -> None:
    """Any JSON, even with some of our members, is a ValueError, whose sentence shows no content."""
    with suppress(orjson.JSONEncodeError):
        document = orjson.dumps(value)
        with pytest.raises(ValueError, match=r"^not a saga's state: [A-Za-z]+$"):
            decode(document)


def objects(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    """Every object of the saga's own within a document, with its path."""
    if isinstance(value, dict):
        yield path, value
    for part, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        if part not in CONTENT:
            yield from objects(inner, (*path, part))


@pytest.mark.parametrize("name", tuple(COMPLETE))
def test_each_field_is_required_and_no_other_is_allowed(name: str) -> None:
    """A missing or an unknown field may mean a change that this version doesn't know."""
    document = orjson.loads(encode(COMPLETE[name]))
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
                assert decode(orjson.dumps(document)) != COMPLETE[name]
            part.clear()
            part.update(kept)
    assert decode(orjson.dumps(document)) == COMPLETE[name]


def test_a_tracestate_needs_its_trace() -> None:
    """The one means nothing without the other."""
    data = replace(_DATA, trace=Trace("00-1-2-01", "a=1"))
    document = orjson.loads(encode(Progress(1, Running(data, None, ()))))
    assert (document["trace"], document.pop("tracestate")) == ("00-1-2-01", "a=1")
    assert decode(orjson.dumps(document)).state.data.trace == Trace("00-1-2-01")  # type: ignore[union-attr]
    del document["trace"]
    with pytest.raises(ValueError, match="unknown fields"):
        decode(orjson.dumps({**document, "tracestate": "a=1"}))


def test_a_field_of_another_kind_is_unknown() -> None:
    """A field that only another kind of state has."""
    for name, progress in COMPLETE.items():
        document = orjson.loads(encode(progress))
        for other in COMPLETE.values():
            for field, value in orjson.loads(encode(other)).items():
                if field not in document:
                    with pytest.raises(ValueError, match="not a saga's state"):
                        decode(orjson.dumps({**document, field: value}))
        assert decode(orjson.dumps(document)).seq == progress.seq, name


@given(st.sampled_from(tuple(COMPLETE)), st.data())
def test_a_damaged_document_is_read_or_refused(name: str, data: st.DataObject) -> None:
    """Whatever replaces a field, only ValueError is ever raised."""
    document = orjson.loads(encode(COMPLETE[name]))
    _, part = data.draw(st.sampled_from(list(objects(document))))
    field = data.draw(st.sampled_from(sorted(part)))
    part[field] = data.draw(junk)
    with suppress(ValueError, orjson.JSONEncodeError):
        assert isinstance(decode(orjson.dumps(document)), Progress)


@given(st.sampled_from(tuple(COMPLETE)), st.integers(0, 600), st.integers(0, 9), st.binary(max_size=9))
def test_damaged_bytes_are_read_or_refused(name: str, where: int, removed: int, inserted: bytes) -> None:
    """Whatever replaces some bytes, only ValueError is ever raised."""
    document = encode(COMPLETE[name])
    with suppress(ValueError):
        assert isinstance(decode(document[:where] + inserted + document[where + removed :]), Progress)
