"""Follows a run in the topics: the state of each saga, the rate of outcomes, and the time from order to outcome."""

import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import Any

import orjson
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from app.wire.topics import EVENTS, OUTCOMES, Topics

_FINAL = {"order.completed": "completed", "order.rejected": "rejected", "order.cancelled": "cancelled"}
_STATE_AFTER = {
    "saga.compensation.requested": "rolling back",
    "saga.completed": "completed",
    "saga.rolled_back": "rolled back",
    "saga.stuck": "stuck",
}
_BATCH = 2000
_WINDOW_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Seen:
    """Sagas by state, final outcomes and their rate per second, and milliseconds from placing to final outcome."""

    states: dict[str, int]
    ended: int
    per_second: float
    p50_ms: float
    p99_ms: float


class Watch:
    """Reads committed events and outcomes. `placed_at` has the monotonic time at which each order was placed."""

    def __init__(self, client: dict[str, Any], topics: Topics, partitions: int, placed_at: dict[str, float]) -> None:
        self._topics = topics
        self._placed_at = placed_at
        self._state: dict[str, str] = {}
        self._took: dict[str, float] = {}
        self._recent: deque[float] = deque()
        self._consumer = Consumer(
            {
                **client,
                "group.id": topics.full("demo-watch"),
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
            }
        )
        names = (topics.full(EVENTS), topics.full(OUTCOMES))
        self._consumer.assign([TopicPartition(name, number, 0) for name in names for number in range(partitions)])

    def look(self, seconds: float) -> None:
        """Reads the records that come within so many seconds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            first = self._consumer.poll(left)  # `consume` alone would wait for a full batch or the whole time
            if first is not None:
                self._take([first, *self._consumer.consume(_BATCH, 0)])

    def seen(self) -> Seen:
        """The figures of all records read so far; the rate is that of the last 3 s."""
        now = time.monotonic()
        while self._recent and self._recent[0] < now - _WINDOW_SECONDS:
            self._recent.popleft()
        took = sorted(self._took.values())
        return Seen(
            dict(Counter(self._state.values())),
            len(took),
            len(self._recent) / _WINDOW_SECONDS,
            _percentile(took, 0.50),
            _percentile(took, 0.99),
        )

    def close(self) -> None:
        """Closes the consumer."""
        self._consumer.close()

    def _take(self, messages: Iterable[Message]) -> None:
        now = time.monotonic()
        for message in messages:
            if message.error() is not None:
                raise KafkaException(message.error())
            if message.topic() == self._topics.full(EVENTS):
                self._note_decision(orjson.loads(message.value() or b"{}"))
            else:
                self._note_outcome(message, now)

    def _note_decision(self, decision: dict[str, Any]) -> None:
        for event in decision["events"]:
            if event["type"] == "saga.step.requested":
                self._state[decision["saga_id"]] = f"awaiting {event['step']}"
            elif event["type"] in _STATE_AFTER:
                self._state[decision["saga_id"]] = _STATE_AFTER[event["type"]]

    def _note_outcome(self, message: Message, now: float) -> None:
        order, kind = (message.key() or b"").decode(), dict(message.headers() or ()).get("ce_type", b"").decode()
        if kind in _FINAL and order not in self._took:
            self._took[order] = (now - self._placed_at.get(order, now)) * 1000
            self._recent.append(now)


def _percentile(ordered: list[float], share: float) -> float:
    return ordered[ceil(len(ordered) * share) - 1] if ordered else 0.0
