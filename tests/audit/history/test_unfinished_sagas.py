"""No saga stops unnoticed: INV-5 is broken wherever it stops, unless it has ended or is stuck and says so."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from app.audit.check import check
from app.audit.recording.recording import Record
from tests.audit.case import Case, TimerCause, state_of
from tests.audit.runs import BY_VERSION
from tests.audit.sagas import SPEC
from tests.audit.topic_logs import Body, TopicLogs

ALL_STUCK = {
    ("refund_stuck", 4),
    ("refund_skipped", 4),
    ("refund_skipped", 5),
    ("refund_retried", 4),
    ("refund_retried", 6),
    ("shipping_retried", 6),
    ("shipping_replied_late", 6),
    ("shipping_skipped", 6),
    ("compensated_by_operator", 6),
    ("notice_stuck", 8),
    ("cancelled_packing", 7),
    *(("undos_skipped_singly", decisions) for decisions in (4, 5, 6, 9)),
    ("both_undos_retried", 4),
}
"""Scenario and number of decisions after which all active steps are stuck.

Not after 6 of `cancelled_packing`: a release is still in flight.
"""

ALL_SCENARIOS = [(scenario, version) for version, scenarios in BY_VERSION.items() for scenario in scenarios]


class Stopped(Exception):
    """The orchestrator makes no more decisions."""


@dataclass(slots=True)
class StoppingCase(Case):
    """An order whose orchestrator stops after `left` decisions. The next input is not written."""

    left: int = 0

    def decide(self, cause: Record | TimerCause, *given: Body) -> None:
        """Raises Stopped if no decision is left."""
        if not self.left:
            if isinstance(cause, Record):
                self.logs.records.remove(cause)
                self.logs.ends[cause.topic, cause.partition] -= 1
            raise Stopped
        self.left -= 1
        Case.decide(self, cause, *given)


def stop_after(decisions: int, scenario: Callable[[Case], None], version: int) -> tuple[set[str], bool] | None:
    """The invariants that the stopped scenario breaks, and whether its saga has ended; None if it was not stopped."""
    logs = TopicLogs()
    case = StoppingCase(logs, scenario.__name__, version=version, left=decisions)
    try:
        scenario(case)
    except Stopped:
        recording = logs.recording()
        last = [r.value or b'"completed"' for r in recording.records if r.topic == "saga.state"][-1]
        ended = b'"completed"' in last or b'"rolled_back"' in last
        return set(check(recording, SPEC, fold=state_of).by_invariant), ended
    return None


@pytest.mark.parametrize(
    ("scenario", "version"), ALL_SCENARIOS, ids=[scenario.__name__ for scenario, _ in ALL_SCENARIOS]
)
def test_a_saga_that_stops_is_found(scenario: Callable[[Case], None], version: int) -> None:
    """After each decision, the saga has ended, or all its active steps are stuck, or exactly INV-5 is broken."""
    decisions = 1
    while (found := stop_after(decisions, scenario, version)) is not None:
        broken, ended = found
        settled = ended or (scenario.__name__, decisions) in ALL_STUCK
        assert broken == (set() if settled else {"INV-5"}), f"after {decisions} decisions"
        decisions += 1
    assert decisions > 1


def test_the_violation_names_the_step_and_its_status() -> None:
    """A queued step is named with its status."""
    logs = TopicLogs()
    case = StoppingCase(logs, "queued", left=1)
    with pytest.raises(Stopped):
        BY_VERSION[1][13](case)
    texts = [violation.text for violation in check(logs.recording(), SPEC).violations]
    assert texts == ["the saga is still running: reservation is queued"]
