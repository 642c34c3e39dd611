"""A saga costs no more inside the pod than agreed."""

import sys

import pytest

from tests.benchmarks.counts import TOLERANCE, Counter, Counts, baseline, counts


@pytest.fixture(scope="module")
def counted() -> Counts:
    """The counts; skips where a debugger or coverage already traces this process."""
    if sys.gettrace() is not None:
        pytest.skip("a debugger or coverage traces this process already")
    return counts()


def test_a_saga_costs_no_more_than_agreed(counted: Counts) -> None:
    """Nor much less: then the next change could add that much unseen."""
    agreed = baseline()
    if agreed is None:
        pytest.skip("no baseline for this version of Python: python -m tests.benchmarks.counts --write")
    changed = {
        name: (count, agreed[name]) for name, count in counted.items() if abs(count / agreed[name] - 1) > TOLERANCE
    }
    assert changed == {}, "if this cost is worth it, agree to it: python -m tests.benchmarks.counts --write"


def test_counts_are_repeatable(counted: Counts) -> None:
    """The counts are repeatable, unlike times. On Python 3.12 they are not: a second count sees fewer instructions."""
    if baseline() is None:
        pytest.skip("counts are judged only on a Python that has a baseline")
    assert counts() == pytest.approx(counted, rel=TOLERANCE / 4)


def test_only_the_pods_own_code_counts() -> None:
    """Neither this test's code nor what it calls counts; the tracing before is restored."""
    counter, before = Counter(), sys.gettrace()
    with counter.counting():
        sorted(range(100), key=lambda number: -number)
    assert (counter.instructions, counter.calls, sys.gettrace()) == (0, 0, before)
