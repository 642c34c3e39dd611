"""Ids follow from what they name, and are read strictly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.saga.identity import attempt_of, command_id, effect_key, outcome_id

ORDER_IDS = st.from_regex(r"[A-Za-z0-9._-]{1,128}", fullmatch=True)


def test_ids_are_as_agreed() -> None:
    """Order, step, direction and attempt, with colons between."""
    assert effect_key("o-1", "payment", "undo") == "o-1:payment:undo"
    assert command_id("o-1", "payment", "undo", 3) == "o-1:payment:undo:3"
    assert outcome_id("o-1", 1_700_000_000_000, 7) == "o-1:outcome:1700000000000:7"


def test_an_id_that_is_placed_again_has_other_outcomes() -> None:
    """The second saga of an id counts its decisions from 1 as well, and began later: no outcome has the same id."""
    lives = [{outcome_id("o-1", started_ms, seq) for seq in range(1, 6)} for started_ms in (1_000, 2_000)]
    assert [len(life) for life in lives] == [5, 5]
    assert not lives[0] & lives[1]


@given(ORDER_IDS, st.integers(1, 999_999_999))
def test_an_attempt_is_read_back(order: str, attempt: int) -> None:
    """Each id names the attempt that it was made of, and no attempt of the other direction or of another order."""
    id = command_id(order, "payment", "do", attempt)
    assert attempt_of(id, effect_key(order, "payment", "do")) == attempt
    assert attempt_of(id, effect_key(order, "payment", "undo")) is None
    assert attempt_of(id, effect_key(order + "x", "payment", "do")) is None


@pytest.mark.parametrize(
    "command",
    ("", "o-1:payment:do", "o-1:payment:do:", "o-1:payment:do:0", "o-1:payment:do:01", "o-1:payment:do:-1",
     "o-1:payment:do:+1", "o-1:payment:do:1_0", "o-1:payment:do: 1", "o-1:payment:do:1\n", "o-1:payment:do:\u0661",
     "o-1:payment:do:1.0", "o-1:payment:do:1:1", "o-1:payment:do:9999999999", "x:o-1:payment:do:1"),
)  # fmt: skip
def test_what_only_looks_like_an_attempt_is_none(command: str) -> None:
    """Every attempt is spelled in one way alone."""
    assert attempt_of(command, "o-1:payment:do") is None
