"""Helpers of all tests on a real Kafka: wait for a condition, look at processes, write and read a few records."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

LIMIT = 60.0  # seconds
_PAUSE = 0.02  # seconds
_QUICK = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100, "log_level": 0}


def until(condition: Callable[[], bool], awaited: str) -> None:
    """Waits until the condition holds; after a minute fails the test, naming what was awaited."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {LIMIT:.0f} s in vain: {awaited}")
        time.sleep(_PAUSE)


def is_gone(pid: int) -> bool:
    """Whether the process has ended; a zombie process counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def processes_in(directory: Path) -> list[int]:
    """The ids of the running processes whose working directory is below `directory`."""
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _works_in(entry, directory)]


def _works_in(entry: Path, directory: Path) -> bool:
    try:
        return (entry / "cwd").readlink().is_relative_to(directory.resolve()) and not is_gone(int(entry.name))
    except OSError:
        return False


def create_topic(bootstrap: str, topic: str) -> None:
    """Creates a topic of one partition with the default replication, and waits until it has a leader."""
    admin = AdminClient({"bootstrap.servers": bootstrap, **_QUICK})
    admin.create_topics([NewTopic(topic, 1)])[topic].result(LIMIT)
    until(lambda: has_leader(bootstrap, topic), f"a leader for {topic}")


def has_leader(bootstrap: str, topic: str) -> bool:
    """Whether partition 0 of the topic can be written to."""
    admin = AdminClient({"bootstrap.servers": bootstrap, **_QUICK})
    try:
        partitions = admin.list_topics(topic, timeout=2).topics[topic].partitions
    except KafkaException:
        return False
    return 0 in partitions and partitions[0].leader >= 0


def transactional_producer(bootstrap: str, transactional_id: str) -> Producer:
    """A producer with initialised transactions."""
    # With more in flight, the first record of a partition whose leader is not ready yet can be lost without an error.
    one_by_one = {"max.in.flight.requests.per.connection": 1}
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": transactional_id, **one_by_one, **_QUICK})
    producer.init_transactions(LIMIT)
    return producer


def commit(producer: Producer, topic: str, values: Sequence[bytes]) -> None:
    """Writes the values in one transaction and commits it; repeats the commit after a retriable error."""
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value)
    while True:
        try:
            producer.commit_transaction(LIMIT)
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            if not reason.retriable():
                raise
        else:
            return


def committed_values(bootstrap: str, topic: str) -> list[bytes]:
    """Every committed value of partition 0, up to its high watermark.

    The last stable offset may be behind a transaction that was committed just now (KAFKA-10167), and is waited for.
    """
    settings = {"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False, **_QUICK}
    partition = TopicPartition(topic, 0, 0)
    with closing(Consumer({**settings, "isolation.level": "read_uncommitted"})) as uncommitted:
        _, end = uncommitted.get_watermark_offsets(partition, timeout=LIMIT)
    committed = {"isolation.level": "read_committed", "enable.partition.eof": True}
    with closing(Consumer({**settings, **committed})) as consumer:
        consumer.assign([partition])
        return _read_to(end, consumer)


def _read_to(end: int, consumer: Consumer) -> list[bytes]:
    values: list[bytes] = []
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error() is None:
            values.append(message.value())
        elif message.error().code() == KafkaError._PARTITION_EOF and message.offset() >= end:
            return values
    raise AssertionError(f"the partition's end wasn't reached in {LIMIT:.0f} s")
