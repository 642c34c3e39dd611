"""The table of states and inputs is total, and what it says of each pair is written down here to be reviewed."""

from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any, get_args, get_type_hints

import pytest

from app.saga.decide import TABLE
from app.saga.messages import (
    INPUTS,
    Failed,
    Input,
    Refused,
    Succeeded,
    TimerDue,
    Undone,
)
from app.saga.state import (
    STATES,
    Compensating,
    CompensationPausing,
    Completed,
    NotStarted,
    Pausing,
    RolledBack,
    Running,
    State,
    Stuck,
)
from app.saga.verdict import NOTHING, Unacceptable
from tests.saga.given import Story
from tests.saga.places import PLACES, at, kind_of
from tests.saga.words import ID, cancel, compensate, placed, retry, skip

COLUMNS: tuple[type[State], ...] = (
    NotStarted, Running, Pausing, Compensating, CompensationPausing, Stuck, Completed, RolledBack,
)  # fmt: skip

GRID = """
                                            NotS Run  Paus Comp CPau Stuc Done Back
the order                                   M    .    .    .    .    .    .    .
another order with its id                   M    X    X    X    X    X    X    X
a cancel                                    X    M    M    R    R    R    R    R
success of the attempt                      X    M    M    I    I    I    I    I
success of an earlier attempt               X    M    M    I    I    I    I    I
success of an attempt never sent            X    I    I    I    I    I    I    I
success of the undo                         X    I    I    I    I    I    I    I
success of the step, of another order       X    I    I    I    I    I    I    I
success of another step                     X    I    I    I    I    I    I    I
refusal of the attempt                      X    M    M    I    I    I    I    I
refusal of an earlier attempt               X    M    M    I    I    I    I    I
refusal of an attempt never sent            X    I    I    I    I    I    I    I
refusal of the undo                         X    I    I    I    I    I    I    I
refusal of the step, of another order       X    I    I    I    I    I    I    I
refusal of another step                     X    I    I    I    I    I    I    I
undoing of the attempt                      X    I    I    M    M    M    I    I
undoing of an earlier attempt               X    I    I    M    M    M    I    I
undoing of an attempt never sent            X    I    I    I    I    I    I    I
undoing of the do                           X    I    I    I    I    I    I    I
undoing of the step, of another order       X    I    I    I    I    I    I    I
undoing of another step                     X    I    I    I    I    I    I    I
passing failure of the attempt              X    M    I    M    I    I    I    I
passing failure of an earlier attempt       X    I    I    I    I    I    I    I
passing failure of an attempt never sent    X    I    I    I    I    I    I    I
passing failure the other way               X    I    I    I    I    I    I    I
passing failure of another step             X    I    I    I    I    I    I    I
passing failure before an operator's retry  -    -    -    I    I    -    -    -
lasting failure of the attempt              X    M    M    M    M    I    I    I
lasting failure of an earlier attempt       X    M    M    M    M    I    I    I
lasting failure before an operator's retry  -    -    -    I    I    -    -    -
lasting failure of an attempt never sent    X    I    I    I    I    I    I    I
lasting failure the other way               X    I    I    I    I    I    I    I
lasting failure of another step             X    I    I    I    I    I    I    I
a retry                                     X    R    R    R    R    M    R    R
a skip                                      X    R    R    R    R    M    R    R
a compensate                                X    M    M    R    R    R    R    R
the time awaited                            -    M    M    M    M    -    -    -
another time                                .    .    .    .    .    .    .    .
"""
"""M moves the saga, I is ignored and R refused (both recorded), . comes to nothing, X is unacceptable, - can't be."""

Tell = Callable[[Story], Input | None]


def _replies(name: str, make: Callable[[str, str], Input], direction: str) -> dict[str, Tell]:
    """A reply of one kind in its variations: each names a command of the story's own step, or just not that."""
    other = "undo" if direction == "do" else "do"

    def naming(way: str, shift: int = 0, id: str = ID) -> Tell:
        return lambda story: make(_step(story), f"{id}:{_step(story)}:{way}:{_attempt(story) + shift}")

    def earlier(story: Story) -> Input | None:
        return naming(direction, -1)(story) if _attempt(story) > 1 else None

    def elsewhere(story: Story) -> Input:
        step = "payment" if _step(story) == "reservation" else "reservation"
        return make(step, f"{ID}:{step}:{direction}:1")

    return {
        f"{name} of the attempt": naming(direction),
        f"{name} of an earlier attempt": earlier,
        f"{name} of an attempt never sent": naming(direction, 1),
        f"{name} of the {other}": naming(other),
        f"{name} of the step, of another order": naming(direction, 0, "o-2"),
        f"{name} of another step": elsewhere,
    }


