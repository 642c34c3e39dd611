"""A member of the group that takes partitions over as a pod does, within the test's own process."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType
from quixstreams.exceptions import PartitionAssignmentError
from quixstreams.kafka import BaseConsumer

from app.engine import admin
from app.engine.clients import Clients
from app.engine.ownership import Ownership, Policy
from app.saga.versions import Versions
from app.wire.topics import STATE, Topics
from tests.devkafka.support import LIMIT, until
from topologies.order import ORDER

POLICY = Policy(Versions((ORDER,)).definitions, step_limit=1000)


class Owner:
    """Joins the group on `start`; errors of taking over are raised as the engine's own."""

    def __init__(self, clients: Clients, topics: Topics, inputs: Sequence[str] = ()) -> None:
        self.clients = clients
        self.topics = topics
        self.consumer = BaseConsumer(
            clients.bootstrap, clients.group, "error", auto_commit_enable=False, extra_config=clients.consumer()
        )
        self.own = Ownership(self.consumer, clients, topics, POLICY)
        self._inputs = list(inputs) or [topics.full(topic) for topic in topics.inputs]
        self.assigned: list[TopicPartition] = []
        self._leaving = False

    def start(self) -> None:
        """Returns when partitions were taken over and restoring began."""
        self.start_joining()
        until(self._joined, "partitions")

    def start_joining(self) -> None:
        """Asks to join; it has joined once somebody polls for as long as it takes."""
        self.consumer._subscribe(self._inputs, self._on_assign, self._let_go, self._let_go)
        self.consumer.poll(0)

    def restored(self) -> None:
        """Returns when everything is restored."""
        while self.own.restoring:
            self.own.go_on_restoring()

    def close(self) -> None:
        """Leaves as a static member does: the group waits for it."""
        self._leaving = True
        self.consumer.poll(0.2)  # as the engine does: closing can hang on an assignment that nobody has taken note of
        self.consumer.close()  # type: ignore[no-untyped-call]

    def _joined(self) -> bool:
        try:
            self.consumer.poll(0.05)
        except PartitionAssignmentError as error:
            raise (error.__cause__ or error) from None
        return bool(self.assigned)

    def _let_go(self, *_: object) -> None:
        self.own.revoked()

    def _on_assign(self, _: object, partitions: list[TopicPartition]) -> None:
        if not self._leaving:
            self.own.assigned(partitions)
            self.assigned = partitions


class Place:
    """Topics of one partition unless said otherwise, and what a test does to them."""

    def __init__(self, bootstrap: str, prefix: str, folder: Path) -> None:
        self.client: dict[str, Any] = {"bootstrap.servers": bootstrap, "log_level": 2}
        self.topics = Topics(ORDER, prefix)
        self.folder = folder
        self.admin = AdminClient(self.client)
        self.group = f"{prefix}saga-orchestrator"

    def full(self, name: str) -> str:
        """A topic's name on the broker."""
        return self.topics.full(name)

    def create(self, partitions: int = 1) -> None:
        """Makes all topics as the product does."""
        admin.create(self.client, self.topics, partitions, 1)
        names = {self.topics.full(topic) for topic in self.topics.all}
        until(lambda: names <= self.admin.list_topics(timeout=LIMIT).topics.keys(), "topics known to the broker")

    def create_one(self, name: str, partitions: int = 1, **config: str) -> None:
        """Makes one topic in another way."""
        settings = {key.replace("_", "."): value for key, value in config.items()}
        self.admin.create_topics([NewTopic(self.full(name), partitions, 1, config=settings)])[self.full(name)].result(
            LIMIT
        )
        until(lambda: self.is_there(name), f"{name} to be known to the broker")

    def delete_one(self, name: str) -> None:
        """Deletes one topic."""
        self.admin.delete_topics([self.full(name)])[self.full(name)].result(LIMIT)
        until(lambda: not self.is_there(name), f"{name} to be forgotten by the broker")

    def is_there(self, name: str) -> bool:
        """Whether the broker knows a topic: it gets to know what the controller did a moment later."""
        return self.full(name) in self.admin.list_topics(timeout=LIMIT).topics

    def alter(self, name: str, key: str, value: str) -> None:
        """Changes one setting of a topic."""
        entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, self.full(name), incremental_configs=[entry])
        self.admin.incremental_alter_configs([resource])[resource].result(LIMIT)
        until(lambda: self.config(name)[key] == value, f"{key}={value}")

    def config(self, name: str) -> dict[str, str]:
        """A topic's settings."""
        resource = ConfigResource(ResourceType.TOPIC, self.full(name))
        return {
            key: entry.value for key, entry in self.admin.describe_configs([resource])[resource].result(LIMIT).items()
        }

    def clients(self, instance: str = "pod", folder: str = "state", transaction_timeout: float = 1.0) -> Clients:
        """The clients of one pod, of little patience."""
        return Clients(
            self.client["bootstrap.servers"],
            self.group,
            instance,
            self.folder / folder,
            session_timeout=6.0,
            transaction_timeout=transaction_timeout,
        )

    @contextmanager
    def owner(self, instance: str = "pod", folder: str = "state", inputs: Sequence[str] = ()) -> Iterator[Owner]:
        """A member of the group that hasn't joined yet."""
        member = Owner(self.clients(instance, folder), self.topics, inputs)
        try:
            yield member
        finally:
            member.close()

    def write(self, name: str, count: int = 1, partition: int = 0) -> None:
        """Writes records that mean nothing, for topics of which only the length counts."""
        producer = Producer(self.client)
        for index in range(count):
            producer.produce(self.full(name), b"{}", b"%d" % index, partition)
        assert producer.flush(LIMIT) == 0

    def write_one(self, name: str, key: bytes, value: bytes) -> None:
        """Writes one record to partition 0."""
        producer = Producer(self.client)
        producer.produce(self.full(name), value, key, 0)
        assert producer.flush(LIMIT) == 0

    def write_large(self, name: str, count: int, size: int, part: str = "value") -> None:
        """Writes records to partition 0 of which one part has that many bytes: value, key or headers."""
        producer, much = Producer({**self.client, "message.max.bytes": 2_000_000}), b"x" * size
        for index in range(count):
            key, value = much if part == "key" else b"%d" % index, much if part == "value" else b""
            headers = [("much", much)] if part == "headers" else []
            producer.produce(self.full(name), value, key, 0, headers=headers)
        assert producer.flush(LIMIT) == 0

    def start_of(self, name: str) -> TopicPartition:
        """The beginning of a topic's partition 0."""
        return TopicPartition(self.full(name), 0, 0)

    def commit(self, **offsets: int) -> None:
        """Commits offsets for the group, which nobody is in; of partition 0, 0 unless given."""
        given = {name.replace("_", "."): offset for name, offset in offsets.items()}
        positions = [TopicPartition(self.full(at.name), 0, given.get(at.name, 0)) for at in self.topics.inputs]
        self.commit_only([position for position in positions if position.offset >= 0])

    def commit_only(self, positions: list[TopicPartition]) -> None:
        """Commits these, and nothing else."""
        consumer = Consumer({**self.client, "group.id": self.group, "enable.auto.commit": False})
        consumer.commit(offsets=positions, asynchronous=False)
        consumer.close()

    def own_once(self) -> None:
        """A first life of a pod: takes over, restores, ends."""
        with self.owner() as first:
            first.start()
            first.restored()

    @property
    def changelog(self) -> str:
        """The changelog's name on the broker."""
        return self.topics.full(STATE)
