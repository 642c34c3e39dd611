"""The report of a benchmark, and the count of what is written to Kafka per saga."""

from pathlib import Path

import pytest

from tests.benchmarks.kafka_writes import KafkaWrites
from tests.benchmarks.report import write
from tests.benchmarks.stats import Run

COMPARED = [
    Run(1, "ours", {"drain: sagas/s": 4_000.0}),
    Run(1, "theirs", {"drain: sagas/s": 1_000.0}, ["two are missing"]),
]
COSTS = {"CPU s per 1,000": 0.1, "broker CPU s per 1,000": 0.05}
SIZES = [Run(1, "ours", COSTS, (), axis, size) for axis in ("pods", "partitions") for size in (1, 4)]


def test_a_report_has_tables_chart_and_errors(tmp_path: Path) -> None:
    """Both tables, the chart of the second one, and the errors."""
    folder = tmp_path / "new"
    write(folder, "one broker", [*COMPARED, *SIZES], ["ours", "theirs"])
    text = (folder / "report.md").read_text("utf-8")
    assert "| drain: sagas/s | 4,000 | 1,000 | 4.00 |" in text
    assert "| 4 partitions | 0.100 | 0.050 |" in text
    assert "- round 1, theirs: two are missing" in text
    assert "![CPU time at all sizes](growth.svg)" in text
    assert (folder / "growth.svg").read_text("utf-8").startswith("<?xml")


def test_a_report_has_no_more_than_was_measured(tmp_path: Path) -> None:
    """Without sizes there is no chart; a size that failed is in the errors, not in the chart."""
    write(tmp_path, "one broker", [COMPARED[0], Run(1, "ours", {}, ["no"], "pods", 2)], ["ours"])
    text = (tmp_path / "report.md").read_text("utf-8")
    assert "growth" not in text
    assert "- round 1, ours: no" in text
    assert not (tmp_path / "growth.svg").exists()


def test_writes_are_counted_per_saga() -> None:
    """Only what was written between the two counts."""
    before, after = KafkaWrites(10, 4, 1_000, 2, 500), KafkaWrites(30, 8, 5_000, 4, 900)
    assert after.since(before).per_saga(10) == {
        "records per saga": 2.0,
        "bytes per saga": 400.0,
        "markers per saga": 0.4,
        "sagas per transaction": 5.0,
        "internal topics, bytes per saga": 40.0,
    }


def test_without_transactions_there_are_no_sagas_per_transaction() -> None:
    """An orchestrator may commit without transactions."""
    assert KafkaWrites(10, 0, 100, 0, 0).per_saga(10)["sagas per transaction"] == pytest.approx(0.0)
