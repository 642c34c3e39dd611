"""The committed offsets of a consumer group, read without joining the group."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from app.audit.recording.recording import RecordingError
from app.audit.spec import SagaSpec
from app.wire.topics import TopicPartitionKey

ClientConfig = Mapping[str, str | int | float | bool]


def reason(error: KafkaException) -> str:
    """The sentence in a client's error."""
    return str(error.args[0].str())


class GroupOffsets:
    """The group's committed offsets in the input topics. `stable` waits for pending transactional offsets."""

    # A consumer asks: librdkafka's admin client crashes the process when a coordinator has moved (its issue 5040).

    def __init__(self, config: ClientConfig, prefix: str, group: str, spec: SagaSpec, *, stable: bool = False) -> None:
        self._group, self._names = group, {prefix + topic: topic for topic in spec.inputs}
        self._partitions: list[TopicPartition] = []
        isolation = "read_committed" if stable else "read_uncommitted"
        own = {"group.id": group, "enable.auto.commit": False, "isolation.level": isolation}
        self._consumer = Consumer({**config, **own})

    def now(self, timeout: float = 10.0) -> dict[TopicPartitionKey, int]:
        """The next offset to read per partition, topics without prefix. `timeout` in seconds. Raises RecordingError."""
        try:
            return self.fetch(timeout)
        except KafkaException as error:
            raise RecordingError(f"The offsets of group {self._group} cannot be read: {reason(error)}.") from error

    def fetch(self, timeout: float) -> dict[TopicPartitionKey, int]:
        """Like `now`, but raises KafkaException."""
        found = self._consumer.committed(self._partitions or self._look_up(timeout), timeout)
        for error in (partition.error for partition in found if partition.error):
            raise KafkaException(error)
        return {(self._names[one.topic], one.partition): one.offset for one in found if one.offset >= 0}

    def _look_up(self, timeout: float) -> list[TopicPartition]:
        """The partitions of the input topics that exist; cached once all topics exist."""
        topics = self._consumer.list_topics(timeout=timeout).topics
        known = [name for name in self._names if name in topics]
        partitions = [TopicPartition(name, number) for name in known for number in topics[name].partitions]
        self._partitions = partitions if len(known) == len(self._names) else []
        return partitions

    def close(self) -> None:
        """Closes the connections."""
        self._consumer.close()

    def __enter__(self) -> Self:
        """Returns itself; the end of the block closes it."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Closes the connections, also after an error."""
        self.close()
