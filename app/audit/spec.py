"""The topics, types, commands and replies of a saga, taken from its definition and not from the code that decides."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.saga import definition
from app.saga.definition import Kind, Saga
from app.saga.versions import Versions
from app.wire.topics import DEAD_LETTERS, EVENTS, OPERATIONS, OUTCOMES, REQUESTS, STATE

DO, UNDO = "do", "undo"
Effect = tuple[str, str]
"""A step's name and a direction: do, or undo (its compensation). One idempotency key belongs to each effect."""


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A command: its type, the order's `fields` that it carries, and the `results` of earlier steps that it carries."""

    type: str
    fields: tuple[str, ...] = ()
    results: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One participant: its commands, the types of its replies, and the field that names its result."""

    name: str
    do: CommandSpec
    undo: CommandSpec | None
    succeeded: str
    refused: str | None
    undone: str | None
    failed: str
    result: str
    kind: Kind = "compensatable"
    needs: frozenset[str] = frozenset()
    """All steps that must be done before this one, directly or not."""

    @property
    def commands_topic(self) -> str:
        """The topic of its commands, without prefix."""
        return f"{self.name}.commands"

    @property
    def replies_topic(self) -> str:
        """The topic of its replies, without prefix."""
        return f"{self.name}.replies"

    @property
    def commands(self) -> dict[str, CommandSpec]:
        """Its commands by direction; a step that can't be undone has no undo command."""
        return {DO: self.do} if self.undo is None else {DO: self.do, UNDO: self.undo}


@dataclass(frozen=True, slots=True)
class VersionSpec:
    """The steps of one version of a saga."""

    steps: tuple[StepSpec, ...]
    by_name: dict[str, StepSpec] = field(init=False, repr=False, compare=False)
    later: dict[str, frozenset[str]] = field(init=False, repr=False, compare=False)
    """For each step: all steps that need it."""
    pivot: StepSpec | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "by_name", {step.name: step for step in self.steps})
        later = {s.name: frozenset(other.name for other in self.steps if s.name in other.needs) for s in self.steps}
        put(self, "later", later)
        put(self, "pivot", next((step for step in self.steps if step.kind == "pivot"), None))


@dataclass(frozen=True, slots=True)
class SagaSpec:
    """All versions of one saga, by number, and the topics, types and effects that follow from them."""

    saga: str
    versions: Mapping[int, VersionSpec]
    steps: dict[str, StepSpec] = field(init=False, repr=False, compare=False)
    """Every step of any version. All versions share the reply types of a step."""
    types: dict[str, frozenset[str]] = field(init=False, repr=False, compare=False)
    """The message types that each topic may carry, without the topics of outcomes, events and dead letters."""
    command_topics: dict[str, StepSpec] = field(init=False, repr=False, compare=False)
    """The step of each commands topic."""
    reply_topics: dict[str, StepSpec] = field(init=False, repr=False, compare=False)
    """The step of each replies topic."""
    effect_of_command: dict[str, Effect] = field(init=False, repr=False, compare=False)
    effect_of_reply: dict[str, Effect] = field(init=False, repr=False, compare=False)
    """The effect that each final reply answers. Technical failures are left out: they may answer either direction."""

    def __post_init__(self) -> None:
        put, every = object.__setattr__, [step for version in self.versions.values() for step in version.steps]
        steps = {step.name: step for step in every}
        put(self, "steps", steps)
        put(self, "command_topics", {step.commands_topic: step for step in steps.values()})
        put(self, "reply_topics", {step.replies_topic: step for step in steps.values()})
        put(self, "types", {**_input_types(steps), **_command_types(every)})
        put(self, "effect_of_command", {c.type: (step.name, way) for step in every for way, c in step.commands.items()})
        do = [((s.name, DO), s.succeeded) for s in every] + [((s.name, DO), s.refused) for s in every if s.refused]
        undo = [((step.name, UNDO), step.undone) for step in every if step.undone]
        put(self, "effect_of_reply", {type: effect for effect, type in (*do, *undo)})

    @property
    def inputs(self) -> tuple[str, ...]:
        """The topics that the orchestrator reads."""
        return (REQUESTS.name, *self.reply_topics, OPERATIONS.name)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The topics that the orchestrator writes, without dead letters and the changelog."""
        return (*self.command_topics, OUTCOMES.name, EVENTS.name)

    @property
    def topics(self) -> tuple[str, ...]:
        """All topics of the contract."""
        return (*self.inputs, *self.outputs, DEAD_LETTERS.name, STATE.name)


def spec_of(saga: Saga | Versions) -> SagaSpec:
    """The spec of a saga, or of all its versions."""
    sagas = saga.sagas if isinstance(saga, Versions) else (saga,)
    return SagaSpec(
        saga.name, {one.version: VersionSpec(tuple(_step(one, step) for step in one.steps)) for one in sagas}
    )


def _step(saga: Saga, step: definition.Step) -> StepSpec:
    return StepSpec(
        step.name,
        _command(step.do),
        None if step.undo is None else _command(step.undo),
        step.succeeded,
        step.refused,
        step.undone,
        step.failed,
        step.result,
        step.kind,
        frozenset(saga.earlier[step.name]),
    )


def _command(command: definition.Command) -> CommandSpec:
    return CommandSpec(command.type, command.order_fields, command.result_fields)


def _input_types(steps: Mapping[str, StepSpec]) -> dict[str, frozenset[str]]:
    replies = {s.replies_topic: (s.succeeded, s.refused, s.undone, s.failed) for s in steps.values()}
    return {
        REQUESTS.name: frozenset(("order.place", "order.cancel")),
        OPERATIONS.name: frozenset(("saga.retry", "saga.skip", "saga.compensate")),
        **{topic: frozenset(type for type in types if type) for topic, types in replies.items()},
    }


def _command_types(steps: list[StepSpec]) -> dict[str, frozenset[str]]:
    types: dict[str, frozenset[str]] = {}
    for step in steps:
        own = frozenset(command.type for command in step.commands.values())
        types[step.commands_topic] = types.get(step.commands_topic, frozenset()) | own
    return types


FINAL_OUTCOMES = ("order.completed", "order.rejected", "order.cancelled")
DEAD_LETTER_REASONS = frozenset(
    ("malformed", "too_large", "unknown_type", "invalid", "conflict", "unknown_order", "wrong_key")
)
MAX_VALUE_BYTES = 64 * 1024
MAX_DEAD_LETTER_BYTES = 256 * 1024


def command_id(saga_id: str, effect: Effect, attempt: int) -> str:
    """The command id of one attempt (from 1) of an effect."""
    return f"{saga_id}:{effect[0]}:{effect[1]}:{attempt}"


def parse_command_id(saga_id: str, command_id: str | None) -> tuple[Effect, int] | None:
    """The effect and attempt that a command id names; the step may be unknown. None for an id of another saga."""
    parts = (command_id or "").rsplit(":", 3)
    if len(parts) != 4 or parts[0] != saga_id or parts[2] not in (DO, UNDO):
        return None
    attempt = parse_number(parts[3])
    return None if attempt is None else ((parts[1], parts[2]), attempt)


def parse_number(text: str) -> int | None:
    """A number of at most nine ASCII digits; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
