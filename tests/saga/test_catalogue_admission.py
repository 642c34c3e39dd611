"""The failure catalogue, row 65: participants that are slow or down. Steps without capacity are queued.

The engine decides which saga is admitted next: a queued step gets an input when its participant has capacity.
"""

import pytest

from app.saga.outputs import SendCommand
from app.saga.state import BackingOff, Compensating, Completed, InFlight, Queued, RolledBack, Running, Stuck
from tests.saga.order_messages import (
    TWO_ATTEMPTS,
    cancel,
    capacity_for,
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
    skip,
)
from tests.saga.situations import ONE_WAY_SITUATIONS, SITUATIONS, at, kind_of, situations
from tests.saga.story import NEXT_TIMER, NOON, SECOND, AtCapacity, StoryInput, given, no_capacity, no_capacity_for
from topologies.order import ORDER

HOUR = 3_600 * SECOND
QUEUED = situations(Running, Compensating, active_steps=(Queued,))


def test_65_a_participant_that_is_down_is_not_flooded() -> None:
    """A step that timed out is queued and sends nothing until it is admitted, however often; then the order goes on."""
    story = given(ORDER, placed())
    for attempt in (2, 3, 4):
        timed_out = story.when(NEXT_TIMER, try_acquire=no_capacity_for("reservation"))
        queued = Queued("reservation", attempt - 1, 1)
        story = timed_out.then(commands=[], events=["saga.step.timed_out"], state=Running, active=queued)
        story = story.when(capacity_for("reservation")).then(
            commands=[reserve(attempt)], events=["saga.step.requested"], active=InFlight
        )
    story.when(reserved(4)).then(commands=[charge()], state=Running)


def test_65_the_return_of_a_participant_compensates_nothing() -> None:
    """However long a step was queued before the deadline, it has all its attempts, each with its whole time-out."""
    queued = given(TWO_ATTEMPTS, AtCapacity(placed()))
    story = queued.when(capacity_for("reservation"), at=NOON + 20 * HOUR).then(commands=[reserve()], active=InFlight)
    assert story.due == NOON + 20 * HOUR + 30 * SECOND
    story.when(NEXT_TIMER).then(commands=[reserve(2)], state=Running)


def test_waiting_for_capacity_spends_no_attempts() -> None:
    """As many attempts are sent as without any wait."""
    story = given(TWO_ATTEMPTS, AtCapacity(placed()))
    story = story.when(capacity_for("reservation"), at=NOON + HOUR).then(commands=[reserve()])
    story = story.when(AtCapacity(NEXT_TIMER)).then(active=Queued)
    story = story.when(capacity_for("reservation"), at=NOON + 3 * HOUR).then(commands=[reserve(2)])
    story.when(AtCapacity(NEXT_TIMER)).then(state=Compensating, active=Queued("reservation", 0, 1))


def test_an_order_without_capacity_is_queued_until_it_is_admitted() -> None:
    """The order is accepted and nothing is sent; once there is capacity, its first attempt is."""
    (
        given(ORDER)
        .when(placed(), try_acquire=no_capacity)
        .then(events=["saga.started"], state=Running, active=Queued("reservation", 0, 1, "placed"))
        .when(capacity_for("reservation"))
        .then(commands=[reserve()], events=["saga.step.requested"], state=Running, active=InFlight)
        .when(reserved())
        .then(commands=[charge()])
        .when(charged())
        .then(outcome=order_completed(), state=Completed)
    )


def test_each_step_has_a_capacity_of_its_own() -> None:
    """A payment service without capacity delays no reservation, and the other way round."""
    first = given(ORDER).when(placed(), try_acquire=no_capacity_for("payment"))
    story = first.then(commands=[reserve()], active=InFlight)
    queued = story.when(reserved(), try_acquire=no_capacity_for("payment"))
    queued.then(events=["saga.step.succeeded"], state=Running, active=Queued("payment", 0, 1, "reply"))
    requested = story.when(reserved(), try_acquire=no_capacity_for("reservation"))
    requested.then(commands=[charge()], active=InFlight)


def test_a_participant_without_capacity_can_still_answer() -> None:
    """A reply needs no capacity; the order ends as usual."""
    story = given(ORDER, placed(), reserved())
    story.when(charged(), try_acquire=no_capacity).then(outcome=order_completed(), state=Completed)


