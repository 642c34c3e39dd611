"""Stories of waiting: a step whose participant has no room is not asked for, until there is.

Who is let in next is not decided here: what waits is told when it is its turn.
"""

import pytest

from app.saga.effects import SendCommand
from app.saga.state import Asked, Compensating, Completed, Pausing, RolledBack, Running, Stuck, Waiting
from tests.saga.given import NOON, SECOND, WAITED, Crowded, Said, given, no_room, without
from tests.saga.places import NO_RETURN, PLACES, at, kind_of, places
from tests.saga.words import (
    BRIEF,
    cancel,
    charge,
    charged,
    compensate,
    failed,
    order_cancelled,
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
    retry,
    room_for,
    skip,
)
from topologies.order import ORDER

HOUR = 3_600 * SECOND


def test_an_order_that_finds_no_room_waits_until_it_is_let_in() -> None:
    """It is taken in and nothing is sent; the first attempt is the one that is sent when there is room."""
    (
        given(ORDER)
        .when(placed(), room=no_room)
        .then(events=["saga.started"], state=Running, leg=Waiting("reservation", 0, 1))
        .when(room_for("reservation"))
        .then(commands=[reserve()], events=["saga.step.requested"], state=Running, leg=Asked)
        .when(reserved())
        .then(commands=[charge()])
        .when(charged())
        .then(outcome=order_completed(), state=Completed)
    )


def test_each_step_has_a_room_of_its_own() -> None:
    """Payment being crowded holds nobody up who wants a reservation, and the other way round."""
    story = given(ORDER).when(placed(), room=without("payment")).then(commands=[reserve()], leg=Asked)
    waiting = story.when(reserved(), room=without("payment"))
    waiting.then(events=["saga.step.succeeded"], state=Running, leg=Waiting("payment", 0, 1))
    story.when(reserved(), room=without("reservation")).then(commands=[charge()], leg=Asked)


def test_a_crowded_participant_can_still_answer() -> None:
    """What it was asked before needs no room; the order ends as ever."""
    story = given(ORDER, placed(), reserved())
    story.when(charged(), room=no_room).then(outcome=order_completed(), state=Completed)


@pytest.mark.parametrize("place", (*PLACES, *NO_RETURN))
def test_room_is_only_for_who_waits_for_it(place: str) -> None:
    """Told to a saga that does not wait, or waits for another step, it comes to nothing, also the second time."""
    story, waits = at(place), kind_of(place).leg is Waiting
    for step in ("reservation", "payment", "shipping", "billing", ""):
        if waits and step == story.leg.step:
            after = story.lived(room_for(step))
            assert type(after.leg) is Asked
            after.when(room_for(step)).then_nothing()
        else:
            story.when(room_for(step)).then_nothing()


@pytest.mark.parametrize("place", places(Running, Compensating, legs=(Waiting,)))
def test_being_let_in_sends_the_next_attempt(place: str) -> None:
    """Attempts are numbered on over the wait, and none is spent on it; the command is asked for from now."""
    story, later = at(place), NOON + HOUR
    step, attempt, first = story.leg.step, story.leg.attempt + 1, story.leg.first
    kind = "step" if kind_of(place).state is Running else "compensation"
    asked = {"type": f"saga.{kind}.requested", "step": step, "attempt": attempt}
    telling = story.when(room_for(step), at=later)
    assert telling.events == [{**asked, "at_ms": later, "due_ms": later + 30 * SECOND}]
    assert [effect.id for effect in telling.sent if isinstance(effect, SendCommand)] == [
        f"o-1:{step}:{'do' if kind == 'step' else 'undo'}:{attempt}"
    ]
    assert telling.after.leg == Asked(step, attempt, first, later, later + 30 * SECOND)


def test_an_order_that_waits_has_nothing_timed_but_its_deadline() -> None:
    """Nobody was asked, so nobody can be late; what waits to be undone waits for no time at all."""
    for place in places(Running, legs=(Waiting,)):
        assert at(place).due == at(place).state.deadline_ms
    for place in places(Compensating, legs=(Waiting,)):
        assert at(place).due is None


