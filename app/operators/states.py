"""Reads the changelog `saga.state` to its end."""

from collections.abc import Callable
from typing import Any

from confluent_kafka import OFFSET_BEGINNING

from app.operators.brokers import FIRST_ANSWER, Brokers, Deadline
from app.operators.log_reader import LogReader
from app.ops.kafka_cluster import KafkaCluster
from app.wire.topics import STATE

_BATCH = 10_000  # records
Take = Callable[[bytes, bytes | None], None]


def read_all(
    cluster: KafkaCluster, take: Take, patience: float, *, limit: Deadline | None = None, **client: Any
) -> list[int]:
    """Calls `take(key, value)` for each record committed by now, in order per key.

    Returns the partitions that were not read to their end because no record came for `patience` seconds, as behind an
    open transaction, or because the limit was reached. Raises CommandFailed when the topic can't be read at all.
    """

    def take_keyed(message: Any) -> None:
        if message.key() is not None:
            take(message.key(), message.value())

    brokers = Brokers(cluster, Deadline(min(patience, FIRST_ANSWER)))
    ends = brokers.ends([STATE], range(brokers.partitions(STATE)))
    log = LogReader(cluster, take_keyed, patience, batch=_BATCH, limit=limit, **client)
    return [number for _, number in log.read({key: (OFFSET_BEGINNING, end) for key, end in ends.items() if end})]
