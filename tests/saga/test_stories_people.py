"""Stories of people: shops that cancel, and operators who act, in every situation of a saga."""

import pytest

from app.saga.messages import Operation, Retry, Skip
from app.saga.outputs import SendCommand
from app.saga.state import ACTIVE_STEPS, Compensating, Completed, InFlight, RolledBack, Running, Stuck
from tests.saga.order_messages import (
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
from tests.saga.situations import ONE_WAY_SITUATIONS, at, kind_of, situations
from tests.saga.story import NOON, ExpectedEvent, given
from topologies.order import ORDER

REQUESTED_FORWARD = tuple(situation for situation in situations(Running) if at(situation).active.attempt)
NOT_STUCK = tuple(active for active in ACTIVE_STEPS if active is not Stuck)


@pytest.mark.parametrize("situation", REQUESTED_FORWARD)
def test_an_order_can_be_cancelled_until_it_ends(situation: str) -> None:
    """The active step may have happened: its undo comes first."""
    story = at(situation)
    paying = story.active.step == "payment"
    reason = {"reason": "changed my mind", "step": story.active.step, "requested": True}
    requested = {"type": "saga.cancel.requested", "reason": "changed my mind", "because": reason}
    events: list[ExpectedEvent] = [requested, "saga.compensation.requested"]
    back = story.when(cancel()).then(commands=[refund() if paying else release()], events=events, state=Compensating)
    if paying:
        back = back.when(refunded()).then(commands=[release(known="r-1")])
    back.when(released()).then(outcome=order_cancelled(), state=RolledBack)


def test_a_cancel_between_the_steps_undoes_both() -> None:
    """The payment is requested as soon as the reservation is done, so a step is active at any time."""
    reaction = given(ORDER, placed(), reserved()).when(cancel())
    reaction.then(commands=[refund()], state=Compensating)


def test_a_success_that_crosses_a_cancel_comes_too_late() -> None:
    """The undo is in flight already; the shop gets one outcome, that of its cancel."""
    (
        given(ORDER, placed(), reserved(), cancel())
        .when(charged())
        .then_ignored()
        .when(refunded())
        .then(commands=[release(known="r-1")])
        .when(released())
        .then(outcome=order_cancelled(), state=RolledBack)
    )


def test_an_order_that_was_never_placed_cannot_be_cancelled() -> None:
    """A cancel can't wait for its order: it goes to the dead letters."""
    given(ORDER).when(cancel()).then_dead_lettered("unknown_order")


@pytest.mark.parametrize(
    ("situation", "reason"),
    (
        ("completed", "the order is completed"),
        ("rolled back after a decline", "the order was rolled back"),
        ("rolled back, nothing to undo", "the order was rolled back"),
        ("rolled back on request", "the order was cancelled before"),
        ("refund in flight, charge never confirmed", "the order was cancelled before"),
        ("refund backing off", "the order was cancelled before"),
        ("stuck in the refund", "the order was cancelled before"),
        ("release in flight after a refusal", "the order is being rolled back"),
        ("release backing off", "the order is being rolled back"),
        ("stuck in the release", "the order is being rolled back"),
    ),
)
def test_a_cancel_too_late_or_twice_is_refused(situation: str, reason: str) -> None:
    """The shop gets the reason; nothing else changes."""
    at(situation).when(cancel()).then_cancel_refused(reason)


@pytest.mark.parametrize("situation", situations(Compensating, Completed, RolledBack))
def test_every_repeated_cancel_is_refused(situation: str) -> None:
    """Each one is answered and recorded."""
    reason = at(situation).when(cancel()).events[0]["reason"]  # type: ignore[typeddict-item]
    at(situation).when(cancel()).then_cancel_refused(reason).when(cancel()).then_cancel_refused(reason)


@pytest.mark.parametrize("situation", REQUESTED_FORWARD)
def test_an_operator_can_roll_a_running_saga_back(situation: str) -> None:
    """As with a cancel, the active step is undone first, and the rollback counts as requested."""
    story = at(situation)
    undo = refund() if story.active.step == "payment" else release()
    operated = {
        "type": "saga.operated",
        "operation": "saga.compensate",
        "operator": "olga",
        "reason": "fraud",
        "because": {"reason": "fraud", "step": story.active.step, "requested": True},
    }
    events: list[ExpectedEvent] = [operated, "saga.compensation.requested"]
    story.when(compensate()).then(commands=[undo], events=events, state=Compensating, active=InFlight)


def test_an_order_rolled_back_by_an_operator_is_cancelled() -> None:
    """The outcome has the operator's reason, but not the operator's name."""
    story = given(ORDER, placed(), compensate())
    story.when(released()).then(outcome=order_cancelled("fraud"), state=RolledBack)


@pytest.mark.parametrize(
    ("situation", "step"), (("stuck in the refund", "payment"), ("stuck in the release", "reservation"))
)
@pytest.mark.parametrize("given_input", (retry("the disk is replaced"), skip("refunded by hand, ticket 7")))
def test_an_operation_is_recorded_with_operator_and_reason(
    situation: str, step: str, given_input: Retry | Skip
) -> None:
    """The event has the operation, the operator, the reason, and the stuck steps that it acts on."""
    operation = "saga.retry" if isinstance(given_input, Retry) else "saga.skip"
    operated = {"type": "saga.operated", "operation": operation, "operator": "olga", "reason": given_input.reason}
    assert at(situation).when(given_input).events[0] == {**operated, "steps": [step]}


@pytest.mark.parametrize("given_input", (retry(), skip(), compensate()))
def test_operations_need_an_order(given_input: Operation) -> None:
    """An operation on an order that was never placed goes to the dead letters."""
    given(ORDER).when(given_input).then_dead_lettered("unknown_order")


@pytest.mark.parametrize("situation", situations(Compensating, Completed, RolledBack))
def test_only_a_running_saga_is_rolled_back(situation: str) -> None:
    """A saga that rolls back, is stuck or has ended refuses it."""
    at(situation).when(compensate()).then_operation_refused("saga.compensate", "needs a saga that is running")


@pytest.mark.parametrize("situation", situations(Running, Compensating, Completed, RolledBack, active_steps=NOT_STUCK))
def test_only_a_stuck_saga_is_retried_or_skipped(situation: str) -> None:
    """In any other situation there is nothing to retry or to take as done by hand."""
    at(situation).when(retry()).then_operation_refused("saga.retry", "needs a saga that is stuck")
    at(situation).when(skip()).then_operation_refused("saga.skip", "needs a saga that is stuck")


PAST_NO_RETURN = tuple(situation for situation in ONE_WAY_SITUATIONS if kind_of(situation).state is Running)


@pytest.mark.parametrize("situation", PAST_NO_RETURN)
def test_past_the_point_of_no_return_nobody_rolls_an_order_back(situation: str) -> None:
    """Shop and operator get the reason. But an operator may take a pivot that is stuck in doubt as never done."""
    at(situation).when(cancel()).then_cancel_refused("the order can't be undone any more")
    if kind_of(situation) == (Running, Stuck, "in doubt"):
        at(situation).when(compensate()).then(commands=[release(known="r-1")], state=Compensating)
    else:
        refusal = "needs a saga that can still go back"
        at(situation).when(compensate()).then_operation_refused("saga.compensate", refusal)


@pytest.mark.parametrize(
    ("situation", "given_input", "commands"),
    (
        ("stuck in the refund", retry(), [refund(2)]),
        ("stuck in the release", retry(), [release(3, known="r-1")]),
        ("stuck in the refund", skip(), [release(known="r-1")]),
    ),
)
def test_an_operation_is_done_once(situation: str, given_input: Operation, commands: list[SendCommand]) -> None:
    """If two operators act at the same time, the second one finds the saga no longer stuck."""
    story = at(situation).when(given_input).then(commands=commands, state=Compensating)
    operation = "saga.retry" if given_input == retry() else "saga.skip"
    story.when(given_input).then_operation_refused(operation, "needs a saga that is stuck")


def test_a_refused_operation_is_recorded_with_operator_and_reason() -> None:
    """The history has the operation and the reason for the refusal; there is no outcome."""
    reaction = at("payment in flight").when(skip("customer calls"))
    refused = {"type": "saga.operation.refused", "operation": "saga.skip", "operator": "olga"}
    assert reaction.events == [{**refused, "reason": "customer calls", "refusal": "needs a saga that is stuck"}]
    assert reaction.sent == []


def test_a_cancel_before_its_order_leaves_no_trace() -> None:
    """An order that is placed after its cancel is an order like any other."""
    story = given(ORDER).when(cancel()).then_dead_lettered("unknown_order").when(placed(), at=NOON).after
    assert story.progress == given(ORDER, placed()).progress
