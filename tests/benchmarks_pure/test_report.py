"""The report of a benchmark, and what is written to Kafka for a saga."""

from pathlib import Path

import pytest

from tests.benchmarks.cost import Written
from tests.benchmarks.figures import Run
from tests.benchmarks.report import write

BESIDE = [
    Run(1, "ours", {"drain: sagas/s": 4_000.0}),
    Run(1, "theirs", {"drain: sagas/s": 1_000.0}, ["two are missing"]),
]
COSTS = {"CPU s per 1,000": 0.1, "broker CPU s per 1,000": 0.05}
SIZES = [Run(1, "ours", COSTS, (), axis, size) for axis in ("pods", "partitions") for size in (1, 4)]


def test_a_report_has_all_of_it(tmp_path: Path) -> None:
    """Both tables, the picture that the second one is drawn as, and what was wrong."""
    folder = tmp_path / "new"
    write(folder, "one broker", [*BESIDE, *SIZES], ["ours", "theirs"])
    text = (folder / "report.md").read_text("utf-8")
    assert "| drain: sagas/s | 4,000 | 1,000 | 4.00 |" in text
    assert "| 4 partitions | 0.100 | 0.050 |" in text
    assert "- round 1, theirs: two are missing" in text
    assert "![Processor time at all sizes](growth.svg)" in text
    assert (folder / "growth.svg").read_text("utf-8").startswith("<?xml")


def test_a_report_has_no_more_than_was_measured(tmp_path: Path) -> None:
    """Without sizes there is no picture; a size that could not be measured is told, not drawn."""
    write(tmp_path, "one broker", [BESIDE[0], Run(1, "ours", {}, ["no"], "pods", 2)], ["ours"])
    text = (tmp_path / "report.md").read_text("utf-8")
    assert "growth" not in text
    assert "- round 1, ours: no" in text
    assert not (tmp_path / "growth.svg").exists()


def test_what_is_written_is_told_for_one_saga() -> None:
    """Between two looks, so that what was there before doesn't count."""
    before, after = Written(10, 4, 1_000, 2, 500), Written(30, 8, 5_000, 4, 900)
    assert after.since(before).of_each(10) == {
        "records a saga": 2.0,
        "bytes a saga": 400.0,
        "markers a saga": 0.4,
        "sagas a transaction": 5.0,
        "broker's notes, bytes a saga": 40.0,
    }


def test_without_transactions_nothing_is_told_of_them() -> None:
    """An orchestrator may have none."""
    assert Written(10, 0, 100, 0, 0).of_each(10)["sagas a transaction"] == pytest.approx(0.0)
