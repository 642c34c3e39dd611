"""Stories of orders that go forward: happy paths, refusals, failures and time-outs of each step."""

import pytest

from app.saga.outputs import SendCommand
from app.saga.state import BackingOff, Compensating, Completed, RolledBack, Running
from tests.saga.order_messages import (
    ONE_ATTEMPT,
    TWO_ATTEMPTS,
    charge,
    charged,
    declined,
    failed,
    order_completed,
    order_rejected,
    placed,
    refund,
    rejected,
    release,
    released,
    reserve,
    reserved,
)
from tests.saga.situations import at
from tests.saga.story import NEXT_TIMER, StoryInput, given
from topologies.order import ORDER


def test_an_order_is_reserved_paid_and_completed() -> None:
    """Each step is requested as soon as the step before it is done."""
    (
        given(ORDER)
        .when(placed())
        .then(commands=[reserve()], events=["saga.started", "saga.step.requested"], state=Running)
        .when(reserved())
        .then(commands=[charge()], events=["saga.step.succeeded", "saga.step.requested"], state=Running)
        .when(charged())
        .then(outcome=order_completed(), events=["saga.step.succeeded", "saga.completed"], state=Completed)
    )


def test_the_outcome_has_the_results_of_the_participants() -> None:
    """The ids in the outcome are those of the replies that counted."""
    story = given(TWO_ATTEMPTS, placed(), NEXT_TIMER, reserved(2, result="r-9"))
    story.when(charged(result="p-9")).then(outcome=order_completed("r-9", "p-9"))


def test_products_that_are_not_available_end_the_order() -> None:
    """Nothing was reserved, so nothing is undone."""
    reaction = given(ORDER, placed()).when(rejected())
    events = ["saga.step.refused", "saga.rolled_back"]
    reaction.then(outcome=order_rejected("out of stock", "reservation"), events=events, state=RolledBack)


def test_a_declined_payment_releases_the_products() -> None:
    """Nothing was charged, so only the reservation is undone; the outcome follows after that."""
    reaction = given(ORDER, placed(), reserved()).when(declined())
    events = ["saga.step.refused", "saga.compensation.requested"]
    reaction.then(commands=[release(known="r-1")], events=events, state=Compensating)


RESERVATION_TWICE = (
    "reservation in flight again after a time-out",
    "reservation in flight again after a backoff",
    "reservation backing off",
)


@pytest.mark.parametrize("situation", RESERVATION_TWICE)
def test_a_refusal_of_an_earlier_attempt_counts(situation: str) -> None:
    """A step is refused or not, whichever attempt the reply names."""
    at(situation).when(rejected(1)).then(outcome=order_rejected("out of stock", "reservation"), state=RolledBack)


@pytest.mark.parametrize("situation", RESERVATION_TWICE)
def test_a_success_of_an_earlier_attempt_counts(situation: str) -> None:
    """A reply after the time-out of its attempt is still a reply; no other attempt is sent."""
    at(situation).when(reserved(1)).then(commands=[charge()], state=Running)


@pytest.mark.parametrize(
    ("history", "action", "again"),
    (
        ((placed(),), "reservation:do", reserve(2)),
        ((placed(), reserved()), "payment:do", charge(2)),
    ),
)
def test_a_retryable_failure_is_sent_again_after_a_backoff(
    history: tuple[StoryInput, ...], action: str, again: SendCommand
) -> None:
    """The backoff is between half and all of the author's pause; nothing is sent during it."""
    failing = given(ORDER, *history).when(failed(action))
    backing_off = failing.then(events=["saga.step.failed"], state=Running, active=BackingOff)
    assert 100 <= (backing_off.due or 0) - failing.at <= 200
    backing_off.when(NEXT_TIMER).then(commands=[again], events=["saga.step.requested"], state=Running)


def test_backoffs_double_with_each_failure() -> None:
    """Every backoff doubles the one before, give or take half of it."""
    story = given(ORDER, placed())
    for attempt, longest in enumerate((200, 400, 800, 1_600), start=1):
        failing = story.when(failed("reservation:do", attempt))
        assert longest // 2 <= (failing.after.due or 0) - failing.at <= longest
        story = failing.after.moved_by(NEXT_TIMER)


