"""Kafka as the orchestrator sees it: logs by partition, transactions, committed offsets; and its clients."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from random import Random
from typing import Any

from confluent_kafka import KafkaError, TopicPartition

from app.engine.offsets import Bounds, Place
from app.wire.envelope import Headers
from app.wire.topics import EVENTS, STATE, Topics
from app.wire.writer import Out

Delivered = Callable[[object, Any], None]
Written = tuple[str, bytes | None, bytes | None, Sequence[tuple[str, bytes | None]], int, Delivered | None]


@dataclass(frozen=True, slots=True)
class Life:
    """One life of a pod: its number, how far its clock is ahead of the true time, and when it began (both in ms)."""

    number: int
    skew_ms: int
    begun_ms: int


class Message:
    """A record that everybody may read, with the methods of the client's messages. `order` counts all records."""

    __slots__ = ("_headers", "_key", "_value", "at_ms", "commit", "index", "log", "order")

    def __init__(self, log: "Log", key: bytes | None, value: bytes | None, headers: Any, at_ms: int) -> None:
        self.log = log
        self._key = key
        self._value = value
        self._headers = headers
        self.at_ms = at_ms
        self.index = self.order = 0
        self.commit: Commit | None = None

    def __len__(self) -> int:
        return len(self._value or b"")

    def error(self) -> None:
        """It is a record."""

    def topic(self) -> str:
        """Where it is."""
        return self.log.topic

    def partition(self) -> int:
        """Where it is."""
        return self.log.partition

    def offset(self) -> int:
        """Where it is."""
        return self.index

    def key(self) -> bytes | None:
        """The key."""
        return self._key

    def value(self) -> bytes | None:
        """The value."""
        return self._value

    def headers(self) -> Headers | None:
        """The headers."""
        return self._headers or None

    def timestamp(self) -> tuple[int, int]:
        """When it was written (ms since 1970)."""
        return 1, self.at_ms


class End:
    """Tells a reader that a partition ends there, as the client does."""

    __slots__ = ("_place", "_position")

    def __init__(self, place: Place, position: int) -> None:
        self._place = place
        self._position = position

    def __len__(self) -> int:
        return 0

    def error(self) -> KafkaError:
        """It is no record."""
        return _EOF

    def topic(self) -> str:
        """Which one."""
        return self._place[0]

    def partition(self) -> int:
        """Which one."""
        return self._place[1]

    def offset(self) -> int:
        """Where it ends."""
        return self._position


_EOF = KafkaError(KafkaError._PARTITION_EOF)


class Log:
    """A partition; None stands for what readers step over: the marks of transactions, and records of aborted ones."""

    __slots__ = ("partition", "records", "topic")

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.records: list[Message | None] = []

    def append(self, message: Message) -> None:
        """Adds a record."""
        message.index = len(self.records)
        self.records.append(message)

    def read(self) -> Iterable[Message]:
        """All that can be read."""
        return (message for message in self.records if message is not None)


@dataclass(slots=True)
class Commit:
    """A transaction: of which pod, its decisions, the documents of its changelog, and the rest of what it wrote."""

    number: int
    life: Life
    events: list[Message] = field(default_factory=list)
    documents: list[Message] = field(default_factory=list)
    others: list[Message] = field(default_factory=list)


class Kafka:
    """All topics of one saga, and one group. `now` is the true time (ms)."""

    def __init__(self, topics: Topics, partitions: int, now: Callable[[], int]) -> None:
        self.topics = topics
        self.partitions = partitions
        self.changelog = topics.full(STATE)
        self._events = topics.full(EVENTS)
        self.logs = {
            (topics.full(topic), number): Log(topics.full(topic), number)
            for topic in topics.all
            for number in range(partitions)
        }
        self.inputs = [place for topic in topics.inputs for place in self.logs if place[0] == topics.full(topic)]
        self.committed: dict[Place, int] = {}
        self.commits: list[Commit] = []
        self._now = now
        self._count = 0

    def append(self, out: Out) -> Message:
        """Adds a record of somebody who uses no transactions; it must name its partition."""
        log = self.logs[self.topics.full(out.topic), out.partition or 0]
        return self._add(log, Message(log, out.key, out.value, out.headers, self._now()))

    def transact(self, written: Iterable[Written], positions: Iterable[TopicPartition], life: Life) -> None:
        """All of it becomes visible at once."""
        commit, touched = Commit(len(self.commits), life), dict[int, Log]()
        kinds = {self._events: commit.events, self.changelog: commit.documents}
        for topic, key, value, headers, partition, delivered in written:
            log = self.logs[topic, partition]
            message = self._add(log, Message(log, key, value, headers, self._now()))
            message.commit = commit
            kinds.get(topic, commit.others).append(message)
            touched[id(log)] = log
            if delivered is not None:
                delivered(None, message)
        for log in touched.values():
            log.records.append(None)
        self.committed.update({(at.topic, at.partition): at.offset for at in positions})
        self.commits.append(commit)

    def abort(self, written: Iterable[Written]) -> None:
        """None of it ever becomes visible; it takes its offsets all the same."""
        for topic, *_, partition, _ in written:
            self.logs[topic, partition].records.append(None)

    def bounds(self) -> Bounds:
        """Where each partition begins and ends."""
        return {place: (0, len(log.records)) for place, log in self.logs.items()}

    def of_topic(self, topic: str) -> Iterable[Message]:
        """All records of a topic, given by its name in the contract, partition by partition."""
        name = self.topics.full(topic)
        return chain.from_iterable(self.logs[name, number].read() for number in range(self.partitions))

    def _add(self, log: Log, message: Message) -> Message:
        self._count += 1
        message.order = self._count
        log.append(message)
        return message


class Reader:
    """A consumer of some partitions. It gets the partitions in any order, and not always all that is there."""

    def __init__(self, kafka: Kafka, positions: Mapping[Place, int], chance: Random, most: Sequence[int]) -> None:
        self._kafka = kafka
        self._positions = dict(positions)
        self._ended: dict[Place, int] = {}
        self._chance = chance
        self._most = most
        self._fetched: list[Any] = []

    def poll(self, _: float) -> Any:
        """The first record that is there, or None."""
        if not self._fetched:
            self._fetch()
        return self._fetched.pop(0) if self._fetched else None

    def consume(self, count: int, _: float) -> list[Any]:
        """What was fetched."""
        taken, self._fetched = self._fetched[:count], self._fetched[count:]
        return taken

    @property
    def behind(self) -> bool:
        """Whether there is more to read."""
        logs = self._kafka.logs
        return bool(self._fetched) or any(at < len(logs[place].records) for place, at in self._positions.items())

    def _fetch(self) -> None:
        logs = self._kafka.logs
        fresh = [place for place, at in self._positions.items() if at < len(logs[place].records)]
        self._chance.shuffle(fresh)
        for place in fresh:
            start, records = self._positions[place], logs[place].records
            stop = min(len(records), start + self._chance.choice(self._most))
            self._fetched += [message for message in records[start:stop] if message is not None]
            self._positions[place] = stop
            if stop == len(records):
                self._fetched.append(End(place, stop))


class Changelog(Reader):
    """The reader that restores: it takes chunks of any size."""

    def consume(self, count: int, seconds: float) -> list[Any]:
        """The next chunk."""
        self._fetch()
        return super().consume(count, seconds)

    def close(self) -> None:
        """Nothing is to be closed."""
