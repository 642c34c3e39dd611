"""The failure catalogue, section 4a: messages that are lost, late, duplicated, contradictory or out of place."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import orjson
import pytest

from app.saga.definition import Saga, with_policy
from app.saga.handlers.attempts import TIMED_OUT
from app.saga.messages import Input, Operation, Reply
from app.saga.outputs import SendCommand
from app.saga.state import BackingOff, Compensating, Completed, NotStarted, RolledBack, Running, Stuck
from app.saga.verdict import DeadLettered
from app.wire.invalid_record import InvalidRecord
from app.wire.reader import Reader
from tests.saga.order_messages import (
    ID,
    LINES,
    ONE_ATTEMPT,
    TOTAL,
    TWO_ATTEMPTS,
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
    skip,
)
from tests.saga.situations import COMPLETED, ENDED, PAYING, REFUNDING, ROLLED_BACK, STARTED, STUCK_REFUND, at
from tests.saga.story import NEXT_TIMER, NOON, AtCapacity, Reaction, Story, StoryInput, given
from topologies.order import ORDER, PATIENT

READER = Reader(ORDER)
NOT_STUCK = "needs a saga that is stuck"
ENDS = pytest.mark.parametrize("end", (COMPLETED, ROLLED_BACK), ids=("completed", "rolled back"))


def sent_ids(story: Story, action: str) -> list[str]:
    """The ids of the commands that a saga sent for a step and a direction, such as `payment:undo`."""
    return [command.id for command in story.commands if command.idempotency_key == f"{ID}:{action}"]


def read(topic: str, type: str, value: Mapping[str, object], cause: str = "") -> Input:
    """The input of a record. Raises InvalidRecord if the record is a dead letter."""
    headers = [("ce_id", b"m"), ("ce_type", type.encode())] + ([("ce_causationid", cause.encode())] if cause else [])
    return READER.read(topic, ID.encode(), orjson.dumps({"order_id": ID, **value}), headers).given


def dead_letter_code(topic: str, type: str, value: Mapping[str, object], cause: str = "") -> str:
    """The code with which a record goes to the dead letters."""
    with pytest.raises(InvalidRecord) as caught:
        read(topic, type, value, cause)
    return caught.value.code


@pytest.mark.parametrize(("saga", "attempts"), ((TWO_ATTEMPTS, 2), (ORDER, 5)))
def test_4a_01_reply_lost_is_requested_again_and_then_undone(saga: Saga, attempts: int) -> None:
    """Each time-out sends the next attempt with the same key; after the last one the step in doubt is undone."""
    story = given(saga, placed())
    for attempt in range(2, attempts + 1):
        story = story.when(NEXT_TIMER).then(commands=[reserve(attempt)])
    assert {command.idempotency_key for command in story.commands} == {f"{ID}:reservation:do"}
    story = story.when(NEXT_TIMER).then(commands=[release()], state=Compensating)
    expected = [f"{ID}:reservation:do:{attempt}" for attempt in range(1, attempts + 1)]
    assert sent_ids(story, "reservation:do") == expected
    story.when(released()).then(outcome=order_rejected(TIMED_OUT, "reservation"), state=RolledBack)


@pytest.mark.parametrize(
    ("history", "reply"),
    (
        ((placed(),), reserved()),
        (PAYING, charged()),
        (PAYING, declined()),
        (REFUNDING, refunded()),
        ((placed(), cancel()), released()),
        ((placed(),), failed("reservation:do")),
        ((placed(), cancel()), failed("reservation:undo")),
        (REFUNDING, failed("payment:undo", for_good=True)),
    ),
)
def test_4a_02_reply_duplicated_is_recorded_and_sends_nothing(history: tuple[StoryInput, ...], reply: Reply) -> None:
    """Further copies of a reply change nothing, whether the saga goes forward, rolls back or has ended."""
    given(ORDER, *history, reply).when(reply).then_ignored().when(reply).then_ignored()


@pytest.mark.parametrize("saga", (TWO_ATTEMPTS, ORDER))
def test_4a_03_reply_late_after_timeout_and_retry_counts_if_it_is_still_awaited(saga: Saga) -> None:
    """A reply to the first attempt is as good as one to the second, which then changes nothing."""
    story = given(saga, placed(), NEXT_TIMER).when(reserved(1)).then(commands=[charge()])
    story.when(reserved(2, result="r-2")).then_ignored().when(charged()).then(outcome=order_completed())


def test_4a_03_reply_late_after_its_step_was_given_up_is_ignored() -> None:
    """The undo is in flight: no success moves the saga forward again, and nothing is undone twice."""
    story = given(TWO_ATTEMPTS, placed(), NEXT_TIMER, NEXT_TIMER)
    for attempt in (1, 2):
        story = story.when(reserved(attempt)).then_ignored()
    story.when(released()).then(outcome=order_rejected(TIMED_OUT, "reservation"), state=RolledBack)
    assert sent_ids(story, "reservation:undo") == [f"{ID}:reservation:undo:1"]


@pytest.mark.parametrize("reply", (charged(), declined(), refunded(), failed("payment:do", for_good=True)))
def test_4a_04_replies_out_of_order_skip_no_step(reply: Reply) -> None:
    """A reply of the payment before its command is ignored: the reservation is still awaited, and then the payment."""
    story = given(ORDER, placed()).when(reply).then_ignored()
    story.when(reserved()).then(commands=[charge()], state=Running)
    story = story.when(refunded()).then_ignored().when(reserved()).then(commands=[charge()], state=Running)
    story.when(charged(result="p-2")).then(outcome=order_completed(payment="p-2"), state=Completed)


@pytest.mark.parametrize(
    ("history", "first", "second"),
    (
        ((placed(),), reserved(), rejected()),
        ((placed(),), reserved(), failed("reservation:do", for_good=True)),
        ((placed(),), rejected(), reserved()),
        ((placed(),), failed("reservation:do", for_good=True), reserved()),
        (PAYING, charged(), declined()),
        (PAYING, charged(), failed("payment:do", for_good=True)),
        (PAYING, declined(), charged()),
        (PAYING, failed("payment:do", for_good=True), charged()),
        (PAYING, charged(result="p-1"), charged(result="p-2")),
    ),
)
def test_4a_05_contradictory_replies_the_first_one_wins(
    history: tuple[StoryInput, ...], first: Reply, second: Reply
) -> None:
    """The other reply to the same command is recorded, and flips neither state nor result."""
    given(ORDER, *history, first).when(second).then_ignored()


@pytest.mark.parametrize(
    "reply", (reserved(), rejected(), released(), refunded(), failed("reservation:do"), failed("payment:do"))
)
def test_4a_06_reply_for_an_unknown_order_is_a_dead_letter(reply: Reply) -> None:
    """No state is created: when the order is placed, it starts as if the reply had never come."""
    story = given(ORDER).when(reply).then_dead_lettered("unknown_order")
    assert isinstance(story.state, NotStarted)
    assert story.when(placed(), at=NOON).after.progress == given(ORDER, placed()).progress


@ENDS
@pytest.mark.parametrize(
    "reply",
    (reserved(), charged(), declined(), released(), refunded(), failed("payment:do"), failed("payment:undo")),
)
def test_4a_07_reply_after_completion_is_ignored(end: tuple[StoryInput, ...], reply: Reply) -> None:
    """An ended saga stays as it is, whatever a participant still replies; the reply is recorded."""
    given(ORDER, *end).when(reply).then_ignored()


@pytest.mark.parametrize(("saga", "attempts"), ((TWO_ATTEMPTS, 2), (ONE_ATTEMPT, 1)))
def test_4a_08_payment_succeeded_after_its_compensation_began_is_refunded_once(saga: Saga, attempts: int) -> None:
    """The refund in flight covers it. The shop gets the outcome once both undos are answered."""
    story = given(saga, *PAYING, *[NEXT_TIMER] * (attempts - 1))
    story = story.when(NEXT_TIMER).then(commands=[refund()], state=Compensating)
    story = story.when(charged(attempts)).then_ignored()
    story = story.when(refunded()).then(commands=[release(known="r-1")], state=Compensating)
    story = story.when(charged(attempts)).then_ignored()
    story = story.when(released()).then(outcome=order_rejected(TIMED_OUT, "payment"), state=RolledBack)
    assert sent_ids(story, "payment:undo") == [f"{ID}:payment:undo:1"]


@pytest.mark.parametrize("saga", (TWO_ATTEMPTS, ORDER))
def test_4a_09_reservation_succeeded_after_its_release_was_sent_changes_nothing(saga: Saga) -> None:
    """One release covers it, under one key: a participant refuses or undoes a step that comes after its undo."""
    story = given(saga, placed()).when(cancel()).then(commands=[release()], state=Compensating)
    story = story.when(reserved()).then_ignored()
    story.when(released()).then(outcome=order_cancelled(), state=RolledBack)
    story = story.when(NEXT_TIMER).then(commands=[release(2)])
    assert release(2).idempotency_key == release(1).idempotency_key
    story.when(released()).then(outcome=order_cancelled(), state=RolledBack)


@pytest.mark.parametrize(
    ("saga", "history", "step", "undo", "attempts"),
    (
        (with_policy(ORDER, attempts=4), REFUNDING, "payment", refund, 4),
        (ORDER, (placed(), cancel()), "reservation", release, PATIENT.attempts),
    ),
    ids=("the refund", "the release"),
)
def test_4a_10_compensation_failing_forever_gets_stuck(
    saga: Saga, history: tuple[StoryInput, ...], step: str, undo: Callable[[int], SendCommand], attempts: int
) -> None:
    """A bounded number of attempts with growing backoffs; then an operator must act. No end state is reached."""
    story, backoffs = given(saga, *history), list[int]()
    for attempt in range(1, attempts):
        failing = story.when(failed(f"{step}:undo", attempt)).then(state=Compensating, active=BackingOff)
        backoffs.append(failing.active.due_ms - story.at)
        story = failing.when(NEXT_TIMER).then(commands=[undo(attempt + 1)], state=Compensating)
    doubling = backoffs[:7]  # the later ones are near the longest backoff, with jitter
    assert sorted(doubling) == doubling
    assert doubling[0] < doubling[-1]
    last = story.when(failed(f"{step}:undo", attempts))
    stuck = last.then(outcome=order_stuck("database down", step), state=Compensating, active=Stuck)
    assert stuck.due is None
    stuck.when(charged()).then_ignored()
    assert len(sent_ids(stuck, f"{step}:undo")) == attempts
    assert PATIENT.attempts == 12


def test_4a_10_compensation_without_a_reply_gets_stuck() -> None:
    """The shop learns of it from an outcome."""
    reaction = given(TWO_ATTEMPTS, placed(), cancel(), NEXT_TIMER).when(NEXT_TIMER)
    reaction.then(outcome=order_stuck(TIMED_OUT, "reservation"), state=Compensating, active=Stuck)


def test_4a_10_compensation_rejected_gets_stuck() -> None:
    """A refund that fails for good needs an operator at once. A refusal is no reply to an undo: its timer goes on."""
    story = given(ONE_ATTEMPT, *REFUNDING)
    story.when(failed("payment:undo", for_good=True)).then(
        outcome=order_stuck("database down", "payment"), active=Stuck
    )
    story = story.when(declined(to=f"{ID}:payment:undo:1")).then_ignored()
    story.when(NEXT_TIMER).then(outcome=order_stuck(TIMED_OUT, "payment"), state=Compensating, active=Stuck)


@pytest.mark.parametrize(
    ("history", "undo"),
    (((placed(), cancel()), release), (REFUNDING, refund)),
    ids=("the release", "the refund"),
)
def test_4a_11_compensation_reply_lost_is_requested_again(
    history: tuple[StoryInput, ...], undo: Callable[[int], SendCommand]
) -> None:
    """With the same idempotency key, by which the participant recognises the second attempt."""
    given(ORDER, *history).when(NEXT_TIMER).then(commands=[undo(2)])
    assert undo(2).idempotency_key == undo(1).idempotency_key


def test_4a_11_compensation_reply_to_either_attempt_counts_once() -> None:
    """The reply to the first attempt completes the refund; the reply to the second one is ignored."""
    story = given(ORDER, *REFUNDING, NEXT_TIMER).when(refunded(1)).then(commands=[release(known="r-1")])
    story.when(refunded(2)).then_ignored().when(released()).then(outcome=order_cancelled(), state=RolledBack)


def test_4a_12_compensation_may_arrive_before_its_action() -> None:
    """The undo needs no result, so a participant can answer it first, and then refuse the step."""
    story = given(ORDER, placed()).when(cancel()).then(commands=[release()], state=Compensating)
    assert release().value == {"order_id": ID}
    story = story.when(rejected(reason="undone before")).then_ignored()
    story = story.when(released()).then(outcome=order_cancelled(), state=RolledBack)
    story.when(rejected(reason="undone before")).then_ignored()


@pytest.mark.parametrize("situation", STARTED)
def test_4a_13_order_twice_with_the_same_payload_is_one_saga(situation: str) -> None:
    """The duplicate changes nothing and leaves no record, in every situation and with any message id."""
    at(situation).when(placed()).then_no_change()
    at(situation).when(placed(message="again")).then_no_change()


@pytest.mark.parametrize("situation", STARTED)
def test_4a_14_order_twice_with_another_payload_is_a_conflict(situation: str) -> None:
    """It goes to the dead letters; the first order's saga and digest stay, and its copy is still a duplicate."""
    before = at(situation)
    after = before.when(placed("bob")).then_dead_lettered("conflict")
    assert after.progress == before.progress
    assert after.state.data.digest == placed().digest
    after.when(placed()).then_no_change()


