"""Lag of the inputs: how far the decided records are behind what may be read, in records and in seconds."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.engine.assignment.assigned_partitions import AssignedPartitions
from app.engine.assignment.partition_task import PartitionTask
from app.engine.kafka.statistics import ClientStatistics, InputEnds


@dataclass(frozen=True, slots=True)
class InputStats:
    """One input partition. `lag` counts offsets up to the last stable one, as control records can't be told apart.

    `lag_seconds` is the age of the oldest record that was read and not decided; 0 when there is none. `unstable` counts
    offsets that an open transaction holds back: no reader of committed records sees them.
    """

    topic: str
    partition: int
    position: int
    lag: int
    lag_seconds: float
    unstable: int


def input_stats(assigned: AssignedPartitions, statistics: ClientStatistics, now_ms: int) -> Iterator[InputStats]:
    """The inputs of all partitions that are restored; may be called on any thread. `now_ms` is since 1970."""
    if assigned.restoring:
        return
    for task in list(assigned.tasks.values()):
        past_markers = task.positions_past_markers()
        for topic, decided in list(task.positions.items()):
            position = past_markers.get(topic, decided)
            known = statistics.inputs.get((topic, task.number))
            ends = known or InputEnds(task.ends.get(topic, position), task.ends.get(topic, position))
            yield InputStats(
                topic,
                task.number,
                position,
                max(0, ends.last_stable - position),
                _age_seconds(task, topic, now_ms),
                max(0, ends.high_watermark - max(ends.last_stable, position)),
            )


def _age_seconds(task: PartitionTask, topic: str, now_ms: int) -> float:
    for message, _, _ in list(task.records):
        if message.topic() == topic:
            return max(0, now_ms - int(message.timestamp()[1])) / 1000
    return 0.0
