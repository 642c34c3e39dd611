"""States as documents: nothing is lost, and the same state gives the same bytes."""

from dataclasses import fields
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.saga.state import STATES, Facts, NotStarted, Progress, State, Why
from app.wire.statedoc import STATE_NAMES, decode, encode, state_name
from tests.saga.places import PLACES, at
from tests.wire.stories import STORIES, all_decisions, decisions

STARTED = tuple(place for place in PLACES if not isinstance(at(place).state, NotStarted))

_texts = st.text(max_size=20)
_numbers = st.integers(1, 2**53 - 1)
_facts = st.builds(
    Facts,
    version=_numbers,
    digest=_texts,
    order=st.dictionaries(_texts, _texts | st.lists(_numbers, max_size=2), max_size=2),
    results=st.dictionaries(_texts, _texts, max_size=2),
)
_whys = st.builds(Why, _texts, _texts, st.booleans())
_FIELDS: dict[str, st.SearchStrategy[Any]] = {"facts": _facts, "why": _whys, "step": _texts}
KINDS = [state for state in STATES if state is not NotStarted]


def states(kind: type[State]) -> st.SearchStrategy[Progress]:
    """Any state of a kind, and how many decisions led to it."""
    names = [field.name for field in fields(kind)]
    made = st.builds(kind, **{name: _FIELDS.get(name, _numbers) for name in names})
    return st.builds(Progress, _numbers, made)


@pytest.mark.parametrize("place", STARTED)
def test_every_place_of_the_order_saga_is_read_back(place: str) -> None:
    """Wherever an order can be, its document tells where."""
    progress = at(place).progress
    document = encode(progress)
    assert decode(document) == progress
    assert encode(decode(document)) == document


def test_every_state_of_every_story_is_read_back() -> None:
    """All kinds of states occur, and every one comes back as it was."""
    seen = set()
    for decision in all_decisions():
        assert decode(encode(decision.progress)) == decision.progress
        seen.add(state_name(decision.progress.state))
    assert seen == set(STATE_NAMES)


@given(st.sampled_from(KINDS).flatmap(states))
def test_any_state_is_read_back(progress: Progress) -> None:
    """Whatever is in it, to the byte."""
    document = encode(progress)
    assert decode(document) == progress
    assert encode(decode(document)) == document


@pytest.mark.parametrize("story", tuple(STORIES))
def test_the_same_story_gives_the_same_bytes(story: str) -> None:
    """Told twice, or told on from what was read back, a saga's documents are the same to the byte."""
    told = [encode(decision.progress) for decision, _, _ in decisions(*STORIES[story])]
    again = [encode(decision.progress) for decision, _, _ in decisions(*STORIES[story])]
    assert told == again
    assert told


def test_states_have_the_names_of_the_documents() -> None:
    """Names are those of the classes, in lower case; a saga that has not started has one, but no document."""
    assert STATE_NAMES == (
        "running",
        "pausing",
        "compensating",
        "compensation_pausing",
        "stuck",
        "completed",
        "rolled_back",
    )
    assert state_name(NotStarted()) == "not_started"


def test_a_document_is_small_and_plain() -> None:
    """Nothing is in it that the state does not say, and a completed order keeps nothing of the order itself."""
    done = orjson.loads(encode(at("completed").progress))
    assert list(done) == ["state", "seq", "version", "digest", "results"]
    rolled_back = orjson.loads(encode(at("rolled back, nothing to undo").progress))
    assert list(rolled_back) == ["state", "seq", "version", "digest", "why"]
    running = orjson.loads(encode(at("payment asked for").progress))
    assert running["order"].keys() == {"customer_id", "total"}
    assert len(encode(at("completed").progress)) < 200


RUNNING: dict[str, Any] = {
    "state": "running",
    "seq": 1,
    "version": 1,
    "digest": "d",
    "step": "payment",
    "attempt": 1,
    "due_ms": 1,
}


@pytest.mark.parametrize(
    "value", (b"", b"{", b"null", b"1", b'"running"', b"[]", b"{}", b'{"state":[]}', b'{"state":"odd"}')
)
def test_what_is_no_state_is_refused(value: bytes) -> None:
    """Bytes that encode never wrote are a ValueError, whose sentence shows nothing of them."""
    with pytest.raises(ValueError, match=r"^not a saga's state: [A-Za-z]+$"):
        decode(value)


@pytest.mark.parametrize("name", tuple(RUNNING))
def test_each_field_of_a_state_is_needed(name: str) -> None:
    """A document that lacks one is refused, and so is one with what its state doesn't have."""
    assert decode(orjson.dumps(RUNNING)).seq == 1
    without = {field: value for field, value in RUNNING.items() if field != name}
    for broken in (without, {**RUNNING, "why": {"reason": "r", "step": "s", "requested": True}}):
        with pytest.raises(ValueError, match="not a saga's state"):
            decode(orjson.dumps(broken))


@pytest.mark.parametrize(
    "why", (None, 1, [], {}, {"reason": "r"}, {"reason": "r", "step": "s", "requested": True, "x": 1})
)
def test_a_reason_must_be_whole(why: object) -> None:
    """Why a saga goes back is three fields, or the document is refused."""
    document = {**RUNNING, "state": "compensating", "first_attempt": 1, "why": why}
    with pytest.raises(ValueError, match="not a saga's state"):
        decode(orjson.dumps(document))
