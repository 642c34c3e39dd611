"""The producer of the samples: what it says is delivered is there."""

import secrets
import time

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from app.ops.site import Site
from app.samples.clients import Sender
from tests.samples.wire import end_of

pytestmark = pytest.mark.broker
ROUNDS, BURSTS, PARTITIONS = 12, 6, 8


def created(site: Site, name: str) -> None:
    """A topic whose leaders may still be on their way."""
    admin = AdminClient({"bootstrap.servers": site.bootstrap, "log_level": 2})
    admin.create_topics([NewTopic(site.full(name), PARTITIONS, 1)])[site.full(name)].result(60)


def test_nothing_is_lost_on_a_topic_that_was_just_created(kafka_bootstrap: str, topic_prefix: str) -> None:
    """Records that come in quick succession, the first before the partition's leader is ready, are all in the log."""
    site = Site(kafka_bootstrap, topic_prefix)
    sent = BURSTS * PARTITIONS
    for _ in range(ROUNDS):
        sender, name = Sender(site), secrets.token_hex(4)
        sender.require()
        created(site, name)
        for burst in range(BURSTS):
            for number in range(PARTITIONS):
                sender.send(name, f"{burst} {number}".encode(), b"", [])
            time.sleep(0.0015)  # so that each burst is a request of its own
        sender.flush()
        assert held(site, name) == sent


def held(site: Site, name: str) -> int:
    """How many records a topic holds."""
    consumer = Consumer({"bootstrap.servers": site.bootstrap, "group.id": site.full("none"), "log_level": 2})
    places = [TopicPartition(site.full(name), number) for number in range(PARTITIONS)]
    ends = [end_of(consumer, place) for place in places]
    consumer.close()
    return sum(ends)
