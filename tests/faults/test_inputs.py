"""Topics and offsets that change under a running group: each is reported by name, and none is mistaken for another."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import NewPartitions
from quixstreams.exceptions import PartitionAssignmentError

from app.engine.assignment import stalled_inputs
from app.engine.assignment.stalled_inputs import StalledInputs
from app.engine.errors import NeedsRestart, UnsafeStart
from app.engine.kafka.transactions import CommitFailed
from app.engine.runtime.loop import Loop
from app.wire.state_codec import encode
from tests.devkafka.support import LIMIT, transactional_producer, until
from tests.engine.group_member import GroupMember
from tests.engine.runtime.test_pod_lives import make_loop
from tests.engine.sandbox import Sandbox
from tests.engine.state.test_store import DONE

pytestmark = pytest.mark.broker
RunOnce = Callable[[], None]


def never(*_: object) -> None:
    """A handler for records that are left out."""


@contextmanager
def reading(sandbox: Sandbox) -> Iterator[tuple[GroupMember, Loop, RunOnce]]:
    """A group member with a loop, and a function that runs the loop once."""
    with sandbox.member() as member:
        loop, _ = make_loop(member)
        member.join()
        member.finish_restore()
        executors = {sandbox.full(topic.name): never for topic in sandbox.topics.inputs}
        yield member, loop, lambda: loop.run_once(executors)


def until_so(run_once: RunOnce, condition: Callable[[], bool], what: str) -> None:
    """Runs the loop until the condition holds."""

    def ran() -> bool:
        run_once()
        return condition()

    until(ran, what)


def until_raised(run_once: RunOnce) -> None:
    """Runs the loop until it raises."""
    until_so(run_once, lambda: False, "an error")


def more_partitions(sandbox: Sandbox, *names: str) -> None:
    """Gives topics a second partition."""
    new = [NewPartitions(sandbox.full(name), 2) for name in names]
    for made in sandbox.admin.create_partitions(new).values():
        made.result(LIMIT)
    topics = {sandbox.full(name) for name in names}
    until(
        lambda: all(len(sandbox.admin.list_topics(name).topics[name].partitions) == 2 for name in topics), "partitions"
    )


def test_records_deleted_before_they_are_read_stop_the_pod(sandbox: Sandbox) -> None:
    """Stock quixstreams continues with what is left; this pod stops, and its next start says which offsets are lost."""
    sandbox.create()
    with reading(sandbox) as (member, _, run_once):
        member.consumer.assign([])
        sandbox.write("order.requests", 5)
        before = TopicPartition(sandbox.full("order.requests"), 0, 4)
        sandbox.admin.delete_records([before])[before].result(LIMIT)
        member.consumer.assign(
            [TopicPartition(*key, 0) for key in member.assigned.inputs()]
        )  # drops the records that were already fetched
        with pytest.raises(NeedsRestart, match=rf"{before.topic}\[0\] can't be read any further: .*not available"):
            until_raised(run_once)
    with (
        sandbox.member() as member,
        pytest.raises(UnsafeStart, match=r"was deleted up to 4, but .* read it up to 0 only"),
    ):
        member.join()


def test_a_deleted_input_stops_the_pod(sandbox: Sandbox) -> None:
    """The error names the topic; the pod's state would not fit to another topic of that name."""
    sandbox.create()
    with reading(sandbox) as (_, __, run_once):
        sandbox.delete_one("payment.replies")
        with pytest.raises(PartitionAssignmentError) as error:
            until_raised(run_once)
    assert f"{sandbox.full('payment.replies')} is missing" in str(error.value.__cause__)


def test_a_truncated_changelog_is_refused(sandbox: Sandbox) -> None:
    """Its policy was `delete` for a while, and its beginning is lost; a pod that has it on disk still starts."""
    sandbox.create()
    sandbox.commit()
    for key in (b"a", b"b"):
        sandbox.write_one("saga.state", key, encode(DONE))
    sandbox.join_once()
    before = TopicPartition(sandbox.changelog, 0, 1)
    with pytest.raises(KafkaException, match="Policy violation"):  # a compacted topic can't be truncated
        sandbox.admin.delete_records([before])[before].result(LIMIT)
    sandbox.alter("saga.state", "cleanup.policy", "delete")
    sandbox.admin.delete_records([before])[before].result(LIMIT)
    sandbox.alter("saga.state", "cleanup.policy", "compact")
    sandbox.join_once()
    reason = rf"{sandbox.changelog}\[0\] was deleted up to 1, and .* has it up to 0 only"
    with sandbox.member(folder="another") as member, pytest.raises(UnsafeStart, match=reason):
        member.join()


