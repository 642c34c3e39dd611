"""The loop: reads what is there, decides it in batches, and commits each batch while the next one is decided."""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, cast

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition
from quixstreams.context import set_message_context
from quixstreams.kafka import BaseConsumer
from quixstreams.models.messagecontext import MessageContext

from app.engine.batch import Batch, BatchContext, Clock, KeyState
from app.engine.lanes import Lane
from app.engine.ownership import Ownership
from app.wire.writer import Out

log = logging.getLogger(__name__)
_IDLE_SECONDS = 1.0
_BUSY_SECONDS = 0.002
_JOINING_SECONDS = 0.05  # a poll goes on for its whole time after it has served an assignment
_MOST_TIMERS = 500

Executor = Callable[[Any, Any, int, Any], None]
Expire = Callable[[str, int, KeyState, int], list[Out]]


class Loop:
    """Turns of: gather records, begin a batch on an idle lane for partitions that no other lane holds."""

    def __init__(
        self,
        consumer: BaseConsumer,
        ownership: Ownership,
        lanes: list[Lane],
        context: BatchContext,
        expire: Expire,
        clock: Clock,
        most: int,
    ) -> None:
        self._consumer = consumer
        self._own = ownership
        self._lanes = lanes
        self._context = context
        self._expire = expire
        self._clock = clock
        self._most = most
        self._backlog: dict[int, list[Message]] = defaultdict(list)
        self._waiting = 0
        self._drained = False
        self._held: dict[Lane, frozenset[int]] = {}
        self._ahead: dict[tuple[str, int], int] = {}

    def turn(self, executors: Mapping[str, Executor]) -> None:
        """One turn. Raises when this process must end; what it did not commit is then read again."""
        self._gather()
        if self._own.restoring:
            self._own.go_on_restoring()
            return
        self._release()
        lane = next((lane for lane in self._lanes if lane not in self._held), None)
        if lane is not None:
            self._begin(lane, executors)
        if not self._held and not self._waiting:
            self._keep_up()

    def finish(self) -> None:
        """Waits for all commits; what was gathered beyond them is dropped, and read again by the next owner."""
        for lane in list(self._held):
            lane.wait()
        self._held.clear()
        self._backlog.clear()
        self._waiting = 0
        self._ahead.clear()

    # reading

    def _gather(self) -> None:
        epoch = self._own.epoch
        first = self._consumer.poll(self._patience())
        messages = [] if first is None else [first]
        room = 2 * self._most - self._waiting - 1
        if first is not None and room > 0:
            messages.extend(self._consumer.consume(room, 0))
        self._drained = len(messages) <= room
        if epoch != self._own.epoch:
            return  # partitions changed hands meanwhile: these are read again by whoever owns them now
        for message in messages:
            if message.error() is None:
                self._backlog[cast("int", message.partition())].append(message)
                self._waiting += 1
            else:
                self._note(message)

    def _patience(self) -> float:
        """Seconds to wait for a record: none are waited for while something else is to be done."""
        if self._own.restoring:
            return 0
        if not self._own.stores:
            return _JOINING_SECONDS
        if self._held:
            return _BUSY_SECONDS
        if self._waiting:
            return 0
        due = self._next_due()
        return _IDLE_SECONDS if due is None else min(max(due - self._clock(), 0) / 1000, _IDLE_SECONDS)

    def _note(self, message: Message) -> None:
        error = message.error()
        if error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        self._ahead[message.topic(), message.partition()] = message.offset()

    # deciding

    def _begin(self, lane: Lane, executors: Mapping[str, Executor]) -> None:
        taken = self._take()
        due = self._due(taken)
        if not taken and not due:
            return
        held = frozenset(taken) | frozenset(due)
        batch = Batch(
            lane,
            {number: self._own.stores[number] for number in held},
            self._context.full_name,
            self._context.changelog,
        )
        lane.begin()
        self._held[lane] = held
        now = self._clock()
        self._context.enter(batch, now)
        for number, messages in taken.items():
            batch.partition = number
            for message in messages:
                self._process(message, executors)
        for number, keys in due.items():
            batch.partition = number
            self._fire(batch, number, keys, now)
        batch.commit(self._positions(taken, due), self._own.group)

    def _process(self, message: Message, executors: Mapping[str, Executor]) -> None:
        topic, offset = message.topic(), message.offset()
        set_message_context(MessageContext(topic, message.partition(), offset, 0))
        executors[topic](message.value(), message.key(), message.timestamp()[1], message.headers())

    def _fire(self, batch: Batch, number: int, keys: list[tuple[int, bytes]], now_ms: int) -> None:
        store = self._own.stores[number]
        for due_ms, key in keys:
            for out in self._expire(key.decode(), due_ms, KeyState(store, key), now_ms):
                batch.send(out)

    def _take(self) -> dict[int, list[Message]]:
        """Up to a batch of the records of partitions that no lane holds."""
        busy = frozenset().union(*self._held.values())
        taken: dict[int, list[Message]] = {}
        room = self._most
        for number in [number for number in self._backlog if number not in busy]:
            messages = self._backlog[number]
            if len(messages) <= room:
                taken[number] = self._backlog.pop(number)
            elif room > 0:
                taken[number], self._backlog[number] = messages[:room], messages[room:]
            room -= len(taken.get(number, ()))
        self._waiting -= self._most - room
        return taken

    def _due(self, taken: dict[int, list[Message]]) -> dict[int, list[tuple[int, bytes]]]:
        """What is due in partitions that no lane holds; only once all is read, as a reply beats its time-out."""
        if not self._drained:
            return {}
        busy = frozenset().union(*self._held.values())
        now, due = self._clock(), {}
        for number, store in self._own.stores.items():
            if number not in busy and number not in taken and number not in self._backlog:
                keys = store.due(now, _MOST_TIMERS)
                if keys:
                    due[number] = keys
        return due

    def _next_due(self) -> int | None:
        return min(
            (due for store in self._own.stores.values() if (due := store.timers.next_ms()) is not None), default=None
        )

    # committing

    def _positions(self, taken: dict[int, list[Message]], due: dict[int, Any]) -> list[TopicPartition]:
        """How far the batch has read. Of a partition where only timers fired, some position: it makes the broker check
        that this process still owns it."""
        positions = self._own.positions
        changed: dict[tuple[str, int], int] = {}
        for messages in taken.values():
            for message in messages:
                changed[message.topic(), message.partition()] = message.offset() + 1
        for number in due.keys() - taken.keys():
            place = next(place for place in positions if place[1] == number)
            changed[place] = positions[place]
        positions.update(changed)
        return [TopicPartition(topic, number, offset) for (topic, number), offset in changed.items()]

    def _release(self) -> None:
        for lane in [lane for lane in self._held if lane.idle]:
            del self._held[lane]

    def _keep_up(self) -> None:
        """When idle, commits positions that only step over transaction markers, so that the lag is seen to be 0."""
        positions = self._own.positions
        ahead = {place: offset for place, offset in self._ahead.items() if offset > positions.get(place, offset)}
        self._ahead.clear()
        if ahead:
            offsets = [TopicPartition(topic, number, offset) for (topic, number), offset in ahead.items()]
            self._consumer.commit(offsets=offsets, asynchronous=True)
            positions.update(ahead)
