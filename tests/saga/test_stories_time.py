"""Stories of time: the time-out of each attempt, the backoff between attempts, and the deadline of the order."""

from dataclasses import replace

import pytest

from app.saga.definition import DAY_MS, Command, Retry, Saga, with_policy
from app.saga.messages import TimerDue
from app.saga.outputs import SendCommand
from app.saga.state import BackingOff, Compensating, Completed, InFlight, Queued, RolledBack, Running, Stuck
from tests.saga.order_messages import (
    cancel,
    capacity_for,
    charge,
    charged,
    failed,
    order_cancelled,
    order_completed,
    order_rejected,
    order_stuck,
    placed,
    refund,
    refunded,
    release,
    released,
    reserve,
    reserved,
    retry,
    skip,
)
from tests.saga.situations import at, situations
from tests.saga.story import NEXT_TIMER, NOON, SECOND, AtCapacity, ExpectedEvent, StoryInput, given, no_capacity_for
from topologies.order import ORDER, PAYMENT, RESERVATION

TOO_LATE = "the order's deadline has passed"
SHORT_DEADLINE = with_policy(ORDER, deadline_ms=10 * SECOND)
"""The order's deadline comes before the time-out of its first attempt."""
SHORT_TIMEOUT = with_policy(ORDER, timeout_ms=4 * SECOND, deadline_ms=10 * SECOND)
REFUNDS = [refund(attempt) for attempt in range(1, 13)]
PARALLEL = Saga("order", 1, (RESERVATION, replace(PAYMENT, after=())), deadline_ms=10 * SECOND)


def _too_late(step: str, attempt: int) -> ExpectedEvent:
    because = {"reason": TOO_LATE, "step": step, "requested": False}
    return {"type": "saga.step.timed_out", "step": step, "attempt": attempt, "because": because}


# the deadline of the order


def test_an_order_has_a_day() -> None:
    """The deadline counts from the start, is part of the started event, and stays the same as steps are done."""
    reaction = given(ORDER).when(placed(), at=5)
    assert reaction.events[0].get("deadline_ms") == 5 + DAY_MS
    story = reaction.after
    assert story.state.deadline_ms == 5 + DAY_MS
    assert story.moved_by(reserved()).state.deadline_ms == 5 + DAY_MS


def test_a_deadline_before_any_step_was_requested_ends_the_order() -> None:
    """There is nothing to undo: the outcome follows at once."""
    reaction = given(SHORT_DEADLINE, AtCapacity(placed())).when(NEXT_TIMER)
    events: list[ExpectedEvent] = [_too_late("reservation", 0), "saga.rolled_back"]
    reaction.then(outcome=order_rejected(TOO_LATE, "reservation"), events=events, state=RolledBack)


@pytest.mark.parametrize(
    ("history", "late", "undo"),
    (
        ((placed(),), _too_late("reservation", 1), release()),
        ((placed(), reserved()), _too_late("payment", 1), refund()),
        ((placed(), AtCapacity(failed("reservation:do"))), _too_late("reservation", 1), release()),
        ((placed(), AtCapacity(reserved())), _too_late("payment", 0), release(known="r-1")),
    ),
    ids=("in flight", "in the second step", "queued again", "queued"),
)
def test_at_its_deadline_an_order_rolls_back(
    history: tuple[StoryInput, ...], late: ExpectedEvent, undo: SendCommand
) -> None:
    """A step that was requested may have happened, and is undone first; a step that was never requested is not."""
    events = [late, "saga.compensation.requested"]
    given(SHORT_DEADLINE, *history).when(NEXT_TIMER).then(
        commands=[undo], events=events, state=Compensating, active=InFlight
    )


