"""Recordings that are no whole run: taken on the way, cut by retention, of another group, or full of nonsense."""

from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audit.invariants import CommittedOffsets, check
from app.audit.recording import Record, Recording, Span
from tests.audit.mutants import MUTANTS
from tests.audit.mutation import also, one
from tests.audit.runs import good_run
from tests.audit.sagas import TERMS
from tests.audit.scribe import state_of
from tests.audit.world import TOPICS

GOOD = good_run()


def test_a_run_under_way_is_not_blamed_for_what_may_still_come() -> None:
    """After any number of records a good run breaks nothing, when it is not called settled."""
    for count in range(len(GOOD.records) + 1):
        some = replace(GOOD, records=GOOD.records[:count], committed={})
        assert check(some, TERMS, settled=False).violations == ()


def test_a_run_under_way_is_blamed_for_what_cannot_be_mended() -> None:
    """Doubles, wrong turns and false causes are seen at any time."""
    spoiled = [mutate(GOOD) for _, mutate in MUTANTS.values()]
    judged = {invariant for one in spoiled for invariant in check(one, TERMS, settled=False).by_invariant}
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
    """The good run after retention deleted the start of a partition."""
    span = GOOD.spans[topic, partition]
    kept = tuple(r for r in GOOD.records if (r.topic, r.partition) != (topic, partition) or r.offset >= first)
    return replace(GOOD, records=kept, spans={**GOOD.spans, (topic, partition): Span(first, span.stable, span.high)})


@pytest.mark.parametrize("topic", [topic for topic in TOPICS if topic != "saga.state"])
def test_what_retention_deleted_is_not_missed(topic: str) -> None:
    """Where old records are deleted, the report says so, and judges only what is left to judge."""
    partition = one(GOOD, "saga.events", "happy").partition
    report = check(cut(topic, partition, 2), TERMS, fold=state_of)
    assert report.violations == ()
    assert len(report.notes) == 1
    assert f"partition {partition}: old records of {topic} are deleted" in report.notes[0]


def test_the_history_is_judged_without_the_messages() -> None:
    """A wrong turn is found from the events alone, when the commands are long deleted."""
    name = "a time-out succeeds"
    partition = one(GOOD, "saga.events", "in_doubt").partition
    spoiled = replace(MUTANTS[name][1](GOOD), spans=cut("payment.commands", partition, 2).spans)
    assert "INV-4" in check(spoiled, TERMS).by_invariant


def test_a_group_that_read_nothing_is_mentioned() -> None:
    """No committed offset at all looks like a wrong name of the group."""
    report = check(replace(GOOD, committed={}), TERMS)
    assert any("was it named rightly" in note for note in report.notes)


def test_committed_offsets_go_forward() -> None:
    """INV-17: an offset that stays or grows is fine, one that falls or is gone is not."""
    watch = CommittedOffsets()
    assert watch.see({("order.requests", 0): 5}) == []
    assert watch.see({("order.requests", 0): 5, ("order.requests", 1): 1}) == []
    assert [violation.text for violation in watch.see({("order.requests", 0): 4})] == [
        "order.requests/0: committed 5, later 4",
        "order.requests/1: committed 1, later nothing",
    ]
    assert watch.see({("order.requests", 0): 6})[0].invariant == "INV-17"


def test_a_loss_of_offsets_is_told_once() -> None:
    """After a fall, what the group commits then is what the next sample is compared with."""
    watch = CommittedOffsets()
    watch.see({("order.requests", 0): 5})
    assert len(watch.see({("order.requests", 0): 4})) == 1
    assert watch.see({("order.requests", 0): 4}) == []


words = st.sampled_from(
    "order.place saga.events events type step payment cause topic t.order.requests seq total lines saga.started "
    "saga.stuck saga.step.succeeded saga_id a a:payment:do:1 ce_id ce_type content-type".split()
)
leaves = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | words | st.text(max_size=3)
values = st.recursive(leaves, lambda v: st.lists(v, max_size=3) | st.dictionaries(words, v, max_size=5), max_leaves=12)
headers = st.lists(
    st.tuples(words | st.just("__saga.errors.offset"), st.none() | words.map(str.encode) | st.binary(max_size=4)),
    max_size=4,
)
nonsense = st.builds(
    Record,
    st.sampled_from(TOPICS),
    st.integers(0, 3),
    st.integers(0, 5),
    st.integers(-1, 9),
    st.none() | st.sampled_from([b"", b"a", b"\xff"]),
    st.none() | st.binary(max_size=4) | values.map(orjson.dumps),
    headers.map(tuple),
)


@given(st.lists(nonsense, max_size=12))
def test_nonsense_is_judged_and_not_stumbled_over(records: list[Record]) -> None:
    """Whatever stands in the topics, there is a report."""
    check(replace(GOOD, records=tuple(records)), TERMS, fold=state_of)


@given(st.data())
def test_a_good_run_with_any_value_replaced_is_judged(data: st.DataObject) -> None:
    """Whatever a single record becomes, there is a report."""
    at = data.draw(st.integers(0, len(GOOD.records) - 1))
    spoiled = (
        orjson.loads(GOOD.records[at].value or b"{}") if GOOD.records[at].topic in ("saga.events", "saga.state") else {}
    )
    spoiled[data.draw(st.sampled_from(sorted(spoiled) or ["lines"]))] = data.draw(values)
    records = list(GOOD.records)
    records[at] = replace(records[at], value=orjson.dumps(spoiled))
    check(replace(GOOD, records=tuple(records)), TERMS, fold=state_of)


def test_an_input_after_the_end_of_a_recording_is_unread() -> None:
    """A settled run whose group has not read everything says how many records are left."""
    late = also(GOOD, one(GOOD, "payment.replies", "happy"))
    report = check(replace(late, committed=GOOD.committed), TERMS)
    assert [violation.invariant for violation in report.violations] == ["INV-5"]
    assert report.violations[0].text.endswith(": 1 records were not read")
