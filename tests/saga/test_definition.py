"""A saga as data: what its author can declare, and what other modules read of it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.saga.definition import Command, Retry, Saga, with_policy
from tests.saga.steps import step
from topologies.order import ORDER, PAYMENT, RESERVATION


def test_an_order_is_reserved_and_then_paid() -> None:
    """A step without `after` comes after the step declared before it."""
    assert ORDER.roots == (RESERVATION,)
    assert ORDER.next_after == {"reservation": ("payment",), "payment": ()}
    assert (ORDER.step("payment"), ORDER.pivot) == (PAYMENT, None)


# a comes first; b, and c with d after it, run apart; e joins them
FORK = Saga(
    "fork", 1, (step("a"), step("b", ("a",)), step("c", ("a",)), step("d", ("c",)), step("e", ("b", "d"), kind="pivot"))
)


def test_steps_know_their_predecessors_and_successors() -> None:
    """Direct and indirect ones: the one relation is the inverse of the other."""
    assert FORK.earlier["e"] == {"a", "b", "c", "d"}
    assert FORK.earlier["d"] == {"a", "c"}
    assert FORK.later["c"] == {"d", "e"}
    assert FORK.later["e"] == frozenset()
    assert all((one in FORK.later[other]) == (other in FORK.earlier[one]) for one in "abcde" for other in "abcde")


def test_steps_know_which_steps_start_once_they_are_done() -> None:
    """Only direct successors: all others wait for further steps in any case."""
    assert FORK.next_after == {"a": ("b", "c"), "b": ("e",), "c": ("d",), "d": ("e",), "e": ()}
    assert FORK.pivot == FORK.step("e")


def test_a_subset_of_the_steps_has_its_own_first_and_last_ones() -> None:
    """In declaration order, whatever the order of the names."""
    assert FORK.first_of(["d", "c", "b"]) == ["b", "c"]
    assert FORK.last_of({"d", "c", "b", "a"}) == ["b", "d"]
    assert FORK.first_of("abcde") == ["a"]
    assert FORK.last_of("") == []


@pytest.mark.parametrize(
    ("first", "second", "roots"),
    ((None, None, ["s"]), ((), None, ["s"]), (None, ("s",), ["s"]), (None, (), ["s", "p"]), ((), (), ["s", "p"])),
)
def test_steps_without_predecessors_start_the_saga(
    first: tuple[str, ...] | None, second: tuple[str, ...] | None, roots: list[str]
) -> None:
    """The first step does in any case; another step does if its `after` is empty."""
    saga = Saga("two", 1, (step("s", first), step("p", second)))
    assert [step.name for step in saga.roots] == roots


def test_the_topics_of_a_step_carry_its_name() -> None:
    """A participant gets commands on one topic and replies on the other."""
    assert (PAYMENT.commands_topic, PAYMENT.replies_topic) == ("payment.commands", "payment.replies")


def test_a_command_may_carry_the_results_of_earlier_steps() -> None:
    """A payment may name the reservation that it pays for."""
    paying = replace(PAYMENT, do=replace(PAYMENT.do, result_fields=("reservation_id",)))
    assert Saga("fine", 1, (RESERVATION, paying)).step("payment") == paying


def test_an_unknown_step_is_an_error() -> None:
    """No other step is returned instead."""
    for lookup in (ORDER.step, ORDER.next_after.__getitem__, ORDER.needed_after.__getitem__):
        with pytest.raises(KeyError):
            lookup("shipping")


def test_only_order_fields_that_are_still_needed_are_kept() -> None:
    """After the reservation the lines are not needed any more; after the payment only a refund needs anything."""
    assert ORDER.needed_after["reservation"] == {"customer_id", "total"}
    assert ORDER.needed_after["payment"] == {"total"}


def test_order_fields_of_a_parallel_step_are_kept() -> None:
    """A parallel step may have to be sent again."""
    saga = Saga("pair", 1, (step("s", order_fields=("lines",)), step("p", (), order_fields=("total", "lines"))))
    assert saga.needed_after == {"s": {"total", "lines"}, "p": {"lines"}}


@given(st.integers(1, 200), st.integers(1, 10_000), st.integers(1, 100_000), st.text(max_size=20))
def test_a_backoff_is_between_half_and_all_of_its_longest(failures: int, first: int, longest: int, id: str) -> None:
    """It doubles with each failure up to the longest pause, and is the same for the same command."""
    longest_backoff = min(first * 2 ** (failures - 1), longest)
    backoff = Retry(9, first, longest).pause_ms(failures, id)
    assert longest_backoff // 2 <= backoff <= longest_backoff
    assert backoff == Retry(9, first, longest).pause_ms(failures, id)


def test_backoffs_of_many_sagas_are_spread() -> None:
    """A participant that comes back doesn't get all commands at once."""
    backoffs = [Retry().pause_ms(3, f"o-{order}:payment:do:3") for order in range(1_000)]
    assert max(backoffs) - min(backoffs) > 350
    assert max(backoffs.count(backoff) for backoff in backoffs) < 20


def commands(saga: Saga) -> list[Command]:
    """All commands of a saga, do and undo."""
    return [command for step in saga.steps for command in (step.do, step.undo) if command is not None]


def test_a_policy_changes_times_and_attempts_alone() -> None:
    """None keeps the author's value."""
    changed = with_policy(ORDER, timeout_ms=5, attempts=2)
    assert {(command.timeout_ms, command.retry.attempts) for command in commands(changed)} == {(5, 2)}
    assert [command.retry.first_pause_ms for command in commands(changed)] == [
        command.retry.first_pause_ms for command in commands(ORDER)
    ]
    assert with_policy(changed, timeout_ms=30_000).step("payment").do == replace(PAYMENT.do, retry=Retry(2))
    assert with_policy(ORDER) == ORDER


def test_a_policy_changes_deadline_and_retention() -> None:
    """Independently of each other; a step without an undo stays without."""
    assert with_policy(ORDER, deadline_ms=7) == replace(ORDER, deadline_ms=7)
    assert with_policy(ORDER, retention_ms=0) == replace(ORDER, retention_ms=0)
    assert len(commands(with_policy(FORK, attempts=3))) == len(commands(FORK)) == 9
