"""Whether decisions are still taken: how long after a fault every partition saw one, and which sagas have ended."""

import time
from dataclasses import dataclass, field
from typing import Any

import orjson
from confluent_kafka import Consumer, TopicPartition

from app.audit.messages import ms_of
from app.wire.topics import EVENTS, Topics

_ENDS = ("saga.completed", "saga.rolled_back")
_BATCH = 2000


@dataclass(slots=True)
class Recovery:
    """From a fault on until, once it is `healed`, each of these partitions took a decision again.

    `seconds` is known by then: the longest time in which one of them took none.
    """

    fault: str
    partitions: set[int]
    begun_ms: int
    healed_ms: int | None = None
    seconds: float | None = None
    _last_ms: dict[int, int] = field(default_factory=dict)
    _longest_ms: int = 0

    def heal(self) -> None:
        """From now on nothing keeps them from going on."""
        self.healed_ms = now_ms()

    def note(self, partition: int, at_ms: int) -> None:
        """A decision was taken (ms since 1970)."""
        if self.seconds is not None or partition not in self.partitions or at_ms <= self.begun_ms:
            return
        self._longest_ms = max(self._longest_ms, at_ms - self._last_ms.get(partition, self.begun_ms))
        self._last_ms[partition] = at_ms
        healed = self.healed_ms
        if healed is not None and all(self._last_ms.get(number, 0) > healed for number in self.partitions):
            self.seconds = self._longest_ms / 1000


@dataclass(slots=True)
class Pulse:
    """Reads the decisions as they are committed."""

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

    def look(self, seconds: float) -> None:
        """Takes in what comes in so many seconds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            first = self._consumer.poll(left)
            for message in () if first is None else (first, *self._consumer.consume(_BATCH, 0)):
                if message.error() is None:  # else brokers are away, and it is read later
                    self._take(message.partition(), orjson.loads(message.value()))

    def struck(self, fault: str, *partitions: int) -> Recovery:
        """A fault happens now, to these partitions or to all; watches for the decisions after it.

        A fault that strikes before an earlier one is over takes its place: the time from the last one counts.
        """
        found = Recovery(fault, set(partitions or range(self.partitions)), now_ms())
        self.recoveries = [one for one in self.recoveries if one.seconds or not one.partitions & found.partitions]
        self.recoveries.append(found)
        return found

    def close(self) -> None:
        """Ends the reading."""
        self._consumer.close()

    def _take(self, partition: int, decision: dict[str, Any]) -> None:
        self.decisions += 1
        if any(event["type"] in _ENDS for event in decision["events"]):
            self.ended.add(decision["saga_id"])
        at_ms = ms_of(decision["at"]) or 0
        for recovery in self.recoveries:
            recovery.note(partition, at_ms)


def now_ms() -> int:
    """The time in ms since 1970."""
    return time.time_ns() // 1_000_000
