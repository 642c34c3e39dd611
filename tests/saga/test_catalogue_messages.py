"""The failure catalogue, section 4a: business messages that are lost, late, doubled, contradictory or out of place."""

from collections.abc import Callable, Mapping

import orjson
import pytest

from app.saga.definition import with_policy
from app.saga.effects import SendCommand
from app.saga.messages import Input
from app.saga.state import Compensating, Completed, Pausing, RolledBack, Running, Stuck
from app.saga.tries import TIMED_OUT
from app.saga.verdict import Unacceptable
from app.wire.bad import Bad
from app.wire.reader import Reader
from tests.saga.given import NOON, WAITED, Crowded, Said, Story, given
from tests.saga.words import (
    BRIEF,
    HASTY,
    ID,
    LINES,
    TOTAL,
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
from topologies.order import ORDER

READER = Reader(ORDER)
RESERVED: tuple[Said, ...] = (placed(), reserved())
DONE: tuple[Said, ...] = (*RESERVED, charged())
REFUNDING: tuple[Said, ...] = (*RESERVED, cancel())
STUCK: tuple[Said, ...] = (*REFUNDING, failed("payment:undo", for_good=True))
GONE: tuple[Said, ...] = (*RESERVED, declined(), released())


def asked(story: Story, effect: str) -> list[str]:
    """The ids of the commands that a saga sent for an effect, such as `payment:undo`."""
    commands = (sent for sent in story.sent if isinstance(sent, SendCommand))
    return [command.id for command in commands if command.effect == f"{ID}:{effect}"]


def told(topic: str, type: str, value: Mapping[str, object], cause: str = "") -> Input:
    """The input that a record is read as. Raises Bad where it belongs to the dead letters."""
    headers = [("ce_id", b"m"), ("ce_type", type.encode())] + ([("ce_causationid", cause.encode())] if cause else [])
    return READER.read(topic, ID.encode(), orjson.dumps({"order_id": ID, **value}), headers).given


def refusal(topic: str, type: str, value: Mapping[str, object], cause: str = "") -> str:
    """The code with which a record is put to the dead letters."""
    with pytest.raises(Bad) as caught:
        told(topic, type, value, cause)
    return caught.value.code


def test_4a_01_reply_lost_is_asked_for_again_and_then_undone() -> None:
    """Time asks again under the same key as often as the policy allows, and then the step in doubt is undone."""
    story = given(BRIEF, placed()).when(WAITED).then(commands=[reserve(2)])
    assert {command.effect for command in (reserve(1), reserve(2))} == {f"{ID}:reservation:do"}
    story = story.when(WAITED).then(commands=[release()], state=Compensating)
    assert asked(story, "reservation:do") == [f"{ID}:reservation:do:1", f"{ID}:reservation:do:2"]
    story.when(released()).then(outcome=order_rejected(TIMED_OUT, "reservation"), state=RolledBack)


@pytest.mark.parametrize(
    ("history", "again"),
    (
        ((placed(),), reserved()),
        (RESERVED, charged()),
        (RESERVED, declined()),
        (REFUNDING, refunded()),
        ((placed(),), failed("reservation:do")),
        (STUCK[:-1], failed("payment:undo", for_good=True)),
    ),
)
def test_4a_02_reply_duplicated_is_recorded_and_sends_nothing(history: tuple[Said, ...], again: Said) -> None:
    """The second copy of a reply changes nothing, be the saga going forward, going back, or at its end."""
    given(ORDER, *history, again).when(again).then_ignored().when(again).then_ignored()


def test_4a_03_reply_late_after_timeout_and_retry_counts_if_it_is_still_awaited() -> None:
    """An answer to the first attempt is as good as one to the second; the other one then changes nothing."""
    story = given(BRIEF, placed(), WAITED).when(reserved(1)).then(commands=[charge()])
    story.when(reserved(2, result="r-2")).then_ignored().when(charged()).then(outcome=order_completed())


def test_4a_03_reply_late_after_its_step_was_given_up_is_ignored() -> None:
    """The undo is on its way: no success turns the saga forward again."""
    story = given(BRIEF, placed(), WAITED, WAITED)
    for attempt in (1, 2):
        story = story.when(reserved(attempt)).then_ignored()
    story.when(released()).then(outcome=order_rejected(TIMED_OUT, "reservation"), state=RolledBack)
    assert asked(story, "reservation:undo") == [f"{ID}:reservation:undo:1"]


def test_4a_04_replies_out_of_order_skip_no_step() -> None:
    """A payment that answers before it was asked is recorded alone: the saga goes from step to step."""
    story = given(ORDER, placed()).when(charged()).then_ignored()
    story = story.when(refunded()).then_ignored().when(reserved()).then(commands=[charge()], state=Running)
    story.when(charged(result="p-2")).then(outcome=order_completed(payment="p-2"), state=Completed)


@pytest.mark.parametrize(
    ("first", "second"),
    (
        (charged(), declined()),
        (charged(), failed("payment:do", for_good=True)),
        (declined(), charged()),
        (failed("payment:do", for_good=True), charged()),
        (charged(result="p-1"), charged(result="p-2")),
    ),
)
def test_4a_05_contradictory_replies_the_first_one_wins(first: Said, second: Said) -> None:
    """The other answer to the same command is recorded, and nothing flips: neither state nor result."""
    story = given(ORDER, *RESERVED).when(first).after
    story.when(second).then_ignored()


@pytest.mark.parametrize("reply", (reserved(), rejected(), released(), failed("payment:do"), refunded()))
def test_4a_06_reply_for_an_unknown_order_is_a_dead_letter(reply: Said) -> None:
    """No state comes into being: the order, when it comes, starts as if nothing had been."""
    story = given(ORDER).when(reply).then_unacceptable("unknown_order")
    assert story.when(placed(), at=NOON).after.progress == given(ORDER, placed()).progress


@pytest.mark.parametrize("end", (DONE, GONE))
@pytest.mark.parametrize("reply", (reserved(), charged(), declined(), released(), refunded(), failed("payment:undo")))
def test_4a_07_reply_after_completion_is_ignored(end: tuple[Said, ...], reply: Said) -> None:
    """Whatever a participant still says: what has ended has ended, and the reply is recorded."""
    given(ORDER, *end).when(reply).then_ignored()


def test_4a_08_payment_succeeded_after_its_compensation_began_is_refunded_once() -> None:
    """The refund that the time-out led to is the only one, and the shop hears of the end once it was answered."""
    story = given(HASTY, *RESERVED).when(WAITED).then(commands=[refund()], state=Compensating)
    story = story.when(charged()).then_ignored().when(refunded()).then(commands=[release(known="r-1")])
    story = story.when(charged()).then_ignored()
    story = story.when(released()).then(outcome=order_rejected(TIMED_OUT, "payment"), state=RolledBack)
    assert asked(story, "payment:undo") == [f"{ID}:payment:undo:1"]


def test_4a_09_reservation_succeeded_after_its_release_was_sent_changes_nothing() -> None:
    """One key stands for the release, and a participant refuses what is to be done after its undo: once is enough."""
    story = given(ORDER, placed()).when(cancel()).then(commands=[release()], state=Compensating)
    story = story.when(reserved()).then_ignored()
    story = story.when(WAITED).then(commands=[release(2)])
    assert release(2).effect == release(1).effect
    story.when(released()).then(outcome=order_cancelled(), state=RolledBack)


def test_4a_10_compensation_failing_forever_gets_stuck() -> None:
    """It is asked for with longer and longer pauses, a bounded number of times, and then a person must act."""
    story, pauses = given(with_policy(ORDER, attempts=4), *REFUNDING), list[int]()
    for attempt in (1, 2, 3):
        failing = story.when(failed("payment:undo", attempt)).then(leg=Pausing)
        pauses.append(failing.leg.due_ms - story.at)
        story = failing.when(WAITED).then(commands=[refund(attempt + 1)])
    assert sorted(pauses) == pauses
    assert pauses[0] < pauses[-1]
    story = story.when(failed("payment:undo", 4)).then(outcome=order_stuck("database down", "payment"), leg=Stuck)
    assert story.due is None
    story.when(charged()).then_ignored()


def test_4a_10_compensation_rejected_gets_stuck() -> None:
    """A refund that fails for good needs a person at once; to be refused is no answer to an undo, and its time runs."""
    story = given(HASTY, *REFUNDING)
    story.when(failed("payment:undo", for_good=True)).then(outcome=order_stuck("database down", "payment"), leg=Stuck)
    story = story.when(declined(to=f"{ID}:payment:undo:1")).then_ignored()
    story.when(WAITED).then(outcome=order_stuck(TIMED_OUT, "payment"), state=Compensating, leg=Stuck)


def test_4a_11_compensation_reply_lost_is_asked_for_again() -> None:
    """The same key asks again; the answer to either attempt counts, and once."""
    story = given(ORDER, *REFUNDING).when(WAITED).then(commands=[refund(2)])
    assert refund(2).effect == refund(1).effect
    story = story.when(refunded(1)).then(commands=[release(known="r-1")])
    story.when(refunded(2)).then_ignored().when(released()).then(outcome=order_cancelled(), state=RolledBack)


def test_4a_12_compensation_may_arrive_before_its_action() -> None:
    """It names the effect and needs no result, so a participant can answer it first and then refuse the action."""
    story = given(ORDER, placed()).when(cancel()).then(commands=[release()], state=Compensating)
    assert release().value == {"order_id": ID}
    story = story.when(rejected(reason="undone before")).then_ignored()
    story = story.when(released()).then(outcome=order_cancelled(), state=RolledBack)
    story.when(rejected(reason="undone before")).then_ignored()


EVERYWHERE = (
    (placed(),),
    (Crowded(placed()),),
    RESERVED,
    (*RESERVED, failed("payment:do")),
    REFUNDING,
    STUCK,
    DONE,
    GONE,
)


@pytest.mark.parametrize("history", EVERYWHERE)
def test_4a_13_order_twice_with_the_same_payload_is_one_saga(history: tuple[Said, ...]) -> None:
    """The second one changes nothing and leaves no record, however far the first one has come."""
    given(ORDER, *history).when(placed(message="again")).then_nothing()


@pytest.mark.parametrize("history", EVERYWHERE)
def test_4a_14_order_twice_with_another_payload_is_a_conflict(history: tuple[Said, ...]) -> None:
    """It belongs to the dead letters; the first order's digest stays, and so does its saga."""
    before = given(ORDER, *history)
    after = before.when(placed("bob")).then_unacceptable("conflict")
    assert after.progress == before.progress
    assert after.state.facts.digest == placed().digest


@pytest.mark.parametrize("end", (DONE, GONE))
def test_4a_15_order_id_is_known_as_long_as_it_is_remembered(end: tuple[Said, ...]) -> None:
    """Within the window of the definition it is a duplicate or a conflict; once forgotten, the id is free again."""
    story = given(with_policy(ORDER, remembered_ms=60_000), *end)
    assert story.due == story.at - 1_000 + 60_000
    story.when(placed()).then_nothing()
    story.when(placed("bob")).then_unacceptable("conflict")
    story = story.when(WAITED).then_forgotten()
    story.when(charged()).then_unacceptable("unknown_order")
    again = story.when(placed("bob")).then(commands=[reserve()], state=Running)
    assert (again.progress.seq, again.state.facts.digest) == (1, placed("bob").digest)


def test_4a_16_cancel_before_any_step_sends_nothing() -> None:
    """The first step still waits for room: nobody was asked, so nothing is to be undone."""
    given(ORDER, Crowded(placed())).when(cancel()).then(outcome=order_cancelled(), state=RolledBack)


@pytest.mark.parametrize(
    ("history", "undos"),
    (((placed(),), [release()]), ((placed(), failed("reservation:do")), [release()]), (RESERVED, [refund()])),
)
def test_4a_16_cancel_mid_step_undoes_what_is_in_doubt(history: tuple[Said, ...], undos: list[SendCommand]) -> None:
    """What was asked for may have happened, so it is undone first."""
    given(ORDER, *history).when(cancel()).then(commands=undos, state=Compensating)


def test_4a_16_cancel_racing_completion_is_decided_by_which_comes_first() -> None:
    """Both orders are legal, each has one end, and the other message is answered or recorded."""
    cancelled = given(ORDER, *RESERVED).when(cancel()).then(commands=[refund()]).when(charged()).then_ignored()
    cancelled.lived(refunded()).when(released()).then(outcome=order_cancelled(), state=RolledBack)
    completed = given(ORDER, *RESERVED).when(charged()).then(outcome=order_completed(), state=Completed)
    completed.when(cancel()).then_cancel_refused("the order is completed")


@pytest.mark.parametrize("history", ((), (refunded(),), (refunded(), released()), STUCK[-1:]))
def test_4a_17_cancel_twice_is_answered_and_changes_nothing(history: tuple[Said, ...]) -> None:
    """On the way back, stuck in it, and after it."""
    given(ORDER, *REFUNDING, *history).when(cancel()).then_cancel_refused("the order was cancelled before")


def test_4a_17_cancel_of_an_unknown_order_is_a_dead_letter() -> None:
    """Nobody can cancel what was never placed."""
    given(ORDER).when(cancel()).then_unacceptable("unknown_order")


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
    assert refusal("order.requests", "order.place", {"customer_id": "ann", "total": total, "lines": LINES}) == "invalid"


def test_4a_18_an_amount_of_nothing_is_an_amount() -> None:
    """A gift is an order like any other, and its payment is asked for nothing."""
    free = {"currency": "EUR", "minor": 0}
    story = given(ORDER).when(
        told("order.requests", "order.place", {"customer_id": "a", "total": free, "lines": LINES})
    )
    (paying,) = story.after.when(reserved()).sent
    assert paying.value["total"] == free


@pytest.mark.parametrize("total", ({"currency": "USD", "minor": 4200}, {"currency": "EUR", "minor": 1}))
def test_4a_18_an_amount_in_a_reply_changes_no_amount(total: Mapping[str, object]) -> None:
    """A reply says what was done, not for how much: its refund is of what the order says."""
    reply = told("payment.replies", "payment.charged", {"payment_id": "p-1", "total": total}, f"{ID}:payment:do:1")
    assert reply == charged_as("m")
    (undo,) = given(ORDER, *RESERVED).when(cancel()).sent
    assert undo.value["total"] == TOTAL


def charged_as(message: str) -> Input:
    """The usual success of a payment, as this message."""
    reply = charged()
    return type(reply)(message, reply.type, reply.step, reply.command, reply.result)


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
    """A reply confirms the whole or fails: any other one is a dead letter, and the step's own time runs on."""
    assert refusal("payment.replies", type, value, f"{ID}:payment:do:1") == code
    given(HASTY, *RESERVED).when(WAITED).then(commands=[refund()], state=Compensating)


RACES: dict[str, tuple[tuple[Said, ...], Input, Input, Callable[[Story], object], Callable[[Story], object]]] = {
    "retry against a late undo": (
        STUCK,
        retry(),
        refunded(),
        lambda story: story.when(refunded()).then(commands=[release(known="r-1")]),
        lambda story: story.when(retry()).then_operation_refused("saga.retry", "needs a saga that is stuck"),
    ),
    "skip against a late undo": (
        STUCK,
        skip(),
        refunded(),
        lambda story: story.when(refunded()).then_ignored(),
        lambda story: story.when(skip()).then_operation_refused("saga.skip", "needs a saga that is stuck"),
    ),
    "compensate against the last success": (
        RESERVED,
        compensate(),
        charged(),
        lambda story: story.when(charged()).then_ignored(),
        lambda story: story.when(compensate()).then_operation_refused(
            "saga.compensate", "needs a saga that is running"
        ),
    ),
}


@pytest.mark.parametrize("race", RACES)
def test_4a_20_operator_racing_a_reply_is_decided_by_which_comes_first(race: str) -> None:
    """An operation is an input on the same key: recorded with who and why when it comes first, refused when late."""
    history, wish, reply, reply_late, wish_late = RACES[race]
    operated = given(ORDER, *history).when(wish)
    assert operated.events[0]["type"] == "saga.operated"
    assert (operated.events[0]["operator"], operated.events[0]["reason"]) == ("olga", wish.reason)  # type: ignore[union-attr]
    reply_late(operated.after)
    answered = given(ORDER, *history).when(reply)
    assert not isinstance(answered.verdict, Unacceptable)
    wish_late(answered.after)
