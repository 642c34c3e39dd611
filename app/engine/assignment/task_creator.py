"""Creates the tasks of newly assigned partitions: checks that it is safe to go on, finds where, opens their stores."""

from collections import defaultdict
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from quixstreams.kafka import BaseConsumer

from app.engine.assignment.partition_task import PartitionTask
from app.engine.assignment.start_offsets import (
    NONE_COMMITTED,
    Bounds,
    CommitMetadata,
    check_commit_metadata,
    log_bounds,
    partition_count,
    partition_identity,
    start_positions,
    topic_id,
)
from app.engine.errors import NeedsRestart, UnsafeStart
from app.engine.kafka.client_config import ClientConfig
from app.engine.policy import CACHE_BYTES, Policy
from app.engine.state.store import PartitionStore
from app.kafka_access.retriable import FAST_METADATA
from app.wire.topics import EVENTS, STATE, TopicPartitionKey, Topics


@dataclass(frozen=True, slots=True)
class StartPoint:
    """Where some partitions go on: positions of their inputs, those never committed before, and the logs' bounds."""

    numbers: list[int]
    positions: dict[TopicPartitionKey, int]
    never_committed: list[TopicPartitionKey]
    bounds: Bounds
    metadata: CommitMetadata


class TaskCreator:
    """Asks the brokers, and opens stores. All its questions wait at most `ClientConfig.patience` seconds."""

    def __init__(self, consumer: BaseConsumer, config: ClientConfig, topics: Topics, policy: Policy) -> None:
        self._consumer = consumer
        self._config = config
        self._policy = policy
        self._inputs = {topics.full(topic) for topic in topics.inputs}
        self._events = topics.full(EVENTS)
        self.changelog = topics.full(STATE)

    def find_start(self, partitions: list[TopicPartition]) -> StartPoint:
        """Where to go on. Raises UnsafeStart rather than go on with less state than was decided."""
        admin, patience = AdminClient({**self._config.common(), **FAST_METADATA}), self._config.patience
        metadata = CommitMetadata(
            partition_count(admin, {*self._inputs, self.changelog, self._events}, patience),
            topic_id(admin, self.changelog, patience),
        )
        numbers = self._co_partitioned(partitions)
        committed = self._committed(partitions, metadata)
        own_logs = [(topic, number) for topic in (self.changelog, self._events) for number in numbers]
        bounds = log_bounds(admin, [*committed, *own_logs], patience)
        positions = start_positions(committed, bounds, self.changelog, self._events, self._has_events)
        never_committed = [key for key, offset in committed.items() if offset == NONE_COMMITTED]
        return StartPoint(numbers, positions, never_committed, bounds, metadata)

    def commit_first_offsets(self, start: StartPoint) -> None:
        """Commits where never-committed inputs begin: from now on a missing offset means that it was lost."""
        offsets = [TopicPartition(*key, start.positions[key], str(start.metadata)) for key in start.never_committed]
        for tp in self._consumer.commit(offsets=offsets, asynchronous=False) or () if offsets else ():
            if tp.error:
                raise NeedsRestart(
                    f"the first offset of {tp.topic}[{tp.partition}] could not be committed: {tp.error.str()}"
                )

    def open_tasks(self, start: StartPoint) -> dict[int, PartitionTask]:
        """The tasks by partition number, each with its store, which may lack what the changelog has."""
        folder, cache_bytes = self._config.state_dir / self._config.group, CACHE_BYTES // len(start.numbers)
        tasks = {}
        for number in start.numbers:
            identity = partition_identity(start.metadata.changelog_id, number)
            store = PartitionStore(folder / str(number), identity, cache_bytes, self._policy.step_limit)
            positions = {topic: offset for (topic, at), offset in start.positions.items() if at == number}
            tasks[number] = PartitionTask(number, store, positions)
        for number, task in tasks.items():
            self._check_local_state_meets_changelog(task, *start.bounds[self.changelog, number])
        return tasks

    def _co_partitioned(self, partitions: list[TopicPartition]) -> list[int]:
        """Assigned partition numbers; inputs must be co-partitioned, or two pods would own one saga."""
        topics: dict[int, set[str]] = defaultdict(set)
        for tp in partitions:
            topics[tp.partition].add(tp.topic)
        for number, found in topics.items():
            if found != self._inputs:
                missing = ", ".join(f"{topic}[{number}]" for topic in sorted(self._inputs - found))
                raise UnsafeStart(
                    f"{missing} went to another pod than the other inputs of partition {number}: "
                    "stop all pods of the group, then start them with the same version of the topology"
                )
        return sorted(topics)

    def _committed(self, partitions: list[TopicPartition], metadata: CommitMetadata) -> dict[TopicPartitionKey, int]:
        """The group's committed offsets; waits for transactions of former owners that are still open."""
        patience = self._config.patience
        try:
            found = self._consumer.committed(partitions, timeout=patience)
        except KafkaException as error:
            raise NeedsRestart(
                f"the group's offsets were not available for {patience:.0f} s ({error.args[0].str()}): "
                "a transaction of a former owner stays open, or the group has no coordinator"
            ) from error
        for tp in found:
            if tp.error:
                raise UnsafeStart(f"the committed offset of {tp.topic}[{tp.partition}] is not available: {tp.error}")
        check_commit_metadata(found, metadata, self.changelog)
        return {(tp.topic, tp.partition): tp.offset for tp in found}

    def _has_events(self, number: int) -> bool:
        """Whether any decision of a partition was committed; if in doubt, yes."""
        reader = Consumer(self._config.standalone_consumer())
        try:
            reader.assign([TopicPartition(self._events, number, OFFSET_BEGINNING)])
            first = reader.poll(self._config.patience)
            return first is None or first.error() is None
        finally:
            reader.close()

    def _check_local_state_meets_changelog(self, task: PartitionTask, first: int, end: int) -> None:
        """Local state and changelog must overlap. Compaction leaves the changelog's first offset at 0."""
        store, log = task.store, f"{self.changelog}[{task.number}]"
        if store.offset > end:
            raise UnsafeStart(
                f"{store.folder} is ahead of {log}, which has lost records since: "
                "find out why; to go on without them, delete the folder"
            )
        if store.offset < first:
            raise UnsafeStart(
                f"{log} was deleted up to {first}, and {store.folder} has it up to {store.offset} only: "
                "the state was lost, rebuild the changelog from the events before going on"
            )
