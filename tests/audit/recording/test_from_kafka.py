"""A recording read from a real Kafka holds all committed records, and nothing else."""

import threading
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from app.audit.check import check
from app.audit.recording.from_kafka import read
from app.audit.recording.group_offsets import GroupOffsets
from app.audit.recording.recording import Record, Recording, RecordingError
from tests.audit.case import state_of
from tests.audit.runs import good_run
from tests.audit.sagas import SPEC
from tests.audit.topic_logs import PARTITIONS, TOPICS, TopicLogs

pytestmark = pytest.mark.broker

GOOD = good_run()


class Cluster:
    """The topics of one test, a consumer group, and a transactional producer."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self.config = {"bootstrap.servers": bootstrap}
        self.prefix, self.group = prefix, f"{prefix}saga-orchestrator"
        self.admin = AdminClient(self.config)
        keep = {"retention.ms": "-1"}  # the timestamps are older than the default retention
        new = [NewTopic(prefix + topic, PARTITIONS, 1, config=keep) for topic in TOPICS]
        for created in self.admin.create_topics(new).values():
            created.result(30)
        self.producer = Producer({**self.config, "transactional.id": f"{prefix}audit-test", "linger.ms": 1})
        self.producer.init_transactions(30)
        self.consumer = Consumer({**self.config, "group.id": self.group})
        self.offsets = GroupOffsets(self.config, prefix, self.group, SPEC)

    def write(self, *records: Record) -> None:
        """Produces records in the open transaction."""
        for record in records:
            self.producer.produce(
                self.prefix + record.topic,
                partition=record.partition,
                key=record.key,
                value=record.value,
                headers=list(record.headers),
                timestamp=record.timestamp_ms,
            )
            self.producer.poll(0)

    def commit(self, offsets: dict[tuple[str, int], int]) -> None:
        """Commits the open transaction, with offsets of the group in it."""
        positions = [
            TopicPartition(self.prefix + topic, partition, offset) for (topic, partition), offset in offsets.items()
        ]
        if positions:
            self.producer.send_offsets_to_transaction(positions, self.consumer.consumer_group_metadata(), 30)
        self.producer.commit_transaction(30)

    def recording(self, transaction_wait: float = 30.0) -> Recording:
        """Reads the topics once open transactions have ended; they have `transaction_wait` seconds."""
        return read(self.config, self.prefix, self.group, SPEC, 60.0, transaction_wait)


@pytest.fixture
def cluster(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Cluster]:
    """Empty topics."""
    cluster = Cluster(kafka_bootstrap, topic_prefix)
    yield cluster
    cluster.offsets.close()
    cluster.consumer.close()


def contents(recording: Recording) -> set[tuple[object, ...]]:
    """The records of a recording, without their offsets."""
    return {(r.topic, r.partition, r.timestamp_ms, r.key, r.value, r.headers) for r in recording.records}


def test_an_empty_kafka_gives_an_empty_recording(cluster: Cluster) -> None:
    """Topics without records and a group without offsets break no invariant."""
    recording = cluster.recording()
    assert (recording.partitions, recording.records, recording.committed) == (PARTITIONS, (), {})
    assert check(recording, SPEC).violations == ()


def test_committed_records_are_read(cluster: Cluster) -> None:
    """Committed records come with all their fields, aborted ones not at all; offsets and ends are the broker's."""
    cluster.producer.begin_transaction()
    cluster.write(*GOOD.records)
    cluster.producer.flush()
    cluster.producer.abort_transaction(30)
    cluster.producer.begin_transaction()
    cluster.write(*GOOD.records)
    cluster.commit({("order.requests", 0): 17, ("payment.replies", 3): 4})
    recording = cluster.recording()
    assert contents(recording) == contents(GOOD)
    assert len(recording.records) == len(GOOD.records)
    assert recording.committed == {("order.requests", 0): 17, ("payment.replies", 3): 4}
    assert recording.committed == cluster.offsets.now()
    assert all(span.stable == span.high and span.first == 0 for span in recording.spans.values())


def test_an_open_transaction_shows_as_a_gap(cluster: Cluster) -> None:
    """Open records are not read, and the last stable offset is behind the high watermark: INV-23."""
    cluster.producer.begin_transaction()
    cluster.write(*GOOD.records[:1])
    cluster.producer.flush()
    partition = (GOOD.records[0].topic, GOOD.records[0].partition)
    recording = cluster.recording(transaction_wait=0.0)
    assert recording.records == ()
    assert (recording.spans[partition].stable, recording.spans[partition].high) == (0, 1)
    assert [violation.invariant for violation in check(recording, SPEC).violations] == ["INV-23"]
    cluster.producer.abort_transaction(30)


def test_offsets_in_an_open_transaction_are_waited_for(cluster: Cluster) -> None:
    """A recording has the offsets after the transaction, unless it takes too long; a sample has the current ones."""
    cluster.producer.begin_transaction()
    cluster.write(*GOOD.records[:1])
    positions = [TopicPartition(cluster.prefix + "order.requests", 0, 1)]
    cluster.producer.send_offsets_to_transaction(positions, cluster.consumer.consumer_group_metadata(), 30)
    assert cluster.offsets.now() == {}
    assert cluster.recording(transaction_wait=0.0).committed == {}
    later = threading.Timer(0.3, cluster.producer.commit_transaction)
    later.start()
    assert cluster.recording().committed == {("order.requests", 0): 1}
    later.join()
    assert cluster.offsets.now() == {("order.requests", 0): 1}


def test_a_good_run_is_good_after_kafka(cluster: Cluster) -> None:
    """A good run, produced record by record, still breaks no invariant when it is read back."""
    good = good_run(TopicLogs(cluster.prefix, markers=False))
    cluster.producer.begin_transaction()
    cluster.write(*good.records)
    cluster.commit({key: offset + 1 for key, offset in good.committed.items()})  # past the transaction marker
    report = check(cluster.recording(), SPEC, fold=state_of)
    assert report.violations == ()
    assert report.totals == check(good, SPEC).totals


def test_a_missing_topic_is_named(kafka_bootstrap: str, topic_prefix: str) -> None:
    """The error names the missing topics, and asks for the prefix."""
    with pytest.raises(RecordingError, match=f"There is no topic {topic_prefix}order.requests.*is the prefix"):
        read({"bootstrap.servers": kafka_bootstrap}, topic_prefix, "any", SPEC, 30.0, transaction_wait=0.0)


def test_an_unreachable_broker_gives_one_sentence() -> None:
    """Reading the offsets fails with one sentence after the timeout."""
    with (
        GroupOffsets({"bootstrap.servers": "127.0.0.1:1"}, "", "any", SPEC) as offsets,
        pytest.raises(RecordingError) as error,
    ):
        offsets.now(timeout=0.5)
    assert str(error.value).startswith("The offsets of group any cannot be read: ")
