"""The wire contract of commands, outcomes and events, spelled out in full."""

from typing import Any

import pytest

from app.saga.evolve import EVENT_TYPES
from app.saga.message_ids import Direction, command_id
from app.saga.outputs import SendCommand, SendOutcome
from app.saga.state import BackingOff, Compensating, InFlight, Running
from tests.saga.event_shapes import shape_errors
from tests.saga.order_messages import (
    TWO_ATTEMPTS,
    cancel,
    capacity_for,
    charged,
    compensate,
    declined,
    failed,
    placed,
    refunded,
    rejected,
    released,
    reserved,
    retry,
    skip,
)
from tests.saga.situations import REFUNDING, RELEASING, at, situations
from tests.saga.story import NEXT_TIMER, NOON, AtCapacity, StoryInput, given

LINES = [{"sku": "tea", "quantity": 2, "unit_price": {"currency": "EUR", "minor": 2100}}]
TOTAL = {"currency": "EUR", "minor": 4200}

COMMANDS: tuple[tuple[tuple[StoryInput, ...], str, str, str, dict[str, Any]], ...] = (
    ((placed(),), "reservation.commands", "reservation.reserve", "o-1:reservation:do:1",
     {"order_id": "o-1", "lines": LINES}),
    ((placed(), NEXT_TIMER), "reservation.commands", "reservation.reserve", "o-1:reservation:do:2",
     {"order_id": "o-1", "lines": LINES}),
    ((placed(), reserved()), "payment.commands", "payment.charge", "o-1:payment:do:1",
     {"order_id": "o-1", "customer_id": "ann", "total": TOTAL}),
    (REFUNDING, "payment.commands", "payment.refund", "o-1:payment:undo:1",
     {"order_id": "o-1", "total": TOTAL}),
    ((*REFUNDING, refunded()), "reservation.commands", "reservation.release", "o-1:reservation:undo:1",
     {"order_id": "o-1", "reservation_id": "r-1"}),
    ((placed(), cancel()), "reservation.commands", "reservation.release", "o-1:reservation:undo:1",
     {"order_id": "o-1"}),
)  # fmt: skip

OUTCOMES: tuple[tuple[tuple[StoryInput, ...], str, dict[str, str]], ...] = (
    ((placed(), reserved(), charged()), "order.completed",
     {"order_id": "o-1", "reservation_id": "r-1", "payment_id": "p-1"}),
    ((placed(), rejected()), "order.rejected",
     {"order_id": "o-1", "reason": "out of stock", "step": "reservation"}),
    ((placed(), reserved(), declined(), released()), "order.rejected",
     {"order_id": "o-1", "reason": "no funds", "step": "payment"}),
    ((*REFUNDING, refunded(), released()), "order.cancelled",
     {"order_id": "o-1", "reason": "changed my mind"}),
    ((placed(), compensate(), released()), "order.cancelled",
     {"order_id": "o-1", "reason": "fraud"}),
    ((*REFUNDING, failed("payment:undo", for_good=True)), "order.stuck",
     {"order_id": "o-1", "reason": "database down", "step": "payment"}),
)  # fmt: skip


LATER = NOON + 7


def _last(history: tuple[StoryInput, ...]) -> list[Any]:
    return given(TWO_ATTEMPTS, *history[:-1]).when(history[-1]).sent


@pytest.mark.parametrize(("history", "topic", "type", "id", "value"), COMMANDS)
def test_a_command_is_as_agreed(
    history: tuple[StoryInput, ...], topic: str, type: str, id: str, value: dict[str, Any]
) -> None:
    """Topic, type, id, idempotency key and value."""
    assert _last(history) == [SendCommand(topic, type, id, id.rpartition(":")[0], value)]


@pytest.mark.parametrize(("history", "type", "value"), OUTCOMES)
def test_an_outcome_is_as_agreed(history: tuple[StoryInput, ...], type: str, value: dict[str, str]) -> None:
    """Type and value."""
    assert _last(history) == [SendOutcome(type, value)]


def test_a_refused_cancel_is_as_agreed() -> None:
    """Type and value."""
    value = {"order_id": "o-1", "reason": "the order is completed"}
    assert at("completed").when(cancel()).sent == [SendOutcome("order.cancel.refused", value)]


