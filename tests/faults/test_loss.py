"""Partitions that are lost while a batch is in hand: what was decided before is not committed after it."""

from dataclasses import replace

import pytest
from confluent_kafka import TopicPartition

from app.engine.batch import BatchContext
from app.engine.lanes import CommitFailed
from app.engine.loop import Loop
from app.saga.state import Asked, Facts, Progress, Running
from app.wire.statedoc import encode
from app.wire.writer import Out
from tests.broker.pods import read_committed
from tests.devkafka.support import LIMIT, until
from tests.engine.owner import Owner, Place
from tests.engine.test_lives import looping

pytestmark = pytest.mark.broker
HASTY_SECONDS = 2.0
NOW = 1_700_000_000_000


class Slow:
    """A member with a loop, whose one decision takes so long that the group gives it up, and takes it in again."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.owner = Owner(
            replace(place.clients(), session_timeout=HASTY_SECONDS, poll_timeout=HASTY_SECONDS), place.topics
        )
        self.loop: Loop
        self.context: BatchContext
        self.loop, self.context = looping(self.owner, self, NOW)

    def decide(self, value: bytes, key: bytes, *_: object) -> None:
        """A record leads to an output, once the partition was lost."""
        self.lose()
        self.context.send(Out("saga.dead-letters", key, value, ()))

    def expire(self, saga_id: str, *_: object) -> list[Out]:
        """A due time leads to an output, once the partition was lost."""
        until(self.is_given_up, "the group to give it up")
        return [Out("saga.dead-letters", saga_id.encode(), b"late", ())]

    def admit(self, *_: object) -> list[Out]:
        """Nobody waits."""
        return []

    def lose(self) -> None:
        """Until it has its partition in the next generation."""
        before = self.owner.own.group
        until(self.is_given_up, "the group to give it up")
        until(lambda: self.group() is not before, "the next generation")

    def is_given_up(self) -> bool:
        """Whether nobody is in the group."""
        group = self.place.group
        return not self.place.admin.describe_consumer_groups([group])[group].result(LIMIT).members

    def group(self) -> object:
        """The generation that gave its partition."""
        self.owner.consumer.poll(0.05)
        return self.owner.own.group

    def commit(self) -> None:
        """Decides what there is to be decided, and sees what comes of it."""
        self.owner.start()
        self.owner.restored()
        executors = {self.place.full(topic.name): self.decide for topic in self.place.topics.inputs}
        while not self.loop._held:
            self.loop.turn(executors)
        self.loop.finish()


def test_work_decided_before_a_loss_is_not_committed_after_it(place: Place) -> None:
    """The process is a member again, and in the name of the new generation brokers would let it pass.

    So a batch is committed as of the generation in which it began, whatever the consumer has heard since.
    """
    place.create()
    place.write("order.requests")
    fails(place)


def test_a_batch_of_due_times_alone_is_not_committed_after_a_loss(place: Place) -> None:
    """It carries a position, though no record was read: the stock library's carries none, and brokers let it pass."""
    place.create()
    place.commit()
    waiting = Running(Facts("order", 1, "d" * 32, 0, {}, {}), None, (Asked("reservation", 1, 1, 0, NOW - 1),))
    place.write_one("saga.state", b"o", encode(Progress(1, waiting)))
    fails(place)


def fails(place: Place) -> None:
    """A slow member's batch is refused as a whole."""
    slow = Slow(place)
    with pytest.raises(CommitFailed, match=r"generation|member|fenced"):
        slow.commit()
    at = TopicPartition(place.full("order.requests"), 0)
    assert slow.owner.consumer.committed([at], LIMIT)[0].offset == 0
    assert read_committed(place.client, place.start_of("saga.dead-letters")) == []
    slow.owner.close()
