"""Stories of the pivot, the point of no return: before it a saga can roll back, after it only go forward."""

from dataclasses import replace

import pytest

from app.saga.definition import Saga
from app.saga.handlers.attempts import TIMED_OUT, TOO_LATE
from app.saga.messages import CapacityAvailable, Operation, Refused
from app.saga.outputs import SendCommand
from app.saga.state import BackingOff, Compensating, Completed, InFlight, Queued, RolledBack, Running, Stuck
from tests.saga.order_messages import (
    ID,
    cancel,
    compensate,
    order_cancelled,
    order_rejected,
    order_stuck,
    placed,
    retry,
    skip,
)
from tests.saga.steps import broke, completed, do, done, refused, step, undo, undone
from tests.saga.story import NEXT_TIMER, NOON, SECOND, AtCapacity, StoryInput, given

STOCK, PAY, SHIP = step("stock"), step("pay", kind="pivot"), step("ship", kind="retriable")
FINAL_PAY = Saga("final", 1, (STOCK, PAY, SHIP), deadline_ms=200_000)
"""The payment has no undo: whether it happened must be known before anything is undone."""
SOFT_PAY = Saga("soft", 1, (STOCK, step("pay", kind="pivot", undo=True), SHIP), deadline_ms=200_000)
"""The payment can be undone until its success is known."""
BOTH = (FINAL_PAY, SOFT_PAY)
TOO_LATE_TO_CANCEL = "the order can't be undone any more"
IN_DOUBT: tuple[StoryInput, ...] = (placed(), done("stock"), broke("pay", for_good=True))
PAID: tuple[StoryInput, ...] = (placed(), done("stock"), done("pay"))
UNSHIPPED: tuple[StoryInput, ...] = (*PAID, broke("ship", for_good=True))


def name(saga: Saga) -> str:
    """The name of a saga in test ids."""
    return saga.name


both = pytest.mark.parametrize("saga", BOTH, ids=name)


@both
def test_a_saga_with_a_pivot_runs_to_its_end(saga: Saga) -> None:
    """If all goes well, the pivot makes no difference."""
    story = given(saga, *PAID)
    assert story.state.deadline_ms is None
    story.when(done("ship")).then(outcome=completed("stock", "pay", "ship"), state=Completed)


# before


@both
def test_before_the_pivot_an_order_can_be_cancelled(saga: Saga) -> None:
    """Every active step can be undone."""
    story = given(saga, placed()).when(cancel()).then(commands=[undo("stock")], state=Compensating)
    story.when(undone("stock")).then(outcome=order_cancelled(), state=RolledBack)


@both
def test_a_queued_pivot_was_not_requested(saga: Saga) -> None:
    """Until its command is sent nothing is in doubt: a cancel is accepted, and the deadline stands."""
    story = given(saga, placed(), AtCapacity(done("stock")))
    assert (type(story.active), story.state.deadline_ms) == (Queued, NOON + 200_000)
    story.when(cancel()).then(commands=[undo("stock", known=True)], state=Compensating)
    story.when(compensate()).then(commands=[undo("stock", known=True)], state=Compensating)


@both
def test_the_deadline_gives_up_a_queued_pivot(saga: Saga) -> None:
    """Only the step that was done before it is undone."""
    story = given(saga, placed(), AtCapacity(done("stock")))
    story = story.when(NEXT_TIMER).then(commands=[undo("stock", known=True)], state=Compensating)
    story.when(undone("stock")).then(outcome=order_rejected(TOO_LATE, "pay"), state=RolledBack)


@both
def test_a_pivot_can_be_refused(saga: Saga) -> None:
    """After a refusal it is known that it did not happen."""
    story = given(saga, placed(), done("stock")).when(refused("pay"))
    back = story.then(commands=[undo("stock", known=True)], state=Compensating)
    back.when(undone("stock")).then(outcome=order_rejected("no pay", "pay"), state=RolledBack)


# while it is in doubt: with no undo


def test_once_requested_a_pivot_without_undo_can_be_neither_cancelled_nor_compensated() -> None:
    """If it happens, it can't be undone."""
    story = given(FINAL_PAY, placed(), done("stock"))
    story.when(cancel()).then_cancel_refused(TOO_LATE_TO_CANCEL)
    story.when(compensate()).then_operation_refused("saga.compensate", "needs a saga that can still go back")


