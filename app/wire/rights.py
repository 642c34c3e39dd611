"""Who may do what on the brokers: the least that each part needs, and nothing that it doesn't."""

from dataclasses import dataclass
from typing import Literal

from app.wire.topics import DEAD_LETTERS, EVENTS, OPERATIONS, OUTCOMES, REQUESTS, STATE, Topics

Kind = Literal["topic", "group", "transactional-id"]
Operation = Literal["Read", "Write", "Describe", "DescribeConfigs"]


@dataclass(frozen=True, slots=True)
class Right:
    """What may be done with a thing on the brokers, or with all whose names start so."""

    kind: Kind
    name: str
    operations: tuple[Operation, ...]
    prefixed: bool = False

    @property
    def rule(self) -> str:
        """The arguments of `kafka-acls.sh` that grant it."""
        wishes = " ".join(f"--operation {operation}" for operation in self.operations)
        pattern = " --resource-pattern-type prefixed" if self.prefixed else ""
        return f"{wishes} --{self.kind} {self.name}{pattern}"


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights of each part in one saga; `group` is the orchestrator's, as on the brokers."""

    topics: Topics
    group: str

    @property
    def by_role(self) -> dict[str, tuple[Right, ...]]:
        """Everybody's, by the name of the part."""
        steps = {step.name: self._service(step.name) for step in self.topics.saga.steps}
        return {
            "orchestrator": (*self.orchestrators_topics, self.orchestrators_group, self.orchestrators_transactions),
            **steps,
            "shop": (self._topic(REQUESTS.name, "Write"), self._topic(OUTCOMES.name, "Read")),
            "operator": self._operator,
            "auditor": self._auditor,
        }

    @property
    def orchestrators_topics(self) -> tuple[Right, ...]:
        """Inputs are written too: strays are sent on there. The first event is looked for at a start."""
        inputs = (self._topic(topic.name, "Read", "Write", "DescribeConfigs") for topic in self.topics.inputs)
        outputs = (
            self._topic(topic.name, "Write", "DescribeConfigs") for topic in self.topics.outputs if topic != EVENTS
        )
        both = (self._topic(topic.name, "Read", "Write", "DescribeConfigs") for topic in (EVENTS, STATE))
        return (*inputs, *outputs, *both)

    @property
    def orchestrators_group(self) -> Right:
        """To join it, and to commit what was read."""
        return Right("group", self.group, ("Read",))

    @property
    def orchestrators_transactions(self) -> Right:
        """Each pod has some of its own, which start with the group's name."""
        return Right("transactional-id", f"{self.group}.", ("Write",), prefixed=True)

    def _service(self, name: str) -> tuple[Right, ...]:
        return (
            self._topic(f"{name}.commands", "Read"),
            self._topic(f"{name}.replies", "Write"),
            Right("group", self.topics.full(f"{name}-service"), ("Read",)),
        )

    @property
    def _operator(self) -> tuple[Right, ...]:
        read = (self._topic(topic.name, "Read") for topic in (EVENTS, STATE, DEAD_LETTERS))
        return (
            self._topic(OPERATIONS.name, "Write"),
            *read,
            Right("group", self.topics.full("saga-operators"), ("Describe",)),
        )

    @property
    def _auditor(self) -> tuple[Right, ...]:
        return (
            *(self._topic(topic.name, "Read") for topic in self.topics.all),
            Right("group", self.group, ("Describe",)),
            Right("group", self.topics.full("saga-audit"), ("Describe",)),
        )

    def _topic(self, name: str, *operations: Operation) -> Right:
        return Right("topic", self.topics.full(name), operations)
