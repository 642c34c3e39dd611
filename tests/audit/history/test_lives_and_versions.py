"""Retention of ended sagas, the lives of an order id, and versions that the spec lacks."""

from dataclasses import replace

import orjson
import pytest

from app.audit.check import check
from app.audit.recording.recording import Recording
from app.audit.spec import SagaSpec
from tests.audit.case import state_of
from tests.audit.events import RETENTION_MS
from tests.audit.runs import EVERY_RUN
from tests.audit.sagas import CONTRACT, PACKED, SPEC
from tests.audit.topic_logs import START_MS

LATEST = SagaSpec("order", {2: PACKED})


def without_changelog(scenario: str, taken_ms: int) -> Recording:
    """A scenario with an empty changelog, recorded `taken_ms` after the start."""
    run = EVERY_RUN[scenario]
    kept = tuple(record for record in run.records if record.topic != "saga.state")
    return replace(run, records=kept, taken_ms=START_MS + taken_ms)


def broken(recording: Recording) -> set[str]:
    """The invariants that a recording breaks."""
    return set(check(recording, SPEC, fold=state_of).by_invariant)


@pytest.mark.parametrize(("taken_ms", "found"), ((2 * RETENTION_MS, set()), (RETENTION_MS // 2, {"INV-10"})))
def test_a_state_may_be_missing_after_its_retention(taken_ms: int, found: set[str]) -> None:
    """Compaction removes tombstones too. Then the time of the recording shows whether the saga may be expired."""
    assert broken(without_changelog("happy", taken_ms)) == found


def test_a_stuck_saga_never_expires() -> None:
    """Its state must exist at any later time."""
    assert broken(without_changelog("refund_stuck", 10**12)) == {"INV-10"}


def test_a_saga_may_expire_late() -> None:
    """A timer that expires it late is no violation: until then, a duplicate of the order is recognised."""
    assert broken(replace(EVERY_RUN["repeated"], taken_ms=START_MS + 10 * RETENTION_MS)) == set()


def test_sagas_of_unknown_versions_are_noted() -> None:
    """The report gives the number of sagas that ended in a version that the spec lacks."""
    report = check(EVERY_RUN["declined"], LATEST, fold=state_of)
    assert report.violations == ()
    assert report.notes == ("1 sagas ended in version 1, whose definition is unknown: they are judged only in part",)
    assert report.totals.rejected == 1


def test_an_unfinished_saga_needs_its_version() -> None:
    """Without its definition it can't go on: INV-5."""
    assert "INV-5" in check(EVERY_RUN["refund_stuck"], LATEST, fold=state_of).by_invariant


def test_a_saga_is_judged_by_its_own_version() -> None:
    """Events that are right in one version are wrong in another."""
    swapped = SagaSpec("order", {1: PACKED, 2: CONTRACT})
    for scenario in ("happy", "shipped"):
        assert check(EVERY_RUN[scenario], SPEC, fold=state_of).violations == ()
        assert "INV-4" in check(EVERY_RUN[scenario], swapped, fold=state_of).by_invariant


def test_both_lives_of_an_id_are_judged() -> None:
    """The second life has decisions from 1 and the same command ids; each life is judged by its own order."""
    run = EVERY_RUN["placed_again"]
    decisions = [orjson.loads(r.value or b"{}") for r in run.records if r.topic == "saga.events"]
    assert [decision["seq"] for decision in decisions] == [1, 2, 3, 4, 1, 2, 3]
    totals = check(run, SPEC, fold=state_of).totals
    assert (totals.started, totals.completed, totals.rejected, totals.orders_distinct) == (2, 1, 1, 1)
