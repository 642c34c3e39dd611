"""Up to when all that came to a partition's inputs was decided: a reply that came before its time-out beats it."""

import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from app.kafka_access.retriable import FAST_METADATA
from app.wire.topics import TopicPartitionKey

if TYPE_CHECKING:
    from app.engine.assignment.partition_task import PartitionTask

log = logging.getLogger(__name__)

_PAUSE_MS = 100  # between two requests
_WARN_MS = 30_000  # between two log lines about end offsets that are not available
EndOffsets = dict[str, int]
"""The end offset of each input of one partition, by topic."""


class ReadFrontier:
    """The frontier of one partition. Times are in milliseconds since 1970.

    It keeps the end offsets of one request until the positions have reached them: under a constant stream, a goal that
    moved with every request would never be reached.
    """

    __slots__ = ("_goal", "_read_up_to_ms")

    def __init__(self) -> None:
        self._goal: tuple[int, EndOffsets] | None = None
        self._read_up_to_ms = 0

    @property
    def read_ms(self) -> int:
        """The frontier as it was last computed; 0 if none is known."""
        return self._read_up_to_ms

    def aim_at(self, asked_ms: int, ends: EndOffsets) -> None:
        """Takes end offsets, as they were at that time, for the next goal, unless an older goal is still open."""
        if self._goal is None:
            self._goal = asked_ms, ends

    def read_up_to_ms(self, positions: Mapping[str, int]) -> int:
        """The time before which everything that came was decided, given these positions; 0 if none is known."""
        if self._goal is not None:
            asked_ms, ends = self._goal
            if all(topic in ends and position >= ends[topic] for topic, position in positions.items()):
                self._read_up_to_ms, self._goal = asked_ms, None
        return self._read_up_to_ms


class EndOffsetRequests:
    """Asks the brokers where the inputs end, without blocking; one request is open at a time."""

    def __init__(self, client: dict[str, Any], patience: float) -> None:
        self._admin = AdminClient({**client, **FAST_METADATA})
        self._patience = patience
        self._awaited: dict[TopicPartition, Future[Any]] = {}
        self._asked_ms = 0
        self._warned_ms = 0

    def request(self, inputs: Iterable[TopicPartitionKey], now_ms: int) -> None:
        """Asks for the end offsets of these inputs, unless a request is open or was just made."""
        if self._awaited or abs(now_ms - self._asked_ms) < _PAUSE_MS:
            return
        self._asked_ms = now_ms
        self._awaited = self._admin.list_offsets(
            {TopicPartition(*key): OffsetSpec.latest() for key in inputs},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=self._patience,
        )

    def hand_out(self, tasks: Mapping[int, "PartitionTask"]) -> None:
        """Gives answers that have come to the frontiers of these partitions."""
        if not self._awaited or not all(answer.done() for answer in self._awaited.values()):
            return
        awaited, self._awaited = self._awaited, {}
        ends: dict[int, EndOffsets] = {}
        unavailable: dict[int, str] = {}
        for tp, answer in awaited.items():
            try:
                ends.setdefault(tp.partition, {})[tp.topic] = answer.result().offset
            except KafkaException as error:  # for example no leader; the next request may find one
                unavailable[tp.partition] = f"{tp.topic}[{tp.partition}]: {error.args[0].str()}"
        for number, found in ends.items():
            if number not in unavailable and number in tasks:
                tasks[number].frontier.aim_at(self._asked_ms, found)
        self._warn(unavailable)

    def _warn(self, unavailable: dict[int, str]) -> None:
        if unavailable and abs(self._asked_ms - self._warned_ms) >= _WARN_MS:
            self._warned_ms = self._asked_ms
            log.warning(
                "end offsets unavailable: timers of these partitions are paused",
                extra={"inputs": sorted(unavailable.values())},
            )
