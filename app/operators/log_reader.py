"""Reads partitions of a topic up to known ends, and gives up when no record comes."""

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition

from app.kafka_access.retriable import RETRIABLE
from app.operators.brokers import Deadline, reader
from app.ops.errors import CommandFailed
from app.ops.kafka_cluster import KafkaCluster
from app.wire.topics import TopicPartitionKey

_POLL_SECONDS = 0.1
Span = tuple[int, int]
"""The first offset to read, and the one after the last. The first may be OFFSET_BEGINNING, or deleted already."""


class LogReader:
    """Reads committed records with a consumer of its own; `take` gets each record, in order per partition.

    `patience` is how many seconds may pass without a record, `limit` bounds the whole. `batch` records are in memory at
    a time.
    """

    def __init__(
        self,
        cluster: KafkaCluster,
        take: Callable[[Any], None],
        patience: float,
        *,
        batch: int = 200,
        limit: Deadline | None = None,
        **client: Any,
    ) -> None:
        config = {"auto.offset.reset": "earliest", "enable.partition.eof": True, "fetch.wait.max.ms": 20}
        self._config = reader(cluster, **config, **client)
        self._take, self._patience, self._batch = take, patience, batch
        self._limit = limit or Deadline(float("inf"))

    def read(self, spans: Mapping[TopicPartitionKey, Span]) -> list[TopicPartitionKey]:
        """Reads each span, and returns the partitions that were not read to their end, as behind an open transaction.

        Raises CommandFailed when a partition can't be read at all.
        """
        unread = {key: end for key, (start, end) in spans.items() if start < end}
        if not unread:
            return []
        with closing(Consumer(self._config)) as consumer:
            consumer.assign([TopicPartition(*key, spans[key][0]) for key in unread])
            progress = Deadline(self._patience)
            while unread and self._limit.left(progress.left()):
                for message in consumer.consume(self._batch, _POLL_SECONDS):
                    position = self._position(message, unread)
                    if position is None:
                        continue
                    progress = Deadline(self._patience)
                    key = message.topic(), message.partition()
                    if position >= unread[key]:
                        del unread[key]
        return sorted(unread)

    def _position(self, message: Any, unread: Mapping[TopicPartitionKey, int]) -> int | None:
        """The position after this message; None for an error that passes by itself, or in a partition that is done."""
        error = message.error()
        if error is not None and error.code() in RETRIABLE:
            return None
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise CommandFailed(f"{message.topic() or 'a topic'} can't be read: {error.str()}")
        if (message.topic(), message.partition()) not in unread:  # it may go on growing
            return None
        if error is not None:  # at the end: its offset is past trailing transaction markers
            return int(message.offset())
        self._take(message)
        return int(message.offset()) + 1
