"""How far a group has read, asked from outside: without joining it."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from app.audit.recording import Place, RecordingError
from app.audit.terms import Terms

ClientConfig = Mapping[str, str | int | float | bool]


def reason(error: KafkaException) -> str:
    """What a client's error says."""
    return str(error.args[0].str())


class GroupOffsets:
    """The group's committed offsets in the input topics; `stable` waits for transactions that are to change them."""

    # Asked by a consumer: librdkafka's admin client crashes the process when a coordinator has moved (its issue 5040).

    def __init__(self, config: ClientConfig, prefix: str, group: str, terms: Terms, *, stable: bool = False) -> None:
        self._group, self._names = group, {prefix + topic: topic for topic in terms.inputs}
        self._places: list[TopicPartition] = []
        isolation = "read_committed" if stable else "read_uncommitted"
        mine = {"group.id": group, "enable.auto.commit": False, "isolation.level": isolation}
        self._consumer = Consumer({**config, **mine})

    def now(self, timeout: float = 10.0) -> dict[Place, int]:
        """Next offsets to be read, by topic without prefix. Raises RecordingError, after `timeout` seconds at most."""
        try:
            return self.ask(timeout)
        except KafkaException as error:
            raise RecordingError(f"The offsets of group {self._group} cannot be read: {reason(error)}.") from error

    def ask(self, timeout: float) -> dict[Place, int]:
        """As `now`, but raises KafkaException."""
        found = self._consumer.committed(self._places or self._look_up(timeout), timeout)
        for error in (place.error for place in found if place.error):
            raise KafkaException(error)
        return {(self._names[place.topic], place.partition): place.offset for place in found if place.offset >= 0}

    def _look_up(self, timeout: float) -> list[TopicPartition]:
        """The partitions of the topics that there are; remembered once there are all."""
        topics = self._consumer.list_topics(timeout=timeout).topics
        known = [name for name in self._names if name in topics]
        places = [TopicPartition(name, number) for name in known for number in topics[name].partitions]
        self._places = places if len(known) == len(self._names) else []
        return places

    def close(self) -> None:
        """Lets go of the connections."""
        self._consumer.close()

    def __enter__(self) -> Self:
        """Closed at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Whatever happened in the block, the connections are let go."""
        self.close()
