"""The settings of the Kafka clients."""

from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from app.engine.kafka.client_config import ClientConfig

POD = ClientConfig("127.0.0.1:1", "group", "pod", Path("unused"))
OTHER = ClientConfig("127.0.0.1:1", "group", "other", Path("unused"))


def transactional_ids(config: ClientConfig) -> list[str]:
    """The transactional ids of all producers."""
    return [producer["transactional.id"] for producer in config.producers()]


def test_the_clients_accept_their_settings() -> None:
    """The client library knows each setting, and needs no broker to create the clients."""
    Consumer({**POD.consumer(), "group.id": POD.group}).close()
    AdminClient(POD.common())
    assert all(Producer(producer) is not None for producer in POD.producers())


def test_only_committed_records_are_read() -> None:
    """No decision is based on a record of an aborted transaction."""
    assert POD.consumer()["isolation.level"] == "read_committed"


def test_the_client_commits_and_creates_nothing_by_itself() -> None:
    """Offsets are committed in transactions only, and a mistyped topic name creates no topic."""
    assert POD.consumer()["allow.auto.create.topics"] is False
    assert "enable.auto.commit" not in POD.consumer()  # quixstreams switches it off: see test_quixstreams_internals


def test_ids_survive_a_restart_and_are_unique_to_a_pod() -> None:
    """The next start of a pod fences the process before it, and never another pod."""
    assert transactional_ids(POD) == transactional_ids(ClientConfig("127.0.0.1:1", "group", "pod", Path("elsewhere")))
    assert not set(transactional_ids(POD)) & set(transactional_ids(OTHER))
    assert POD.consumer()["group.instance.id"] != OTHER.consumer()["group.instance.id"]


def test_a_pod_that_reads_other_topics_is_another_member() -> None:
    """The brokers would assign it only partitions of its old topics. The order of their names does not matter."""
    names = [POD.consumer(inputs)["group.instance.id"] for inputs in (("a", "b"), ("b", "a"), ("a", "b", "c"))]
    assert names[0] == names[1] != names[2]


def test_no_two_producers_share_a_transactional_id() -> None:
    """They would fence each other."""
    config = ClientConfig("127.0.0.1:1", "group", "pod", Path("unused"), open_transactions=5)
    assert len(set(transactional_ids(config))) == 2 * 5


@pytest.mark.parametrize("transaction", (1.0, 15.0, 60.0))
def test_a_dead_owners_transaction_ends_while_its_successor_waits(transaction: float) -> None:
    """Brokers look every 10 s for transactions that have timed out."""
    config = ClientConfig("127.0.0.1:1", "group", "pod", Path("unused"), transaction_timeout=transaction)
    assert config.patience >= transaction + 10


def test_timeouts_are_in_order() -> None:
    """Transaction, then session, then poll; and a session outlasts a few lost heartbeats."""
    consumer, producer = POD.consumer(), POD.producers()[0]
    assert producer["transaction.timeout.ms"] < consumer["session.timeout.ms"] < consumer["max.poll.interval.ms"]
    assert consumer["heartbeat.interval.ms"] * 3 <= consumer["session.timeout.ms"]