@pytest.mark.parametrize("situation", (*SITUATIONS, *ONE_WAY_SITUATIONS))
def test_capacity_is_only_for_the_queued_step(situation: str) -> None:
    """For any other step, for a saga without a queued step, and the second time, it changes nothing."""
    story, is_queued = at(situation), kind_of(situation).active is Queued
    for step in ("reservation", "payment", "shipping", "billing", ""):
        if is_queued and step == story.active.step:
            after = story.moved_by(capacity_for(step))
            assert type(after.active) is InFlight
            after.when(capacity_for(step)).then_no_change()
        else:
            story.when(capacity_for(step)).then_no_change()


@pytest.mark.parametrize("situation", QUEUED)
def test_capacity_sends_the_next_attempt(situation: str) -> None:
    """Attempts are numbered on, none is spent on the wait, and the time-out starts when the command is sent."""
    story, later = at(situation), NOON + HOUR
    step, attempt, first = story.active.step, story.active.attempt + 1, story.active.first
    kind = "step" if kind_of(situation).state is Running else "compensation"
    requested = {"type": f"saga.{kind}.requested", "step": step, "attempt": attempt}
    reaction = story.when(capacity_for(step), at=later)
    assert reaction.events == [{**requested, "at_ms": later, "due_ms": later + 30 * SECOND}]
    assert [output.id for output in reaction.sent if isinstance(output, SendCommand)] == [
        f"o-1:{step}:{'do' if kind == 'step' else 'undo'}:{attempt}"
    ]
    assert reaction.after.active == InFlight(step, attempt, first, later, later + 30 * SECOND)


def test_a_queued_step_has_no_timer_but_the_deadline() -> None:
    """No command is in flight that could time out. A queued undo has no timer at all."""
    for situation in situations(Running, active_steps=(Queued,)):
        assert at(situation).due == at(situation).state.deadline_ms
    for situation in situations(Compensating, active_steps=(Queued,)):
        assert at(situation).due is None


# steps that were sent before, and are queued again


def test_a_step_that_failed_backs_off_only_if_it_keeps_its_slot() -> None:
    """Then it is sent again after the backoff, whatever else is queued. Without its slot it is queued anew."""
    story = given(ORDER, placed())
    failing = story.when(failed("reservation:do"), try_acquire=no_capacity)
    backing_off = failing.then(events=["saga.step.failed"], active=BackingOff)
    assert "retry_due_ms" in failing.events[0]
    backing_off.when(NEXT_TIMER, try_acquire=no_capacity).then(commands=[reserve(2)], active=InFlight)
    failing = story.when(failed("reservation:do"), keeps_slot=no_capacity_for("reservation"))
    queued = failing.then(events=["saga.step.failed"], active=Queued("reservation", 1, 1, "reply"))
    assert "retry_due_ms" not in failing.events[0]
    queued.when(capacity_for("reservation")).then(commands=[reserve(2)], active=InFlight)


@pytest.mark.parametrize("situation", ("reservation queued again", "reservation queued after a failure"))
def test_a_reply_to_a_step_that_is_queued_again_still_counts(situation: str) -> None:
    """A reply to an earlier attempt settles the step, and no other attempt is sent."""
    story = at(situation)
    settled = story.when(reserved()).then(commands=[charge()], state=Running)
    settled.when(capacity_for("reservation")).then_no_change()
    story.when(rejected()).then(outcome=order_rejected("out of stock", "reservation"), state=RolledBack)
    story.when(failed("reservation:do", for_good=True)).then(commands=[release()], state=Compensating)
    story.when(failed("reservation:do")).then_ignored()


@pytest.mark.parametrize("reply", (reserved(), rejected(), failed("reservation:do", for_good=True)))
def test_a_reply_to_a_command_that_was_never_sent_is_ignored(reply: StoryInput) -> None:
    """Before the step is admitted there is no attempt that a reply could name."""
    given(ORDER, AtCapacity(placed())).when(reply).then_ignored()


# rolling back while queued


@pytest.mark.parametrize(("given_input", "reason"), ((cancel(), "changed my mind"), (compensate(), "fraud")))
def test_a_step_that_was_never_requested_is_not_undone(given_input: StoryInput, reason: str) -> None:
    """With its first step queued, an order is rolled back at once; with its second, only the first is undone."""
    reaction = given(ORDER, AtCapacity(placed())).when(given_input)
    reaction.then(outcome=order_cancelled(reason), state=RolledBack)
    assert reaction.events[-1]["type"] == "saga.rolled_back"
    back = given(ORDER, placed(), AtCapacity(reserved())).when(given_input)
    back = back.then(commands=[release(known="r-1")], state=Compensating).when(released())
    back.then(outcome=order_cancelled(reason), state=RolledBack)


