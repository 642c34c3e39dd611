"""Transactional producers on a real broker."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Producer, TopicPartition

from app.engine.errors import Ended
from app.engine.lanes import CommitFailed, Lane
from tests.broker.pods import read_committed
from tests.devkafka.support import LIMIT, until
from tests.engine.owner import Owner, Place

pytestmark = pytest.mark.broker


class Member:
    """One that owns the partitions, and its lanes."""

    def __init__(self, place: Place, owner: Owner) -> None:
        self.place = place
        self.owner = owner
        self.at = TopicPartition(place.full("order.requests"), 0)

    @property
    def group(self) -> object:
        """The generation that gave the partitions."""
        return self.owner.own.group

    def lane(self, number: int = 0, instance: str = "pod") -> Lane:
        """A lane that is open."""
        config = self.place.clients(instance, transaction_timeout=5.0).lanes()[number]
        lane = Lane(config, 10.0, self.place.full("saga.state"))
        lane.open()
        return lane

    def write(self, lane: Lane, value: bytes) -> None:
        """Begins a transaction with one record."""
        lane.begin()
        lane.produce(self.place.full("saga.events"), b"k", value, (), 0)

    def commit(self, lane: Lane, position: int, done: list[int]) -> None:
        """Commits with a position of the first input, and waits."""
        self.hand_over(lane, position, done)
        lane.wait()

    def hand_over(self, lane: Lane, position: int, done: list[int]) -> None:
        """Commits without waiting."""
        place = TopicPartition(self.at.topic, 0, position)
        lane.commit([place], self.group, lambda: done.append(position))

    def rejoined(self, stale: object) -> bool:
        """Whether it has partitions in a newer generation than that."""
        self.owner.consumer.poll(0.05)
        return self.group is not stale

    def seen(self) -> list[bytes]:
        """What a reader of committed records sees."""
        start = TopicPartition(self.place.full("saga.events"), 0, 0)
        return [message.value() or b"" for message in read_committed(self.place.client, start)]

    def await_seen(self, *values: bytes) -> None:
        """Waits until just these are seen: a commit is answered before its markers are everywhere."""
        until(lambda: self.seen() == list(values), f"{len(values)} records")

    def position(self) -> int:
        """What the group has committed."""
        return int(self.owner.consumer.committed([self.at], LIMIT)[0].offset)


@pytest.fixture
def member(place: Place) -> Iterator[Member]:
    """The only one of its group."""
    place.create(2)
    with place.owner() as owner:
        owner.start()
        owner.restored()
        yield Member(place, owner)


def test_records_and_positions_are_committed_together(member: Member) -> None:
    """Only when both are does the store get to know."""
    lane, done = member.lane(), list[int]()
    assert lane.idle
    member.write(lane, b"one")
    assert (member.seen(), done) == ([], [])
    member.commit(lane, 5, done)
    member.await_seen(b"one")
    assert (member.position(), done) == (5, [5])
    assert lane.idle
    lane.close()


def test_a_commit_goes_on_while_its_caller_decides(member: Member) -> None:
    """The lane is not idle until the commit is done, and then it can begin again."""
    lane, done = member.lane(), list[int]()
    member.write(lane, b"one")
    member.hand_over(lane, 1, done)
    lane.rest(LIMIT)
    assert lane.idle
    assert done == [1]
    member.write(lane, b"two")
    member.commit(lane, 2, done)
    member.await_seen(b"one", b"two")
    assert done == [1, 2]
    lane.close()


def test_two_lanes_hold_transactions_at_the_same_time(member: Member) -> None:
    """Neither fences or waits for the other."""
    lanes, done = [member.lane(0), member.lane(1)], list[int]()
    for lane in lanes:
        member.write(lane, b"x")
    for position, lane in enumerate(lanes, 1):
        member.hand_over(lane, position, done)
    for lane in lanes:
        lane.wait()
        lane.close()
    member.await_seen(b"x", b"x")
    assert sorted(done) == [1, 2]


def test_an_owner_of_a_former_generation_commits_nothing(member: Member) -> None:
    """A batch in which only timers fired carries a position too: without one, brokers let it pass."""
    stale, lane, done = member.group, member.lane(), list[int]()
    with member.place.owner("other") as other:  # its joining begins a new generation
        other.start_joining()
        until(lambda: member.rejoined(stale), "a new generation")
        member.write(lane, b"of a former owner")
        lane.commit([TopicPartition(member.at.topic, 0, 9)], stale, lambda: done.append(9))
        with pytest.raises(CommitFailed):
            lane.wait()
    assert (done, member.position()) == ([], 0)
    assert b"of a former owner" not in member.seen()
    lane.close()


def test_without_a_position_a_former_owner_would_commit(member: Member) -> None:
    """What the base library does with a checkpoint in which only timers fired: nobody checks who owns the partition."""
    config = {**member.place.clients("stock").lanes()[0], "transactional.id": f"{member.place.group}.random"}
    former = Producer(config)
    former.init_transactions(LIMIT)
    former.begin_transaction()
    former.produce(member.place.full("saga.events"), b"of a former owner", partition=0)
    former.commit_transaction(LIMIT)
    member.await_seen(b"of a former owner")


def test_the_next_life_of_a_pod_ends_what_this_one_left_open(member: Member) -> None:
    """Its transactional ids are the same, so what was open is aborted at once, and this life can commit no more."""
    first, done = member.lane(), list[int]()
    member.write(first, b"left open")
    first.produce(member.place.full("saga.events"), b"k", b"left open too", (), 0)
    second = member.lane()
    member.write(second, b"of the next life")
    member.commit(second, 1, done)
    member.hand_over(first, 9, done)
    with pytest.raises(CommitFailed, match=r"[Ff]enced|newer instance|epoch"):
        first.wait()
    member.await_seen(b"of the next life")
    assert (member.position(), done) == (1, [1])
    assert issubclass(CommitFailed, Ended)
    first.close()
    second.close()


def test_a_failed_commit_is_not_forgotten(member: Member) -> None:
    """Asking whether the lane is idle tells of the failure, again and again: nothing can begin on it."""
    first, second = member.lane(), member.lane()
    member.write(first, b"x")
    member.hand_over(first, 1, [])
    for _ in range(2):
        first.rest(LIMIT)
        with pytest.raises(CommitFailed):
            assert first.idle
    first.close()
    second.close()


def test_a_full_queue_is_waited_for(member: Member) -> None:
    """More records than the client holds at a time are sent bit by bit, and none is lost."""
    config = {**member.place.clients().lanes()[0], "queue.buffering.max.messages": 50}
    lane, done = Lane(config, 10.0, member.place.full("saga.state")), list[int]()
    lane.open()
    lane.begin()
    for index in range(500):
        lane.produce(member.place.full("saga.events"), b"k", b"%d" % index, (), 0)
    member.commit(lane, 1, done)
    member.await_seen(*(b"%d" % index for index in range(500)))
    lane.close()


def test_no_coordinator_is_told(place: Place) -> None:
    """A lane that can't open says why, and the process ends."""
    config = {**place.clients().lanes()[0], "bootstrap.servers": "127.0.0.1:1"}
    with pytest.raises(CommitFailed, match="the transaction coordinator did not answer"):
        Lane(config, 1.0, "any").open()