def test_an_input_with_more_partitions_than_the_others_is_refused(sandbox: Sandbox) -> None:
    """At every assignment, not only at a start: partitions may be added while pods run."""
    sandbox.create()
    more_partitions(sandbox, "order.requests")
    with (
        sandbox.member() as member,
        pytest.raises(UnsafeStart, match=r"all topics need the same number of partitions, "),
    ):
        member.join()


def test_adding_partitions_to_all_topics_is_refused(sandbox: Sandbox) -> None:
    """The topics stay co-partitioned, but the replies of an order no longer go to the partition of its state."""
    sandbox.create()
    sandbox.join_once()
    more_partitions(sandbox, *(topic.name for topic in sandbox.topics.all))
    with (
        sandbox.member() as member,
        pytest.raises(UnsafeStart, match="had 1 partitions when the group last committed, but has"),
    ):
        member.join()


def test_an_offset_set_by_hand_is_logged(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """Only the commit metadata shows it; an offset that a pod committed is not logged."""
    sandbox.create()
    sandbox.commit()
    topics = [sandbox.full(topic.name) for topic in sandbox.topics.inputs]
    with reading(sandbox) as (_, loop, run_once):
        assert logged_offsets(caplog) == [(topic, 0, 0) for topic in sorted(topics)]
        caplog.clear()
        sandbox.write("order.requests", 2)
        until_so(run_once, lambda: bool(loop._committing), "the records")
        loop.drain()
    sandbox.join_once()
    assert logged_offsets(caplog) == [
        (topic, 0, 0) for topic in sorted(topics) if topic != sandbox.full("order.requests")
    ]


def logged_offsets(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int, int]]:
    """Topic, partition and offset of each log event about an offset set by hand."""
    events = [vars(record) for record in caplog.records if "not written by this application" in record.getMessage()]
    return sorted((each["topic"], each["partition"], each["offset"]) for each in events)


def test_offsets_of_an_active_group_cannot_be_deleted(sandbox: Sandbox) -> None:
    """The broker refuses it."""
    sandbox.create()
    with sandbox.member() as member:
        member.join()
        with pytest.raises(KafkaException, match="not empty"):
            sandbox.admin.delete_consumer_groups([sandbox.group])[sandbox.group].result(LIMIT)


def test_an_input_stalled_by_an_open_transaction_is_logged(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its position and its high watermark; inputs that do not stall are not logged."""
    monkeypatch.setattr(stalled_inputs, "_STALLED_SECONDS", 2.0)
    sandbox.create()
    service = transactional_producer(sandbox.client["bootstrap.servers"], f"{sandbox.group}.service")
    with reading(sandbox) as (member, _, run_once):
        watch = StalledInputs(member.consumer, member.assigned)

        def run_and_check() -> None:
            run_once()
            watch.check(time.monotonic())

        service.begin_transaction()
        service.produce(sandbox.full("payment.replies"), b"{}", b"k", 0)
        assert service.flush(LIMIT) == 0
        sandbox.write("order.requests", 3)
        with caplog.at_level(logging.WARNING):
            until_so(run_and_check, lambda: bool(caplog.records), "a log event")
        assert member.position(0, "order.requests") == 3
        service.abort_transaction(LIMIT)
    events = [vars(record) for record in caplog.records]
    assert [(each["topic"], each["partition"], each["offset"], each["high_watermark"]) for each in events] == [
        (sandbox.full("payment.replies"), 0, 0, 1)
    ]


def shrink(sandbox: Sandbox) -> None:
    """An output topic refuses records of this size."""
    sandbox.alter("saga.events", "max.message.bytes", "1")


def delete(sandbox: Sandbox) -> None:
    """An output topic is deleted."""
    sandbox.delete_one("saga.events")


@pytest.mark.parametrize(
    ("harm", "reason"),
    ((shrink, r"saga\.events \[0\].* Message size too large"), (delete, "failed delivery|unknown after")),
)
def test_a_record_refused_by_the_broker_stops_the_pod(
    sandbox: Sandbox, harm: Callable[[Sandbox], None], reason: str
) -> None:
    """Nothing of its batch is committed. This error, or the check at the next start, names the topic."""
    sandbox.create()
    with sandbox.member() as member:
        member.join()
        member.finish_restore()
        loop, _ = make_loop(member)
        harm(sandbox)
        (producer, *_) = loop._producers
        producer.begin()
        producer.produce(sandbox.full("saga.events"), b"k", b"v", (), 0)
        at = TopicPartition(sandbox.full("order.requests"), 0, 1)
        producer.commit([at], member.assigned.group, lambda: None)
        with pytest.raises(CommitFailed, match=reason):
            producer.wait()
        assert member.consumer.committed([at], LIMIT)[0].offset == 0
