"""Percentiles, medians and ratios."""

from math import isnan

from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.stats import Run, Spread, figure_names, peer_spread, percentile, ratio, spread


def test_a_percentile_is_one_of_the_values() -> None:
    """Nearest rank: p99 of a hundred values is the last but one; every percentile of one value is that value."""
    hundred = [float(value) for value in range(1, 101)]
    assert [percentile(hundred, share) for share in (0.0, 0.5, 0.9, 0.99, 1.0)] == [1, 50, 90, 99, 100]
    assert percentile([7.0], 0.5) == percentile([7.0], 0.99) == 7
    assert isnan(percentile([], 0.5))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0.01, 1.0))
def test_a_percentile_bounds_its_share_of_the_values(values: list[float], share: float) -> None:
    """At least that share of the values doesn't exceed it, and fewer don't exceed the next smaller value."""
    found = percentile(sorted(values), share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values)


def test_a_spread_is_median_lowest_and_highest() -> None:
    """The median of an even number of values is between the middle two; no values have no spread."""
    assert spread([4.0, 1.0, 2.0]) == Spread(2.0, 1.0, 4.0)
    assert spread([1.0, 3.0]) == Spread(2.0, 1.0, 3.0)
    assert spread([]) is None


def test_a_ratio_compares_within_a_round() -> None:
    """A round in which all were slow has the same ratio; a round that one peer didn't finish doesn't count."""
    runs = [
        Run(1, "a", {"rate": 10.0}),
        Run(1, "b", {"rate": 5.0}),
        Run(2, "a", {"rate": 100.0}),
        Run(2, "b", {"rate": 50.0}),
        Run(3, "a", {"rate": 1.0}),
        Run(3, "b", errors=("ended",)),
        Run(4, "a", {"rate": 1.0}),
        Run(4, "b", {"rate": 0.0}),
    ]
    assert ratio(runs, "a", "b", "rate") == Spread(2.0, 2.0, 2.0)
    assert ratio(runs, "a", "c", "rate") is None
    assert peer_spread(runs, "a", "rate") == Spread(5.5, 1.0, 100.0)


def test_figures_keep_their_order() -> None:
    """Names are in the order of their first appearance, each once."""
    runs = [Run(1, "a", {"x": 1.0, "y": 2.0}), Run(1, "b", {"z": 1.0, "x": 2.0})]
    assert figure_names(runs) == ["x", "y", "z"]
