"""Reads the history with read_committed, and exports the spans of each saga when it ends."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from app.ops.errors import CommandFailed
from app.ops.kafka_cluster import KafkaCluster
from app.traces.lives import Lives
from app.traces.spans import Span
from app.wire.topics import EVENTS

log = logging.getLogger(__name__)

GROUP = "saga-traces"
_BATCH, _POLL_SECONDS = 2_000, 0.5
Export = Callable[[list[Span]], None]


class HistoryReader:
    """A member of its own group. It commits the start of the oldest saga under way, so that a restart loses no span.

    Sagas that ended after that start are sent again, with the same ids.
    """

    def __init__(self, cluster: KafkaCluster, export: Export, *, from_beginning: bool = False) -> None:
        self._topic, self._export, self._from_beginning = cluster.full(EVENTS.name), export, from_beginning
        self._lives: dict[int, Lives] = {}
        self._unread: set[int] | None = None
        """The partitions whose end was not reached yet; None before the first assignment."""
        self.spans = self.sagas = 0
        self._consumer = Consumer(
            {
                **cluster.client(),
                "group.id": cluster.full(GROUP),
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
            }
        )

    def run(self, *, once: bool, stopped: Callable[[], bool] = lambda: False) -> None:
        """Reads until stopped, or with `once` to the present end. Raises CommandFailed."""
        try:
            self._consumer.subscribe([self._topic], on_assign=self._assigned, on_revoke=self._revoked)
            while not stopped() and not (once and self._unread == set()):
                self._take(self._consumer.consume(_BATCH, _POLL_SECONDS))
        except KafkaException as error:
            raise CommandFailed(f"{EVENTS.name} can't be read: {error.args[0].str()}") from error
        finally:
            self._consumer.close()

    @property
    def under_way(self) -> int:
        """The number of sagas that have not ended: their spans come later."""
        return sum(lives.under_way for lives in self._lives.values())

    def _take(self, messages: Iterable[Message]) -> None:
        spans: list[Span] = []
        moved: set[int] = set()
        for message in messages:
            error, number = message.error(), message.partition()
            if error is None:
                ended = self._lives.setdefault(number, Lives()).decided(message.offset(), orjson.loads(message.value()))
                self.sagas += bool(ended)
                spans += ended
                moved.add(number)
            elif error.code() == KafkaError._PARTITION_EOF:
                (self._unread or set()).discard(number)
            else:
                raise KafkaException(error)
        if spans:
            self._export(spans)
            self.spans += len(spans)
        if moved:
            self._consumer.commit(
                offsets=[TopicPartition(self._topic, number, self._lives[number].restart) for number in moved],
                asynchronous=False,
            )

    def _assigned(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        self._unread = {partition.partition for partition in partitions}
        if self._from_beginning:
            for partition in partitions:
                partition.offset = OFFSET_BEGINNING
        consumer.assign(partitions)
        log.info("partitions assigned", extra={"partitions": sorted(self._unread)})

    def _revoked(self, _: Any, partitions: list[TopicPartition]) -> None:
        for partition in partitions:
            self._lives.pop(partition.partition, None)
