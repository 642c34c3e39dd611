"""The partitions that this process owns: their stores and positions, and the generation that gave them."""

import logging
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from quixstreams.kafka import BaseConsumer

from app.engine.clients import Clients
from app.engine.errors import Ended
from app.engine.offsets import (
    NONE_COMMITTED,
    Mark,
    Place,
    UnsafeStart,
    bounds,
    check_marks,
    identity,
    part_of,
    partitions_of,
    starts,
)
from app.engine.restore import Restore
from app.engine.store import PartitionStore
from app.reach.passing import FRESH
from app.wire.topics import EVENTS, STATE, Topics

log = logging.getLogger(__name__)
ROOM = 48 << 20  # bytes for sagas in memory, over all partitions


class Lost(Ended):
    """The partitions were given to others before this process let go of them: nothing it holds may be committed."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Which definitions are known (as `order/1`), and how many commands of a step a partition may have outstanding."""

    definitions: frozenset[str]
    step_limit: int


class Ownership:
    """What is owned now. `epoch` changes with each assignment, so that what was read before it can be told apart."""

    def __init__(self, consumer: BaseConsumer, clients: Clients, topics: Topics, policy: Policy) -> None:
        self._consumer = consumer
        self._clients = clients
        self._policy = policy
        self._inputs = {topics.full(topic) for topic in topics.inputs}
        self._changelog = topics.full(STATE)
        self._events = topics.full(EVENTS)
        self._restore: Restore | None = None
        self._reading: list[TopicPartition] = []
        self.epoch = 0
        self.stores: dict[int, PartitionStore] = {}
        self.positions: dict[Place, int] = {}
        self.group: Any = None
        self.mark = Mark(0, "")

    @property
    def group_name(self) -> str:
        """The group's name on the brokers."""
        return self._clients.group

    @property
    def restoring(self) -> bool:
        """Whether the stores are not at the changelog's end yet, so that nothing may be read."""
        return self._restore is not None

    def assigned(self, partitions: list[TopicPartition]) -> None:
        """Takes partitions over: opens their stores, and begins to restore them. Nothing is read until that is done."""
        if not partitions:
            return
        self.epoch += 1
        admin, patience = AdminClient({**self._clients.plain(), **FRESH}), self._clients.patience
        self.mark = Mark(
            partitions_of(admin, {*self._inputs, self._changelog, self._events}, patience),
            identity(admin, self._changelog, patience),
        )
        numbers = self._whole(partitions)
        committed = self._committed(partitions)
        own = [(topic, number) for topic in (self._changelog, self._events) for number in numbers]
        limits = bounds(admin, [*committed, *own], patience)
        self.positions = starts(committed, limits, self._changelog, self._events, self._decided)
        self._reading = [TopicPartition(topic, number, offset) for (topic, number), offset in self.positions.items()]
        self._consumer.assign([])  # nothing is read yet; a client that is paused meanwhile stays so for a second more
        self.group = self._consumer.consumer_group_metadata()
        self._seed([place for place, offset in committed.items() if offset == NONE_COMMITTED])
        self._open(self.mark.changelog_id, numbers, limits)
        log.info("assigned", extra={"partitions": numbers})

    def go_on_restoring(self) -> None:
        """Restores one chunk more; after the last one reading begins."""
        if self._restore is not None and self._restore.step():
            log.info("restored", extra={"records": self._restore.records})
            self._end_restore()
            for store in self.stores.values():
                store.restored()
            self._check_versions()
            self._consumer.assign(self._reading)

    def revoked(self) -> None:
        """Lets go of everything; what was decided must have been committed before."""
        self.epoch += 1
        self._end_restore()
        for store in self.stores.values():
            store.close()
        self.stores = {}
        self.positions = {}
        self._reading = []

    def _check_versions(self) -> None:
        """Nobody may be under way in a definition that is not there any more."""
        live = sum((store.index.census.live for store in self.stores.values()), Counter())
        for definition, count in sorted((+live).items()):
            if definition not in self._policy.definitions:
                raise UnsafeStart(
                    f"{count} under way in {definition}, but this process knows only "
                    f"{', '.join(sorted(self._policy.definitions))}: keep their definition until they have ended"
                )

    def _whole(self, partitions: list[TopicPartition]) -> list[int]:
        """The partitions' numbers, each of which must be had of every input: its sagas have one owner."""
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

    def _decided(self, number: int) -> bool:
        """Whether any decision of a partition was committed."""
        reader = Consumer(self._clients.reader())
        try:
            reader.assign([TopicPartition(self._events, number, OFFSET_BEGINNING)])
            first = reader.poll(self._clients.patience)
            return first is None or first.error() is None  # in doubt there was one
        finally:
            reader.close()

    def _seed(self, fresh: list[Place]) -> None:
        """From now on a missing offset means that it was lost."""
        offsets = [TopicPartition(*place, self.positions[place], str(self.mark)) for place in fresh]
        for tp in self._consumer.commit(offsets=offsets, asynchronous=False) or () if offsets else ():
            if tp.error:
                raise Ended(f"the first offset of {tp.topic}[{tp.partition}] could not be committed: {tp.error.str()}")

    def _open(self, changelog_id: str, numbers: list[int], limits: dict[Place, tuple[int, int]]) -> None:
        folder, room = self._clients.state_dir / self._clients.group, ROOM // len(numbers)
        limit = self._policy.step_limit
        self.stores = {
            number: PartitionStore(folder / str(number), part_of(changelog_id, number), room, limit)
            for number in numbers
        }
        ends = {number: limits[self._changelog, number] for number in numbers}
        for number, store in self.stores.items():
            self._check_reach(number, store, *ends[number])
        self._restore = Restore(self._clients.reader(), self._changelog, self.stores, ends, self._clients.patience)

    def _check_reach(self, number: int, store: PartitionStore, first: int, end: int) -> None:
        """What is on disk and what the changelog has must meet. Compaction leaves the changelog's beginning at 0."""
        if store.offset > end:
            raise UnsafeStart(
                f"{store.folder} is ahead of {self._changelog}[{number}], which has lost records since: "
                "find out why; to go on without them, delete the folder"
            )
        if store.offset < first:
            raise UnsafeStart(
                f"{self._changelog}[{number}] was deleted up to {first}, and {store.folder} has it up to "
                f"{store.offset} only: the state was lost, rebuild the changelog from the events before going on"
            )

    def _committed(self, partitions: list[TopicPartition]) -> dict[Place, int]:
        """What the group has committed; waits for transactions of former owners that are still open."""
        patience = self._clients.patience
        try:
            found = self._consumer.committed(partitions, timeout=patience)
        except KafkaException as error:
            raise Ended(
                f"the group's offsets were not known for {patience:.0f} s ({error.args[0].str()}): "
                "a transaction of a former owner stays open, or the group has no coordinator"
            ) from error
        for tp in found:
            if tp.error:
                raise UnsafeStart(f"the committed offset of {tp.topic}[{tp.partition}] is not known: {tp.error}")
        check_marks(found, self.mark, self._changelog)
        return {(tp.topic, tp.partition): tp.offset for tp in found}

    def _end_restore(self) -> None:
        if self._restore is not None:
            self._restore.close()
            self._restore = None
