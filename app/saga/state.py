"""Where a saga can be: a closed union, and within it where each step under way can be, another one."""

from collections.abc import Mapping
from typing import Any

from app.saga.facts import fact
from app.saga.identity import Direction

# A step under way, be it done or undone: `attempt` is the last one that was asked for (0: none yet), and attempts are
# counted from `first`, which is above 1 after an operator's retry.


@fact
class Waiting:
    """To be asked for as soon as its participant has room."""

    step: str
    attempt: int
    first: int


@fact
class Asked:
    """Asked for at `asked_ms` (since 1970); without an answer by `due_ms` it is asked for again, or given up."""

    step: str
    attempt: int
    first: int
    asked_ms: int
    due_ms: int


@fact
class Pausing:
    """It failed technically; it is asked for again at `due_ms`. An answer to an earlier attempt still counts."""

    step: str
    attempt: int
    first: int
    due_ms: int


@fact
class Stuck:
    """It failed for good, and can't be given up: a person must act, or its participant answers late."""

    step: str
    attempt: int
    first: int
    since_ms: int
    reason: str


TIMED = (Asked, Pausing)
Leg = Waiting | Asked | Pausing | Stuck
LEGS: tuple[type[Leg], ...] = (Waiting, Asked, Pausing, Stuck)


@fact
class Facts:
    """What a saga knows: its definition's name and version, and of its order the fields still needed by a command to
    come, and the results of its steps."""

    saga: str
    version: int
    digest: str
    started_ms: int
    order: Mapping[str, Any]
    results: Mapping[str, str]

    @property
    def definition(self) -> str:
        """What the saga goes by."""
        return definition(self.saga, self.version)


def definition(saga: str, version: int) -> str:
    """A definition's name for people and for comparing: `order/1`."""
    return f"{saga}/{version}"


@fact
class Why:
    """Why a saga goes back: after which step, and whether somebody asked for it."""

    reason: str
    step: str
    requested: bool


@fact
class NotStarted:
    """No order of this id was placed, or it was forgotten."""


@fact
class Running:
    """Steps are being done. What is neither under way nor comes after what is, is done.

    At `deadline_ms` (since 1970) it goes back; None when there is no deadline, or no way back any more.
    """

    facts: Facts
    deadline_ms: int | None
    legs: tuple[Leg, ...]


@fact
class Compensating:
    """Steps are being undone; those `left` are undone after them."""

    facts: Facts
    why: Why
    legs: tuple[Leg, ...]
    left: tuple[str, ...]


@fact
class Completed:
    """Every step was done; forgotten at `forget_ms` (since 1970)."""

    facts: Facts
    forget_ms: int


@fact
class RolledBack:
    """Nothing that was done still stands; forgotten at `forget_ms` (since 1970)."""

    facts: Facts
    why: Why
    forget_ms: int


State = NotStarted | Running | Compensating | Completed | RolledBack
UNDER_WAY = (Running, Compensating)
STATES: tuple[type[State], ...] = (NotStarted, Running, Compensating, Completed, RolledBack)
FINAL = (Completed, RolledBack)


@fact
class Progress:
    """A saga so far: its state, and how many decisions led to it."""

    seq: int
    state: State


UNKNOWN = Progress(0, NotStarted())


def direction_of(state: State) -> Direction:
    """Whether a saga's steps are done or undone now."""
    return "do" if isinstance(state, Running) else "undo"


def leg_of(legs: tuple[Leg, ...], step: str) -> Leg | None:
    """Where the step under way is; None when it is not under way."""
    for leg in legs:
        if leg.step == step:
            return leg
    return None


def stuck(state: State) -> tuple[Stuck, ...]:
    """The steps that a person must see to."""
    if isinstance(state, UNDER_WAY):
        return tuple(leg for leg in state.legs if isinstance(leg, Stuck))
    return ()


def due_ms(state: State) -> int | None:
    """When (ms since 1970) a state wants to be told of the time; None for one that waits for nothing but messages."""
    if isinstance(state, UNDER_WAY):
        due = state.deadline_ms if isinstance(state, Running) else None
        for leg in state.legs:
            if isinstance(leg, TIMED) and (due is None or leg.due_ms < due):
                due = leg.due_ms
        return due
    return None if isinstance(state, NotStarted) else state.forget_ms
