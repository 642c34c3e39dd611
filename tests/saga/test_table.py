"""The decision table is total, and the result of each pair of state and input is written down here for review."""

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
    ACTIVE_STEPS,
    STATES,
    ActiveStep,
    BackingOff,
    Compensating,
    Completed,
    InFlight,
    NotStarted,
    Queued,
    RolledBack,
    Running,
    State,
)
from app.saga.transition import Admits
from app.saga.verdict import EXPIRED, NO_CHANGE, DeadLettered
from tests.saga.order_messages import ID, cancel, capacity_for, compensate, placed, retry, skip
from tests.saga.situations import ONE_WAY_SITUATIONS, SITUATIONS, Kind, at, kind_of
from tests.saga.story import Story, no_capacity

COLUMNS = (
    Kind(NotStarted),
    *(Kind(Running, active) for active in (Queued, InFlight, BackingOff)),
    *(Kind(Running, active, "in doubt") for active in ACTIVE_STEPS),
    *(Kind(Running, active, "passed") for active in ACTIVE_STEPS),
    *(Kind(Compensating, active) for active in ACTIVE_STEPS),
    Kind(Completed),
    Kind(RolledBack),
)

GRID = """
                                              New | Running | pivot   | past it   | Compensating  | Done Back
                                                    Q  I  B   Q I B S   Q I B S     Q  I  B  S
the order                                     M     .  .  .   . . . .   . . . .     .  .  .  .      .    .
another order with its id                     M     X  X  X   X X X X   X X X X     X  X  X  X      X    X
a cancel                                      X     M  M  M   R R R R   R R R R     R  R  R  R      R    R
success of the attempt                        X     M  M  M   M M M M   M M M M     I  I  I  I      I    I
success of an earlier attempt                 X     M  M  M   M M M M   M M M M     I  I  I  I      I    I
success of an attempt never sent              X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
success of the undo                           X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
success of the step, of another order         X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
success of another step                       X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
refusal of the attempt                        X     M  M  M   M M M M   - - - -     I  I  I  I      I    I
refusal of an earlier attempt                 X     M  M  M   M M M M   - - - -     I  I  I  I      I    I
refusal of an attempt never sent              X     I  I  I   I I I I   - - - -     I  I  I  I      I    I
refusal of the undo                           X     I  I  I   I I I I   - - - -     I  I  I  I      I    I
refusal of the step, of another order         X     I  I  I   I I I I   - - - -     I  I  I  I      I    I
refusal of another step                       X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
undoing of the attempt                        X     I  I  I   I I I I   I I I I     M  M  M  M      I    I
undoing of an earlier attempt                 X     I  I  I   I I I I   I I I I     M  M  M  M      I    I
undoing of an attempt never sent              X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
undoing of the do                             X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
undoing of the step, of another order         X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
undoing of another step                       X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
retryable failure of the attempt              X     I  M  I   I M I I   I M I I     I  M  I  I      I    I
retryable failure of an earlier attempt       X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
retryable failure of an attempt never sent    X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
retryable failure the other way               X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
retryable failure of another step             X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
retryable failure before an operator's retry  -     -  -  -   I I I -   I I I -     I  I  I  -      -    -
final failure of the attempt                  X     M  M  M   M M M I   M M M I     M  M  M  I      I    I
final failure of an earlier attempt           X     M  M  M   M M M I   M M M I     M  M  M  I      I    I
final failure before an operator's retry      -     -  -  -   I I I -   I I I -     I  I  I  -      -    -
final failure of an attempt never sent        X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
final failure the other way                   X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
final failure of another step                 X     I  I  I   I I I I   I I I I     I  I  I  I      I    I
a retry                                       X     R  R  R   R R R M   R R R M     R  R  R  M      R    R
a skip                                        X     R  R  R   R R R M   R R R M     R  R  R  M      R    R
a compensate                                  X     M  M  M   R R R M   R R R R     R  R  R  R      R    R
the next timer                                -     M  M  M   - M M -   - M M -     -  M  M  -      E    E
another timer                                 .     .  .  .   . . . .   . . . .     .  .  .  .      .    .
capacity for the step                         .     M  .  .   M . . .   M . . .     M  .  .  .      .    .
capacity for another step                     .     .  .  .   . . . .   . . . .     .  .  .  .      .    .
"""
"""The columns: the active step is queued (Q), in flight (I), backing off (B) or stuck (S). The saga can roll back, or
has a pivot without an undo that may be done, or is past that pivot, or rolls back.

M moves the saga, E expires it, I is ignored and R refused (both recorded), . changes nothing, X is a dead letter, and -
can't happen."""

