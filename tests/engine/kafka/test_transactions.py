"""Transactional producers on a real broker."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Producer, TopicPartition

from app.engine.errors import NeedsRestart
from app.engine.kafka.transactions import CommitFailed, TransactionalProducer
from tests.broker.pods import read_committed
from tests.devkafka.support import LIMIT, until
from tests.engine.group_member import GroupMember
from tests.engine.sandbox import Sandbox

pytestmark = pytest.mark.broker


class PodClients:
    """A pod's clients: a member of the group that owns all partitions, and its producers."""

    def __init__(self, sandbox: Sandbox, member: GroupMember) -> None:
        self.sandbox = sandbox
        self.member = member
        self.at = TopicPartition(sandbox.full("order.requests"), 0)

    @property
    def group(self) -> object:
        """The group metadata of the current generation."""
        return self.member.assigned.group

    def producer(self, number: int = 0, instance: str = "pod") -> TransactionalProducer:
        """A producer with its transactional id initialised."""
        config = self.sandbox.client_config(instance, transaction_timeout=5.0).producers()[number]
        producer = TransactionalProducer(config, 10.0, self.sandbox.full("saga.state"))
        producer.init_transactions()
        return producer

    def write(self, producer: TransactionalProducer, value: bytes) -> None:
        """Begins a transaction with one record."""
        producer.begin()
        producer.produce(self.sandbox.full("saga.events"), b"k", value, (), 0)

    def commit(self, producer: TransactionalProducer, position: int, done: list[int]) -> None:
        """Commits the transaction with this position of the first input, and waits."""
        self.begin_commit(producer, position, done)
        producer.wait()

    def begin_commit(self, producer: TransactionalProducer, position: int, done: list[int]) -> None:
        """Hands the commit to the producer's thread; `done` gets the position when it has ended."""
        tp = TopicPartition(self.at.topic, 0, position)
        producer.commit([tp], self.group, lambda: done.append(position))

    def rejoined(self, stale: object) -> bool:
        """Whether the group is in a newer generation."""
        self.member.consumer.poll(0.05)
        return self.group is not stale

    def read_events(self) -> list[bytes]:
        """The committed events."""
        start = TopicPartition(self.sandbox.full("saga.events"), 0, 0)
        return [message.value() or b"" for message in read_committed(self.sandbox.client, start)]

    def await_events(self, *values: bytes) -> None:
        """Waits until just these are committed: a commit is answered before its markers are everywhere."""
        until(lambda: self.read_events() == list(values), f"{len(values)} records")

    def position(self) -> int:
        """The group's committed offset of the first input."""
        return int(self.member.consumer.committed([self.at], LIMIT)[0].offset)


@pytest.fixture
def pod(sandbox: Sandbox) -> Iterator[PodClients]:
    """The only pod of its group."""
    sandbox.create(2)
    with sandbox.member() as member:
        member.join()
        member.finish_restore()
        yield PodClients(sandbox, member)


def test_records_and_positions_are_committed_together(pod: PodClients) -> None:
    """The callback, which saves the store, runs after both."""
    producer, done = pod.producer(), list[int]()
    assert producer.idle
    pod.write(producer, b"one")
    assert (pod.read_events(), done) == ([], [])
    pod.commit(producer, 5, done)
    pod.await_events(b"one")
    assert (pod.position(), done) == (5, [5])
    assert producer.idle
    producer.close()


def test_a_commit_runs_while_its_caller_decides(pod: PodClients) -> None:
    """The producer is not idle until the commit has ended; then it can begin again."""
    producer, done = pod.producer(), list[int]()
    pod.write(producer, b"one")
    pod.begin_commit(producer, 1, done)
    producer.wait_up_to(LIMIT)
    assert producer.idle
    assert done == [1]
    pod.write(producer, b"two")
    pod.commit(producer, 2, done)
    pod.await_events(b"one", b"two")
    assert done == [1, 2]
    producer.close()


