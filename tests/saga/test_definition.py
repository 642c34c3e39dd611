"""A saga as data: what its author can say, and what is refused because it can't work."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.saga.definition import Retry, Saga, Step, with_policy
from topologies.order import ORDER, PAYMENT, RESERVATION


def test_an_order_is_reserved_and_then_paid() -> None:
    """The neighbours of a step are those that are done after it and undone after it."""
    assert ORDER.after("reservation") == ORDER.step("payment") == PAYMENT
    assert ORDER.before("payment") == ORDER.step("reservation") == RESERVATION
    assert ORDER.after("payment") is ORDER.before("reservation") is None


def test_the_topics_of_a_step_carry_its_name() -> None:
    """A participant is asked on one topic and answers on the other."""
    assert (PAYMENT.commands_topic, PAYMENT.replies_topic) == ("payment.commands", "payment.replies")


@pytest.mark.parametrize(
    ("steps", "why"),
    (
        ((), "it has no step"),
        ((PAYMENT, PAYMENT), "two steps are called payment"),
        ((RESERVATION, replace(PAYMENT, result="reservation_id")), "the result of payment needs a name of its own"),
        ((replace(RESERVATION, result="total"),), "the result of reservation needs a name of its own, not total"),
        ((replace(RESERVATION, result="order_id"),), "the result of reservation needs a name of its own, not order_id"),
        ((replace(PAYMENT, refused="payment.failed"),), "two replies of payment have the same type"),
        (
            (replace(PAYMENT, do=replace(PAYMENT.do, order_fields=("colour",))),),
            "payment.charge cannot carry colour, which is not known by then",
        ),
        (
            (replace(PAYMENT, undo=replace(PAYMENT.undo, order_fields=("order_id",))),),
            "payment.refund cannot carry order_id",
        ),
        (
            (replace(PAYMENT, do=replace(PAYMENT.do, result_fields=("payment_id",))),),
            "payment.charge cannot carry payment_id",
        ),
        (
            (replace(RESERVATION, undo=replace(RESERVATION.undo, result_fields=("payment_id",))), PAYMENT),
            "reservation.release cannot carry payment_id",
        ),
        ((replace(PAYMENT, do=replace(PAYMENT.do, timeout_ms=0)),), "payment.charge needs at least one attempt"),
        ((replace(PAYMENT, undo=replace(PAYMENT.undo, retry=Retry(0))),), "payment.refund needs at least one attempt"),
    ),
)
def test_a_saga_that_cannot_work_is_refused(steps: tuple[Step, ...], why: str) -> None:
    """It says what is wrong before anything is consumed."""
    with pytest.raises(ValueError, match=rf"^the saga odd can't work: {why}"):
        Saga("odd", 1, steps)


def test_a_command_may_carry_the_results_of_earlier_steps() -> None:
    """A payment may name the reservation that it pays for."""
    paying = replace(PAYMENT, do=replace(PAYMENT.do, result_fields=("reservation_id",)))
    assert Saga("fine", 1, (RESERVATION, paying)).step("payment") == paying


def test_a_step_that_there_is_not_is_an_error() -> None:
    """Nobody gets a neighbour by chance."""
    for ask in (ORDER.step, ORDER.after, ORDER.before, ORDER.needed_after.__getitem__):
        with pytest.raises(KeyError):
            ask("shipping")


def test_only_what_is_still_needed_of_an_order_is_kept() -> None:
    """Once reserved, nobody needs the lines any more; once paid, only a refund needs anything."""
    assert ORDER.needed_after["reservation"] == {"customer_id", "total"}
    assert ORDER.needed_after["payment"] == {"total"}


@given(st.integers(1, 200), st.integers(1, 10_000), st.integers(1, 100_000), st.text(max_size=20))
def test_a_pause_lies_between_half_and_all_of_what_is_due(failures: int, first: int, longest: int, id: str) -> None:
    """It doubles with each failure up to the longest, and stays the same for the same command."""
    whole = min(first * 2 ** (failures - 1), longest)
    pause = Retry(9, first, longest).pause_ms(failures, id)
    assert whole // 2 <= pause <= whole
    assert pause == Retry(9, first, longest).pause_ms(failures, id)


def test_pauses_of_many_sagas_are_spread() -> None:
    """Participants that come back are not asked by everybody at once."""
    pauses = [Retry().pause_ms(3, f"o-{order}:payment:do:3") for order in range(1_000)]
    assert max(pauses) - min(pauses) > 350
    assert max(pauses.count(pause) for pause in pauses) < 20


def test_a_policy_changes_times_and_attempts_alone() -> None:
    """An operator may want other time-outs and attempts than the saga's author; None leaves the author's."""
    hasty = with_policy(ORDER, timeout_ms=5, attempts=2)
    commands = [command for step in hasty.steps for command in (step.do, step.undo)]
    assert {(command.timeout_ms, command.retry.attempts) for command in commands} == {(5, 2)}
    assert hasty.step("payment").undo.retry.first_pause_ms == PAYMENT.undo.retry.first_pause_ms
    assert with_policy(hasty, timeout_ms=30_000).step("payment").do == replace(PAYMENT.do, retry=Retry(2))
    assert with_policy(ORDER) == ORDER
