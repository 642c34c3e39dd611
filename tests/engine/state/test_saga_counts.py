"""Saga counts of a partition."""

from itertools import pairwise

from app.engine.state.saga_counts import NO_COUNTERS, SagaCounts, counters_of
from app.saga.state import (
    ActiveStep,
    BackingOff,
    Compensating,
    Completed,
    InFlight,
    NotStarted,
    Progress,
    Queued,
    RolledBack,
    Running,
    SagaData,
    Stuck,
    Why,
)

WHY = Why("no funds", "payment", requested=False)
IN_FLIGHT, BACKING_OFF = InFlight("a", 1, 1, 0, 9), BackingOff("b", 1, 1, 9)
QUEUED, STUCK = Queued("c", 0, 1), Stuck("d", 5, 1, 0, "down")


def data(version: int = 1) -> SagaData:
    """The data of a saga of that version."""
    return SagaData("order", version, "d", 0, {}, {})


def running(*active_steps: ActiveStep, version: int = 1) -> Progress:
    """A running saga with these steps active."""
    return Progress(1, Running(data(version), None, active_steps))


def test_all_counts_are_zero_at_first() -> None:
    """All counts are zero."""
    assert SagaCounts().document() == {"asked": {}, "waiting": {}, "live": {}, "stuck": 0, "ended": 0}


def test_each_saga_is_counted_in_its_state() -> None:
    """A command in backoff counts as in flight; a saga with several stuck steps counts once as stuck."""
    counts = SagaCounts()
    counts.change(NO_COUNTERS, counters_of(running(IN_FLIGHT, BACKING_OFF).state))
    counts.change(NO_COUNTERS, counters_of(running(QUEUED, STUCK, STUCK, version=2).state))
    counts.change(NO_COUNTERS, counters_of(Progress(3, Compensating(data(), WHY, (IN_FLIGHT,), ("b",))).state))
    counts.change(NO_COUNTERS, counters_of(Progress(3, Completed(data(), 5)).state))
    counts.change(NO_COUNTERS, counters_of(Progress(3, RolledBack(data(), WHY, 5)).state))
    counts.change(NO_COUNTERS, counters_of(Progress(0, NotStarted()).state))
    assert counts.document() == {
        "asked": {"a": 2, "b": 1},
        "waiting": {"c": 1},
        "live": {"order/1": 2, "order/2": 1},
        "stuck": 1,
        "ended": 2,
    }


def test_a_changed_saga_is_counted_once() -> None:
    """Only in its new state; a deleted saga in none."""
    counts = SagaCounts()
    one, other, done = running(IN_FLIGHT), running(QUEUED), Progress(3, Completed(data(), 5))
    for old, new in pairwise((None, one.state, other.state, done.state, None)):
        counts.change(counters_of(old), counters_of(new))
    assert counts.document() == SagaCounts().document()


def test_counts_can_be_stored_and_loaded() -> None:
    """Loaded counts go on from where they were."""
    counts, loaded = SagaCounts(), SagaCounts()
    counts.change(NO_COUNTERS, counters_of(running(IN_FLIGHT, QUEUED, STUCK, version=7).state))
    loaded.load(counts.document())
    loaded.change(counters_of(running(IN_FLIGHT, QUEUED, STUCK, version=7).state), NO_COUNTERS)
    assert loaded.document() == SagaCounts().document()


def test_cached_changes_are_bounded() -> None:
    """A saga with many parallel steps can make almost any number of changes: the counts stay right."""
    counts, states = SagaCounts(), [running(*_steps_of(number)).state for number in range(1, 12_001)]
    for state in states:
        counts.change(NO_COUNTERS, counters_of(state))
    assert len(counts._deltas) <= 10_000
    assert counts.live["order/1"] == len(states)
    assert counts.in_flight["s0"] == len(states) // 2


def _steps_of(number: int) -> list[ActiveStep]:
    """The steps whose bits are set in the number."""
    return [InFlight(f"s{bit}", 1, 1, 0, 9) for bit in range(14) if number >> bit & 1]
