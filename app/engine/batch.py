"""A batch: records of some partitions, decided together and committed as one transaction."""

from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

from confluent_kafka import Message, TopicPartition

from app.engine.gate import Gate
from app.engine.lanes import Lane
from app.engine.store import Changes, PartitionStore
from app.saga.state import Progress
from app.wire.writer import Out


class Clock(Protocol):
    """Says what time it is, in milliseconds since 1970."""

    def __call__(self) -> int:
        """Now."""


class KeyState:
    """The state of one key, as a topology's stateful step sees it."""

    __slots__ = ("_key", "_store")

    def __init__(self, store: PartitionStore, key: bytes) -> None:
        self._store = store
        self._key = key

    def get(self) -> Progress | None:
        """What is stored."""
        return self._store.get(self._key)

    def set(self, progress: Progress) -> None:
        """Stores it in place of what was there."""
        self._store.set(self._key, progress)

    def forget(self) -> None:
        """Deletes what is stored."""
        self._store.set(self._key, None)

    @property
    def gate(self) -> Gate:
        """Room for the commands of this partition's sagas."""
        return self._store.gate


class Batch:
    """One transaction in the making, on one lane; it begins with the first output, or with the commit."""

    def __init__(
        self, lane: Lane, stores: dict[int, PartitionStore], full_name: Callable[[str], str], changelog: str
    ) -> None:
        self._lane = lane
        self._stores = stores
        self._full_name = full_name
        self._changelog = changelog
        self._changes: dict[int, Changes] = {}
        self._ends: dict[int, int] = {}  # of the changelog's partitions, behind what was added
        self._begun = False
        self.partition = -1  # that of the record in hand

    def store(self, number: int) -> PartitionStore:
        """The state of a partition."""
        return self._stores[number]

    def send(self, out: Out) -> None:
        """Adds an output; one that names no partition goes to that of the record in hand."""
        if not self._begun:  # asked here too, as a call takes longer, and there are many outputs
            self._begin()
        topic, key, value, headers, partition = out
        self._lane.produce(
            self._full_name(topic), key, value, headers, self.partition if partition is None else partition
        )

    def settle(self) -> None:
        """Adds what changed in the partition in hand, in which nothing more is to happen: it is sent meanwhile."""
        self._begin()
        number = self.partition
        changed = self._changes[number] = self._stores[number].changes()
        for key, value in changed.documents[:-1]:
            self._lane.produce(self._changelog, key, value, (), number)
        for key, value in changed.documents[-1:]:
            self._lane.produce(self._changelog, key, value, (), number, self._note_end)

    def commit(self, positions: list[TopicPartition], group: Any) -> None:
        """Commits all of it; the stores are written once that is done."""
        self._begin()
        self._lane.commit(positions, group, self._save)

    def _save(self) -> None:
        for number, changed in self._changes.items():
            if changed:
                store = self._stores[number]
                store.save(changed, self._ends[number] if changed.documents else store.offset)

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._lane.begin()

    def _note_end(self, error: object, message: Message) -> None:
        if error is None:
            self._ends[message.partition()] = message.offset() + 1


class BatchContext:
    """Stands in for quixstreams' processing context: has the batch in hand, for the dataframe's own steps."""

    producer = None  # which the library asks for: outputs go to the batch

    def __init__(self, full_name: Callable[[str], str], changelog: str) -> None:
        self.full_name = cache(full_name)  # asked for with every output, and there are few
        self.changelog = changelog
        self.now_ms = 0
        self.send: Callable[[Out], None] = _nowhere
        self._batch: Batch | None = None

    def enter(self, batch: Batch, now_ms: int) -> None:
        """From now on, what is processed belongs to this batch, and happens at this time."""
        self._batch = batch
        self.send = batch.send
        self.now_ms = now_ms

    def state(self, key: bytes | None) -> KeyState:
        """The state of a key of the partition in hand."""
        if self._batch is None:
            raise RuntimeError("a record was processed outside of a batch")
        return KeyState(self._batch.store(self._batch.partition), key or b"")


def _nowhere(_: Out) -> None:
    raise RuntimeError("an output was sent outside of a batch")
