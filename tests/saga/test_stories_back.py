"""Stories of orders going back: what is undone, in which order, and what happens when undoing is in trouble."""

import pytest

from app.saga.effects import SendCommand
from app.saga.state import Compensating, Pausing, RolledBack, State, Stuck
from tests.saga.given import WAITED, Said, given
from tests.saga.places import at
from tests.saga.words import (
    BRIEF,
    HASTY,
    cancel,
    compensate,
    declined,
    failed,
    order_cancelled,
    order_rejected,
    order_stuck,
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


def test_going_back_undoes_the_newest_step_first() -> None:
    """The reservation is released only when the refund is certain, and the shop hears only when all is undone."""
    (
        given(BRIEF, placed(), reserved(), WAITED)
        .when(WAITED)
        .then(commands=[refund()], state=Compensating)
        .when(refunded())
        .then(
            commands=[release(known="r-1")],
            events=["saga.compensation.succeeded", "saga.compensation.requested"],
            state=Compensating,
        )
        .when(released())
        .then(
            outcome=order_rejected("timed out", "payment"),
            events=["saga.compensation.succeeded", "saga.rolled_back"],
            state=RolledBack,
        )
    )


def test_a_refused_payment_is_not_refunded() -> None:
    """A refusal says that nothing was done."""
    story = given(ORDER, placed(), reserved()).when(declined()).then(commands=[release(known="r-1")])
    story.when(released()).then(outcome=order_rejected("no funds", "payment"), state=RolledBack)


@pytest.mark.parametrize(
    ("history", "undo"),
    (
        ((placed(), cancel()), release()),
        ((placed(), failed("reservation:do", for_good=True)), release()),
        ((placed(), reserved(), declined()), release(known="r-1")),
        ((placed(), reserved(result="r-7"), cancel()), refund()),
        ((placed(), reserved(result="r-7"), cancel(), refunded()), release(known="r-7")),
    ),
)
def test_an_undo_names_the_result_only_when_it_is_known(history: tuple[Said, ...], undo: SendCommand) -> None:
    """A step that never answered has no id to be undone by: its participant finds it by the idempotency key."""
    *before, last = history
    given(ORDER, *before).when(last).then(commands=[undo], state=Compensating)


@pytest.mark.parametrize(
    ("place", "effect", "again"),
    (
        ("refund asked for, never charged", "payment:undo", refund(2)),
        ("release asked for after a refusal", "reservation:undo", release(2, known="r-1")),
        ("release asked for, never reserved", "reservation:undo", release(2)),
    ),
)
def test_a_passing_failure_to_undo_is_asked_for_again_after_a_pause(
    place: str, effect: str, again: SendCommand
) -> None:
    """The second attempt is the same but for its number."""
    (
        at(place)
        .when(failed(effect))
        .then(events=["saga.compensation.failed"], state=Compensating, leg=Pausing)
        .when(WAITED)
        .then(commands=[again], events=["saga.compensation.requested"], state=Compensating)
    )


def test_pauses_between_undos_double_up_to_the_longest() -> None:
    """Undoing is tried twelve times over some minutes before a person is asked."""
    story = given(ORDER, placed(), cancel())
    for attempt in range(1, 12):
        whole = min(500 * 2 ** (attempt - 1), 60_000)
        failing = story.when(failed("reservation:undo", attempt))
        assert whole // 2 <= (failing.after.due or 0) - failing.at <= whole
        story = failing.after.lived(WAITED)
    last = story.when(failed("reservation:undo", 12))
    last.then(outcome=order_stuck("database down", "reservation"), state=Compensating, leg=Stuck)


@pytest.mark.parametrize(
    ("place", "again"),
    (
        ("refund asked for, never charged", refund(2)),
        ("release asked for after a refund", release(2, known="r-1")),
        ("release asked for, never reserved", release(2)),
    ),
)
def test_a_silent_undo_is_asked_for_again_at_once(place: str, again: SendCommand) -> None:
    """A time-out was pause enough."""
    events = ["saga.compensation.timed_out", "saga.compensation.requested"]
    at(place).when(WAITED).then(commands=[again], events=events, state=Compensating)


UNDOING_TWICE = (
    ("refund asked for again", "payment"),
    ("release asked for again", "reservation"),
)


@pytest.mark.parametrize(("place", "step"), UNDOING_TWICE)
def test_the_last_failure_to_undo_leaves_the_saga_stuck(place: str, step: str) -> None:
    """The shop learns which step can't be undone and why; nothing else is sent, and no time is awaited."""
    telling = at(place).when(failed(f"{step}:undo", 2, reason="disk full"))
    events = ["saga.compensation.failed", "saga.stuck"]
    story = telling.then(outcome=order_stuck("disk full", step), events=events, state=Compensating, leg=Stuck)
    assert story.due is None


@pytest.mark.parametrize(("place", "step"), UNDOING_TWICE)
def test_the_last_time_out_of_an_undo_leaves_the_saga_stuck(place: str, step: str) -> None:
    """Silence is as good a reason as a failure."""
    events = ["saga.compensation.timed_out", "saga.stuck"]
    at(place).when(WAITED).then(outcome=order_stuck("timed out", step), events=events, state=Compensating, leg=Stuck)


@pytest.mark.parametrize(
    ("place", "step"),
    (
        ("refund asked for, never charged", "payment"),
        ("refund paused", "payment"),
        ("refund asked for again", "payment"),
        ("release asked for, never reserved", "reservation"),
        ("release paused", "reservation"),
        ("release asked for again", "reservation"),
    ),
)
def test_a_failure_to_undo_for_good_leaves_the_saga_stuck_at_once(place: str, step: str) -> None:
    """It makes no sense to ask again, whichever attempt the participant answers, and even in a pause."""
    telling = at(place).when(failed(f"{step}:undo", 1, for_good=True))
    events = ["saga.compensation.failed", "saga.stuck"]
    telling.then(outcome=order_stuck("database down", step), events=events, state=Compensating, leg=Stuck)


@pytest.mark.parametrize(
    ("place", "commands", "state"),
    (
        ("refund asked for again", [release(known="r-1")], Compensating),
        ("refund paused", [release(known="r-1")], Compensating),
        ("stuck in the refund", [release(known="r-1")], Compensating),
        ("refund retried by an operator", [release(known="r-1")], Compensating),
        ("release asked for again", [], RolledBack),
        ("release paused", [], RolledBack),
        ("stuck in the release", [], RolledBack),
    ),
)
def test_a_late_undo_counts(place: str, commands: list[SendCommand], state: type[State]) -> None:
    """An undo is done whichever attempt its answer names, in a pause and even when the saga was taken for stuck."""
    reply = refunded(1) if "refund" in place else released(1)
    events = ["saga.compensation.succeeded", "saga.compensation.requested" if commands else "saga.rolled_back"]
    outcome = None if commands else order_rejected("no funds", "payment")
    at(place).when(reply).then(commands=commands, outcome=outcome, events=events, state=state)


@pytest.mark.parametrize("place", ("stuck in the refund", "stuck in the release"))
def test_a_late_failure_of_a_stuck_undo_changes_nothing(place: str) -> None:
    """That it can't be undone is known already."""
    step = at(place).leg.step
    at(place).when(failed(f"{step}:undo", 1, for_good=True)).then_ignored()
    at(place).when(failed(f"{step}:undo", 1)).then_ignored()


@pytest.mark.parametrize(
    ("place", "again"),
    (("stuck in the refund", refund(2)), ("stuck in the release", release(3, known="r-1"))),
)
def test_a_retried_undo_has_fresh_attempts(place: str, again: SendCommand) -> None:
    """Attempts are numbered on, so that no id comes twice, but counted anew."""
    first = again.id.rpartition(":")[2]
    story = at(place).when(retry()).then(commands=[again], state=Compensating)
    assert str(story.leg.attempt) == first
    story = story.lived(WAITED)
    assert story.leg.attempt == int(first) + 1
    story.when(WAITED).then(outcome=order_stuck("timed out", story.leg.step), state=Compensating, leg=Stuck)


def test_pauses_start_small_again_after_a_retry() -> None:
    """The pause after a failure is that of the first failure since the operator's retry."""
    story = given(ORDER, placed(), cancel(), *[WAITED] * 12, retry())
    failing = story.when(failed("reservation:undo", 13))
    assert 250 <= (failing.after.due or 0) - failing.at <= 500


def test_a_retry_that_works_ends_the_saga() -> None:
    """After an operator's retry the saga goes back as if it never had been stuck."""
    (
        at("stuck in the refund")
        .when(retry())
        .then(commands=[refund(2)])
        .when(refunded(2))
        .then(commands=[release(known="r-1")])
        .when(released())
        .then(outcome=order_cancelled(), state=RolledBack)
    )


def test_a_skipped_undo_is_taken_as_done() -> None:
    """Going back continues with the step before, and ends as if the undo had been answered."""
    (
        at("stuck in the refund")
        .when(skip())
        .then(
            commands=[release(known="r-1")],
            events=["saga.operated", "saga.compensation.requested"],
            state=Compensating,
        )
        .when(released())
        .then(outcome=order_cancelled(), state=RolledBack)
    )


def test_skipping_the_last_undo_ends_the_saga() -> None:
    """With nothing left to undo, the shop hears at once."""
    telling = at("stuck in the release").when(skip())
    events = ["saga.operated", "saga.rolled_back"]
    telling.then(outcome=order_rejected("no funds", "payment"), events=events, state=RolledBack)


def test_a_saga_can_be_stuck_twice() -> None:
    """Each step that can't be undone needs a person of its own, and the shop hears of each."""
    (
        at("stuck in the refund")
        .when(skip())
        .then(commands=[release(known="r-1")])
        .when(failed("reservation:undo", for_good=True))
        .then(outcome=order_stuck("database down", "reservation"), state=Compensating, leg=Stuck)
        .when(skip())
        .then(outcome=order_cancelled(), state=RolledBack)
    )


def test_an_undo_asked_for_once_is_stuck_with_its_first_trouble() -> None:
    """Where the author wants no second attempt, there is none, not after a retry either."""
    story = given(HASTY, placed(), compensate()).when(WAITED)
    stuck = story.then(outcome=order_stuck("timed out", "reservation"), state=Compensating, leg=Stuck)
    retried = stuck.when(retry()).then(commands=[release(2)]).when(failed("reservation:undo", 2))
    retried.then(outcome=order_stuck("database down", "reservation"), state=Compensating, leg=Stuck)


def test_why_a_saga_went_back_survives_its_troubles() -> None:
    """The outcome at the end gives the first reason, not that of an undo that failed on the way."""
    story = given(BRIEF, placed(), reserved(), declined(reason="card expired"))
    story = story.lived(failed("reservation:undo")).lived(WAITED).lived(WAITED).lived(retry())
    story.when(released(3)).then(outcome=order_rejected("card expired", "payment"), state=RolledBack)


def test_going_back_asks_for_undos_alone() -> None:
    """A saga whose participants stay silent asks the one undo again and again, and goes forward no more."""
    story = given(BRIEF, placed(), reserved(), cancel())
    telling = story.when(WAITED)
    telling.then(commands=[refund(2)], state=Compensating).when(WAITED).then(
        outcome=order_stuck("timed out", "payment"), state=Compensating, leg=Stuck
    )
