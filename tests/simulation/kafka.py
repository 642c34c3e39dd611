"""A simulated Kafka: logs by partition, transactions, committed offsets, and consumers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from random import Random
from typing import Any

from confluent_kafka import KafkaError, TopicPartition

from app.engine.assignment.start_offsets import Bounds
from app.wire.envelope import Headers
from app.wire.topics import EVENTS, STATE, TopicPartitionKey, Topics
from app.wire.writer import OutputRecord

Delivered = Callable[[object, Any], None]
Written = tuple[str, bytes | None, bytes | None, Sequence[tuple[str, bytes | None]], int, Delivered | None]


@dataclass(frozen=True, slots=True)
class Incarnation:
    """One run of a pod's process: its number, its clock skew, and its start in true time (both in ms)."""

    number: int
    skew_ms: int
    started_ms: int


class Message:
    """A visible record, with the methods of confluent_kafka's messages. `order` counts all records in write order."""

    __slots__ = ("_headers", "_key", "_value", "at_ms", "commit", "index", "log", "order")

    def __init__(self, log: "PartitionLog", key: bytes | None, value: bytes | None, headers: Any, at_ms: int) -> None:
        self.log = log
        self._key = key
        self._value = value
        self._headers = headers
        self.at_ms = at_ms
        self.index = self.order = 0
        self.commit: CommittedTransaction | None = None

    def __len__(self) -> int:
        return len(self._value or b"")

    def error(self) -> None:
        """None: it is a record."""

    def topic(self) -> str:
        return self.log.topic

    def partition(self) -> int:
        return self.log.partition

    def offset(self) -> int:
        return self.index

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def headers(self) -> Headers | None:
        return self._headers or None

    def timestamp(self) -> tuple[int, int]:
        """The time of the write (ms since 1970)."""
        return 1, self.at_ms


class PartitionEof:
    """The event that a consumer gets at the end of a partition."""

    __slots__ = ("_position", "_tp")

    def __init__(self, tp: TopicPartitionKey, position: int) -> None:
        self._tp = tp
        self._position = position

    def __len__(self) -> int:
        return 0

    def error(self) -> KafkaError:
        """The event's code: it is no record."""
        return _EOF

    def topic(self) -> str:
        return self._tp[0]

    def partition(self) -> int:
        return self._tp[1]

    def offset(self) -> int:
        """The end of the partition."""
        return self._position


_EOF = KafkaError(KafkaError._PARTITION_EOF)


class PartitionLog:
    """A partition. None stands for an offset without a visible record: a transaction marker or an aborted record."""

    __slots__ = ("partition", "records", "topic")

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.records: list[Message | None] = []

    def append(self, message: Message) -> None:
        message.index = len(self.records)
        self.records.append(message)

    def read(self) -> Iterable[Message]:
        """All visible records."""
        return (message for message in self.records if message is not None)


@dataclass(slots=True)
class CommittedTransaction:
    """A committed transaction: the process that wrote it, decisions, changelog records, and other records."""

    number: int
    incarnation: Incarnation
    events: list[Message] = field(default_factory=list)
    documents: list[Message] = field(default_factory=list)
    others: list[Message] = field(default_factory=list)


class SimulatedKafka:
    """All topics of one saga, and one consumer group. `now` gives the true time (ms)."""

    def __init__(self, topics: Topics, partitions: int, now: Callable[[], int]) -> None:
        self.topics = topics
        self.partitions = partitions
        self.changelog = topics.full(STATE)
        self._events = topics.full(EVENTS)
        self.logs = {
            (topics.full(topic), number): PartitionLog(topics.full(topic), number)
            for topic in topics.all
            for number in range(partitions)
        }
        self.inputs = [tp for topic in topics.inputs for tp in self.logs if tp[0] == topics.full(topic)]
        self.committed: dict[TopicPartitionKey, int] = {}
        self.commits: list[CommittedTransaction] = []
        self._now = now
        self._count = 0

    def append(self, out: OutputRecord) -> Message:
        """Appends a record of a producer without transactions; it must name its partition."""
        log = self.logs[self.topics.full(out.topic), out.partition or 0]
        return self._add(log, Message(log, out.key, out.value, out.headers, self._now()))

    def commit_transaction(
        self, written: Iterable[Written], positions: Iterable[TopicPartition], incarnation: Incarnation
    ) -> None:
        """Makes all records visible at once, and commits the positions with them."""
        commit, touched = CommittedTransaction(len(self.commits), incarnation), dict[int, PartitionLog]()
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

    def abort_transaction(self, written: Iterable[Written]) -> None:
        """The records never become visible, but they take offsets."""
        for topic, *_, partition, _ in written:
            self.logs[topic, partition].records.append(None)

    def bounds(self) -> Bounds:
        """First offset and end of each partition."""
        return {tp: (0, len(log.records)) for tp, log in self.logs.items()}

    def records_of(self, topic: str) -> Iterable[Message]:
        """All records of a topic, given by its name without prefix, partition by partition."""
        name = self.topics.full(topic)
        return chain.from_iterable(self.logs[name, number].read() for number in range(self.partitions))

    def _add(self, log: PartitionLog, message: Message) -> Message:
        self._count += 1
        message.order = self._count
        log.append(message)
        return message


class SimulatedConsumer:
    """A consumer of some partitions. It fetches them in random order, and not always all that is there."""

    def __init__(
        self, kafka: SimulatedKafka, positions: Mapping[TopicPartitionKey, int], rng: Random, fetch_sizes: Sequence[int]
    ) -> None:
        self._kafka = kafka
        self._positions = dict(positions)
        self._rng = rng
        self._fetch_sizes = fetch_sizes
        self._fetched: list[Any] = []

    def poll(self, _: float) -> Any:
        """The first fetched record or event, or None."""
        if not self._fetched:
            self._fetch()
        return self._fetched.pop(0) if self._fetched else None

    def consume(self, count: int, _: float) -> list[Any]:
        """Further records and events of the last fetch."""
        taken, self._fetched = self._fetched[:count], self._fetched[count:]
        return taken

    @property
    def has_unread(self) -> bool:
        """Whether there is more to read."""
        logs = self._kafka.logs
        return bool(self._fetched) or any(at < len(logs[tp].records) for tp, at in self._positions.items())

    def _fetch(self) -> None:
        logs = self._kafka.logs
        unread = [tp for tp, at in self._positions.items() if at < len(logs[tp].records)]
        self._rng.shuffle(unread)
        for tp in unread:
            start, records = self._positions[tp], logs[tp].records
            stop = min(len(records), start + self._rng.choice(self._fetch_sizes))
            self._fetched += [message for message in records[start:stop] if message is not None]
            self._positions[tp] = stop
            if stop == len(records):
                self._fetched.append(PartitionEof(tp, stop))


class ChangelogConsumer(SimulatedConsumer):
    """The consumer of a restore; it takes chunks of random sizes."""

    def consume(self, count: int, seconds: float) -> list[Any]:
        """The next chunk."""
        self._fetch()
        return super().consume(count, seconds)

    def close(self) -> None:
        """Nothing to do."""
