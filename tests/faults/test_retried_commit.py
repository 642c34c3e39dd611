"""Commits that the client sends twice by itself, or whose answer doesn't come: they end no other transaction."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.demo.children import Child
from app.engine.loop import _LEAVE_SECONDS
from tests.broker.pods import Site, site
from tests.devkafka.support import until
from tests.engine.owner import Owner, Place
from tests.faults.cluster import Cluster
from tests.faults.commits import clients_of, hand_over, seen
from tests.faults.frames import Api
from tests.faults.proxy import CALM, Moment, Trap, Weather

pytestmark = pytest.mark.broker
SOON_SECONDS = 5.0


def cut(cluster: Cluster) -> None:
    """Every connection is lost, and can be made anew."""
    cluster.network.change(Weather(open=False))
    cluster.network.change(CALM)


def held(cluster: Cluster, client: str) -> Trap:
    """The client's next commit is held, to come late."""
    return cluster.network.set(Trap(client, Api.END_TXN, Moment.ASKED, lambda: None, holds=True))


def test_a_commit_that_was_sent_twice_does_not_end_the_next_transaction(
    cluster: Cluster, near: Place, owner: Owner
) -> None:
    """The client sends it again on a new connection; the first one comes when the next transaction is half written."""
    clients = clients_of(near, cluster, transaction_timeout=10.0)
    client = str(clients.plain()["client.id"])
    trap = held(cluster, client)
    lane, done = hand_over(near, owner, clients, b"first", 1)
    until(trap.sprung.is_set, "the commit")
    cut(cluster)
    lane.wait()
    assert cluster.network.asked(client, Api.END_TXN) == 2
    answered = len(cluster.network.commits)
    lane.begin()
    lane.produce(near.full("saga.events"), b"k", b"half of the second", (), 0)
    until(lambda: lane._producer.flush(1.0) == 0, "the record to be written")
    cluster.network.take_away(trap)
    until(lambda: len(cluster.network.commits) > answered, "the broker's answer to the first one")
    assert (done, seen(near)) == ([1], [b"first"])
    lane.produce(near.full("saga.events"), b"k", b"the other half", (), 0)
    hand_over(near, owner, clients, None, 2, lane)
    lane.wait()
    until(lambda: seen(near) == [b"first", b"half of the second", b"the other half"], "all of it")
    lane.close()


@pytest.fixture
def at(cluster: Cluster, topic_prefix: str, tmp_path: Path) -> Iterator[Site]:
    """Topics and pods of a test's own."""
    with site(cluster.kafka.bootstrap, topic_prefix, tmp_path) as made:
        yield made


def held_up(cluster: Cluster, at: Site, **settings: float) -> tuple[Child, Trap]:
    """A pod behind the network, with a commit under way that the broker doesn't get."""
    pod = at.running("pod", kafka_bootstrap=cluster.network.bootstrap, **settings)
    trap = held(cluster, f"{at.group}.pod")
    at.place("o")
    until(trap.sprung.is_set, "its commit")
    return pod, trap


def test_a_pod_that_is_told_to_end_does_not_wait_for_long_for_a_commit(cluster: Cluster, at: Site) -> None:
    """The broker doesn't get the commit: the pod ends within seconds, and its next life decides anew."""
    pod, trap = held_up(cluster, at, session_timeout=20, transaction_timeout=10)
    begun = time.monotonic()
    assert pod.stop() == 1
    assert time.monotonic() - begun < _LEAVE_SECONDS + SOON_SECONDS
    cluster.network.take_away(trap)
    assert "saga: told to end, but a commit was not answered within 5 s" in pod.said()


def test_a_pod_that_lost_its_partitions_ends_with_a_commit_under_way(cluster: Cluster, at: Site) -> None:
    """It stood still for too long: when it goes on it commits nothing more, waits for nothing, and leaves the rest."""
    pod, trap = held_up(cluster, at, session_timeout=2, transaction_timeout=1)
    pod.tell(signal.SIGSTOP)
    until(lambda: is_empty(at), "the group to give it up")
    pod.tell(signal.SIGCONT)
    until(lambda: not pod.alive, "the pod to end")
    cluster.network.take_away(trap)
    assert pod.exit_code == 1
    at.running(session_timeout=2, transaction_timeout=1)
    at.await_events("o", "saga.step.requested")
    at.place("p")
    at.await_events("p", "saga.step.requested")
    assert [decision["saga_id"] for decision in at.decisions()] == ["o", "p"]


def is_empty(at: Site) -> bool:
    """Whether nobody is in the group."""
    asking = at.admin
    return not asking.describe_consumer_groups([at.group])[at.group].result().members
