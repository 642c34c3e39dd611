"""The catalogue of failures, as far as the core decides them.

1-20 are messages gone wrong, 33-38 is time gone wrong, 65 are participants that are down.
Elsewhere: what participants do (12), what never gets past the reading of a message (18, 19), and the engine's part.
"""

import pytest

from app.saga.messages import Input, Reply, TimerDue
from app.saga.state import (
    Asked,
    Compensating,
    Completed,
    NotStarted,
    Pausing,
    RolledBack,
    Running,
    Stuck,
    Waiting,
)
from tests.saga.given import NOON, SECOND, WAITED, Crowded, given
from tests.saga.places import PLACES, at, places
from tests.saga.words import (
    BRIEF,
    ID,
    cancel,
    charge,
    charged,
    compensate,
    declined,
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
from topologies.order import ORDER, PATIENT

HOUR = 3_600_000
STARTED = tuple(place for place in PLACES if place != "nothing placed")


def test_01_a_lost_reply_is_asked_for_again_then_the_step_is_undone() -> None:
    """All attempts share one idempotency key, and after the last of them the undo has its own."""
    story, asked = given(ORDER, placed()), []
    for attempt in range(2, 6):
        story = story.when(WAITED).then(commands=[reserve(attempt)])
        asked.append(reserve(attempt).effect)
    assert set(asked) == {f"{ID}:reservation:do"}
    story.when(WAITED).then(commands=[release()], state=Compensating)


@pytest.mark.parametrize(
    ("history", "reply"),
    (
        ((placed(),), reserved()),
        ((placed(), reserved()), charged()),
        ((placed(), reserved()), declined()),
        ((placed(), reserved(), cancel()), refunded()),
        ((placed(), cancel()), released()),
        ((placed(),), failed("reservation:do")),
        ((placed(), cancel()), failed("reservation:undo")),
    ),
)
def test_02_a_duplicated_reply_changes_nothing_the_second_time(history: tuple[Input, ...], reply: Reply) -> None:
    """The copy is recorded and leads to no command and no outcome."""
    given(ORDER, *history, reply).when(reply).then_ignored()


def test_03_a_reply_after_its_time_out_counts_while_its_effect_is_awaited() -> None:
    """The first attempt's late answer settles the effect; the second attempt's answer is then the duplicate."""
    story = given(ORDER, placed(), WAITED).when(reserved(1)).then(commands=[charge()])
    story.when(reserved(2)).then_ignored()


def test_03_a_reply_after_its_step_was_given_up_is_ignored() -> None:
    """The undo is under way, and the saga neither goes forward again nor undoes twice."""
    given(BRIEF, placed(), WAITED, WAITED).when(reserved(2)).then_ignored()


@pytest.mark.parametrize("reply", (charged(), declined(), refunded(), failed("payment:do", for_good=True)))
def test_04_replies_out_of_order_skip_no_step(reply: Reply) -> None:
    """What the payment says before it was asked for is ignored; the reservation is still awaited."""
    story = given(ORDER, placed()).when(reply).then_ignored()
    story.when(reserved()).then(commands=[charge()], state=Running)


@pytest.mark.parametrize(
    ("first", "then"),
    (
        (reserved(), rejected()),
        (reserved(), failed("reservation:do", for_good=True)),
        (rejected(), reserved()),
        (failed("reservation:do", for_good=True), reserved()),
    ),
)
def test_05_of_contradictory_replies_the_first_wins(first: Reply, then: Reply) -> None:
    """The second is recorded for a person to look at, and does not flip the first."""
    given(ORDER, placed(), first).when(then).then_ignored()


@pytest.mark.parametrize("reply", (reserved(), rejected(), released(), failed("reservation:do")))
def test_06_a_reply_for_an_unknown_order_makes_no_saga(reply: Reply) -> None:
    """It is a dead letter, and the order can still be placed."""
    story = given(ORDER).when(reply).then_unacceptable("unknown_order")
    assert isinstance(story.state, NotStarted)


@pytest.mark.parametrize("reply", (reserved(), charged(), declined(), refunded(), failed("payment:do")))
def test_07_a_reply_after_completion_is_ignored(reply: Reply) -> None:
    """A completed order stays completed."""
    given(ORDER, placed(), reserved(), charged()).when(reply).then_ignored()


def test_08_a_payment_that_succeeds_after_it_was_given_up_is_refunded_once() -> None:
    """The refund that is under way covers it, and the order has not gone back before the refund is confirmed."""
    (
        given(BRIEF, placed(), reserved(), WAITED)
        .when(WAITED)
        .then(commands=[refund()])
        .when(charged(2))
        .then_ignored()
        .when(refunded())
        .then(commands=[release(known="r-1")], state=Compensating)
        .when(released())
        .then(outcome=order_rejected("timed out", "payment"), state=RolledBack)
    )


def test_09_a_reservation_that_succeeds_after_its_release_was_sent_needs_no_other_release() -> None:
    """The one release covers it: its participant refuses or undoes whatever comes after."""
    story = given(BRIEF, placed(), cancel()).when(reserved()).then_ignored()
    story.when(released()).then(outcome=order_cancelled(), state=RolledBack)
    story.when(WAITED).then(commands=[release(2)])


def test_10_an_undo_that_fails_for_ever_ends_with_a_person() -> None:
    """A bounded number of attempts with growing pauses, then stuck; never completed and never rolled back."""
    story, sent = given(ORDER, placed(), cancel()), 1
    for _ in range(11):
        failing = story.when(failed("reservation:undo", story.leg.attempt)).then(state=Compensating, leg=Pausing)
        story = failing.when(WAITED).then(commands=[release(sent + 1)], state=Compensating)
        sent += 1
    last = story.when(failed("reservation:undo", sent))
    last.then(outcome=order_stuck("database down", "reservation"), state=Compensating, leg=Stuck)
    assert sent == PATIENT.attempts == 12


def test_10_a_stuck_saga_is_told_to_the_shop() -> None:
    """A person learns of it from the outcome."""
    telling = given(BRIEF, placed(), cancel(), WAITED).when(WAITED)
    telling.then(outcome=order_stuck("timed out", "reservation"), state=Compensating, leg=Stuck)


def test_11_a_lost_reply_to_an_undo_is_asked_for_again_with_the_same_key() -> None:
    """The participant recognises the second attempt by its idempotency key."""
    (again,) = given(ORDER, placed(), cancel()).when(WAITED).sent
    assert again == release(2)
    assert release(2).effect == release(1).effect


def test_12_a_do_refused_because_its_undo_came_first_is_ignored() -> None:
    """What the participant says of the overtaken step changes nothing on the way back."""
    story = given(ORDER, placed(), cancel()).when(rejected(reason="undone before")).then_ignored()
    story.when(released()).then(outcome=order_cancelled(), state=RolledBack)


def test_13_an_order_placed_twice_is_one_saga() -> None:
    """The copy leads to nothing, wherever the saga is by then and whatever id the copy has."""
    for place in STARTED:
        at(place).when(placed()).then_nothing()
        at(place).when(placed(message="sent again")).then_nothing()


def test_14_an_order_with_an_id_that_is_taken_is_a_conflict() -> None:
    """It is a dead letter wherever the first one is by then, and a copy of that one is still a duplicate."""
    for place in STARTED:
        story = at(place).when(placed("bob")).then_unacceptable("conflict")
        story.when(placed()).then_nothing()


@pytest.mark.parametrize("place", places(Completed, RolledBack))
def test_15_the_id_of_an_order_that_ended_stays_taken(place: str) -> None:
    """What is kept of an ended saga is enough to tell its order from another; the order itself is not kept."""
    story = at(place)
    assert story.state.facts.order == {}
    story.when(placed("bob")).then_unacceptable("conflict")
    story.when(placed()).then_nothing()


@pytest.mark.parametrize("place", places(Completed, RolledBack))
def test_15_an_id_is_free_again_once_its_saga_is_forgotten(place: str) -> None:
    """The window in which it stays taken is the saga's own setting; after it the id is as good as new."""
    at(place).when(WAITED).then_forgotten().when(placed("bob")).then(commands=[reserve()], state=Running)


def test_16_a_cancel_and_a_completion_are_decided_by_their_order() -> None:
    """Whichever comes first wins, and the other one is told so."""
    story = given(ORDER, placed(), reserved())
    completed = story.when(charged()).then(outcome=order_completed(), state=Completed)
    completed.when(cancel()).then_cancel_refused("the order is completed")
    story.when(cancel()).then(commands=[refund()], state=Compensating).when(charged()).then_ignored()


def test_17_a_second_cancel_and_one_of_nothing_roll_nothing_back() -> None:
    """The second is refused, and one without an order is a dead letter."""
    given(ORDER, placed(), cancel()).when(cancel()).then_cancel_refused("the order was cancelled before")
    given(ORDER).when(cancel()).then_unacceptable("unknown_order")


@pytest.mark.parametrize(
    ("place", "wish", "reply"),
    (
        ("stuck in the refund", skip(), refunded()),
        ("stuck in the refund", retry(), failed("payment:undo", for_good=True)),
        ("payment asked for", compensate(), charged()),
    ),
)
def test_20_an_operator_and_a_reply_are_decided_by_their_order(place: str, wish: Input, reply: Reply) -> None:
    """Either order is recorded and ends in a lawful state; the one that comes too late acts on what it finds."""
    for first, second in ((wish, reply), (reply, wish)):
        telling = at(place).when(first).after.when(second)
        assert telling.events
        assert isinstance(telling.after.state, Compensating | Stuck | Completed | RolledBack)
        assert len(telling.sent) <= 1


def test_20_a_skip_that_a_late_answer_overtakes_is_refused() -> None:
    """The undo was answered after all: there is nothing left to skip, least of all the next step's undo."""
    story = at("stuck in the refund").when(refunded()).then(commands=[release(known="r-1")])
    story.when(skip()).then_operation_refused("saga.skip", "needs a saga that is stuck")


def test_20_an_answer_that_a_skip_overtakes_is_ignored() -> None:
    """The step is taken as undone already, and the answer is not mistaken for that of the next one."""
    story = at("stuck in the refund").when(skip()).then(commands=[release(known="r-1")])
    story.when(refunded()).then_ignored()


def test_33_a_time_that_came_while_nobody_listened_counts_once() -> None:
    """However late it is told, the next attempt gets its whole time from then on."""
    story = given(ORDER, placed())
    late = story.when(WAITED, at=NOON + 10 * HOUR).then(commands=[reserve(2)])
    assert late.due == NOON + 10 * HOUR + 30 * SECOND


def test_33_an_order_that_nobody_listened_to_for_days_goes_back() -> None:
    """Its deadline passed in between: what was asked for is undone, and what was never asked for is not."""
    late = NOON + 72 * HOUR
    asked = given(ORDER, placed()).when(WAITED, at=late).then(commands=[reserve(2)])
    asked.when(WAITED, at=late).then(commands=[release()], state=Compensating)
    waiting = given(ORDER, Crowded(placed())).when(WAITED, at=late)
    waiting.then(outcome=order_rejected("the order's deadline has passed", "reservation"), state=RolledBack)


def test_33_an_answer_that_came_in_while_nobody_listened_beats_the_deadline() -> None:
    """What lies in the log is read before any time is told: then the order goes on, and has its day from its start."""
    story = given(ORDER, placed(), reserved())
    story.when(charged(), at=NOON + 72 * HOUR).then(outcome=order_completed(), state=Completed)


@pytest.mark.parametrize("place", places(Running, Compensating, legs=(Asked, Pausing)))
def test_34_the_same_time_told_twice_counts_once(place: str) -> None:
    """What waited for that time no longer does."""
    story = at(place)
    told = TimerDue(story.due or 0)
    story.lived(WAITED).when(told).then_nothing()


def test_35_a_reply_and_its_time_out_are_decided_by_their_order() -> None:
    """The reply first: the time comes to nothing. The time first: the reply still answers, one attempt later."""
    story = given(ORDER, placed())
    told = TimerDue(story.due or 0)
    story.when(reserved(), at=told.due_ms).then(commands=[charge()]).when(told).then_nothing()
    story.when(told).then(commands=[reserve(2)]).when(reserved()).then(commands=[charge()])


@pytest.mark.parametrize("jump", (HOUR, -HOUR))
@pytest.mark.parametrize("place", places(Running, Compensating, legs=(Asked, Pausing)))
def test_36_a_clock_that_jumps_moves_nobody(place: str, jump: int) -> None:
    """Only the very time that a state waits for moves it, whatever the clock says; what comes next is timed anew."""
    story = at(place)
    story.when(TimerDue((story.due or 0) + jump), at=NOON + jump).then_nothing()
    told = story.when(WAITED, at=NOON + jump)
    assert told.events
    assert told.after.due is None or told.after.due > NOON + jump


def test_37_of_many_times_at_once_each_is_one_small_decision() -> None:
    """Whatever is due, one time leads to one attempt more or to the end of its step, and to one command at most."""
    for place in PLACES:
        if at(place).due is not None:
            telling = at(place).when(WAITED)
            assert len(telling.sent) <= 1
            assert len(telling.events) <= 2


@pytest.mark.parametrize("place", places(NotStarted, Compensating, Completed, RolledBack, legs=(Stuck, Waiting)))
def test_38_the_time_of_a_saga_that_waits_for_none_comes_to_nothing(place: str) -> None:
    """No matter what it was once set for; one that has ended waits for nothing but to be forgotten."""
    story = at(place)
    assert story.due == getattr(story.state, "forget_ms", None)
    for due in (0, NOON, NOON + 30 * SECOND):
        story.when(TimerDue(due)).then_nothing()


def test_65_a_participant_that_is_down_is_not_flooded() -> None:
    """One whose time ran out waits and sends nothing, again and again, and the order goes on when it is let in."""
    story = given(ORDER, placed())
    for attempt in (2, 3, 4):
        story = story.when(Crowded(WAITED)).then(commands=[], leg=Waiting)
        story = story.when(room_for("reservation")).then(commands=[reserve(attempt)], leg=Asked)
    story.when(reserved(4)).then(commands=[charge()], state=Running)


def test_65_the_return_of_a_participant_compensates_nothing() -> None:
    """However long an order waited to be let in, within its day, its steps still have all their attempts and time."""
    waiting = given(BRIEF, Crowded(placed()))
    story = waiting.when(room_for("reservation"), at=NOON + 20 * HOUR).then(commands=[reserve()], leg=Asked)
    assert story.due == NOON + 20 * HOUR + 30 * SECOND
    story.when(WAITED).then(commands=[reserve(2)], state=Running)
