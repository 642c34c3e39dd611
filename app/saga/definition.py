"""A saga's definition as data: written by its author, read by every other module."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from app.saga.soundness import check

Kind = Literal["compensatable", "pivot", "retriable"]
"""A compensatable step can be undone. The pivot is the point of no return. A retriable step comes after it, and is sent
until it is done."""

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Retry:
    """The attempts of a command, and the backoff after a retryable failure: it doubles up to `longest_pause_ms`."""

    attempts: int = 5
    first_pause_ms: int = 200
    longest_pause_ms: int = 30_000

    def pause_ms(self, failures: int, command_id: str) -> int:
        """The backoff (ms) after the n-th failure (from 1): half is fixed, half is jitter from the command id."""
        backoff = min(self.first_pause_ms << min(failures - 1, 30), self.longest_pause_ms)
        half = backoff // 2
        return half + zlib.crc32(command_id.encode()) % (backoff - half + 1)


@dataclass(frozen=True, slots=True)
class Command:
    """A command to a participant: its message type, and the order fields and step results that it carries.

    Without a reply within `timeout_ms` it is sent again with the same idempotency key, or the step is given up.
    """

    type: str
    order_fields: tuple[str, ...] = ()
    result_fields: tuple[str, ...] = ()
    timeout_ms: int = 30_000
    retry: Retry = Retry()


@dataclass(frozen=True, slots=True)
class Step:
    """One participant's part: the commands that do and undo it, its reply types, and the reply field with its result.

    `after` names the steps that must be done before it: None means the step declared before it, () the saga's start.
    Steps that don't depend on each other run in parallel. A pivot may lack an undo. A retriable step has no undo, and
    can't be refused.
    """

    name: str
    do: Command
    succeeded: str
    failed: str
    result: str
    undo: Command | None = None
    undone: str | None = None
    refused: str | None = None
    kind: Kind = "compensatable"
    after: tuple[str, ...] | None = None

    @property
    def commands_topic(self) -> str:
        """The topic of its commands, without prefix."""
        return f"{self.name}.commands"

    @property
    def replies_topic(self) -> str:
        """The topic of its replies, without prefix."""
        return f"{self.name}.replies"

    @property
    def replies(self) -> tuple[str, ...]:
        """The types of its replies."""
        return tuple(type for type in (self.succeeded, self.refused, self.undone, self.failed) if type is not None)


class HasSteps(Protocol):
    """A saga, or all of its versions."""

    @property
    def name(self) -> str:
        """The saga's name."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps."""

    @property
    def sagas(self) -> "tuple[Saga, ...]":
        """The definitions, one per version."""


@dataclass(frozen=True, slots=True)
class Saga:
    """Steps, each declared after those that it needs. Raises Unsound if the definition can't work.

    A saga not completed `deadline_ms` after its start rolls back, if it still can. The state of an ended saga is kept
    for `retention_ms`: it makes duplicates and late replies recognisable.
    """

    name: str
    version: int
    steps: tuple[Step, ...]
    deadline_ms: int | None = None
    retention_ms: int = 7 * DAY_MS
    step_index: dict[str, int] = field(init=False, repr=False, compare=False)
    """For each step: its index in `steps`."""
    earlier: dict[str, frozenset[str]] = field(init=False, repr=False, compare=False)
    """For each step: all steps that must be done before it."""
    roots: tuple[Step, ...] = field(init=False, repr=False, compare=False)
    """The steps that the saga starts with."""
    later: dict[str, frozenset[str]] = field(init=False, repr=False, compare=False)
    """For each step: all steps that need it, directly or not."""
    next_after: dict[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)
    """For each step: the steps that start once it is done, unless another step that they need is still active."""
    undoable: dict[str, bool] = field(init=False, repr=False, compare=False)
    """For each step: whether it can be undone."""
    needed_after: dict[str, frozenset[str]] = field(init=False, repr=False, compare=False)
    """For each step: the order fields that a later command may need once it is done; the state drops all others."""

    def __post_init__(self) -> None:
        assign = object.__setattr__  # the dataclass is frozen
        assign(self, "step_index", {step.name: index for index, step in enumerate(self.steps)})
        assign(self, "earlier", _earlier(self.steps))
        assign(self, "roots", tuple(step for step in self.steps if not self.earlier[step.name]))
        names, earlier = self.step_index, self.earlier
        assign(self, "later", {name: frozenset(other for other in names if name in earlier[other]) for name in names})
        check(self)
        assign(self, "next_after", {name: tuple(self.first_of(self.later[name])) for name in names})
        assign(self, "undoable", {step.name: step.undo is not None for step in self.steps})
        assign(self, "needed_after", {name: self._needed_after(name) for name in names})

    @property
    def sagas(self) -> "tuple[Saga, ...]":
        """The saga itself: it is its only version."""
        return (self,)

    @property
    def pivot(self) -> Step | None:
        """The point of no return; None if the saga has none."""
        return next((step for step in self.steps if step.kind == "pivot"), None)

    def step(self, name: str) -> Step:
        """The step of that name. Raises KeyError if there is none."""
        return self.steps[self.step_index[name]]

    def first_of(self, names: Iterable[str]) -> list[str]:
        """The members of `names` without a predecessor among them, in declaration order."""
        among = frozenset(names)
        return [step.name for step in self.steps if step.name in among and not self.earlier[step.name] & among]

    def last_of(self, names: Iterable[str]) -> list[str]:
        """The members of `names` without a successor among them, in declaration order."""
        among = frozenset(names)
        return [step.name for step in self.steps if step.name in among and not self.later[step.name] & among]

    def _needed_after(self, name: str) -> frozenset[str]:
        done = self.earlier[name] | {name}
        undos = (step.undo.order_fields for step in self.steps if step.undo is not None)
        dos = (step.do.order_fields for step in self.steps if step.name not in done)
        return frozenset().union(*undos, *dos)


def _earlier(steps: tuple[Step, ...]) -> dict[str, frozenset[str]]:
    """Direct and indirect predecessors of each step, without names that are not declared before it."""
    earlier: dict[str, frozenset[str]] = {}
    for index, step in enumerate(steps):
        direct = directly_after(steps, index)
        with_indirect = frozenset(direct).union(*(earlier.get(name, frozenset()) for name in direct))
        earlier[step.name] = with_indirect.intersection(earlier)
    return earlier


def directly_after(steps: tuple[Step, ...], index: int) -> tuple[str, ...]:
    """The names of the step's direct predecessors."""
    after = steps[index].after
    if after is not None:
        return after
    return (steps[index - 1].name,) if index else ()


def with_policy(
    saga: Saga,
    timeout_ms: int | None = None,
    attempts: int | None = None,
    deadline_ms: int | None = None,
    retention_ms: int | None = None,
) -> Saga:
    """The same saga with other times (ms) and attempts; None keeps the author's value."""

    def adjusted(command: Command) -> Command:
        return replace(
            command,
            timeout_ms=command.timeout_ms if timeout_ms is None else timeout_ms,
            retry=command.retry if attempts is None else replace(command.retry, attempts=attempts),
        )

    return replace(
        saga,
        steps=tuple(
            replace(step, do=adjusted(step.do), undo=None if step.undo is None else adjusted(step.undo))
            for step in saga.steps
        ),
        deadline_ms=saga.deadline_ms if deadline_ms is None else deadline_ms,
        retention_ms=saga.retention_ms if retention_ms is None else retention_ms,
    )
