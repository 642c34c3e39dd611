"""The fold: a log gives its saga's state, and what is no log of a saga is told apart from one."""

from dataclasses import replace
from typing import Any, cast

import pytest

from app.saga.events import Event
from app.saga.evolve import EVENT_TYPES, BrokenHistory, advance, evolve
from app.saga.state import UNKNOWN, Asked, Compensating, Completed, Waiting
from tests.saga.given import WAITED, given, no_room
from tests.saga.places import PLACES, at
from tests.saga.shapes import DECLARED
from tests.saga.words import BRIEF, charged, declined, order_completed, placed, released, reserved, room_for
from topologies.order import ORDER


def test_every_declared_event_can_be_folded() -> None:
    """The fold knows the events that are declared, and no others."""
    assert set(EVENT_TYPES) == set(DECLARED)


def test_a_saga_read_from_its_log_goes_on_where_it_was() -> None:
    """It decides as the one that lived, without having been told anything."""
    log = [given(ORDER).when(placed()).events, given(ORDER, placed()).when(reserved()).events]
    story = given(ORDER, *log)
    assert story.progress.seq == 2
    story.when(charged()).then(outcome=order_completed(), state=Completed)


def test_a_step_that_waited_is_asked_for_by_a_later_decision() -> None:
    """After the start the first step waits, which needs no event, until the log says that it was asked for."""
    started = given(ORDER).when(placed(), room=no_room).events
    waiting = given(ORDER, started)
    assert waiting.leg == Waiting("reservation", 0, 1)
    asked = waiting.when(room_for("reservation")).events
    assert given(ORDER, started, asked).leg == Asked("reservation", 1, 1, waiting.at, waiting.at + 30_000)
    reserving = given(ORDER, [*started, *asked])
    assert reserving.state == given(ORDER, started, asked).state


@pytest.mark.parametrize("place", PLACES)
def test_events_that_change_nothing_change_nothing(place: str) -> None:
    """What was ignored or refused leaves the state as it is, everywhere."""
    story = at(place)
    quiet: list[Event] = [
        {"type": "saga.reply.ignored", "reply": "payment.charged", "command": "x", "reason": "y"},
        {"type": "saga.cancel.refused", "reason": "y"},
    ]
    assert advance(story.saga, story.progress, quiet).state == story.state
    assert advance(story.saga, story.progress, quiet).seq == story.progress.seq + 1


ASKED = {"attempt": 2, "at_ms": 1, "due_ms": 2}
FAILED = {"attempt": 1, "reason": "down", "retryable": True}


@pytest.mark.parametrize(
    ("event", "why"),
    (
        ({"type": "saga.started", "order": {"order_id": "o-1"}, "digest": "d", "at_ms": 1}, "it has started already"),
        ({"type": "saga.flew"}, "saga.flew"),
        ({}, "type"),
        ({"type": ["saga.started"]}, "unhashable"),
        ({"type": "saga.step.requested", "step": "reservation"}, "attempt"),
        ({"type": "saga.step.requested", "step": "payment", **ASKED}, "payment is not under way"),
        ({"type": "saga.step.succeeded", "step": "shipping", "attempt": 1, "result": "x"}, "shipping is not under way"),
        ({"type": "saga.step.succeeded", "step": "payment", "attempt": 1, "result": "x"}, "payment is not under way"),
        ({"type": "saga.step.failed", "step": "payment", **FAILED, "retry_due_ms": 1}, "payment is not under way"),
        ({"type": "saga.step.failed", "step": "payment", **FAILED}, "payment is not under way"),
        ({"type": "saga.step.timed_out", "step": "payment", "attempt": 1}, "payment is not under way"),
        ({"type": "saga.step.refused", "step": "reservation", "attempt": 1, "reason": "no"}, "because"),
        ({"type": "saga.cancel.requested", "reason": "no"}, "because"),
        ({"type": "saga.cancel.requested", "reason": "no", "because": {"who": "me"}}, "who"),
        ({"type": "saga.compensation.requested", "step": "payment", **ASKED}, "payment is not under way"),
        ({"type": "saga.compensation.succeeded", "step": "reservation", "attempt": 1}, "left"),
        ({"type": "saga.compensation.failed", "step": "x", **FAILED}, "x is not under way"),
        ({"type": "saga.operated", "operation": "saga.retry", "steps": ["payment"]}, "payment is not under way"),
        (
            {"type": "saga.stuck", "step": "payment", "attempt": 1, "at_ms": 1, "reason": "x"},
            "payment is not under way",
        ),
        ({"type": "saga.completed"}, "forget_ms"),
        ({"type": "saga.rolled_back", "reason": "x", "step": "payment", "requested": True}, "forget_ms"),
    ),
)
def test_an_event_that_cannot_follow_breaks_the_history(event: dict[str, Any], why: str) -> None:
    """A running saga can't start, nor do or undo what is not under way, nor go back without a reason; and so on."""
    story = given(BRIEF, placed())
    with pytest.raises(BrokenHistory, match=why):
        evolve(BRIEF, story.state, cast("Event", event))


def test_a_step_is_done_once() -> None:
    """A second success of a step, or one on the way back, would begin what comes after it again."""
    done = cast("Event", {"type": "saga.step.succeeded", "step": "reservation", "attempt": 1, "result": "r-1"})
    for story in (given(BRIEF, placed(), reserved()), given(BRIEF, placed(), reserved(), declined(), released())):
        with pytest.raises(BrokenHistory, match=r"saga\.step\.succeeded cannot follow"):
            evolve(BRIEF, story.state, done)


@pytest.mark.parametrize("type", ("saga.step.requested", "saga.completed", "saga.rolled_back", "saga.stuck"))
def test_a_history_begins_with_a_start(type: str) -> None:
    """An event of a saga that never started is told by name."""
    with pytest.raises(BrokenHistory, match=f"{type} cannot follow NotStarted"):
        advance(BRIEF, UNKNOWN, [cast("Event", {"type": type})])


def test_a_saga_keeps_what_it_still_needs() -> None:
    """The lines go once they are reserved, the results once they are undone, and what ends keeps little."""
    story = given(BRIEF, placed())
    assert set(story.state.facts.order) == {"customer_id", "total", "lines"}
    story = story.lived(reserved())
    assert set(story.state.facts.order) == {"customer_id", "total"}
    assert story.state.facts.results == {"reservation_id": "r-1"}
    done = story.lived(charged())
    assert (done.state.facts.order, len(done.state.facts.results)) == ({}, 2)
    gone = story.lived(declined()).lived(released())
    assert (gone.state.facts.order, gone.state.facts.results) == ({}, {})


def test_a_state_knows_the_definition_and_the_digest_it_started_with() -> None:
    """They stay the same to the end, by which name ever the definition goes then."""
    story = given(BRIEF, placed(), WAITED, reserved(), declined())
    assert isinstance(story.state, Compensating)
    end = story.lived(released())
    assert (end.state.facts.saga, end.state.facts.version) == ("order", 1)
    assert (end.state.facts.definition, end.state.facts.digest) == ("order/1", placed().digest)
    assert given(replace(BRIEF, version=12), placed()).state.facts.definition == "order/12"
