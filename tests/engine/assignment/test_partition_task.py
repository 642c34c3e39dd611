"""A partition's task: which positions step over control records, and when."""

from types import SimpleNamespace
from typing import Any, cast

from app.engine.assignment.partition_task import InputRecord, PartitionTask


def waiting(topic: str) -> InputRecord:
    """A record in the task's queue."""
    return cast("Any", SimpleNamespace(topic=lambda: topic)), None, 1


def task() -> PartitionTask:
    """A partition with two inputs, both decided up to 4, and both seen to end at 5, behind a control record."""
    made = PartitionTask(0, cast("Any", None), {"requests": 4, "replies": 4})
    made.ends = {"requests": 5, "replies": 5}
    return made


def test_positions_step_over_control_records_at_the_end() -> None:
    """An end that is no further is nothing to step over."""
    made = task()
    assert made.positions_past_markers() == {"requests": 5, "replies": 5}
    made.note_decided({"requests": 5})
    assert made.positions_past_markers() == {"replies": 5}


def test_a_backlog_of_one_input_does_not_hide_the_end_of_another() -> None:
    """Otherwise timers starve for as long as the backlog lasts: the other input never counts as read to its end."""
    made = task()
    made.records.append(waiting("requests"))
    assert made.positions_past_markers() == {"replies": 5}


def test_a_quiet_partition_steps_over_control_records_while_others_are_busy() -> None:
    """It is quiet by its own last decision."""
    made = task()
    made.note_decided({"requests": 5}, now=10.0)
    assert not made.is_quiet(10.2, 0.25)
    assert made.is_quiet(10.3, 0.25)
