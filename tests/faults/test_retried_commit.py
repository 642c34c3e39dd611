"""Commits that the client retries by itself, or that get no response: they never end another transaction."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.demo.children import Child
from app.engine.runtime.loop import _STOP_SECONDS
from tests.broker.pods import Site, site
from tests.devkafka.support import until
from tests.engine.group_member import GroupMember
from tests.engine.sandbox import Sandbox
from tests.faults.cluster import Cluster
from tests.faults.commits import clients_of, committed_values, start_commit
from tests.faults.kafka_protocol import Api
from tests.faults.proxy import HEALTHY, Link, Moment, Trap

pytestmark = pytest.mark.broker
SOON_SECONDS = 5.0


def break_connections(cluster: Cluster) -> None:
    """Breaks every connection; clients can connect again at once."""
    cluster.network.change(Link(open=False))
    cluster.network.change(HEALTHY)


def hold_next_commit(cluster: Cluster, client: str) -> Trap:
    """Holds the client's next EndTxn request, to be forwarded late."""
    return cluster.network.add(Trap(client, Api.END_TXN, Moment.REQUEST_RECEIVED, lambda: None, holds=True))


def test_a_retried_commit_does_not_end_the_next_transaction(
    cluster: Cluster, direct: Sandbox, member: GroupMember
) -> None:
    """The client retries on a new connection; the first request arrives when the next transaction is half written."""
    clients = clients_of(direct, cluster, transaction_timeout=10.0)
    client = str(clients.common()["client.id"])
    trap = hold_next_commit(cluster, client)
    producer, done = start_commit(direct, member, clients, b"first", 1)
    until(trap.triggered.is_set, "the commit")
    break_connections(cluster)
    producer.wait()
    assert cluster.network.requests(client, Api.END_TXN) == 2
    answered = len(cluster.network.commits)
    producer.begin()
    producer.produce(direct.full("saga.events"), b"k", b"half of the second", (), 0)
    until(lambda: producer._producer.flush(1.0) == 0, "the record to be written")
    cluster.network.remove(trap)
    until(lambda: len(cluster.network.commits) > answered, "the broker's response to the first one")
    assert (done, committed_values(direct)) == ([1], [b"first"])
    producer.produce(direct.full("saga.events"), b"k", b"the other half", (), 0)
    start_commit(direct, member, clients, None, 2, producer)
    producer.wait()
    until(lambda: committed_values(direct) == [b"first", b"half of the second", b"the other half"], "all of it")
    producer.close()


@pytest.fixture
def at(cluster: Cluster, topic_prefix: str, tmp_path: Path) -> Iterator[Site]:
    """Topics and pods of this test."""
    with site(cluster.kafka.bootstrap, topic_prefix, tmp_path) as made:
        yield made


def pod_with_held_commit(cluster: Cluster, at: Site, **settings: float) -> tuple[Child, Trap]:
    """A pod behind the proxy, with an EndTxn request in flight that does not reach the broker."""
    pod = at.running("pod", kafka_bootstrap=cluster.network.bootstrap, **settings)
    trap = hold_next_commit(cluster, f"{at.group}.pod")
    at.place("o")
    until(trap.triggered.is_set, "its commit")
    return pod, trap


def test_a_pod_asked_to_stop_does_not_wait_long_for_a_commit(cluster: Cluster, at: Site) -> None:
    """The broker doesn't get the commit: the pod stops within seconds, and its next start decides again."""
    pod, trap = pod_with_held_commit(cluster, at, session_timeout=20, transaction_timeout=10)
    begun = time.monotonic()
    assert pod.stop() == 1
    assert time.monotonic() - begun < _STOP_SECONDS + SOON_SECONDS
    cluster.network.remove(trap)
    assert "told to stop, but a commit was not answered within 5 s" in pod.said()


def test_a_pod_that_lost_its_partitions_ends_with_a_commit_in_flight(cluster: Cluster, at: Site) -> None:
    """It is paused beyond its session: once resumed, it commits nothing and ends without waiting for the commit."""
    pod, trap = pod_with_held_commit(cluster, at, session_timeout=2, transaction_timeout=1)
    pod.tell(signal.SIGSTOP)
    until(lambda: is_empty(at), "the group to remove the pod")
    pod.tell(signal.SIGCONT)
    until(lambda: not pod.alive, "the pod to end")
    cluster.network.remove(trap)
    assert pod.exit_code == 1
    at.running(session_timeout=2, transaction_timeout=1)
    at.await_events("o", "saga.step.requested")
    at.place("p")
    at.await_events("p", "saga.step.requested")
    assert [decision["saga_id"] for decision in at.decisions()] == ["o", "p"]


def is_empty(at: Site) -> bool:
    """Whether the group has no members."""
    admin = at.admin  # a client that nothing refers to never answers
    return not admin.describe_consumer_groups([at.group])[at.group].result().members
