"""The orchestrator's side of the topics, for tests on a real Kafka."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from sys import executable
from threading import Condition, Event, Thread
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from app.ops.site import Site
from app.samples.behaviour import Behaviour
from app.samples.ledger import Ledger
from app.samples.participant import Participant
from app.samples.service import Service
from tests.samples.commands import Record

PARTITIONS = 3
PATIENCE = 60.0  # seconds
SEVERAL = 10  # looks at the clock: more than a turn of a service's loop takes
SERVICES = ("reservation", "payment", "shipping", "notice")
TOPICS = ("order.requests", *(f"{name}.{way}" for name in SERVICES for way in ("commands", "replies")))


@dataclass(frozen=True, slots=True)
class Seen:
    """A record that was read."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    partition: int
    offset: int

    def header(self, name: str) -> str:
        """A header as text; KeyError when there is none."""
        return dict(self.headers)[name].decode()


class Wire:
    """Topics of one test's own, made when it begins."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self.site = Site(bootstrap, prefix)
        common = {"bootstrap.servers": bootstrap, "log_level": 2}
        self._admin = AdminClient(common)
        self._reader = {
            **common,
            "group.id": f"{prefix}none",
            "auto.offset.reset": "error",
            "enable.auto.commit": False,
        }
        for made in self._admin.create_topics([NewTopic(prefix + name, PARTITIONS, 1) for name in TOPICS]).values():
            made.result(PATIENCE)
        self._producer = Producer({**common, "partitioner": "murmur2_random", "linger.ms": 0})
        for name in TOPICS:
            self.records(name)  # answers when the new topic is ready

    def send(self, topic: str, records: Sequence[Record]) -> None:
        """Sends records, and waits until they are there."""
        for record in records:
            self._producer.produce(self.site.prefix + topic, record.value, record.key, headers=record.headers)
        assert self._producer.flush(PATIENCE) == 0

    def read(self, topic: str, enough: Callable[[list[Seen]], bool]) -> list[Seen]:
        """All records of a topic from its beginning, as soon as they are enough."""
        seen: list[Seen] = []
        with self.following(topic) as one_more:
            while not enough(seen):
                seen.append(one_more())
        return seen

    @contextmanager
    def following(self, topic: str) -> Iterator[Callable[[], Seen]]:
        """Waits for one more record of a topic at each call."""
        full = self.site.prefix + topic
        with closing(Consumer(self._reader)) as consumer:
            consumer.assign([TopicPartition(full, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])

            def one_more() -> Seen:
                message = consumer.poll(PATIENCE)
                assert message is not None, f"no more records came to {topic}"
                assert message.error() is None, message.error()
                return _seen(message)

            yield one_more

    def everything(self, topic: str) -> list[Seen]:
        """All records that a topic holds by now."""
        count = self.records(topic)
        return self.read(topic, lambda seen: len(seen) >= count)

    def records(self, topic: str) -> int:
        """How many records a topic holds; none is ever deleted here, nor is there any transaction."""
        full = self.site.prefix + topic
        with closing(Consumer(self._reader)) as consumer:
            return sum(end_of(consumer, TopicPartition(full, number)) for number in range(PARTITIONS))

    def replies(self, service: Service, count: int) -> list[Seen]:
        """The first replies of a service, at least so many."""
        return self.read(service.replies_topic, lambda seen: len(seen) >= count)

    def handed_over(self, service: Service, instance: str) -> None:
        """Waits until a process of a service has partitions."""
        group = f"{self.site.prefix}{service.name}-service"
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            members = self._admin.describe_consumer_groups([group])[group].result(PATIENCE).members
            if any(each.group_instance_id == instance and each.assignment.topic_partitions for each in members):
                return
            time.sleep(0.05)
        pytest.fail(f"{instance} got no partitions of {group}")

    def committed(self, service: Service) -> int:
        """How many commands of a service count as read."""
        group = {**self._reader, "group.id": f"{self.site.prefix}{service.name}-service"}
        places = [TopicPartition(self.site.prefix + service.commands_topic, number) for number in range(PARTITIONS)]
        with closing(Consumer(group)) as consumer:
            return sum(max(0, place.offset) for place in consumer.committed(places, PATIENCE))


class HandClock:
    """A clock whose hands the test moves; it notes when it is looked at, as the loop of a service does in each turn."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._looks = 0
        self._looked = Condition()

    def __call__(self) -> float:
        with self._looked:
            self._looks += 1
            self._looked.notify_all()
            return self._seconds

    def put(self, seconds: float) -> None:
        """Puts the hands on a time, in seconds, and waits until it was seen several times, in more than one turn."""
        with self._looked:
            self._seconds = seconds
            seen = self._looks + SEVERAL
            assert self._looked.wait_for(lambda: self._looks >= seen, PATIENCE)

    def wait(self) -> None:
        """Waits until the time was looked at several times more."""
        self.put(self._seconds)


@contextmanager
def serving(
    wire: Wire, service: Service, ledger: Path, behaviour: Behaviour, clock: Callable[[], float] = time.monotonic
) -> Iterator[Participant]:
    """A service in a thread of this process, stopped in good order at the end of the block."""
    stop = Event()
    failed: list[BaseException] = []
    participant: list[Participant] = []
    ready = Event()

    def run() -> None:
        try:
            with closing(Ledger(ledger)) as books:
                participant.append(Participant(service, behaviour, books, wire.site, "1", clock))
                ready.set()
                participant[0].run(stop.is_set)
        except BaseException as error:  # noqa: BLE001 - told to the test below
            failed.append(error)
            ready.set()

    thread = Thread(target=run)
    thread.start()
    try:
        ready.wait(PATIENCE)
        yield participant[0]
    finally:
        stop.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert failed == []


def start(wire: Wire, service: Service, ledger: Path, *options: str) -> "Popen[str]":
    """A service in a process of its own."""
    where = ("--bootstrap", wire.site.bootstrap, "--prefix", wire.site.prefix, "--ledger", str(ledger))
    return Popen([executable, "-m", "app.samples", "serve", service.name, *where, *options], text=True, stderr=-1)


@contextmanager
def ended(process: "Popen[str]") -> Iterator["Popen[str]"]:
    """Whatever happens in the block, the process does not outlive it."""
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def kept(ledger: Path) -> Counter[str]:
    """What the books of a stopped service say that it holds."""
    with closing(Ledger(ledger)) as books:
        return books.kept()


def end_of(consumer: Consumer, place: TopicPartition) -> int:
    """The offset behind the last record; asked again where a new topic has no leader yet."""
    while True:
        try:
            return int(consumer.get_watermark_offsets(place, PATIENCE)[1])
        except KafkaException as error:
            if error.args[0].code() not in (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART):
                raise
            time.sleep(0.02)


def _seen(message: Any) -> Seen:
    headers = tuple(message.headers() or ())
    return Seen(message.key(), message.value(), headers, message.partition(), message.offset())
