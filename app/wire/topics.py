"""All topics: who writes them, who reads them, and their configuration. No other module spells a topic's name."""

from dataclasses import dataclass, field

from app.saga.definition import HasSteps

TopicPartitionKey = tuple[str, int]
"""A topic's name on the brokers, and a partition number."""

RETAINED_FOREVER = {"cleanup.policy": "delete", "retention.ms": "-1"}
COMPACTED = {"cleanup.policy": "compact"}
DELETED = {"cleanup.policy": "delete"}


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: its name without prefix, its writers and readers, and the configuration that it must have."""

    name: str
    writer: str
    reader: str
    config: dict[str, str] = field(default_factory=lambda: dict(DELETED), hash=False)


REQUESTS = Topic("order.requests", "shops, gateways", "orchestrator")
OUTCOMES = Topic("order.outcomes", "orchestrator", "shops, gateways")
OPERATIONS = Topic("saga.operations", "operators", "orchestrator")
EVENTS = Topic("saga.events", "orchestrator", "read side, auditors", RETAINED_FOREVER)
STATE = Topic("saga.state", "orchestrator", "orchestrator", COMPACTED)
DEAD_LETTERS = Topic("saga.dead-letters", "orchestrator", "operators")


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one saga, or of all its versions, with a prefix."""

    saga: HasSteps
    prefix: str = ""

    @property
    def inputs(self) -> tuple[Topic, ...]:
        """The topics that the orchestrator consumes: requests, operations, and the replies of each step."""
        replies = (Topic(step.replies_topic, f"{step.name} service", "orchestrator") for step in self.saga.steps)
        return (REQUESTS, *replies, OPERATIONS)

    @property
    def commands(self) -> tuple[Topic, ...]:
        """The command topic of each step."""
        return tuple(Topic(step.commands_topic, "orchestrator", f"{step.name} service") for step in self.saga.steps)

    @property
    def outputs(self) -> tuple[Topic, ...]:
        """The topics that the orchestrator produces to, except for its changelog."""
        return (*self.commands, OUTCOMES, EVENTS, DEAD_LETTERS)

    @property
    def all(self) -> tuple[Topic, ...]:
        """Every topic of the saga."""
        return (*self.inputs, *self.outputs, STATE)

    def full(self, topic: Topic | str) -> str:
        """The topic's name on the brokers."""
        return self.prefix + (topic if isinstance(topic, str) else topic.name)