@pytest.mark.parametrize("situation", ENDED)
def test_4a_15_order_id_is_taken_until_its_saga_expires(situation: str) -> None:
    """An ended saga keeps its order's digest, but not the order. Once it expires, the id is free."""
    story = at(situation)
    assert story.state.data.order == {}
    story.when(placed("bob")).then_dead_lettered("conflict")
    story.when(placed()).then_no_change()
    expired = story.when(NEXT_TIMER).then_expired()
    expired.when(placed("bob")).then(commands=[reserve()], state=Running)


@ENDS
def test_4a_15_order_id_is_known_as_long_as_it_is_remembered(end: tuple[StoryInput, ...]) -> None:
    """During the definition's retention it is a duplicate or a conflict; a new saga of the id counts from 1."""
    story = given(with_policy(ORDER, retention_ms=60_000), *end)
    assert story.due == story.at - 1_000 + 60_000
    story.when(placed()).then_no_change()
    story.when(placed("bob")).then_dead_lettered("conflict")
    story = story.when(NEXT_TIMER).then_expired()
    story.when(charged()).then_dead_lettered("unknown_order")
    again = story.when(placed("bob")).then(commands=[reserve()], state=Running)
    assert (again.progress.seq, again.state.data.digest) == (1, placed("bob").digest)


