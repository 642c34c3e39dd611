"""The ACLs that each role needs on the brokers: the least that works."""

from dataclasses import dataclass
from typing import Literal

from app.wire.topics import DEAD_LETTERS, EVENTS, OPERATIONS, OUTCOMES, REQUESTS, STATE, Topics

REDRIVE_ID = "saga-redrive"
"""The transactional id of all replays of dead letters, without prefix."""

Kind = Literal["topic", "group", "transactional-id"]
Operation = Literal["Read", "Write", "Describe", "DescribeConfigs"]


@dataclass(frozen=True, slots=True)
class Acl:
    """Operations that are allowed on one resource of the brokers, or on all resources whose names have a prefix."""

    kind: Kind
    name: str
    operations: tuple[Operation, ...]
    prefixed: bool = False

    @property
    def rule(self) -> str:
        """The arguments of `kafka-acls.sh` that add it."""
        operations = " ".join(f"--operation {operation}" for operation in self.operations)
        pattern = " --resource-pattern-type prefixed" if self.prefixed else ""
        return f"{operations} --{self.kind} {self.name}{pattern}"


@dataclass(frozen=True, slots=True)
class Acls:
    """The ACLs of one saga by role; `group` is the orchestrator's consumer group, with prefix."""

    topics: Topics
    group: str

    @property
    def by_role(self) -> dict[str, tuple[Acl, ...]]:
        """The ACLs of each role: orchestrator, the services by step name, shop, operator, redrive, auditor, tracer."""
        steps = {step.name: self._service(step.name) for step in self.topics.saga.steps}
        return {
            "orchestrator": (*self.orchestrator_topics, self.orchestrator_group, self.orchestrator_transactions),
            **steps,
            "shop": (self._topic(REQUESTS.name, "Write"), self._topic(OUTCOMES.name, "Read")),
            "operator": self._operator,
            "redrive": self._redrive,
            "auditor": self._auditor,
            "tracer": (self._topic(EVENTS.name, "Read"), Acl("group", self.topics.full("saga-traces"), ("Read",))),
        }

    @property
    def orchestrator_topics(self) -> tuple[Acl, ...]:
        """Inputs are written too: misrouted records are forwarded there. A start reads EVENTS for its first record."""
        inputs = (self._topic(topic.name, "Read", "Write", "DescribeConfigs") for topic in self.topics.inputs)
        outputs = (
            self._topic(topic.name, "Write", "DescribeConfigs") for topic in self.topics.outputs if topic != EVENTS
        )
        both = (self._topic(topic.name, "Read", "Write", "DescribeConfigs") for topic in (EVENTS, STATE))
        return (*inputs, *outputs, *both)

    @property
    def orchestrator_group(self) -> Acl:
        """Lets the orchestrator join the group and commit offsets."""
        return Acl("group", self.group, ("Read",))

    @property
    def orchestrator_transactions(self) -> Acl:
        """Each pod has transactional ids of its own; they start with the group's name."""
        return Acl("transactional-id", f"{self.group}.", ("Write",), prefixed=True)

    def _service(self, name: str) -> tuple[Acl, ...]:
        return (
            self._topic(f"{name}.commands", "Read"),
            self._topic(f"{name}.replies", "Write"),
            Acl("group", self.topics.full(f"{name}-service"), ("Read",)),
        )

    @property
    def _operator(self) -> tuple[Acl, ...]:
        read = (self._topic(topic.name, "Read") for topic in (EVENTS, STATE, DEAD_LETTERS))
        return (
            self._topic(OPERATIONS.name, "Write"),
            *read,
            Acl("group", self.topics.full("saga-operators"), ("Describe",)),
        )

    @property
    def _redrive(self) -> tuple[Acl, ...]:
        """Replays dead letters into any input: as powerful as shops, participants and operators together."""
        return (
            *(self._topic(topic.name, "Read", "Write") for topic in self.topics.inputs),
            self._topic(DEAD_LETTERS.name, "Read"),
            Acl("transactional-id", self.topics.full(REDRIVE_ID), ("Write",)),
            Acl("group", self.topics.full("saga-operators"), ("Describe",)),
        )

    @property
    def _auditor(self) -> tuple[Acl, ...]:
        return (
            *(self._topic(topic.name, "Read") for topic in self.topics.all),
            Acl("group", self.group, ("Describe",)),
            Acl("group", self.topics.full("saga-audit"), ("Describe",)),
        )

    def _topic(self, name: str, *operations: Operation) -> Acl:
        return Acl("topic", self.topics.full(name), operations)
