"""Brings partitions' stores up to the end of the changelog."""

import time
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from app.engine.errors import Ended
from app.engine.offsets import UnsafeStart
from app.engine.store import Document, PartitionStore

_BATCH = 10_000
_POLL_SECONDS = 0.1
# The defaults would take four times the memory, and wait for a second whenever that is full.
_FRUGAL = {"queued.max.messages.kbytes": 16_384, "fetch.max.bytes": 8 << 20, "fetch.queue.backoff.ms": 5}
Changed = dict[int, list[Document]]


class RestoreStuck(Ended):
    """The changelog's end was not reached in time; the message says which partition waits for what."""


class Restore:
    """One restoring of some partitions, in chunks, so that its caller can keep its place in the group meanwhile.

    `client` has the settings of a reader (`Clients.reader`).
    `ends` has each partition's first offset and its high watermark, read as uncommitted: the last committed transaction
    may not be readable yet (KAFKA-10167), and is waited for. So is one that a dead pod left open.
    """

    def __init__(
        self,
        client: dict[str, Any],
        changelog: str,
        stores: dict[int, PartitionStore],
        ends: dict[int, tuple[int, int]],
        patience: float,
    ) -> None:
        self._changelog = changelog
        self._stores = stores
        self._ends = {number: end for number, (_, end) in ends.items()}
        self._patience = patience
        self._moved = time.monotonic()
        self._open = {number for number, store in stores.items() if store.offset < self._ends[number]}
        self.records = 0
        self._consumer = self._reader(client, ends) if self._open else None

    def step(self) -> bool:
        """Takes in one chunk; True when every store is at the end. Raises RestoreStuck when nothing moves any more."""
        changed: Changed = {}
        offsets: dict[int, int] = {}
        for message in self._consumer.consume(_BATCH, _POLL_SECONDS) if self._consumer else ():
            partition, error = message.partition(), message.error()
            if error is None:
                changed.setdefault(partition, []).append((message.key(), message.value()))
                offsets[partition] = message.offset() + 1
            elif error.code() == KafkaError._PARTITION_EOF:  # its offset steps over the markers of transactions
                offsets[partition] = message.offset()
            else:
                raise KafkaException(error)
        for partition, offset in offsets.items():
            self._take_in(partition, changed.get(partition, []), offset)
            if offset >= self._ends[partition]:
                self._open.discard(partition)
        self._watch(changed, moved=bool(offsets))
        return not self._open

    def _take_in(self, partition: int, changed: list[Document], offset: int) -> None:
        try:
            self._stores[partition].restore(changed, offset)
        except (ValueError, TypeError, AttributeError) as error:  # the codec checks no types of values
            what = error if isinstance(error, ValueError) else f"not a saga's state: {type(error).__name__}"
            raise UnsafeStart(
                f"{self._changelog}[{partition}] has a record before offset {offset} that is {what}: "
                "another program, or another version of this one, has written there; find out which"
            ) from error

    def close(self) -> None:
        """Ends the reading."""
        if self._consumer is not None:
            self._consumer.close()

    def _reader(self, client: dict[str, Any], ends: dict[int, tuple[int, int]]) -> Consumer:
        reader = Consumer({**client, "fetch.wait.max.ms": 20, **_FRUGAL})
        starts = {number: max(self._stores[number].offset, ends[number][0]) for number in self._open}
        reader.assign([TopicPartition(self._changelog, number, offset) for number, offset in starts.items()])
        return reader

    def _watch(self, changed: Changed, *, moved: bool) -> None:
        self.records += sum(map(len, changed.values()))
        now = time.monotonic()
        if moved:
            self._moved = now
        elif now - self._moved > self._patience:
            missing = ", ".join(f"{self._changelog}[{number}]" for number in sorted(self._open))
            raise RestoreStuck(
                f"the end of {missing} was not reached for {self._patience:.0f} s: a transaction on it stays open, "
                "or it has no leader; look at the brokers"
            )
