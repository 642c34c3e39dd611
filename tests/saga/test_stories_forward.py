"""Stories of orders going forward: happy paths, refusals, failures and time-outs at each step."""

import pytest

from app.saga.effects import SendCommand
from app.saga.state import Compensating, Completed, Pausing, RolledBack, Running
from tests.saga.given import WAITED, Said, given
from tests.saga.places import at
from tests.saga.words import (
    BRIEF,
    HASTY,
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
from topologies.order import ORDER


def test_an_order_is_reserved_paid_and_completed() -> None:
    """One step after the other, each as soon as the one before it is done."""
    (
        given(ORDER)
        .when(placed())
        .then(commands=[reserve()], events=["saga.started", "saga.step.requested"], state=Running)
        .when(reserved())
        .then(commands=[charge()], events=["saga.step.succeeded", "saga.step.requested"], state=Running)
        .when(charged())
        .then(outcome=order_completed(), events=["saga.step.succeeded", "saga.completed"], state=Completed)
    )


def test_the_shop_learns_what_the_participants_call_their_results() -> None:
    """The ids in the outcome are those of the replies that counted."""
    story = given(BRIEF, placed(), WAITED, reserved(2, result="r-9"))
    story.when(charged(result="p-9")).then(outcome=order_completed("r-9", "p-9"))


def test_products_that_cannot_be_had_end_the_order() -> None:
    """Nothing was reserved, so nothing is undone."""
    telling = given(ORDER, placed()).when(rejected())
    events = ["saga.step.refused", "saga.rolled_back"]
    telling.then(outcome=order_rejected("out of stock", "reservation"), events=events, state=RolledBack)


def test_a_declined_payment_releases_the_products() -> None:
    """Nothing was charged, so only the reservation is undone, and the shop waits for that."""
    telling = given(ORDER, placed(), reserved()).when(declined())
    events = ["saga.step.refused", "saga.compensation.requested"]
    telling.then(commands=[release(known="r-1")], events=events, state=Compensating)


RESERVATION_TWICE = (
    "reservation asked for again after a time-out",
    "reservation asked for again after a pause",
    "reservation paused",
)


@pytest.mark.parametrize("place", RESERVATION_TWICE)
def test_a_refusal_of_an_earlier_attempt_counts(place: str) -> None:
    """An effect is refused or not, whichever of its attempts the answer names."""
    at(place).when(rejected(1)).then(outcome=order_rejected("out of stock", "reservation"), state=RolledBack)


@pytest.mark.parametrize("place", RESERVATION_TWICE)
def test_a_success_of_an_earlier_attempt_counts(place: str) -> None:
    """An answer that comes after its attempt was given up on is still the answer; no other attempt is sent."""
    at(place).when(reserved(1)).then(commands=[charge()], state=Running)


@pytest.mark.parametrize(
    ("history", "effect", "again"),
    (
        ((placed(),), "reservation:do", reserve(2)),
        ((placed(), reserved()), "payment:do", charge(2)),
    ),
)
def test_a_passing_failure_is_asked_for_again_after_a_pause(
    history: tuple[Said, ...], effect: str, again: SendCommand
) -> None:
    """The pause lies between half and all of what the step's author wrote, and nothing is sent in it."""
    failing = given(ORDER, *history).when(failed(effect))
    paused = failing.then(events=["saga.step.failed"], state=Running, leg=Pausing)
    assert 100 <= (paused.due or 0) - failing.at <= 200
    paused.when(WAITED).then(commands=[again], events=["saga.step.requested"], state=Running)


def test_pauses_double_with_each_failure() -> None:
    """Every pause doubles the one before, give or take half of it."""
    story = given(ORDER, placed())
    for attempt, whole in enumerate((200, 400, 800, 1_600), start=1):
        failing = story.when(failed("reservation:do", attempt))
        assert whole // 2 <= (failing.after.due or 0) - failing.at <= whole
        story = failing.after.lived(WAITED)


def test_a_failing_step_can_still_succeed() -> None:
    """Failures leave no trace in what comes after."""
    story = given(ORDER, placed())
    for attempt in range(1, 5):
        story = story.lived(failed("reservation:do", attempt)).lived(WAITED)
    story.when(reserved(5)).then(commands=[charge()]).when(charged()).then(outcome=order_completed())


LAST_TRIES = (
    ("reservation asked for again after a pause", "reservation:do", release()),
    ("reservation asked for again after a time-out", "reservation:do", release()),
    ("payment asked for again", "payment:do", refund()),
)


@pytest.mark.parametrize(("place", "effect", "undo"), LAST_TRIES)
def test_the_last_failure_gives_the_step_up(place: str, effect: str, undo: SendCommand) -> None:
    """A step that failed may have happened nevertheless: it is undone first of all."""
    events = ["saga.step.failed", "saga.compensation.requested"]
    at(place).when(failed(effect, 2)).then(commands=[undo], events=events, state=Compensating)


@pytest.mark.parametrize(("place", "effect", "undo"), LAST_TRIES)
def test_the_last_time_out_gives_the_step_up(place: str, effect: str, undo: SendCommand) -> None:
    """A step that did not answer may have happened nevertheless: it is undone first of all."""
    assert effect.endswith(":do")
    events = ["saga.step.timed_out", "saga.compensation.requested"]
    at(place).when(WAITED).then(commands=[undo], events=events, state=Compensating)


@pytest.mark.parametrize(
    ("place", "effect", "undo"),
    (
        ("reservation asked for", "reservation:do", release()),
        ("reservation paused", "reservation:do", release()),
        ("reservation asked for again after a time-out", "reservation:do", release()),
        ("payment asked for", "payment:do", refund()),
        ("payment paused", "payment:do", refund()),
        ("payment asked for again", "payment:do", refund()),
    ),
)
def test_a_failure_for_good_gives_the_step_up_at_once(place: str, effect: str, undo: SendCommand) -> None:
    """It makes no sense to ask again, whichever attempt the participant answers, and even in a pause."""
    events = ["saga.step.failed", "saga.compensation.requested"]
    at(place).when(failed(effect, 1, for_good=True)).then(commands=[undo], events=events, state=Compensating)


@pytest.mark.parametrize(("place", "again"), (("reservation asked for", reserve(2)), ("payment asked for", charge(2))))
def test_silence_is_asked_again_at_once(place: str, again: SendCommand) -> None:
    """A time-out was pause enough."""
    at(place).when(WAITED).then(commands=[again], events=["saga.step.timed_out", "saga.step.requested"], state=Running)


def test_an_answer_is_awaited_for_thirty_seconds() -> None:
    """The time-out of each attempt counts from when it is asked for."""
    asking = given(ORDER).when(placed(), at=5)
    assert asking.after.due == 30_005
    assert asking.after.when(WAITED, at=31_000).after.due == 61_000


def test_a_step_asked_for_once_is_given_up_with_its_first_trouble() -> None:
    """Where the author wants no second attempt, there is none."""
    given(HASTY, placed()).when(failed("reservation:do")).then(commands=[release()], state=Compensating)
    given(HASTY, placed()).when(WAITED).then(commands=[release()], state=Compensating)


@pytest.mark.parametrize(
    ("trouble", "why"),
    (
        ((failed("reservation:do"), WAITED, failed("reservation:do", 2, reason="disk full")), "disk full"),
        ((failed("reservation:do"), WAITED, WAITED), "timed out"),
        ((failed("reservation:do", for_good=True, reason="no such product"),), "no such product"),
    ),
)
def test_the_shop_learns_the_last_trouble_of_a_step_given_up(trouble: tuple[Said, ...], why: str) -> None:
    """The reason in the outcome is that of the failure which gave the step up."""
    story = given(BRIEF, placed(), *trouble)
    story.when(released()).then(outcome=order_rejected(why, "reservation"), state=RolledBack)
