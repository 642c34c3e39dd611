"""Stories of people: shops that cancel and operators who act, in every place where a saga can be."""

import pytest

from app.saga.effects import SendCommand
from app.saga.messages import Operation, Retry, Skip
from app.saga.state import LEGS, Asked, Compensating, Completed, RolledBack, Running, Stuck
from tests.saga.given import NOON, Expected, given
from tests.saga.places import NO_RETURN, PLACES, at, kind_of, places
from tests.saga.words import (
    cancel,
    charged,
    compensate,
    order_cancelled,
    placed,
    refund,
    refunded,
    release,
    released,
    reserved,
    retry,
    skip,
)
from topologies.order import ORDER

STARTED = tuple(place for place in PLACES if place != "nothing placed")
ASKED_FORWARD = tuple(place for place in places(Running) if at(place).leg.attempt)
NOT_STUCK = tuple(leg for leg in LEGS if leg is not Stuck)


@pytest.mark.parametrize("place", ASKED_FORWARD)
def test_an_order_can_be_cancelled_until_it_ends(place: str) -> None:
    """The step under way may have happened: its undo comes first."""
    story = at(place)
    paying = story.leg.step == "payment"
    why = {"reason": "changed my mind", "step": story.leg.step, "requested": True}
    requested = {"type": "saga.cancel.requested", "reason": "changed my mind", "because": why}
    events: list[Expected] = [requested, "saga.compensation.requested"]
    back = story.when(cancel()).then(commands=[refund() if paying else release()], events=events, state=Compensating)
    if paying:
        back = back.when(refunded()).then(commands=[release(known="r-1")])
    back.when(released()).then(outcome=order_cancelled(), state=RolledBack)


def test_a_cancel_between_the_steps_undoes_both() -> None:
    """Once the reservation is done the payment is asked for at once, so there is no moment without a step under way."""
    telling = given(ORDER, placed(), reserved()).when(cancel())
    telling.then(commands=[refund()], state=Compensating)


def test_a_success_that_crosses_a_cancel_comes_too_late() -> None:
    """The undo is on its way already; the shop gets the one outcome that the cancel led to."""
    (
        given(ORDER, placed(), reserved(), cancel())
        .when(charged())
        .then_ignored()
        .when(refunded())
        .then(commands=[release(known="r-1")])
        .when(released())
        .then(outcome=order_cancelled(), state=RolledBack)
    )


def test_nothing_is_cancelled_that_was_never_placed() -> None:
    """A cancel cannot wait for its order: it belongs to the dead letters."""
    given(ORDER).when(cancel()).then_unacceptable("unknown_order")


@pytest.mark.parametrize(
    ("place", "reason"),
    (
        ("completed", "the order is completed"),
        ("rolled back after a decline", "the order was rolled back"),
        ("rolled back, nothing to undo", "the order was rolled back"),
        ("rolled back on request", "the order was cancelled before"),
        ("refund asked for, never charged", "the order was cancelled before"),
        ("refund paused", "the order was cancelled before"),
        ("stuck in the refund", "the order was cancelled before"),
        ("release asked for after a refusal", "the order is being rolled back"),
        ("release paused", "the order is being rolled back"),
        ("stuck in the release", "the order is being rolled back"),
    ),
)
def test_a_cancel_too_late_or_twice_is_refused(place: str, reason: str) -> None:
    """The shop learns why; nothing else changes."""
    at(place).when(cancel()).then_cancel_refused(reason)


@pytest.mark.parametrize("place", places(Compensating, Completed, RolledBack))
def test_every_repeated_cancel_is_refused_in_its_own_right(place: str) -> None:
    """Each of them is answered and recorded, however many come."""
    reason = at(place).when(cancel()).events[0]["reason"]  # type: ignore[typeddict-item]
    at(place).when(cancel()).then_cancel_refused(reason).when(cancel()).then_cancel_refused(reason)


@pytest.mark.parametrize("place", ASKED_FORWARD)
def test_an_operator_can_roll_a_running_saga_back(place: str) -> None:
    """As with a cancel, the step under way is undone first, and the shop hears that somebody asked for it."""
    story = at(place)
    undo = refund() if story.leg.step == "payment" else release()
    operated = {
        "type": "saga.operated",
        "operation": "saga.compensate",
        "operator": "olga",
        "reason": "fraud",
        "because": {"reason": "fraud", "step": story.leg.step, "requested": True},
    }
    events: list[Expected] = [operated, "saga.compensation.requested"]
    story.when(compensate()).then(commands=[undo], events=events, state=Compensating, leg=Asked)


