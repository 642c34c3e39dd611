"""Commits whose outcome nobody tells: the wish, or the answer to it, gets lost between a lane and its coordinator."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from app.engine.clients import Clients
from app.engine.lanes import CommitFailed, Lane
from tests.broker.pods import read_committed
from tests.devkafka.support import until
from tests.engine.owner import Owner, Place
from tests.faults.cluster import Cluster
from tests.faults.frames import Api
from tests.faults.proxy import Moment, Trap

pytestmark = pytest.mark.broker
SECONDS = 2.0  # that brokers leave a transaction open


@pytest.fixture
def place(cluster: Cluster, topic_prefix: str, tmp_path: Path) -> Place:
    """On the cluster that has a network before it."""
    return Place(cluster.kafka.bootstrap, topic_prefix, tmp_path)


@pytest.fixture
def owner(place: Place) -> Iterator[Owner]:
    """A member with partition 0 of all inputs."""
    place.create()
    with place.owner() as member:
        member.start()
        yield member


def clients_of(place: Place, cluster: Cluster, transaction_timeout: float = SECONDS) -> Clients:
    """Those of a pod behind the network."""
    return Clients(cluster.network.bootstrap, place.group, "pod", place.folder, transaction_timeout=transaction_timeout)


@contextmanager
def lost(cluster: Cluster, clients: Clients, moment: Moment) -> Iterator[None]:
    """The next end of a transaction is lost there."""
    client = str(clients.plain()["client.id"])
    trap = cluster.network.set(Trap(client, Api.END_TXN, moment, lambda: None))
    try:
        yield
        assert trap.sprung.is_set()
    finally:
        cluster.network.take_away(trap)


def hand_over(
    place: Place, owner: Owner, clients: Clients, value: bytes | None, position: int, there: Lane | None = None
) -> tuple[Lane, list[int]]:
    """Commits, without waiting, a transaction with one record, or what a lane has begun; what is done is noted."""
    lane, done = there or Lane(clients.lanes()[0], 20.0), list[int]()
    if there is None:
        lane.open()
        lane.begin()
    if value is not None:
        lane.produce(place.full("saga.events"), b"k", value, (), 0)
    inputs = TopicPartition(place.full("order.requests"), 0, position)
    lane.commit([inputs], owner.own.group, lambda: done.append(position))
    return lane, done


def seen(place: Place) -> list[bytes]:
    """What readers of committed records see."""
    return [message.value() or b"" for message in read_committed(place.client, place.start_of("saga.events"))]


@pytest.mark.parametrize("moment", (Moment.ASKED, Moment.ANSWERED))
def test_a_commit_of_unknown_outcome_ends_the_process_and_is_tried_once(
    cluster: Cluster, place: Place, owner: Owner, moment: Moment
) -> None:
    """The client itself would ask again in a moment; the first wish, if only late, could end a later transaction."""
    clients = clients_of(place, cluster)
    with lost(cluster, clients, moment):
        lane, done = hand_over(place, owner, clients, b"one", 1)
        with pytest.raises(CommitFailed, match=r"what came of a commit was not known after 1.8 s"):
            lane.wait()
        with pytest.raises(CommitFailed):
            assert lane.idle
    assert done == []
    assert cluster.network.asked(str(clients.plain()["client.id"]), Api.END_TXN) == 1


@pytest.mark.parametrize(("moment", "there"), ((Moment.ASKED, [b"two"]), (Moment.ANSWERED, [b"one", b"two"])))
def test_the_next_life_finds_out_what_came_of_it(
    cluster: Cluster, place: Place, owner: Owner, moment: Moment, there: list[bytes]
) -> None:
    """Opening the lane ends what is open; what was committed, position and all, is seen."""
    clients = clients_of(place, cluster)
    with lost(cluster, clients, moment):
        lane, _ = hand_over(place, owner, clients, b"one", 1)
        with pytest.raises(CommitFailed):
            lane.wait()
        lane.close()
        del lane._producer  # which ends with the process; it would ask again in a moment
    again, done = hand_over(place, owner, clients, b"two", 2)
    again.wait()
    again.close()
    assert done == [2]
    until(lambda: seen(place) == there, f"{len(there)} records")
