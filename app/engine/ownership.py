"""The partitions that this process owns: their stores and positions, and the generation that gave them."""

import logging
from pathlib import Path
from typing import Any

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from quixstreams.kafka import BaseConsumer

from app.engine.errors import Ended
from app.engine.offsets import NONE_COMMITTED, UnsafeStart, bounds, starts
from app.engine.restore import Restore
from app.engine.store import PartitionStore

log = logging.getLogger(__name__)
_CACHED = 100_000  # sagas in memory, over all partitions: about a kilobyte each
Place = tuple[str, int]


class Lost(Ended):
    """The partitions were given to others before this process let go of them: nothing it holds may be committed."""


class Ownership:
    """What is owned now. `epoch` changes with each assignment, so that what was read before it can be told apart."""

    def __init__(
        self,
        consumer: BaseConsumer,
        client: dict[str, Any],
        changelog: str,
        events: str,
        state_dir: Path,
        patience: float,
    ) -> None:
        self._consumer = consumer
        self._client = client
        self._changelog = changelog
        self._events = events
        self._state_dir = state_dir
        self._patience = patience
        self._restore: Restore | None = None
        self._reading: list[TopicPartition] = []
        self.epoch = 0
        self.stores: dict[int, PartitionStore] = {}
        self.positions: dict[Place, int] = {}
        self.group: Any = None

    @property
    def restoring(self) -> bool:
        """Whether the stores are not at the changelog's end yet, so that nothing may be read."""
        return self._restore is not None

    def assigned(self, partitions: list[TopicPartition]) -> None:
        """Takes partitions over: opens their stores, and begins to restore them. Nothing is read until that is done."""
        if not partitions:
            return
        self.epoch += 1
        committed = self._committed(partitions)
        numbers = sorted({number for _, number in committed})
        own = [(topic, number) for topic in (self._changelog, self._events) for number in numbers]
        limits = bounds(AdminClient(self._client), [*committed, *own], self._patience)
        self.positions = starts(committed, limits, self._changelog, self._events)
        self._reading = [TopicPartition(topic, number, offset) for (topic, number), offset in self.positions.items()]
        self._consumer.assign(self._reading)
        self._consumer.pause(self._reading)
        self.group = self._consumer.consumer_group_metadata()
        self._begin([place for place, offset in committed.items() if offset == NONE_COMMITTED], numbers, limits)
        log.info("assigned", extra={"partitions": numbers})

    def go_on_restoring(self) -> None:
        """Restores one chunk more; after the last one reading begins."""
        if self._restore is not None and self._restore.step():
            log.info("restored", extra={"records": self._restore.records})
            self._end_restore()
            self._consumer.resume(self._reading)

    def revoked(self) -> None:
        """Lets go of everything; what was decided must have been committed before."""
        self.epoch += 1
        self._end_restore()
        for store in self.stores.values():
            store.close()
        self.stores = {}
        self.positions = {}
        self._reading = []

    def _begin(self, fresh: list[Place], numbers: list[int], limits: dict[Place, tuple[int, int]]) -> None:
        if fresh:  # from now on a missing offset means that it was lost
            offsets = [TopicPartition(*place, self.positions[place]) for place in fresh]
            self._consumer.commit(offsets=offsets, asynchronous=False)
        cached = _CACHED // len(numbers)
        self.stores = {number: PartitionStore(self._state_dir / str(number), cached) for number in numbers}
        ends = {number: limits[self._changelog, number] for number in numbers}
        for number, store in self.stores.items():
            if store.offset > ends[number][1]:
                raise UnsafeStart(
                    f"{store.folder} is ahead of {self._changelog}[{number}]: it belongs to another cluster or topic; "
                    "delete the folder, or set SAGA_STATE_DIR to another one"
                )
        self._restore = Restore(self._client, self._changelog, self.stores, ends, self._patience)

    def _committed(self, partitions: list[TopicPartition]) -> dict[Place, int]:
        """What the group has committed; waits for transactions of former owners that are still open."""
        found = self._consumer.committed(partitions, timeout=self._patience)
        for tp in found:
            if tp.error:
                raise UnsafeStart(f"the committed offset of {tp.topic}[{tp.partition}] is not known: {tp.error}")
        return {(tp.topic, tp.partition): tp.offset for tp in found}

    def _end_restore(self) -> None:
        if self._restore is not None:
            self._restore.close()
            self._restore = None