def test_4a_16_cancel_before_any_step_sends_nothing() -> None:
    """The first step is still queued: no command was sent, so there is nothing to undo."""
    given(ORDER, AtCapacity(placed())).when(cancel()).then(outcome=order_cancelled(), state=RolledBack)


@pytest.mark.parametrize(
    ("history", "undos"),
    (((placed(),), [release()]), ((placed(), failed("reservation:do")), [release()]), (PAYING, [refund()])),
)
def test_4a_16_cancel_mid_step_undoes_what_is_in_doubt(
    history: tuple[StoryInput, ...], undos: list[SendCommand]
) -> None:
    """A step in flight may have happened, so it is undone first."""
    given(ORDER, *history).when(cancel()).then(commands=undos, state=Compensating)


def test_4a_16_cancel_racing_completion_is_decided_by_which_comes_first() -> None:
    """Both orders are legal, each has one end, and the later message is answered or recorded."""
    cancelled = given(ORDER, *PAYING).when(cancel()).then(commands=[refund()], state=Compensating)
    cancelled = cancelled.when(charged()).then_ignored()
    cancelled.moved_by(refunded()).when(released()).then(outcome=order_cancelled(), state=RolledBack)
    completed = given(ORDER, *PAYING).when(charged()).then(outcome=order_completed(), state=Completed)
    completed.when(cancel()).then_cancel_refused("the order is completed")