def test_a_deadline_does_not_wait_for_the_end_of_a_backoff() -> None:
    """A step that failed with a retryable failure may have happened, and is undone."""
    backing_off = (
        given(SHORT_DEADLINE, placed())
        .when(failed("reservation:do"), at=NOON + 9_950)
        .then(state=Running, active=BackingOff)
    )
    assert backing_off.due == NOON + 10 * SECOND < backing_off.active.due_ms
    events: list[ExpectedEvent] = [_too_late("reservation", 1), "saga.compensation.requested"]
    backing_off.when(NEXT_TIMER).then(commands=[release()], events=events, state=Compensating)


def test_a_deadline_undoes_a_step_that_timed_out_and_is_queued() -> None:
    """It was requested once, and is not requested again."""
    queued = (
        given(SHORT_TIMEOUT, placed()).when(AtCapacity(NEXT_TIMER)).then(events=["saga.step.timed_out"], active=Queued)
    )
    assert queued.due == NOON + 10 * SECOND
    queued.when(NEXT_TIMER).then(
        commands=[release()], events=[_too_late("reservation", 1), "saga.compensation.requested"]
    )


def test_the_shop_learns_that_it_took_too_long() -> None:
    """The order is rejected, with the step that it had reached, once everything is undone."""
    story = (
        given(SHORT_DEADLINE, placed(), reserved(), NEXT_TIMER).when(refunded()).then(commands=[release(known="r-1")])
    )
    story.when(released()).then(outcome=order_rejected(TOO_LATE, "payment"), state=RolledBack)


def test_an_undo_at_the_deadline_is_queued_like_any_other() -> None:
    """The saga is rolling back, and sends the undo when it is admitted."""
    late = given(SHORT_DEADLINE, placed()).when(AtCapacity(NEXT_TIMER))
    queued = late.then(events=[_too_late("reservation", 1)], state=Compensating, active=Queued)
    queued.when(capacity_for("reservation")).then(commands=[release()], active=InFlight)


@pytest.mark.parametrize("situation", situations(Compensating, Completed, RolledBack))
def test_the_deadline_of_an_order_that_rolls_back_or_has_ended_has_no_effect(situation: str) -> None:
    """The state no longer has it, and its timer changes nothing; compensation takes the time that it takes."""
    story = at(situation)
    assert not hasattr(story.state, "deadline_ms")
    story.when(TimerDue(story.state.data.started_ms + DAY_MS)).then_no_change()


def test_an_order_that_rolls_back_before_its_deadline_keeps_its_reason() -> None:
    """A cancel in time stays a cancel, however long the compensation takes."""
    story = given(SHORT_DEADLINE, placed(), cancel()).when(TimerDue(NOON + 10 * SECOND)).then_no_change()
    story.when(released(), at=NOON + DAY_MS).then(outcome=order_cancelled(), state=RolledBack)


@pytest.mark.parametrize("early", (1, SECOND, DAY_MS))
def test_a_deadline_is_exact_to_the_millisecond(early: int) -> None:
    """A timer with any other time changes nothing, and a reply in the last moment counts."""
    story = given(SHORT_DEADLINE, placed(), reserved()).when(TimerDue(NOON + 10 * SECOND - early)).then_no_change()
    story.when(charged(), at=NOON + 10 * SECOND).then(outcome=order_completed(), state=Completed)


def test_the_time_out_of_an_attempt_comes_before_a_later_deadline() -> None:
    """Attempts time out one by one until the deadline is the next timer, which ends them all."""
    story, dues = given(SHORT_TIMEOUT, placed()), []
    for attempt in (2, 3):
        dues.append(story.due)
        story = story.when(NEXT_TIMER).then(commands=[reserve(attempt)], active=InFlight)
    assert [*dues, story.due] == [NOON + 4 * SECOND, NOON + 8 * SECOND, NOON + 10 * SECOND]
    story.when(NEXT_TIMER).then(
        commands=[release()], events=[_too_late("reservation", 3), "saga.compensation.requested"]
    )


