"""Every record, field and header that the orchestrator wrote counts: it can't be missing, doubled, moved or changed."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from app.audit.check import check
from app.audit.recording.recording import Record, Recording
from tests.audit.case import state_of
from tests.audit.mutation import appended, replaced, without
from tests.audit.runs import EVERY_RUN
from tests.audit.sagas import SPEC
from tests.audit.topic_logs import INPUTS

ONLY_FOLDED = {"reason", "step", "refusal", "due_ms", "retry_due_ms", "deadline_ms", "forget_ms"}
"""Event fields that only the real fold can judge: reasons for ignoring or refusing, and times of unused timers."""

every_run = pytest.mark.parametrize("run", EVERY_RUN.values(), ids=EVERY_RUN)


def is_sound(recording: Recording) -> bool:
    """The recording breaks no invariant."""
    return not check(recording, SPEC, fold=state_of).violations


def written(run: Recording, *except_topics: str) -> Iterator[Record]:
    """The orchestrator's records, without some topics, tombstones and replaced or deleted states."""
    last = {record.key: record for record in run.records if record.topic == "saga.state"}
    for record in run.records:
        outdated = record.topic == "saga.state" and (record is not last[record.key] or record.value is None)
        if record.topic not in (*INPUTS, *except_topics) and not outdated:
            yield record


@every_run
def test_each_scenario_is_sound_by_itself(run: Recording) -> None:
    """Each scenario breaks no invariant without the others."""
    assert is_sound(run)


@every_run
def test_a_missing_record_is_found(run: Recording) -> None:
    """No record can be missing, except states that were replaced or deleted."""
    for record in written(run):
        assert not is_sound(without(run, record)), record


@every_run
def test_a_duplicate_record_is_found(run: Recording) -> None:
    """No record can exist twice, except states: the last one counts."""
    for record in written(run, "saga.state"):
        assert not is_sound(appended(run, record)), record


@every_run
def test_a_record_in_a_wrong_partition_is_found(run: Recording) -> None:
    """No record can be in a partition that its key does not belong to."""
    for record in written(run, "saga.dead-letters"):
        misplaced = replace(record, partition=(record.partition + 1) % run.partitions)
        assert not is_sound(appended(without(run, record), misplaced)), record


@every_run
def test_every_field_of_a_value_counts(run: Recording) -> None:
    """A change of any text or number in a value is found, except fields that only the real fold can judge."""
    for record in written(run, "saga.dead-letters"):
        unnoticed = {
            path[-1] if isinstance(path[-1], str) else path[-2]
            for path, value in changes(orjson.loads(record.value or b""))
            if is_sound(replaced(run, record, replace(record, value=orjson.dumps(value))))
        }
        assert unnoticed <= (ONLY_FOLDED if record.topic == "saga.events" else set()), record


def changes(value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Each copy of a value with one text or number changed, and the path of the change."""
    for path, leaf in leaves(value):
        copy = orjson.loads(orjson.dumps(value))
        inner = copy
        for part in path[:-1]:
            inner = inner[part]
        inner[path[-1]] = f"{leaf}x" if isinstance(leaf, str) else leaf + 1000
        yield path, copy


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """The texts and numbers in a value, with their paths."""
    if isinstance(value, dict | list):
        items: Any = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from leaves(inner, (*path, key))
    else:
        yield path, value


@every_run
def test_every_header_counts(run: Recording) -> None:
    """No header of a command, outcome or dead letter can be missing."""
    for record in written(run):
        for missing in record.headers:
            rest = tuple(item for item in record.headers if item is not missing)
            assert not is_sound(replaced(run, record, replace(record, headers=rest))), missing[0]
