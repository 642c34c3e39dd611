"""What happens to topics and offsets behind a pod's back: told by name, and never taken for something else."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import NewPartitions
from quixstreams.exceptions import PartitionAssignmentError

from app.engine import stalls
from app.engine.errors import Ended
from app.engine.lanes import CommitFailed
from app.engine.loop import Loop
from app.engine.offsets import UnsafeStart
from app.engine.stalls import Stalls
from app.wire.statedoc import encode
from tests.devkafka.support import LIMIT, transactional_producer, until
from tests.engine.owner import Owner, Place
from tests.engine.test_lives import looping
from tests.engine.test_store import DONE

pytestmark = pytest.mark.broker
Turn = Callable[[], None]


def never(*_: object) -> None:
    """What is done with records that are left out."""


@contextmanager
def reading(place: Place) -> Iterator[tuple[Owner, Loop, Turn]]:
    """A member with a loop, and a turn of it."""
    with place.owner() as owner:
        loop, _ = looping(owner)
        owner.start()
        owner.restored()
        executors = {place.full(topic.name): never for topic in place.topics.inputs}
        yield owner, loop, lambda: loop.turn(executors)


def until_so(turn: Turn, condition: Callable[[], bool], what: str) -> None:
    """Turns until it is so."""

    def turned() -> bool:
        turn()
        return condition()

    until(turned, what)


def until_the_end(turn: Turn) -> None:
    """Turns until something is raised."""
    until_so(turn, lambda: False, "the end")


def more_partitions(place: Place, *names: str) -> None:
    """Topics get a second partition."""
    new = [NewPartitions(place.full(name), 2) for name in names]
    for made in place.admin.create_partitions(new).values():
        made.result(LIMIT)
    topics = {place.full(name) for name in names}
    until(lambda: all(len(place.admin.list_topics(name).topics[name].partitions) == 2 for name in topics), "partitions")


def test_records_that_are_deleted_before_they_are_read_end_the_pod(place: Place) -> None:
    """The stock library goes on with what is left; this one ends, and its next start says what is lost."""
    place.create()
    with reading(place) as (owner, _, turn):
        owner.consumer.assign([])
        place.write("order.requests", 5)
        before = TopicPartition(place.full("order.requests"), 0, 4)
        place.admin.delete_records([before])[before].result(LIMIT)
        owner.consumer.assign(owner.own._reading)  # as if nothing had been fetched before
        with pytest.raises(Ended, match=rf"{before.topic}\[0\] can't be read on: .*not available"):
            until_the_end(turn)
    with place.owner() as owner, pytest.raises(UnsafeStart, match=r"was deleted up to 4, but .* read it up to 0 only"):
        owner.start()


def test_an_input_that_is_deleted_ends_the_pod(place: Place) -> None:
    """It says which one; there is no state to go with another one of that name."""
    place.create()
    with reading(place) as (_, __, turn):
        place.delete_one("payment.replies")
        with pytest.raises(PartitionAssignmentError) as error:
            until_the_end(turn)
    assert f"{place.full('payment.replies')} is missing" in str(error.value.__cause__)


def test_a_changelog_that_was_cut_is_refused(place: Place) -> None:
    """It was kept in another way for a while, and lost its beginning; who has that on disk already goes on."""
    place.create()
    place.commit()
    for key in (b"a", b"b"):
        place.write_one("saga.state", key, encode(DONE))
    place.own_once()
    before = TopicPartition(place.changelog, 0, 1)
    with pytest.raises(KafkaException, match="Policy violation"):  # as long as it is kept as it must be
        place.admin.delete_records([before])[before].result(LIMIT)
    place.alter("saga.state", "cleanup.policy", "delete")
    place.admin.delete_records([before])[before].result(LIMIT)
    place.alter("saga.state", "cleanup.policy", "compact")
    place.own_once()
    told = rf"{place.changelog}\[0\] was deleted up to 1, and .* has it up to 0 only"
    with place.owner(folder="another") as owner, pytest.raises(UnsafeStart, match=told):
        owner.start()


def test_an_input_with_more_partitions_than_the_others_is_refused(place: Place) -> None:
    """Whenever partitions are taken over, not at a start only: they may come while pods run."""
    place.create()
    more_partitions(place, "order.requests")
    with place.owner() as owner, pytest.raises(UnsafeStart, match=r"all topics need the same number of partitions, "):
        owner.start()


def test_more_partitions_of_all_topics_are_refused(place: Place) -> None:
    """Each topic has as many as the others, but an order's state is where it was, and its replies are elsewhere."""
    place.create()
    place.own_once()
    more_partitions(place, *(topic.name for topic in place.topics.all))
    with place.owner() as owner, pytest.raises(UnsafeStart, match="had 1 partitions when it was read last, and has"):
        owner.start()


