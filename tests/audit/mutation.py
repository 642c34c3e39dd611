"""Functions that tamper with a recording. Each returns a new recording."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from app.audit.recording.recording import Record, Recording, Span
from app.wire.partition import partition_of
from app.wire.topics import TopicPartitionKey
from tests.audit.topic_logs import PARTITIONS

Change = Callable[[Any], Any]
"""Changes a JSON object in place."""

Edit = Callable[[Record], Record]
Mutation = Callable[[Recording], Recording]
Mutants = dict[str, tuple[str, Mutation]]
"""By description: the broken invariant, and the function that makes the recording from the good run."""


# finding records


def records(recording: Recording, topic: str, order: str, holds: str = "") -> list[Record]:
    """The records of a topic whose key starts with `order` and a dash, and whose value or headers contain `holds`."""
    return [
        record
        for record in recording.records
        if record.topic == topic and (record.key or b"").startswith(f"{order}-".encode()) and holds in _text(record)
    ]


def first_record(recording: Recording, topic: str, order: str, holds: str = "") -> Record:
    """The first such record."""
    return records(recording, topic, order, holds)[0]


def last_record(recording: Recording, topic: str, order: str, holds: str = "") -> Record:
    """The last such record."""
    return records(recording, topic, order, holds)[-1]


def _text(record: Record) -> str:
    headers = " ".join(f"{name}={(value or b'').decode()}" for name, value in record.headers)
    return f"{headers} {(record.value or b'').decode('utf-8', 'replace')}"


# changing records


def with_json(record: Record, change: Change) -> Record:
    """A record with a changed JSON value."""
    value = orjson.loads(record.value or b"")
    change(value)
    return replace(record, value=orjson.dumps(value))


def with_header(record: Record, name: str, value: str | None) -> Record:
    """A record with another value of a header, or without that header."""
    rest = [item for item in record.headers if item[0] != name]
    return replace(record, headers=tuple(rest if value is None else [*rest, (name, value.encode())]))


def wrong_partition(record: Record) -> int:
    """A partition that the record's key does not belong to."""
    return (partition_of(record.key or b"", PARTITIONS) + 1) % PARTITIONS


def put(**fields: Any) -> Change:
    """Sets fields of a value."""
    return lambda value: value.update(fields)


def pop(field: str) -> Change:
    """Removes a field of a value."""
    return lambda value: value.pop(field)


def event(index: int, **fields: Any) -> Change:
    """Sets fields of one of a decision's events."""
    return lambda value: value["events"][index].update(fields)


def cause(**fields: Any) -> Change:
    """Sets fields of a decision's cause."""
    return lambda value: value["cause"].update(fields)


def total(minor: int) -> Change:
    """Sets the amount of money."""
    return lambda value: value["total"].update(minor=minor)


def quantity(pieces: int) -> Change:
    """Sets the quantity of the first product."""
    return lambda value: value["lines"][0].update(quantity=pieces)


# changing recordings


def without(recording: Recording, *missing: Record) -> Recording:
    """Some records are missing. Their offsets stay empty."""
    return replace(recording, records=tuple(record for record in recording.records if record not in missing))


def replaced(recording: Recording, old: Record, new: Record) -> Recording:
    """One record is replaced by another."""
    return replace(recording, records=tuple(new if record is old else record for record in recording.records))


def edited(recording: Recording, record: Record, change: Change) -> Recording:
    """One record has a changed JSON value."""
    return replaced(recording, record, with_json(record, change))


def appended(recording: Recording, *added: Record) -> Recording:
    """More records at the ends of their partitions. The group has read all of them."""
    spans, kept = dict(recording.spans), list(recording.records)
    for record in added:
        partition = (record.topic, record.partition)
        end = spans[partition].high
        spans[partition] = Span(0, end + 1, end + 1)
        kept.append(replace(record, offset=end))
    committed = {partition: spans[partition].high for partition in recording.committed}
    return replace(recording, records=tuple(kept), spans=spans, committed=committed)


def swapped(recording: Recording, left: Record, right: Record) -> Recording:
    """Two records have swapped their coordinates."""
    moved = {
        left: replace(right, topic=left.topic, partition=left.partition, offset=left.offset),
        right: replace(left, topic=right.topic, partition=right.partition, offset=right.offset),
    }
    return replace(recording, records=tuple(moved.get(record, record) for record in recording.records))


def committed_at(recording: Recording, partition: TopicPartitionKey, offset: int | None) -> Recording:
    """The group has committed another offset, or none."""
    rest = {key: known for key, known in recording.committed.items() if key != partition}
    return replace(recording, committed=rest if offset is None else {**rest, partition: offset})


# mutations of the first matching record


def drop(topic: str, order: str, holds: str = "") -> Mutation:
    """The record is missing."""
    return lambda good: without(good, first_record(good, topic, order, holds))


def duplicate(topic: str, order: str, holds: str = "") -> Mutation:
    """The record exists twice."""
    return lambda good: appended(good, first_record(good, topic, order, holds))


def edit_record(topic: str, order: str, holds: str, change: Edit) -> Mutation:
    """The record is changed."""

    def mutate(good: Recording) -> Recording:
        record = first_record(good, topic, order, holds)
        return replaced(good, record, change(record))

    return mutate


def edit(topic: str, order: str, holds: str, change: Change) -> Mutation:
    """The record's JSON value is changed."""
    return edit_record(topic, order, holds, lambda record: with_json(record, change))


def edit_header(topic: str, order: str, holds: str, name: str, value: str | None) -> Mutation:
    """A header of the record is changed, or missing if `value` is None."""
    return edit_record(topic, order, holds, lambda record: with_header(record, name, value))


def move(topic: str, order: str, holds: str = "") -> Mutation:
    """The record is in a wrong partition."""

    def mutate(good: Recording) -> Recording:
        record = first_record(good, topic, order, holds)
        return appended(without(good, record), replace(record, partition=wrong_partition(record)))

    return mutate
