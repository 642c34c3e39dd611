"""The failure catalogue, section 4c: what the core makes of time. When it is told of it is the engine's matter."""

import pytest

from app.saga.definition import Saga, with_policy
from app.saga.messages import TimerDue
from app.saga.state import Asked, Compensating, Completed, NotStarted, Pausing, RolledBack, Running
from app.saga.tries import TIMED_OUT, TOO_LATE
from tests.saga.given import NOON, WAITED, Said, given
from tests.saga.steps import completed, do, done, step
from tests.saga.words import (
    BRIEF,
    HASTY,
    cancel,
    charge,
    charged,
    declined,
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
    room_for,
)
from topologies.order import ORDER

TIMEOUT_MS = ORDER.step("payment").do.timeout_ms
PAYING: tuple[Said, ...] = (placed(), reserved())
REFUNDING: tuple[Said, ...] = (*PAYING, cancel())
LIMITED = with_policy(ORDER, deadline_ms=20_000)


def test_4c_35_reply_and_its_timeout_together_the_reply_first() -> None:
    """The saga has moved on by the time its old due time is told: that comes to nothing, and leaves no record."""
    story = given(HASTY, *PAYING)
    due = TimerDue(story.due or 0)
    story = story.when(charged(), at=story.due).then(outcome=order_completed(), state=Completed)
    story.when(due).then_nothing()


def test_4c_35_reply_and_its_timeout_together_the_timeout_first() -> None:
    """The step is given up and undone; the reply is recorded as too late."""
    story = given(HASTY, *PAYING).when(WAITED).then(commands=[refund()], state=Compensating)
    story = story.when(charged(), at=story.at).then_ignored()
    story.lived(refunded()).when(released()).then(outcome=order_rejected(TIMED_OUT, "payment"), state=RolledBack)


def test_4c_35_reply_and_its_timeout_together_with_attempts_left() -> None:
    """The time-out asks once more, and the reply to the attempt before still counts: nothing is done twice."""
    story = given(BRIEF, *PAYING).when(WAITED).then(commands=[charge(2)])
    story = story.when(charged(1), at=story.at).then(outcome=order_completed(), state=Completed)
    story.when(charged(2)).then_ignored()


def test_4c_35_undo_and_its_timeout_together() -> None:
    """On the way back, too, whichever comes first is the one that counts."""
    stuck = given(HASTY, *REFUNDING).when(WAITED).then(outcome=order_stuck(TIMED_OUT, "payment"))
    stuck.when(refunded()).then(commands=[release(known="r-1")], state=Compensating)
    undone = given(HASTY, *REFUNDING)
    due = TimerDue(undone.due or 0)
    undone.when(refunded(), at=undone.due).then(commands=[release(known="r-1")]).when(due).then_nothing()


@pytest.mark.parametrize("reply", (rejected(), failed("reservation:do"), failed("reservation:do", for_good=True)))
def test_4c_35_no_and_its_timeout_together(reply: Said) -> None:
    """A refusal or a failure that came first leaves nothing for the time-out of its attempt."""
    story = given(ORDER, placed())
    due = TimerDue(story.due or 0)
    story.when(reply, at=story.due).after.when(due).then_nothing()


def test_4c_35_reply_and_deadline_together() -> None:
    """What is done at the last moment is done; what is told a moment later is undone."""
    story = given(LIMITED, *PAYING)
    due = TimerDue(story.due or 0)
    assert due.due_ms == NOON + 20_000
    story.when(charged(), at=due.due_ms).then(outcome=order_completed()).when(due).then_nothing()
    back = story.when(due, at=due.due_ms).then(commands=[refund()], state=Compensating).when(charged()).then_ignored()
    back.lived(refunded()).when(released()).then(outcome=order_rejected(TOO_LATE, "payment"), state=RolledBack)


def test_4c_35_two_replies_and_both_timeouts_together() -> None:
    """Steps that run at the same time are each judged by what came first for them."""
    pair = Saga("pair", 1, (step("stock"), step("coupon", ())))
    story = given(pair, placed())
    due = TimerDue(story.due or 0)
    story = story.when(done("stock"), at=due.due_ms).then(events=["saga.step.succeeded"])
    story = story.when(due, at=due.due_ms).then(commands=[do("coupon", 2)])
    story.when(done("coupon", 1)).then(outcome=completed("stock", "coupon"), state=Completed)


ENDS: dict[str, tuple[Said, ...]] = {
    "completed": (*PAYING, charged()),
    "completed late": (placed(), WAITED, reserved(2), failed("payment:do"), charged()),
    "rolled back": (*PAYING, declined(), released()),
    "rolled back late": (*REFUNDING, WAITED, refunded(), failed("reservation:undo"), WAITED, released(2)),
}


@pytest.mark.parametrize("end", ENDS)
def test_4c_38_timers_of_a_finished_saga_come_to_nothing(end: str) -> None:
    """Not one of the times that it waited for on its way moves or records anything at its end."""
    told, ended = set[int](), given(ORDER, *ENDS[end])
    for length in range(1, len(ENDS[end])):
        told.add(given(ORDER, *ENDS[end][:length]).due or 0)
    assert len(told) > 1
    for due in told - {ended.state.forget_ms}:
        ended.when(TimerDue(due), at=due).then_nothing()
    ended.when(TimerDue(ended.state.facts.started_ms + (ORDER.deadline_ms or 0))).then_nothing()


@pytest.mark.parametrize("end", ENDS)
def test_4c_38_room_for_a_finished_saga_comes_to_nothing(end: str) -> None:
    """Whoever waited for it is done without it."""
    for name in ("reservation", "payment"):
        given(ORDER, *ENDS[end]).when(room_for(name)).then_nothing()


@pytest.mark.parametrize("end", ENDS)
def test_4c_38_a_finished_saga_waits_for_one_time_alone(end: str) -> None:
    """The one at which it is forgotten; after that it waits for none, and every time comes to nothing."""
    ended = given(ORDER, *ENDS[end])
    assert ended.due == ended.state.forget_ms
    ended.when(TimerDue(ended.state.forget_ms - 1)).then_nothing()
    forgotten = ended.when(WAITED).then_forgotten()
    assert (forgotten.state, forgotten.due) == (NotStarted(), None)
    forgotten.when(TimerDue(ended.state.forget_ms)).then_nothing()


def test_4c_38_timers_that_were_overtaken_come_to_nothing() -> None:
    """A live saga, too, hears of the time that it waits for now, and of no other."""
    story = given(ORDER, placed())
    first = TimerDue(story.due or 0)
    story = story.when(reserved(), at=NOON + 5_000).then(commands=[charge()], leg=Asked)
    story = story.when(first).then_nothing()
    assert story.due == NOON + 5_000 + TIMEOUT_MS
    paused = story.when(failed("payment:do")).then(leg=Pausing)
    paused.when(TimerDue(story.due)).then_nothing().when(WAITED).then(commands=[charge(2)])


def test_4c_38_a_timer_is_told_once() -> None:
    """However often the same time is told, it asks again once."""
    story = given(ORDER, placed())
    due = TimerDue(story.due or 0)
    story = story.when(due, at=due.due_ms).then(commands=[reserve(2)], state=Running)
    story.when(due).then_nothing().when(due).then_nothing()
