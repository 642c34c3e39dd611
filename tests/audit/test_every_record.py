"""Beyond the named mutants: every record that the orchestrator wrote is missed, and noticed when it is there twice."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from app.audit.invariants import check
from app.audit.recording import Record, Recording
from tests.audit.mutation import also, instead, without
from tests.audit.runs import good_run
from tests.audit.world import READ, state_of

GOOD = good_run()
LAST_STATES = {record.key: record for record in GOOD.records if record.topic == "saga.state"}
WRITTEN = [
    record
    for record in GOOD.records
    if record.topic not in READ and (record.topic != "saga.state" or record is LAST_STATES[record.key])
]

FREE = {"timer", "operation", "reason", "step", "wished"}
"""What the contract leaves to the writer of an event: the name of a timer, and what events tell beyond its path. """


def name(record: Record) -> str:
    """Where a record is, for the name of a test."""
    return f"{record.topic}/{record.partition}@{record.offset}"


def is_sound(recording: Recording) -> bool:
    """Nothing is wrong with a recording."""
    return not check(recording, fold=state_of).violations


@pytest.mark.parametrize("record", WRITTEN, ids=name)
def test_a_missing_record_is_missed(record: Record) -> None:
    """No record that was written can vanish, but for states that were written over."""
    assert not is_sound(without(GOOD, record))


@pytest.mark.parametrize("record", [record for record in WRITTEN if record.topic != "saga.state"], ids=name)
def test_a_record_written_twice_is_noticed(record: Record) -> None:
    """No record can be there twice, but for states: the last one counts."""
    assert not is_sound(also(GOOD, record))


@pytest.mark.parametrize("record", [record for record in WRITTEN if record.topic != "saga.dead-letters"], ids=name)
def test_a_record_in_another_partition_is_noticed(record: Record) -> None:
    """No record can lie where its key doesn't belong."""
    away = replace(record, partition=(record.partition + 1) % GOOD.partitions)
    assert not is_sound(also(without(GOOD, record), away))


@pytest.mark.parametrize("record", [record for record in WRITTEN if record.topic != "saga.dead-letters"], ids=name)
def test_every_field_of_a_value_counts(record: Record) -> None:
    """Each text and number of a value can be judged, but for those that the contract leaves to the writer."""
    missed = {
        path[-1] if isinstance(path[-1], str) else path[-2]
        for path, value in spoiled(orjson.loads(record.value or b""))
        if is_sound(instead(GOOD, record, replace(record, value=orjson.dumps(value))))
    }
    assert missed <= (FREE if record.topic == "saga.events" else set())


def spoiled(value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """The value with one text or number in it changed, and where that is."""
    for path, leaf in leaves(value):
        copy = orjson.loads(orjson.dumps(value))
        inner = copy
        for part in path[:-1]:
            inner = inner[part]
        inner[path[-1]] = f"{leaf}x" if isinstance(leaf, str) else leaf + 1000
        yield path, copy


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """The texts and numbers in a value."""
    if isinstance(value, dict | list):
        items: Any = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from leaves(inner, (*path, key))
    else:
        yield path, value


@pytest.mark.parametrize("record", [record for record in WRITTEN if record.headers], ids=name)
def test_every_header_counts(record: Record) -> None:
    """No header of a command, an outcome or a dead letter can be missing."""
    for gone in record.headers:
        rest = tuple(item for item in record.headers if item is not gone)
        assert not is_sound(instead(GOOD, record, replace(record, headers=rest))), gone[0]
