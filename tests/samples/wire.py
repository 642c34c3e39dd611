"""The orchestrator's side of the topics on a real Kafka, and services that run beside a test."""

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

from app.ops.kafka_cluster import KafkaCluster
from app.samples.participant.fault_plan import FaultPlan
from app.samples.participant.ledger import Ledger
from app.samples.participant.server import ParticipantServer
from app.samples.services.base import Service
from tests.samples.commands import Record

PARTITIONS = 3
PATIENCE = 60.0  # seconds
SEVERAL = 10  # readings of the clock: more than one pass of a service's loop takes
SERVICES = ("reservation", "payment", "shipping", "notice")
TOPICS = ("order.requests", *(f"{name}.{kind}" for name in SERVICES for kind in ("commands", "replies")))


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """A record as it was read from a topic."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    partition: int
    offset: int

    def header(self, name: str) -> str:
        """A header as text; KeyError when there is none."""
        return dict(self.headers)[name].decode()


class Wire:
    """Topics of one test's own, created by the constructor."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self.cluster = KafkaCluster(bootstrap, prefix)
        common = {"bootstrap.servers": bootstrap, "log_level": 2}
        self._admin = AdminClient(common)
        self._reader = {
            **common,
            "group.id": f"{prefix}none",
            "auto.offset.reset": "error",
            "enable.auto.commit": False,
        }
        for created in self._admin.create_topics([NewTopic(prefix + name, PARTITIONS, 1) for name in TOPICS]).values():
            created.result(PATIENCE)
        self._producer = Producer({**common, "partitioner": "murmur2_random", "linger.ms": 0})
        for name in TOPICS:
            self.records(name)  # returns when the new topic has leaders

    def send(self, topic: str, records: Sequence[Record]) -> None:
        """Sends records, and waits until they are delivered."""
        for record in records:
            self._producer.produce(self.cluster.prefix + topic, record.value, record.key, headers=record.headers)
        assert self._producer.flush(PATIENCE) == 0

    def read(self, topic: str, enough: Callable[[list[ReadRecord]], bool]) -> list[ReadRecord]:
        """The records of a topic from its beginning, until they are enough."""
        records: list[ReadRecord] = []
        with self.following(topic) as next_record:
            while not enough(records):
                records.append(next_record())
        return records

    @contextmanager
    def following(self, topic: str) -> Iterator[Callable[[], ReadRecord]]:
        """A function that waits for the next record of a topic, from its beginning."""
        full = self.cluster.prefix + topic
        with closing(Consumer(self._reader)) as consumer:
            consumer.assign([TopicPartition(full, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])

            def next_record() -> ReadRecord:
                message = consumer.poll(PATIENCE)
                assert message is not None, f"no more records came to {topic}"
                assert message.error() is None, message.error()
                return _read_record(message)

            yield next_record

    def everything(self, topic: str) -> list[ReadRecord]:
        """All records that are in a topic by now."""
        count = self.records(topic)
        return self.read(topic, lambda records: len(records) >= count)

    def records(self, topic: str) -> int:
        """The number of records in a topic: its end offsets, as nothing is deleted or written in transactions here."""
        full = self.cluster.prefix + topic
        with closing(Consumer(self._reader)) as consumer:
            return sum(end_of(consumer, TopicPartition(full, number)) for number in range(PARTITIONS))

    def replies(self, service: Service, count: int) -> list[ReadRecord]:
        """The first replies of a service; waits for so many."""
        return self.read(service.replies_topic, lambda records: len(records) >= count)

    def await_assignment(self, service: Service, instance: str) -> None:
        """Waits until a process of a service is assigned partitions."""
        group = f"{self.cluster.prefix}{service.name}-service"
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            members = self._admin.describe_consumer_groups([group])[group].result(PATIENCE).members
            if any(each.group_instance_id == instance and each.assignment.topic_partitions for each in members):
                return
            time.sleep(0.05)
        pytest.fail(f"{instance} was assigned no partitions of {group}")

    def committed(self, service: Service) -> int:
        """The number of commands of a service before its committed offsets."""
        group = {**self._reader, "group.id": f"{self.cluster.prefix}{service.name}-service"}
        topic = self.cluster.prefix + service.commands_topic
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        with closing(Consumer(group)) as consumer:
            return sum(max(0, each.offset) for each in consumer.committed(partitions, PATIENCE))


class ManualClock:
    """A clock that the test sets, and that counts its readings: a service's loop reads it in each pass."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._readings = 0
        self._read = Condition()

    def __call__(self) -> float:
        with self._read:
            self._readings += 1
            self._read.notify_all()
            return self._seconds

    def put(self, seconds: float) -> None:
        """Sets the time, and waits until the loop has read it in more than one pass."""
        with self._read:
            self._seconds = seconds
            enough = self._readings + SEVERAL
            assert self._read.wait_for(lambda: self._readings >= enough, PATIENCE)

    def wait(self) -> None:
        """Waits until the loop has read the time in more than one further pass."""
        self.put(self._seconds)


@contextmanager
def serving(
    wire: Wire, service: Service, ledger: Path, faults: FaultPlan, clock: Callable[[], float] = time.monotonic
) -> Iterator[ParticipantServer]:
    """A service on a thread of this process, stopped in order at the end of the block."""
    stop = Event()
    failed: list[BaseException] = []
    participant: list[ParticipantServer] = []
    ready = Event()

    def run() -> None:
        try:
            with closing(Ledger(ledger)) as opened:
                participant.append(ParticipantServer(service, faults, opened, wire.cluster, "1", clock))
                ready.set()
                participant[0].run(stop.is_set)
        except BaseException as error:  # noqa: BLE001 - asserted on the test's thread
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
    given = ("--bootstrap", wire.cluster.bootstrap, "--prefix", wire.cluster.prefix, "--ledger", str(ledger))
    return Popen([executable, "-m", "app.samples", "serve", service.name, *given, *options], text=True, stderr=-1)


@contextmanager
def ended(process: "Popen[str]") -> Iterator["Popen[str]"]:
    """Kills the process at the end of the block, if it still runs."""
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def kept(ledger: Path) -> Counter[str]:
    """What a service has taken and not given back, from its ledger."""
    with closing(Ledger(ledger)) as opened:
        return opened.kept()


def end_of(consumer: Consumer, partition: TopicPartition) -> int:
    """The high watermark; repeats the request while a new topic has no leader yet."""
    while True:
        try:
            return int(consumer.get_watermark_offsets(partition, PATIENCE)[1])
        except KafkaException as error:
            if error.args[0].code() not in (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART):
                raise
            time.sleep(0.02)


def _read_record(message: Any) -> ReadRecord:
    headers = tuple(message.headers() or ())
    return ReadRecord(message.key(), message.value(), headers, message.partition(), message.offset())
