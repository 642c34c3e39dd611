"""Lag of the inputs: how far the decided records are behind what may be read, in records and in seconds."""

from dataclasses import dataclass

from quixstreams.kafka import BaseConsumer

from app.engine.assignment.assigned_partitions import AssignedPartitions
from app.engine.assignment.partition_task import PartitionTask
from app.engine.kafka.statistics import ClientStatistics, InputEnds, high_watermark
from app.wire.topics import TopicPartitionKey


@dataclass(frozen=True, slots=True)
class InputStats:
    """One input partition. `lag` counts offsets up to the last stable one, as control records can't be told apart.

    `lag_seconds` is the age of the oldest record that was read and not decided. If records are still at the broker, it
    is for how long the position stands still. 0 without lag. `unstable` counts offsets that an open transaction holds
    back: no reader of committed records sees them.
    """

    topic: str
    partition: int
    position: int
    lag: int
    lag_seconds: float
    unstable: int


@dataclass(frozen=True, slots=True)
class _StandingStill:
    """A position with lag, and since when (ms since 1970) it is the same."""

    position: int
    since_ms: int


class InputLags:
    """The lag of all inputs of a pod, between one read and the next."""

    def __init__(self, consumer: BaseConsumer, assigned: AssignedPartitions, statistics: ClientStatistics) -> None:
        self._consumer = consumer
        self._assigned = assigned
        self._statistics = statistics
        self._standing: dict[TopicPartitionKey, _StandingStill] = {}

    def read(self, now_ms: int) -> list[InputStats]:
        """The inputs of all partitions that are restored; may be called on any thread. `now_ms` is since 1970."""
        if self._assigned.restoring:
            return []
        before, self._standing = self._standing, {}
        return [
            self._input(task, topic, before.get((topic, task.number)), now_ms)
            for task in list(self._assigned.tasks.values())
            for topic in list(task.positions)
        ]

    def _input(self, task: PartitionTask, topic: str, before: _StandingStill | None, now_ms: int) -> InputStats:
        position = task.positions_past_markers().get(topic, task.positions[topic])
        queued = [message for message, _, _ in list(task.records) if message.topic() == topic]
        ends = self._ends((topic, task.number), task.ends.get(topic, position))
        stable = max(ends.last_stable, position, int(queued[-1].offset() or 0) + 1 if queued else 0)
        lag_ms = 0
        if stable > position:
            standing = before if before and before.position == position else _StandingStill(position, now_ms)
            self._standing[topic, task.number] = standing
            lag_ms = now_ms - (int(queued[0].timestamp()[1]) if queued else standing.since_ms)
        unstable = max(0, ends.high_watermark - stable)
        return InputStats(topic, task.number, position, stable - position, max(0, lag_ms) / 1000, unstable)

    def _ends(self, key: TopicPartitionKey, seen_end: int) -> InputEnds:
        """Statistics are a second old. If no transaction was open then, every record since is taken as stable."""
        known = self._statistics.inputs.get(key, InputEnds(seen_end, seen_end))
        high = max(known.high_watermark, high_watermark(self._consumer, key))
        return InputEnds(high if known.last_stable == known.high_watermark else known.last_stable, high)
