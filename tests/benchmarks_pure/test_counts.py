"""What a saga takes inside the pod: no more than was agreed to."""

import sys

import pytest

from tests.benchmarks.counts import TOLERANCE, Counter, Counts, baseline, counts


@pytest.fixture(scope="module")
def counted() -> Counts:
    """What it takes now; not where something else traces this process."""
    if sys.gettrace() is not None:
        pytest.skip("a debugger, or a measurement of coverage, counts already")
    return counts()


def test_a_saga_takes_no_more_than_before(counted: Counts) -> None:
    """Nor much less, as then the next change could take that much more unseen."""
    agreed = baseline()
    if agreed is None:
        pytest.skip("no baseline for this version of Python: python -m tests.benchmarks.counts --write")
    off = {name: (count, agreed[name]) for name, count in counted.items() if abs(count / agreed[name] - 1) > TOLERANCE}
    assert off == {}, "agree to it, if it is worth it: python -m tests.benchmarks.counts --write"


def test_the_count_is_the_same_again(counted: Counts) -> None:
    """It is no measurement."""
    assert counts() == pytest.approx(counted, rel=TOLERANCE / 4)


def test_only_the_pods_own_code_counts() -> None:
    """Neither this test, nor what it calls elsewhere; the tracing of before goes on afterwards."""
    counter, before = Counter(), sys.gettrace()
    with counter.counting():
        sorted(range(100), key=lambda number: -number)
    assert (counter.instructions, counter.calls, sys.gettrace()) == (0, 0, before)
