"""Ids are derived from what they name, and are parsed strictly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.saga.message_ids import attempt_of, command_id, idempotency_key, outcome_id

ORDER_IDS = st.from_regex(r"[A-Za-z0-9._-]{1,128}", fullmatch=True)


def test_ids_are_as_agreed() -> None:
    """Order, step, direction and attempt, separated by colons."""
    assert idempotency_key("o-1", "payment", "undo") == "o-1:payment:undo"
    assert command_id("o-1", "payment", "undo", 3) == "o-1:payment:undo:3"
    assert outcome_id("o-1", 1_700_000_000_000, 7) == "o-1:outcome:1700000000000:7"


def test_an_order_id_that_is_used_again_has_other_outcome_ids() -> None:
    """Its second saga counts its decisions from 1 as well, but has another start: no outcome has the same id."""
    ids = [{outcome_id("o-1", started_ms, seq) for seq in range(1, 6)} for started_ms in (1_000, 2_000)]
    assert [len(of_one_saga) for of_one_saga in ids] == [5, 5]
    assert not ids[0] & ids[1]


@given(ORDER_IDS, st.integers(1, 999_999_999))
def test_an_attempt_is_read_back(order: str, attempt: int) -> None:
    """An id names exactly the attempt that it was made of, not one of another direction or order."""
    id = command_id(order, "payment", "do", attempt)
    assert attempt_of(id, idempotency_key(order, "payment", "do")) == attempt
    assert attempt_of(id, idempotency_key(order, "payment", "undo")) is None
    assert attempt_of(id, idempotency_key(order + "x", "payment", "do")) is None


@pytest.mark.parametrize(
    "command",
    ("", "o-1:payment:do", "o-1:payment:do:", "o-1:payment:do:0", "o-1:payment:do:01", "o-1:payment:do:-1",
     "o-1:payment:do:+1", "o-1:payment:do:1_0", "o-1:payment:do: 1", "o-1:payment:do:1\n", "o-1:payment:do:\u0661",
     "o-1:payment:do:1.0", "o-1:payment:do:1:1", "o-1:payment:do:9999999999", "x:o-1:payment:do:1"),
)  # fmt: skip
def test_an_id_that_only_looks_like_an_attempt_is_none(command: str) -> None:
    """Every attempt has exactly one spelling."""
    assert attempt_of(command, "o-1:payment:do") is None
