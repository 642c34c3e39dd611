"""How long a saga is remembered, and by whom: states that are deleted, and versions that nobody knows any more."""

from dataclasses import replace

import orjson
import pytest

from app.audit.invariants import check
from app.audit.recording import Recording
from app.audit.terms import Terms
from tests.audit.events import REMEMBERED_MS
from tests.audit.runs import EVERY_RUN
from tests.audit.sagas import CONTRACT, PACKED, TERMS
from tests.audit.scribe import state_of
from tests.audit.world import BEGIN_MS

LATEST = Terms("order", {2: PACKED})


def stateless(way: str, taken_ms: int) -> Recording:
    """A way of which the changelog holds nothing any more, tombstones and all; read so long after the begin."""
    run = EVERY_RUN[way]
    kept = tuple(record for record in run.records if record.topic != "saga.state")
    return replace(run, records=kept, taken_ms=BEGIN_MS + taken_ms)


def broken(recording: Recording) -> set[str]:
    """The invariants that a recording breaks."""
    return set(check(recording, TERMS, fold=state_of).by_invariant)


@pytest.mark.parametrize(("taken_ms", "found"), ((2 * REMEMBERED_MS, set()), (REMEMBERED_MS // 2, {"INV-10"})))
def test_a_state_may_be_gone_when_its_time_has_passed(taken_ms: int, found: set[str]) -> None:
    """Compaction removes tombstones too: then the time of the reading tells whether the saga can be forgotten."""
    assert broken(stateless("happy", taken_ms)) == found


def test_a_stuck_saga_is_never_forgotten() -> None:
    """However late it is."""
    assert broken(stateless("until_stuck", 10**12)) == {"INV-10"}


def test_a_saga_may_be_remembered_for_longer() -> None:
    """A timer that comes late is no breach: the duplicate of an order is still known as one."""
    assert broken(replace(EVERY_RUN["repeated"], taken_ms=BEGIN_MS + 10 * REMEMBERED_MS)) == set()


def test_versions_that_are_gone_are_mentioned() -> None:
    """What ended by a version that the terms lack can't be judged: the report says how many that are."""
    report = check(EVERY_RUN["declined"], LATEST, fold=state_of)
    assert report.violations == ()
    assert report.notes == ("1 sagas ended by version 1, of which no definition is known: judged in part only",)
    assert report.totals.rejected == 1


def test_a_saga_under_way_needs_its_version() -> None:
    """What has not ended can't go on without its definition, and the checker does not take it for quiet."""
    assert "INV-5" in check(EVERY_RUN["until_stuck"], LATEST, fold=state_of).by_invariant


def test_a_saga_is_judged_by_its_own_version() -> None:
    """The same events are right in one version and wrong in another."""
    swapped = Terms("order", {1: PACKED, 2: CONTRACT})
    for way in ("happy", "shipped"):
        assert check(EVERY_RUN[way], TERMS, fold=state_of).violations == ()
        assert "INV-4" in check(EVERY_RUN[way], swapped, fold=state_of).by_invariant


def test_both_lives_of_an_id_are_judged() -> None:
    """The second history is numbered from 1 and sends the same command ids, and each is held to its own order."""
    run = EVERY_RUN["placed_again"]
    starts = [orjson.loads(r.value or b"{}") for r in run.records if r.topic == "saga.events"]
    assert [decision["seq"] for decision in starts] == [1, 2, 3, 4, 1, 2, 3]
    totals = check(run, TERMS, fold=state_of).totals
    assert (totals.started, totals.completed, totals.rejected, totals.orders_distinct) == (2, 1, 1, 1)
