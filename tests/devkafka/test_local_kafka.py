"""The local Kafka is a real one: transactions, crashes, replication."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from app.devkafka import LocalKafka
from tests.devkafka.support import commit, committed_values, create_topic, has_leader, transactional_producer, until

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def kafka() -> Iterator[LocalKafka]:
    """One broker for all tests that don't kill it."""
    with LocalKafka() as kafka:
        yield kafka


def test_a_committed_transaction_is_read(kafka: LocalKafka, topic_prefix: str) -> None:
    """A read_committed consumer reads its records in order."""
    topic = topic_prefix + "committed"
    create_topic(kafka.bootstrap, topic)
    commit(transactional_producer(kafka.bootstrap, topic), topic, [b"one", b"two"])
    assert committed_values(kafka.bootstrap, topic) == [b"one", b"two"]


def test_an_aborted_transaction_is_not_read(kafka: LocalKafka, topic_prefix: str) -> None:
    """A real broker hides aborted records; librdkafka's mock broker doesn't."""
    topic = topic_prefix + "aborted"
    create_topic(kafka.bootstrap, topic)
    producer = transactional_producer(kafka.bootstrap, topic)
    producer.begin_transaction()
    producer.produce(topic, b"never")
    producer.flush()
    producer.abort_transaction()
    commit(producer, topic, [b"after"])
    assert committed_values(kafka.bootstrap, topic) == [b"after"]


def test_a_second_producer_fences_the_first(kafka: LocalKafka, topic_prefix: str) -> None:
    """Only the latest producer with a transactional id can commit."""
    topic = topic_prefix + "fenced"
    create_topic(kafka.bootstrap, topic)
    first = transactional_producer(kafka.bootstrap, topic)
    commit(first, topic, [b"first"])
    commit(transactional_producer(kafka.bootstrap, topic), topic, [b"second"])
    with pytest.raises(KafkaException):
        commit(first, topic, [b"never"])
    assert committed_values(kafka.bootstrap, topic) == [b"first", b"second"]


def test_a_metadata_request_creates_no_topic(kafka: LocalKafka, topic_prefix: str) -> None:
    """A mistyped topic is an error."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    asked = admin.list_topics(topic_prefix + "mistyped", timeout=10).topics[topic_prefix + "mistyped"]
    assert asked.error is not None
    assert topic_prefix + "mistyped" not in admin.list_topics(timeout=10).topics


def test_a_paused_broker_answers_again_when_resumed(kafka: LocalKafka) -> None:
    """While it is paused it is alive and gives no answer."""
    (broker,) = kafka.brokers
    broker.pause()
    try:
        assert broker.alive
        with pytest.raises(KafkaException):
            AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0}).list_topics(timeout=1)
    finally:
        broker.resume()
    kafka.await_ready()


def test_committed_data_survives_kill_and_restart(tmp_path: Path, topic_prefix: str) -> None:
    """After kill -9 the same producer continues, and a later cluster in the same directory has all records."""
    topic = topic_prefix + "kept"
    with LocalKafka(directory=tmp_path) as kafka:
        create_topic(kafka.bootstrap, topic)
        producer = transactional_producer(kafka.bootstrap, topic)
        commit(producer, topic, [b"before"])
        (broker,) = kafka.brokers
        killed = broker.pid
        broker.kill()
        assert not broker.alive
        broker.start()
        assert broker.pid != killed
        commit(producer, topic, [b"after"])
        assert committed_values(kafka.bootstrap, topic) == [b"before", b"after"]
    with LocalKafka(directory=tmp_path) as again:
        until(lambda: has_leader(again.bootstrap, topic), "the topic after the restart")
        assert committed_values(again.bootstrap, topic) == [b"before", b"after"]


@pytest.mark.slow
def test_two_of_three_brokers_suffice(topic_prefix: str) -> None:
    """Transactions continue when one of three is killed, and that one rejoins the cluster when it is started."""
    topic = topic_prefix + "replicated"
    with LocalKafka(brokers=3) as kafka:
        create_topic(kafka.bootstrap, topic)
        producer = transactional_producer(kafka.bootstrap, topic)
        commit(producer, topic, [b"three"])
        kafka.brokers[0].kill()
        commit(producer, topic, [b"two"])
        assert committed_values(kafka.bootstrap, topic) == [b"three", b"two"]
        kafka.brokers[0].start()
        kafka.await_ready()
        assert set(AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=10).brokers) == {1, 2, 3}
