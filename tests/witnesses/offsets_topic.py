"""How often a group commits its offsets in transactions, counted in Kafka's own `__consumer_offsets`."""

from typing import Any

from confluent_kafka import Consumer, TopicPartition

from tests.broker.pods import read_committed
from tests.devkafka.support import LIMIT

_TOPIC = "__consumer_offsets"


def partition_of_group(group: str, partitions: int) -> int:
    """The partition that keeps a group's offsets: Java's hash of the name, without its sign."""
    hashed = 0
    for letter in group:
        hashed = (31 * hashed + ord(letter)) & 0xFFFFFFFF
    return (hashed & 0x7FFFFFFF) % partitions


class Commits:
    """Counts the transactions with offsets of one group since its construction. Nobody else may commit meanwhile."""

    def __init__(self, client: dict[str, Any], group: str) -> None:
        self._client = client
        self._reader = Consumer({**client, "group.id": "unused"})
        partitions = len(self._reader.list_topics(_TOPIC, LIMIT).topics[_TOPIC].partitions)
        self._place = TopicPartition(_TOPIC, partition_of_group(group, partitions))
        self._begin = self.end()

    def end(self) -> int:
        """The high watermark: it moves with every commit, and when members come and go."""
        return int(self._reader.get_watermark_offsets(self._place, LIMIT)[1])

    def transactions(self) -> int:
        """The transaction markers so far: a reader is never given them, so they are the offsets without a record."""
        records = read_committed(self._client, TopicPartition(_TOPIC, self._place.partition, self._begin))
        return self.end() - self._begin - len(records)

    def close(self) -> None:
        """Closes the client."""
        self._reader.close()
