"""Reads a recording from a real Kafka: all that is committed at the time of the call, without joining any group."""

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

from app.audit.group import ClientConfig, GroupOffsets, reason
from app.audit.recording import Place, Record, Recording, RecordingError, Span
from app.audit.terms import Terms
from app.reach.contact import Contact, Unanswered
from app.reach.passing import PASSING, patiently
from app.wire.envelope import headers_of

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


def read(
    config: ClientConfig,
    prefix: str,
    group: str,
    terms: Terms,
    timeout: float = 60.0,
    patience: float = 3.0,
    *,
    local: bool = False,
) -> Recording:
    """All topics of a saga under the prefix, open transactions given `patience` seconds to end.

    `local` refuses brokers that send clients on to other computers. Raises RecordingError.
    """
    deadline = _Deadline(timeout, "Reading the topics")
    try:
        contact = Contact(config)
        contact.first_answer(deadline.left(10.0), local=local)
        admin = contact.admin
        partitions = _partitions(admin, prefix, terms.topics, patience, deadline)
        committed = _committed(config, prefix, group, terms, patience, deadline)
        places = [(topic, partition) for topic in terms.topics for partition in range(partitions)]
        taken_ms = time.time_ns() // 1_000_000
        spans = _spans(admin, prefix, places, patience, deadline)
        records = tuple(_records(config, prefix, spans, deadline))
        return Recording(prefix, partitions, records, committed, spans, taken_ms)
    except KafkaException as error:
        raise RecordingError(f"Kafka cannot be read: {reason(error)}.") from error
    except Unanswered as error:
        raise RecordingError(f"Kafka cannot be read: {error}.") from error


def _partitions(admin: AdminClient, prefix: str, topics: Sequence[str], patience: float, deadline: _Deadline) -> int:
    """How many partitions all topics have; topics just made may be unknown for a moment."""
    enough = time.monotonic() + patience
    while True:
        known = admin.list_topics(timeout=deadline.left(10.0)).topics
        missing = [prefix + topic for topic in topics if prefix + topic not in known]
        if not missing:
            break
        if time.monotonic() > enough:
            raise RecordingError(f"There is no topic {', '.join(missing)}: is the prefix {prefix!r} right?")
        time.sleep(deadline.left(_RETRY_S))
    counts = {topic: len(known[prefix + topic].partitions) for topic in topics}
    if len(set(counts.values())) > 1:
        raise RecordingError(f"All topics need the same number of partitions, these have {counts}.")
    return counts[topics[0]]


def _committed(
    config: ClientConfig, prefix: str, group: str, terms: Terms, patience: float, deadline: _Deadline
) -> dict[Place, int]:
    """What is committed once no transaction is about to change it, or, when that takes too long, what is so now."""
    if patience > 0:
        with GroupOffsets(config, prefix, group, terms, stable=True) as offsets:
            try:
                return offsets.ask(deadline.left(patience))
            except KafkaException as error:
                if error.args[0].code() not in PASSING:
                    raise
    with GroupOffsets(config, prefix, group, terms) as offsets:
        return patiently(lambda: offsets.ask(deadline.left(10.0)), deadline.left)


def _spans(
    admin: AdminClient, prefix: str, places: Sequence[Place], patience: float, deadline: _Deadline
) -> dict[Place, Span]:
    """A transaction's commit is answered before its markers are everywhere, so for a while the stable ends may lag."""

    def offsets(spec: OffsetSpec, isolation: IsolationLevel) -> list[int]:
        asked, limit = {TopicPartition(prefix + topic, p): spec for topic, p in places}, deadline.left(10.0)
        answers = admin.list_offsets(asked, isolation_level=isolation, request_timeout=limit)
        found = {(key.topic, key.partition): future.result().offset for key, future in answers.items()}
        return [found[prefix + topic, partition] for topic, partition in places]

    first = patiently(lambda: offsets(OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED), deadline.left)
    high = patiently(lambda: offsets(OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED), deadline.left)
    enough = time.monotonic() + patience
    while True:
        stable = patiently(lambda: offsets(OffsetSpec.latest(), IsolationLevel.READ_COMMITTED), deadline.left)
        if all(map(le, high, stable)) or time.monotonic() > enough:
            spans = zip(first, stable, map(max, high, stable), strict=True)
            return {place: Span(*span) for place, span in zip(places, spans, strict=True)}
        time.sleep(deadline.left(_RETRY_S))


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
    names = {prefix + topic: topic for topic, _ in spans}
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
        error, offset = message.error(), message.offset()
        if error is not None and error.code() in PASSING:
            continue
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        place = (names[message.topic()], message.partition())
        end = ends.get(place)
        if end is None:
            continue
        if error is None and offset < end:
            stamp, headers = message.timestamp()[1], tuple(headers_of(message) or ())
            records.append(Record(*place, offset, stamp, message.key(), message.value(), headers))
        if offset >= (end if error is not None else end - 1):
            del ends[place]
