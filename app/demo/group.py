"""Watches the orchestrator's consumer group: its lag, and whether a committed offset ever goes back."""

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from app.audit.check import CommittedOffsets
from app.audit.invariants import Violation
from app.audit.recording.group_offsets import GroupOffsets
from app.demo.stage import Stage
from app.kafka_access.retriable import FAST_METADATA

_SECONDS = 10.0


class GroupWatch:
    """`went_back` lists each committed offset lower than one before it: the sign of a zombie, or of lost offsets."""

    def __init__(self, stage: Stage, partitions: int) -> None:
        self._admin = AdminClient({**stage.client, **FAST_METADATA})
        self._topics = stage.topics
        self._inputs = [(topic.name, number) for topic in stage.topics.inputs for number in range(partitions)]
        self._offsets = GroupOffsets(stage.client, stage.topics.prefix, stage.group, stage.terms)
        self._seen = CommittedOffsets()
        self.went_back: list[Violation] = []

    def lag(self) -> int:
        """Committed records of all inputs behind the group's committed offsets. Raises RecordingError."""
        committed = self._offsets.now(_SECONDS)
        self.went_back += self._seen.see(committed)
        ends = self._admin.list_offsets(
            {TopicPartition(self._topics.full(topic), number): OffsetSpec.latest() for topic, number in self._inputs},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=_SECONDS,
        )
        offsets = (end.result().offset for end in ends.values())
        return sum(max(end - committed.get(key, 0), 0) for key, end in zip(self._inputs, offsets, strict=True))

    def close(self) -> None:
        """Closes the clients."""
        self._offsets.close()
