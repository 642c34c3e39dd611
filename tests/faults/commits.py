"""Single transactions of a TransactionalProducer that is connected through the proxy."""

from confluent_kafka import TopicPartition

from app.engine.kafka.client_config import ClientConfig
from app.engine.kafka.transactions import TransactionalProducer
from tests.broker.pods import read_committed
from tests.engine.group_member import GroupMember
from tests.engine.sandbox import Sandbox
from tests.faults.cluster import Cluster


def clients_of(sandbox: Sandbox, cluster: Cluster, transaction_timeout: float) -> ClientConfig:
    """Settings of a pod's clients that connect through the proxy."""
    return ClientConfig(
        cluster.network.bootstrap, sandbox.group, "pod", sandbox.folder, transaction_timeout=transaction_timeout
    )


def start_commit(
    sandbox: Sandbox,
    member: GroupMember,
    clients: ClientConfig,
    value: bytes | None,
    position: int,
    begun: TransactionalProducer | None = None,
) -> tuple[TransactionalProducer, list[int]]:
    """Starts the commit of one record and a position, without waiting; `begun` has an open transaction already.

    Returns the producer, and a list that gets the position when the commit is done.
    """
    producer = begun or TransactionalProducer(clients.producers()[0], 20.0, sandbox.full("saga.state"))
    done = list[int]()
    if begun is None:
        producer.init_transactions()
        producer.begin()
    if value is not None:
        producer.produce(sandbox.full("saga.events"), b"k", value, (), 0)
    inputs = TopicPartition(sandbox.full("order.requests"), 0, position)
    producer.commit([inputs], member.assigned.group, lambda: done.append(position))
    return producer, done


def committed_values(sandbox: Sandbox) -> list[bytes]:
    """The values that a read_committed consumer sees in the events topic."""
    return [message.value() or b"" for message in read_committed(sandbox.client, sandbox.start_of("saga.events"))]
