"""A saga as data: what its author writes, and what every other part reads."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from app.saga.messages import Order


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
    """What a participant is asked to do: the message's type, and the fields of order and results that it carries."""

    type: str
    order_fields: tuple[str, ...] = ()
    result_fields: tuple[str, ...] = ()
    timeout_ms: int = 30_000
    retry: Retry = Retry()


@dataclass(frozen=True, slots=True)
class Step:
    """One participant's part: do and undo, the types of its replies, and the field that names a success's result."""

    name: str
    do: Command
    undo: Command
    succeeded: str
    refused: str
    undone: str
    failed: str
    result: str

    @property
    def commands_topic(self) -> str:
        """The topic, without prefix, on which the participant is asked."""
        return f"{self.name}.commands"

    @property
    def replies_topic(self) -> str:
        """The topic, without prefix, on which the participant answers."""
        return f"{self.name}.replies"


@dataclass(frozen=True, slots=True)
class Saga:
    """Steps in the order in which they are done; undone in reverse. Raises ValueError with what can't work in it."""

    name: str
    version: int
    steps: tuple[Step, ...]
    place: dict[str, int] = field(init=False, repr=False, compare=False)
    needed_after: dict[str, frozenset[str]] = field(init=False, repr=False, compare=False)
    """Of each step: the order's fields that a command can still need once it is done; the rest need not be kept."""

    def __post_init__(self) -> None:
        for flaw in _flaws(self.steps):
            raise ValueError(f"the saga {self.name} can't work: {flaw}")
        object.__setattr__(self, "place", {step.name: index for index, step in enumerate(self.steps)})
        object.__setattr__(self, "needed_after", {step.name: self._needed_after(step.name) for step in self.steps})

    def step(self, name: str) -> Step:
        """The step of that name; KeyError when there is none."""
        return self.steps[self.place[name]]

    def after(self, name: str) -> Step | None:
        """The step that is done after this one."""
        index = self.place[name] + 1
        return self.steps[index] if index < len(self.steps) else None

    def before(self, name: str) -> Step | None:
        """The step that is undone after this one."""
        index = self.place[name]
        return self.steps[index - 1] if index > 0 else None

    def _needed_after(self, name: str) -> frozenset[str]:
        index = self.place[name]
        undos = {field for step in self.steps for field in step.undo.order_fields}
        return frozenset(undos.union(*(step.do.order_fields for step in self.steps[index + 1 :])))


def _flaws(steps: tuple[Step, ...]) -> Iterator[str]:
    order, names, results = set(Order.__annotations__), set[str](), set[str]()
    if not steps:
        yield "it has no step"
    for step in steps:
        if step.name in names:
            yield f"two steps are called {step.name}"
        if step.result in results | order:
            yield f"the result of {step.name} needs a name of its own, not {step.result}"
        if len({step.succeeded, step.refused, step.undone, step.failed}) < 4:
            yield f"two replies of {step.name} have the same type"
        yield from _flaws_of(step.do, order, results)
        names.add(step.name)
        results.add(step.result)
        yield from _flaws_of(step.undo, order, results)


def _flaws_of(command: Command, order: set[str], results: set[str]) -> Iterator[str]:
    known = order - {"order_id"}
    for name in sorted({*command.order_fields} - known | {*command.result_fields} - results):
        yield f"{command.type} cannot carry {name}, which is not known by then"
    if command.retry.attempts < 1 or command.timeout_ms < 1:
        yield f"{command.type} needs at least one attempt, and a time-out of at least a millisecond"


def with_policy(saga: Saga, timeout_ms: int | None = None, attempts: int | None = None) -> Saga:
    """The same saga with other time-outs (ms) and numbers of attempts; None keeps what its author wrote."""

    def adjusted(command: Command) -> Command:
        return replace(
            command,
            timeout_ms=command.timeout_ms if timeout_ms is None else timeout_ms,
            retry=command.retry if attempts is None else replace(command.retry, attempts=attempts),
        )

    steps = tuple(replace(step, do=adjusted(step.do), undo=adjusted(step.undo)) for step in saga.steps)
    return Saga(saga.name, saga.version, steps)
