"""Stories of time: the time-out of each attempt, the pauses between them, and the deadline of the whole order."""

from dataclasses import replace

import pytest

from app.saga.definition import DAY_MS, Command, Retry, Saga, with_policy
from app.saga.effects import SendCommand
from app.saga.messages import TimerDue
from app.saga.state import Asked, Compensating, Completed, Pausing, RolledBack, Running, Stuck, Waiting
from tests.saga.given import NOON, SECOND, WAITED, Crowded, Expected, Said, given, without
from tests.saga.places import at, places
from tests.saga.words import (
    cancel,
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
    room_for,
    skip,
)
from topologies.order import ORDER, PAYMENT, RESERVATION

TOO_LATE = "the order's deadline has passed"
SHORT = with_policy(ORDER, deadline_ms=10 * SECOND)
"""The order's deadline comes before the time-out of any attempt."""
QUICK = with_policy(ORDER, timeout_ms=4 * SECOND, deadline_ms=10 * SECOND)
REFUNDS = [refund(attempt) for attempt in range(1, 13)]
SIDE_BY_SIDE = Saga("order", 1, (RESERVATION, replace(PAYMENT, after=())), deadline_ms=10 * SECOND)


def _too_late(step: str, attempt: int) -> Expected:
    because = {"reason": TOO_LATE, "step": step, "requested": False}
    return {"type": "saga.step.timed_out", "step": step, "attempt": attempt, "because": because}


# the deadline of the order


def test_an_order_has_a_day() -> None:
    """The deadline is counted from when the order was taken in, stands in the log, and stays when steps are done."""
    telling = given(ORDER).when(placed(), at=5)
    assert telling.events[0].get("deadline_ms") == 5 + DAY_MS
    story = telling.after
    assert story.state.deadline_ms == 5 + DAY_MS
    assert story.lived(reserved()).state.deadline_ms == 5 + DAY_MS


def test_a_deadline_before_any_step_was_asked_for_ends_the_order() -> None:
    """There is nothing to undo: the shop hears at once."""
    telling = given(SHORT, Crowded(placed())).when(WAITED)
    events: list[Expected] = [_too_late("reservation", 0), "saga.rolled_back"]
    telling.then(outcome=order_rejected(TOO_LATE, "reservation"), events=events, state=RolledBack)


@pytest.mark.parametrize(
    ("history", "late", "undo"),
    (
        ((placed(),), _too_late("reservation", 1), release()),
        ((placed(), reserved()), _too_late("payment", 1), refund()),
        ((placed(), Crowded(failed("reservation:do"))), _too_late("reservation", 1), release()),
        ((placed(), Crowded(reserved())), _too_late("payment", 0), release(known="r-1")),
    ),
    ids=("mid-step", "in the second step", "waiting to be asked for again", "waiting to be asked for at all"),
)
def test_at_its_deadline_an_order_goes_back(history: tuple[Said, ...], late: Expected, undo: SendCommand) -> None:
    """A step that was asked for may have happened and is undone first; one that never was is not."""
    events = [late, "saga.compensation.requested"]
    given(SHORT, *history).when(WAITED).then(commands=[undo], events=events, state=Compensating, leg=Asked)


def test_a_deadline_in_a_pause_does_not_wait_for_its_end() -> None:
    """What failed for the moment may have happened, and is undone."""
    paused = given(SHORT, placed()).when(failed("reservation:do"), at=NOON + 9_950).then(state=Running, leg=Pausing)
    assert paused.due == NOON + 10 * SECOND < paused.leg.due_ms
    events: list[Expected] = [_too_late("reservation", 1), "saga.compensation.requested"]
    paused.when(WAITED).then(commands=[release()], events=events, state=Compensating)


def test_a_deadline_while_a_silent_step_waits_for_room_undoes_it() -> None:
    """It was asked for once, and is not asked for again."""
    waiting = given(QUICK, placed()).when(Crowded(WAITED)).then(events=["saga.step.timed_out"], leg=Waiting)
    assert waiting.due == NOON + 10 * SECOND
    waiting.when(WAITED).then(commands=[release()], events=[_too_late("reservation", 1), "saga.compensation.requested"])


def test_the_shop_learns_that_it_took_too_long() -> None:
    """An order that its deadline turned back is rejected, with the step that it was in, once all is undone."""
    story = given(SHORT, placed(), reserved(), WAITED).when(refunded()).then(commands=[release(known="r-1")])
    story.when(released()).then(outcome=order_rejected(TOO_LATE, "payment"), state=RolledBack)


def test_an_undo_at_the_deadline_waits_for_room_like_any_other() -> None:
    """The order has turned back, and asks for the undo when it is let in."""
    late = given(SHORT, placed()).when(Crowded(WAITED))
    waiting = late.then(events=[_too_late("reservation", 1)], state=Compensating, leg=Waiting)
    waiting.when(room_for("reservation")).then(commands=[release()], leg=Asked)


