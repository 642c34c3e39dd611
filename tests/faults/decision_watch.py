"""Reads decisions as they are committed: how soon each partition decides again after a fault, and which sagas ended."""

import time
from dataclasses import dataclass, field
from typing import Any

import orjson
from confluent_kafka import Consumer, TopicPartition

from app.audit.recording.records import ms_of
from app.wire.topics import EVENTS, Topics

_ENDS = ("saga.completed", "saga.rolled_back")
_BATCH = 2000


@dataclass(slots=True)
class Recovery:
    """The time from a fault until each affected partition has decided again after the fault was healed.

    `seconds` is set at that point: the longest gap between two decisions of one of these partitions.
    """

    fault: str
    partitions: set[int]
    begun_ms: int
    healed_ms: int | None = None
    seconds: float | None = None
    _last_ms: dict[int, int] = field(default_factory=dict)
    _longest_ms: int = 0

    def mark_healed(self) -> None:
        """The fault is over: nothing keeps the partitions from deciding."""
        self.healed_ms = now_ms()

    def on_decision(self, partition: int, at_ms: int) -> None:
        """A decision was taken at this time (ms since 1970)."""
        if self.seconds is not None or partition not in self.partitions or at_ms <= self.begun_ms:
            return
        self._longest_ms = max(self._longest_ms, at_ms - self._last_ms.get(partition, self.begun_ms))
        self._last_ms[partition] = at_ms
        healed = self.healed_ms
        if healed is not None and all(self._last_ms.get(number, 0) > healed for number in self.partitions):
            self.seconds = self._longest_ms / 1000


@dataclass(slots=True)
class DecisionWatch:
    """Reads the events topic with read_committed."""

    client: dict[str, Any]
    topics: Topics
    partitions: int
    ended: set[str] = field(default_factory=set)
    decisions: int = 0
    recoveries: list[Recovery] = field(default_factory=list)
    _consumer: Consumer = field(init=False)

    def __post_init__(self) -> None:
        settings = {"group.id": self.topics.full("faults"), "isolation.level": "read_committed"}
        self._consumer = Consumer(
            {**self.client, **settings, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
        )
        name = self.topics.full(EVENTS)
        self._consumer.assign([TopicPartition(name, number, 0) for number in range(self.partitions)])

    def poll(self, seconds: float) -> None:
        """Reads for this long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            first = self._consumer.poll(left)
            for message in () if first is None else (first, *self._consumer.consume(_BATCH, 0)):
                if message.error() is None:  # an error means that a broker is away: the record is read later
                    self._on_decision(message.partition(), orjson.loads(message.value()))

    def on_fault(self, fault: str, *partitions: int) -> Recovery:
        """A fault happens now to these partitions, or to all; returns its recovery.

        It replaces unfinished recoveries of the same partitions: their time counts from the latest fault.
        """
        found = Recovery(fault, set(partitions or range(self.partitions)), now_ms())
        self.recoveries = [one for one in self.recoveries if one.seconds or not one.partitions & found.partitions]
        self.recoveries.append(found)
        return found

    def close(self) -> None:
        """Closes the consumer."""
        self._consumer.close()

    def _on_decision(self, partition: int, decision: dict[str, Any]) -> None:
        self.decisions += 1
        if any(event["type"] in _ENDS for event in decision["events"]):
            self.ended.add(decision["saga_id"])
        at_ms = ms_of(decision["at"]) or 0
        for recovery in self.recoveries:
            recovery.on_decision(partition, at_ms)


def now_ms() -> int:
    """The wall clock in ms since 1970."""
    return time.time_ns() // 1_000_000
