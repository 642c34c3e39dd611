"""Percentiles, medians and ratios."""

from math import isnan

from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.figures import Run, Spread, names, of_peer, percentile, ratio, spread


def test_a_percentile_is_one_of_the_values() -> None:
    """The nearest rank: of a hundred values p99 is the last but one, of one value all are that one."""
    hundred = [float(value) for value in range(1, 101)]
    assert [percentile(hundred, share) for share in (0.0, 0.5, 0.9, 0.99, 1.0)] == [1, 50, 90, 99, 100]
    assert percentile([7.0], 0.5) == percentile([7.0], 0.99) == 7
    assert isnan(percentile([], 0.5))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0.01, 1.0))
def test_a_percentile_keeps_its_promise(values: list[float], share: float) -> None:
    """At least the share of the values doesn't exceed it, and of the next smaller value that isn't true."""
    found = percentile(sorted(values), share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values)


def test_a_spread_is_median_lowest_and_highest() -> None:
    """An even number of values has its median between the middle ones; no values have none."""
    assert spread([4.0, 1.0, 2.0]) == Spread(2.0, 1.0, 4.0)
    assert spread([1.0, 3.0]) == Spread(2.0, 1.0, 3.0)
    assert spread([]) is None


def test_a_ratio_compares_within_a_round() -> None:
    """A round in which all were slow has the same ratio; one that the other didn't finish doesn't count."""
    runs = [
        Run(1, "a", {"rate": 10.0}),
        Run(1, "b", {"rate": 5.0}),
        Run(2, "a", {"rate": 100.0}),
        Run(2, "b", {"rate": 50.0}),
        Run(3, "a", {"rate": 1.0}),
        Run(3, "b", wrong=("ended",)),
        Run(4, "a", {"rate": 1.0}),
        Run(4, "b", {"rate": 0.0}),
    ]
    assert ratio(runs, "a", "b", "rate") == Spread(2.0, 2.0, 2.0)
    assert ratio(runs, "a", "c", "rate") is None
    assert of_peer(runs, "a", "rate") == Spread(5.5, 1.0, 100.0)


def test_figures_keep_their_order() -> None:
    """Names come as they first came, each once."""
    runs = [Run(1, "a", {"x": 1.0, "y": 2.0}), Run(1, "b", {"z": 1.0, "x": 2.0})]
    assert names(runs) == ["x", "y", "z"]
