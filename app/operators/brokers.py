"""Questions to the brokers about topics, offsets and groups, asked within a deadline."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import (
    ClusterMetadata,
    ConsumerGroupDescription,
    DescribeClusterResult,
    ListOffsetsResultInfo,
    OffsetSpec,
)

from app.kafka_access.first_contact import FirstContact, NoAnswer, Unreachable
from app.kafka_access.retriable import retry_while
from app.ops.errors import CommandFailed
from app.ops.kafka_cluster import KafkaCluster
from app.wire.topics import Topic, TopicPartitionKey

T = TypeVar("T")

FIRST_ANSWER = 10.0  # seconds until some broker must have answered
_LEAST_SECONDS = 0.1  # for a request, also when the deadline has passed


class Deadline:
    """A point in time, `seconds` from its construction."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self, at_most: float = float("inf")) -> float:
        """Seconds until the deadline, 0.0 when it has passed; never more than `at_most`."""
        return max(0.0, min(at_most, self._end - time.monotonic()))


def reader(cluster: KafkaCluster, **more: Any) -> dict[str, Any]:
    """The configuration of a read_committed consumer that assigns itself partitions and joins no group."""
    return cluster.client(
        **{
            "group.id": cluster.full("saga-operators"),  # librdkafka requires one
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            **more,
        }
    )


class Brokers:
    """Requests, repeated until the deadline. Raises CommandFailed when it passes, or when topics are missing."""

    def __init__(self, cluster: KafkaCluster, deadline: Deadline) -> None:
        self._cluster = cluster
        self._deadline = deadline
        self._contact = _contact(cluster)
        self._admin = self._contact.admin

    def partitions(self, *topics: Topic) -> int:
        """The number of partitions that every one of the topics has; CommandFailed when they differ."""
        names = [self._cluster.full(topic.name) for topic in topics]
        existing = self._until_deadline(lambda: self._existing(names))
        counts = {name: len(existing[name].partitions) for name in names}
        if len(set(counts.values())) > 1:
            listed = ", ".join(f"{name} {count}" for name, count in counts.items())
            raise CommandFailed(
                f"all topics need the same number of partitions, but have: {listed}; set another --prefix"
            )
        return counts[names[0]]

    def ends(self, topics: Iterable[Topic], numbers: Iterable[int]) -> dict[TopicPartitionKey, int]:
        """The high watermark of these partitions of each topic: the offset after the last record, committed or not."""
        numbers = list(numbers)
        keys = [(self._cluster.full(topic.name), number) for topic in topics for number in numbers]
        return self.offsets(dict.fromkeys(keys, OffsetSpec.latest()))

    def offsets(
        self, specs: Mapping[TopicPartitionKey, OffsetSpec], *, committed: bool = False
    ) -> dict[TopicPartitionKey, int]:
        """The offset of each partition that its spec asks for; `committed` makes the latest the last stable offset."""
        return {key: found.offset for key, found in self.positions(specs, committed=committed).items()}

    def positions(
        self, specs: Mapping[TopicPartitionKey, OffsetSpec], *, committed: bool = False
    ) -> dict[TopicPartitionKey, ListOffsetsResultInfo]:
        """As `offsets`, each with the timestamp of its record (ms since 1970), if the spec leads to a record."""
        isolation = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED

        def ask() -> dict[TopicPartitionKey, ListOffsetsResultInfo]:
            found = self._admin.list_offsets(
                {TopicPartition(*key): spec for key, spec in specs.items()},
                isolation_level=isolation,
                request_timeout=self._request_seconds(),
            )
            return {(each.topic, each.partition): future.result() for each, future in found.items()}

        return self._until_deadline(ask) if specs else {}

    def committed(self, group: str, keys: Iterable[TopicPartitionKey]) -> dict[TopicPartitionKey, int]:
        """The offsets that a group has committed; partitions without one are left out."""
        asked = ConsumerGroupTopicPartitions(group, [TopicPartition(*key) for key in keys])

        def ask() -> dict[TopicPartitionKey, int]:
            futures = self._admin.list_consumer_group_offsets([asked], request_timeout=self._request_seconds())
            found = futures[group].result().topic_partitions
            return {(each.topic, each.partition): each.offset for each in found if each.offset >= 0}

        return self._until_deadline(ask)

    def group(self, name: str) -> ConsumerGroupDescription:
        """A consumer group with its members; the state of one that doesn't exist is DEAD."""

        def ask() -> ConsumerGroupDescription:
            futures = self._admin.describe_consumer_groups([name], request_timeout=self._request_seconds())
            try:
                return futures[name].result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                    raise
            return ConsumerGroupDescription(name, True, [], None, ConsumerGroupState.DEAD, None)

        return self._until_deadline(ask)

    def cluster(self) -> DescribeClusterResult:
        """The cluster's id, its controller and its brokers."""
        return self._until_deadline(
            lambda: self._admin.describe_cluster(request_timeout=self._request_seconds()).result()
        )

    def metadata(self) -> ClusterMetadata:
        """The first answer of a broker: all topics that this user may see, with the replicas of their partitions."""
        try:
            return self._contact.first_answer(self._request_seconds(), local=self._cluster.security.local)
        except NoAnswer as error:
            raise self._no_answer() from error
        except Unreachable as error:
            raise CommandFailed(str(error)) from error

    def _existing(self, names: list[str]) -> dict[str, Any]:
        existing: dict[str, Any] = self.metadata().topics
        missing = [name for name in names if name not in existing or not existing[name].partitions]
        if missing:
            # Brokers that ask who it is hide topics from users without a permission on them.
            hidden = " that this user may see" if self._cluster.security.settings.get("sasl.mechanism") else ""
            at = f"Kafka at {self._cluster.bootstrap} has no topic {', '.join(missing)}{hidden}"
            raise CommandFailed(f"{at}: create it first, or set another --prefix")
        return existing

    def _until_deadline(self, ask: Callable[[], T]) -> T:
        try:
            return retry_while(ask, self._deadline.left)
        except KafkaException as error:
            raise self._failed(error) from error

    def _request_seconds(self) -> float:
        return max(_LEAST_SECONDS, self._deadline.left(FIRST_ANSWER))

    def _failed(self, error: KafkaException) -> CommandFailed:
        if error.args[0].code() in (KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN):
            return self._no_answer()
        return CommandFailed(f"Kafka at {self._cluster.bootstrap} refuses: {error.args[0].str()}")

    def _no_answer(self) -> CommandFailed:
        return CommandFailed(
            f"no Kafka answers at {self._cluster.bootstrap}: start one there, or set another with --bootstrap"
        )


def _contact(cluster: KafkaCluster) -> FirstContact:
    try:
        return FirstContact(cluster.client())
    except Unreachable as error:
        raise CommandFailed(str(error)) from error