def test_an_order_rolled_back_by_an_operator_is_cancelled() -> None:
    """The outcome gives the operator's reason, not the operator."""
    story = given(ORDER, placed(), compensate())
    story.when(released()).then(outcome=order_cancelled("fraud"), state=RolledBack)


@pytest.mark.parametrize(
    ("place", "step"), (("stuck in the refund", "payment"), ("stuck in the release", "reservation"))
)
@pytest.mark.parametrize("wish", (retry("the disk is replaced"), skip("refunded by hand, ticket 7")))
def test_an_operation_is_logged_with_who_and_why(place: str, step: str, wish: Retry | Skip) -> None:
    """The event names the operation, the operator, the reason, and the steps that were stuck and are seen to."""
    operation = "saga.retry" if isinstance(wish, Retry) else "saga.skip"
    operated = {"type": "saga.operated", "operation": operation, "operator": "olga", "reason": wish.reason}
    assert at(place).when(wish).events[0] == {**operated, "steps": [step]}


@pytest.mark.parametrize("wish", (retry(), skip(), compensate()))
def test_operations_need_an_order(wish: Operation) -> None:
    """An operation for an order that nobody placed belongs to the dead letters."""
    given(ORDER).when(wish).then_unacceptable("unknown_order")


@pytest.mark.parametrize("place", places(Compensating, Completed, RolledBack))
def test_only_a_running_saga_is_rolled_back(place: str) -> None:
    """One that goes back already, is stuck or has ended refuses it."""
    at(place).when(compensate()).then_operation_refused("saga.compensate", "needs a saga that is running")


@pytest.mark.parametrize("place", places(Running, Compensating, Completed, RolledBack, legs=NOT_STUCK))
def test_only_a_stuck_saga_is_retried_or_skipped(place: str) -> None:
    """Anywhere else there is nothing to retry and nothing to take as done by hand."""
    at(place).when(retry()).then_operation_refused("saga.retry", "needs a saga that is stuck")
    at(place).when(skip()).then_operation_refused("saga.skip", "needs a saga that is stuck")


GONE_TOO_FAR = tuple(place for place in NO_RETURN if kind_of(place).state is Running)


@pytest.mark.parametrize("place", GONE_TOO_FAR)
def test_past_the_point_of_no_return_nobody_rolls_an_order_back(place: str) -> None:
    """Shop and operator learn why; but a pivot that is stuck in doubt may be taken as never done by an operator."""
    at(place).when(cancel()).then_cancel_refused("the order can't be undone any more")
    if kind_of(place) == (Running, Stuck, "in doubt"):
        at(place).when(compensate()).then(commands=[release(known="r-1")], state=Compensating)
    else:
        refusal = "needs a saga that can still go back"
        at(place).when(compensate()).then_operation_refused("saga.compensate", refusal)


@pytest.mark.parametrize(
    ("place", "wish", "commands"),
    (
        ("stuck in the refund", retry(), [refund(2)]),
        ("stuck in the release", retry(), [release(3, known="r-1")]),
        ("stuck in the refund", skip(), [release(known="r-1")]),
    ),
)
def test_an_operation_is_done_once(place: str, wish: Operation, commands: list[SendCommand]) -> None:
    """Two operators who click at the same time do not act twice: the second finds the saga no longer stuck."""
    story = at(place).when(wish).then(commands=commands, state=Compensating)
    operation = "saga.retry" if wish == retry() else "saga.skip"
    story.when(wish).then_operation_refused(operation, "needs a saga that is stuck")


def test_a_refused_operation_is_logged_with_who_wanted_what() -> None:
    """So that what a person tried can be read in the history, and why it did not help; it is no outcome."""
    telling = at("payment asked for").when(skip("customer calls"))
    refused = {"type": "saga.operation.refused", "operation": "saga.skip", "operator": "olga"}
    assert telling.events == [{**refused, "reason": "customer calls", "refusal": "needs a saga that is stuck"}]
    assert telling.sent == []


def test_what_came_before_its_order_left_no_trace() -> None:
    """An order whose cancel overtook it is an order like any other."""
    story = given(ORDER).when(cancel()).then_unacceptable("unknown_order").when(placed(), at=NOON).after
    assert story.progress == given(ORDER, placed()).progress
