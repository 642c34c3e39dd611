"""The samples' consumer and producer."""

import time
from collections.abc import Iterable
from typing import Any

from confluent_kafka import Consumer, Producer

from app.kafka_access.first_contact import FirstContact, NoAnswer, Unreachable
from app.ops.errors import CommandFailed
from app.ops.kafka_cluster import KafkaCluster
from app.wire.envelope import Headers

_DELIVERY = 120  # seconds after which a record that no broker acknowledged counts as lost: as in Java clients
_FIRST_ANSWER = 10  # seconds
_NEW_TOPIC = 2  # seconds until every broker knows a topic that was just created


def consumer(cluster: KafkaCluster, group: str, instance: str) -> Consumer:
    """A read_committed consumer without auto-commit; static membership by `instance` brings back its partitions."""
    return Consumer(
        {
            **cluster.client(),
            "group.id": cluster.full(group),
            "group.instance.id": instance,
            "session.timeout.ms": 10_000,
            # Eager: a rebalance first revokes all partitions, so that all replies in the outbox can be dropped.
            "partition.assignment.strategy": "range",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )


class Sender:
    """An idempotent producer that partitions as Java clients do, and raises an error for each record that is lost."""

    def __init__(self, cluster: KafkaCluster) -> None:
        self._cluster = cluster
        self._failed: Any = None
        self._producer = Producer(
            {
                **cluster.client(),
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 0,
                # With more in flight, a producer's second record can overtake its first on a partition whose leader
                # isn't ready yet: the broker then takes the first for a duplicate, and it is lost without an error.
                "max.in.flight.requests.per.connection": 1,
                "compression.type": "lz4",
                "delivery.timeout.ms": _DELIVERY * 1000,
            }
        )

    def require(self, *topics: str) -> None:
        """Raises CommandFailed when no broker answers, or when topics (named without prefix) are missing."""
        deadline = time.monotonic() + _NEW_TOPIC
        contact = FirstContact(self._cluster.client())
        while missing := _missing(contact, self._cluster, topics):
            if time.monotonic() > deadline:
                at = f"Kafka at {self._cluster.bootstrap} has no topic {', '.join(missing)}"
                raise CommandFailed(f"{at}: create it first, or set another --prefix")
            time.sleep(0.1)

    def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Queues one record, its topic named without prefix; waits only while the client's queue is full."""
        while True:
            try:
                self._producer.produce(
                    self._cluster.full(topic), value, key, on_delivery=self._note, headers=list(headers)
                )
                break
            except BufferError:  # the client's queue is full
                self._producer.poll(0.1)
        self._producer.poll(0)
        self._check()

    def flush(self) -> None:
        """Waits until all records are delivered. Raises CommandFailed when one was not."""
        left = self._producer.flush(_DELIVERY + 5)
        self._check()
        if left:
            raise CommandFailed(f"{left} records were not delivered to {self._cluster.bootstrap} within {_DELIVERY} s")

    def _note(self, error: Any, _message: Any) -> None:
        self._failed = self._failed or error

    def _check(self) -> None:
        if self._failed is not None:
            raise CommandFailed(f"a record could not be delivered to {self._cluster.bootstrap}: {self._failed.str()}")


def _missing(contact: FirstContact, cluster: KafkaCluster, topics: Iterable[str]) -> list[str]:
    try:
        existing = contact.first_answer(_FIRST_ANSWER, local=cluster.security.local).topics
    except NoAnswer as error:
        raise CommandFailed(
            f"no Kafka answers at {cluster.bootstrap}: start one there, or set another with --bootstrap"
        ) from error
    except Unreachable as error:
        raise CommandFailed(str(error)) from error
    return sorted({cluster.full(name) for name in topics} - existing.keys())
