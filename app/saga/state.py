"""The states of a saga and, within them, of each active step: two closed unions."""

from collections.abc import Mapping
from typing import Any

from app.saga.immutable import immutable
from app.saga.message_ids import Direction
from app.saga.messages import Trace

# An active step is being done or undone. `attempt` is the last one sent (0: none yet). Attempts are counted from
# `first`, which is above 1 after an operator's retry.


@immutable
class Queued:
    """The step waits for capacity at its participant. `cause` is the id of the message that queued it, if one did."""

    step: str
    attempt: int
    first: int
    cause: str | None = None


@immutable
class InFlight:
    """The step's command is sent. Without a reply by `due_ms` (ms since 1970) it is sent again, or given up."""

    step: str
    attempt: int
    first: int
    requested_ms: int
    due_ms: int


@immutable
class BackingOff:
    """The step failed and is sent again at `due_ms` (ms since 1970). A reply to an earlier attempt still counts."""

    step: str
    attempt: int
    first: int
    due_ms: int


@immutable
class Stuck:
    """The step failed for good and can't be given up: an operator must act, or the participant must answer late."""

    step: str
    attempt: int
    first: int
    since_ms: int
    reason: str


WITH_DUE_TIME = (InFlight, BackingOff)
ActiveStep = Queued | InFlight | BackingOff | Stuck
ACTIVE_STEPS: tuple[type[ActiveStep], ...] = (Queued, InFlight, BackingOff, Stuck)


@immutable
class SagaData:
    """The name and version of the definition, the order fields that a later command may need, the steps' results.

    `trace` is that of the order, if it had one. An ended saga has none.
    """

    saga: str
    version: int
    digest: str
    started_ms: int
    order: Mapping[str, Any]
    results: Mapping[str, str]
    trace: Trace | None = None

    @property
    def definition(self) -> str:
        """The definition's name, `order/1`."""
        return definition(self.saga, self.version)


def definition(saga: str, version: int) -> str:
    """The name of a definition, for people and for comparison: `order/1`."""
    return f"{saga}/{version}"


@immutable
class Why:
    """Why the saga rolls back: the reason, the step it had reached, and whether a shop or an operator requested it."""

    reason: str
    step: str
    requested: bool


@immutable
class NotStarted:
    """No order with this id was placed, or the saga has expired."""


@immutable
class Running:
    """Steps are being done. A step that is neither active nor comes after an active step is done.

    The saga rolls back at `deadline_ms` (ms since 1970); None if it has no deadline, or can't roll back any more.
    """

    data: SagaData
    deadline_ms: int | None
    active_steps: tuple[ActiveStep, ...]


@immutable
class Compensating:
    """Steps are being undone; the steps in `left` are undone after them."""

    data: SagaData
    why: Why
    active_steps: tuple[ActiveStep, ...]
    left: tuple[str, ...]


@immutable
class Completed:
    """Every step is done. The state is deleted at `forget_ms` (ms since 1970)."""

    data: SagaData
    forget_ms: int


@immutable
class RolledBack:
    """Every step that was done is undone. The state is deleted at `forget_ms` (ms since 1970)."""

    data: SagaData
    why: Why
    forget_ms: int


State = NotStarted | Running | Compensating | Completed | RolledBack
ACTIVE_STATES = (Running, Compensating)
STATES: tuple[type[State], ...] = (NotStarted, Running, Compensating, Completed, RolledBack)
FINAL = (Completed, RolledBack)


@immutable
class Progress:
    """The state of a saga, and how many decisions led to it."""

    seq: int
    state: State


NO_SAGA = Progress(0, NotStarted())


def direction_of(state: State) -> Direction:
    """`do` while the saga is running, else `undo`."""
    return "do" if isinstance(state, Running) else "undo"


def active_step(active_steps: tuple[ActiveStep, ...], step: str) -> ActiveStep | None:
    """The entry of the step; None if the step is not active."""
    for active in active_steps:
        if active.step == step:
            return active
    return None


def stuck(state: State) -> tuple[Stuck, ...]:
    """The stuck steps: each needs an operator."""
    if isinstance(state, ACTIVE_STATES):
        return tuple(active for active in state.active_steps if isinstance(active, Stuck))
    return ()


def due_ms(state: State) -> int | None:
    """The next time (ms since 1970) that a state waits for; None if it waits for messages alone."""
    if isinstance(state, ACTIVE_STATES):
        due = state.deadline_ms if isinstance(state, Running) else None
        for active in state.active_steps:
            if isinstance(active, WITH_DUE_TIME) and (due is None or active.due_ms < due):
                due = active.due_ms
        return due
    return None if isinstance(state, NotStarted) else state.forget_ms