# steps that were asked for before, and wait to be asked for again


def test_a_silent_step_waits_when_there_is_no_room() -> None:
    """A participant that is down is not asked again and again: the next attempt is sent when it is let in."""
    (
        given(ORDER, placed())
        .when(WAITED, room=without("reservation"))
        .then(events=["saga.step.timed_out"], state=Running, leg=Waiting("reservation", 1, 1))
        .when(room_for("reservation"))
        .then(commands=[reserve(2)], events=["saga.step.requested"], leg=Asked)
    )


def test_a_step_that_failed_pauses_only_if_its_participant_bears_it() -> None:
    """Pausing keeps the room that it has, and is over at its time whoever else waits; else the step queues up anew."""
    story = given(ORDER, placed())
    failing = story.when(failed("reservation:do"), room=no_room)
    paused = failing.then(events=["saga.step.failed"], leg=Pausing)
    assert "retry_due_ms" in failing.events[0]
    paused.when(WAITED, room=no_room).then(commands=[reserve(2)], leg=Asked)
    failing = story.when(failed("reservation:do"), bears=without("reservation"))
    waiting = failing.then(events=["saga.step.failed"], leg=Waiting("reservation", 1, 1))
    assert "retry_due_ms" not in failing.events[0]
    waiting.when(room_for("reservation")).then(commands=[reserve(2)], leg=Asked)


def test_waiting_for_room_spends_no_attempts() -> None:
    """An hour of waiting is as good as none: as many attempts are sent as without it."""
    story = given(BRIEF, Crowded(placed()))
    story = story.when(room_for("reservation"), at=NOON + HOUR).then(commands=[reserve()])
    story = story.when(Crowded(WAITED)).then(leg=Waiting)
    story = story.when(room_for("reservation"), at=NOON + 3 * HOUR).then(commands=[reserve(2)])
    story.when(Crowded(WAITED)).then(state=Compensating, leg=Waiting("reservation", 0, 1))


@pytest.mark.parametrize("place", ("reservation waits to be asked for again", "reservation waits after a failure"))
def test_an_answer_while_its_step_waits_still_counts(place: str) -> None:
    """Whatever comes of an earlier attempt settles the step, and no other attempt is sent."""
    story = at(place)
    story.when(reserved()).then(commands=[charge()], state=Running).when(room_for("reservation")).then_nothing()
    story.when(rejected()).then(outcome=order_rejected("out of stock", "reservation"), state=RolledBack)
    story.when(failed("reservation:do", for_good=True)).then(commands=[release()], state=Compensating)
    story.when(failed("reservation:do")).then_ignored()


@pytest.mark.parametrize("reply", (reserved(), rejected(), failed("reservation:do", for_good=True)))
def test_nobody_answers_what_was_never_asked(reply: Said) -> None:
    """Before it is let in there is no attempt that a reply could name."""
    given(ORDER, Crowded(placed())).when(reply).then_ignored()


# going back while waiting


@pytest.mark.parametrize(("wish", "why"), ((cancel(), "changed my mind"), (compensate(), "fraud")))
def test_what_was_never_asked_for_is_not_undone(wish: Said, why: str) -> None:
    """An order that waits for its first step is over at once; one that waits for the second undoes the first alone."""
    telling = given(ORDER, Crowded(placed())).when(wish)
    telling.then(outcome=order_cancelled(why), state=RolledBack)
    assert telling.events[-1]["type"] == "saga.rolled_back"
    back = given(ORDER, placed(), Crowded(reserved())).when(wish)
    back = back.then(commands=[release(known="r-1")], state=Compensating).when(released())
    back.then(outcome=order_cancelled(why), state=RolledBack)


