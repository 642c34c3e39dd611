"""A saga as data: what its author writes, and what every other part reads."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from app.saga.soundness import check

Kind = Literal["compensatable", "pivot", "retriable"]
"""What can become of a step: undone later; the point of no return; or, after that, asked for until it is done."""

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Retry:
    """How often an effect is asked for, and the pause after a technical failure, which doubles up to the longest."""

    attempts: int = 5
    first_pause_ms: int = 200
    longest_pause_ms: int = 30_000

    def pause_ms(self, failures: int, command_id: str) -> int:
        """Milliseconds to wait after the n-th failure (from 1): half of it fixed, half spread by the command's id."""
        whole = min(self.first_pause_ms << min(failures - 1, 30), self.longest_pause_ms)
        half = whole // 2
        return half + zlib.crc32(command_id.encode()) % (whole - half + 1)


@dataclass(frozen=True, slots=True)
class Command:
    """What a participant is asked to do: the message's type, and the fields of order and results that it carries.

    Without an answer within `timeout_ms` it is asked for again, with the same idempotency key, or given up.
    """

    type: str
    order_fields: tuple[str, ...] = ()
    result_fields: tuple[str, ...] = ()
    timeout_ms: int = 30_000
    retry: Retry = Retry()


@dataclass(frozen=True, slots=True)
class Step:
    """One participant's part: do and undo, the types of its replies, and the field that names a success's result.

    `after` names the steps that must be done before it: None stands for the one written before it, () for the start.
    Steps of which none comes after the other run in parallel. A pivot may lack an undo, a retriable step has none, and
    can't be refused either.
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
        """The topic, without prefix, on which the participant is asked."""
        return f"{self.name}.commands"

    @property
    def replies_topic(self) -> str:
        """The topic, without prefix, on which the participant answers."""
        return f"{self.name}.replies"

    @property
    def replies(self) -> tuple[str, ...]:
        """The types of its replies."""
        return tuple(type for type in (self.succeeded, self.refused, self.undone, self.failed) if type is not None)


class HasSteps(Protocol):
    """A saga, or all of its versions."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every step there is."""

    @property
    def sagas(self) -> "tuple[Saga, ...]":
        """Each definition by itself."""


@dataclass(frozen=True, slots=True)
class Saga:
    """Steps, each written after those that it needs. Raises Unsound with what can't work in it.

    A saga that is not done `deadline_ms` after its start goes back, if it still can. Once it has ended it is remembered
    for `remembered_ms`, so that duplicates and late replies are known for what they are.
    """

    name: str
    version: int
    steps: tuple[Step, ...]
    deadline_ms: int | None = None
    remembered_ms: int = 7 * DAY_MS
    place: dict[str, int] = field(init=False, repr=False, compare=False)
    earlier: dict[str, frozenset[str]] = field(init=False, repr=False, compare=False)
    """Of each step: all that must be done before it."""
    roots: tuple[Step, ...] = field(init=False, repr=False, compare=False)
    """The steps that a saga begins with."""
    later: dict[str, frozenset[str]] = field(init=False, repr=False, compare=False)
    """Of each step: all that it must be done before."""
    next_after: dict[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)
    """Of each step: those that may begin once it is done, if nothing else that they need is under way."""
    undoable: dict[str, bool] = field(init=False, repr=False, compare=False)
    """Of each step: whether it can be undone."""
    needed_after: dict[str, frozenset[str]] = field(init=False, repr=False, compare=False)
    """Of each step: the order's fields that a command can still need once it is done; the rest need not be kept."""

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "place", {step.name: index for index, step in enumerate(self.steps)})
        put(self, "earlier", _earlier(self.steps))
        put(self, "roots", tuple(step for step in self.steps if not self.earlier[step.name]))
        names = self.place
        put(self, "later", {name: frozenset(other for other in names if name in self.earlier[other]) for name in names})
        check(self)
        put(self, "next_after", {name: tuple(self.first_of(self.later[name])) for name in names})
        put(self, "undoable", {step.name: step.undo is not None for step in self.steps})
        put(self, "needed_after", {name: self._needed_after(name) for name in names})

    @property
    def sagas(self) -> "tuple[Saga, ...]":
        """Itself, as the only one of its versions."""
        return (self,)

    @property
    def pivot(self) -> Step | None:
        """The point of no return."""
        return next((step for step in self.steps if step.kind == "pivot"), None)

    def step(self, name: str) -> Step:
        """The step of that name; KeyError when there is none."""
        return self.steps[self.place[name]]

    def first_of(self, names: Iterable[str]) -> list[str]:
        """Those of them that need none of the others, in the order in which they are written."""
        among = frozenset(names)
        return [step.name for step in self.steps if step.name in among and not self.earlier[step.name] & among]

    def last_of(self, names: Iterable[str]) -> list[str]:
        """Those of them that none of the others needs, in the order in which they are written."""
        among = frozenset(names)
        return [step.name for step in self.steps if step.name in among and not self.later[step.name] & among]

    def _needed_after(self, name: str) -> frozenset[str]:
        done = self.earlier[name] | {name}
        undos = (step.undo.order_fields for step in self.steps if step.undo is not None)
        dos = (step.do.order_fields for step in self.steps if step.name not in done)
        return frozenset().union(*undos, *dos)


def _earlier(steps: tuple[Step, ...]) -> dict[str, frozenset[str]]:
    """What each step comes after, directly or not; names that are not written before it are left out."""
    found: dict[str, frozenset[str]] = {}
    for index, step in enumerate(steps):
        direct = directly_after(steps, index)
        all_of_it = frozenset(direct).union(*(found.get(name, frozenset()) for name in direct))
        found[step.name] = all_of_it.intersection(found)
    return found


def directly_after(steps: tuple[Step, ...], index: int) -> tuple[str, ...]:
    """The names of the steps that this one is written to come after."""
    given = steps[index].after
    if given is not None:
        return given
    return (steps[index - 1].name,) if index else ()


def with_policy(
    saga: Saga,
    timeout_ms: int | None = None,
    attempts: int | None = None,
    deadline_ms: int | None = None,
    remembered_ms: int | None = None,
) -> Saga:
    """The same saga with other times (ms) and numbers of attempts; None keeps what its author wrote."""

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
        remembered_ms=saga.remembered_ms if remembered_ms is None else remembered_ms,
    )
