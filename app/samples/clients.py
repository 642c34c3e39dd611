"""Kafka clients as the samples use them, and a check that there is something to talk to."""

import time
from collections.abc import Iterable
from typing import Any

from confluent_kafka import Consumer, Producer

from app.ops.site import Site
from app.reach.contact import Contact, Silent, Unanswered
from app.samples.trouble import Trouble
from app.wire.envelope import Headers

_DELIVERY = 120  # seconds after which a record that no broker took counts as lost: as long as Java clients wait
_FIRST_ANSWER = 10  # seconds
_NEW_TOPIC = 2  # seconds that a broker may take to know a topic that was just created


def consumer(site: Site, group: str, instance: str) -> Consumer:
    """Reads committed records, never commits by itself, and is known again after a crash by its instance's name."""
    return Consumer(
        {
            **site.client(),
            "group.id": site.full(group),
            "group.instance.id": instance,
            "session.timeout.ms": 10_000,
            # Eager: in a rebalance all partitions are given away first, and what is under way can be forgotten.
            "partition.assignment.strategy": "range",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )


class Sender:
    """An idempotent producer which chooses partitions as Java clients do, and lets no lost record pass in silence."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._failed: Any = None
        self._producer = Producer(
            {
                **site.client(),
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 0,
                # With more in flight, a producer's first record on a partition whose leader isn't ready yet can be
                # overtaken by its second: the first is then taken for a duplicate, and is lost in silence.
                "max.in.flight.requests.per.connection": 1,
                "compression.type": "lz4",
                "delivery.timeout.ms": _DELIVERY * 1000,
            }
        )

    def require(self, *topics: str) -> None:
        """Raises Trouble when no broker answers, or when topics (without prefix) are missing."""
        deadline = time.monotonic() + _NEW_TOPIC
        contact = Contact(self._site.client())
        while missing := _missing(contact, self._site, topics):
            if time.monotonic() > deadline:
                there = f"Kafka at {self._site.bootstrap} has no topic {', '.join(missing)}"
                raise Trouble(f"{there}: create it first, or set another --prefix")
            time.sleep(0.1)

    def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Hands over one record, topic without prefix; waits only when too many are under way."""
        while True:
            try:
                self._producer.produce(
                    self._site.full(topic), value, key, on_delivery=self._note, headers=list(headers)
                )
                break
            except BufferError:  # the client's queue is full: what is in it is being sent
                self._producer.poll(0.1)
        self._producer.poll(0)
        self._check()

    def flush(self) -> None:
        """Waits until all is delivered. Raises Trouble when something wasn't."""
        left = self._producer.flush(_DELIVERY + 5)
        self._check()
        if left:
            raise Trouble(f"{left} records were not taken by {self._site.bootstrap} in {_DELIVERY} s")

    def _note(self, error: Any, _message: Any) -> None:
        self._failed = self._failed or error

    def _check(self) -> None:
        if self._failed is not None:
            raise Trouble(f"a record could not be delivered to {self._site.bootstrap}: {self._failed.str()}")


def _missing(contact: Contact, site: Site, topics: Iterable[str]) -> list[str]:
    try:
        there = contact.first_answer(_FIRST_ANSWER, local=site.access.local).topics
    except Silent as error:
        raise Trouble(
            f"no Kafka answers at {site.bootstrap}: start one there, or set another with --bootstrap"
        ) from error
    except Unanswered as error:
        raise Trouble(str(error)) from error
    return sorted({site.full(name) for name in topics} - there.keys())
