"""Up to when all that came was read: an answer that was there before its time-out beats it, however late it is read."""

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from app.engine.offsets import Place

_PAUSE_MS = 100  # between two looks


class Horizon:
    """Looks where the inputs end, without being waited for. Times are in milliseconds since 1970."""

    def __init__(self, client: dict[str, Any], patience: float) -> None:
        self._admin = AdminClient(client)
        self._patience = patience
        self._awaited: dict[TopicPartition, Future[Any]] = {}
        self._asked_ms = 0
        self._seen_ms = 0
        self._ends: dict[Place, int] = {}

    def look(self, places: Mapping[Place, int], now_ms: int) -> None:
        """Begins a look at these inputs, unless one is under way or was just made."""
        if self._awaited or abs(now_ms - self._asked_ms) < _PAUSE_MS:
            return
        asked = {TopicPartition(*place): OffsetSpec.latest() for place in places}
        self._asked_ms = now_ms
        self._awaited = self._admin.list_offsets(
            asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=self._patience
        )

    def until(self, partition: int, positions: Mapping[Place, int]) -> int:
        """The time before which all that came to a partition's inputs was read; 0 as long as none is known."""
        self._take_in()
        own = {place: position for place, position in positions.items() if place[1] == partition}
        read = all(place in self._ends and position >= self._ends[place] for place, position in own.items())
        return self._seen_ms if read else 0

    def _take_in(self) -> None:
        if not self._awaited or not all(answer.done() for answer in self._awaited.values()):
            return
        awaited, self._awaited = self._awaited, {}
        try:
            self._ends = {(tp.topic, tp.partition): answer.result().offset for tp, answer in awaited.items()}
            self._seen_ms = self._asked_ms
        except KafkaException:  # no leader just now: the next look may find one
            return