@pytest.mark.parametrize(
    ("situation", "undo"),
    (
        ("reservation queued again", release()),
        ("reservation queued after a failure", release()),
        ("payment queued again", refund()),
    ),
)
def test_a_step_that_was_requested_once_is_undone_though_it_is_queued(situation: str, undo: SendCommand) -> None:
    """An attempt without a reply may have happened."""
    at(situation).when(cancel()).then(commands=[undo], state=Compensating, active=InFlight)


def test_capacity_after_a_cancel_is_not_used() -> None:
    """Neither by an order that has ended, nor for a step that is not needed any more."""
    given(ORDER, AtCapacity(placed()), cancel()).when(capacity_for("reservation")).then_no_change()
    given(ORDER, placed(), AtCapacity(reserved()), cancel()).when(capacity_for("payment")).then_no_change()


def test_an_undo_is_queued_too() -> None:
    """The saga starts to roll back at once, sends each undo when it is admitted, and the outcome after the last one."""
    (
        given(ORDER, placed(), reserved())
        .when(cancel(), try_acquire=no_capacity)
        .then(events=["saga.cancel.requested"], state=Compensating, active=Queued("payment", 0, 1, "cancel"))
        .when(capacity_for("payment"))
        .then(commands=[refund()], events=["saga.compensation.requested"], active=InFlight)
        .when(refunded(), try_acquire=no_capacity_for("reservation"))
        .then(events=["saga.compensation.succeeded"], active=Queued("reservation", 0, 1, "reply"))
        .when(capacity_for("reservation"))
        .then(commands=[release(known="r-1")], active=InFlight)
        .when(released(), try_acquire=no_capacity)
        .then(outcome=order_cancelled(), state=RolledBack)
    )


def test_a_queued_undo_is_not_overtaken() -> None:
    """The step before it is not undone first, even if that step has capacity."""
    cancelled = given(ORDER, placed(), reserved()).when(cancel(), try_acquire=no_capacity_for("payment"))
    story = cancelled.then(active=Queued)
    assert story.state.left == ("reservation",)
    story.when(capacity_for("reservation")).then_no_change()


def test_an_undo_that_timed_out_is_queued_and_its_late_reply_counts() -> None:
    """As for a step that is done: no attempt is sent without capacity, and none is needed after the reply."""
    timed_out = given(ORDER, placed(), cancel()).when(NEXT_TIMER, try_acquire=no_capacity)
    queued = timed_out.then(events=["saga.compensation.timed_out"], active=Queued("reservation", 1, 1))
    queued.when(released()).then(outcome=order_cancelled(), state=RolledBack)


def test_a_cancel_of_an_order_with_a_queued_undo_is_refused() -> None:
    """It is rolling back already, though nothing has been sent yet."""
    at("refund queued").when(cancel()).then_cancel_refused("the order was cancelled before")


# operators and queued steps


def test_an_operators_retry_is_queued() -> None:
    """It is recorded at once, the attempts count anew, and the undo is sent when it is admitted."""
    retried = at("stuck in the refund").when(retry(), try_acquire=no_capacity_for("payment"))
    queued = retried.then(events=["saga.operated"], state=Compensating, active=Queued("payment", 1, 2, "retry"))
    queued.when(failed("payment:undo", 1, for_good=True)).then_ignored()
    requested = queued.when(capacity_for("payment")).then(commands=[refund(2)], active=InFlight)
    stuck = requested.moved_by(NEXT_TIMER).when(NEXT_TIMER)
    stuck.then(outcome=order_stuck("timed out", "payment"), state=Compensating, active=Stuck)


def test_a_skip_goes_on_to_a_queued_undo() -> None:
    """The skipped step counts as done; the undo of the step before it is queued like any other."""
    story = at("stuck in the refund").when(skip(), try_acquire=no_capacity_for("reservation"))
    story.then(events=["saga.operated"], state=Compensating, active=Queued("reservation", 0, 1, "skip"))


@pytest.mark.parametrize("situation", QUEUED)
def test_a_queued_step_is_not_stuck(situation: str) -> None:
    """An operator can neither retry nor skip it: it goes on by itself."""
    at(situation).when(retry()).then_operation_refused("saga.retry", "needs a saga that is stuck")
    at(situation).when(skip()).then_operation_refused("saga.skip", "needs a saga that is stuck")
