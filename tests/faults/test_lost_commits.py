"""Commits of unknown outcome: an EndTxn request, or its response, is lost between a producer and its coordinator."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.engine.kafka.client_config import ClientConfig
from app.engine.kafka.transactions import CommitFailed
from tests.devkafka.support import until
from tests.engine.group_member import GroupMember
from tests.engine.sandbox import Sandbox
from tests.faults.cluster import Cluster
from tests.faults.commits import clients_of, committed_values, start_commit
from tests.faults.kafka_protocol import Api
from tests.faults.proxy import HEALTHY, Link, Moment, Trap

pytestmark = pytest.mark.broker
SECONDS = 2.0  # transaction time-out


@contextmanager
def lost(cluster: Cluster, clients: ClientConfig, moment: Moment) -> Iterator[None]:
    """Loses the next EndTxn request or response of these clients."""
    client = str(clients.common()["client.id"])
    trap = cluster.network.add(Trap(client, Api.END_TXN, moment, lambda: None))
    try:
        yield
        assert trap.triggered.is_set()
    finally:
        cluster.network.remove(trap)


@pytest.mark.parametrize("moment", (Moment.REQUEST_RECEIVED, Moment.RESPONSE_RECEIVED))
def test_a_commit_of_unknown_outcome_stops_the_process_and_is_not_retried(
    cluster: Cluster, direct: Sandbox, member: GroupMember, moment: Moment
) -> None:
    """The client itself would soon retry; the first request, if it is only late, could then end a later transaction."""
    clients = clients_of(direct, cluster, SECONDS)
    with lost(cluster, clients, moment):
        producer, done = start_commit(direct, member, clients, b"one", 1)
        with pytest.raises(CommitFailed, match=r"the outcome of a commit is unknown after 1.8 s"):
            producer.wait()
        with pytest.raises(CommitFailed):
            assert producer.idle
    assert done == []
    assert cluster.network.requests(str(clients.common()["client.id"]), Api.END_TXN) == 1


@pytest.mark.parametrize(
    ("moment", "expected"), ((Moment.REQUEST_RECEIVED, [b"two"]), (Moment.RESPONSE_RECEIVED, [b"one", b"two"]))
)
def test_the_next_start_resolves_an_unknown_outcome(
    cluster: Cluster, direct: Sandbox, member: GroupMember, moment: Moment, expected: list[bytes]
) -> None:
    """init_transactions ends an open transaction; a committed one is visible, with its position."""
    clients = clients_of(direct, cluster, SECONDS)
    with lost(cluster, clients, moment):
        producer, _ = start_commit(direct, member, clients, b"one", 1)
        with pytest.raises(CommitFailed):
            producer.wait()
        producer.close()
        del producer._producer  # it ends with the process; if alive, it would soon retry
    again, done = start_commit(direct, member, clients, b"two", 2)
    again.wait()
    again.close()
    assert done == [2]
    until(lambda: committed_values(direct) == expected, f"{len(expected)} records")


@contextmanager
def unreachable_coordinator(cluster: Cluster, clients: ClientConfig) -> Iterator[None]:
    """The group coordinator becomes unreachable as positions are sent to it, and stays so for the block."""
    network, client = cluster.network, str(clients.common()["client.id"])
    gone = Trap(client, Api.TXN_OFFSET_COMMIT, Moment.REQUEST_RECEIVED, lambda: network.change(Link(open=False)))
    network.add(gone)
    try:
        yield
        assert gone.triggered.is_set()
    finally:
        network.change(HEALTHY)
        network.remove(gone)


def test_a_missing_group_coordinator_does_not_block_a_commit_for_ever(
    cluster: Cluster, direct: Sandbox, member: GroupMember
) -> None:
    """The client ignores its own time-out there (its issue 5456): it would wait for as long as the broker is down."""
    clients = clients_of(direct, cluster, SECONDS)
    with unreachable_coordinator(cluster, clients):
        producer, done = start_commit(direct, member, clients, b"one", 1)
        begun = time.monotonic()
        with pytest.raises(CommitFailed, match="the outcome of a commit is unknown"):
            producer.wait()
        assert time.monotonic() - begun < SECONDS + 1
        with pytest.raises(CommitFailed):
            assert producer.idle
    assert done == []
