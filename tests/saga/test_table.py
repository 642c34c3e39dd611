"""The table of states and inputs is total, and what it says of each pair is written down here to be reviewed."""

from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any, get_args, get_type_hints

import pytest

from app.saga.decide import TABLE, always
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
    LEGS,
    STATES,
    Asked,
    Compensating,
    Completed,
    Leg,
    NotStarted,
    Pausing,
    RolledBack,
    Running,
    State,
    Waiting,
)
from app.saga.turn import Room
from app.saga.verdict import FORGOTTEN, NOTHING, Unacceptable
from tests.saga.given import Story, no_room
from tests.saga.places import NO_RETURN, PLACES, Kind, at, kind_of
from tests.saga.words import ID, cancel, compensate, placed, retry, room_for, skip

COLUMNS = (
    Kind(NotStarted),
    *(Kind(Running, leg) for leg in (Waiting, Asked, Pausing)),
    *(Kind(Running, leg, "in doubt") for leg in LEGS),
    *(Kind(Running, leg, "passed") for leg in LEGS),
    *(Kind(Compensating, leg) for leg in LEGS),
    Kind(Completed),
    Kind(RolledBack),
)

GRID = """
                                            New | Running | pivot   | past it   | Compensating  | Done Back
                                                  W  A  P   W A P S   W A P S     W  A  P  S
the order                                   M     .  .  .   . . . .   . . . .     .  .  .  .      .    .
another order with its id                   M     X  X  X   X X X X   X X X X     X  X  X  X      X    X
a cancel                                    X     M  M  M   R R R R   R R R R     R  R  R  R      R    R
success of the attempt                      X     M  M  M   M M M M   M M M M     I  I  I  I      I    I
success of an earlier attempt               X     M  M  M   M M M M   M M M M     I  I  I  I      I    I
success of an attempt never sent            X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
success of the undo                         X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
success of the step, of another order       X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
success of another step                     X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
refusal of the attempt                      X     M  M  M   M M M M   - - - -     I  I  I  I      I    I
refusal of an earlier attempt               X     M  M  M   M M M M   - - - -     I  I  I  I      I    I
refusal of an attempt never sent            X     I  I  I   I I I I   - - - -     I  I  I  I      I    I
refusal of the undo                         X     I  I  I   I I I I   - - - -     I  I  I  I      I    I
refusal of the step, of another order       X     I  I  I   I I I I   - - - -     I  I  I  I      I    I
refusal of another step                     X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
undoing of the attempt                      X     I  I  I   I I I I   I I I I     M  M  M  M      I    I
undoing of an earlier attempt               X     I  I  I   I I I I   I I I I     M  M  M  M      I    I
undoing of an attempt never sent            X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
undoing of the do                           X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
undoing of the step, of another order       X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
undoing of another step                     X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
passing failure of the attempt              X     I  M  I   I M I I   I M I I     I  M  I  I      I    I
passing failure of an earlier attempt       X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
passing failure of an attempt never sent    X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
passing failure the other way               X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
passing failure of another step             X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
passing failure before an operator's retry  -     -  -  -   I I I -   I I I -     I  I  I  -      -    -
lasting failure of the attempt              X     M  M  M   M M M I   M M M I     M  M  M  I      I    I
lasting failure of an earlier attempt       X     M  M  M   M M M I   M M M I     M  M  M  I      I    I
lasting failure before an operator's retry  -     -  -  -   I I I -   I I I -     I  I  I  -      -    -
lasting failure of an attempt never sent    X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
lasting failure the other way               X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
lasting failure of another step             X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
a retry                                     X     R  R  R   R R R M   R R R M     R  R  R  M      R    R
a skip                                      X     R  R  R   R R R M   R R R M     R  R  R  M      R    R
a compensate                                X     M  M  M   R R R M   R R R R     R  R  R  R      R    R
the time awaited                            -     M  M  M   - M M -   - M M -     -  M  M  -      F    F
another time                                .     .  .  .   . . . .   . . . .     .  .  .  .      .    .
room for the step                           .     M  .  .   M . . .   M . . .     M  .  .  .      .    .
room for another step                       .     .  .  .   . . . .   . . . .     .  .  .  .      .    .
"""
"""The step under way waits (W), is asked for (A), pauses (P) or is stuck (S); of a saga that can go back, of one whose
pivot may be done and has no undo, of one past it, and of one that goes back.

M moves the saga, F has it forgotten, I is ignored and R refused (both recorded), . comes to nothing, X is unacceptable,
- can't be."""

