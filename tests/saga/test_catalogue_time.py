"""The failure catalogue, section 4c: what the core decides on timers. When a timer is due is the engine's part."""

from typing import Any

import pytest

from app.saga.definition import Saga, with_policy
from app.saga.handlers.attempts import TIMED_OUT, TOO_LATE
from app.saga.messages import TimerDue
from app.saga.outputs import SendCommand
from app.saga.state import (
    BackingOff,
    Compensating,
    Completed,
    InFlight,
    NotStarted,
    Queued,
    RolledBack,
    Running,
    Stuck,
)
from tests.saga.order_messages import (
    ONE_ATTEMPT,
    TWO_ATTEMPTS,
    capacity_for,
    charge,
    charged,
    failed,
    order_completed,
    order_rejected,
    order_stuck,
    placed,
    refund,
    refunded,
    rejected,
    release,
    released,
    reserve,
    reserved,
)
from tests.saga.situations import COMPLETED, PAYING, REFUNDING, ROLLED_BACK, SITUATIONS, at, situations
from tests.saga.steps import completed, do, done, step
from tests.saga.story import NEXT_TIMER, NOON, SECOND, AtCapacity, Story, StoryInput, given
from topologies.order import ORDER

HOUR = 3_600 * SECOND
TIMEOUT_MS = ORDER.step("payment").do.timeout_ms
LIMITED = with_policy(ORDER, deadline_ms=20_000)
WITH_TIMER = situations(Running, Compensating, active_steps=(InFlight, BackingOff))


def timer_of(story: Story) -> TimerDue:
    """The timer that the saga waits for."""
    assert story.due is not None
    return TimerDue(story.due)


def test_4c_33_a_timer_that_is_late_counts_once() -> None:
    """However late it is, the next attempt has its whole time-out from then on."""
    late = given(ORDER, placed()).when(NEXT_TIMER, at=NOON + 10 * HOUR).then(commands=[reserve(2)])
    assert late.due == NOON + 10 * HOUR + 30 * SECOND


def test_4c_33_an_order_whose_deadline_passed_during_downtime_rolls_back() -> None:
    """A step that was requested is undone, a step that was never requested is not."""
    late = NOON + 72 * HOUR
    requested = given(ORDER, placed()).when(NEXT_TIMER, at=late).then(commands=[reserve(2)])
    requested.when(NEXT_TIMER, at=late).then(commands=[release()], state=Compensating)
    queued = given(ORDER, AtCapacity(placed())).when(NEXT_TIMER, at=late)
    queued.then(outcome=order_rejected(TOO_LATE, "reservation"), state=RolledBack)


def test_4c_33_a_reply_that_came_during_downtime_beats_the_deadline() -> None:
    """Records in the log are read before any timer fires, so the order goes on."""
    story = given(ORDER, *PAYING)
    story.when(charged(), at=NOON + 72 * HOUR).then(outcome=order_completed(), state=Completed)


@pytest.mark.parametrize("situation", WITH_TIMER)
def test_4c_34_the_same_timer_twice_counts_once(situation: str) -> None:
    """The step that waited for it does so no longer."""
    story = at(situation)
    story.moved_by(NEXT_TIMER).when(timer_of(story)).then_no_change()


def test_4c_35_reply_and_its_timeout_together_the_reply_first() -> None:
    """The saga does not wait for the timer any more: it changes nothing and leaves no record."""
    story = given(ONE_ATTEMPT, *PAYING)
    timer = timer_of(story)
    story.when(charged(), at=story.due).then(outcome=order_completed(), state=Completed).when(timer).then_no_change()


def test_4c_35_reply_and_its_timeout_together_the_timeout_first() -> None:
    """The step is given up and undone; the reply is recorded as too late."""
    story = given(ONE_ATTEMPT, *PAYING).when(NEXT_TIMER).then(commands=[refund()], state=Compensating)
    story = story.when(charged(), at=story.at).then_ignored()
    story.moved_by(refunded()).when(released()).then(outcome=order_rejected(TIMED_OUT, "payment"), state=RolledBack)


