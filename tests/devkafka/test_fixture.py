"""The fixtures of all tests on a real Kafka."""

import pytest

from tests.devkafka.support import commit, committed_values, create_topic, transactional_producer


@pytest.mark.broker
def test_the_run_has_a_kafka(kafka_bootstrap: str, topic_prefix: str) -> None:
    """Transactions work at the address, and the prefix makes valid topic names and transactional ids."""
    topic = f"{topic_prefix}saga.events"
    create_topic(kafka_bootstrap, topic)
    commit(transactional_producer(kafka_bootstrap, f"{topic_prefix}writer"), topic, [b"value"])
    assert committed_values(kafka_bootstrap, topic) == [b"value"]


def test_a_prefix_is_plain_and_short(topic_prefix: str) -> None:
    """It allows long topic names, and has no character that needs quoting."""
    assert len(topic_prefix) < 20
    assert topic_prefix.strip("t-0123456789abcdef.") == ""
