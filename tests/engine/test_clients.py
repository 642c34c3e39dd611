"""How the Kafka clients are set up."""

from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from app.engine.clients import Clients

POD = Clients("127.0.0.1:1", "group", "pod", Path("unused"))
OTHER = Clients("127.0.0.1:1", "group", "other", Path("unused"))


def ids(clients: Clients) -> list[str]:
    """The transactional ids."""
    return [lane["transactional.id"] for lane in clients.lanes()]


def test_the_clients_take_their_settings() -> None:
    """The library knows every one of them, and builds clients with them without a broker."""
    Consumer({**POD.consumer(), "group.id": POD.group}).close()
    AdminClient(POD.plain())
    assert all(Producer(lane) is not None for lane in POD.lanes())


def test_only_committed_records_are_read() -> None:
    """What an aborted transaction wrote is never decided upon."""
    assert POD.consumer()["isolation.level"] == "read_committed"


def test_nobody_commits_or_creates_behind_our_back() -> None:
    """Positions are committed with the transactions, and a mistyped topic is not made."""
    assert POD.consumer()["allow.auto.create.topics"] is False
    assert "enable.auto.commit" not in POD.consumer()  # the base library switches it off: see test_privates


def test_names_outlive_a_restart_and_are_a_pods_own() -> None:
    """A pod's next life fences the one before it, and never another pod."""
    assert ids(POD) == ids(Clients("127.0.0.1:1", "group", "pod", Path("elsewhere")))
    assert not set(ids(POD)) & set(ids(OTHER))
    assert POD.consumer()["group.instance.id"] != OTHER.consumer()["group.instance.id"]


def test_a_pod_that_reads_other_topics_is_another_member() -> None:
    """The brokers would give it the partitions of the old topics alone. The order of their names means nothing."""
    names = [POD.consumer(inputs)["group.instance.id"] for inputs in (("a", "b"), ("b", "a"), ("a", "b", "c"))]
    assert names[0] == names[1] != names[2]


def test_no_two_lanes_share_a_transactional_id() -> None:
    """They would fence each other."""
    clients = Clients("127.0.0.1:1", "group", "pod", Path("unused"), open_at_once=5)
    assert len(set(ids(clients))) == 2 * 5


@pytest.mark.parametrize("transaction", (1.0, 15.0, 60.0))
def test_a_dead_owners_transaction_ends_while_its_successor_waits(transaction: float) -> None:
    """Brokers look every 10 s for transactions that are open for too long."""
    clients = Clients("127.0.0.1:1", "group", "pod", Path("unused"), transaction_timeout=transaction)
    assert clients.patience >= transaction + 10


def test_timeouts_are_in_order() -> None:
    """Transaction, then session, then poll; and a few heartbeats may be lost within a session."""
    consumer, lane = POD.consumer(), POD.lanes()[0]
    assert lane["transaction.timeout.ms"] < consumer["session.timeout.ms"] < consumer["max.poll.interval.ms"]
    assert consumer["heartbeat.interval.ms"] * 3 <= consumer["session.timeout.ms"]
