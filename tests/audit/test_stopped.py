"""Nothing is ever stuck silently: wherever a saga stops, it is found, unless it ended or called for a person."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from app.audit.invariants import check
from app.audit.recording import Record
from tests.audit.runs import BY_VERSION
from tests.audit.sagas import TERMS
from tests.audit.scribe import Case, Due, state_of
from tests.audit.world import Body, World

CALLED_FOR_A_PERSON = {
    ("until_stuck", 4),
    ("skipped", 4),
    ("skipped", 5),
    ("unstuck", 4),
    ("unstuck", 6),
    ("lost", 6),
    ("found", 6),
    ("shipped_by_hand", 6),
    ("never_shipped", 6),
    ("untold", 8),
    ("cancelled_packing", 7),
    *(("one_by_one", decisions) for decisions in (4, 5, 6, 9)),
    ("both_at_once", 4),
}
"""After so many decisions all that is under way is stuck. After six of `cancelled_packing`, a release is still open."""

ALL_WAYS = [(way, version) for version, ways in BY_VERSION.items() for way in ways]


class Stopped(Exception):
    """The orchestrator decides no more."""


@dataclass(slots=True)
class Halting(Case):
    """An order whose orchestrator stops after some decisions, and leaves the next input unwritten."""

    left: int = 0

    def decide(self, cause: Record | Due, *given: Body) -> None:
        """Decides as long as it may."""
        if not self.left:
            if isinstance(cause, Record):
                self.world.records.remove(cause)
                self.world.ends[cause.topic, cause.partition] -= 1
            raise Stopped
        self.left -= 1
        Case.decide(self, cause, *given)


def stops(way: Callable[[Case], None], version: int, decisions: int) -> tuple[set[str], bool] | None:
    """The invariants broken when a way is stopped so early, and whether its last state is an end; None if it isn't."""
    world = World()
    case = Halting(world, way.__name__, version=version, left=decisions)
    try:
        way(case)
    except Stopped:
        recording = world.recording()
        last = [r.value or b'"completed"' for r in recording.records if r.topic == "saga.state"][-1]
        over = b'"completed"' in last or b'"rolled_back"' in last
        return set(check(recording, TERMS, fold=state_of).by_invariant), over
    return None


@pytest.mark.parametrize(("way", "version"), ALL_WAYS, ids=[way.__name__ for way, _ in ALL_WAYS])
def test_a_saga_that_merely_stopped_is_found(way: Callable[[Case], None], version: int) -> None:
    """After each decision of each way: it ended, or it is stuck and said so, or just this is what is wrong."""
    decisions = 1
    while (found := stops(way, version, decisions)) is not None:
        broken, over = found
        quiet = over or (way.__name__, decisions) in CALLED_FOR_A_PERSON
        assert broken == (set() if quiet else {"INV-5"}), f"after {decisions} decisions"
        decisions += 1
    assert decisions > 1


def test_it_is_told_what_a_saga_waits_for() -> None:
    """The report names the step and how it stands."""
    world = World()
    case = Halting(world, "queued", left=1)
    with pytest.raises(Stopped):
        BY_VERSION[1][13](case)
    texts = [violation.text for violation in check(world.recording(), TERMS).violations]
    assert texts == ["the saga is still going forward: reservation is waiting to be asked for"]
