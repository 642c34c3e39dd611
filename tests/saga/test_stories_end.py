"""Stories of the end: a saga that has ended is remembered for a while, and then forgotten."""

import pytest

from app.saga.definition import DAY_MS, with_policy
from app.saga.messages import Input, TimerDue
from app.saga.state import Compensating, Completed, NotStarted, RolledBack, Running, Stuck
from app.saga.verdict import FORGOTTEN, Decision
from tests.saga.given import NOON, SECOND, WAITED, given
from tests.saga.places import PLACES, at, places
from tests.saga.words import (
    BRIEF,
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
from topologies.order import ORDER

WEEK_MS = 7 * DAY_MS
ENDED = places(Completed, RolledBack)
STRANGERS: tuple[Input, ...] = (
    reserved(), rejected(), charged(), released(), refunded(), failed("payment:do"), failed("payment:undo"),
    cancel(), retry(), skip(), compensate(),
)  # fmt: skip
"""All that can be said to a saga but its order."""


@pytest.mark.parametrize(
    ("history", "last", "state"),
    (
        ((placed(), reserved()), charged(), Completed),
        ((placed(),), rejected(), RolledBack),
        ((placed(), reserved(), cancel(), refunded()), released(), RolledBack),
    ),
)
def test_an_ended_saga_is_remembered_for_a_week(
    history: tuple[Input, ...], last: Input, state: type[Completed | RolledBack]
) -> None:
    """Counted from its end; the event of the end says until when, and it waits for nothing else."""
    telling = given(ORDER, *history).when(last, at=NOON + DAY_MS)
    assert telling.events[-1].get("forget_ms") == NOON + DAY_MS + WEEK_MS
    assert type(telling.after.state) is state
    assert telling.after.due == telling.after.state.forget_ms == NOON + DAY_MS + WEEK_MS


@pytest.mark.parametrize("place", ENDED)
def test_a_saga_is_forgotten_when_its_time_has_come(place: str) -> None:
    """Nothing is sent and no event is left, and its id is as unknown as if there had never been an order."""
    telling = at(place).when(WAITED)
    assert telling.sent == []
    assert telling.events == []
    forgotten = telling.then_forgotten()
    assert isinstance(forgotten.state, NotStarted)
    assert forgotten.due is None


@pytest.mark.parametrize("place", ENDED)
@pytest.mark.parametrize("early", (1, SECOND, WEEK_MS))
def test_before_its_time_a_saga_is_not_forgotten(place: str, early: int) -> None:
    """Another time than the very one comes to nothing."""
    at(place).when(TimerDue(at(place).state.forget_ms - early)).then_nothing()
    at(place).when(TimerDue(at(place).state.forget_ms + early)).then_nothing()


@pytest.mark.parametrize("place", ENDED)
def test_until_then_duplicates_and_late_replies_are_recognised(place: str) -> None:
    """A second order of the id never starts, and nothing that is said moves the time of forgetting."""
    story, forget_ms = at(place), at(place).state.forget_ms
    almost = forget_ms - 1
    story.when(placed(), at=almost).then_nothing()
    story.when(placed("bob"), at=almost).then_unacceptable("conflict")
    for said in STRANGERS:
        telling = story.when(said, at=almost)
        assert isinstance(telling.verdict, Decision)
        assert telling.after.state == story.state
        assert telling.after.due == forget_ms


@pytest.mark.parametrize("said", STRANGERS)
def test_what_is_said_of_a_forgotten_saga_belongs_to_the_dead_letters(said: Input) -> None:
    """The message of the dead letter says that the order may have ended long ago."""
    telling = at("completed").when(WAITED).after.when(said)
    telling.then_unacceptable("unknown_order")
    assert "ended long ago" in getattr(telling.verdict, "message", "")


def test_the_id_of_a_forgotten_saga_can_be_used_again() -> None:
    """It is a new saga, whose decisions are counted from the start."""
    again = at("completed").when(WAITED).after.when(placed("bob"))
    assert again.after.progress.seq == 1
    assert again.after.state.facts.digest == placed("bob").digest
    assert isinstance(again.after.state, Running)


def test_a_time_of_forgetting_that_comes_twice_counts_once() -> None:
    """It does not touch the new saga of the same id."""
    ended = at("completed")
    forgetting = TimerDue(ended.state.forget_ms)
    forgotten = ended.when(forgetting).then_forgotten()
    forgotten.when(forgetting).then_nothing()
    started = forgotten.when(placed()).then(commands=[reserve()], state=Running)
    started.when(forgetting).then_nothing()


def test_a_saga_is_forgotten_however_late_its_time_is_told() -> None:
    """After downtime the clock is past it: it counts all the same."""
    at("completed").when(WAITED, at=NOON + 100 * WEEK_MS).then_forgotten()


@pytest.mark.parametrize("remembered_ms", (0, 1, 30 * DAY_MS))
def test_how_long_a_saga_is_remembered_is_its_owners_choice(remembered_ms: int) -> None:
    """Down to not at all: then it is forgotten as soon as it has ended."""
    ending = given(with_policy(ORDER, remembered_ms=remembered_ms), placed(), reserved()).when(charged())
    story = ending.then(outcome=order_completed(), state=Completed)
    assert story.due == ending.at + remembered_ms
    story.when(WAITED).then_forgotten()


@pytest.mark.parametrize("place", tuple(place for place in PLACES if place not in ENDED))
def test_a_saga_that_has_not_ended_is_not_forgotten(place: str) -> None:
    """Neither one that is under way nor one that is stuck, whatever time it is told."""
    story = at(place)
    for due in (story.due, NOON, NOON + WEEK_MS, NOON + 100 * WEEK_MS):
        if due is not None:
            assert story.when(TimerDue(due)).verdict != FORGOTTEN


def test_a_stuck_saga_waits_for_a_person_for_ever() -> None:
    """It has no time of its own: only when a person has seen to it does it end, and is then remembered from its end."""
    stuck = at("stuck in the release")
    assert stuck.due is None
    assert type(stuck.leg) is Stuck
    ending = stuck.when(skip(), at=NOON + 100 * WEEK_MS)
    assert ending.after.due == NOON + 101 * WEEK_MS


def test_what_is_remembered_of_an_ended_saga_is_little() -> None:
    """Its digest and its results, for duplicates and for those who ask; not the order."""
    story = given(BRIEF, placed(), reserved())
    assert story.state.facts.order
    assert story.lived(charged()).state.facts.order == {}
    back = story.lived(cancel())
    assert isinstance(back.state, Compensating)
    ended = back.lived(refunded()).lived(released())
    assert (ended.state.facts.order, ended.state.facts.results) == ({}, {})
