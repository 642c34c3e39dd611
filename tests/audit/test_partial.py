"""Recordings that are not of a complete run: of a run that goes on, cut by retention, or with invalid records."""

from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audit.check import check
from app.audit.recording.recording import Record, Recording, Span
from tests.audit.case import state_of
from tests.audit.mutants import MUTANTS
from tests.audit.mutation import appended, first_record
from tests.audit.runs import good_run
from tests.audit.sagas import SPEC
from tests.audit.topic_logs import TOPICS

GOOD = good_run()


def test_a_missing_record_is_no_violation_while_a_run_goes_on() -> None:
    """Any first records of a good run break no invariant, as long as it is not judged as settled."""
    for count in range(len(GOOD.records) + 1):
        part = replace(GOOD, records=GOOD.records[:count], committed={})
        assert check(part, SPEC, settled=False).violations == ()


def test_a_run_that_goes_on_is_judged_by_what_no_later_record_can_mend() -> None:
    """Duplicates, events off the state machine and false causes break their invariants at any time."""
    mutants = [mutate(GOOD) for _, mutate in MUTANTS.values()]
    judged = {invariant for one in mutants for invariant in check(one, SPEC, settled=False).by_invariant}
    assert judged == {
        "INV-1",
        "INV-2",
        "INV-3",
        "INV-4",
        "INV-7",
        "INV-8",
        "INV-9",
        "INV-11",
        "INV-13",
        "INV-18",
        "INV-12",
        "INV-20",
        "INV-21",
        "INV-25",
        "INV-27",
    }


def cut(topic: str, partition: int, first: int) -> Recording:
    """The good run after retention has deleted the start of a partition."""
    span = GOOD.spans[topic, partition]
    kept = tuple(r for r in GOOD.records if (r.topic, r.partition) != (topic, partition) or r.offset >= first)
    return replace(GOOD, records=kept, spans={**GOOD.spans, (topic, partition): Span(first, span.stable, span.high)})


@pytest.mark.parametrize("topic", [topic for topic in TOPICS if topic != "saga.state"])
def test_records_deleted_by_retention_are_no_violation(topic: str) -> None:
    """The report notes the deleted records, and judges only the invariants that the other records can show."""
    partition = first_record(GOOD, "saga.events", "happy").partition
    report = check(cut(topic, partition, 2), SPEC, fold=state_of)
    assert report.violations == ()
    assert len(report.notes) == 1
    assert f"partition {partition}: old records of {topic} are deleted" in report.notes[0]


def test_events_are_judged_without_commands() -> None:
    """A wrong event is found from the events alone, after retention has deleted the commands."""
    name = "a timer leads to a success"
    partition = first_record(GOOD, "saga.events", "in_doubt").partition
    mutant = replace(MUTANTS[name][1](GOOD), spans=cut("payment.commands", partition, 2).spans)
    assert "INV-4" in check(mutant, SPEC).by_invariant


def test_a_group_without_offsets_is_noted() -> None:
    """A group without any committed offset may have been named wrongly."""
    report = check(replace(GOOD, committed={}), SPEC)
    assert any("is its name right" in note for note in report.notes)


names = st.sampled_from(
    "order.place saga.events events type step payment cause topic t.order.requests seq total lines saga.started "
    "saga.stuck saga.step.succeeded saga_id a a:payment:do:1 ce_id ce_type content-type".split()
)
leaves = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | names | st.text(max_size=3)
values = st.recursive(leaves, lambda v: st.lists(v, max_size=3) | st.dictionaries(names, v, max_size=5), max_leaves=12)
headers = st.lists(
    st.tuples(names | st.just("__saga.errors.offset"), st.none() | names.map(str.encode) | st.binary(max_size=4)),
    max_size=4,
)
any_record = st.builds(
    Record,
    st.sampled_from(TOPICS),
    st.integers(0, 3),
    st.integers(0, 5),
    st.integers(-1, 9),
    st.none() | st.sampled_from([b"", b"a", b"\xff"]),
    st.none() | st.binary(max_size=4) | values.map(orjson.dumps),
    headers.map(tuple),
)


@given(st.lists(any_record, max_size=12))
def test_any_records_give_a_report(records: list[Record]) -> None:
    """Invalid records of any kind raise no exception."""
    check(replace(GOOD, records=tuple(records)), SPEC, fold=state_of)


@given(st.data())
def test_a_good_run_with_any_value_gives_a_report(data: st.DataObject) -> None:
    """Any value of one field of one record raises no exception."""
    index = data.draw(st.integers(0, len(GOOD.records) - 1))
    record = GOOD.records[index]
    value = orjson.loads(record.value or b"{}") if record.topic in ("saga.events", "saga.state") else {}
    value[data.draw(st.sampled_from(sorted(value) or ["lines"]))] = data.draw(values)
    records = list(GOOD.records)
    records[index] = replace(record, value=orjson.dumps(value))
    check(replace(GOOD, records=tuple(records)), SPEC, fold=state_of)


def test_unread_inputs_of_a_settled_run_are_counted() -> None:
    """A record past the committed offset breaks INV-5, and the text gives their number."""
    late = appended(GOOD, first_record(GOOD, "payment.replies", "happy"))
    report = check(replace(late, committed=GOOD.committed), SPEC)
    assert [violation.invariant for violation in report.violations] == ["INV-5"]
    assert report.violations[0].text.endswith(": 1 records were not read")
