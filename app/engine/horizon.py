"""Up to when all that came was read: an answer that was there before its time-out beats it, however late it is read."""

import logging
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from app.engine.offsets import Place
from app.reach.passing import FRESH

log = logging.getLogger(__name__)

_PAUSE_MS = 100  # between two looks
_WARN_MS = 30_000  # between two lines in the log about ends that can't be seen
Ends = dict[Place, int]


class Horizon:
    """Looks where the inputs end, without being waited for. Times are in milliseconds since 1970.

    Of each partition it keeps the ends of one look until they have been read: under a constant stream a goal that
    moved with every look would never be reached.
    """

    def __init__(self, client: dict[str, Any], patience: float) -> None:
        self._admin = AdminClient({**client, **FRESH})
        self._patience = patience
        self._awaited: dict[TopicPartition, Future[Any]] = {}
        self._asked_ms = 0
        self._warned_ms = 0
        self._goals: dict[int, tuple[int, Ends]] = {}
        self._reached: dict[int, int] = {}

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
        goal = self._goals.get(partition)
        if goal is not None:
            asked_ms, ends = goal
            own = [place for place in positions if place[1] == partition]
            if all(place in ends and positions[place] >= ends[place] for place in own):
                self._reached[partition] = asked_ms
                del self._goals[partition]
        return self._reached.get(partition, 0)

    def clear(self) -> None:
        """Forgets all goals: partitions go to others, and may come back."""
        self._goals.clear()
        self._reached.clear()

    def _take_in(self) -> None:
        if not self._awaited or not all(answer.done() for answer in self._awaited.values()):
            return
        awaited, self._awaited = self._awaited, {}
        seen: dict[int, Ends] = {}
        unseen: dict[int, str] = {}
        for tp, answer in awaited.items():
            try:
                seen.setdefault(tp.partition, {})[tp.topic, tp.partition] = answer.result().offset
            except KafkaException as error:  # no leader just now, maybe: the next look may find one
                unseen[tp.partition] = f"{tp.topic}[{tp.partition}]: {error.args[0].str()}"
        for partition, ends in seen.items():
            if partition not in unseen and partition not in self._goals:
                self._goals[partition] = self._asked_ms, ends
        self._warn(unseen)

    def _warn(self, unseen: dict[int, str]) -> None:
        if unseen and abs(self._asked_ms - self._warned_ms) >= _WARN_MS:
            self._warned_ms = self._asked_ms
            log.warning("no time-out fires where ends can't be seen", extra={"unseen": sorted(unseen.values())})
