"""Restores partitions' stores up to the end of the changelog."""

import time
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from app.engine.errors import NeedsRestart, UnsafeStart
from app.engine.state.store import Document, PartitionStore

_BATCH = 10_000
_POLL_SECONDS = 0.1
# The defaults take four times the memory, and pause for a second whenever that is full.
_FRUGAL = {"queued.max.messages.kbytes": 16_384, "fetch.max.bytes": 8 << 20, "fetch.queue.backoff.ms": 5}
Chunk = dict[int, list[Document]]


class RestoreStuck(NeedsRestart):
    """The changelog's end was not reached in time; the message names the partitions."""


class ChangelogReader:
    """One restore of some partitions, in chunks, so that its caller can keep polling, and so its membership, meanwhile.

    `client` has the settings of a consumer without a group (`ClientConfig.standalone_consumer`).
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
        self._progressed_at = time.monotonic()
        self._unfinished = {number for number, store in stores.items() if store.offset < self._ends[number]}
        self.records = 0
        self._consumer = self._reader(client, ends) if self._unfinished else None

    @property
    def remaining(self) -> int:
        """Changelog offsets left to read; may be read on any thread."""
        return sum(max(0, self._ends[number] - self._stores[number].offset) for number in list(self._unfinished))

    def step(self) -> bool:
        """Applies one chunk; returns whether every store is complete. Raises RestoreStuck when there is no progress."""
        chunk: Chunk = {}
        offsets: dict[int, int] = {}
        for message in self._consumer.consume(_BATCH, _POLL_SECONDS) if self._consumer else ():
            partition, error = message.partition(), message.error()
            if error is None:
                chunk.setdefault(partition, []).append((message.key(), message.value()))
                offsets[partition] = message.offset() + 1
            elif error.code() == KafkaError._PARTITION_EOF:  # its offset is after the control records
                offsets[partition] = message.offset()
            else:
                raise KafkaException(error)
        for partition, offset in offsets.items():
            self._restore(partition, chunk.get(partition, []), offset)
            if offset >= self._ends[partition]:
                self._unfinished.discard(partition)
        self._check_progress(chunk, progressed=bool(offsets))
        return not self._unfinished

    def _restore(self, partition: int, chunk: list[Document], offset: int) -> None:
        try:
            self._stores[partition].restore(chunk, offset)
        except (ValueError, TypeError, AttributeError) as error:  # the codec does not check the types of values
            flaw = error if isinstance(error, ValueError) else f"not a saga's state: {type(error).__name__}"
            raise UnsafeStart(
                f"{self._changelog}[{partition}] has a record before offset {offset} that is {flaw}: "
                "another program, or another version of this one, has written there; find out which"
            ) from error

    def close(self) -> None:
        """Closes the consumer."""
        if self._consumer is not None:
            self._consumer.close()

    def _reader(self, client: dict[str, Any], ends: dict[int, tuple[int, int]]) -> Consumer:
        reader = Consumer({**client, "fetch.wait.max.ms": 20, **_FRUGAL})
        starts = {number: max(self._stores[number].offset, ends[number][0]) for number in self._unfinished}
        reader.assign([TopicPartition(self._changelog, number, offset) for number, offset in starts.items()])
        return reader

    def _check_progress(self, chunk: Chunk, *, progressed: bool) -> None:
        self.records += sum(map(len, chunk.values()))
        now = time.monotonic()
        if progressed:
            self._progressed_at = now
        elif now - self._progressed_at > self._patience:
            partitions = ", ".join(f"{self._changelog}[{number}]" for number in sorted(self._unfinished))
            raise RestoreStuck(
                f"the end of {partitions} was not reached for {self._patience:.0f} s: a transaction on it stays open, "
                "or it has no leader; look at the brokers"
            )