@pytest.mark.parametrize("place", places(Compensating, Completed, RolledBack))
def test_the_deadline_of_an_order_that_goes_back_or_has_ended_has_no_effect(place: str) -> None:
    """It is no longer kept, and comes to nothing if it is told all the same; undoing takes the time that it takes."""
    story = at(place)
    assert not hasattr(story.state, "deadline_ms")
    story.when(TimerDue(story.state.facts.started_ms + DAY_MS)).then_nothing()


def test_an_order_that_turned_back_before_its_deadline_keeps_its_reason() -> None:
    """Cancelled in time is cancelled, however long the undoing takes."""
    story = given(SHORT, placed(), cancel()).when(TimerDue(NOON + 10 * SECOND)).then_nothing()
    story.when(released(), at=NOON + DAY_MS).then(outcome=order_cancelled(), state=RolledBack)


@pytest.mark.parametrize("early", (1, SECOND, DAY_MS))
def test_a_deadline_is_told_to_the_millisecond(early: int) -> None:
    """Another time than the very one comes to nothing, and the answer in the last moment counts."""
    story = given(SHORT, placed(), reserved()).when(TimerDue(NOON + 10 * SECOND - early)).then_nothing()
    story.when(charged(), at=NOON + 10 * SECOND).then(outcome=order_completed(), state=Completed)


def test_the_time_out_of_an_attempt_comes_before_a_later_deadline() -> None:
    """Attempt after attempt is timed until the deadline is the next time, which ends them all."""
    story, dues = given(QUICK, placed()), []
    for attempt in (2, 3):
        dues.append(story.due)
        story = story.when(WAITED).then(commands=[reserve(attempt)], leg=Asked)
    assert [*dues, story.due] == [NOON + 4 * SECOND, NOON + 8 * SECOND, NOON + 10 * SECOND]
    story.when(WAITED).then(commands=[release()], events=[_too_late("reservation", 3), "saga.compensation.requested"])


def test_a_deadline_that_comes_with_a_time_out_wins() -> None:
    """Of two ends in one millisecond the order's is the one that counts: nothing is asked for again."""
    story = given(with_policy(ORDER, timeout_ms=10 * SECOND, deadline_ms=10 * SECOND), placed())
    assert story.due == story.leg.due_ms == story.state.deadline_ms
    story.when(WAITED).then(commands=[release()], events=[_too_late("reservation", 1), "saga.compensation.requested"])


def test_a_deadline_that_passed_while_nobody_listened_is_told_late_and_counts_once() -> None:
    """After days of downtime: the earlier time-out first, then the deadline, and the order is on its way back."""
    story = given(ORDER, placed()).when(WAITED, at=NOON + 3 * DAY_MS).then(commands=[reserve(2)])
    deadline = TimerDue(story.due or 0)
    assert deadline.due_ms == NOON + DAY_MS
    back = story.when(deadline).then(commands=[release()], state=Compensating)
    back.when(deadline).then_nothing()


def test_an_order_may_be_without_a_deadline() -> None:
    """Then nothing but its attempts is timed, and one that waits for room waits for no time at all."""
    endless = replace(ORDER, deadline_ms=None)
    telling = given(endless).when(Crowded(placed()))
    assert "deadline_ms" not in telling.events[0]
    story = telling.then(state=Running, leg=Waiting)
    assert story.due is None
    assert story.lived(room_for("reservation")).due == story.at + 30 * SECOND


def test_a_deadline_ends_all_steps_that_run_side_by_side() -> None:
    """Each that was asked for is told as timed out, the last of them turns the saga, and all of them are undone."""
    story = given(SIDE_BY_SIDE).when(placed()).then(commands=[reserve(), charge()])
    because = {"reason": TOO_LATE, "step": "payment", "requested": False}
    timed_out = {"type": "saga.step.timed_out", "attempt": 1}
    events = [{**timed_out, "step": "reservation"}, {**timed_out, "step": "payment", "because": because}]
    late = story.when(WAITED)
    assert late.events[:2] == events
    late.then(commands=[release(), refund()], state=Compensating)


def test_a_deadline_is_not_told_of_a_step_that_was_not_asked_for_while_another_was() -> None:
    """Side by side with one that waits for room: only the one that was asked for is timed out, and undone."""
    story = given(SIDE_BY_SIDE).when(placed(), room=without("payment")).then(commands=[reserve()])
    late = story.when(WAITED)
    late.then(commands=[release()], events=[_too_late("reservation", 1), "saga.compensation.requested"])


# the time-out of an attempt


