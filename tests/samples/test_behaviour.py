"""Misbehaviour follows from seed and ids, comes in the asked-for shares, and what cannot be is refused."""

from dataclasses import replace
from typing import Any

import pytest

from app.samples.behaviour import Behaviour, Failure, chance
from app.samples.outage import NEVER, Outage
from app.samples.trouble import Trouble

WILD = Behaviour(
    seed=7, refuse=0.1, fail=0.2, fail_for_good=0.05, duplicate=0.3, lose=0.1, crash=0.15, slow=0.25, delay_ms=(5, 20)
)
IDS = [f"o-{number}:payment:do:1" for number in range(4_000)]


def test_a_run_can_be_told_again() -> None:
    """The same seed gives the same whims, whatever was asked before; another seed gives others."""
    again = replace(WILD)
    assert [WILD.whim(id, "do") for id in IDS] == [again.whim(id, "do") for id in reversed(IDS)][::-1]
    other = replace(WILD, seed=8)
    assert [WILD.whim(id, "do") for id in IDS] != [other.whim(id, "do") for id in IDS]


def test_a_seed_keeps_its_meaning() -> None:
    """The draw is fixed for ever: a seed from an old report still tells the same story."""
    assert chance(7, "fail", "o-1:payment:do:1") == 0.690522143275432


def test_attempts_differ_and_orders_do_not() -> None:
    """A failed attempt may be followed by one that works; a refused order stays refused."""
    assert len({WILD.whim(f"o-1:payment:do:{attempt}", "do") for attempt in range(1, 50)}) > 5
    assert {WILD.refuses("o-1") for _ in range(3)} in ({True}, {False})


def test_shares_are_kept() -> None:
    """Over thousands of commands each whim is about as frequent as asked for."""
    whims = [WILD.whim(id, "do") for id in IDS]
    shares = {
        0.05: sum(whim.failure is Failure.FOR_GOOD for whim in whims),
        0.95 * 0.2: sum(whim.failure is Failure.RETRYABLE for whim in whims),
        0.1: sum(whim.copies == 0 for whim in whims),
        0.9 * 0.3: sum(whim.copies == 2 for whim in whims),
        0.15: sum(whim.crash is not None for whim in whims),
        0.25: sum(whim.delay_ms >= 1_000 for whim in whims),
    }
    for share, found in shares.items():
        assert found / len(IDS) == pytest.approx(share, abs=0.03)
    assert sum(WILD.refuses(id) for id in IDS) / len(IDS) == pytest.approx(0.1, abs=0.03)


def test_delays_stay_within_their_ranges() -> None:
    """Quick replies take 5 to 20 ms here, slow ones 1 to 3 s, and the ends of the ranges do occur."""
    delays = [WILD.whim(id, "do").delay_ms for id in IDS]
    quick, slow = [ms for ms in delays if ms < 1_000], [ms for ms in delays if ms >= 1_000]
    assert (min(quick), max(quick)) == (5, 20)
    assert 1_000 <= min(slow) < 1_050
    assert 2_950 < max(slow) <= 3_000


def test_only_undos_fail_as_undos() -> None:
    """The share of failing undos leaves dos alone, and the other way round."""
    undo_only, do_only = Behaviour(fail_undo_for_good=1), Behaviour(fail_for_good=1)
    assert undo_only.whim("x", "do").failure is None
    assert undo_only.whim("x", "undo").failure is Failure.FOR_GOOD
    assert do_only.whim("x", "undo").failure is None


def test_the_best_behaviour_does_nothing_wrong() -> None:
    """By default every command is answered at once, and once."""
    whim = Behaviour().whim("x", "do")
    assert (whim.failure, whim.delay_ms, whim.copies, whim.crash) == (None, 0, 1, None)


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
def test_what_cannot_be_is_refused(wrong: dict[str, Any], sentence: str) -> None:
    """A share beyond 1 or a range that runs backwards is named."""
    with pytest.raises(Trouble, match=sentence):
        Behaviour(**wrong)


def test_an_outage_has_an_end() -> None:
    """Its first moment belongs to it, its last doesn't; what never is has no moment, what never ends has all."""
    outage = Outage(10, 12.5)
    assert [seconds for seconds in (0, 9.99, 10, 12.49, 12.5, 1e9) if seconds in outage] == [10, 12.49]
    assert 0 not in NEVER
    assert 1e12 in Outage(5, float("inf"))


@pytest.mark.parametrize(("begins", "ends"), ((40, 10), (-1, 10), (float("nan"), 10), (0, float("nan"))))
def test_an_outage_that_cannot_be_is_refused(begins: float, ends: float) -> None:
    """It may not run backwards, begin before the start, or have no number."""
    with pytest.raises(Trouble, match="an outage needs two times"):
        Outage(begins, ends)
