"""Kafka clients of the driver, as light as possible."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from tests.benchmarks.messages import Record

_ADMIN_SECONDS = 10.0
_BATCH = 10_000
_POLL_EVERY = 1_024  # records between two polls for delivery errors
Start = Literal["beginning", "end"]


class MeasurementFailed(Exception):
    """A measurement failed; the message says why."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The brokers, and the topics under test."""

    bootstrap: str
    prefix: str
    partitions: int

    def common(self) -> dict[str, Any]:
        """Settings that every client needs."""
        return {"bootstrap.servers": self.bootstrap, "log_level": 2}


class Sender:
    """Sends records; with a linger of 0 each at once."""

    def __init__(self, cluster: Cluster, linger_ms: float) -> None:
        self._prefix = cluster.prefix
        self._sent = 0
        self._producer = Producer(
            {
                **cluster.common(),
                "partitioner": "murmur2",
                "acks": 1,
                "linger.ms": linger_ms,
                "batch.size": 1_000_000,
                "queue.buffering.max.messages": 2_000_000,
                "queue.buffering.max.kbytes": 2_000_000,
                "delivery.report.only.error": True,
            }
        )

    def send(self, record: Record) -> None:
        """Hands a record to the producer."""
        self._producer.produce(self._prefix + record.topic, record.value, record.key, headers=record.headers)
        self._sent += 1
        if self._sent % _POLL_EVERY == 0:
            self._producer.poll(0)

    def flush(self) -> None:
        """Returns when all records are on the broker. Raises MeasurementFailed after a minute."""
        left = self._producer.flush(60)
        if left:
            raise MeasurementFailed(f"{left} records could not be sent within a minute")


def topic_reader(cluster: Cluster, topics: Iterable[str], start: Start) -> Consumer:
    """Reads committed records of these topics, in no group. From the beginning it also reports partition ends."""
    names = [cluster.prefix + topic for topic in topics]
    return partition_reader(
        cluster, [TopicPartition(name, number) for name in names for number in range(cluster.partitions)], start
    )


def partition_reader(cluster: Cluster, partitions: Sequence[TopicPartition], start: Start) -> Consumer:
    """As `topic_reader`, for any partitions."""
    consumer = Consumer(
        {
            **cluster.common(),
            "group.id": "benchmark",  # needed by the client, never joined
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": start == "beginning",
            "auto.offset.reset": "error",
            "fetch.error.backoff.ms": 5,
            "fetch.queue.backoff.ms": 5,
        }
    )
    for partition in partitions:
        bounds = consumer.get_watermark_offsets(partition, timeout=_ADMIN_SECONDS)
        partition.offset = bounds[0 if start == "beginning" else 1]
    consumer.assign(list(partitions))
    return consumer


def partitions_of(cluster: Cluster, wanted: Callable[[str], bool]) -> list[TopicPartition]:
    """All partitions of the topics whose names are wanted."""
    consumer = Consumer({**cluster.common(), "group.id": "benchmark"})
    try:
        found = consumer.list_topics(timeout=_ADMIN_SECONDS).topics
    finally:
        consumer.close()
    return [
        TopicPartition(name, number) for name, topic in found.items() if wanted(name) for number in topic.partitions
    ]


def poll_batch(consumer: Consumer, seconds: float) -> list[Any]:
    """Waits for a record, and returns it and all fetched ones (and ends of partitions); empty when none came."""
    first = consumer.poll(seconds)
    if first is None:
        return []
    messages = [first, *consumer.consume(_BATCH, 0)]
    for message in messages:
        if message.error() is not None and not _is_end(message):
            raise KafkaException(message.error())
    return messages


def read_to_end(consumer: Consumer, partitions: int, silence: float) -> Iterator[Any]:
    """All records up to the end of this many partitions. Raises MeasurementFailed when none comes in time."""
    ended: set[tuple[str, int]] = set()  # the client says it again when the end has moved, past a marker for example
    while len(ended) < partitions:
        messages = poll_batch(consumer, silence)
        if not messages:
            missing = partitions - len(ended)
            raise MeasurementFailed(
                f"nothing came for {silence:.0f} s, and {missing} partitions were not read to their end"
            )
        ended.update((message.topic(), message.partition()) for message in messages if _is_end(message))
        yield from (message for message in messages if message.error() is None)


def _is_end(message: Any) -> bool:
    return message.error() is not None and message.error().code() == KafkaError._PARTITION_EOF


def header(message: Any, name: str) -> str:
    """A header of a record; empty when the record has none of this name."""
    for key, value in message.headers() or ():
        if key == name:
            return str(value, "utf-8")
    return ""