InputOf = Callable[[Story], Input | None]


def _replies(name: str, make: Callable[[str, str], Input], direction: str) -> dict[str, InputOf]:
    """The variations of a kind of reply: to a command of the story's own step, or to one that differs in one part."""
    other = "undo" if direction == "do" else "do"

    def reply_to(story: Story, direction: str, shift: int = 0, id: str = ID) -> Input:
        return make(_step(story), f"{id}:{_step(story)}:{direction}:{_attempt(story) + shift}")

    def of_another_step(story: Story) -> Input:
        step = "payment" if _step(story) == "reservation" else "reservation"
        return make(step, f"{ID}:{step}:{direction}:1")

    return {
        f"{name} of the attempt": lambda s: reply_to(s, direction) if _attempt(s) else None,
        f"{name} of an earlier attempt": lambda s: reply_to(s, direction, -1) if _attempt(s) > 1 else None,
        f"{name} of an attempt never sent": lambda s: reply_to(s, direction, 1),
        f"{name} of the {other}": lambda s: reply_to(s, other, 0 if _attempt(s) else 1),
        f"{name} of the step, of another order": lambda s: reply_to(s, direction, 0 if _attempt(s) else 1, "o-2"),
        f"{name} of another step": of_another_step,
    }


def _failures(name: str, *, retryable: bool) -> dict[str, InputOf]:
    """The variations of a failure, in the direction of the saga."""

    def reply_to(story: Story, attempt: int, direction: str = "") -> Input:
        command = f"{ID}:{_step(story)}:{direction or _direction(story)}:{attempt}"
        return Failed("m", "failed", _step(story), command, "down", retryable)

    def of_another_step(story: Story) -> Input:
        step = "payment" if _step(story) == "reservation" else "reservation"
        return Failed("m", "failed", step, f"{ID}:{step}:{_direction(story)}:1", "down", retryable)

    return {
        f"{name} of the attempt": lambda s: reply_to(s, _attempt(s)) if _attempt(s) >= _first(s) else None,
        f"{name} of an earlier attempt": lambda s: reply_to(s, _attempt(s) - 1) if _attempt(s) > _first(s) else None,
        f"{name} before an operator's retry": lambda s: reply_to(s, _first(s) - 1) if _first(s) > 1 else None,
        f"{name} of an attempt never sent": lambda s: reply_to(s, _attempt(s) + 1),
        f"{name} the other way": lambda s: reply_to(s, _attempt(s) or 1, "do" if _direction(s) == "undo" else "undo"),
        f"{name} of another step": of_another_step,
    }


def _active(story: Story) -> ActiveStep:
    """The active step; without one, a last step that was sent twice."""
    return story.active if isinstance(story.state, Running | Compensating) else InFlight("payment", 2, 1, 0, 0)


def _step(story: Story) -> str:
    return _active(story).step


def _attempt(story: Story) -> int:
    return _active(story).attempt


def _first(story: Story) -> int:
    return _active(story).first


def _direction(story: Story) -> str:
    return "do" if isinstance(story.state, NotStarted | Running | Completed) else "undo"


def _if_refusable(input_of: InputOf) -> InputOf:
    """A refusal, if the step can be refused: the reader makes one of no other reply."""

    def refusal(story: Story) -> Input | None:
        given = input_of(story)
        return given if not isinstance(given, Refused) or story.saga.step(given.step).refused is not None else None

    return refusal


_REFUSALS = _replies("refusal", lambda step, command: Refused("m", "refused", step, command, "no"), "do")
INPUT_BY_NAME: dict[str, InputOf] = {
    "the order": lambda _: placed(),
    "another order with its id": lambda _: placed("bob"),
    "a cancel": lambda _: cancel(),
    **_replies("success", lambda step, command: Succeeded("m", "succeeded", step, command, "x"), "do"),
    **{name: _if_refusable(input_of) for name, input_of in _REFUSALS.items()},
    **_replies("undoing", lambda step, command: Undone("m", "undone", step, command), "undo"),
    **_failures("retryable failure", retryable=True),
    **_failures("final failure", retryable=False),
    "a retry": lambda _: retry(),
    "a skip": lambda _: skip(),
    "a compensate": lambda _: compensate(),
    "the next timer": lambda story: None if story.due is None else TimerDue(story.due),
    "another timer": lambda story: TimerDue((story.due or 0) + 1),
    "capacity for the step": lambda story: capacity_for(_step(story)),
    "capacity for another step": lambda story: capacity_for(
        "payment" if _step(story) == "reservation" else "reservation"
    ),
}
ALL_SITUATIONS = (*SITUATIONS, *ONE_WAY_SITUATIONS)


