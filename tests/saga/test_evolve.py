"""The fold: a log gives its saga's state, and a log that decide did not write is refused."""

from dataclasses import replace
from typing import Any, cast

import pytest

from app.saga.events import Event
from app.saga.evolve import EVENT_TYPES, BrokenHistory, evolve, fold
from app.saga.messages import Trace
from app.saga.state import NO_SAGA, Compensating, Completed, InFlight, Queued
from tests.saga.event_shapes import DECLARED
from tests.saga.order_messages import (
    TWO_ATTEMPTS,
    capacity_for,
    charged,
    declined,
    order_completed,
    placed,
    released,
    reserved,
)
from tests.saga.situations import SITUATIONS, at
from tests.saga.story import NEXT_TIMER, given, no_capacity
from topologies.order import ORDER


def test_every_declared_event_can_be_folded() -> None:
    """The fold knows exactly the events that are declared."""
    assert set(EVENT_TYPES) == set(DECLARED)


def test_a_saga_read_from_its_log_goes_on_where_it_was() -> None:
    """It decides like the saga that wrote the log, without any of the inputs."""
    log = [given(ORDER).when(placed()).events, given(ORDER, placed()).when(reserved()).events]
    story = given(ORDER, *log)
    assert story.progress.seq == 2
    story.when(charged()).then(outcome=order_completed(), state=Completed)


def test_a_queued_step_is_requested_by_a_later_decision() -> None:
    """After the start the first step is queued, which has no event, until the log says that it was requested."""
    started = given(ORDER).when(placed(), try_acquire=no_capacity).events
    queued = given(ORDER, started)
    assert queued.active == Queued("reservation", 0, 1)
    requested = queued.when(capacity_for("reservation")).events
    assert given(ORDER, started, requested).active == InFlight("reservation", 1, 1, queued.at, queued.at + 30_000)
    reserving = given(ORDER, [*started, *requested])
    assert reserving.state == given(ORDER, started, requested).state


def test_a_queued_step_keeps_the_message_that_queued_it() -> None:
    """The fold takes it from the cause of the decision. Another message, or a timer, leaves it as it is."""
    started = given(ORDER).when(placed(), try_acquire=no_capacity).events
    queued = fold(ORDER, NO_SAGA, started, "placed")
    assert queued.state.active_steps == (Queued("reservation", 0, 1, "placed"),)  # type: ignore[union-attr]
    refused: list[Event] = [{"type": "saga.cancel.refused", "reason": "y"}]
    assert fold(ORDER, queued, refused, "cancel").state == fold(ORDER, queued, refused).state == queued.state
    without_cause = fold(ORDER, NO_SAGA, started)
    assert fold(ORDER, without_cause, refused, "cancel").state == without_cause.state


def test_a_saga_keeps_the_trace_of_its_order_until_it_ends() -> None:
    """For the messages that no message will lead to; an ended saga sends none."""
    trace = Trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=1")
    story = given(ORDER, replace(placed(), trace=trace))
    assert story.state.data.trace == trace
    for message in (reserved(), charged()):
        assert story.state.data.trace == trace
        story = story.moved_by(message)
    assert story.state.data.trace is None
    assert given(ORDER, placed()).state.data.trace is None


@pytest.mark.parametrize("situation", SITUATIONS)
def test_events_that_change_nothing_change_nothing(situation: str) -> None:
    """An ignored reply or a refused cancel leaves the state as it is, in every situation."""
    story = at(situation)
    unchanging: list[Event] = [
        {"type": "saga.reply.ignored", "reply": "payment.charged", "command": "x", "reason": "y"},
        {"type": "saga.cancel.refused", "reason": "y"},
    ]
    assert fold(story.saga, story.progress, unchanging).state == story.state
    assert fold(story.saga, story.progress, unchanging).seq == story.progress.seq + 1


REQUESTED = {"attempt": 2, "at_ms": 1, "due_ms": 2}
FAILED = {"attempt": 1, "reason": "down", "retryable": True}


