"""Stories of the point of no return: a saga goes back until it, and only forward after it."""

from dataclasses import replace

import pytest

from app.saga.definition import Saga
from app.saga.effects import SendCommand
from app.saga.messages import Operation, Refused, RoomFor
from app.saga.state import Asked, Compensating, Completed, Pausing, RolledBack, Running, Stuck, Waiting
from app.saga.tries import TIMED_OUT, TOO_LATE
from tests.saga.given import NOON, SECOND, WAITED, Crowded, Said, given
from tests.saga.steps import broke, completed, do, done, refused, step, undo, undone
from tests.saga.words import (
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

STOCK, PAY, SHIP = step("stock"), step("pay", kind="pivot"), step("ship", kind="retriable")
FINAL_PAY = Saga("final", 1, (STOCK, PAY, SHIP), deadline_ms=200_000)
"""The payment can't be given back: whether it happened must be known before anything is undone."""
SOFT_PAY = Saga("soft", 1, (STOCK, step("pay", kind="pivot", undo=True), SHIP), deadline_ms=200_000)
"""The payment can be given back, as long as it isn't known to have happened."""
BOTH = (FINAL_PAY, SOFT_PAY)
TOO_LATE_TO_CANCEL = "the order can't be undone any more"
IN_DOUBT: tuple[Said, ...] = (placed(), done("stock"), broke("pay", for_good=True))
PAID: tuple[Said, ...] = (placed(), done("stock"), done("pay"))
UNSHIPPED: tuple[Said, ...] = (*PAID, broke("ship", for_good=True))


def name(saga: Saga) -> str:
    """How a test's report calls a saga."""
    return saga.name


both = pytest.mark.parametrize("saga", BOTH, ids=name)


@both
def test_a_saga_with_a_pivot_runs_to_its_end(saga: Saga) -> None:
    """When all goes well nobody sees that there is one."""
    story = given(saga, *PAID)
    assert story.state.deadline_ms is None
    story.when(done("ship")).then(outcome=completed("stock", "pay", "ship"), state=Completed)


# before


@both
def test_before_the_pivot_an_order_can_be_cancelled(saga: Saga) -> None:
    """What is under way can be undone."""
    story = given(saga, placed()).when(cancel()).then(commands=[undo("stock")], state=Compensating)
    story.when(undone("stock")).then(outcome=order_cancelled(), state=RolledBack)


@both
def test_a_pivot_that_waits_for_room_was_not_asked_for(saga: Saga) -> None:
    """As long as nobody was asked, nothing is in doubt: a cancel is heard, and the deadline stands."""
    story = given(saga, placed(), Crowded(done("stock")))
    assert (type(story.leg), story.state.deadline_ms) == (Waiting, NOON + 200_000)
    story.when(cancel()).then(commands=[undo("stock", known=True)], state=Compensating)
    story.when(compensate()).then(commands=[undo("stock", known=True)], state=Compensating)


@both
def test_the_deadline_gives_up_a_pivot_that_was_not_asked_for(saga: Saga) -> None:
    """It still waits for room when the time comes, and only what was done before it is undone."""
    story = given(saga, placed(), Crowded(done("stock")))
    story = story.when(WAITED).then(commands=[undo("stock", known=True)], state=Compensating)
    story.when(undone("stock")).then(outcome=order_rejected(TOO_LATE, "pay"), state=RolledBack)


@both
def test_a_pivot_can_be_refused(saga: Saga) -> None:
    """Then it is known that it did not happen."""
    story = given(saga, placed(), done("stock")).when(refused("pay"))
    back = story.then(commands=[undo("stock", known=True)], state=Compensating)
    back.when(undone("stock")).then(outcome=order_rejected("no pay", "pay"), state=RolledBack)


# while it is in doubt: with no undo


def test_once_asked_for_a_pivot_without_undo_can_be_neither_cancelled_nor_compensated() -> None:
    """Nobody could make it undone if it happens."""
    story = given(FINAL_PAY, placed(), done("stock"))
    story.when(cancel()).then_cancel_refused(TOO_LATE_TO_CANCEL)
    story.when(compensate()).then_operation_refused("saga.compensate", "needs a saga that can still go back")


def test_the_deadline_ends_where_the_way_back_ends() -> None:
    """From the moment on at which the pivot is asked for, only its own time is waited for."""
    story = given(FINAL_PAY, placed())
    assert story.state.deadline_ms == NOON + 200_000
    story = story.when(done("stock"), at=NOON + 199_000).then(commands=[do("pay")])
    assert story.state.deadline_ms is None
    story.when(WAITED).then(commands=[do("pay", 2)], leg=Asked)


@pytest.mark.parametrize(
    ("history", "last", "reason"),
    (
        ((WAITED,), WAITED, TIMED_OUT),
        ((), broke("pay", for_good=True), "broken"),
        ((broke("pay"), WAITED), broke("pay", attempt=2), "broken"),
        ((WAITED,), broke("pay", attempt=2), "broken"),
    ),
)
def test_a_pivot_in_doubt_gets_stuck(history: tuple[Said, ...], last: Said, reason: str) -> None:
    """Whatever used its attempts up: nothing is undone until a person knows whether it happened."""
    story = given(FINAL_PAY, placed(), done("stock"), *history).when(last)
    story.then(outcome=order_stuck(reason, "pay"), state=Running, leg=Stuck)


def test_a_stuck_pivot_waits_for_no_time() -> None:
    """It is listed as stuck, with since when and why."""
    story = given(FINAL_PAY, *IN_DOUBT)
    assert story.due is None
    assert story.leg == Stuck("pay", 1, 1, NOON + 2 * SECOND, "broken")


def test_a_stuck_pivot_is_retried() -> None:
    """With fresh attempts and the same key; done at last, the saga goes on."""
    story = given(FINAL_PAY, *IN_DOUBT).when(retry()).then(commands=[do("pay", 2)], state=Running, leg=Asked)
    story = story.when(WAITED).then(commands=[do("pay", 3)])
    story.when(done("pay", 3)).then(commands=[do("ship")], state=Running)


def test_a_stuck_pivot_that_is_skipped_was_done() -> None:
    """A person saw that it happened: the saga goes forward, and has no result of it."""
    story = given(FINAL_PAY, *IN_DOUBT).when(skip()).then(commands=[do("ship")], state=Running)
    story.when(cancel()).then_cancel_refused(TOO_LATE_TO_CANCEL)
    story.when(done("ship")).then(outcome=completed("stock", "ship"), state=Completed)


def test_a_stuck_pivot_that_is_compensated_was_never_done() -> None:
    """A person saw that it did not happen, or made it undone: what came before it is undone, and the pivot is not."""
    story = given(FINAL_PAY, *IN_DOUBT).when(compensate("never arrived"))
    back = story.then(commands=[undo("stock", known=True)], state=Compensating)
    back.when(undone("stock")).then(outcome=order_cancelled("never arrived"), state=RolledBack)


def test_a_stuck_pivot_cannot_be_cancelled() -> None:
    """The shop doesn't know whether it happened."""
    given(FINAL_PAY, *IN_DOUBT).when(cancel()).then_cancel_refused(TOO_LATE_TO_CANCEL)


def test_a_retried_pivot_that_waits_for_room_is_still_in_doubt() -> None:
    """It was asked for before: nobody may take it as never done, until it is stuck again."""
    story = given(FINAL_PAY, *IN_DOUBT, Crowded(retry()))
    assert story.leg == Waiting("pay", 1, 2)
    story.when(cancel()).then_cancel_refused(TOO_LATE_TO_CANCEL)
    story.when(compensate()).then_operation_refused("saga.compensate", "needs a saga that can still go back")
    story.when(RoomFor("pay")).then(commands=[do("pay", 2)])


@pytest.mark.parametrize(
    ("late", "commands", "state"),
    (
        (done("pay"), [do("ship")], Running),
        (refused("pay"), [undo("stock", known=True)], Compensating),
    ),
)
def test_a_late_answer_frees_a_stuck_pivot(late: Said, commands: list[SendCommand], state: type[Running]) -> None:
    """Then it is known after all, and no person is needed."""
    given(FINAL_PAY, *IN_DOUBT).when(late).then(commands=commands, state=state)


def test_a_pivot_that_was_done_after_all_is_told_of() -> None:
    """It was taken as never done, and nothing can undo it: the history says that a person must look again."""
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
def test_no_other_late_answer_calls_a_person(saga: Saga, history: tuple[Said, ...], late: Said) -> None:
    """Where an undo is on its way, or nothing was done, there is nothing to see to."""
    telling = given(saga, *history).when(late)
    telling.then_ignored()
    assert "see to it" not in str(telling.events)


# while it is in doubt: with an undo


@pytest.mark.parametrize("wish", (cancel(), compensate("changed my mind")))
def test_a_pivot_with_an_undo_can_be_stopped_while_it_is_in_doubt(wish: Said) -> None:
    """It is undone like any step that may have happened."""
    story = given(SOFT_PAY, placed(), done("stock"))
    assert story.state.deadline_ms == NOON + 200_000
    back = story.when(wish).then(commands=[undo("pay")], state=Compensating)
    back = back.when(undone("pay")).then(commands=[undo("stock", known=True)])
    back.when(undone("stock")).then(outcome=order_cancelled(), state=RolledBack)


def test_a_pivot_with_an_undo_that_is_given_up_goes_back() -> None:
    """In doubt means undo, wherever there is one."""
    story = given(SOFT_PAY, placed(), done("stock"), WAITED).when(WAITED)
    story.then(commands=[undo("pay")], state=Compensating)
    given(SOFT_PAY, placed(), done("stock")).when(broke("pay", for_good=True)).then(commands=[undo("pay")])


def test_the_deadline_undoes_a_pivot_in_doubt() -> None:
    """It is not done, so the saga can still go back."""
    saga = replace(SOFT_PAY, deadline_ms=20_000)
    story = given(saga, placed(), done("stock")).when(WAITED).then(commands=[undo("pay")], state=Compensating)
    story.lived(undone("pay")).when(undone("stock")).then(outcome=order_rejected(TOO_LATE, "pay"), state=RolledBack)


def test_a_stuck_undo_of_a_pivot_is_skipped() -> None:
    """On the way back a pivot is a step like any other."""
    history = (placed(), done("stock"), cancel(), broke("pay", "undo", for_good=True))
    story = given(SOFT_PAY, *history).when(skip()).then(commands=[undo("stock", known=True)], state=Compensating)
    story.when(undone("stock")).then(outcome=order_cancelled(), state=RolledBack)


# after


@both
@pytest.mark.parametrize("more", ((), (WAITED,), (broke("ship"),), (broke("ship", for_good=True),)))
def test_past_the_pivot_nothing_goes_back(saga: Saga, more: tuple[Said, ...]) -> None:
    """Neither shop nor operator can turn it, whatever the next step does."""
    story = given(saga, *PAID, *more)
    story.when(cancel()).then_cancel_refused(TOO_LATE_TO_CANCEL)
    story.when(compensate()).then_operation_refused("saga.compensate", "needs a saga that can still go back")


@both
def test_past_the_pivot_no_deadline_counts(saga: Saga) -> None:
    """A step that is late is waited for, however late it is."""
    story = given(saga, *PAID)
    assert story.due == NOON + 2 * SECOND + 30_000
    story.when(WAITED, at=NOON + 900_000).then(commands=[do("ship", 2)], state=Running)


@both
@pytest.mark.parametrize(
    ("history", "last", "reason"),
    (((WAITED,), WAITED, TIMED_OUT), ((), broke("ship", for_good=True), "broken")),
)
def test_a_retriable_step_is_asked_for_until_it_is_stuck(
    saga: Saga, history: tuple[Said, ...], last: Said, reason: str
) -> None:
    """It never goes back: a person must see to it."""
    story = given(saga, *PAID, *history).when(last)
    story.then(outcome=order_stuck(reason, "ship"), state=Running, leg=Stuck)


@both
def test_a_stuck_retriable_step_is_retried_until_it_is_done(saga: Saga) -> None:
    """As often as it takes, each time with fresh attempts."""
    story = given(saga, *UNSHIPPED).when(retry()).then(commands=[do("ship", 2)], leg=Asked)
    story = story.when(broke("ship", attempt=2)).then(leg=Pausing).when(WAITED).then(commands=[do("ship", 3)])
    story = story.when(WAITED).then(outcome=order_stuck(TIMED_OUT, "ship"), leg=Stuck)
    story = story.when(retry()).then(commands=[do("ship", 4)], leg=Asked)
    story.when(done("ship", 4)).then(outcome=completed("stock", "pay", "ship"), state=Completed)


@both
def test_a_skipped_retriable_step_leaves_its_result_out(saga: Saga) -> None:
    """It was done by hand, and nobody knows what its participant would have called it."""
    given(saga, *UNSHIPPED).when(skip()).then(outcome=completed("stock", "pay"), state=Completed)


@both
def test_a_late_success_frees_a_stuck_retriable_step(saga: Saga) -> None:
    """An answer counts for as long as somebody waits for it."""
    given(saga, *UNSHIPPED).when(done("ship")).then(outcome=completed("stock", "pay", "ship"), state=Completed)


@both
def test_a_retriable_step_cannot_be_refused(saga: Saga) -> None:
    """Such an answer, be it ever made, turns nothing back."""
    no = Refused("reply", "ship.no", "ship", f"{ID}:ship:do:1", "no")
    given(saga, *PAID).when(no).then_ignored()


def test_steps_after_the_pivot_run_apart() -> None:
    """One is stuck, and the other one is done: what comes after both waits for a person."""
    mail, close = step("mail", ("pay",), kind="retriable"), step("close", ("ship", "mail"), kind="retriable")
    saga = Saga("wide", 1, (STOCK, PAY, SHIP, mail, close))
    story = given(saga, placed(), done("stock")).when(done("pay")).then(commands=[do("ship"), do("mail")])
    story = story.when(broke("ship", for_good=True)).then(outcome=order_stuck("broken", "ship"), state=Running)
    story = story.when(done("mail")).then(events=["saga.step.succeeded"], state=Running)
    story.when(retry()).then(commands=[do("ship", 2)])
    story = story.when(skip()).then(commands=[do("close")], state=Running)
    story.when(done("close")).then(outcome=completed("stock", "pay", "mail", "close"), state=Completed)


def test_a_skipped_step_is_not_told_of() -> None:
    """A step that would carry the result of one done by hand goes without."""
    close = step("close", kind="retriable", result_fields=("ship_id",))
    story = given(Saga("told", 1, (PAY, SHIP, close)), placed(), done("pay"), broke("ship", for_good=True))
    story.when(skip()).then(commands=[do("close")])
    story.when(done("ship")).then(commands=[do("close", ship_id="ship-1")])


@pytest.mark.parametrize("wish", (retry(), skip()))
def test_what_is_not_stuck_needs_nobody(wish: Operation) -> None:
    """An operator can't hurry what is still being asked for."""
    operation = "saga.retry" if wish == retry() else "saga.skip"
    for history in (PAID[:1], PAID[:2], PAID):
        given(FINAL_PAY, *history).when(wish).then_operation_refused(operation, "needs a saga that is stuck")
