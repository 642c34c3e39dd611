"""Asks the brokers how far the orchestrator's group is on each input partition."""

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import ConsumerGroupDescription, OffsetSpec

from app.operators.brokers import Brokers, Deadline, reader
from app.operators.lag.partition_lag import PartitionLag
from app.ops.kafka_cluster import KafkaCluster
from app.wire.topics import Topic, TopicPartitionKey

_POLL_SECONDS = 0.1
_AGE_SECONDS = 5.0  # for reading the first record of each partition that lags
_BATCH = 100


def measure(cluster: KafkaCluster, group: str, inputs: Iterable[Topic], deadline: Deadline) -> list[PartitionLag]:
    """The lag of each input partition; `group` is the full name. Raises CommandFailed within the deadline."""
    topics = list(inputs)
    brokers = Brokers(cluster, deadline)
    partitions = range(brokers.partitions(*topics))
    found = offsets(cluster, brokers, group, [(topic, number) for topic in topics for number in partitions])
    owners = owners_of(brokers.group(group))
    ages = _first_records(cluster, group, found, Deadline(deadline.left(_AGE_SECONDS)))
    return [_complete(each, cluster.full(each.topic), owners, ages) for each in found]


def owners_of(group: ConsumerGroupDescription) -> dict[TopicPartitionKey, str]:
    """The member that each partition is assigned to, as `client id@host`."""
    return {
        (partition.topic, partition.partition): f"{member.client_id}@{member.host.lstrip('/')}"
        for member in group.members
        for partition in member.assignment.topic_partitions
    }


def offsets(
    cluster: KafkaCluster, brokers: Brokers, group: str, partitions: Iterable[tuple[Topic, int]]
) -> list[PartitionLag]:
    """The offsets of these partitions, without owners and ages.

    Committed offsets are asked for first, and high watermarks last: so none is seen before one that it can't be below.
    """
    keys = {(cluster.full(topic.name), number): topic.name for topic, number in partitions}
    committed = brokers.committed(group, keys)
    first = brokers.offsets(dict.fromkeys(keys, OffsetSpec.earliest()))
    stable = brokers.offsets(dict.fromkeys(keys, OffsetSpec.latest()), committed=True)
    ends = brokers.offsets(dict.fromkeys(keys, OffsetSpec.latest()))
    return [
        PartitionLag(topic, key[1], committed.get(key), first[key], stable[key], ends[key])
        for key, topic in keys.items()
    ]


def _complete(
    found: PartitionLag, topic: str, owners: Mapping[TopicPartitionKey, str], ages: Mapping[TopicPartitionKey, int]
) -> PartitionLag:
    key = topic, found.partition
    age = ages.get(key)
    return replace(found, owner=owners.get(key), oldest_ms=age or None, markers_only=age == 0)


def _first_records(
    cluster: KafkaCluster, group: str, found: Iterable[PartitionLag], deadline: Deadline
) -> dict[TopicPartitionKey, int]:
    """The timestamp (ms since 1970) of the first record of each partition that lags; 0 when it holds markers only.

    A partition whose first record can't be read in time, or may not be read by this user, is left out.
    """
    lagging = {(cluster.full(each.topic), each.partition): each.position for each in found if each.lag}
    ages: dict[TopicPartitionKey, int] = {}
    if not lagging:
        return ages
    # The consumer doesn't join the group; it names it because this user may describe it.
    config = reader(cluster, **{"group.id": group, "enable.partition.eof": True, "auto.offset.reset": "earliest"})
    with closing(Consumer({**config, "fetch.wait.max.ms": 20, "queued.min.messages": 1})) as consumer:
        consumer.assign([TopicPartition(*key, position) for key, position in lagging.items()])
        while len(ages) < len(lagging) and deadline.left():
            for message in consumer.consume(_BATCH, _POLL_SECONDS):
                _note_age(consumer, message, ages)
    return ages


def _note_age(consumer: Consumer, message: Any, ages: dict[TopicPartitionKey, int]) -> None:
    error, key = message.error(), (message.topic(), message.partition())
    if error is not None and error.code() != KafkaError._PARTITION_EOF:
        return
    if key not in ages:
        ages[key] = 0 if error is not None else message.timestamp()[1]
        consumer.pause([TopicPartition(*key)])