def test_the_deadline_ends_when_the_pivot_is_requested() -> None:
    """From then on only the time-out of the pivot is waited for."""
    story = given(FINAL_PAY, placed())
    assert story.state.deadline_ms == NOON + 200_000
    story = story.when(done("stock"), at=NOON + 199_000).then(commands=[do("pay")])
    assert story.state.deadline_ms is None
    story.when(NEXT_TIMER).then(commands=[do("pay", 2)], active=InFlight)


@pytest.mark.parametrize(
    ("history", "last", "reason"),
    (
        ((NEXT_TIMER,), NEXT_TIMER, TIMED_OUT),
        ((), broke("pay", for_good=True), "broken"),
        ((broke("pay"), NEXT_TIMER), broke("pay", attempt=2), "broken"),
        ((NEXT_TIMER,), broke("pay", attempt=2), "broken"),
    ),
)
def test_a_pivot_in_doubt_gets_stuck(history: tuple[StoryInput, ...], last: StoryInput, reason: str) -> None:
    """Whatever used up its attempts: nothing is undone until an operator knows whether it happened."""
    story = given(FINAL_PAY, placed(), done("stock"), *history).when(last)
    story.then(outcome=order_stuck(reason, "pay"), state=Running, active=Stuck)


def test_a_stuck_pivot_has_no_timer() -> None:
    """The state has the time since when it is stuck, and the reason."""
    story = given(FINAL_PAY, *IN_DOUBT)
    assert story.due is None
    assert story.active == Stuck("pay", 1, 1, NOON + 2 * SECOND, "broken")


def test_a_stuck_pivot_is_retried() -> None:
    """With fresh attempts and the same key; once it is done, the saga goes on."""
    story = given(FINAL_PAY, *IN_DOUBT).when(retry()).then(commands=[do("pay", 2)], state=Running, active=InFlight)
    story = story.when(NEXT_TIMER).then(commands=[do("pay", 3)])
    story.when(done("pay", 3)).then(commands=[do("ship")], state=Running)


def test_a_stuck_pivot_that_is_skipped_was_done() -> None:
    """An operator saw that it happened: the saga goes forward, without a result of the pivot."""
    story = given(FINAL_PAY, *IN_DOUBT).when(skip()).then(commands=[do("ship")], state=Running)
    story.when(cancel()).then_cancel_refused(TOO_LATE_TO_CANCEL)
    story.when(done("ship")).then(outcome=completed("stock", "ship"), state=Completed)


def test_a_stuck_pivot_that_is_compensated_was_never_done() -> None:
    """An operator saw that it did not happen, or has undone it by hand: only the steps before it are undone."""
    story = given(FINAL_PAY, *IN_DOUBT).when(compensate("never arrived"))
    back = story.then(commands=[undo("stock", known=True)], state=Compensating)
    back.when(undone("stock")).then(outcome=order_cancelled("never arrived"), state=RolledBack)


def test_a_stuck_pivot_cannot_be_cancelled() -> None:
    """The shop doesn't know whether it happened."""
    given(FINAL_PAY, *IN_DOUBT).when(cancel()).then_cancel_refused(TOO_LATE_TO_CANCEL)


def test_a_retried_and_queued_pivot_is_still_in_doubt() -> None:
    """It was requested before: it can't be taken as never done until it is stuck again."""
    story = given(FINAL_PAY, *IN_DOUBT, AtCapacity(retry()))
    assert story.active == Queued("pay", 1, 2, "retry")
    story.when(cancel()).then_cancel_refused(TOO_LATE_TO_CANCEL)
    story.when(compensate()).then_operation_refused("saga.compensate", "needs a saga that can still go back")
    story.when(CapacityAvailable("pay")).then(commands=[do("pay", 2)])


@pytest.mark.parametrize(
    ("late", "commands", "state"),
    (
        (done("pay"), [do("ship")], Running),
        (refused("pay"), [undo("stock", known=True)], Compensating),
    ),
)
def test_a_late_reply_settles_a_stuck_pivot(
    late: StoryInput, commands: list[SendCommand], state: type[Running]
) -> None:
    """Its result is known then, and no operator is needed."""
    given(FINAL_PAY, *IN_DOUBT).when(late).then(commands=commands, state=state)