@pytest.mark.parametrize(
    "history",
    (
        (placed(), cancel()),
        REFUNDING,
        (*REFUNDING, refunded()),
        (*REFUNDING, refunded(), released()),
        STUCK_REFUND,
    ),
)
def test_4a_17_cancel_twice_is_answered_and_changes_nothing(history: tuple[StoryInput, ...]) -> None:
    """While the saga rolls back, while it is stuck, and after its end."""
    given(ORDER, *history).when(cancel()).then_cancel_refused("the order was cancelled before")


def test_4a_17_cancel_of_an_unknown_order_is_a_dead_letter() -> None:
    """An order that was never placed can't be cancelled."""
    given(ORDER).when(cancel()).then_dead_lettered("unknown_order")


@pytest.mark.parametrize(
    "total",
    (
        {"currency": "EUR", "minor": -1},
        {"currency": "EUR", "minor": 2**53},
        {"currency": "EUR", "minor": 4200.0},
        {"currency": "EUR", "minor": True},
        {"currency": "euro", "minor": 4200},
        {"minor": 4200},
    ),
)
def test_4a_18_amounts_outside_the_limits_are_refused_at_the_edge(total: Mapping[str, object]) -> None:
    """Such an order is a dead letter before anything is decided."""
    order = {"customer_id": "ann", "total": total, "lines": LINES}
    assert dead_letter_code("order.requests", "order.place", order) == "invalid"


def test_4a_18_an_amount_of_nothing_is_an_amount() -> None:
    """A gift is an order like any other; the payment's command has an amount of 0."""
    free = {"currency": "EUR", "minor": 0}
    order = read("order.requests", "order.place", {"customer_id": "a", "total": free, "lines": LINES})
    (paying,) = given(ORDER).when(order).after.when(reserved()).sent
    assert paying.value["total"] == free


