"""A recording read from a real Kafka is what was committed there, and nothing else."""

import threading
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from app.audit.group import GroupOffsets
from app.audit.invariants import check
from app.audit.read import read
from app.audit.recording import Record, Recording, RecordingError
from tests.audit.runs import good_run
from tests.audit.sagas import TERMS
from tests.audit.scribe import state_of
from tests.audit.world import PARTITIONS, TOPICS, World

pytestmark = pytest.mark.broker

GOOD = good_run()


class Cluster:
    """The topics of one test, a group that reads them, and a transactional producer."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self.config = {"bootstrap.servers": bootstrap}
        self.prefix, self.group = prefix, f"{prefix}saga-orchestrator"
        self.admin = AdminClient(self.config)
        kept = {"retention.ms": "-1"}  # the records are older than any broker keeps them
        new = [NewTopic(prefix + topic, PARTITIONS, 1, config=kept) for topic in TOPICS]
        for created in self.admin.create_topics(new).values():
            created.result(30)
        self.producer = Producer({**self.config, "transactional.id": f"{prefix}audit-test", "linger.ms": 1})
        self.producer.init_transactions(30)
        self.consumer = Consumer({**self.config, "group.id": self.group})
        self.offsets = GroupOffsets(self.config, prefix, self.group, TERMS)

    def write(self, *records: Record) -> None:
        """Adds records to the open transaction."""
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
        """Commits the open transaction, with the group's offsets in it."""
        places = [
            TopicPartition(self.prefix + topic, partition, offset) for (topic, partition), offset in offsets.items()
        ]
        if places:
            self.producer.send_offsets_to_transaction(places, self.consumer.consumer_group_metadata(), 30)
        self.producer.commit_transaction(30)

    def recording(self, patience: float = 30.0) -> Recording:
        """What can be read now, or when the last transaction is over."""
        return read(self.config, self.prefix, self.group, TERMS, 60.0, patience)


@pytest.fixture
def cluster(kafka_bootstrap: str, topic_prefix: str) -> Iterator[Cluster]:
    """Empty topics; whatever transaction a test leaves open is aborted."""
    made = Cluster(kafka_bootstrap, topic_prefix)
    yield made
    made.offsets.close()
    made.consumer.close()


def contents(recording: Recording) -> set[tuple[object, ...]]:
    """What stands in a recording, wherever it lies."""
    return {(r.topic, r.partition, r.timestamp_ms, r.key, r.value, r.headers) for r in recording.records}


def test_an_empty_kafka_gives_an_empty_recording(cluster: Cluster) -> None:
    """Topics without a record and a group that never read: nothing to judge, nothing broken."""
    recording = cluster.recording()
    assert (recording.partitions, recording.records, recording.committed) == (PARTITIONS, (), {})
    assert check(recording, TERMS).violations == ()


def test_what_was_committed_is_read(cluster: Cluster) -> None:
    """Records come with all that they had, aborted ones not at all; offsets and ends are those of the broker."""
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
    """What is not committed is not read, and the last stable offset stays behind the high watermark: INV-23."""
    cluster.producer.begin_transaction()
    cluster.write(*GOOD.records[:1])
    cluster.producer.flush()
    place = (GOOD.records[0].topic, GOOD.records[0].partition)
    recording = cluster.recording(patience=0.0)
    assert recording.records == ()
    assert (recording.spans[place].stable, recording.spans[place].high) == (0, 1)
    assert [violation.invariant for violation in check(recording, TERMS).violations] == ["INV-23"]
    cluster.producer.abort_transaction(30)


def test_offsets_in_an_open_transaction_are_waited_for(cluster: Cluster) -> None:
    """A recording has the offsets from after the transaction, unless that takes too long; a sample has those of now."""
    cluster.producer.begin_transaction()
    cluster.write(*GOOD.records[:1])
    places = [TopicPartition(cluster.prefix + "order.requests", 0, 1)]
    cluster.producer.send_offsets_to_transaction(places, cluster.consumer.consumer_group_metadata(), 30)
    assert cluster.offsets.now() == {}
    assert cluster.recording(patience=0.0).committed == {}
    later = threading.Timer(0.3, cluster.producer.commit_transaction)
    later.start()
    assert cluster.recording().committed == {("order.requests", 0): 1}
    later.join()
    assert cluster.offsets.now() == {("order.requests", 0): 1}


def test_a_whole_run_is_judged(cluster: Cluster) -> None:
    """A good run, written to Kafka record by record, is still good when it is read from there."""
    good = good_run(World(cluster.prefix, marks=False))
    cluster.producer.begin_transaction()
    cluster.write(*good.records)
    cluster.commit({place: offset + 1 for place, offset in good.committed.items()})  # past the transaction's marker
    report = check(cluster.recording(), TERMS, fold=state_of)
    assert report.violations == ()
    assert report.totals == check(good, TERMS).totals


def test_a_missing_topic_is_told(kafka_bootstrap: str, topic_prefix: str) -> None:
    """The error names the topics, and asks for the prefix."""
    with pytest.raises(RecordingError, match=f"There is no topic {topic_prefix}order.requests.*is the prefix"):
        read({"bootstrap.servers": kafka_bootstrap}, topic_prefix, "any", TERMS, 30.0, patience=0.0)


def test_a_broker_that_is_not_there_is_told() -> None:
    """Asking for offsets ends in one sentence after the time that was given."""
    with (
        GroupOffsets({"bootstrap.servers": "127.0.0.1:1"}, "", "any", TERMS) as offsets,
        pytest.raises(RecordingError) as error,
    ):
        offsets.now(timeout=0.5)
    assert str(error.value).startswith("The offsets of group any cannot be read: ")
