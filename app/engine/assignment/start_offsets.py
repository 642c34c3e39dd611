"""Start offsets: the bounds of partitions, and whether it is safe to go on from what the group committed."""

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from app.engine.errors import UnsafeStart
from app.kafka_access.retriable import retry_while
from app.wire.topics import TopicPartitionKey

log = logging.getLogger(__name__)

NONE_COMMITTED = -1001
_PROPAGATION_SECONDS = 2.0  # until every broker knows a topic that was just created
_METADATA_PREFIX = "saga of "
_METADATA = re.compile(_METADATA_PREFIX + r"(?P<partitions>\d+) partitions, state in (?P<id>.+)")
Bounds = dict[TopicPartitionKey, tuple[int, int]]
Answer = TypeVar("Answer")


def log_bounds(admin: AdminClient, partitions: Iterable[TopicPartitionKey], timeout: float) -> Bounds:
    """The first offset and the high watermark of each partition; records of open transactions count."""
    wanted = [TopicPartition(topic, number) for topic, number in partitions]
    if not wanted:
        return {}
    list_offsets = partial(admin.list_offsets, request_timeout=timeout)

    def ask() -> Bounds:
        first = list_offsets(dict.fromkeys(wanted, OffsetSpec.earliest()))
        end = list_offsets(dict.fromkeys(wanted, OffsetSpec.latest()), isolation_level=IsolationLevel.READ_UNCOMMITTED)
        return {(tp.topic, tp.partition): (first[tp].result().offset, end[tp].result().offset) for tp in wanted}

    return _retry_without_leader(ask, timeout)


def _retry_without_leader(ask: Callable[[], Answer], timeout: float) -> Answer:
    """Asks again while a partition has no leader, as for a moment after its creation or a broker's failure."""
    end = time.monotonic() + timeout
    return retry_while(ask, lambda: end - time.monotonic())


def partition_count(admin: AdminClient, topics: Iterable[str], timeout: float) -> int:
    """The partition count shared by all topics. Raises UnsafeStart if they differ, KafkaException if one is unknown."""

    def ask() -> dict[str, int]:
        found = admin.list_topics(timeout=timeout).topics
        for topic in topics:
            if topic not in found:
                raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, f"{topic} is missing"))
        return {topic: len(found[topic].partitions) for topic in topics}

    counts = _retry_without_leader(ask, _PROPAGATION_SECONDS)
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{topic} {count}" for topic, count in sorted(counts.items()))
        raise UnsafeStart(f"all topics need the same number of partitions, fixed for life, but have: {listed}")
    return counts.popitem()[1]


@dataclass(frozen=True, slots=True)
class CommitMetadata:
    """Committed beside each offset: it marks the offset as written by this application, and says which topics it was
    committed for."""

    partitions: int
    changelog_id: str

    def __str__(self) -> str:
        """The text on Kafka; it must not change."""
        return f"{_METADATA_PREFIX}{self.partitions} partitions, state in {self.changelog_id}"


def check_commit_metadata(found: Iterable[TopicPartition], expected: CommitMetadata, changelog: str) -> None:
    """Logs offsets that something else committed. Raises UnsafeStart unless the topics are those of the last commit."""
    for tp in found:
        match = _METADATA.fullmatch(tp.metadata or "")
        if match is not None and int(match["partitions"]) != expected.partitions:
            raise UnsafeStart(
                f"{tp.topic} had {match['partitions']} partitions when the group last committed, but has another "
                "number: an order's records would miss its state; use another topic prefix for new orders, and finish "
                "the open sagas with the old number of partitions"
            )
        if match is not None and match["id"] != expected.changelog_id:
            raise UnsafeStart(
                f"{changelog} was re-created since the group last committed: the state of live sagas is lost; "
                "rebuild it from the events, then commit the group's offsets again by hand, unchanged"
            )
        if match is None and tp.offset != NONE_COMMITTED:
            log.warning(
                "committed offset was not written by this application: "
                "earlier records are skipped, later ones are processed (again)",
                extra={"topic": tp.topic, "partition": tp.partition, "offset": tp.offset},
            )


def topic_id(admin: AdminClient, topic: str, timeout: float) -> str:
    """Kafka's id of a topic; a topic of the same name on other brokers, or created later, has another one."""
    future = admin.describe_topics(TopicCollection([topic]), request_timeout=timeout)[topic]
    return str(future.result().topic_id)


def partition_identity(topic_id: str, partition: int) -> str:
    """Identifies one partition of the changelog, so that a folder that was put in the wrong place is not taken for it.

    The group is not part of it: two groups that share a changelog partition have the same state.
    """
    return f"{topic_id}[{partition}]"


def start_positions(
    committed: Mapping[TopicPartitionKey, int],
    bounds: Bounds,
    changelog: str,
    events: str,
    has_events: Callable[[int], bool],
) -> dict[TopicPartitionKey, int]:
    """The positions of all inputs. Raises UnsafeStart rather than go on with less state than was decided.

    `has_events` says whether a partition of the events has a committed record: bounds count aborted records too.
    """
    found: dict[TopicPartitionKey, int] = {}
    for partition in {number for _, number in committed}:
        own = {key: offset for key, offset in committed.items() if key[1] == partition}
        _check_state(own, bounds, changelog, partition)
        _check_events(bounds, changelog, events, partition, has_events)
        found.update({key: _start(key, offset, bounds[key]) for key, offset in own.items()})
    return found


def _check_state(own: Mapping[TopicPartitionKey, int], bounds: Bounds, changelog: str, partition: int) -> None:
    has_state = bounds[changelog, partition][1] > 0
    if has_state and all(offset == NONE_COMMITTED for offset in own.values()):
        raise UnsafeStart(
            f"{changelog}[{partition}] has state, but the group has no committed offset for any input of partition "
            f"{partition}: restore the group's offsets, or use another topic prefix"
        )
    for (topic, _), offset in own.items() if has_state else ():
        if offset == NONE_COMMITTED and bounds[topic, partition][1] > 0:
            raise UnsafeStart(
                f"{topic}[{partition}] has records, but the group has no committed offset for it, though it has for "
                "other inputs: commit one by hand, the beginning if this input is new"
            )


def _check_events(
    bounds: Bounds, changelog: str, events: str, partition: int, has_events: Callable[[int], bool]
) -> None:
    if bounds[changelog, partition][1] == 0 and bounds[events, partition][1] > 0 and has_events(partition):
        raise UnsafeStart(
            f"{events}[{partition}] has decisions, but {changelog}[{partition}] is empty: the state was lost, "
            "rebuild the changelog from the events before going on"
        )


def _start(key: TopicPartitionKey, committed: int, bound: tuple[int, int]) -> int:
    first, end = bound
    if committed == NONE_COMMITTED:
        return first
    if committed < first:
        raise UnsafeStart(
            f"{key[0]}[{key[1]}] was deleted up to {first}, but the group has read it up to {committed} only: records "
            "are lost; to accept that, commit an offset by hand, and raise the topic's retention"
        )
    if committed > end:
        raise UnsafeStart(
            f"{key[0]}[{key[1]}] ends at {end}, but the group has read it up to {committed}: "
            "the topic was re-created; commit an offset by hand"
        )
    return committed