@pytest.mark.parametrize(
    ("saga", "history", "replies", "again", "expected"),
    (
        (ORDER, (placed(),), (reserved(1), reserved(2)), reserve(2), {"commands": [charge()], "state": Running}),
        (
            TWO_ATTEMPTS,
            PAYING,
            (charged(1), charged(2)),
            charge(2),
            {"outcome": order_completed(), "state": Completed},
        ),
    ),
    ids=("the first step", "the last step"),
)
def test_4c_35_reply_and_its_timeout_together_with_attempts_left(
    saga: Saga,
    history: tuple[StoryInput, ...],
    replies: tuple[StoryInput, StoryInput],
    again: SendCommand,
    expected: dict[str, Any],
) -> None:
    """After the reply the timer changes nothing. After the time-out the reply to the earlier attempt still counts."""
    story = given(saga, *history)
    timer = timer_of(story)
    story.when(replies[0], at=timer.due_ms).then(**expected).when(timer).then_no_change()
    story = story.when(timer).then(commands=[again])
    story = story.when(replies[0], at=story.at).then(**expected)
    story.when(replies[1]).then_ignored()


def test_4c_35_undo_and_its_timeout_together() -> None:
    """For an undo, too, the first one counts."""
    stuck = given(ONE_ATTEMPT, *REFUNDING).when(NEXT_TIMER).then(outcome=order_stuck(TIMED_OUT, "payment"))
    stuck.when(refunded()).then(commands=[release(known="r-1")], state=Compensating)
    undone = given(ONE_ATTEMPT, *REFUNDING)
    timer = timer_of(undone)
    undone.when(refunded(), at=undone.due).then(commands=[release(known="r-1")]).when(timer).then_no_change()


@pytest.mark.parametrize("reply", (rejected(), failed("reservation:do"), failed("reservation:do", for_good=True)))
def test_4c_35_refusal_or_failure_and_its_timeout_together(reply: StoryInput) -> None:
    """A refusal or a failure that comes first leaves nothing for the time-out of its attempt."""
    story = given(ORDER, placed())
    story.when(reply, at=story.due).after.when(timer_of(story)).then_no_change()


def test_4c_35_reply_and_deadline_together() -> None:
    """A step that is done in the last moment is done; a reply after the deadline is ignored, and the step undone."""
    story = given(LIMITED, *PAYING)
    timer = timer_of(story)
    assert timer.due_ms == NOON + 20_000
    story.when(charged(), at=timer.due_ms).then(outcome=order_completed()).when(timer).then_no_change()
    back = story.when(timer, at=timer.due_ms).then(commands=[refund()], state=Compensating)
    back = back.when(charged()).then_ignored()
    back.moved_by(refunded()).when(released()).then(outcome=order_rejected(TOO_LATE, "payment"), state=RolledBack)


def test_4c_35_two_replies_and_both_timeouts_together() -> None:
    """For each of two parallel steps, its first input counts."""
    pair = Saga("pair", 1, (step("stock"), step("coupon", ())))
    story = given(pair, placed())
    timer = timer_of(story)
    story = story.when(done("stock"), at=timer.due_ms).then(events=["saga.step.succeeded"])
    story = story.when(timer, at=timer.due_ms).then(commands=[do("coupon", 2)])
    story.when(done("coupon", 1)).then(outcome=completed("stock", "coupon"), state=Completed)


@pytest.mark.parametrize("jump", (HOUR, -HOUR))
@pytest.mark.parametrize("situation", WITH_TIMER)
def test_4c_36_a_clock_jump_moves_no_saga(situation: str, jump: int) -> None:
    """Only the timer that a state waits for moves it, whatever the clock says; the next timer follows the clock."""
    story = at(situation)
    story.when(TimerDue((story.due or 0) + jump), at=NOON + jump).then_no_change()
    reaction = story.when(NEXT_TIMER, at=NOON + jump)
    assert reaction.events
    assert reaction.after.due is None or reaction.after.due > NOON + jump