@pytest.mark.parametrize(
    ("event", "why"),
    (
        ({"type": "saga.started", "order": {"order_id": "o-1"}, "digest": "d", "at_ms": 1}, "it has started already"),
        ({"type": "saga.flew"}, "saga.flew"),
        ({}, "type"),
        ({"type": ["saga.started"]}, "unhashable"),
        ({"type": "saga.step.requested", "step": "reservation"}, "attempt"),
        ({"type": "saga.step.requested", "step": "payment", **REQUESTED}, "payment is not active"),
        ({"type": "saga.step.succeeded", "step": "shipping", "attempt": 1, "result": "x"}, "shipping is not active"),
        ({"type": "saga.step.succeeded", "step": "payment", "attempt": 1, "result": "x"}, "payment is not active"),
        ({"type": "saga.step.failed", "step": "payment", **FAILED, "retry_due_ms": 1}, "payment is not active"),
        ({"type": "saga.step.failed", "step": "payment", **FAILED}, "payment is not active"),
        ({"type": "saga.step.timed_out", "step": "payment", "attempt": 1}, "payment is not active"),
        ({"type": "saga.step.refused", "step": "reservation", "attempt": 1, "reason": "no"}, "because"),
        ({"type": "saga.cancel.requested", "reason": "no"}, "because"),
        ({"type": "saga.cancel.requested", "reason": "no", "because": {"who": "me"}}, "who"),
        ({"type": "saga.compensation.requested", "step": "payment", **REQUESTED}, "payment is not active"),
        ({"type": "saga.compensation.succeeded", "step": "reservation", "attempt": 1}, "left"),
        ({"type": "saga.compensation.failed", "step": "x", **FAILED}, "x is not active"),
        ({"type": "saga.operated", "operation": "saga.retry", "steps": ["payment"]}, "payment is not active"),
        (
            {"type": "saga.stuck", "step": "payment", "attempt": 1, "at_ms": 1, "reason": "x"},
            "payment is not active",
        ),
        ({"type": "saga.completed"}, "forget_ms"),
        ({"type": "saga.rolled_back", "reason": "x", "step": "payment", "requested": True}, "forget_ms"),
    ),
)
def test_an_event_that_cannot_follow_breaks_the_history(event: dict[str, Any], why: str) -> None:
    """For example: a second start, a success of a step that is not active, a rollback without a reason."""
    story = given(TWO_ATTEMPTS, placed())
    with pytest.raises(BrokenHistory, match=why):
        evolve(TWO_ATTEMPTS, story.state, cast("Event", event))


def test_a_step_is_done_once() -> None:
    """A second success, or one during a rollback, would start the next steps again."""
    done = cast("Event", {"type": "saga.step.succeeded", "step": "reservation", "attempt": 1, "result": "r-1"})
    for story in (
        given(TWO_ATTEMPTS, placed(), reserved()),
        given(TWO_ATTEMPTS, placed(), reserved(), declined(), released()),
    ):
        with pytest.raises(BrokenHistory, match=r"saga\.step\.succeeded cannot follow"):
            evolve(TWO_ATTEMPTS, story.state, done)


@pytest.mark.parametrize("type", ("saga.step.requested", "saga.completed", "saga.rolled_back", "saga.stuck"))
def test_a_history_begins_with_a_start(type: str) -> None:
    """The error names the event."""
    with pytest.raises(BrokenHistory, match=f"{type} cannot follow NotStarted"):
        fold(TWO_ATTEMPTS, NO_SAGA, [cast("Event", {"type": type})])


def test_the_state_keeps_only_what_is_still_needed() -> None:
    """The lines go once they are reserved, the results once they are undone; an ended saga keeps little."""
    story = given(TWO_ATTEMPTS, placed())
    assert set(story.state.data.order) == {"customer_id", "total", "lines"}
    story = story.moved_by(reserved())
    assert set(story.state.data.order) == {"customer_id", "total"}
    assert story.state.data.results == {"reservation_id": "r-1"}
    done = story.moved_by(charged())
    assert (done.state.data.order, len(done.state.data.results)) == ({}, 2)
    rolled_back = story.moved_by(declined()).moved_by(released())
    assert (rolled_back.state.data.order, rolled_back.state.data.results) == ({}, {})


def test_a_state_knows_the_definition_and_the_digest_it_started_with() -> None:
    """They stay the same to the end, whatever the definition is called then."""
    story = given(TWO_ATTEMPTS, placed(), NEXT_TIMER, reserved(), declined())
    assert isinstance(story.state, Compensating)
    end = story.moved_by(released())
    assert (end.state.data.saga, end.state.data.version) == ("order", 1)
    assert (end.state.data.definition, end.state.data.digest) == ("order/1", placed().digest)
    assert given(replace(TWO_ATTEMPTS, version=12), placed()).state.data.definition == "order/12"
