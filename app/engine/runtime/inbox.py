"""Reads records ahead into the tasks' queues, and hands out the queues in the order in which they began to wait."""

import logging
from itertools import chain
from typing import Any, cast

from confluent_kafka import KafkaError, KafkaException, Message
from quixstreams.kafka import BaseConsumer

from app.engine.assignment.assigned_partitions import AssignedPartitions
from app.engine.assignment.partition_task import InputRecord, PartitionTask
from app.engine.errors import NeedsRestart
from app.engine.kafka.permissions import is_denied, missing_permissions
from app.wire.envelope import headers_of

log = logging.getLogger(__name__)

_MOST_BYTES = 32 << 20
_HEADER_BYTES = 150  # what a header takes in memory besides its text
_CHUNK = 20  # records per call: few enough that a chunk of the largest possible records is bearable


class Inbox:
    """Reads two batches ahead, or 32 MiB. Records of one input stay in the order of their offsets."""

    def __init__(self, consumer: BaseConsumer, assigned: AssignedPartitions, most: int) -> None:
        self._consumer = consumer
        self._assigned = assigned
        self._most = most
        self._queue: dict[int, PartitionTask] = {}  # tasks with records; the one that has waited longest comes first
        self._bytes = 0
        self.waiting = 0

    @property
    def full(self) -> bool:
        """Whether nothing more may be read for now."""
        return self.waiting >= 2 * self._most or self._bytes >= _MOST_BYTES

    def read(self, seconds: float) -> None:
        """Waits at most so long for a first record, then takes what is there. Raises when reading on is unsafe."""
        before = self._assigned.rebalances
        found = self._fetch(seconds)
        if before != self._assigned.rebalances:
            return  # a rebalance happened meanwhile: the new owners read these records again
        tasks, queue = self._assigned.tasks, self._queue
        message: Any  # of the client, which types all its answers as optional
        for record in found:
            message, _, size = record
            if message.error() is None:
                number = message.partition()
                queue.setdefault(number, tasks[number]).records.append(record)
                self.waiting += 1
                self._bytes += size
            else:
                self._note_event(message)

    def take(self, most_partitions: int) -> dict[int, list[InputRecord]]:
        """Up to a batch of records, from at most so many partitions that are in no open transaction."""
        taken: dict[int, list[InputRecord]] = {}
        left = self._most
        for number in [number for number, task in self._queue.items() if not task.in_transaction][:most_partitions]:
            if left > 0:
                task = self._queue.pop(number)
                taken[number], task.records = task.records[:left], task.records[left:]
                if task.records:
                    self._queue[number] = task  # at the end: other partitions come first
                left -= len(taken[number])
        self.waiting -= self._most - left
        self._bytes -= sum(size for records in taken.values() for _, _, size in records)
        return taken

    def put_back(self, task: PartitionTask, records: list[InputRecord]) -> None:
        """Returns records that were taken last and for which there was no time."""
        if records:
            task.records = records + task.records
            self._queue.setdefault(task.number, task)
            self.waiting += len(records)
            self._bytes += sum(size for _, _, size in records)

    def clear(self) -> None:
        """Drops everything: the next owners read it again."""
        self._queue.clear()
        self.waiting = self._bytes = 0

    def _fetch(self, seconds: float) -> list[InputRecord]:
        first = self._consumer.poll(seconds)
        found = [] if first is None else [_sized(first)]
        drained, size = first is None, sum(each for _, _, each in found)
        room = 2 * self._most - self.waiting
        while not drained and len(found) < room and self._bytes + size < _MOST_BYTES:
            asked = min(_CHUNK, room - len(found))
            more = [_sized(message) for message in self._consumer.consume(asked, 0)]
            drained = len(more) < asked
            size += sum([each for _, _, each in more])
            found += more
        return found

    def _note_event(self, message: Message) -> None:
        error = cast("KafkaError", message.error())
        if is_denied(error):
            topic = message.topic()
            raise missing_permissions(
                f"Read on topic {topic}" if topic else f"Read on group {self._assigned.group_name}"
            )
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            # A broker with old metadata, which passes; or a deleted topic, which the rebalance that follows refuses.
            log.warning("input topic not available", extra={"topic": message.topic(), "reason": error.str()})
            return
        if error.code() != KafkaError._PARTITION_EOF:
            if message.topic() is None:  # an error of the consumer as a whole
                raise KafkaException(error)
            raise NeedsRestart(f"{message.topic()}[{message.partition()}] can't be read any further: {error.str()}")
        task = self._assigned.tasks.get(cast("int", message.partition()))
        if task is not None:
            task.ends[cast("str", message.topic())] = cast("int", message.offset())


def _sized(message: Message) -> InputRecord:
    """The record with its headers and size. `len(message)` counts the value only; events have no size."""
    if message.error() is not None:
        return message, None, 0
    headers, size = headers_of(message), len(message) + len(message.key() or b"")
    if headers:
        size += _HEADER_BYTES * len(headers) + sum(map(len, filter(None, chain.from_iterable(headers))))
    return message, headers, size
