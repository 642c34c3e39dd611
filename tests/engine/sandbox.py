"""Topics, group and state folder of one test on the shared broker, and what a test does to them from outside."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from app.engine.kafka import topics_admin
from app.engine.kafka.client_config import ClientConfig
from app.wire.topics import STATE, Topics
from tests.devkafka.support import LIMIT, until
from tests.engine.group_member import GroupMember
from topologies.order import ORDER


class Sandbox:
    """Topic names are given without prefix. Topics have one partition unless said otherwise.

    None exists before `create` or `create_one`.
    """

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
        """Creates all topics as the product does."""
        topics_admin.create(self.client, self.topics, partitions, 1)
        names = {self.topics.full(topic) for topic in self.topics.all}
        until(lambda: names <= self.admin.list_topics(timeout=LIMIT).topics.keys(), "topics known to the broker")

    def create_one(self, name: str, partitions: int = 1, **config: str) -> None:
        """Creates one topic with other settings; `_` in their names stands for `.`."""
        settings = {key.replace("_", "."): value for key, value in config.items()}
        self.admin.create_topics([NewTopic(self.full(name), partitions, 1, config=settings)])[self.full(name)].result(
            LIMIT
        )
        until(lambda: self.exists(name), f"{name} to be known to the broker")

    def delete_one(self, name: str) -> None:
        """Deletes one topic."""
        self.admin.delete_topics([self.full(name)])[self.full(name)].result(LIMIT)
        until(lambda: not self.exists(name), f"{name} to be forgotten by the broker")

    def exists(self, name: str) -> bool:
        """Whether the broker knows a topic; it learns of the controller's changes a moment later."""
        return self.full(name) in self.admin.list_topics(timeout=LIMIT).topics

    def alter(self, name: str, key: str, value: str) -> None:
        """Changes one setting of a topic."""
        entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, self.full(name), incremental_configs=[entry])
        self.admin.incremental_alter_configs([resource])[resource].result(LIMIT)
        until(lambda: self.config(name)[key] == value, f"{key}={value}")

    def config(self, name: str) -> dict[str, str]:
        """All settings of a topic."""
        resource = ConfigResource(ResourceType.TOPIC, self.full(name))
        return {
            key: entry.value for key, entry in self.admin.describe_configs([resource])[resource].result(LIMIT).items()
        }

    def client_config(
        self, instance: str = "pod", folder: str = "state", transaction_timeout: float = 1.0
    ) -> ClientConfig:
        """The clients of one pod, with short timeouts (seconds)."""
        return ClientConfig(
            self.client["bootstrap.servers"],
            self.group,
            instance,
            self.folder / folder,
            session_timeout=6.0,
            transaction_timeout=transaction_timeout,
        )

    @contextmanager
    def member(self, instance: str = "pod", folder: str = "state", inputs: Sequence[str] = ()) -> Iterator[GroupMember]:
        """A member of the group that has not joined yet; it is closed with the block."""
        member = GroupMember(self.client_config(instance, folder), self.topics, inputs)
        try:
            yield member
        finally:
            member.close()

    def write(self, name: str, count: int = 1, partition: int = 0) -> None:
        """Writes so many records whose content does not matter."""
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
        """Writes records to partition 0 of which one part has `size` bytes: the value, key or headers."""
        producer, padding = Producer({**self.client, "message.max.bytes": 2_000_000}), b"x" * size
        for index in range(count):
            key, value = padding if part == "key" else b"%d" % index, padding if part == "value" else b""
            headers = [("padding", padding)] if part == "headers" else []
            producer.produce(self.full(name), value, key, 0, headers=headers)
        assert producer.flush(LIMIT) == 0

    def start_of(self, name: str) -> TopicPartition:
        """The beginning of a topic's partition 0."""
        return TopicPartition(self.full(name), 0, 0)

    def commit(self, **offsets: int) -> None:
        """Commits offsets of partition 0 of all inputs for the group, which must be empty.

        Names have `_` for `.`; the offset is 0 unless given, and -1 stands for none.
        """
        given = {name.replace("_", "."): offset for name, offset in offsets.items()}
        positions = [TopicPartition(self.full(topic.name), 0, given.get(topic.name, 0)) for topic in self.topics.inputs]
        self.commit_only([position for position in positions if position.offset >= 0])

    def commit_only(self, positions: list[TopicPartition]) -> None:
        """Commits these offsets for the group, which must be empty."""
        consumer = Consumer({**self.client, "group.id": self.group, "enable.auto.commit": False})
        consumer.commit(offsets=positions, asynchronous=False)
        consumer.close()

    def join_once(self) -> None:
        """Runs a member until it has taken over and restored all partitions, then ends it."""
        with self.member() as first:
            first.join()
            first.finish_restore()

    @property
    def changelog(self) -> str:
        """The changelog's name on the broker."""
        return self.topics.full(STATE)
