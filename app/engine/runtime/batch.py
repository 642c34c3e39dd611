"""A batch: records of some partitions, decided together and committed as one transaction."""

from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

from confluent_kafka import TopicPartition

from app.engine.assignment.partition_task import PartitionTask
from app.engine.kafka.transactions import TransactionalProducer
from app.engine.state.admission import AdmissionControl
from app.engine.state.store import PartitionStore
from app.saga.state import Progress
from app.wire.writer import OutputRecord


class Clock(Protocol):
    """Tells the time in milliseconds since 1970."""

    def __call__(self) -> int:
        """Now."""


class KeyState:
    """The state of one key, as a topology's stateful step sees it."""

    __slots__ = ("_key", "_store")

    def __init__(self, store: PartitionStore, key: bytes) -> None:
        self._store = store
        self._key = key

    def get(self) -> Progress | None:
        """The stored saga; None when there is none."""
        return self._store.get(self._key)

    def set(self, progress: Progress) -> None:
        """Stores a saga in place of the one that was there."""
        self._store.set(self._key, progress)

    def forget(self) -> None:
        """Deletes the saga."""
        self._store.set(self._key, None)

    @property
    def admission(self) -> AdmissionControl:
        """Admission control for the commands of this partition's sagas."""
        return self._store.admission


class Batch:
    """One transaction in the making, on one producer. It begins with the first output, or with the commit.

    `task` is the partition whose records, timers or admissions are being decided.
    """

    def __init__(self, producer: TransactionalProducer, full_name: Callable[[str], str], changelog: str) -> None:
        self._producer = producer
        self._full_name = full_name
        self._changelog = changelog
        self._begun = False
        self.task: PartitionTask
        self.tasks: list[PartitionTask] = []

    def send(self, out: OutputRecord) -> None:
        """Adds an output; one that names no partition goes to that of the task."""
        if not self._begun:  # checked here too: a call costs more, and outputs are many
            self._begin()
        topic, key, value, headers, partition = out
        self._producer.produce(
            self._full_name(topic), key, value, headers, self.task.number if partition is None else partition
        )

    def close_task(self) -> None:
        """Adds the task's changelog records: the client sends them while the next task is decided."""
        self._begin()
        self.task.add_changelog(self._producer, self._changelog)
        self.tasks.append(self.task)

    def commit(self, positions: list[TopicPartition], group: Any) -> None:
        """Commits everything; the stores are written to disk after that, on the committing thread."""
        self._begin()
        self._producer.commit(positions, group, self._post_commit)

    def _post_commit(self) -> None:
        for task in self.tasks:
            task.save_committed()

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._producer.begin()


class BatchContext:
    """Stands in for quixstreams' processing context: it gives the topology's steps the batch in the making."""

    producer = None  # the library asks for it; outputs go to the batch

    def __init__(self, full_name: Callable[[str], str], changelog: str) -> None:
        self.full_name = cache(full_name)  # asked for with every output, and there are few
        self.changelog = changelog
        self.now_ms = 0
        self.send: Callable[[OutputRecord], None] = _no_batch
        self._batch: Batch | None = None

    def enter(self, batch: Batch, now_ms: int) -> None:
        """From now on records are decided in this batch, and at this time."""
        self._batch = batch
        self.send = batch.send
        self.now_ms = now_ms

    def state(self, key: bytes | None) -> KeyState:
        """The state of a key in the partition that is being decided."""
        if self._batch is None:
            raise RuntimeError("a record was processed outside of a batch")
        return KeyState(self._batch.task.store, key or b"")


def _no_batch(_: OutputRecord) -> None:
    raise RuntimeError("an output was sent outside of a batch")
