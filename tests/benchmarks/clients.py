"""The driver's clients of Kafka, as light as they can be."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from tests.benchmarks.messages import Record

_ADMIN_SECONDS = 10.0
_AT_ONCE = 10_000
_SHARE_OF_QUEUE = 1_024  # records between two looks at what the producer has to tell
Start = Literal["beginning", "end"]


class Trouble(Exception):
    """A measurement can't be made; the message says why."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The brokers, and the topics under test."""

    bootstrap: str
    prefix: str
    partitions: int

    def plain(self) -> dict[str, Any]:
        """What every client needs."""
        return {"bootstrap.servers": self.bootstrap, "log_level": 2}


class Sender:
    """Sends records; with a linger of 0 each at once."""

    def __init__(self, cluster: Cluster, linger_ms: float) -> None:
        self._prefix = cluster.prefix
        self._sent = 0
        self._producer = Producer(
            {
                **cluster.plain(),
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
        """Hands a record over."""
        self._producer.produce(self._prefix + record.topic, record.value, record.key, headers=record.headers)
        self._sent += 1
        if self._sent % _SHARE_OF_QUEUE == 0:
            self._producer.poll(0)

    def flush(self) -> None:
        """Returns when all is on the broker."""
        left = self._producer.flush(60)
        if left:
            raise Trouble(f"{left} records could not be sent within a minute")


def reader(cluster: Cluster, topics: Iterable[str], start: Start) -> Consumer:
    """Reads what was committed to the topics, in no group. From the beginning it tells the end of each partition."""
    names = [cluster.prefix + topic for topic in topics]
    return reader_of(
        cluster, [TopicPartition(name, number) for name in names for number in range(cluster.partitions)], start
    )


def reader_of(cluster: Cluster, places: Sequence[TopicPartition], start: Start) -> Consumer:
    """As `reader`, of any partitions."""
    consumer = Consumer(
        {
            **cluster.plain(),
            "group.id": "benchmark",  # needed by the client, never joined
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": start == "beginning",
            "auto.offset.reset": "error",
            "fetch.error.backoff.ms": 5,
            "fetch.queue.backoff.ms": 5,
        }
    )
    for place in places:
        bounds = consumer.get_watermark_offsets(place, timeout=_ADMIN_SECONDS)
        place.offset = bounds[0 if start == "beginning" else 1]
    consumer.assign(list(places))
    return consumer


def places_of(cluster: Cluster, wanted: Callable[[str], bool]) -> list[TopicPartition]:
    """All partitions of the topics with such names."""
    consumer = Consumer({**cluster.plain(), "group.id": "benchmark"})
    try:
        found = consumer.list_topics(timeout=_ADMIN_SECONDS).topics
    finally:
        consumer.close()
    return [
        TopicPartition(name, number) for name, topic in found.items() if wanted(name) for number in topic.partitions
    ]


def waiting(consumer: Consumer, seconds: float) -> list[Any]:
    """Waits for a message, and takes with it all that are there (the ends of partitions too); none when none came."""
    first = consumer.poll(seconds)
    if first is None:
        return []
    messages = [first, *consumer.consume(_AT_ONCE, 0)]
    for message in messages:
        if message.error() is not None and not _is_end(message):
            raise KafkaException(message.error())
    return messages


def until_end(consumer: Consumer, partitions: int, silence: float) -> Iterator[Any]:
    """All messages up to the end of each of so many partitions. Raises Trouble after so many seconds of silence."""
    while partitions:
        messages = waiting(consumer, silence)
        if not messages:
            raise Trouble(f"nothing came for {silence:.0f} s, and the end of {partitions} partitions wasn't reached")
        partitions -= sum(map(_is_end, messages))
        yield from (message for message in messages if message.error() is None)


def _is_end(message: Any) -> bool:
    return message.error() is not None and message.error().code() == KafkaError._PARTITION_EOF


def header(message: Any, name: str) -> str:
    """A header of a message; empty when it has none of this name."""
    for key, value in message.headers() or ():
        if key == name:
            return str(value, "utf-8")
    return ""
