"""Inputs whose position does not move although records exist: named in the log, as nothing else shows them."""

import logging

from quixstreams.kafka import BaseConsumer

from app.engine.assignment.assigned_partitions import AssignedPartitions
from app.engine.kafka.statistics import high_watermark
from app.wire.topics import TopicPartitionKey

log = logging.getLogger(__name__)

_CHECK_SECONDS = 1.0
_STALLED_SECONDS = 30.0  # twice as long as a transaction should be open


class StalledInputs:
    """Compares, once a second, each input's position with its high watermark, which counts open transactions too."""

    def __init__(self, consumer: BaseConsumer, assigned: AssignedPartitions) -> None:
        self._consumer = consumer
        self._assigned = assigned
        self._checked = 0.0
        self._since: dict[TopicPartitionKey, tuple[int, float]] = {}  # position, and since when (or last logged)

    def check(self, now: float) -> None:
        """Logs the inputs that have stood still for half a minute, and again after each half a minute more."""
        if now - self._checked < _CHECK_SECONDS:
            return
        self._checked = now
        before, self._since = self._since, {}
        for task in self._assigned.tasks.values():
            for topic, position in task.positions.items():
                key = topic, task.number
                if high_watermark(self._consumer, key) > position:
                    at, since = before.get(key, (position, now))
                    self._since[key] = self._judge(key, position, since if at == position else now, now)

    def _judge(self, key: TopicPartitionKey, position: int, since: float, now: float) -> tuple[int, float]:
        if now - since < _STALLED_SECONDS:
            return position, since
        log.warning(
            "input position has not moved for 30 s although records exist (open transaction of a producer?)",
            extra={
                "topic": key[0],
                "partition": key[1],
                "offset": position,
                "high_watermark": high_watermark(self._consumer, key),
            },
        )
        return position, now
