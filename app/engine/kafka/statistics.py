"""librdkafka's statistics of the consumer: where inputs end, and how the connections to the brokers are."""

from dataclasses import dataclass, field
from typing import Any

import orjson
from confluent_kafka import TopicPartition
from quixstreams.kafka import BaseConsumer

from app.wire.topics import TopicPartitionKey

INTERVAL_MS = 1_000
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class BrokerStats:
    """One broker as the consumer sees it; the round trip is the 99th percentile of the last seconds."""

    rtt_p99_seconds: float
    connected: bool
    disconnects: int
    request_timeouts: int


@dataclass(frozen=True, slots=True)
class InputEnds:
    """Of one input partition: its last stable offset and its high watermark, as of the last fetch."""

    last_stable: int
    high_watermark: int


def high_watermark(consumer: BaseConsumer, key: TopicPartitionKey) -> int:
    """Of an input, as of the last fetch; -1001 before the first. May be called on any thread."""
    return int(consumer.get_watermark_offsets(TopicPartition(*key), cached=True)[1])


@dataclass(slots=True)
class ClientStatistics:
    """The last statistics. `take` is the client's callback; everything may be read on any thread."""

    inputs: dict[TopicPartitionKey, InputEnds] = field(default_factory=dict)
    brokers: dict[str, BrokerStats] = field(default_factory=dict)
    fetch_queue_bytes: int = 0

    def take(self, document: str) -> None:
        """Takes a document of statistics (librdkafka's STATISTICS.md)."""
        read = orjson.loads(document)
        partitions = [
            (topic["topic"], partition)
            for topic in read.get("topics", {}).values()
            for partition in topic["partitions"].values()
        ]
        self.inputs = {
            (topic, partition["partition"]): InputEnds(partition["ls_offset"], partition["hi_offset"])
            for topic, partition in partitions
            if partition["ls_offset"] >= 0 and partition["hi_offset"] >= 0
        }
        self.fetch_queue_bytes = sum(partition["fetchq_size"] for _, partition in partitions)
        self.brokers = {
            str(broker["nodeid"]): _broker(broker)
            for broker in read.get("brokers", {}).values()
            if broker["nodeid"] >= 0 and broker["source"] != "logical"
        }


def _broker(broker: dict[str, Any]) -> BrokerStats:
    return BrokerStats(
        broker["rtt"]["p99"] / _MICROSECONDS, broker["state"] == "UP", broker["disconnects"], broker["req_timeouts"]
    )
