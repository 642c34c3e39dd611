"""One orchestrator on the real broker: its topics, its pods as processes, and records written and read by a test."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from confluent_kafka import Consumer, IsolationLevel, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from app.demo.children import Child, Children
from app.engine.kafka import topics_admin
from app.wire.envelope import Headers
from app.wire.topics import Topics
from tests.devkafka.support import LIMIT, until
from topologies.__main__ import SAGAS

SAGA = (sys.executable, "-m", "topologies")
QUICK = {"SAGA_SESSION_TIMEOUT": "6", "SAGA_TRANSACTION_TIMEOUT": "3"}  # partitions move quickly when a pod dies
LINES = [{"sku": "A", "quantity": 1, "unit_price": {"currency": "EUR", "minor": 100}}]


@dataclass(frozen=True, slots=True)
class Site:
    """Topics under a prefix, and the processes that use them."""

    client: dict[str, Any]
    topics: Topics
    children: Children
    producer: Producer

    @property
    def group(self) -> str:
        """The orchestrator's consumer group."""
        return self.topics.full("saga-orchestrator")

    @property
    def admin(self) -> AdminClient:
        """A new admin client."""
        return AdminClient(self.client)

    def pod(self, name: str = "pod", **settings: object) -> Child:
        """A pod that is not started yet: call `start`, `await_ready`, `stop` (SIGTERM) or `kill` on it."""
        given = {f"SAGA_{key.upper()}": str(value) for key, value in settings.items()}
        return self.children.pod(SAGA, name, {**QUICK, **given})

    def running(self, name: str = "pod", **settings: object) -> Child:
        """Starts a pod, and waits until it owns partitions and has restored them."""
        pod = self.pod(name, **settings)
        pod.start()
        pod.await_ready()
        return pod

    def send(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = (), partition: int = 0
    ) -> int:
        """Writes one record to a topic (without prefix); returns its offset."""
        offsets: list[int] = []
        self.producer.produce(
            self.topics.full(topic),
            value,
            key,
            partition,
            headers=list(headers),
            on_delivery=lambda error, message: offsets.append(-1 if error else message.offset()),
        )
        self.producer.flush(LIMIT)
        assert len(offsets) == 1, "the record was not delivered"
        assert offsets[0] >= 0, "the broker did not take the record"
        return offsets[0]

    def place(self, order_id: str, partition: int = 0) -> int:
        """Places a small order; returns the record's offset."""
        return self.send(
            "order.requests", order_id.encode(), placed(order_id), said("order.place", order_id), partition
        )

    def answer(self, topic: str, type: str, order_id: str, command: str, **fields: object) -> int:
        """Writes a reply to a command; returns the record's offset."""
        value = orjson.dumps({"order_id": order_id, **fields})
        headers = (*said(type, f"{command}:answer"), ("ce_causationid", command.encode()))
        return self.send(topic, order_id.encode(), value, headers)

    def read(self, topic: str, partition: int = 0) -> list[Message]:
        """All committed records of a partition of a topic (without prefix)."""
        return read_committed(self.client, TopicPartition(self.topics.full(topic), partition, 0))

    def decisions(self, partition: int = 0) -> list[dict[str, Any]]:
        """The decisions of a partition, in log order."""
        return [orjson.loads(message.value()) for message in self.read("saga.events", partition)]

    def decided(self, saga_id: str) -> list[str]:
        """The types of a saga's events so far, in order; partition 0."""
        mine = [decision for decision in self.decisions() if decision["saga_id"] == saga_id]
        return [event["type"] for decision in mine for event in decision["events"]]

    def await_events(self, saga_id: str, last: str) -> list[str]:
        """Waits until the last event of a saga is of this type; returns the types of all its events."""
        until(lambda: self.decided(saga_id)[-1:] == [last], f"{saga_id} to end with {last}")
        return self.decided(saga_id)

    def ends(self, topic: str, isolation: IsolationLevel = IsolationLevel.READ_COMMITTED) -> int:
        """The end offset of partition 0 of a topic (without prefix)."""
        partition = TopicPartition(self.topics.full(topic), 0)
        admin = self.admin  # a client that nothing refers to never answers
        found = admin.list_offsets({partition: OffsetSpec.latest()}, isolation_level=isolation)
        return int(found[partition].result(LIMIT).offset)

    def committed(self, topic: str, partition: int = 0) -> int:
        """The group's committed offset for a topic (without prefix); waits for open transactions to end."""
        reader = Consumer({**self.client, "group.id": self.group, "isolation.level": "read_committed"})
        try:
            return int(reader.committed([TopicPartition(self.topics.full(topic), partition)], LIMIT)[0].offset)
        finally:
            reader.close()


@contextmanager
def site(bootstrap: str, prefix: str, folder: Path, partitions: int = 1, definition: str = "order") -> Iterator[Site]:
    """Creates the topics; ends all processes when the block ends."""
    client = {"bootstrap.servers": bootstrap, "log_level": 2}
    topics = Topics(SAGAS[definition], prefix)
    topics_admin.create(client, topics, partitions, 1)
    environment = {"SAGA_KAFKA_BOOTSTRAP": bootstrap, "SAGA_TOPIC_PREFIX": prefix, "SAGA_DEFINITION": definition}
    with Children(folder, environment) as children:
        yield Site(client, topics, children, Producer({**client, "message.max.bytes": 10_000_000, "linger.ms": 0}))


def placed(order_id: str) -> bytes:
    """The value of a record that places a small order."""
    total = {"currency": "EUR", "minor": 100}
    return orjson.dumps({"order_id": order_id, "customer_id": "c", "total": total, "lines": LINES})


def said(type: str, id: str) -> list[tuple[str, bytes | None]]:
    """The CloudEvents headers of a record."""
    return [("ce_specversion", b"1.0"), ("ce_id", id.encode()), ("ce_type", type.encode()), ("ce_source", b"/test")]


def read_committed(client: dict[str, Any], start: TopicPartition) -> list[Message]:
    """All committed records of one partition, from an offset on."""
    settings = {"group.id": "unused", "isolation.level": "read_committed", "enable.partition.eof": True}
    reader = Consumer({**client, **settings, "enable.auto.commit": False, "fetch.wait.max.ms": 20})
    try:
        reader.assign([start])
        return _read_to_end(reader)
    finally:
        reader.close()


def _read_to_end(reader: Consumer) -> list[Message]:
    found: list[Message] = []
    while True:
        message = reader.poll(LIMIT)
        assert message is not None, "the end was not reached"
        error = message.error()
        if error is None:
            found.append(message)
        elif error.code() == KafkaError._PARTITION_EOF:
            return found
        else:
            raise AssertionError(error.str())