@pytest.mark.parametrize(
    ("place", "undo"),
    (
        ("reservation waits to be asked for again", release()),
        ("reservation waits after a failure", release()),
        ("payment waits to be asked for again", refund()),
    ),
)
def test_what_was_asked_for_once_is_undone_though_it_waits(place: str, undo: SendCommand) -> None:
    """An attempt that was not answered may have happened."""
    at(place).when(cancel()).then(commands=[undo], state=Compensating, leg=Asked)


def test_room_that_comes_after_a_cancel_is_not_used() -> None:
    """Neither by an order that is over, nor for a step that is not wanted any more."""
    given(ORDER, Crowded(placed()), cancel()).when(room_for("reservation")).then_nothing()
    given(ORDER, placed(), Crowded(reserved()), cancel()).when(room_for("payment")).then_nothing()


def test_an_undo_waits_for_room_too() -> None:
    """An order turns back at once, asks for each undo when it is let in, and the shop hears when all is undone."""
    (
        given(ORDER, placed(), reserved())
        .when(cancel(), room=no_room)
        .then(events=["saga.cancel.requested"], state=Compensating, leg=Waiting("payment", 0, 1))
        .when(room_for("payment"))
        .then(commands=[refund()], events=["saga.compensation.requested"], leg=Asked)
        .when(refunded(), room=without("reservation"))
        .then(events=["saga.compensation.succeeded"], leg=Waiting("reservation", 0, 1))
        .when(room_for("reservation"))
        .then(commands=[release(known="r-1")], leg=Asked)
        .when(released(), room=no_room)
        .then(outcome=order_cancelled(), state=RolledBack)
    )


def test_an_undo_that_waits_keeps_its_turn() -> None:
    """The step before is not undone first because it happens to have room."""
    story = given(ORDER, placed(), reserved()).when(cancel(), room=without("payment")).then(leg=Waiting)
    assert story.state.left == ("reservation",)
    story.when(room_for("reservation")).then_nothing()


def test_a_silent_undo_waits_and_its_late_answer_counts() -> None:
    """The same as going forward: no attempt is sent without room, none is needed once it is answered."""
    silent = given(ORDER, placed(), cancel()).when(WAITED, room=no_room)
    waiting = silent.then(events=["saga.compensation.timed_out"], leg=Waiting("reservation", 1, 1))
    waiting.when(released()).then(outcome=order_cancelled(), state=RolledBack)


def test_a_cancel_of_an_order_that_waits_to_be_undone_is_refused() -> None:
    """It is going back already, though nothing was sent yet."""
    at("refund waits").when(cancel()).then_cancel_refused("the order was cancelled before")


# people and waiting


def test_an_operators_retry_waits_for_room() -> None:
    """It is recorded at once, the attempts count anew, and the undo is asked for when it is let in."""
    retried = at("stuck in the refund").when(retry(), room=without("payment"))
    waiting = retried.then(events=["saga.operated"], state=Compensating, leg=Waiting("payment", 1, 2))
    waiting.when(failed("payment:undo", 1, for_good=True)).then_ignored()
    asked = waiting.when(room_for("payment")).then(commands=[refund(2)], leg=Asked)
    stuck = asked.lived(WAITED).when(WAITED)
    stuck.then(outcome=order_stuck("timed out", "payment"), state=Compensating, leg=Stuck)


def test_a_skip_goes_on_to_an_undo_that_waits() -> None:
    """The skipped step is taken as done; the next one queues up like any other."""
    story = at("stuck in the refund").when(skip(), room=without("reservation"))
    story.then(events=["saga.operated"], state=Compensating, leg=Waiting("reservation", 0, 1))


@pytest.mark.parametrize("place", places(Running, Compensating, legs=(Waiting,)))
def test_what_waits_is_not_stuck(place: str) -> None:
    """There is nothing for an operator to retry or to skip: it goes on by itself."""
    at(place).when(retry()).then_operation_refused("saga.retry", "needs a saga that is stuck")
    at(place).when(skip()).then_operation_refused("saga.skip", "needs a saga that is stuck")
