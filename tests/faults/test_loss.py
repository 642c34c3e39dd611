"""Partitions that are lost while a batch is being decided: the batch is not committed afterwards."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from app.engine.kafka.transactions import CommitFailed
from app.engine.runtime.batch import BatchContext
from app.engine.runtime.loop import Loop
from app.saga.state import InFlight, Progress, Running, SagaData
from app.wire.state_codec import encode
from app.wire.writer import OutputRecord
from tests.broker.pods import read_committed
from tests.devkafka.support import LIMIT, until
from tests.engine.group_member import GroupMember
from tests.engine.runtime.test_pod_lives import make_loop
from tests.engine.sandbox import Sandbox

pytestmark = pytest.mark.broker
SHORT_SECONDS = 2.0
NOW = 1_700_000_000_000


class SlowMember:
    """A group member whose one decision takes longer than its session: the group removes it, and it joins again."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.member = GroupMember(
            replace(sandbox.client_config(), session_timeout=SHORT_SECONDS, poll_timeout=SHORT_SECONDS), sandbox.topics
        )
        self.loop: Loop
        self.context: BatchContext
        self.loop, self.context = make_loop(self.member, self.on_timer, NOW)
        for producer in self.loop._producers:
            producer.commit = self.losing_first(producer.commit)  # type: ignore[method-assign]

    def decide(self, value: bytes, key: bytes, *_: object) -> None:
        """Handles a record: sends an output."""
        self.context.send(OutputRecord("saga.dead-letters", key, value, ()))

    def losing_first(self, commit: Callable[..., None]) -> Callable[..., None]:
        """A commit before which the member is removed, and has joined again; unless it has been removed already."""

        def commit_late(*arguments: Any) -> None:
            if not self.is_removed():
                self.lose()
            commit(*arguments)

        return commit_late

    def on_timer(self, saga_id: str, *_: object) -> list[OutputRecord]:
        """Handles a due timer: waits until the member is removed from the group, then returns an output."""
        until(self.is_removed, "the group to remove the member")
        return [OutputRecord("saga.dead-letters", saga_id.encode(), b"late", ())]

    def lose(self) -> None:
        """Waits until the member is removed, and has its partition again in the next generation."""
        before = self.member.assigned.group
        until(self.is_removed, "the group to remove the member")
        until(lambda: self.group() is not before, "the next generation")

    def is_removed(self) -> bool:
        """Whether the group has no members."""
        group = self.sandbox.group
        return not self.sandbox.admin.describe_consumer_groups([group])[group].result(LIMIT).members

    def group(self) -> object:
        """The group metadata of the latest assignment; its generation is in it."""
        self.member.consumer.poll(0.05)
        return self.member.assigned.group

    def commit(self) -> None:
        """Decides one batch, and waits for its commit."""
        self.member.join()
        self.member.finish_restore()
        executors = {self.sandbox.full(topic.name): self.decide for topic in self.sandbox.topics.inputs}
        while not self.loop._committing:
            self.loop.run_once(executors)
        self.loop.drain()


def test_a_batch_decided_before_a_loss_is_not_committed_after_it(sandbox: Sandbox) -> None:
    """The process is a member again, and brokers would accept a commit in the new generation.

    So a batch is committed with the generation in which it began, whatever the consumer has heard since.
    """
    sandbox.create()
    sandbox.write("order.requests")
    assert_commit_fails(sandbox)


def test_a_timer_only_batch_is_not_committed_after_a_loss(sandbox: Sandbox) -> None:
    """It commits a position although no record was read; stock quixstreams commits none there, so brokers accept it."""
    sandbox.create()
    sandbox.commit()
    waiting = Running(SagaData("order", 1, "d" * 32, 0, {}, {}), None, (InFlight("reservation", 1, 1, 0, NOW - 1),))
    sandbox.write_one("saga.state", b"o", encode(Progress(1, waiting)))
    assert_commit_fails(sandbox)


def assert_commit_fails(sandbox: Sandbox) -> None:
    """The commit of a slow member's batch fails, and none of it is visible."""
    slow = SlowMember(sandbox)
    with pytest.raises(CommitFailed, match=r"generation|member|fenced"):
        slow.commit()
    at = TopicPartition(sandbox.full("order.requests"), 0)
    assert slow.member.consumer.committed([at], LIMIT)[0].offset == 0
    assert read_committed(sandbox.client, sandbox.start_of("saga.dead-letters")) == []
    slow.member.close()