@pytest.mark.parametrize("situation", situations(Running, Compensating, active_steps=(InFlight, BackingOff)))
def test_the_state_knows_the_attempt_before_a_timer(situation: str) -> None:
    """A decision on a time-out or a backoff names the attempt before it as its cause."""
    story = at(situation)
    direction: Direction = "do" if isinstance(story.state, Running | BackingOff) else "undo"
    before = story.sent[-1]
    assert isinstance(before, SendCommand)
    assert before.id == command_id("o-1", story.active.step, direction, story.active.attempt)


def _request(step: str, attempt: int, kind: str = "step") -> dict[str, Any]:
    times = {"at_ms": LATER, "due_ms": LATER + 30_000}
    return {"type": f"saga.{kind}.requested", "step": step, "attempt": attempt, **times}


def _undo(step: str, attempt: int) -> dict[str, Any]:
    return _request(step, attempt, "compensation")


def _why(reason: str, step: str = "reservation", *, requested: bool = False) -> dict[str, Any]:
    return {"reason": reason, "step": step, "requested": requested}


def _because(reason: str, step: str = "reservation", *, requested: bool = False) -> dict[str, Any]:
    return {"because": _why(reason, step, requested=requested)}


STARTED = {
    "type": "saga.started",
    "order": {"order_id": "o-1", "customer_id": "ann", "total": TOTAL, "lines": LINES},
    "digest": "digest of ann's order",
    "at_ms": LATER,
    "deadline_ms": LATER + 24 * 3_600_000,
}
FORGET = {"forget_ms": LATER + 7 * 24 * 3_600_000}
NO_FUNDS = _why("no funds", "payment")