Tell = Callable[[Story], Input | None]


def _replies(name: str, make: Callable[[str, str], Input], direction: str) -> dict[str, Tell]:
    """A reply of one kind in its variations: each names a command of the story's own step, or just not that."""
    other = "undo" if direction == "do" else "do"

    def naming(story: Story, way: str, shift: int = 0, id: str = ID) -> Input:
        return make(_step(story), f"{id}:{_step(story)}:{way}:{_attempt(story) + shift}")

    def elsewhere(story: Story) -> Input:
        step = "payment" if _step(story) == "reservation" else "reservation"
        return make(step, f"{ID}:{step}:{direction}:1")

    return {
        f"{name} of the attempt": lambda s: naming(s, direction) if _attempt(s) else None,
        f"{name} of an earlier attempt": lambda s: naming(s, direction, -1) if _attempt(s) > 1 else None,
        f"{name} of an attempt never sent": lambda s: naming(s, direction, 1),
        f"{name} of the {other}": lambda s: naming(s, other, 0 if _attempt(s) else 1),
        f"{name} of the step, of another order": lambda s: naming(s, direction, 0 if _attempt(s) else 1, "o-2"),
        f"{name} of another step": elsewhere,
    }


def _failures(name: str, *, retryable: bool) -> dict[str, Tell]:
    """A failure in its variations, the direction being that in which the saga goes."""

    def naming(story: Story, attempt: int, way: str = "") -> Input:
        command = f"{ID}:{_step(story)}:{way or _way(story)}:{attempt}"
        return Failed("m", "failed", _step(story), command, "down", retryable)

    def elsewhere(story: Story) -> Input:
        step = "payment" if _step(story) == "reservation" else "reservation"
        return Failed("m", "failed", step, f"{ID}:{step}:{_way(story)}:1", "down", retryable)

    return {
        f"{name} of the attempt": lambda s: naming(s, _attempt(s)) if _attempt(s) >= _first(s) else None,
        f"{name} of an earlier attempt": lambda s: naming(s, _attempt(s) - 1) if _attempt(s) > _first(s) else None,
        f"{name} before an operator's retry": lambda s: naming(s, _first(s) - 1) if _first(s) > 1 else None,
        f"{name} of an attempt never sent": lambda s: naming(s, _attempt(s) + 1),
        f"{name} the other way": lambda s: naming(s, _attempt(s) or 1, "do" if _way(s) == "undo" else "undo"),
        f"{name} of another step": elsewhere,
    }


def _leg(story: Story) -> Leg:
    """The step under way; where there is none, as if the last one had been asked for twice."""
    return story.leg if isinstance(story.state, Running | Compensating) else Asked("payment", 2, 1, 0, 0)


def _step(story: Story) -> str:
    return _leg(story).step


def _attempt(story: Story) -> int:
    return _leg(story).attempt


def _first(story: Story) -> int:
    return _leg(story).first


def _way(story: Story) -> str:
    return "do" if isinstance(story.state, NotStarted | Running | Completed) else "undo"


def _refusal(tell: Tell) -> Tell:
    """A refusal, where the step can be refused: no reader makes one of any other reply."""

    def told(story: Story) -> Input | None:
        given = tell(story)
        return given if not isinstance(given, Refused) or story.saga.step(given.step).refused is not None else None

    return told


_REFUSALS = _replies("refusal", lambda step, command: Refused("m", "refused", step, command, "no"), "do")
TOLD: dict[str, Tell] = {
    "the order": lambda _: placed(),
    "another order with its id": lambda _: placed("bob"),
    "a cancel": lambda _: cancel(),
    **_replies("success", lambda step, command: Succeeded("m", "succeeded", step, command, "x"), "do"),
    **{name: _refusal(tell) for name, tell in _REFUSALS.items()},
    **_replies("undoing", lambda step, command: Undone("m", "undone", step, command), "undo"),
    **_failures("passing failure", retryable=True),
    **_failures("lasting failure", retryable=False),
    "a retry": lambda _: retry(),
    "a skip": lambda _: skip(),
    "a compensate": lambda _: compensate(),
    "the time awaited": lambda story: None if story.due is None else TimerDue(story.due),
    "another time": lambda story: TimerDue((story.due or 0) + 1),
    "room for the step": lambda story: room_for(_step(story)),
    "room for another step": lambda story: room_for("payment" if _step(story) == "reservation" else "reservation"),
}
GROUND = (*PLACES, *NO_RETURN)


