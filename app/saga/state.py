"""Where a saga can be: a closed union. What all its states share is one value, so that a step forward copies little."""

from collections.abc import Mapping
from typing import Any

from app.saga.facts import fact


@fact
class Facts:
    """What a saga knows of its order: the fields still needed by a command to come, and the results of its steps."""

    version: int
    digest: str
    order: Mapping[str, Any]
    results: Mapping[str, str]


@fact
class Why:
    """Why a saga goes back: after which step, and whether somebody asked for it."""

    reason: str
    step: str
    requested: bool


@fact
class NotStarted:
    """No order of this id was placed."""


@fact
class Running:
    """A step was asked for; without an answer by `due_ms` (since 1970) it is asked for again, or given up."""

    facts: Facts
    step: str
    attempt: int
    due_ms: int


@fact
class Pausing:
    """A step failed technically; it is asked for again at `due_ms`. An answer to an earlier attempt still counts."""

    facts: Facts
    step: str
    attempt: int
    due_ms: int


@fact
class Compensating:
    """A step's undo was asked for; attempts are counted from `first_attempt`, above 1 after an operator's retry."""

    facts: Facts
    why: Why
    step: str
    attempt: int
    first_attempt: int
    due_ms: int


@fact
class CompensationPausing:
    """An undo failed technically; it is asked for again at `due_ms`."""

    facts: Facts
    why: Why
    step: str
    attempt: int
    first_attempt: int
    due_ms: int


@fact
class Stuck:
    """An undo failed for good: a person must act, or its participant answers late."""

    facts: Facts
    why: Why
    step: str
    attempt: int


@fact
class Completed:
    """Every step was done."""

    facts: Facts


@fact
class RolledBack:
    """Nothing that was done still stands."""

    facts: Facts
    why: Why


State = NotStarted | Running | Pausing | Compensating | CompensationPausing | Stuck | Completed | RolledBack
STATES: tuple[type[State], ...] = (
    NotStarted,
    Running,
    Pausing,
    Compensating,
    CompensationPausing,
    Stuck,
    Completed,
    RolledBack,
)
Waiting = Running | Pausing | Compensating | CompensationPausing
FINAL = (Completed, RolledBack)


@fact
class Progress:
    """A saga so far: its state, and how many decisions led to it."""

    seq: int
    state: State


UNKNOWN = Progress(0, NotStarted())


def due_ms(state: State) -> int | None:
    """When (ms since 1970) a state wants to be told of the time; None for one that waits for nothing but messages."""
    return state.due_ms if isinstance(state, Waiting) else None
