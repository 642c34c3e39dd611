"""Ways to spoil a recording: each gives a new one."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from app.audit.recording import Place, Record, Recording, Span
from app.wire.partition import partition_of
from tests.audit.world import PARTITIONS

Change = Callable[[Any], Any]
"""Changes a JSON object in place."""

Edit = Callable[[Record], Record]
Mutation = Callable[[Recording], Recording]
Mutants = dict[str, tuple[str, Mutation]]
"""By what is wrong: the invariant that it breaks, and how to get there from the good run."""


# finding


def records(recording: Recording, topic: str, order: str, holds: str = "") -> list[Record]:
    """The records of an order (its id starts so) in a topic, in order, whose value or headers hold a text."""
    return [
        record
        for record in recording.records
        if record.topic == topic and (record.key or b"").startswith(f"{order}-".encode()) and holds in _text(record)
    ]


def one(recording: Recording, topic: str, order: str, holds: str = "") -> Record:
    """The first such record."""
    return records(recording, topic, order, holds)[0]


def last(recording: Recording, topic: str, order: str, holds: str = "") -> Record:
    """The last such record."""
    return records(recording, topic, order, holds)[-1]


def _text(record: Record) -> str:
    headers = " ".join(f"{name}={(value or b'').decode()}" for name, value in record.headers)
    return f"{headers} {(record.value or b'').decode('utf-8', 'replace')}"


# changing records


def valued(record: Record, change: Change) -> Record:
    """The record with its JSON changed."""
    value = orjson.loads(record.value or b"")
    change(value)
    return replace(record, value=orjson.dumps(value))


def header(record: Record, name: str, value: str | None) -> Record:
    """The record with another header, or without it."""
    rest = [item for item in record.headers if item[0] != name]
    return replace(record, headers=tuple(rest if value is None else [*rest, (name, value.encode())]))


def elsewhere(record: Record) -> int:
    """A partition to which the record's key doesn't belong."""
    return (partition_of(record.key or b"", PARTITIONS) + 1) % PARTITIONS


def put(**fields: Any) -> Change:
    """Sets fields of a value."""
    return lambda value: value.update(fields)


def pop(field: str) -> Change:
    """Takes a field away."""
    return lambda value: value.pop(field)


def event(index: int, **fields: Any) -> Change:
    """Sets fields of one of a decision's events."""
    return lambda value: value["events"][index].update(fields)


def cause(**fields: Any) -> Change:
    """Sets fields of a decision's cause."""
    return lambda value: value["cause"].update(fields)


def total(minor: int) -> Change:
    """Sets an amount."""
    return lambda value: value["total"].update(minor=minor)


def quantity(pieces: int) -> Change:
    """Sets how much of the first product is wanted."""
    return lambda value: value["lines"][0].update(quantity=pieces)


# changing recordings


def without(recording: Recording, *gone: Record) -> Recording:
    """Some records are missing; their offsets stay empty."""
    return replace(recording, records=tuple(record for record in recording.records if record not in gone))


def instead(recording: Recording, old: Record, new: Record) -> Recording:
    """A record is another one."""
    return replace(recording, records=tuple(new if record is old else record for record in recording.records))


def changed(recording: Recording, record: Record, change: Change) -> Recording:
    """A record's JSON is changed."""
    return instead(recording, record, valued(record, change))


def also(recording: Recording, *added: Record) -> Recording:
    """More records at the ends of their partitions, all of them read."""
    spans, kept = dict(recording.spans), list(recording.records)
    for record in added:
        place = (record.topic, record.partition)
        end = spans[place].high
        spans[place] = Span(0, end + 1, end + 1)
        kept.append(replace(record, offset=end))
    committed = {place: spans[place].high for place in recording.committed}
    return replace(recording, records=tuple(kept), spans=spans, committed=committed)


def swapped(recording: Recording, left: Record, right: Record) -> Recording:
    """Two records have changed places."""
    moved = {
        left: replace(right, topic=left.topic, partition=left.partition, offset=left.offset),
        right: replace(left, topic=right.topic, partition=right.partition, offset=right.offset),
    }
    return replace(recording, records=tuple(moved.get(record, record) for record in recording.records))


def committed_at(recording: Recording, place: Place, offset: int | None) -> Recording:
    """The group committed another offset, or none."""
    rest = {where: known for where, known in recording.committed.items() if where != place}
    return replace(recording, committed=rest if offset is None else {**rest, place: offset})


# mutations of the first record that is found


def drop(topic: str, order: str, holds: str = "") -> Mutation:
    """It is missing."""
    return lambda good: without(good, one(good, topic, order, holds))


def double(topic: str, order: str, holds: str = "") -> Mutation:
    """It is there twice."""
    return lambda good: also(good, one(good, topic, order, holds))


def remake(topic: str, order: str, holds: str, change: Edit) -> Mutation:
    """It is another record."""

    def mutate(good: Recording) -> Recording:
        record = one(good, topic, order, holds)
        return instead(good, record, change(record))

    return mutate


def edit(topic: str, order: str, holds: str, change: Change) -> Mutation:
    """Its JSON is changed."""
    return remake(topic, order, holds, lambda record: valued(record, change))


def label(topic: str, order: str, holds: str, name: str, value: str | None) -> Mutation:
    """It has another header, or lacks it."""
    return remake(topic, order, holds, lambda record: header(record, name, value))


def move(topic: str, order: str, holds: str = "") -> Mutation:
    """It lies in another partition."""

    def mutate(good: Recording) -> Recording:
        record = one(good, topic, order, holds)
        return also(without(good, record), replace(record, partition=elsewhere(record)))

    return mutate
