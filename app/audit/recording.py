"""What a run left in Kafka, as a value: all records, how far the group had read, and where each log ends."""

from collections.abc import Mapping
from dataclasses import dataclass

Place = tuple[str, int]
"""A topic, without prefix, and a partition."""

Coordinates = tuple[str, int, int]
"""A topic, without prefix, a partition and an offset."""

Header = tuple[str, bytes | None]


class RecordingError(Exception):
    """A recording that cannot be had: one sentence that says what to change."""


@dataclass(frozen=True, slots=True)
class Record:
    """One committed record; the timestamp in ms since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()

    @property
    def coordinates(self) -> Coordinates:
        """Where the record is."""
        return self.topic, self.partition, self.offset


@dataclass(frozen=True, slots=True)
class Span:
    """The offsets of a partition: the first kept; then, exclusive, the last stable one and the high watermark."""

    first: int
    stable: int
    high: int


@dataclass(frozen=True, slots=True)
class Recording:
    """All topics of the contract; records of one partition come in the order of their offsets."""

    prefix: str
    partitions: int
    records: tuple[Record, ...]
    committed: Mapping[Place, int]
    """The group's next offset to read, for the partitions in which it has read."""
    spans: Mapping[Place, Span]
    taken_ms: int = 0
    """When it was taken, in ms since 1970; 0 where nobody knows."""