DECISIONS: tuple[tuple[tuple[StoryInput, ...], StoryInput, list[dict[str, Any]]], ...] = (
    ((), placed(), [STARTED, _request("reservation", 1)]),
    ((placed(),), reserved(), [
        {"type": "saga.step.succeeded", "step": "reservation", "attempt": 1, "result": "r-1"},
        _request("payment", 1),
    ]),
    ((placed(), reserved()), charged(), [
        {"type": "saga.step.succeeded", "step": "payment", "attempt": 1, "result": "p-1"},
        {"type": "saga.completed", **FORGET},
    ]),
    ((placed(),), rejected(), [
        {"type": "saga.step.refused", "step": "reservation", "attempt": 1, "reason": "out of stock",
         **_because("out of stock")},
        {"type": "saga.rolled_back", **_why("out of stock"), **FORGET},
    ]),
    ((placed(), reserved()), declined(), [
        {"type": "saga.step.refused", "step": "payment", "attempt": 1, "reason": "no funds",
         "because": NO_FUNDS},
        _undo("reservation", 1),
    ]),
    ((placed(),), failed("reservation:do"), [
        {"type": "saga.step.failed", "step": "reservation", "attempt": 1, "reason": "database down",
         "retryable": True, "retry_due_ms": LATER + 185},
    ]),
    ((placed(), failed("reservation:do")), NEXT_TIMER, [_request("reservation", 2)]),
    ((placed(),), failed("reservation:do", for_good=True), [
        {"type": "saga.step.failed", "step": "reservation", "attempt": 1, "reason": "database down",
         "retryable": False, **_because("database down")},
        _undo("reservation", 1),
    ]),
    ((placed(),), NEXT_TIMER, [
        {"type": "saga.step.timed_out", "step": "reservation", "attempt": 1},
        _request("reservation", 2),
    ]),
    ((placed(), NEXT_TIMER), NEXT_TIMER, [
        {"type": "saga.step.timed_out", "step": "reservation", "attempt": 2, **_because("timed out")},
        _undo("reservation", 1),
    ]),
    ((placed(),), cancel(), [
        {"type": "saga.cancel.requested", "reason": "changed my mind",
         **_because("changed my mind", requested=True)},
        _undo("reservation", 1),
    ]),
    ((placed(),), compensate(), [
        {"type": "saga.operated", "operation": "saga.compensate", "operator": "olga", "reason": "fraud",
         **_because("fraud", requested=True)},
        _undo("reservation", 1),
    ]),
    ((), AtCapacity(placed()), [STARTED]),
    ((AtCapacity(placed()),), capacity_for("reservation"), [_request("reservation", 1)]),
    ((placed(),), AtCapacity(NEXT_TIMER), [{"type": "saga.step.timed_out", "step": "reservation", "attempt": 1}]),
    ((placed(),), AtCapacity(failed("reservation:do")), [
        {"type": "saga.step.failed", "step": "reservation", "attempt": 1, "reason": "database down",
         "retryable": True},
    ]),
    ((placed(), AtCapacity(NEXT_TIMER)), NEXT_TIMER, [
        {"type": "saga.step.timed_out", "step": "reservation", "attempt": 1,
         **_because("the order's deadline has passed")},
        _undo("reservation", 1),
    ]),
    ((AtCapacity(placed()),), NEXT_TIMER, [
        {"type": "saga.step.timed_out", "step": "reservation", "attempt": 0,
         **_because("the order's deadline has passed")},
        {"type": "saga.rolled_back", **_why("the order's deadline has passed"), **FORGET},
    ]),
    (RELEASING, AtCapacity(NEXT_TIMER), [
        {"type": "saga.compensation.timed_out", "step": "reservation", "attempt": 1},
    ]),
    (REFUNDING, refunded(), [
        {"type": "saga.compensation.succeeded", "step": "payment", "attempt": 1},
        _undo("reservation", 1),
    ]),
    (RELEASING, released(), [
        {"type": "saga.compensation.succeeded", "step": "reservation", "attempt": 1},
        {"type": "saga.rolled_back", **NO_FUNDS, **FORGET},
    ]),
    (RELEASING, failed("reservation:undo"), [
        {"type": "saga.compensation.failed", "step": "reservation", "attempt": 1, "reason": "database down",
         "retryable": True, "retry_due_ms": LATER + 331},
    ]),
    (RELEASING, failed("reservation:undo", for_good=True), [
        {"type": "saga.compensation.failed", "step": "reservation", "attempt": 1, "reason": "database down",
         "retryable": False},
        {"type": "saga.stuck", "step": "reservation", "attempt": 1, "at_ms": LATER, "reason": "database down"},
    ]),
    (RELEASING, NEXT_TIMER, [
        {"type": "saga.compensation.timed_out", "step": "reservation", "attempt": 1},
        _undo("reservation", 2),
    ]),
    ((*RELEASING, NEXT_TIMER), NEXT_TIMER, [
        {"type": "saga.compensation.timed_out", "step": "reservation", "attempt": 2},
        {"type": "saga.stuck", "step": "reservation", "attempt": 2, "at_ms": LATER, "reason": "timed out"},
    ]),
    ((*RELEASING, NEXT_TIMER, NEXT_TIMER), retry(), [
        {"type": "saga.operated", "operation": "saga.retry", "operator": "olga", "reason": "it is up again",
         "steps": ["reservation"]},
        _undo("reservation", 3),
    ]),
    ((*RELEASING, NEXT_TIMER, NEXT_TIMER), skip(), [
        {"type": "saga.operated", "operation": "saga.skip", "operator": "olga", "reason": "done by hand",
         "steps": ["reservation"]},
        {"type": "saga.rolled_back", **NO_FUNDS, **FORGET},
    ]),
    (RELEASING, cancel(), [
        {"type": "saga.cancel.refused", "reason": "the order is being rolled back"},
    ]),
    (RELEASING, skip(), [
        {"type": "saga.operation.refused", "operation": "saga.skip", "operator": "olga", "reason": "done by hand",
         "refusal": "needs a saga that is stuck"},
    ]),
    (RELEASING, charged(), [
        {"type": "saga.reply.ignored", "reply": "payment.charged", "command": "o-1:payment:do:1",
         "reason": "another answer of reservation is awaited"},
    ]),
)  # fmt: skip


@pytest.mark.parametrize(("history", "last_input", "events"), DECISIONS)
def test_a_decision_is_as_agreed(
    history: tuple[StoryInput, ...], last_input: StoryInput, events: list[dict[str, Any]]
) -> None:
    """Its events in their order, each in full and as its type declares."""
    decided = given(TWO_ATTEMPTS, *history).when(last_input, at=LATER).events
    assert decided == events
    assert [shape_errors(event) for event in decided] == [[] for _ in events]


def test_every_event_is_spelled_out() -> None:
    """DECISIONS above leaves no type of event out."""
    assert {event["type"] for _, _, events in DECISIONS for event in events} == set(EVENT_TYPES)
