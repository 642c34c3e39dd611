"""The table of a benchmark."""

import pytest

from tests.benchmarks.stats import Run
from tests.benchmarks.table import comparison, growth, markdown, number, plain_text, ratio_sentence

RUNS = [
    Run(1, "ours", {"drain: sagas/s": 4_000.0, "5/s: p50 ms": 20.0}),
    Run(1, "theirs", {"drain: sagas/s": 1_000.0}),
    Run(2, "theirs", {"drain: sagas/s": 1_000.0}),
    Run(2, "ours", {"drain: sagas/s": 6_000.0, "5/s: p50 ms": 20.0}),
]


def test_the_table_has_medians_spreads_and_ratios() -> None:
    """Columns are aligned, a single value has no range, and a figure that was not measured is a dash."""
    assert plain_text(comparison(RUNS, ["ours", "theirs"])).splitlines() == [
        "median (lowest - highest)                   ours  theirs       ours / theirs",
        "drain: sagas/s             5,000 (4,000 - 6,000)   1,000  5.00 (4.00 - 6.00)",
        "5/s: p50 ms                                 20.0       -                   -",
    ]


def test_sizes_are_rows() -> None:
    """In Markdown, too; a size that failed is left out."""
    runs = [Run(1, "ours", {"sagas/s": 10.0}, (), "pods", 2_000), Run(1, "ours", {}, ["no"], "pods", 3_000)]
    assert markdown(growth(runs)).splitlines() == ["|  | sagas/s |", "| --- | ---: |", "| 2,000 pods | 10.0 |"]


def test_the_ratio_is_a_sentence() -> None:
    """It says how many times theirs ours is, or that there is nothing to compare."""
    assert ratio_sentence(RUNS, "ours", "theirs", "drain: sagas/s") == (
        "drain: sagas/s: ours is at 5.00 (4.00 - 6.00) times theirs"
    )
    assert ratio_sentence(RUNS, "ours", "theirs", "5/s: p50 ms") == "5/s: p50 ms: nothing to compare"


@pytest.mark.parametrize(
    ("value", "text"), ((12345.6, "12,346"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.1234, "0.123"))
)
def test_numbers_have_about_three_digits(value: float, text: str) -> None:
    """Large numbers are grouped by thousands, small ones keep digits after the point."""
    assert number(value) == text