def _failures(name: str, *, retryable: bool) -> dict[str, Tell]:
    """A failure in its variations, the direction being that in which the saga goes."""

    def naming(story: Story, shift: int = 0, way: str = "") -> Input:
        command = f"{ID}:{_step(story)}:{way or _way(story)}:{_attempt(story) + shift}"
        return Failed("m", "failed", _step(story), command, "down", retryable)

    def elsewhere(story: Story) -> Input:
        step = "payment" if _step(story) == "reservation" else "reservation"
        return Failed("m", "failed", step, f"{ID}:{step}:{_way(story)}:1", "down", retryable)

    return {
        f"{name} of the attempt": naming,
        f"{name} of an earlier attempt": lambda s: naming(s, -1) if _attempt(s) > _first_attempt(s) else None,
        f"{name} before an operator's retry": lambda s: naming(s, -1) if _attempt(s) == _first_attempt(s) > 1 else None,
        f"{name} of an attempt never sent": lambda s: naming(s, 1),
        f"{name} the other way": lambda s: naming(s, 0, "do" if _way(s) == "undo" else "undo"),
        f"{name} of another step": elsewhere,
    }


def _step(story: Story) -> str:
    return getattr(story.state, "step", "payment")


def _attempt(story: Story) -> int:
    return getattr(story.state, "attempt", 2)


def _first_attempt(story: Story) -> int:
    return getattr(story.state, "first_attempt", 1)


def _way(story: Story) -> str:
    return "do" if isinstance(story.state, NotStarted | Running | Pausing | Completed) else "undo"


TOLD: dict[str, Tell] = {
    "the order": lambda _: placed(),
    "another order with its id": lambda _: placed("bob"),
    "a cancel": lambda _: cancel(),
    **_replies("success", lambda step, command: Succeeded("m", "succeeded", step, command, "x"), "do"),
    **_replies("refusal", lambda step, command: Refused("m", "refused", step, command, "no"), "do"),
    **_replies("undoing", lambda step, command: Undone("m", "undone", step, command), "undo"),
    **_failures("passing failure", retryable=True),
    **_failures("lasting failure", retryable=False),
    "a retry": lambda _: retry(),
    "a skip": lambda _: skip(),
    "a compensate": lambda _: compensate(),
    "the time awaited": lambda story: None if story.due is None else TimerDue(story.due),
    "another time": lambda story: TimerDue((story.due or 0) + 1),
}


@cache
def _expected() -> dict[str, dict[type[State], str]]:
    rows = [line for line in GRID.strip("\n").splitlines()[1:] if line]
    return {row[:44].strip(): dict(zip(COLUMNS, row[44:].split(), strict=True)) for row in rows}


def _mark(story: Story, given: Input) -> str:
    """What comes of an input, as the grid marks it."""
    telling = story.when(given)
    if isinstance(telling.verdict, Unacceptable):
        return "X"
    if telling.verdict == NOTHING:
        return "."
    if telling.after.state != story.state:
        return "M"
    (event,) = telling.events
    quiet = {"saga.reply.ignored": "I", "saga.cancel.refused": "R", "saga.operation.refused": "R"}
    return quiet[event["type"]]


def test_every_state_has_a_row_for_every_input() -> None:
    """The table leaves no pair out and has none too many; the lists of kinds are those of the unions."""
    assert set(STATES) == set(get_args(State)) == set(COLUMNS) == set(TABLE)
    assert set(INPUTS) == set(get_args(Input))
    for state in STATES:
        assert set(TABLE[state]) == set(INPUTS), state


def test_every_pair_is_told() -> None:
    """The grid below tells every kind of state every kind of input, in more than one way where there is one."""
    pairs = {(kind_of(place), type(given)) for place, given in _tellings()}
    assert pairs == set(product(STATES, INPUTS))
    assert set(_expected()) == set(TOLD)


def _tellings() -> list[tuple[str, Input]]:
    told = ((place, tell(at(place))) for place in PLACES for tell in TOLD.values())
    return [(place, given) for place, given in told if given is not None]


@pytest.mark.parametrize("name", tuple(_expected()))
def test_each_pair_comes_to_what_the_grid_says(name: str) -> None:
    """The same in every place of a state, whatever the step and the attempt."""
    marks: dict[type[State], dict[str, str]] = {state: {} for state in COLUMNS}
    for place in PLACES:
        given = TOLD[name](at(place))
        if given is not None:
            marks[kind_of(place)][place] = _mark(at(place), given)
    assert {state: "".join(sorted(set(of.values()))) or "-" for state, of in marks.items()} == _expected()[name], marks


def test_each_move_is_made_for_its_place_in_the_table() -> None:
    """What a move declares of the states and inputs that it takes covers where the table uses it."""
    for state, given in product(STATES, INPUTS):
        move = TABLE[state][given]
        hints = get_type_hints(move)
        _, taken_state, taken_input = (hints[name] for name in hints if name != "return")
        assert state in _kinds(taken_state), (move, state)
        assert given in _kinds(taken_input), (move, given)


def _kinds(hint: Any) -> tuple[type, ...]:
    return get_args(hint) or (hint,)
