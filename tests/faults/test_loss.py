"""Partitions that are lost while a batch is in hand: what was decided before is not committed after it."""

from dataclasses import replace

import pytest
from confluent_kafka import TopicPartition

from app.engine.batch import BatchContext
from app.engine.lanes import CommitFailed
from app.engine.loop import Loop
from app.wire.writer import Out
from tests.broker.pods import read_committed
from tests.devkafka.support import LIMIT, until
from tests.engine.owner import Owner, Place
from tests.engine.test_lives import looping

pytestmark = pytest.mark.broker
HASTY_SECONDS = 2.0


class Slow:
    """A member with a loop, whose one record takes so long that the group gives it up, and takes it in again."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.owner = Owner(
            replace(place.clients(), session_timeout=HASTY_SECONDS, poll_timeout=HASTY_SECONDS), place.topics
        )
        self.loop: Loop
        self.context: BatchContext
        self.loop, self.context = looping(self.owner)

    def decide(self, value: bytes, key: bytes, *_: object) -> None:
        """Writes an output, once it has its partition in the next generation."""
        before = self.owner.own.group
        until(self.is_given_up, "the group to give it up")
        until(lambda: self.group() is not before, "the next generation")
        self.context.batch.send(Out("saga.dead-letters", key, value, ()))

    def is_given_up(self) -> bool:
        """Whether nobody is in the group."""
        group = self.place.group
        return not self.place.admin.describe_consumer_groups([group])[group].result(LIMIT).members

    def group(self) -> object:
        """The generation that gave its partition."""
        self.owner.consumer.poll(0.05)
        return self.owner.own.group

    def commit(self) -> None:
        """Reads the record, decides it, and sees what comes of it."""
        self.owner.start()
        self.owner.restored()
        self.place.write("order.requests")
        executors = {self.place.full(topic.name): self.decide for topic in self.place.topics.inputs}
        while not self.loop._held:
            self.loop.turn(executors)
        self.loop.finish()


def test_work_decided_before_a_loss_is_not_committed_after_it(place: Place) -> None:
    """The process is a member again, and in the name of the new generation brokers would let it pass.

    So a batch is committed as of the generation in which it began, whatever the consumer has heard since.
    """
    place.create()
    slow = Slow(place)
    with pytest.raises(CommitFailed, match=r"generation|member|fenced"):
        slow.commit()
    at = TopicPartition(place.full("order.requests"), 0)
    assert slow.owner.consumer.committed([at], LIMIT)[0].offset == 0
    assert read_committed(place.client, place.start_of("saga.dead-letters")) == []
    slow.owner.close()
