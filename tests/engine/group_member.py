"""A member of the consumer group that takes partitions over as a pod does, in the test's own process."""

from collections.abc import Sequence

from confluent_kafka import TopicPartition
from quixstreams.exceptions import PartitionAssignmentError
from quixstreams.kafka import BaseConsumer

from app.engine.assignment.assigned_partitions import AssignedPartitions
from app.engine.kafka.client_config import ClientConfig
from app.engine.policy import Policy
from app.saga.versions import Versions
from app.wire.topics import Topics
from tests.devkafka.support import until
from topologies.order import ORDER

POLICY = Policy(Versions((ORDER,)).definitions, step_limit=1000)


class GroupMember:
    """Joins the group on `join`, which raises the engine's own errors if partitions can't be taken over.

    `assigned` is the engine's view of the partitions, `assignment` the list that the group gave. `inputs` are full
    topic names, all inputs of the saga unless given.
    """

    def __init__(self, config: ClientConfig, topics: Topics, inputs: Sequence[str] = ()) -> None:
        self.config = config
        self.topics = topics
        self.consumer = BaseConsumer(
            config.bootstrap, config.group, "error", auto_commit_enable=False, extra_config=config.consumer()
        )
        self.assigned = AssignedPartitions(self.consumer, config, topics, POLICY)
        self.assignment: list[TopicPartition] = []
        self._inputs = list(inputs) or [topics.full(topic) for topic in topics.inputs]
        self._leaving = False

    def join(self) -> None:
        """Returns when partitions were taken over and the restore has begun."""
        self.begin_join()
        until(self._has_joined, "partitions")

    def begin_join(self) -> None:
        """Subscribes; the member joins once the consumer is polled for long enough."""
        self.consumer._subscribe(self._inputs, self._on_assign, self._on_revoke, self._on_revoke)
        self.consumer.poll(0)

    def finish_restore(self) -> None:
        """Returns when all stores are restored."""
        while self.assigned.restoring:
            self.assigned.continue_restore()

    def position(self, partition: int, topic: str) -> int:
        """The offset behind the last decided record of an input (without prefix); 0 before the assignment."""
        task = self.assigned.tasks.get(partition)
        return 0 if task is None else task.positions[self.topics.full(topic)]

    def close(self) -> None:
        """Leaves as a static member does: the group waits for it to return."""
        self._leaving = True
        self.consumer.poll(0.2)  # as the engine does: closing can hang on an assignment that was not polled
        self.consumer.close()  # type: ignore[no-untyped-call]

    def _has_joined(self) -> bool:
        try:
            self.consumer.poll(0.05)
        except PartitionAssignmentError as error:
            raise (error.__cause__ or error) from None
        return bool(self.assignment)

    def _on_revoke(self, *_: object) -> None:
        self.assigned.revoked()

    def _on_assign(self, _: object, partitions: list[TopicPartition]) -> None:
        if not self._leaving:
            self.assigned.assigned(partitions)
            self.assignment = partitions
