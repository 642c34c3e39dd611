"""Commits whose outcome nobody tells: the wish, or the answer to it, gets lost between a lane and its coordinator."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.engine.clients import Clients
from app.engine.lanes import CommitFailed
from tests.devkafka.support import until
from tests.engine.owner import Owner, Place
from tests.faults.cluster import Cluster
from tests.faults.commits import clients_of, hand_over, seen
from tests.faults.frames import Api
from tests.faults.proxy import CALM, Moment, Trap, Weather

pytestmark = pytest.mark.broker
SECONDS = 2.0  # that brokers leave a transaction open


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


@pytest.mark.parametrize("moment", (Moment.ASKED, Moment.ANSWERED))
def test_a_commit_of_unknown_outcome_ends_the_process_and_is_tried_once(
    cluster: Cluster, near: Place, owner: Owner, moment: Moment
) -> None:
    """The client itself would ask again in a moment; the first wish, if only late, could end a later transaction."""
    clients = clients_of(near, cluster, SECONDS)
    with lost(cluster, clients, moment):
        lane, done = hand_over(near, owner, clients, b"one", 1)
        with pytest.raises(CommitFailed, match=r"what came of a commit was not known after 1.8 s"):
            lane.wait()
        with pytest.raises(CommitFailed):
            assert lane.idle
    assert done == []
    assert cluster.network.asked(str(clients.plain()["client.id"]), Api.END_TXN) == 1


@pytest.mark.parametrize(("moment", "there"), ((Moment.ASKED, [b"two"]), (Moment.ANSWERED, [b"one", b"two"])))
def test_the_next_life_finds_out_what_came_of_it(
    cluster: Cluster, near: Place, owner: Owner, moment: Moment, there: list[bytes]
) -> None:
    """Opening the lane ends what is open; what was committed, position and all, is seen."""
    clients = clients_of(near, cluster, SECONDS)
    with lost(cluster, clients, moment):
        lane, _ = hand_over(near, owner, clients, b"one", 1)
        with pytest.raises(CommitFailed):
            lane.wait()
        lane.close()
        del lane._producer  # which ends with the process; it would ask again in a moment
    again, done = hand_over(near, owner, clients, b"two", 2)
    again.wait()
    again.close()
    assert done == [2]
    until(lambda: seen(near) == there, f"{len(there)} records")


@contextmanager
def coordinator_gone(cluster: Cluster, clients: Clients) -> Iterator[None]:
    """The group's coordinator dies as the positions come to it, and doesn't come back in the block."""
    network, client = cluster.network, str(clients.plain()["client.id"])
    gone = Trap(client, Api.TXN_OFFSET_COMMIT, Moment.ASKED, lambda: network.change(Weather(open=False)))
    network.set(gone)
    try:
        yield
        assert gone.sprung.is_set()
    finally:
        network.change(CALM)
        network.take_away(gone)


def test_a_coordinator_that_is_gone_does_not_hold_a_commit_up_for_ever(
    cluster: Cluster, near: Place, owner: Owner
) -> None:
    """The client's own limit is not kept there (its issue 5456): it would wait for as long as the broker is away."""
    clients = clients_of(near, cluster, SECONDS)
    with coordinator_gone(cluster, clients):
        lane, done = hand_over(near, owner, clients, b"one", 1)
        begun = time.monotonic()
        with pytest.raises(CommitFailed, match="what came of a commit was not known"):
            lane.wait()
        assert time.monotonic() - begun < SECONDS + 1
        with pytest.raises(CommitFailed):
            assert lane.idle
    assert done == []
