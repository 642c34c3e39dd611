"""The samples' producer: a record that it reports as delivered is in the log."""

import secrets
import time

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from app.ops.kafka_cluster import KafkaCluster
from app.samples.kafka_clients import Sender
from tests.samples.wire import end_of

pytestmark = pytest.mark.broker
ROUNDS, BURSTS, PARTITIONS = 12, 6, 8


def create_topic(cluster: KafkaCluster, name: str) -> None:
    """Creates a topic, whose partitions may not have leaders yet."""
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 2})
    admin.create_topics([NewTopic(cluster.full(name), PARTITIONS, 1)])[cluster.full(name)].result(60)


def test_nothing_is_lost_on_a_topic_that_was_just_created(kafka_bootstrap: str, topic_prefix: str) -> None:
    """Records sent in quick succession, the first before the partition's leader is ready, are all in the log."""
    cluster = KafkaCluster(kafka_bootstrap, topic_prefix)
    sent = BURSTS * PARTITIONS
    for _ in range(ROUNDS):
        sender, name = Sender(cluster), secrets.token_hex(4)
        sender.require()
        create_topic(cluster, name)
        for burst in range(BURSTS):
            for number in range(PARTITIONS):
                sender.send(name, f"{burst} {number}".encode(), b"", [])
            time.sleep(0.0015)  # so that each burst is a request of its own
        sender.flush()
        assert records_in(cluster, name) == sent


def records_in(cluster: KafkaCluster, name: str) -> int:
    """The number of records in a topic."""
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": cluster.full("none"), "log_level": 2})
    ends = [end_of(consumer, TopicPartition(cluster.full(name), number)) for number in range(PARTITIONS)]
    consumer.close()
    return sum(ends)