@pytest.mark.parametrize("situation", tuple(situation for situation in SITUATIONS if at(situation).due is not None))
def test_4c_37_of_many_timers_at_once_each_is_one_small_decision(situation: str) -> None:
    """A timer leads to one more attempt, or to the end of its step, and to at most one command."""
    reaction = at(situation).when(NEXT_TIMER)
    assert len(reaction.sent) <= 1
    assert len(reaction.events) <= 2


@pytest.mark.parametrize(
    "situation", situations(NotStarted, Compensating, Completed, RolledBack, active_steps=(Stuck, Queued))
)
def test_4c_38_timers_of_a_saga_without_a_timed_step_change_nothing(situation: str) -> None:
    """An ended saga waits for its expiry alone."""
    story = at(situation)
    assert story.due == getattr(story.state, "forget_ms", None)
    for due in (0, NOON, NOON + 30 * SECOND):
        story.when(TimerDue(due)).then_no_change()


ENDS: dict[str, tuple[StoryInput, ...]] = {
    "completed": COMPLETED,
    "completed late": (placed(), NEXT_TIMER, reserved(2), failed("payment:do"), charged()),
    "rolled back": ROLLED_BACK,
    "rolled back late": (*REFUNDING, NEXT_TIMER, refunded(), failed("reservation:undo"), NEXT_TIMER, released(2)),
}


@pytest.mark.parametrize("end", ENDS)
def test_4c_38_timers_of_a_finished_saga_change_nothing(end: str) -> None:
    """None of the timers on the saga's way moves it, or is recorded, after its end."""
    dues, ended = set[int](), given(ORDER, *ENDS[end])
    for length in range(1, len(ENDS[end])):
        dues.add(given(ORDER, *ENDS[end][:length]).due or 0)
    assert len(dues) > 1
    for due in dues - {ended.state.forget_ms}:
        ended.when(TimerDue(due), at=due).then_no_change()
    ended.when(TimerDue(ended.state.data.started_ms + (ORDER.deadline_ms or 0))).then_no_change()


@pytest.mark.parametrize("end", ENDS)
def test_4c_38_capacity_for_a_finished_saga_changes_nothing(end: str) -> None:
    """No step of it is queued."""
    for name in ("reservation", "payment"):
        given(ORDER, *ENDS[end]).when(capacity_for(name)).then_no_change()


@pytest.mark.parametrize("end", ENDS)
def test_4c_38_a_finished_saga_waits_for_one_timer_alone(end: str) -> None:
    """It waits for its expiry; an expired saga waits for no timer, and every timer changes nothing."""
    ended = given(ORDER, *ENDS[end])
    assert ended.due == ended.state.forget_ms
    ended.when(TimerDue(ended.state.forget_ms - 1)).then_no_change()
    expired = ended.when(NEXT_TIMER).then_expired()
    assert (expired.state, expired.due) == (NotStarted(), None)
    expired.when(TimerDue(ended.state.forget_ms)).then_no_change()


def test_4c_38_timers_that_were_overtaken_change_nothing() -> None:
    """An active saga, too, reacts to the timer that it waits for, and to no other."""
    story = given(ORDER, placed())
    first = timer_of(story)
    story = story.when(reserved(), at=NOON + 5_000).then(commands=[charge()], active=InFlight)
    story = story.when(first).then_no_change()
    assert story.due == NOON + 5_000 + TIMEOUT_MS
    backing_off = story.when(failed("payment:do")).then(active=BackingOff)
    backing_off.when(timer_of(story)).then_no_change().when(NEXT_TIMER).then(commands=[charge(2)])


def test_4c_38_a_timer_counts_once() -> None:
    """The same timer sends one more attempt, however often it comes."""
    story = given(ORDER, placed())
    timer = timer_of(story)
    story = story.when(timer, at=timer.due_ms).then(commands=[reserve(2)], state=Running)
    story.when(timer).then_no_change().when(timer).then_no_change()
