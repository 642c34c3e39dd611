"""The first records that a producer writes to a partition whose leader is not ready."""

import secrets
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from app.engine.kafka.client_config import ClientConfig

pytestmark = pytest.mark.broker
ROUNDS, BURSTS, PARTITIONS = 20, 6, 8


def test_a_committed_transaction_has_all_its_records(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """With several requests in flight, the client takes an overtaken first record as written and commits without it."""
    config = ClientConfig(kafka_bootstrap, topic_prefix + "group", "pod", tmp_path).producers()[0]
    producer = Producer(config)
    producer.init_transactions(30)
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    for _ in range(ROUNDS):
        name = topic_prefix + secrets.token_hex(4)
        admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result()
        producer.begin_transaction()
        for _ in range(BURSTS):
            for number in range(PARTITIONS):
                producer.produce(name, b"value", b"key", number)
            time.sleep(0.0015)  # so that each burst is a request of its own
        producer.commit_transaction(30)
        assert offsets_given(kafka_bootstrap, name) == BURSTS * PARTITIONS + PARTITIONS


def offsets_given(bootstrap: str, topic: str) -> int:
    """The number of offsets that a topic has given to records and transaction markers."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "isolation.level": "read_uncommitted"})
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    deadline = time.monotonic() + 10
    while True:
        ends = [consumer.get_watermark_offsets(partition, 10)[1] for partition in partitions]
        # A marker follows its commit a moment later; records that are missing by then are lost.
        if sum(ends) == (BURSTS + 1) * PARTITIONS or time.monotonic() > deadline:
            consumer.close()
            return sum(ends)
        time.sleep(0.05)
