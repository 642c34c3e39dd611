"""The partitions that this process owns now, and the generation of the group that assigned them."""

import logging
from collections import Counter
from typing import Any

from confluent_kafka import TopicPartition
from quixstreams.kafka import BaseConsumer

from app.engine.assignment.partition_task import PartitionTask
from app.engine.assignment.start_offsets import CommitMetadata
from app.engine.assignment.task_creator import TaskCreator
from app.engine.errors import NeedsRestart, UnsafeStart
from app.engine.kafka.client_config import ClientConfig
from app.engine.meters import Meters
from app.engine.policy import Policy
from app.engine.state.changelog_reader import ChangelogReader
from app.wire.topics import TopicPartitionKey, Topics

log = logging.getLogger(__name__)


class PartitionsLost(NeedsRestart):
    """The group gave the partitions to others before this process revoked them: nothing it holds may be committed."""


class AssignedPartitions:
    """The tasks by partition number. `rebalances` counts them, to tell records read before one apart.

    `group` is the group metadata of the generation: a commit that carries an older one is fenced.
    """

    def __init__(
        self,
        consumer: BaseConsumer,
        config: ClientConfig,
        topics: Topics,
        policy: Policy,
        meters: Meters | None = None,
    ) -> None:
        self.meters = meters or Meters()
        self._consumer = consumer
        self._config = config
        self._policy = policy
        self._creator = TaskCreator(consumer, config, topics, policy)
        self._changelog_reader: ChangelogReader | None = None
        self.tasks: dict[int, PartitionTask] = {}
        self.joined = False
        self.rebalances = 0
        self.group: Any = None
        self.commit_metadata = CommitMetadata(0, "")

    @property
    def group_name(self) -> str:
        """The group's name on the brokers."""
        return self._config.group

    @property
    def restoring(self) -> bool:
        """Whether stores are not at the changelog's end yet; until then nothing may be read."""
        return self._changelog_reader is not None

    @property
    def restore_remaining(self) -> int:
        """Changelog records (offsets) left to restore."""
        reader = self._changelog_reader
        return reader.remaining if reader is not None else 0

    def inputs(self) -> list[TopicPartitionKey]:
        """All assigned input partitions."""
        return [(topic, task.number) for task in self.tasks.values() for topic in task.positions]

    def assigned(self, partitions: list[TopicPartition]) -> None:
        """Takes partitions over and begins to restore their state; reading begins when that is done."""
        self.joined = True
        self.meters.rebalances["assigned",] += 1
        if not partitions:
            log.info("no partitions assigned: there are more pods than partitions")
            return
        self.rebalances += 1
        start = self._creator.find_start(partitions)
        self._consumer.assign([])  # not pause: a client that was paused reads on only a second after it is resumed
        self.group = self._consumer.consumer_group_metadata()
        self.commit_metadata = start.metadata
        self._creator.commit_first_offsets(start)
        self.tasks = self._creator.open_tasks(start)
        self._changelog_reader = ChangelogReader(
            self._config.standalone_consumer(),
            self._creator.changelog,
            {number: task.store for number, task in self.tasks.items()},
            {number: start.bounds[self._creator.changelog, number] for number in self.tasks},
            self._config.patience,
        )
        log.info("partitions assigned", extra={"partitions": sorted(self.tasks)})

    def continue_restore(self) -> None:
        """Restores one chunk more; after the last one, reading begins."""
        if self._changelog_reader is not None and self._changelog_reader.step():
            log.info("state restored", extra={"records": self._changelog_reader.records})
            self.meters.restored_records += self._changelog_reader.records
            self._end_restore()
            for task in self.tasks.values():
                task.store.restored()
            self._check_versions()
            self._consumer.assign(
                [
                    TopicPartition(topic, task.number, offset)
                    for task in self.tasks.values()
                    for topic, offset in task.positions.items()
                ]
            )

    def revoked(self) -> None:
        """Drops all tasks; what they decided must have been committed before."""
        self.joined = False
        self.meters.rebalances["revoked",] += 1
        self.rebalances += 1
        self._end_restore()
        for task in self.tasks.values():
            task.store.close()
        if self.tasks:
            log.info("partitions revoked", extra={"partitions": sorted(self.tasks)})
        self.tasks = {}

    def _check_versions(self) -> None:
        """No saga may be live in a definition that this process does not know."""
        live = sum((task.store.index.counts.live for task in self.tasks.values()), Counter())
        for definition, count in sorted((+live).items()):
            if definition not in self._policy.definitions:
                raise UnsafeStart(
                    f"{count} sagas are live in {definition}, but this process knows only "
                    f"{', '.join(sorted(self._policy.definitions))}: keep their definition until they have ended"
                )

    def _end_restore(self) -> None:
        if self._changelog_reader is not None:
            self._changelog_reader.close()
            self._changelog_reader = None
