"""Transactions of a lane behind the network, handed over one by one."""

from confluent_kafka import TopicPartition

from app.engine.clients import Clients
from app.engine.lanes import Lane
from tests.broker.pods import read_committed
from tests.engine.owner import Owner, Place
from tests.faults.cluster import Cluster


def clients_of(place: Place, cluster: Cluster, transaction_timeout: float) -> Clients:
    """Those of a pod behind the network."""
    return Clients(cluster.network.bootstrap, place.group, "pod", place.folder, transaction_timeout=transaction_timeout)


def hand_over(
    place: Place, owner: Owner, clients: Clients, value: bytes | None, position: int, there: Lane | None = None
) -> tuple[Lane, list[int]]:
    """Commits, without waiting, a transaction with one record, or what a lane has begun; what is done is noted."""
    lane, done = there or Lane(clients.lanes()[0], 20.0, place.full("saga.state")), list[int]()
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
