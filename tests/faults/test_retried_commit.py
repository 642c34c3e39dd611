"""Commits whose answer doesn't come: tried again by nobody, and what the client sends twice by itself does no harm."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from app.demo.children import Child
from app.devkafka import LocalKafka
from app.devkafka.ports import free_ports
from app.devkafka.properties import Extra, Listener
from app.engine.lanes import CommitFailed, Lane
from app.engine.loop import _LEAVE_SECONDS
from tests.broker.pods import Site, read_committed, site
from tests.devkafka.support import until
from tests.engine.owner import Owner, Place
from tests.faults.proxy import END, Proxy

pytestmark = pytest.mark.broker
SOON_SECONDS = 5.0
COMMIT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Slow:
    """A Kafka, and a proxy before it."""

    bootstrap: str
    proxy: Proxy


@pytest.fixture(scope="module")
def slow() -> Iterator[Slow]:
    """A broker of this module's own, which tells clients that come through the proxy to stay there."""
    behind, told = free_ports(2)
    extra = Extra((Listener("SLOW", behind, told),))
    with LocalKafka(extra={1: extra}) as kafka, Proxy(told, behind) as proxy:
        yield Slow(kafka.bootstrap, proxy)


class Writer:
    """A lane through the proxy, and the member of the group whose positions it commits."""

    def __init__(self, slow: Slow, place: Place, owner: Owner) -> None:
        self.place = place
        self._group = owner.own.group
        self._config = Place(slow.proxy.address, place.topics.prefix, place.folder).clients().lanes()[0]
        self.done: list[int] = []

    def lane(self, timeout: float = 10.0) -> Lane:
        """One that is open."""
        lane = Lane(self._config, timeout)
        lane.open()
        return lane

    def write(self, lane: Lane, value: bytes) -> None:
        """Begins a transaction."""
        lane.begin()
        lane.produce(self.place.full("saga.events"), b"k", value, (), 0)

    def commit(self, lane: Lane, position: int) -> None:
        """Commits without waiting."""
        at = TopicPartition(self.place.full("order.requests"), 0, position)
        lane.commit([at], self._group, lambda: self.done.append(position))

    def seen(self) -> list[bytes]:
        """What a reader of committed records sees."""
        return [message.value() or b"" for message in read_committed(self.place.client, self.start)]

    @property
    def start(self) -> TopicPartition:
        """The beginning of what is written."""
        return self.place.start_of("saga.events")


@pytest.fixture
def writer(slow: Slow, topic_prefix: str, tmp_path: Path) -> Iterator[Writer]:
    """Of a place of its own."""
    place = Place(slow.bootstrap, topic_prefix, tmp_path)
    place.create()
    with place.owner() as owner:
        owner.start()
        owner.restored()
        yield Writer(slow, place, owner)


@pytest.mark.parametrize("lost", (True, False), ids=("lost", "late"))
def test_a_commit_that_was_sent_twice_does_not_end_the_next_transaction(
    slow: Slow, writer: Writer, *, lost: bool
) -> None:
    """The client sends it again by itself; the first one comes when the next transaction is half written."""
    lane = writer.lane()
    writer.write(lane, b"first")
    asked = slow.proxy.requests[END]
    with slow.proxy.holding(END):
        writer.commit(lane, 1)
        until(lambda: slow.proxy.requests[END] == asked + 1, "the commit")
    if lost:
        slow.proxy.cut()
    lane.wait()
    assert slow.proxy.requests[END] == asked + 2
    writer.write(lane, b"half of the second")
    until(lambda: lane._producer.flush(1.0) == 0, "the record to be written")
    slow.proxy.release(END)
    assert (writer.done, writer.seen()) == ([1], [b"first"])
    lane.produce(writer.place.full("saga.events"), b"k", b"the other half", (), 0)
    writer.commit(lane, 2)
    lane.wait()
    until(lambda: writer.seen() == [b"first", b"half of the second", b"the other half"], "all of it")
    lane.close()


def test_a_commit_that_is_not_answered_is_not_tried_again(slow: Slow, writer: Writer) -> None:
    """It was done all the same: the next life finds its records, and its own first ones come after them."""
    first = writer.lane(timeout=COMMIT_SECONDS)
    with slow.proxy.swallowing(END):
        writer.write(first, b"of the first life")
        begun = time.monotonic()
        writer.commit(first, 1)
        for _ in range(2):
            with pytest.raises(CommitFailed, match="Timed out"):
                first.wait()
        assert time.monotonic() - begun < 2 * COMMIT_SECONDS
    assert writer.done == []
    second = writer.lane()
    writer.write(second, b"of the second life")
    writer.commit(second, 2)
    second.wait()
    until(lambda: writer.seen() == [b"of the first life", b"of the second life"], "both")
    for lane in (first, second):
        lane.close()


@pytest.fixture
def at(slow: Slow, topic_prefix: str, tmp_path: Path) -> Iterator[Site]:
    """Topics and pods of a test's own."""
    with site(slow.bootstrap, topic_prefix, tmp_path) as made:
        yield made


def running(at: Site, bootstrap: str) -> Child:
    """A pod of little patience."""
    return at.running(kafka_bootstrap=bootstrap, session_timeout=2, transaction_timeout=1)


def behind_proxy(slow: Slow, at: Site) -> Child:
    """A pod that knows the brokers by the proxy only, with a commit under way that is not answered."""
    pod, asked = running(at, slow.proxy.address), slow.proxy.requests[END]
    at.place("o")
    until(lambda: slow.proxy.requests[END] > asked, "its commit")
    return pod


def once(at: Site) -> None:
    """A next life goes on, and the order is decided once."""
    running(at, at.client["bootstrap.servers"])
    at.await_events("o", "saga.step.requested")
    at.place("p")
    at.await_events("p", "saga.step.requested")
    assert [decision["saga_id"] for decision in at.decisions()] == ["o", "p"]


def test_a_pod_that_is_told_to_end_does_not_wait_for_long_for_a_commit(slow: Slow, at: Site) -> None:
    """The broker never gets the commit: the pod ends within seconds, and another life decides again."""
    with slow.proxy.holding(END):
        pod = behind_proxy(slow, at)
        begun = time.monotonic()
        assert pod.stop() == 1
        assert time.monotonic() - begun < _LEAVE_SECONDS + SOON_SECONDS
    assert "saga: told to end, but a commit was not answered within 5 s" in pod.said()


def test_a_pod_that_lost_its_partitions_ends_with_a_commit_under_way(slow: Slow, at: Site) -> None:
    """It stood still for too long: when it goes on it commits nothing more, and waits for nothing."""
    with slow.proxy.holding(END):
        pod = behind_proxy(slow, at)
        os.kill(pod.pid or 0, signal.SIGSTOP)
        until(lambda: is_empty(at), "the group to give it up")
        os.kill(pod.pid or 0, signal.SIGCONT)
        begun = time.monotonic()
        until(lambda: not pod.alive, "the pod to end")
        assert time.monotonic() - begun < SOON_SECONDS
        slow.proxy.release(END)
    assert pod.stop() == 1
    assert "saga: the group gave this process's partitions to others" in pod.said()
    once(at)


def is_empty(at: Site) -> bool:
    """Whether nobody is in the group."""
    asking = at.admin
    return not asking.describe_consumer_groups([at.group])[at.group].result().members
