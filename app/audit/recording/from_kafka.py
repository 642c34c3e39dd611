"""Reads a recording from a Kafka cluster: all records committed at the time of the call, without joining a group."""

import time
from collections.abc import Iterable, Mapping, Sequence
from operator import le
from typing import Any

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from app.audit.recording.group_offsets import ClientConfig, GroupOffsets, reason
from app.audit.recording.recording import Record, Recording, RecordingError, Span
from app.audit.spec import SagaSpec
from app.kafka_access.first_contact import FirstContact, Unreachable
from app.kafka_access.retriable import RETRIABLE, retry_while
from app.wire.envelope import headers_of
from app.wire.topics import TopicPartitionKey

_BATCH = 10_000
_RETRY_S = 0.1


class _Deadline:
    """The time left for a job; raises RecordingError once it has run out."""

    def __init__(self, seconds: float, job: str) -> None:
        self._end, self._text = time.monotonic() + seconds, f"{job} took longer than {seconds:g} seconds"

    def left(self, at_most: float = float("inf")) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise RecordingError(f"{self._text}: allow more time, or look for a dead broker or a hanging transaction.")
        return min(left, at_most)


def read(
    config: ClientConfig,
    prefix: str,
    group: str,
    spec: SagaSpec,
    timeout: float = 60.0,
    transaction_wait: float = 3.0,
    *,
    local: bool = False,
) -> Recording:
    """Reads all topics of a saga under the prefix. Open transactions have `transaction_wait` seconds to end.

    `timeout` is in seconds. `local` refuses brokers that advertise addresses on other computers. Raises RecordingError.
    """
    deadline = _Deadline(timeout, "Reading the topics")
    try:
        contact = FirstContact(config)
        contact.first_answer(deadline.left(10.0), local=local)
        admin = contact.admin
        partitions = _partition_count(admin, prefix, spec.topics, transaction_wait, deadline)
        committed = _committed(config, prefix, group, spec, transaction_wait, deadline)
        logs = [(topic, partition) for topic in spec.topics for partition in range(partitions)]
        taken_ms = time.time_ns() // 1_000_000
        spans = _spans(admin, prefix, logs, transaction_wait, deadline)
        records = tuple(_records(config, prefix, spans, deadline))
        return Recording(prefix, partitions, records, committed, spans, taken_ms)
    except KafkaException as error:
        raise RecordingError(f"Kafka cannot be read: {reason(error)}.") from error
    except Unreachable as error:
        raise RecordingError(f"Kafka cannot be read: {error}.") from error


def _partition_count(admin: AdminClient, prefix: str, topics: Sequence[str], wait: float, deadline: _Deadline) -> int:
    """The partition count that all topics share. Brokers may not know a new topic yet: it has `wait` seconds."""
    give_up = time.monotonic() + wait
    while True:
        known = admin.list_topics(timeout=deadline.left(10.0)).topics
        missing = [prefix + topic for topic in topics if prefix + topic not in known]
        if not missing:
            break
        if time.monotonic() > give_up:
            raise RecordingError(f"There is no topic {', '.join(missing)}: is the prefix {prefix!r} right?")
        time.sleep(deadline.left(_RETRY_S))
    counts = {topic: len(known[prefix + topic].partitions) for topic in topics}
    if len(set(counts.values())) > 1:
        raise RecordingError(f"All topics must have the same number of partitions, but they have {counts}.")
    return counts[topics[0]]


def _committed(
    config: ClientConfig, prefix: str, group: str, spec: SagaSpec, wait: float, deadline: _Deadline
) -> dict[TopicPartitionKey, int]:
    """The offsets after pending transactions have ended; after `wait` seconds, the offsets committed so far."""
    if wait > 0:
        with GroupOffsets(config, prefix, group, spec, stable=True) as offsets:
            try:
                return offsets.fetch(deadline.left(wait))
            except KafkaException as error:
                if error.args[0].code() not in RETRIABLE:
                    raise
    with GroupOffsets(config, prefix, group, spec) as offsets:
        return retry_while(lambda: offsets.fetch(deadline.left(10.0)), deadline.left)


def _spans(
    admin: AdminClient, prefix: str, logs: Sequence[TopicPartitionKey], wait: float, deadline: _Deadline
) -> dict[TopicPartitionKey, Span]:
    """Waits up to `wait` seconds for the stable ends: a commit returns before its markers are in every partition."""

    def offsets(spec: OffsetSpec, isolation: IsolationLevel) -> list[int]:
        request, limit = {TopicPartition(prefix + topic, p): spec for topic, p in logs}, deadline.left(10.0)
        replies = admin.list_offsets(request, isolation_level=isolation, request_timeout=limit)
        found = {(key.topic, key.partition): future.result().offset for key, future in replies.items()}
        return [found[prefix + topic, partition] for topic, partition in logs]

    first = retry_while(lambda: offsets(OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED), deadline.left)
    high = retry_while(lambda: offsets(OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED), deadline.left)
    give_up = time.monotonic() + wait
    while True:
        stable = retry_while(lambda: offsets(OffsetSpec.latest(), IsolationLevel.READ_COMMITTED), deadline.left)
        if all(map(le, high, stable)) or time.monotonic() > give_up:
            spans = zip(first, stable, map(max, high, stable), strict=True)
            return {log: Span(*span) for log, span in zip(logs, spans, strict=True)}
        time.sleep(deadline.left(_RETRY_S))


def _consumer(config: ClientConfig, prefix: str) -> Consumer:
    return Consumer(
        {
            **config,
            "group.id": f"{prefix}saga-audit",  # librdkafka requires one; no group is joined
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "queued.min.messages": 200_000,
            "fetch.message.max.bytes": 8 * 1024 * 1024,
        }
    )


def _records(
    config: ClientConfig, prefix: str, spans: Mapping[TopicPartitionKey, Span], deadline: _Deadline
) -> list[Record]:
    """The committed records below the last stable offsets."""
    names = {prefix + topic: topic for topic, _ in spans}
    ends = {log: span.stable for log, span in spans.items() if span.stable > span.first}
    consumer = _consumer(config, prefix)
    records: list[Record] = []
    try:
        consumer.assign([TopicPartition(prefix + topic, p, spans[topic, p].first) for topic, p in ends])
        while ends:
            first = consumer.poll(deadline.left(0.5))
            if first is not None:
                _collect((first, *consumer.consume(_BATCH, 0)), names, ends, records)
    finally:
        consumer.close()
    return records


def _collect(
    messages: Iterable[Any], names: Mapping[str, str], ends: dict[TopicPartitionKey, int], records: list[Record]
) -> None:
    """Keeps the records below `ends`, and removes from `ends` each partition that is read."""
    for message in messages:
        error, offset = message.error(), message.offset()
        if error is not None and error.code() in RETRIABLE:
            continue
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        log = (names[message.topic()], message.partition())
        end = ends.get(log)
        if end is None:
            continue
        if error is None and offset < end:
            timestamp_ms, headers = message.timestamp()[1], tuple(headers_of(message) or ())
            records.append(Record(*log, offset, timestamp_ms, message.key(), message.value(), headers))
        if offset >= (end if error is not None else end - 1):
            del ends[log]