def test_a_success_of_a_pivot_that_was_taken_as_never_done_is_recorded() -> None:
    """It can't be undone: the history says that an operator must look at it again."""
    story = given(FINAL_PAY, *IN_DOUBT, compensate("never arrived"))
    reason = "pay was taken as never done, and can't be undone: see to it"
    ignored = {"type": "saga.reply.ignored", "reply": "pay.yes", "command": f"{ID}:pay:do:1", "reason": reason}
    story = story.when(done("pay")).then(events=[ignored], state=story.state)
    story.when(undone("stock")).then(outcome=order_cancelled("never arrived"), state=RolledBack)


@pytest.mark.parametrize(
    ("saga", "history", "late"),
    (
        (FINAL_PAY, (*IN_DOUBT, compensate()), done("stock")),
        (FINAL_PAY, (*IN_DOUBT, compensate()), refused("pay")),
        (SOFT_PAY, (placed(), done("stock"), cancel()), done("pay")),
    ),
    ids=("a step that is being undone", "a refusal", "a pivot that is being undone"),
)
def test_no_other_late_reply_needs_an_operator(saga: Saga, history: tuple[StoryInput, ...], late: StoryInput) -> None:
    """If an undo is in flight, or nothing was done, there is nothing to look at."""
    reaction = given(saga, *history).when(late)
    reaction.then_ignored()
    assert "see to it" not in str(reaction.events)


# while it is in doubt: with an undo


@pytest.mark.parametrize("given_input", (cancel(), compensate("changed my mind")))
def test_a_pivot_with_an_undo_can_be_stopped_while_it_is_in_doubt(given_input: StoryInput) -> None:
    """It is undone like any step that may have happened."""
    story = given(SOFT_PAY, placed(), done("stock"))
    assert story.state.deadline_ms == NOON + 200_000
    back = story.when(given_input).then(commands=[undo("pay")], state=Compensating)
    back = back.when(undone("pay")).then(commands=[undo("stock", known=True)])
    back.when(undone("stock")).then(outcome=order_cancelled(), state=RolledBack)


def test_a_pivot_with_an_undo_that_is_given_up_rolls_back() -> None:
    """A step in doubt is undone if it has an undo."""
    story = given(SOFT_PAY, placed(), done("stock"), NEXT_TIMER).when(NEXT_TIMER)
    story.then(commands=[undo("pay")], state=Compensating)
    given(SOFT_PAY, placed(), done("stock")).when(broke("pay", for_good=True)).then(commands=[undo("pay")])


def test_the_deadline_undoes_a_pivot_in_doubt() -> None:
    """It is not done, so the saga can still roll back."""
    saga = replace(SOFT_PAY, deadline_ms=20_000)
    story = given(saga, placed(), done("stock")).when(NEXT_TIMER).then(commands=[undo("pay")], state=Compensating)
    story.moved_by(undone("pay")).when(undone("stock")).then(outcome=order_rejected(TOO_LATE, "pay"), state=RolledBack)


def test_a_stuck_undo_of_a_pivot_is_skipped() -> None:
    """In a rollback a pivot is a step like any other."""
    history = (placed(), done("stock"), cancel(), broke("pay", "undo", for_good=True))
    story = given(SOFT_PAY, *history).when(skip()).then(commands=[undo("stock", known=True)], state=Compensating)
    story.when(undone("stock")).then(outcome=order_cancelled(), state=RolledBack)


# after


@both
@pytest.mark.parametrize("more", ((), (NEXT_TIMER,), (broke("ship"),), (broke("ship", for_good=True),)))
def test_past_the_pivot_nothing_rolls_back(saga: Saga, more: tuple[StoryInput, ...]) -> None:
    """Neither a shop nor an operator can roll the saga back, whatever the next step does."""
    story = given(saga, *PAID, *more)
    story.when(cancel()).then_cancel_refused(TOO_LATE_TO_CANCEL)
    story.when(compensate()).then_operation_refused("saga.compensate", "needs a saga that can still go back")


