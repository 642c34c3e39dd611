"""An unexpected error in a decision: its coordinates are logged, data of its record never is."""

import logging
from pathlib import Path
from typing import Any, NoReturn

import pytest

from app.engine.errors import DecisionFailed
from app.ops.logs import frames_only
from tests.benchmarks.in_process_pod import in_process_pod as inside
from tests.benchmarks.in_process_pod import load
from tests.engine.runtime.test_wakeups import NOW, FakePod, close

CUSTOMER_DATA = "card 4111"


def fails(*_: object) -> NoReturn:
    """Stands in for a defect in a handler."""
    raise KeyError(CUSTOMER_DATA)


def failure_of(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """The one log line of the failure."""
    (record,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert record.getMessage() == "decision failed"
    assert record.exc_info is not None
    error = record.exc_info[1]
    assert isinstance(error, KeyError)
    assert frames_only(error).endswith("KeyError\n")
    return vars(record)


def test_a_record_that_can_not_be_decided_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Topic, partition and offset are in the log line, and in the sentence that ends the pod."""
    with inside(tmp_path) as pod:
        pod.feed(load("orders", 1)[0])
        executors = dict.fromkeys(pod._executors, fails)
        with pytest.raises(DecisionFailed) as error:
            pod._loop.run_once(executors)
    record = failure_of(caplog)
    where = (record["topic"], record["partition"], record["offset"])
    assert where[0] == "order.requests"
    assert str(error.value) == (
        f"a decision failed with KeyError (topic {where[0]}, partition {where[1]}, offset {where[2]}): "
        "see the log line before this one"
    )
    assert CUSTOMER_DATA not in str(error.value)


def test_a_timer_that_can_not_be_decided_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Partition and due time are."""
    pod = FakePod(tmp_path)
    pod.end_offsets.read_until_ms = NOW
    pod.save_sagas(0, "due", due_ms=NOW - 5)
    pod.wakeups._on_timer = fails
    with pytest.raises(DecisionFailed, match=rf"KeyError \(partition 0, timer_due_ms {NOW - 5}\)"):
        pod.run_batch()
    assert failure_of(caplog)["timer_due_ms"] == NOW - 5
    close(pod)


def test_an_admission_that_can_not_be_decided_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Partition and step are."""
    pod = FakePod(tmp_path)
    pod.save_sagas(0, "queued")
    pod.wakeups._on_capacity = fails
    with pytest.raises(DecisionFailed, match=r"KeyError \(partition 0, capacity_for reservation\)"):
        pod.run_batch()
    assert failure_of(caplog)["capacity_for"] == "reservation"
    close(pod)