@pytest.mark.parametrize("place", places(Running, Compensating, legs=(Asked,)))
def test_each_attempt_is_given_its_whole_time(place: str) -> None:
    """An answer is awaited for thirty seconds from when this attempt was asked for."""
    leg = at(place).leg
    assert leg.due_ms == leg.asked_ms + 30 * SECOND
    again = at(place).when(WAITED, at=NOON + DAY_MS // 2).after
    if again.state != at(place).state and type(again.leg) is Asked:
        assert again.leg.due_ms == again.leg.asked_ms + 30 * SECOND == NOON + DAY_MS // 2 + 30 * SECOND


def test_the_time_of_an_attempt_counts_from_when_it_was_let_in() -> None:
    """Waiting for room takes nothing off the participant's time."""
    story = given(ORDER, Crowded(placed())).when(room_for("reservation"), at=NOON + 3_600 * SECOND).after
    assert story.due == NOON + 3_630 * SECOND


def test_every_attempt_has_the_same_idempotency_key() -> None:
    """After a time-out, after a pause, after waiting and after an operator's retry: new ids, and one key."""
    story = given(ORDER, placed(), WAITED, failed("reservation:do", 2), WAITED, Crowded(WAITED))
    story = story.lived(room_for("reservation"))
    sent = [effect for effect in story.sent if isinstance(effect, SendCommand)]
    assert sent == [reserve(attempt) for attempt in (1, 2, 3, 4)]
    assert {command.effect for command in sent} == {"o-1:reservation:do"}
    assert len({command.id for command in sent}) == len(sent)


def test_two_time_outs_at_once_are_two_decisions() -> None:
    """Each has its own cause and its own outcome, and the same time is told again; one retry sees to both at once."""
    story = given(with_policy(SIDE_BY_SIDE, attempts=1), placed(), cancel())
    assert [leg.due_ms for leg in story.state.legs] == [story.due] * 2
    first = story.when(WAITED).then(outcome=order_stuck("timed out", "reservation"), state=Compensating)
    assert first.due == story.due
    second = first.when(WAITED).then(outcome=order_stuck("timed out", "payment"), state=Compensating)
    assert [type(leg) for leg in second.state.legs] == [Stuck, Stuck]
    assert second.due is None
    retried = second.when(retry())
    assert retried.events[0].get("steps") == ["reservation", "payment"]
    retried.then(commands=[release(2), refund(2)], state=Compensating)
    skipped = second.when(skip(step="payment")).then(events=["saga.operated"], state=Compensating)
    events: list[Expected] = ["saga.operated", "saga.rolled_back"]
    skipped.when(skip(step="reservation")).then(outcome=order_cancelled(), events=events, state=RolledBack)


# the pause between attempts


def test_the_pause_after_a_failure_follows_from_the_command() -> None:
    """The same order pauses for the same time whenever it is asked, so that a second run of the log gives the same."""
    pauses = []
    for noon in (NOON, NOON + DAY_MS):
        telling = given(ORDER, placed()).when(failed("reservation:do"), at=noon)
        pauses.append(telling.after.leg.due_ms - noon)
    assert pauses == [ORDER.steps[0].do.retry.pause_ms(1, "o-1:reservation:do:1")] * 2


def test_orders_that_fail_together_do_not_come_back_together() -> None:
    """Half of the pause is spread over the orders: a participant that was down is not hit by all in one moment."""
    retry = Retry(first_pause_ms=1_000)
    pauses = [retry.pause_ms(1, f"o-{order}:payment:do:1") for order in range(1_000)]
    assert min(pauses) >= 500
    assert max(pauses) <= 1_000
    assert all(sum(low <= pause < low + 100 for pause in pauses) > 50 for low in range(500, 1_000, 100))


def test_the_pause_doubles_up_to_the_longest() -> None:
    """However many failures there were."""
    retry = Retry(first_pause_ms=100, longest_pause_ms=1_000)
    for failures, whole in enumerate((100, 200, 400, 800, 1_000, 1_000), start=1):
        assert whole // 2 <= retry.pause_ms(failures, "o-1:payment:do:1") <= whole
    assert 500 <= retry.pause_ms(10**9, "o-1:payment:do:1") <= 1_000


def test_undoing_is_more_patient_than_doing() -> None:
    """What is given up forward can still be undone; what can't be undone needs a person, so it is tried for longer."""
    for step in ORDER.steps:
        assert step.undo is not None
        assert _patience_ms(step.undo) > 10 * _patience_ms(step.do)


def test_a_patient_undo_ends_with_a_person() -> None:
    """Twelve attempts, whether they fail or are not answered; then the saga is stuck, and waits for no time."""
    story = given(ORDER, placed(), reserved(), cancel())
    for attempt in range(1, 12):
        if attempt % 2:
            story = story.when(WAITED).then(commands=[refund(attempt + 1)], state=Compensating, leg=Asked)
        else:
            story = story.lived(failed("payment:undo", attempt)).lived(WAITED)
    stuck = story.when(WAITED).then(outcome=order_stuck("timed out", "payment"), state=Compensating, leg=Stuck)
    assert stuck.due is None
    assert [effect for effect in stuck.sent if effect in REFUNDS] == REFUNDS


def _patience_ms(command: Command) -> int:
    """How long (ms) it pauses at least in all its failures."""
    retry = command.retry
    return sum(retry.pause_ms(failures, "any") for failures in range(1, retry.attempts))