def test_an_offset_that_was_set_by_hand_is_told(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Back or forward, nothing else shows it; one that was committed by a pod is nothing to tell of."""
    place.create()
    place.commit()
    topics = [place.full(topic.name) for topic in place.topics.inputs]
    with reading(place) as (_, loop, turn):
        assert by_hand(caplog) == [(topic, 0, 0) for topic in sorted(topics)]
        caplog.clear()
        place.write("order.requests", 2)
        until_so(turn, lambda: bool(loop._held), "the records")
        loop.finish()
    place.own_once()
    assert by_hand(caplog) == [(topic, 0, 0) for topic in sorted(topics) if topic != place.full("order.requests")]


def by_hand(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int, int]]:
    """The offsets of which the log says so."""
    told = [vars(record) for record in caplog.records if "set by hand" in record.getMessage()]
    return sorted((each["topic"], each["partition"], each["offset"]) for each in told)


def test_the_offsets_of_a_group_that_runs_cannot_be_deleted(place: Place) -> None:
    """The broker itself says no."""
    place.create()
    with place.owner() as owner:
        owner.start()
        with pytest.raises(KafkaException, match="not empty"):
            place.admin.delete_consumer_groups([place.group])[place.group].result(LIMIT)


def test_an_input_that_an_open_transaction_holds_back_is_told(
    place: Place, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name, and how far it was read; the other inputs are not held back, and not told."""
    monkeypatch.setattr(stalls, "_STALLED_SECONDS", 2.0)
    place.create()
    service = transactional_producer(place.client["bootstrap.servers"], f"{place.group}.service")
    with reading(place) as (owner, _, turn):
        watch = Stalls(owner.consumer, owner.own)

        def turned() -> None:
            turn()
            watch.look(time.monotonic())

        service.begin_transaction()
        service.produce(place.full("payment.replies"), b"{}", b"k", 0)
        assert service.flush(LIMIT) == 0
        place.write("order.requests", 3)
        with caplog.at_level(logging.WARNING):
            until_so(turned, lambda: bool(caplog.records), "a word of it")
        assert owner.own.positions[place.full("order.requests"), 0] == 3
        service.abort_transaction(LIMIT)
    told = [vars(record) for record in caplog.records]
    assert [(each["topic"], each["partition"], each["offset"], each["end"]) for each in told] == [
        (place.full("payment.replies"), 0, 0, 1)
    ]


def shrink(place: Place) -> None:
    """An output takes no records of this size any more."""
    place.alter("saga.events", "max.message.bytes", "1")


def delete(place: Place) -> None:
    """An output is no more."""
    place.delete_one("saga.events")


@pytest.mark.parametrize(
    ("harm", "why"),
    ((shrink, r"saga\.events \[0\].* Message size too large"), (delete, "failed delivery|not known after")),
)
def test_a_record_that_the_broker_refuses_ends_the_pod(place: Place, harm: Callable[[Place], None], why: str) -> None:
    """Nothing of its batch is committed. What became of the topic is said here, or by the check of the next start."""
    place.create()
    with place.owner() as owner:
        owner.start()
        owner.restored()
        loop, _ = looping(owner)
        harm(place)
        (lane, *_) = loop._lanes
        lane.begin()
        lane.produce(place.full("saga.events"), b"k", b"v", (), 0)
        at = TopicPartition(place.full("order.requests"), 0, 1)
        lane.commit([at], owner.own.group, lambda: None)
        with pytest.raises(CommitFailed, match=why):
            lane.wait()
        assert owner.consumer.committed([at], LIMIT)[0].offset == 0