def test_a_deadline_that_comes_with_a_time_out_wins() -> None:
    """If both are due in the same millisecond, the deadline counts: nothing is requested again."""
    story = given(with_policy(ORDER, timeout_ms=10 * SECOND, deadline_ms=10 * SECOND), placed())
    assert story.due == story.active.due_ms == story.state.deadline_ms
    story.when(NEXT_TIMER).then(
        commands=[release()], events=[_too_late("reservation", 1), "saga.compensation.requested"]
    )


def test_a_deadline_that_passed_during_downtime_counts_once() -> None:
    """After days of downtime the earlier time-out comes first, then the deadline, and the saga rolls back."""
    story = given(ORDER, placed()).when(NEXT_TIMER, at=NOON + 3 * DAY_MS).then(commands=[reserve(2)])
    deadline = TimerDue(story.due or 0)
    assert deadline.due_ms == NOON + DAY_MS
    back = story.when(deadline).then(commands=[release()], state=Compensating)
    back.when(deadline).then_no_change()


def test_an_order_may_be_without_a_deadline() -> None:
    """Then only its attempts have timers, and a queued step has none at all."""
    without_deadline = replace(ORDER, deadline_ms=None)
    reaction = given(without_deadline).when(AtCapacity(placed()))
    assert "deadline_ms" not in reaction.events[0]
    story = reaction.then(state=Running, active=Queued)
    assert story.due is None
    assert story.moved_by(capacity_for("reservation")).due == story.at + 30 * SECOND


def test_a_deadline_ends_all_parallel_steps() -> None:
    """Each requested step times out, the last one starts the rollback, and all of them are undone."""
    story = given(PARALLEL).when(placed()).then(commands=[reserve(), charge()])
    because = {"reason": TOO_LATE, "step": "payment", "requested": False}
    timed_out = {"type": "saga.step.timed_out", "attempt": 1}
    events = [{**timed_out, "step": "reservation"}, {**timed_out, "step": "payment", "because": because}]
    late = story.when(NEXT_TIMER)
    assert late.events[:2] == events
    late.then(commands=[release(), refund()], state=Compensating)


def test_a_deadline_times_out_only_the_parallel_step_that_was_requested() -> None:
    """Next to a queued step: only the requested one times out and is undone."""
    story = given(PARALLEL).when(placed(), try_acquire=no_capacity_for("payment")).then(commands=[reserve()])
    late = story.when(NEXT_TIMER)
    late.then(commands=[release()], events=[_too_late("reservation", 1), "saga.compensation.requested"])


# the time-out of an attempt


