"""A saga as data: what its author can say, and what is refused because it can't work."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.saga.definition import Command, Retry, Saga, with_policy
from tests.saga.steps import step
from topologies.order import ORDER, PAYMENT, RESERVATION


def test_an_order_is_reserved_and_then_paid() -> None:
    """A step that names none comes after the one written before it."""
    assert ORDER.roots == (RESERVATION,)
    assert ORDER.next_after == {"reservation": ("payment",), "payment": ()}
    assert (ORDER.step("payment"), ORDER.pivot) == (PAYMENT, None)


# a comes first; b, and c with d after it, run apart; e joins them
FORK = Saga(
    "fork", 1, (step("a"), step("b", ("a",)), step("c", ("a",)), step("d", ("c",)), step("e", ("b", "d"), kind="pivot"))
)


def test_steps_know_what_they_come_after_and_what_comes_after_them() -> None:
    """Directly or not: the one is the other turned round."""
    assert FORK.earlier["e"] == {"a", "b", "c", "d"}
    assert FORK.earlier["d"] == {"a", "c"}
    assert FORK.later["c"] == {"d", "e"}
    assert FORK.later["e"] == frozenset()
    assert all((one in FORK.later[other]) == (other in FORK.earlier[one]) for one in "abcde" for other in "abcde")


def test_steps_know_what_may_begin_once_they_are_done() -> None:
    """The first ones behind them alone, for the rest has others to wait for in any case."""
    assert FORK.next_after == {"a": ("b", "c"), "b": ("e",), "c": ("d",), "d": ("e",), "e": ()}
    assert FORK.pivot == FORK.step("e")


def test_some_of_the_steps_have_their_own_first_and_last_ones() -> None:
    """In the order in which they are written, however they are asked for."""
    assert FORK.first_of(["d", "c", "b"]) == ["b", "c"]
    assert FORK.last_of({"d", "c", "b", "a"}) == ["b", "d"]
    assert FORK.first_of("abcde") == ["a"]
    assert FORK.last_of("") == []


@pytest.mark.parametrize(
    ("first", "second", "roots"),
    ((None, None, ["s"]), ((), None, ["s"]), (None, ("s",), ["s"]), (None, (), ["s", "p"]), ((), (), ["s", "p"])),
)
def test_steps_that_come_after_nothing_begin_the_saga(
    first: tuple[str, ...] | None, second: tuple[str, ...] | None, roots: list[str]
) -> None:
    """The first step does anyway; another one does if it says so."""
    saga = Saga("two", 1, (step("s", first), step("p", second)))
    assert [step.name for step in saga.roots] == roots


def test_the_topics_of_a_step_carry_its_name() -> None:
    """A participant is asked on one topic and answers on the other."""
    assert (PAYMENT.commands_topic, PAYMENT.replies_topic) == ("payment.commands", "payment.replies")


def test_a_command_may_carry_the_results_of_earlier_steps() -> None:
    """A payment may name the reservation that it pays for."""
    paying = replace(PAYMENT, do=replace(PAYMENT.do, result_fields=("reservation_id",)))
    assert Saga("fine", 1, (RESERVATION, paying)).step("payment") == paying


def test_a_step_that_there_is_not_is_an_error() -> None:
    """Nobody gets a neighbour by chance."""
    for ask in (ORDER.step, ORDER.next_after.__getitem__, ORDER.needed_after.__getitem__):
        with pytest.raises(KeyError):
            ask("shipping")


def test_only_what_is_still_needed_of_an_order_is_kept() -> None:
    """Once reserved, nobody needs the lines any more; once paid, only a refund needs anything."""
    assert ORDER.needed_after["reservation"] == {"customer_id", "total"}
    assert ORDER.needed_after["payment"] == {"total"}


def test_what_a_step_beside_it_needs_is_kept() -> None:
    """A step that is done tells nothing of those that run at the same time: they may have to be asked again."""
    saga = Saga("pair", 1, (step("s", order_fields=("lines",)), step("p", (), order_fields=("total", "lines"))))
    assert saga.needed_after == {"s": {"total", "lines"}, "p": {"lines"}}


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


def commands(saga: Saga) -> list[Command]:
    """Every do and every undo of a saga."""
    return [command for step in saga.steps for command in (step.do, step.undo) if command is not None]


def test_a_policy_changes_times_and_attempts_alone() -> None:
    """An operator may want other time-outs and attempts than the saga's author; None leaves the author's."""
    hasty = with_policy(ORDER, timeout_ms=5, attempts=2)
    assert {(command.timeout_ms, command.retry.attempts) for command in commands(hasty)} == {(5, 2)}
    assert [command.retry.first_pause_ms for command in commands(hasty)] == [
        command.retry.first_pause_ms for command in commands(ORDER)
    ]
    assert with_policy(hasty, timeout_ms=30_000).step("payment").do == replace(PAYMENT.do, retry=Retry(2))
    assert with_policy(ORDER) == ORDER


def test_a_policy_changes_what_holds_of_a_saga_as_a_whole() -> None:
    """Its deadline and how long it is remembered, apart from each other; what has no undo stays without."""
    assert with_policy(ORDER, deadline_ms=7) == replace(ORDER, deadline_ms=7)
    assert with_policy(ORDER, remembered_ms=0) == replace(ORDER, remembered_ms=0)
    assert len(commands(with_policy(FORK, attempts=3))) == len(commands(FORK)) == 9