@both
def test_past_the_pivot_no_deadline_counts(saga: Saga) -> None:
    """The saga goes on with a late step, however late it is."""
    story = given(saga, *PAID)
    assert story.due == NOON + 2 * SECOND + 30_000
    story.when(NEXT_TIMER, at=NOON + 900_000).then(commands=[do("ship", 2)], state=Running)


@both
@pytest.mark.parametrize(
    ("history", "last", "reason"),
    (((NEXT_TIMER,), NEXT_TIMER, TIMED_OUT), ((), broke("ship", for_good=True), "broken")),
)
def test_a_retriable_step_is_sent_until_it_is_stuck(
    saga: Saga, history: tuple[StoryInput, ...], last: StoryInput, reason: str
) -> None:
    """The saga never rolls back: an operator must act."""
    story = given(saga, *PAID, *history).when(last)
    story.then(outcome=order_stuck(reason, "ship"), state=Running, active=Stuck)


@both
def test_a_stuck_retriable_step_is_retried_until_it_is_done(saga: Saga) -> None:
    """As often as it takes, each time with fresh attempts."""
    story = given(saga, *UNSHIPPED).when(retry()).then(commands=[do("ship", 2)], active=InFlight)
    story = story.when(broke("ship", attempt=2)).then(active=BackingOff).when(NEXT_TIMER).then(commands=[do("ship", 3)])
    story = story.when(NEXT_TIMER).then(outcome=order_stuck(TIMED_OUT, "ship"), active=Stuck)
    story = story.when(retry()).then(commands=[do("ship", 4)], active=InFlight)
    story.when(done("ship", 4)).then(outcome=completed("stock", "pay", "ship"), state=Completed)


@both
def test_a_skipped_retriable_step_leaves_its_result_out(saga: Saga) -> None:
    """It was done by hand, so there is no result from its participant."""
    given(saga, *UNSHIPPED).when(skip()).then(outcome=completed("stock", "pay"), state=Completed)


@both
def test_a_late_success_completes_a_stuck_retriable_step(saga: Saga) -> None:
    """A reply counts while its step is awaited."""
    given(saga, *UNSHIPPED).when(done("ship")).then(outcome=completed("stock", "pay", "ship"), state=Completed)


@both
def test_a_retriable_step_cannot_be_refused(saga: Saga) -> None:
    """Such a reply rolls nothing back."""
    no = Refused("reply", "ship.no", "ship", f"{ID}:ship:do:1", "no")
    given(saga, *PAID).when(no).then_ignored()


def test_steps_after_the_pivot_run_apart() -> None:
    """One is stuck and the other one done: the step after both waits for an operator."""
    mail, close = step("mail", ("pay",), kind="retriable"), step("close", ("ship", "mail"), kind="retriable")
    saga = Saga("wide", 1, (STOCK, PAY, SHIP, mail, close))
    story = given(saga, placed(), done("stock")).when(done("pay")).then(commands=[do("ship"), do("mail")])
    story = story.when(broke("ship", for_good=True)).then(outcome=order_stuck("broken", "ship"), state=Running)
    story = story.when(done("mail")).then(events=["saga.step.succeeded"], state=Running)
    story.when(retry()).then(commands=[do("ship", 2)])
    story = story.when(skip()).then(commands=[do("close")], state=Running)
    story.when(done("close")).then(outcome=completed("stock", "pay", "mail", "close"), state=Completed)


def test_the_result_of_a_skipped_step_is_left_out_of_commands() -> None:
    """A later command that would carry it goes without."""
    close = step("close", kind="retriable", result_fields=("ship_id",))
    story = given(Saga("told", 1, (PAY, SHIP, close)), placed(), done("pay"), broke("ship", for_good=True))
    story.when(skip()).then(commands=[do("close")])
    story.when(done("ship")).then(commands=[do("close", ship_id="ship-1")])


@pytest.mark.parametrize("given_input", (retry(), skip()))
def test_an_active_step_that_is_not_stuck_needs_no_operator(given_input: Operation) -> None:
    """An operator can't speed up a step in flight."""
    operation = "saga.retry" if given_input == retry() else "saga.skip"
    for history in (PAID[:1], PAID[:2], PAID):
        given(FINAL_PAY, *history).when(given_input).then_operation_refused(operation, "needs a saga that is stuck")
