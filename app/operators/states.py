"""Reads the changelog `saga.state` to its end."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from app.kafka_access.retriable import RETRIABLE
from app.operators.brokers import FIRST_ANSWER, Brokers, Deadline, reader
from app.ops.errors import CommandFailed
from app.ops.kafka_cluster import KafkaCluster
from app.wire.topics import STATE

_BATCH = 10_000  # records
_POLL_SECONDS = 0.1
Take = Callable[[bytes, bytes | None], None]


def read_all(cluster: KafkaCluster, take: Take, patience: float) -> list[int]:
    """Calls `take(key, value)` for each record committed by now, in order per key.

    Returns the partitions that were not read to their end because no record came for `patience` seconds, as behind an
    open transaction. Raises CommandFailed when the topic can't be read at all.
    """
    brokers = Brokers(cluster, Deadline(min(patience, FIRST_ANSWER)))
    ends = brokers.ends([STATE], range(brokers.partitions(STATE)))
    config = {"auto.offset.reset": "earliest", "enable.partition.eof": True, "fetch.wait.max.ms": 20}
    with closing(Consumer(reader(cluster, **config))) as consumer:
        unread = {partition: end for partition, end in ends.items() if end > 0}
        consumer.assign([TopicPartition(*partition, OFFSET_BEGINNING) for partition in unread])
        progress = Deadline(patience)
        while unread and progress.left():
            for message in consumer.consume(_BATCH, _POLL_SECONDS):
                partition, position = (message.topic(), message.partition()), _position(message, take)
                if position is None or partition not in unread:  # a partition read to its end may go on growing
                    continue
                progress = Deadline(patience)
                if position >= unread[partition]:
                    del unread[partition]
        return sorted(number for _, number in unread)


def _position(message: Any, take: Take) -> int | None:
    """The position after this message, None for an error that passes by itself; gives a record to `take`."""
    error = message.error()
    if error is None:
        if message.key() is not None:
            take(message.key(), message.value())
        return int(message.offset()) + 1
    if error.code() == KafkaError._PARTITION_EOF:  # its offset is past trailing transaction markers
        return int(message.offset())
    if error.code() in RETRIABLE:
        return None
    raise CommandFailed(f"{STATE.name} can't be read: {error.str()}")
