"""Stories of orders that roll back: which steps are undone, in which order, and what happens when an undo fails."""

import pytest

from app.saga.outputs import SendCommand
from app.saga.state import BackingOff, Compensating, RolledBack, State, Stuck
from tests.saga.order_messages import (
    ONE_ATTEMPT,
    TWO_ATTEMPTS,
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
from tests.saga.situations import at
from tests.saga.story import NEXT_TIMER, StoryInput, given
from topologies.order import ORDER


def test_going_back_undoes_the_newest_step_first() -> None:
    """The reservation is released once the refund is confirmed; the outcome follows once both are undone."""
    (
        given(TWO_ATTEMPTS, placed(), reserved(), NEXT_TIMER)
        .when(NEXT_TIMER)
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
    """After a refusal there is nothing to undo."""
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
def test_an_undo_names_the_result_only_when_it_is_known(history: tuple[StoryInput, ...], undo: SendCommand) -> None:
    """Without a reply there is no result to name: the participant finds the step by the idempotency key."""
    *before, last = history
    given(ORDER, *before).when(last).then(commands=[undo], state=Compensating)


@pytest.mark.parametrize(
    ("situation", "action", "again"),
    (
        ("refund in flight, charge never confirmed", "payment:undo", refund(2)),
        ("release in flight after a refusal", "reservation:undo", release(2, known="r-1")),
        ("release in flight, reservation never confirmed", "reservation:undo", release(2)),
    ),
)
def test_a_retryable_failure_of_an_undo_is_sent_again_after_a_backoff(
    situation: str, action: str, again: SendCommand
) -> None:
    """The second attempt differs from the first by its number alone."""
    (
        at(situation)
        .when(failed(action))
        .then(events=["saga.compensation.failed"], state=Compensating, active=BackingOff)
        .when(NEXT_TIMER)
        .then(commands=[again], events=["saga.compensation.requested"], state=Compensating)
    )


def test_backoffs_between_undos_double_up_to_the_longest() -> None:
    """An undo has twelve attempts over some minutes before it is stuck."""
    story = given(ORDER, placed(), cancel())
    for attempt in range(1, 12):
        longest = min(500 * 2 ** (attempt - 1), 60_000)
        failing = story.when(failed("reservation:undo", attempt))
        assert longest // 2 <= (failing.after.due or 0) - failing.at <= longest
        story = failing.after.moved_by(NEXT_TIMER)
    last = story.when(failed("reservation:undo", 12))
    last.then(outcome=order_stuck("database down", "reservation"), state=Compensating, active=Stuck)


@pytest.mark.parametrize(
    ("situation", "again"),
    (
        ("refund in flight, charge never confirmed", refund(2)),
        ("release in flight after a refund", release(2, known="r-1")),
        ("release in flight, reservation never confirmed", release(2)),
    ),
)
def test_an_undo_that_timed_out_is_sent_again_at_once(situation: str, again: SendCommand) -> None:
    """There is no backoff after a time-out."""
    events = ["saga.compensation.timed_out", "saga.compensation.requested"]
    at(situation).when(NEXT_TIMER).then(commands=[again], events=events, state=Compensating)


UNDOING_TWICE = (
    ("refund in flight again", "payment"),
    ("release in flight again", "reservation"),
)


@pytest.mark.parametrize(("situation", "step"), UNDOING_TWICE)
def test_the_last_failure_to_undo_leaves_the_saga_stuck(situation: str, step: str) -> None:
    """The outcome names the step and the reason. Nothing else is sent, and there is no timer."""
    reaction = at(situation).when(failed(f"{step}:undo", 2, reason="disk full"))
    events = ["saga.compensation.failed", "saga.stuck"]
    story = reaction.then(outcome=order_stuck("disk full", step), events=events, state=Compensating, active=Stuck)
    assert story.due is None


@pytest.mark.parametrize(("situation", "step"), UNDOING_TWICE)
def test_the_last_time_out_of_an_undo_leaves_the_saga_stuck(situation: str, step: str) -> None:
    """The same as after the last failure."""
    events = ["saga.compensation.timed_out", "saga.stuck"]
    at(situation).when(NEXT_TIMER).then(
        outcome=order_stuck("timed out", step), events=events, state=Compensating, active=Stuck
    )


@pytest.mark.parametrize(
    ("situation", "step"),
    (
        ("refund in flight, charge never confirmed", "payment"),
        ("refund backing off", "payment"),
        ("refund in flight again", "payment"),
        ("release in flight, reservation never confirmed", "reservation"),
        ("release backing off", "reservation"),
        ("release in flight again", "reservation"),
    ),
)
def test_a_failure_to_undo_for_good_leaves_the_saga_stuck_at_once(situation: str, step: str) -> None:
    """Another attempt makes no sense, whichever attempt failed, and even during a backoff."""
    reaction = at(situation).when(failed(f"{step}:undo", 1, for_good=True))
    events = ["saga.compensation.failed", "saga.stuck"]
    reaction.then(outcome=order_stuck("database down", step), events=events, state=Compensating, active=Stuck)


@pytest.mark.parametrize(
    ("situation", "commands", "state"),
    (
        ("refund in flight again", [release(known="r-1")], Compensating),
        ("refund backing off", [release(known="r-1")], Compensating),
        ("stuck in the refund", [release(known="r-1")], Compensating),
        ("refund retried by an operator", [release(known="r-1")], Compensating),
        ("release in flight again", [], RolledBack),
        ("release backing off", [], RolledBack),
        ("stuck in the release", [], RolledBack),
    ),
)
def test_a_late_undo_counts(situation: str, commands: list[SendCommand], state: type[State]) -> None:
    """A reply to any attempt completes the undo, also during a backoff and when the step is stuck."""
    reply = refunded(1) if "refund" in situation else released(1)
    events = ["saga.compensation.succeeded", "saga.compensation.requested" if commands else "saga.rolled_back"]
    outcome = None if commands else order_rejected("no funds", "payment")
    at(situation).when(reply).then(commands=commands, outcome=outcome, events=events, state=state)


@pytest.mark.parametrize("situation", ("stuck in the refund", "stuck in the release"))
def test_a_late_failure_of_a_stuck_undo_changes_nothing(situation: str) -> None:
    """The step is stuck already."""
    step = at(situation).active.step
    at(situation).when(failed(f"{step}:undo", 1, for_good=True)).then_ignored()
    at(situation).when(failed(f"{step}:undo", 1)).then_ignored()


@pytest.mark.parametrize(
    ("situation", "again"),
    (("stuck in the refund", refund(2)), ("stuck in the release", release(3, known="r-1"))),
)
def test_a_retried_undo_has_fresh_attempts(situation: str, again: SendCommand) -> None:
    """Attempts are numbered on, so that no id occurs twice, but they count anew."""
    first = again.id.rpartition(":")[2]
    story = at(situation).when(retry()).then(commands=[again], state=Compensating)
    assert str(story.active.attempt) == first
    story = story.moved_by(NEXT_TIMER)
    assert story.active.attempt == int(first) + 1
    story.when(NEXT_TIMER).then(outcome=order_stuck("timed out", story.active.step), state=Compensating, active=Stuck)


def test_backoffs_start_small_again_after_a_retry() -> None:
    """The backoff after a failure is that of the first failure since the operator's retry."""
    story = given(ORDER, placed(), cancel(), *[NEXT_TIMER] * 12, retry())
    failing = story.when(failed("reservation:undo", 13))
    assert 250 <= (failing.after.due or 0) - failing.at <= 500


def test_a_retry_that_works_ends_the_saga() -> None:
    """After an operator's retry the saga rolls back as if it had never been stuck."""
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
    """The saga goes on with the step before, and ends as if the undo had been confirmed."""
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
    """There is nothing left to undo, so the outcome follows at once."""
    reaction = at("stuck in the release").when(skip())
    events = ["saga.operated", "saga.rolled_back"]
    reaction.then(outcome=order_rejected("no funds", "payment"), events=events, state=RolledBack)


def test_a_saga_can_be_stuck_twice() -> None:
    """Each step that can't be undone needs an operator, and has an outcome of its own."""
    (
        at("stuck in the refund")
        .when(skip())
        .then(commands=[release(known="r-1")])
        .when(failed("reservation:undo", for_good=True))
        .then(outcome=order_stuck("database down", "reservation"), state=Compensating, active=Stuck)
        .when(skip())
        .then(outcome=order_cancelled(), state=RolledBack)
    )


def test_an_undo_with_one_attempt_is_stuck_after_its_first_failure() -> None:
    """If the author allows one attempt, there is one, and one more after a retry."""
    story = given(ONE_ATTEMPT, placed(), compensate()).when(NEXT_TIMER)
    stuck = story.then(outcome=order_stuck("timed out", "reservation"), state=Compensating, active=Stuck)
    retried = stuck.when(retry()).then(commands=[release(2)]).when(failed("reservation:undo", 2))
    retried.then(outcome=order_stuck("database down", "reservation"), state=Compensating, active=Stuck)


def test_the_reason_of_a_rollback_survives_failed_undos() -> None:
    """The last outcome has the first reason, not that of an undo that failed on the way."""
    story = given(TWO_ATTEMPTS, placed(), reserved(), declined(reason="card expired"))
    story = story.moved_by(failed("reservation:undo")).moved_by(NEXT_TIMER).moved_by(NEXT_TIMER).moved_by(retry())
    story.when(released(3)).then(outcome=order_rejected("card expired", "payment"), state=RolledBack)


def test_a_saga_that_rolls_back_sends_undos_alone() -> None:
    """If its participants never answer, the saga sends the one undo again and again, and never goes forward."""
    story = given(TWO_ATTEMPTS, placed(), reserved(), cancel())
    reaction = story.when(NEXT_TIMER)
    reaction.then(commands=[refund(2)], state=Compensating).when(NEXT_TIMER).then(
        outcome=order_stuck("timed out", "payment"), state=Compensating, active=Stuck
    )