def test_a_failing_step_can_still_succeed() -> None:
    """Failures leave no trace in the steps after it."""
    story = given(ORDER, placed())
    for attempt in range(1, 5):
        story = story.moved_by(failed("reservation:do", attempt)).moved_by(NEXT_TIMER)
    story.when(reserved(5)).then(commands=[charge()]).when(charged()).then(outcome=order_completed())


LAST_ATTEMPTS = (
    ("reservation in flight again after a backoff", "reservation:do", release()),
    ("reservation in flight again after a time-out", "reservation:do", release()),
    ("payment in flight again", "payment:do", refund()),
)


@pytest.mark.parametrize(("situation", "action", "undo"), LAST_ATTEMPTS)
def test_the_last_failure_gives_the_step_up(situation: str, action: str, undo: SendCommand) -> None:
    """A step that failed may have happened nevertheless: it is undone first of all."""
    events = ["saga.step.failed", "saga.compensation.requested"]
    at(situation).when(failed(action, 2)).then(commands=[undo], events=events, state=Compensating)


@pytest.mark.parametrize(("situation", "action", "undo"), LAST_ATTEMPTS)
def test_the_last_time_out_gives_the_step_up(situation: str, action: str, undo: SendCommand) -> None:
    """A step that timed out may have happened nevertheless: it is undone first of all."""
    assert action.endswith(":do")
    events = ["saga.step.timed_out", "saga.compensation.requested"]
    at(situation).when(NEXT_TIMER).then(commands=[undo], events=events, state=Compensating)


@pytest.mark.parametrize(
    ("situation", "action", "undo"),
    (
        ("reservation in flight", "reservation:do", release()),
        ("reservation backing off", "reservation:do", release()),
        ("reservation in flight again after a time-out", "reservation:do", release()),
        ("payment in flight", "payment:do", refund()),
        ("payment backing off", "payment:do", refund()),
        ("payment in flight again", "payment:do", refund()),
    ),
)
def test_a_failure_for_good_gives_the_step_up_at_once(situation: str, action: str, undo: SendCommand) -> None:
    """Another attempt makes no sense, whichever attempt failed, and even during a backoff."""
    events = ["saga.step.failed", "saga.compensation.requested"]
    at(situation).when(failed(action, 1, for_good=True)).then(commands=[undo], events=events, state=Compensating)


@pytest.mark.parametrize(
    ("situation", "again"), (("reservation in flight", reserve(2)), ("payment in flight", charge(2)))
)
def test_a_step_that_timed_out_is_sent_again_at_once(situation: str, again: SendCommand) -> None:
    """There is no backoff after a time-out."""
    at(situation).when(NEXT_TIMER).then(
        commands=[again], events=["saga.step.timed_out", "saga.step.requested"], state=Running
    )


def test_a_reply_is_awaited_for_thirty_seconds() -> None:
    """The time-out of each attempt counts from when it is sent."""
    requested = given(ORDER).when(placed(), at=5)
    assert requested.after.due == 30_005
    assert requested.after.when(NEXT_TIMER, at=31_000).after.due == 61_000


def test_a_step_with_one_attempt_is_given_up_after_its_first_failure() -> None:
    """If the author allows one attempt, there is one."""
    given(ONE_ATTEMPT, placed()).when(failed("reservation:do")).then(commands=[release()], state=Compensating)
    given(ONE_ATTEMPT, placed()).when(NEXT_TIMER).then(commands=[release()], state=Compensating)


@pytest.mark.parametrize(
    ("failures", "reason"),
    (
        ((failed("reservation:do"), NEXT_TIMER, failed("reservation:do", 2, reason="disk full")), "disk full"),
        ((failed("reservation:do"), NEXT_TIMER, NEXT_TIMER), "timed out"),
        ((failed("reservation:do", for_good=True, reason="no such product"),), "no such product"),
    ),
)
def test_the_outcome_has_the_last_failure_of_a_step_that_was_given_up(
    failures: tuple[StoryInput, ...], reason: str
) -> None:
    """Its reason is that of the failure or time-out which used up the attempts."""
    story = given(TWO_ATTEMPTS, placed(), *failures)
    story.when(released()).then(outcome=order_rejected(reason, "reservation"), state=RolledBack)
