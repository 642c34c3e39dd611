"""The fixtures that every test on a real Kafka builds upon."""

import pytest

from tests.devkafka.support import commit, committed_values, create_topic, transactional_producer


@pytest.mark.broker
def test_the_run_has_a_kafka(kafka_bootstrap: str, topic_prefix: str) -> None:
    """The address is one where transactions work, and the prefix makes names that Kafka takes."""
    topic = f"{topic_prefix}saga.events"
    create_topic(kafka_bootstrap, topic)
    commit(transactional_producer(kafka_bootstrap, f"{topic_prefix}writer"), topic, [b"value"])
    assert committed_values(kafka_bootstrap, topic) == [b"value"]


def test_a_prefix_is_plain_and_short(topic_prefix: str) -> None:
    """It leaves room for long topic names, and nothing in it needs quoting."""
    assert len(topic_prefix) < 20
    assert topic_prefix.strip("t-0123456789abcdef.") == ""
