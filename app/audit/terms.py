"""The words of a saga: what its topics carry and its steps need, read off its definition and not off what decides."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.saga import definition
from app.saga.definition import Kind, Saga
from app.saga.versions import Versions
from app.wire.topics import DEAD_LETTERS, EVENTS, OPERATIONS, OUTCOMES, REQUESTS, STATE

DO, UNDO = "do", "undo"
Effect = tuple[str, str]
"""The name of a step and a direction, do or undo."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A command: its type, and the fields of the order and of the results that it carries, as far as there are any."""

    type: str
    fields: tuple[str, ...] = ()
    results: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One participant: what it is asked, what it answers, and the field of its result."""

    name: str
    do: Ask
    undo: Ask | None
    succeeded: str
    refused: str | None
    undone: str | None
    failed: str
    result: str
    kind: Kind = "compensatable"
    needs: frozenset[str] = frozenset()
    """All steps that must be done before it, directly or not."""

    @property
    def commands(self) -> str:
        """The topic of its commands."""
        return f"{self.name}.commands"

    @property
    def replies(self) -> str:
        """The topic of its replies."""
        return f"{self.name}.replies"

    @property
    def asks(self) -> tuple[tuple[str, Ask], ...]:
        """What it can be asked, by direction."""
        return ((DO, self.do),) if self.undo is None else ((DO, self.do), (UNDO, self.undo))


@dataclass(frozen=True, slots=True)
class Plan:
    """One version of a saga."""

    steps: tuple[Step, ...]
    by_name: dict[str, Step] = field(init=False, repr=False, compare=False)
    later: dict[str, frozenset[str]] = field(init=False, repr=False, compare=False)
    """Of each step: all that need it."""
    pivot: Step | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "by_name", {step.name: step for step in self.steps})
        later = {s.name: frozenset(other.name for other in self.steps if s.name in other.needs) for s in self.steps}
        put(self, "later", later)
        put(self, "pivot", next((step for step in self.steps if step.kind == "pivot"), None))


@dataclass(frozen=True, slots=True)
class Terms:
    """All versions of one saga, by number, and what follows from them for the topics."""

    saga: str
    plans: Mapping[int, Plan]
    steps: dict[str, Step] = field(init=False, repr=False, compare=False)
    """Every step of any version; what it answers is the same in all of them."""
    types: dict[str, frozenset[str]] = field(init=False, repr=False, compare=False)
    """Which messages a topic may carry, but for outcomes."""
    commands: dict[str, Step] = field(init=False, repr=False, compare=False)
    """By the topic of commands."""
    replies: dict[str, Step] = field(init=False, repr=False, compare=False)
    """By the topic of replies."""
    command_effect: dict[str, Effect] = field(init=False, repr=False, compare=False)
    reply_effect: dict[str, Effect] = field(init=False, repr=False, compare=False)
    """What the final replies answer; a technical failure may answer either direction."""

    def __post_init__(self) -> None:
        put, every = object.__setattr__, [step for plan in self.plans.values() for step in plan.steps]
        steps = {step.name: step for step in every}
        put(self, "steps", steps)
        put(self, "commands", {step.commands: step for step in steps.values()})
        put(self, "replies", {step.replies: step for step in steps.values()})
        put(self, "types", {**_types(steps), **_asked(every)})
        put(self, "command_effect", {ask.type: (step.name, way) for step in every for way, ask in step.asks})
        final = ((s.name, DO, s.succeeded) for s in every), ((s.name, DO, s.refused) for s in every)
        back = ((s.name, UNDO, s.undone) for s in every)
        put(self, "reply_effect", {type: (name, way) for some in (*final, back) for name, way, type in some if type})

    @property
    def inputs(self) -> tuple[str, ...]:
        """The topics that the orchestrator reads."""
        return (REQUESTS.name, *self.replies, OPERATIONS.name)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The topics that hold what the orchestrator decided and sent."""
        return (*self.commands, OUTCOMES.name, EVENTS.name)

    @property
    def topics(self) -> tuple[str, ...]:
        """All topics."""
        return (*self.inputs, *self.outputs, DEAD_LETTERS.name, STATE.name)


def terms_of(saga: Saga | Versions) -> Terms:
    """The words of a saga, or of all its versions."""
    sagas = saga.sagas if isinstance(saga, Versions) else (saga,)
    return Terms(saga.name, {one.version: Plan(tuple(_step(one, step) for step in one.steps)) for one in sagas})


def _step(saga: Saga, step: definition.Step) -> Step:
    return Step(
        step.name,
        _ask(step.do),
        None if step.undo is None else _ask(step.undo),
        step.succeeded,
        step.refused,
        step.undone,
        step.failed,
        step.result,
        step.kind,
        frozenset(saga.earlier[step.name]),
    )


def _ask(command: definition.Command) -> Ask:
    return Ask(command.type, command.order_fields, command.result_fields)


def _types(steps: Mapping[str, Step]) -> dict[str, frozenset[str]]:
    answers = {s.replies: (s.succeeded, s.refused, s.undone, s.failed) for s in steps.values()}
    return {
        REQUESTS.name: frozenset(("order.place", "order.cancel")),
        OPERATIONS.name: frozenset(("saga.retry", "saga.skip", "saga.compensate")),
        **{topic: frozenset(type for type in types if type) for topic, types in answers.items()},
    }


def _asked(steps: list[Step]) -> dict[str, frozenset[str]]:
    topics = {step.commands for step in steps}
    return {
        topic: frozenset(ask.type for step in steps if step.commands == topic for _, ask in step.asks)
        for topic in topics
    }


FINAL_OUTCOMES = ("order.completed", "order.rejected", "order.cancelled")
DEAD_LETTER_REASONS = frozenset(
    ("malformed", "too_large", "unknown_type", "invalid", "conflict", "unknown_order", "wrong_key")
)
MAX_VALUE_BYTES = 64 * 1024
MAX_DEAD_LETTER_BYTES = 256 * 1024


def command_id(saga_id: str, effect: Effect, attempt: int) -> str:
    """The id of one attempt (from 1) of an effect."""
    return f"{saga_id}:{effect[0]}:{effect[1]}:{attempt}"


def attempted(saga_id: str, command: str | None) -> tuple[Effect, int] | None:
    """The effect and the attempt that a command's id names, of whatever step; None for one that is not this saga's."""
    parts = (command or "").rsplit(":", 3)
    if len(parts) != 4 or parts[0] != saga_id or parts[2] not in (DO, UNDO):
        return None
    number = digits(parts[3])
    return None if number is None else ((parts[1], parts[2]), number)


def digits(text: str) -> int | None:
    """A number of at most nine digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
