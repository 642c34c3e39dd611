"""Watches the orchestrator's group from outside: how far it is behind, and whether its offsets ever go back."""

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from app.audit.group import GroupOffsets
from app.audit.invariants import CommittedOffsets, Violation
from app.demo.stage import Stage
from app.reach.passing import FRESH

_SECONDS = 10.0


class GroupWatch:
    """`went_back`: each time that a committed offset was lower than before, the mark of a zombie or of lost offsets."""

    def __init__(self, stage: Stage, partitions: int) -> None:
        self._admin = AdminClient({**stage.client, **FRESH})
        self._topics = stage.topics
        self._places = [(topic.name, number) for topic in stage.topics.inputs for number in range(partitions)]
        self._offsets = GroupOffsets(stage.client, stage.topics.prefix, stage.group, stage.terms)
        self._seen = CommittedOffsets()
        self.went_back: list[Violation] = []

    def lag(self) -> int:
        """Records that can be read and were not committed as read, over all inputs. Raises RecordingError."""
        committed = self._offsets.now(_SECONDS)
        self.went_back += self._seen.see(committed)
        ends = self._admin.list_offsets(
            {TopicPartition(self._topics.full(topic), number): OffsetSpec.latest() for topic, number in self._places},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=_SECONDS,
        )
        found = (end.result().offset for end in ends.values())
        return sum(max(end - committed.get(place, 0), 0) for place, end in zip(self._places, found, strict=True))

    def close(self) -> None:
        """Ends the watching."""
        self._offsets.close()