@cache
def _expected() -> dict[str, dict[Kind, str]]:
    rows = [line for line in GRID.strip("\n").splitlines()[2:] if line]
    return {row[:46].strip(): dict(zip(COLUMNS, row[46:].split(), strict=True)) for row in rows}


def _mark(story: Story, given: Input, capacity: Admits = always) -> str:
    """The mark in the grid for the result of an input."""
    reaction = story.when(given, try_acquire=capacity, keeps_slot=capacity)
    if isinstance(reaction.verdict, DeadLettered):
        return "X"
    if reaction.verdict in (NO_CHANGE, EXPIRED):
        return "." if reaction.verdict == NO_CHANGE else "E"
    if reaction.after.state != story.state:
        return "M"
    (event,) = reaction.events
    marks_of = {"saga.reply.ignored": "I", "saga.cancel.refused": "R", "saga.operation.refused": "R"}
    return marks_of[event["type"]]


def _pairs() -> list[tuple[str, Input]]:
    pairs = (
        (situation, input_of(at(situation))) for situation in ALL_SITUATIONS for input_of in INPUT_BY_NAME.values()
    )
    return [(situation, given) for situation, given in pairs if given is not None]


def test_every_state_has_a_row_for_every_input() -> None:
    """The table has exactly the pairs of the unions' states and inputs."""
    assert set(STATES) == set(get_args(State)) == set(TABLE)
    assert set(ACTIVE_STEPS) == set(get_args(ActiveStep))
    assert set(INPUTS) == set(get_args(Input))
    for state in STATES:
        assert set(TABLE[state]) == set(INPUTS), state


def test_every_kind_of_situation_meets_every_kind_of_input() -> None:
    """Each state with each status of its active step, forward and back, by each of its situations."""
    assert {kind_of(situation) for situation in ALL_SITUATIONS} == set(COLUMNS)
    assert {(kind.state, kind.active) for kind in COLUMNS} >= set(product((Running, Compensating), ACTIVE_STEPS))
    assert {(kind_of(situation), type(given)) for situation, given in _pairs()} == set(product(COLUMNS, INPUTS))
    assert set(_expected()) == set(INPUT_BY_NAME)


@pytest.mark.parametrize("name", tuple(_expected()))
def test_each_pair_leads_to_the_result_in_the_grid(name: str) -> None:
    """The same in every situation of a kind, whatever the step and the attempt."""
    marks: dict[Kind, dict[str, str]] = {kind: {} for kind in COLUMNS}
    for situation in ALL_SITUATIONS:
        given = INPUT_BY_NAME[name](at(situation))
        if given is not None:
            marks[kind_of(situation)][situation] = _mark(at(situation), given)
    assert {kind: "".join(sorted(set(of.values()))) or "-" for kind, of in marks.items()} == _expected()[name], marks


def test_capacity_decides_when_and_nothing_else() -> None:
    """Without capacity an input has the same result: the saga is moved, or the input ignored or refused."""
    for situation, given in _pairs():
        assert _mark(at(situation), given, no_capacity) == _mark(at(situation), given), (situation, given)


def test_inputs_for_unknown_steps_change_nothing() -> None:
    """A reply for a step that the saga does not have is ignored; capacity for it changes nothing."""
    unknown: list[Input] = [
        Succeeded("m", "done", "billing", f"{ID}:billing:do:1", "x"),
        Refused("m", "refused", "billing", f"{ID}:billing:do:1", "no"),
        Undone("m", "undone", "billing", f"{ID}:billing:undo:1"),
        *(Failed("m", "failed", "billing", f"{ID}:billing:do:1", "down", retryable) for retryable in (True, False)),
    ]
    for situation in ALL_SITUATIONS:
        expected = "X" if kind_of(situation).state is NotStarted else "I"
        assert [_mark(at(situation), given) for given in unknown] == [expected] * len(unknown)
        assert _mark(at(situation), capacity_for("billing")) == "."


def test_each_handler_takes_the_inputs_of_its_cells() -> None:
    """Its type annotation covers every input that the table calls it for."""
    for state, given in product(STATES, INPUTS):
        handler = TABLE[state][given]
        hints = get_type_hints(handler)
        _, taken = (hints[name] for name in hints if name != "return")
        assert given in _kinds(taken), (handler, state, given)


def _kinds(hint: Any) -> tuple[type, ...]:
    return get_args(hint) or (hint,)
