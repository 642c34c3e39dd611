"""Everything that a run left in Kafka, as one value: the records, the committed offsets, and the ends of each log."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.wire.topics import TopicPartitionKey

Coordinates = tuple[str, int, int]
"""A topic without the prefix, a partition and an offset."""

Header = tuple[str, bytes | None]


class RecordingError(Exception):
    """A recording can't be read. The message is one sentence that says what to change."""


@dataclass(frozen=True, slots=True)
class Record:
    """One committed record. `topic` has no prefix; `timestamp_ms` is since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()

    @property
    def coordinates(self) -> Coordinates:
        """Topic, partition and offset."""
        return self.topic, self.partition, self.offset


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets of a partition: the first one that is kept, the last stable offset, and the high watermark.

    The last two are exclusive.
    """

    first: int
    stable: int
    high: int


@dataclass(frozen=True, slots=True)
class Recording:
    """All topics of the contract. Records of one partition are in offset order; topic names have no prefix."""

    prefix: str
    partitions: int
    records: tuple[Record, ...]
    committed: Mapping[TopicPartitionKey, int]
    """The group's next offset to read, for each partition that has a committed offset."""
    spans: Mapping[TopicPartitionKey, Span]
    taken_ms: int = 0
    """When the recording was taken, in ms since 1970; 0 if unknown."""
