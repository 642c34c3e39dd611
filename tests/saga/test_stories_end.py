"""Stories of the end: the state of an ended saga is kept for its retention, and then deleted."""

import pytest

from app.saga.definition import DAY_MS, with_policy
from app.saga.messages import Input, TimerDue
from app.saga.state import Compensating, Completed, NotStarted, RolledBack, Running, Stuck
from app.saga.verdict import EXPIRED, Decision
from tests.saga.order_messages import (
    TWO_ATTEMPTS,
    cancel,
    charged,
    compensate,
    failed,
    order_completed,
    placed,
    refunded,
    rejected,
    released,
    reserve,
    reserved,
    retry,
    skip,
)
from tests.saga.situations import ENDED, SITUATIONS, at
from tests.saga.story import NEXT_TIMER, NOON, SECOND, given
from topologies.order import ORDER

WEEK_MS = 7 * DAY_MS
OTHER_MESSAGES: tuple[Input, ...] = (
    reserved(), rejected(), charged(), released(), refunded(), failed("payment:do"), failed("payment:undo"),
    cancel(), retry(), skip(), compensate(),
)  # fmt: skip
"""Every kind of message to a saga, except for its order."""


@pytest.mark.parametrize(
    ("history", "last", "state"),
    (
        ((placed(), reserved()), charged(), Completed),
        ((placed(),), rejected(), RolledBack),
        ((placed(), reserved(), cancel(), refunded()), released(), RolledBack),
    ),
)
def test_the_state_of_an_ended_saga_is_kept_for_a_week(
    history: tuple[Input, ...], last: Input, state: type[Completed | RolledBack]
) -> None:
    """From its end on. The last event has the time of its expiry, which is the only timer."""
    reaction = given(ORDER, *history).when(last, at=NOON + DAY_MS)
    assert reaction.events[-1].get("forget_ms") == NOON + DAY_MS + WEEK_MS
    assert type(reaction.after.state) is state
    assert reaction.after.due == reaction.after.state.forget_ms == NOON + DAY_MS + WEEK_MS


@pytest.mark.parametrize("situation", ENDED)
def test_an_ended_saga_expires_at_its_time(situation: str) -> None:
    """Nothing is sent and no event is written. The id is unknown again, as if the order had never been placed."""
    reaction = at(situation).when(NEXT_TIMER)
    assert reaction.sent == []
    assert reaction.events == []
    expired = reaction.then_expired()
    assert isinstance(expired.state, NotStarted)
    assert expired.due is None


@pytest.mark.parametrize("situation", ENDED)
@pytest.mark.parametrize("early", (1, SECOND, WEEK_MS))
def test_an_ended_saga_does_not_expire_at_another_time(situation: str, early: int) -> None:
    """A timer with any other time changes nothing."""
    at(situation).when(TimerDue(at(situation).state.forget_ms - early)).then_no_change()
    at(situation).when(TimerDue(at(situation).state.forget_ms + early)).then_no_change()


@pytest.mark.parametrize("situation", ENDED)
def test_until_its_expiry_duplicates_and_late_replies_are_recognised(situation: str) -> None:
    """No second order of the id starts, and no input moves the time of the expiry."""
    story, forget_ms = at(situation), at(situation).state.forget_ms
    just_before = forget_ms - 1
    story.when(placed(), at=just_before).then_no_change()
    story.when(placed("bob"), at=just_before).then_dead_lettered("conflict")
    for message in OTHER_MESSAGES:
        reaction = story.when(message, at=just_before)
        assert isinstance(reaction.verdict, Decision)
        assert reaction.after.state == story.state
        assert reaction.after.due == forget_ms


@pytest.mark.parametrize("message", OTHER_MESSAGES)
def test_messages_to_an_expired_saga_are_dead_letters(message: Input) -> None:
    """The sentence of the dead letter says that the order may have ended long ago."""
    reaction = at("completed").when(NEXT_TIMER).after.when(message)
    reaction.then_dead_lettered("unknown_order")
    assert "ended long ago" in getattr(reaction.verdict, "message", "")


def test_the_id_of_an_expired_saga_can_be_used_again() -> None:
    """It is a new saga, whose decisions count from 1."""
    again = at("completed").when(NEXT_TIMER).after.when(placed("bob"))
    assert again.after.progress.seq == 1
    assert again.after.state.data.digest == placed("bob").digest
    assert isinstance(again.after.state, Running)


def test_an_expiry_that_comes_twice_counts_once() -> None:
    """It does not touch a new saga with the same id."""
    ended = at("completed")
    expiry = TimerDue(ended.state.forget_ms)
    expired = ended.when(expiry).then_expired()
    expired.when(expiry).then_no_change()
    started = expired.when(placed()).then(commands=[reserve()], state=Running)
    started.when(expiry).then_no_change()


def test_an_expiry_that_is_late_counts() -> None:
    """After downtime the clock may be far past it."""
    at("completed").when(NEXT_TIMER, at=NOON + 100 * WEEK_MS).then_expired()


@pytest.mark.parametrize("retention_ms", (0, 1, 30 * DAY_MS))
def test_the_retention_is_the_owners_choice(retention_ms: int) -> None:
    """With 0 the saga expires as soon as it has ended."""
    ending = given(with_policy(ORDER, retention_ms=retention_ms), placed(), reserved()).when(charged())
    story = ending.then(outcome=order_completed(), state=Completed)
    assert story.due == ending.at + retention_ms
    story.when(NEXT_TIMER).then_expired()


@pytest.mark.parametrize("situation", tuple(situation for situation in SITUATIONS if situation not in ENDED))
def test_a_saga_that_has_not_ended_does_not_expire(situation: str) -> None:
    """Neither an active saga nor a stuck one, at any time."""
    story = at(situation)
    for due in (story.due, NOON, NOON + WEEK_MS, NOON + 100 * WEEK_MS):
        if due is not None:
            assert story.when(TimerDue(due)).verdict != EXPIRED


def test_a_stuck_saga_waits_for_an_operator_without_end() -> None:
    """It has no timer. Once an operator has acted it can end, and its retention counts from its end."""
    stuck = at("stuck in the release")
    assert stuck.due is None
    assert type(stuck.active) is Stuck
    ending = stuck.when(skip(), at=NOON + 100 * WEEK_MS)
    assert ending.after.due == NOON + 101 * WEEK_MS


def test_an_ended_saga_keeps_little() -> None:
    """Its digest and its results, for duplicates and for queries; not the order."""
    story = given(TWO_ATTEMPTS, placed(), reserved())
    assert story.state.data.order
    assert story.moved_by(charged()).state.data.order == {}
    back = story.moved_by(cancel())
    assert isinstance(back.state, Compensating)
    ended = back.moved_by(refunded()).moved_by(released())
    assert (ended.state.data.order, ended.state.data.results) == ({}, {})
