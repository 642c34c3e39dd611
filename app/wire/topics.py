"""Every topic there is: who writes it, who reads it, how it is kept. Nothing else in the code spells a topic."""

from dataclasses import dataclass, field

from app.saga.definition import HasSteps

KEPT_FOR_EVER = {"cleanup.policy": "delete", "retention.ms": "-1"}
COMPACTED = {"cleanup.policy": "compact"}
DELETED = {"cleanup.policy": "delete"}


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic by its name in the contract, the part that writes it, the part that reads it, and how it must be kept."""

    name: str
    writer: str
    reader: str
    config: dict[str, str] = field(default_factory=lambda: dict(DELETED), hash=False)


REQUESTS = Topic("order.requests", "shops, gateways", "orchestrator")
OUTCOMES = Topic("order.outcomes", "orchestrator", "shops, gateways")
OPERATIONS = Topic("saga.operations", "operators", "orchestrator")
EVENTS = Topic("saga.events", "orchestrator", "read side, auditors", KEPT_FOR_EVER)
STATE = Topic("saga.state", "orchestrator", "orchestrator", COMPACTED)
DEAD_LETTERS = Topic("saga.dead-letters", "orchestrator", "operators")


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one saga, or of all its versions, under a prefix."""

    saga: HasSteps
    prefix: str = ""

    @property
    def inputs(self) -> tuple[Topic, ...]:
        """What the orchestrator reads: requests, operations, and the replies of each step."""
        replies = (Topic(step.replies_topic, f"{step.name} service", "orchestrator") for step in self.saga.steps)
        return (REQUESTS, *replies, OPERATIONS)

    @property
    def commands(self) -> tuple[Topic, ...]:
        """What the orchestrator asks of each step's participant."""
        return tuple(Topic(step.commands_topic, "orchestrator", f"{step.name} service") for step in self.saga.steps)

    @property
    def outputs(self) -> tuple[Topic, ...]:
        """What the orchestrator writes, but for its changelog."""
        return (*self.commands, OUTCOMES, EVENTS, DEAD_LETTERS)

    @property
    def all(self) -> tuple[Topic, ...]:
        """Every topic of the saga."""
        return (*self.inputs, *self.outputs, STATE)

    def full(self, topic: Topic | str) -> str:
        """The name on the broker."""
        return self.prefix + (topic if isinstance(topic, str) else topic.name)