def test_two_producers_have_open_transactions_at_the_same_time(pod: PodClients) -> None:
    """Neither fences nor waits for the other."""
    producers, done = [pod.producer(0), pod.producer(1)], list[int]()
    for producer in producers:
        pod.write(producer, b"x")
    for position, producer in enumerate(producers, 1):
        pod.begin_commit(producer, position, done)
    for producer in producers:
        producer.wait()
        producer.close()
    pod.await_events(b"x", b"x")
    assert sorted(done) == [1, 2]


def test_an_owner_of_a_former_generation_is_fenced(pod: PodClients) -> None:
    """A batch of timers alone carries a position too: without one, the brokers would accept its commit."""
    stale, producer, done = pod.group, pod.producer(), list[int]()
    with pod.sandbox.member("other") as other:  # its joining begins a new generation
        other.begin_join()
        until(lambda: pod.rejoined(stale), "a new generation")
        pod.write(producer, b"of a former owner")
        producer.commit([TopicPartition(pod.at.topic, 0, 9)], stale, lambda: done.append(9))
        with pytest.raises(CommitFailed):
            producer.wait()
    assert (done, pod.position()) == ([], 0)
    assert b"of a former owner" not in pod.read_events()
    producer.close()


def test_without_an_offset_a_former_owner_would_commit(pod: PodClients) -> None:
    """As quixstreams does when only timers fired: without an offset, no broker checks who owns the partition."""
    config = {**pod.sandbox.client_config("stock").producers()[0], "transactional.id": f"{pod.sandbox.group}.random"}
    former = Producer(config)
    former.init_transactions(LIMIT)
    former.begin_transaction()
    former.produce(pod.sandbox.full("saga.events"), b"of a former owner", partition=0)
    former.commit_transaction(LIMIT)
    pod.await_events(b"of a former owner")


def test_the_next_start_of_a_pod_aborts_and_fences_the_former_one(pod: PodClients) -> None:
    """It has the same transactional ids: the open transaction is aborted at once, and the former process is fenced."""
    first, done = pod.producer(), list[int]()
    pod.write(first, b"left open")
    first.produce(pod.sandbox.full("saga.events"), b"k", b"left open as well", (), 0)
    second = pod.producer()
    pod.write(second, b"of the next process")
    pod.commit(second, 1, done)
    pod.begin_commit(first, 9, done)
    with pytest.raises(CommitFailed, match=r"[Ff]enced|newer instance|epoch"):
        first.wait()
    pod.await_events(b"of the next process")
    assert (pod.position(), done) == (1, [1])
    assert issubclass(CommitFailed, NeedsRestart)
    first.close()
    second.close()


def test_a_failed_commit_is_reported_each_time(pod: PodClients) -> None:
    """Each question whether the producer is idle raises the failure again: no transaction can begin on it."""
    first, second = pod.producer(), pod.producer()
    pod.write(first, b"x")
    pod.begin_commit(first, 1, [])
    for _ in range(2):
        first.wait_up_to(LIMIT)
        with pytest.raises(CommitFailed):
            assert first.idle
    first.close()
    second.close()


def test_a_full_queue_is_waited_for(pod: PodClients) -> None:
    """When there are more records than fit into the client's queue, producing waits, and no record is lost."""
    config = {**pod.sandbox.client_config().producers()[0], "queue.buffering.max.messages": 50}
    producer, done = TransactionalProducer(config, 10.0, pod.sandbox.full("saga.state")), list[int]()
    producer.init_transactions()
    producer.begin()
    for index in range(500):
        producer.produce(pod.sandbox.full("saga.events"), b"k", b"%d" % index, (), 0)
    pod.commit(producer, 1, done)
    pod.await_events(*(b"%d" % index for index in range(500)))
    producer.close()


def test_a_missing_coordinator_is_reported(sandbox: Sandbox) -> None:
    """The error says why the producer could not be initialised."""
    config = {**sandbox.client_config().producers()[0], "bootstrap.servers": "127.0.0.1:1"}
    with pytest.raises(CommitFailed, match="the transaction coordinator did not answer"):
        TransactionalProducer(config, 1.0, "any").init_transactions()