@cache
def _expected() -> dict[str, dict[Kind, str]]:
    rows = [line for line in GRID.strip("\n").splitlines()[2:] if line]
    return {row[:44].strip(): dict(zip(COLUMNS, row[44:].split(), strict=True)) for row in rows}


def _mark(story: Story, given: Input, room: Room = always) -> str:
    """What comes of an input, as the grid marks it."""
    telling = story.when(given, room=room, bears=room)
    if isinstance(telling.verdict, Unacceptable):
        return "X"
    if telling.verdict in (NOTHING, FORGOTTEN):
        return "." if telling.verdict == NOTHING else "F"
    if telling.after.state != story.state:
        return "M"
    (event,) = telling.events
    quiet = {"saga.reply.ignored": "I", "saga.cancel.refused": "R", "saga.operation.refused": "R"}
    return quiet[event["type"]]


def _tellings() -> list[tuple[str, Input]]:
    told = ((place, tell(at(place))) for place in GROUND for tell in TOLD.values())
    return [(place, given) for place, given in told if given is not None]


def test_every_state_has_a_row_for_every_input() -> None:
    """The table leaves no pair out and has none too many; the lists of kinds are those of the unions."""
    assert set(STATES) == set(get_args(State)) == set(TABLE)
    assert set(LEGS) == set(get_args(Leg))
    assert set(INPUTS) == set(get_args(Input))
    for state in STATES:
        assert set(TABLE[state]) == set(INPUTS), state


def test_every_kind_of_place_is_told_every_kind_of_input() -> None:
    """Each state with each kind of step under way, forward and back; in more than one way where there is one."""
    assert {kind_of(place) for place in GROUND} == set(COLUMNS)
    assert {(kind.state, kind.leg) for kind in COLUMNS} >= set(product((Running, Compensating), LEGS))
    assert {(kind_of(place), type(given)) for place, given in _tellings()} == set(product(COLUMNS, INPUTS))
    assert set(_expected()) == set(TOLD)


@pytest.mark.parametrize("name", tuple(_expected()))
def test_each_pair_comes_to_what_the_grid_says(name: str) -> None:
    """The same in every place of a kind, whatever the step and the attempt."""
    marks: dict[Kind, dict[str, str]] = {kind: {} for kind in COLUMNS}
    for place in GROUND:
        given = TOLD[name](at(place))
        if given is not None:
            marks[kind_of(place)][place] = _mark(at(place), given)
    assert {kind: "".join(sorted(set(of.values()))) or "-" for kind, of in marks.items()} == _expected()[name], marks


def test_room_decides_when_and_nothing_else() -> None:
    """Whatever a saga is told comes to the same without room: moved or not, ignored or refused all the same."""
    for place, given in _tellings():
        assert _mark(at(place), given, no_room) == _mark(at(place), given), (place, given)


def test_steps_that_nobody_knows_are_no_reason_to_stumble() -> None:
    """A reply or room for a step that the saga does not have is ignored, or comes to nothing, wherever it is."""
    strays: list[Input] = [
        Succeeded("m", "done", "billing", f"{ID}:billing:do:1", "x"),
        Refused("m", "refused", "billing", f"{ID}:billing:do:1", "no"),
        Undone("m", "undone", "billing", f"{ID}:billing:undo:1"),
        *(Failed("m", "failed", "billing", f"{ID}:billing:do:1", "down", retryable) for retryable in (True, False)),
    ]
    for place in GROUND:
        expected = "X" if kind_of(place).state is NotStarted else "I"
        assert [_mark(at(place), stray) for stray in strays] == [expected] * len(strays)
        assert _mark(at(place), room_for("billing")) == "."


def test_each_move_is_made_for_its_place_in_the_table() -> None:
    """What a move declares of the inputs that it takes covers where the table uses it."""
    for state, given in product(STATES, INPUTS):
        move = TABLE[state][given]
        hints = get_type_hints(move)
        _, taken = (hints[name] for name in hints if name != "return")
        assert given in _kinds(taken), (move, state, given)


def _kinds(hint: Any) -> tuple[type, ...]:
    return get_args(hint) or (hint,)
