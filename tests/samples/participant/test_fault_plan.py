"""Faults follow from seed and ids, occur in the given shares, and impossible values are refused."""

from dataclasses import replace
from typing import Any

import pytest

from app.ops.errors import CommandFailed
from app.samples.participant.fault_plan import NEVER, Failure, FaultPlan, Outage, chance

FAULTY = FaultPlan(
    seed=7, refuse=0.1, fail=0.2, fail_for_good=0.05, duplicate=0.3, lose=0.1, crash=0.15, slow=0.25, delay_ms=(5, 20)
)
IDS = [f"o-{number}:payment:do:1" for number in range(4_000)]


def test_the_same_seed_gives_the_same_faults() -> None:
    """In whatever order the commands come; another seed gives other faults."""
    again = replace(FAULTY)
    assert [FAULTY.fault_for(id, "do") for id in IDS] == [again.fault_for(id, "do") for id in reversed(IDS)][::-1]
    other = replace(FAULTY, seed=8)
    assert [FAULTY.fault_for(id, "do") for id in IDS] != [other.fault_for(id, "do") for id in IDS]


def test_a_seed_gives_the_same_draws_for_good() -> None:
    """A seed from an old report still gives the faults of that report."""
    assert chance(7, "fail", "o-1:payment:do:1") == 0.690522143275432


def test_attempts_differ_and_orders_do_not() -> None:
    """A failed attempt may be followed by one that succeeds; a refused order stays refused."""
    assert len({FAULTY.fault_for(f"o-1:payment:do:{attempt}", "do") for attempt in range(1, 50)}) > 5
    assert {FAULTY.refuses("o-1") for _ in range(3)} in ({True}, {False})


def test_faults_occur_in_the_given_shares() -> None:
    """Within three percentage points over thousands of commands."""
    faults = [FAULTY.fault_for(id, "do") for id in IDS]
    shares = {
        0.05: sum(fault.failure is Failure.FOR_GOOD for fault in faults),
        0.95 * 0.2: sum(fault.failure is Failure.RETRYABLE for fault in faults),
        0.1: sum(fault.copies == 0 for fault in faults),
        0.9 * 0.3: sum(fault.copies == 2 for fault in faults),
        0.15: sum(fault.crash is not None for fault in faults),
        0.25: sum(fault.delay_ms >= 1_000 for fault in faults),
    }
    for share, found in shares.items():
        assert found / len(IDS) == pytest.approx(share, abs=0.03)
    assert sum(FAULTY.refuses(id) for id in IDS) / len(IDS) == pytest.approx(0.1, abs=0.03)


def test_delays_stay_within_their_ranges() -> None:
    """From 5 to 20 ms, or for slow replies from 1 to 3 s, bounds included."""
    delays = [FAULTY.fault_for(id, "do").delay_ms for id in IDS]
    quick, slow = [ms for ms in delays if ms < 1_000], [ms for ms in delays if ms >= 1_000]
    assert (min(quick), max(quick)) == (5, 20)
    assert 1_000 <= min(slow) < 1_050
    assert 2_950 < max(slow) <= 3_000


def test_dos_and_undos_have_separate_shares() -> None:
    """A share of failing undos doesn't make dos fail, nor the other way round."""
    undo_only, do_only = FaultPlan(fail_undo_for_good=1), FaultPlan(fail_for_good=1)
    assert undo_only.fault_for("x", "do").failure is None
    assert undo_only.fault_for("x", "undo").failure is Failure.FOR_GOOD
    assert do_only.fault_for("x", "undo").failure is None


def test_the_default_plan_has_no_faults() -> None:
    """Every command is answered at once, with one copy."""
    fault = FaultPlan().fault_for("x", "do")
    assert (fault.failure, fault.delay_ms, fault.copies, fault.crash) == (None, 0, 1, None)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    (
        ({"fail": 1.1}, "fail is a share"),
        ({"lose": -0.1}, "lose is a share"),
        ({"slow": float("nan")}, "slow is a share"),
        ({"delay_ms": (20, 5)}, "delay_ms needs two times"),
        ({"slow_ms": (0, 60_001)}, "slow_ms needs two times"),
    ),
)
def test_impossible_values_are_refused(wrong: dict[str, Any], sentence: str) -> None:
    """A share outside of 0 to 1, or a range that runs backwards, is named."""
    with pytest.raises(CommandFailed, match=sentence):
        FaultPlan(**wrong)


def test_an_outage_includes_its_begin_but_not_its_end() -> None:
    """NEVER contains no time; an outage that ends at infinity contains every later time."""
    outage = Outage(10, 12.5)
    assert [seconds for seconds in (0, 9.99, 10, 12.49, 12.5, 1e9) if seconds in outage] == [10, 12.49]
    assert 0 not in NEVER
    assert 1e12 in Outage(5, float("inf"))


@pytest.mark.parametrize(("begins", "ends"), ((40, 10), (-1, 10), (float("nan"), 10), (0, float("nan"))))
def test_an_impossible_outage_is_refused(begins: float, ends: float) -> None:
    """It may not run backwards, begin before the start, or have a bound that is no number."""
    with pytest.raises(CommandFailed, match="an outage needs two times"):
        Outage(begins, ends)
