"""Reads dead letters: all that match filters, or those at known positions."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka.admin import OffsetSpec

from app.operators.brokers import FIRST_ANSWER, Brokers, Deadline
from app.operators.dead_letters.letter import DeadLetter, Position, letter_of
from app.operators.dead_letters.selection import Filters
from app.operators.log_reader import LogReader, Span
from app.ops.errors import CommandFailed
from app.ops.kafka_cluster import KafkaCluster
from app.wire.topics import DEAD_LETTERS, TopicPartitionKey

_BATCH = 20  # records of up to half a mebibyte each
_NARROW_MS = 3_600_000  # the clocks of pods may differ, so reading begins so long before `since`


@dataclass(frozen=True, slots=True)
class Found:
    """Dead letters in the order of their time, how many match in all, and partitions not read to their end."""

    letters: list[DeadLetter]
    matched: int
    unread: list[int]


class _Newest:
    """Keeps the `most` dead letters with the latest times."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[tuple[int, int, int], DeadLetter]] = []
        self.matched = 0

    def add(self, letter: DeadLetter) -> None:
        """Adds one, and drops the oldest if there are too many."""
        self.matched += 1
        entry = _order(letter), letter
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def in_order(self) -> list[DeadLetter]:
        """The kept ones, the oldest first."""
        return [letter for _, letter in sorted(self._heap)]


def _order(letter: DeadLetter) -> tuple[int, int, int]:
    return letter.timestamp_ms, letter.position.partition, letter.position.offset


def matching(cluster: KafkaCluster, filters: Filters, most: int, patience: float, *, values: bool) -> Found:
    """The newest dead letters that match, `most` at most; without `values` their values are dropped at once."""
    newest = _Newest(most)

    def take(message: Any) -> None:
        letter = letter_of(message)
        if filters.match(letter):
            newest.add(letter if values else letter.without_value())

    spans = _spans(Brokers(cluster, Deadline(min(patience, FIRST_ANSWER))), filters.since_ms)
    unread = LogReader(cluster, take, patience, batch=_BATCH).read(spans)
    return Found(newest.in_order(), newest.matched, [number for _, number in unread])


def _spans(brokers: Brokers, since_ms: int | None) -> dict[TopicPartitionKey, Span]:
    """All of the topic; with `since_ms`, from the first record that may be so late."""
    ends = brokers.ends([DEAD_LETTERS], range(brokers.partitions(DEAD_LETTERS)))
    spec = OffsetSpec.earliest() if since_ms is None else OffsetSpec.for_timestamp(max(0, since_ms - _NARROW_MS))
    starts = brokers.offsets(dict.fromkeys(ends, spec))
    return {key: (start if start >= 0 else ends[key], ends[key]) for key, start in starts.items()}


def at(cluster: KafkaCluster, positions: Sequence[Position], patience: float) -> list[DeadLetter]:
    """The dead letters at these positions. Raises CommandFailed when there is none at one of them."""
    found: dict[Position, DeadLetter] = {}
    wanted = set(positions)

    def take(message: Any) -> None:
        position = Position(message.partition(), message.offset())
        if position in wanted:
            found[position] = letter_of(message)

    brokers = Brokers(cluster, Deadline(min(patience, FIRST_ANSWER)))
    ends = brokers.ends([DEAD_LETTERS], range(brokers.partitions(DEAD_LETTERS)))
    log = LogReader(cluster, take, patience, batch=_BATCH)
    topic = cluster.full(DEAD_LETTERS.name)
    for span in _around(topic, (each for each in wanted if each.offset < ends.get((topic, each.partition), 0))):
        log.read(span)
    missing = [position for position in positions if position not in found]
    if missing:
        names = ", ".join(map(str, missing))
        raise CommandFailed(f"there is no committed dead letter at {names}: see `saga dead-letters list`")
    return [found[position] for position in dict.fromkeys(positions)]


def _around(topic: str, positions: Iterable[Position]) -> Iterable[dict[TopicPartitionKey, Span]]:
    """Spans of one record each, as many at once as there are partitions with another position."""
    by_partition: dict[int, list[int]] = defaultdict(list)
    for position in positions:
        by_partition[position.partition].append(position.offset)
    while by_partition:
        yield {(topic, number): (offset, offset + 1) for number, offset in _next(by_partition)}


def _next(by_partition: dict[int, list[int]]) -> list[tuple[int, int]]:
    taken = [(number, offsets.pop()) for number, offsets in by_partition.items()]
    for number, _ in taken:
        if not by_partition[number]:
            del by_partition[number]
    return taken