@pytest.mark.parametrize("situation", situations(Running, Compensating, active_steps=(InFlight,)))
def test_each_attempt_is_given_its_whole_time(situation: str) -> None:
    """A reply is awaited for thirty seconds from the time at which this attempt was sent."""
    active = at(situation).active
    assert active.due_ms == active.requested_ms + 30 * SECOND
    again = at(situation).when(NEXT_TIMER, at=NOON + DAY_MS // 2).after
    if again.state != at(situation).state and type(again.active) is InFlight:
        assert again.active.due_ms == again.active.requested_ms + 30 * SECOND == NOON + DAY_MS // 2 + 30 * SECOND


def test_the_time_out_of_an_attempt_counts_from_its_admission() -> None:
    """The time in the queue takes nothing off the participant's time."""
    story = given(ORDER, AtCapacity(placed())).when(capacity_for("reservation"), at=NOON + 3_600 * SECOND).after
    assert story.due == NOON + 3_630 * SECOND


def test_every_attempt_has_the_same_idempotency_key() -> None:
    """After a time-out, a backoff and a time in the queue: new ids, one key."""
    story = given(ORDER, placed(), NEXT_TIMER, failed("reservation:do", 2), NEXT_TIMER, AtCapacity(NEXT_TIMER))
    story = story.moved_by(capacity_for("reservation"))
    sent = story.commands
    assert sent == [reserve(attempt) for attempt in (1, 2, 3, 4)]
    assert {command.idempotency_key for command in sent} == {"o-1:reservation:do"}
    assert len({command.id for command in sent}) == len(sent)


def test_two_time_outs_at_once_are_two_decisions() -> None:
    """Each has its own cause and its own outcome, and the timer comes twice; one retry acts on both steps at once."""
    story = given(with_policy(PARALLEL, attempts=1), placed(), cancel())
    assert [active.due_ms for active in story.state.active_steps] == [story.due] * 2
    first = story.when(NEXT_TIMER).then(outcome=order_stuck("timed out", "reservation"), state=Compensating)
    assert first.due == story.due
    second = first.when(NEXT_TIMER).then(outcome=order_stuck("timed out", "payment"), state=Compensating)
    assert [type(active) for active in second.state.active_steps] == [Stuck, Stuck]
    assert second.due is None
    retried = second.when(retry())
    assert retried.events[0].get("steps") == ["reservation", "payment"]
    retried.then(commands=[release(2), refund(2)], state=Compensating)
    skipped = second.when(skip(step="payment")).then(events=["saga.operated"], state=Compensating)
    events: list[ExpectedEvent] = ["saga.operated", "saga.rolled_back"]
    skipped.when(skip(step="reservation")).then(outcome=order_cancelled(), events=events, state=RolledBack)


# the backoff between attempts


def test_the_backoff_follows_from_the_command() -> None:
    """The backoff doesn't depend on the time, so that a second run of the log gives the same bytes."""
    backoffs = []
    for noon in (NOON, NOON + DAY_MS):
        reaction = given(ORDER, placed()).when(failed("reservation:do"), at=noon)
        backoffs.append(reaction.after.active.due_ms - noon)
    assert backoffs == [ORDER.steps[0].do.retry.pause_ms(1, "o-1:reservation:do:1")] * 2


def test_orders_that_fail_together_do_not_come_back_together() -> None:
    """Half of the backoff is jitter: a participant that was down doesn't get all commands in one moment."""
    retry = Retry(first_pause_ms=1_000)
    backoffs = [retry.pause_ms(1, f"o-{order}:payment:do:1") for order in range(1_000)]
    assert min(backoffs) >= 500
    assert max(backoffs) <= 1_000
    assert all(sum(low <= pause < low + 100 for pause in backoffs) > 50 for low in range(500, 1_000, 100))


def test_the_backoff_doubles_up_to_the_longest() -> None:
    """However many failures there were."""
    retry = Retry(first_pause_ms=100, longest_pause_ms=1_000)
    for failures, longest in enumerate((100, 200, 400, 800, 1_000, 1_000), start=1):
        assert longest // 2 <= retry.pause_ms(failures, "o-1:payment:do:1") <= longest
    assert 500 <= retry.pause_ms(10**9, "o-1:payment:do:1") <= 1_000


def test_undoing_is_more_patient_than_doing() -> None:
    """A step that is given up can be undone. An undo that is given up needs an operator, so it has more attempts."""
    for step in ORDER.steps:
        assert step.undo is not None
        assert _patience_ms(step.undo) > 10 * _patience_ms(step.do)


def test_a_patient_undo_gets_stuck() -> None:
    """Twelve attempts, whether they fail or time out; then the saga is stuck, without a timer."""
    story = given(ORDER, placed(), reserved(), cancel())
    for attempt in range(1, 12):
        if attempt % 2:
            story = story.when(NEXT_TIMER).then(commands=[refund(attempt + 1)], state=Compensating, active=InFlight)
        else:
            story = story.moved_by(failed("payment:undo", attempt)).moved_by(NEXT_TIMER)
    stuck = story.when(NEXT_TIMER).then(outcome=order_stuck("timed out", "payment"), state=Compensating, active=Stuck)
    assert stuck.due is None
    assert [command for command in stuck.commands if command in REFUNDS] == REFUNDS


def _patience_ms(command: Command) -> int:
    """The sum (ms) of its backoffs."""
    retry = command.retry
    return sum(retry.pause_ms(failures, "any") for failures in range(1, retry.attempts))
