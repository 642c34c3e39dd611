"""Reads a recording from a real Kafka: all that is committed at the time of the call, without joining any group."""

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from app.audit.recording import Place, Record, Recording, RecordingError, Span
from app.audit.terms import TOPICS

ClientConfig = Mapping[str, str | int | float | bool]

_BATCH = 10_000
_RETRY_S = 0.1


class _Deadline:
    """How much time is left; raises RecordingError when there is none."""

    def __init__(self, seconds: float, doing: str) -> None:
        self._end, self._text = time.monotonic() + seconds, f"{doing} took longer than {seconds:g} seconds"

    def left(self, at_most: float = float("inf")) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise RecordingError(f"{self._text}: allow more, or see that no broker is down and no transaction hangs.")
        return min(left, at_most)


def read(config: ClientConfig, prefix: str, group: str, timeout: float = 60.0) -> Recording:
    """All topics under the prefix, and how far the group has read. `config` is librdkafka's. Raises RecordingError."""
    deadline = _Deadline(timeout, "Reading the topics")
    try:
        admin = AdminClient(dict(config))
        partitions = _partitions(admin, prefix, deadline)
        committed = _committed(admin, prefix, group, deadline)
        spans = _spans(admin, prefix, partitions, deadline)
        return Recording(prefix, partitions, tuple(_records(config, prefix, spans, deadline)), committed, spans)
    except KafkaException as error:
        raise RecordingError(f"Kafka cannot be read: {_reason(error)}.") from error


def committed_offsets(admin: AdminClient, prefix: str, group: str, timeout: float = 10.0) -> dict[Place, int]:
    """The group's committed offsets, once no transaction is about to change them. Raises RecordingError."""
    try:
        return _committed(admin, prefix, group, _Deadline(timeout, f"Reading the offsets of group {group}"))
    except KafkaException as error:
        raise RecordingError(f"The offsets of group {group} cannot be read: {_reason(error)}.") from error


def _reason(error: KafkaException) -> str:
    return str(error.args[0].str()) if error.args and isinstance(error.args[0], KafkaError) else str(error)


def _partitions(admin: AdminClient, prefix: str, deadline: _Deadline) -> int:
    """How many partitions all topics have."""
    known = admin.list_topics(timeout=deadline.left(10.0)).topics
    missing = [prefix + topic for topic in TOPICS if prefix + topic not in known]
    if missing:
        raise RecordingError(f"There is no topic {', '.join(missing)}: is the prefix {prefix!r} right?")
    counts = {topic: len(known[prefix + topic].partitions) for topic in TOPICS}
    if len(set(counts.values())) > 1:
        raise RecordingError(f"All topics need the same number of partitions, these have {counts}.")
    return counts[TOPICS[0]]


def _committed(admin: AdminClient, prefix: str, group: str, deadline: _Deadline) -> dict[Place, int]:
    names = {prefix + topic: topic for topic in TOPICS}
    while True:
        found = _stable_offsets(admin, group, deadline)
        if found is not None:
            mine = (partition for partition in found if partition.topic in names and partition.offset >= 0)
            return {(names[p.topic], p.partition): p.offset for p in mine}
        time.sleep(deadline.left(_RETRY_S))


def _stable_offsets(admin: AdminClient, group: str, deadline: _Deadline) -> list[Any] | None:
    """None while a transaction that commits offsets of the group is open."""
    request = [ConsumerGroupTopicPartitions(group)]
    answers = admin.list_consumer_group_offsets(request, require_stable=True, request_timeout=deadline.left(10.0))
    try:
        found: list[Any] = answers[group].result().topic_partitions
    except KafkaException as error:
        if error.args[0].code() == KafkaError.UNSTABLE_OFFSET_COMMIT:
            return None
        raise
    errors = [partition.error for partition in found if partition.error]
    if any(error.code() != KafkaError.UNSTABLE_OFFSET_COMMIT for error in errors):
        raise KafkaException(errors[0])
    return None if errors else found


def _spans(admin: AdminClient, prefix: str, partitions: int, deadline: _Deadline) -> dict[Place, Span]:
    places = [(topic, partition) for topic in TOPICS for partition in range(partitions)]

    def offsets(spec: OffsetSpec, isolation: IsolationLevel) -> list[int]:
        asked = {TopicPartition(prefix + topic, partition): spec for topic, partition in places}
        answers: dict[TopicPartition, Future[Any]] = admin.list_offsets(
            asked, isolation_level=isolation, request_timeout=deadline.left(30.0)
        )
        found = {(key.topic, key.partition): future.result().offset for key, future in answers.items()}
        return [found[prefix + topic, partition] for topic, partition in places]

    first = offsets(OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED)
    stable = offsets(OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)
    high = offsets(OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED)
    return {place: Span(*span) for place, *span in zip(places, first, stable, high, strict=True)}


def _consumer(config: ClientConfig, prefix: str) -> Consumer:
    return Consumer(
        {
            **config,
            "group.id": f"{prefix}saga-audit",  # the client wants one; nothing joins it
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "queued.min.messages": 200_000,
            "fetch.message.max.bytes": 8 * 1024 * 1024,
        }
    )


def _records(config: ClientConfig, prefix: str, spans: Mapping[Place, Span], deadline: _Deadline) -> list[Record]:
    """The committed records below the stable ends."""
    names = {prefix + topic: topic for topic in TOPICS}
    ends = {place: span.stable for place, span in spans.items() if span.stable > span.first}
    consumer = _consumer(config, prefix)
    records: list[Record] = []
    try:
        consumer.assign([TopicPartition(prefix + topic, p, spans[topic, p].first) for topic, p in ends])
        while ends:
            first = consumer.poll(deadline.left(0.5))
            if first is not None:
                _take((first, *consumer.consume(_BATCH, 0)), names, ends, records)
    finally:
        consumer.close()
    return records


def _take(messages: Iterable[Any], names: Mapping[str, str], ends: dict[Place, int], records: list[Record]) -> None:
    """Keeps what lies below the ends, and strikes off the partitions that are through."""
    for message in messages:
        place, offset, error = (names[message.topic()], message.partition()), message.offset(), message.error()
        end = ends.get(place)
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        if end is None:
            continue
        if error is None and offset < end:
            headers = tuple(message.headers() or ())
            stamp: int = message.timestamp()[1]
            records.append(Record(*place, offset, stamp, message.key(), message.value(), headers))
        if offset >= (end if error is not None else end - 1):
            del ends[place]