@pytest.mark.parametrize("total", ({"currency": "USD", "minor": 4200}, {"currency": "EUR", "minor": 1}))
def test_4a_18_an_amount_in_a_reply_changes_no_amount(total: Mapping[str, object]) -> None:
    """A reply confirms the charge, not its amount: the refund has the amount of the order."""
    reply = read("payment.replies", "payment.charged", {"payment_id": "p-1", "total": total}, f"{ID}:payment:do:1")
    usual = charged()
    assert reply == type(usual)("m", usual.type, usual.step, usual.command, usual.result)
    (undo,) = given(ORDER, *PAYING).when(cancel()).sent
    assert undo.value["total"] == TOTAL


@pytest.mark.parametrize(
    ("type", "value", "code"),
    (
        ("payment.partly.charged", {"payment_id": "p-1", "charged": 1}, "unknown_type"),
        ("reservation.reserved", {"reservation_id": "r-1"}, "unknown_type"),
        ("payment.charged", {"charged": {"currency": "EUR", "minor": 1}}, "invalid"),
        ("payment.failed", {"reason": "half of it"}, "invalid"),
    ),
)
def test_4a_19_a_partial_answer_is_never_taken_as_done(type: str, value: Mapping[str, object], code: str) -> None:
    """A reply confirms the whole step or fails. Any other one is a dead letter, and the step's timer goes on."""
    assert dead_letter_code("payment.replies", type, value, f"{ID}:payment:do:1") == code
    given(ONE_ATTEMPT, *PAYING).when(NEXT_TIMER).then(commands=[refund()], state=Compensating)


class Race(NamedTuple):
    """An operation and a reply in both orders: what the first one sends, and what becomes of the second one."""

    history: tuple[StoryInput, ...]
    operation: Operation
    operated: list[SendCommand]
    reply_late: Callable[[Reaction], Story]
    reply: Reply
    replied: list[SendCommand]
    operation_late: Callable[[Reaction], Story]


RACES = {
    "retry against a late undo": Race(
        STUCK_REFUND,
        retry(),
        [refund(2)],
        lambda late: late.then(commands=[release(known="r-1")]),
        refunded(),
        [release(known="r-1")],
        lambda late: late.then_operation_refused("saga.retry", NOT_STUCK),
    ),
    "retry against a failure for good": Race(
        STUCK_REFUND,
        retry(),
        [refund(2)],
        lambda late: late.then_ignored(),
        failed("payment:undo", for_good=True),
        [],
        lambda late: late.then(commands=[refund(2)]),
    ),
    "skip against a late undo": Race(
        STUCK_REFUND,
        skip(),
        [release(known="r-1")],
        lambda late: late.then_ignored(),
        refunded(),
        [release(known="r-1")],
        lambda late: late.then_operation_refused("saga.skip", NOT_STUCK),
    ),
    "compensate against the last success": Race(
        PAYING,
        compensate(),
        [refund()],
        lambda late: late.then_ignored(),
        charged(),
        [],
        lambda late: late.then_operation_refused("saga.compensate", "needs a saga that is running"),
    ),
}


@pytest.mark.parametrize("saga", (TWO_ATTEMPTS, ORDER))
@pytest.mark.parametrize("name", RACES)
def test_4a_20_operator_racing_a_reply_is_decided_by_which_comes_first(name: str, saga: Saga) -> None:
    """An operation is an input with the same key: first, it is recorded with operator and reason; late, it is refused.

    Either order is recorded, sends one message at most per decision, and leaves a state that rolls back or has ended.
    """
    race = RACES[name]
    operated = given(saga, *race.history).when(race.operation)
    assert operated.events[0]["type"] == "saga.operated"
    assert (operated.events[0]["operator"], operated.events[0]["reason"]) == ("olga", race.operation.reason)
    operated.then(commands=race.operated)
    replied = given(saga, *race.history).when(race.reply)
    assert not isinstance(replied.verdict, DeadLettered)
    assert [output for output in replied.sent if isinstance(output, SendCommand)] == race.replied
    for first, late, expected in (
        (operated, race.reply, race.reply_late),
        (replied, race.operation, race.operation_late),
    ):
        second = first.after.when(late)
        expected(second)
        assert second.events
        assert isinstance(second.after.state, Compensating | Completed | RolledBack)
        assert len(first.sent) <= 1
        assert len(second.sent) <= 1
