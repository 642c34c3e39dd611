"""Beyond the named mutants: every record that the orchestrator wrote is missed, and noticed when it is there twice."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from app.audit.invariants import check
from app.audit.recording import Record, Recording
from tests.audit.mutation import also, instead, without
from tests.audit.runs import EVERY_RUN
from tests.audit.sagas import TERMS
from tests.audit.scribe import state_of
from tests.audit.world import READ

FREE = {"reason", "step", "refusal", "due_ms", "retry_due_ms", "deadline_ms", "forget_ms"}
"""What nothing but the fold can tell: why something was ignored or refused, and times that came to nothing."""

every_run = pytest.mark.parametrize("run", EVERY_RUN.values(), ids=EVERY_RUN)


def is_sound(recording: Recording) -> bool:
    """Nothing is wrong with a recording."""
    return not check(recording, TERMS, fold=state_of).violations


def written(run: Recording, *but: str) -> Iterator[Record]:
    """What the orchestrator wrote, but for some topics, tombstones, and states that were written over or deleted."""
    last = {record.key: record for record in run.records if record.topic == "saga.state"}
    for record in run.records:
        over = record.topic == "saga.state" and (record is not last[record.key] or record.value is None)
        if record.topic not in (*READ, *but) and not over:
            yield record


@every_run
def test_a_good_run_is_sound_by_itself(run: Recording) -> None:
    """Each way that an order can go is right without the others."""
    assert is_sound(run)


@every_run
def test_a_missing_record_is_missed(run: Recording) -> None:
    """No record that was written can vanish, but for states that were written over or deleted."""
    for record in written(run):
        assert not is_sound(without(run, record)), record


@every_run
def test_a_record_written_twice_is_noticed(run: Recording) -> None:
    """No record can be there twice, but for states: the last one counts."""
    for record in written(run, "saga.state"):
        assert not is_sound(also(run, record)), record


@every_run
def test_a_record_in_another_partition_is_noticed(run: Recording) -> None:
    """No record can lie where its key doesn't belong."""
    for record in written(run, "saga.dead-letters"):
        away = replace(record, partition=(record.partition + 1) % run.partitions)
        assert not is_sound(also(without(run, record), away)), record


@every_run
def test_every_field_of_a_value_counts(run: Recording) -> None:
    """Each text and number of a value can be judged, but for those that only the fold can."""
    for record in written(run, "saga.dead-letters"):
        missed = {
            path[-1] if isinstance(path[-1], str) else path[-2]
            for path, value in spoiled(orjson.loads(record.value or b""))
            if is_sound(instead(run, record, replace(record, value=orjson.dumps(value))))
        }
        assert missed <= (FREE if record.topic == "saga.events" else set()), record


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


@every_run
def test_every_header_counts(run: Recording) -> None:
    """No header of a command, an outcome or a dead letter can be missing."""
    for record in written(run):
        for gone in record.headers:
            rest = tuple(item for item in record.headers if item is not gone)
            assert not is_sound(instead(run, record, replace(record, headers=rest))), gone[0]
