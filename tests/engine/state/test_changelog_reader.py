"""Restores from the changelog of a real broker."""

import threading
import time
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from app.engine.assignment.start_offsets import log_bounds
from app.engine.state.changelog_reader import ChangelogReader, RestoreStuck
from app.engine.state.store import PartitionStore
from app.saga.state import Completed, InFlight, Progress, Running, SagaData
from app.wire.state_codec import encode
from tests.devkafka.support import LIMIT, transactional_producer
from tests.engine.sandbox import Sandbox

pytestmark = pytest.mark.broker
DATA = SagaData("order", 1, "d" * 32, 0, {}, {})
DONE = Progress(2, Completed(DATA, 10**13))


def document(due_ms: int) -> bytes:
    """The document of a saga with a timer."""
    return encode(Progress(1, Running(DATA, None, (InFlight("payment", 1, 1, 0, due_ms),))))


def writer(sandbox: Sandbox, name: str) -> Producer:
    """The producer of another pod."""
    return transactional_producer(sandbox.client["bootstrap.servers"], f"{sandbox.group}.{name}")


def write(producer: Producer, sandbox: Sandbox, *records: tuple[bytes, bytes | None]) -> None:
    """Writes to the changelog in a transaction that stays open."""
    producer.begin_transaction()
    for key, value in records:
        producer.produce(sandbox.changelog, value, key, 0)
    assert producer.flush(LIMIT) == 0


def restore(sandbox: Sandbox, store: PartitionStore, patience: float = 10.0) -> ChangelogReader:
    """Begins a restore up to the changelog's current end."""
    bounds = log_bounds(AdminClient(sandbox.client), [(sandbox.changelog, 0)], LIMIT)
    return ChangelogReader(
        sandbox.client_config().standalone_consumer(),
        sandbox.changelog,
        {0: store},
        {0: bounds[sandbox.changelog, 0]},
        patience,
    )


def finish(reader: ChangelogReader) -> int:
    """Restores to the end; returns the number of records."""
    while not reader.step():
        pass
    reader.close()
    return reader.records


def due(store: PartitionStore, until_ms: int) -> list[tuple[int, bytes]]:
    """The timers that are due by then."""
    store.look_ahead(until_ms)
    return list(store.due(until_ms, 10))


def call_later(call: Callable[[], object], seconds: float) -> threading.Timer:
    """Calls it after a time, while the test waits for its effect."""
    timer = threading.Timer(seconds, call)
    timer.start()
    return timer


@pytest.fixture
def store(sandbox: Sandbox) -> PartitionStore:
    """An empty store, and a changelog with one partition."""
    sandbox.create()
    return PartitionStore(sandbox.folder / "0", "id", 100, 1000)


def test_an_empty_changelog_is_restored_at_once(sandbox: Sandbox, store: PartitionStore) -> None:
    """A first start waits for nothing."""
    assert finish(restore(sandbox, store)) == 0


def test_all_committed_records_are_restored(sandbox: Sandbox, store: PartitionStore) -> None:
    """The last document of each key counts; the store's offset is the end of the changelog, behind the marker."""
    producer = writer(sandbox, "a")
    write(producer, sandbox, (b"a", document(100)), (b"b", document(200)))
    producer.commit_transaction(LIMIT)
    write(producer, sandbox, (b"a", encode(DONE)))
    producer.commit_transaction(LIMIT)
    assert finish(restore(sandbox, store)) == 3
    assert store.get(b"a") == DONE
    assert due(store, 1000) == [(200, b"b")]
    assert store.offset == 5


def test_a_second_restore_reads_only_what_is_new(sandbox: Sandbox, store: PartitionStore) -> None:
    """A pod that returns goes on from its local state."""
    producer = writer(sandbox, "a")
    write(producer, sandbox, (b"a", document(100)))
    producer.commit_transaction(LIMIT)
    finish(restore(sandbox, store))
    write(producer, sandbox, (b"b", document(200)))
    producer.commit_transaction(LIMIT)
    assert finish(restore(sandbox, store)) == 1
    assert finish(restore(sandbox, store)) == 0


def test_aborted_records_are_skipped(sandbox: Sandbox, store: PartitionStore) -> None:
    """An aborted transaction is skipped, also at the changelog's end."""
    producer = writer(sandbox, "a")
    write(producer, sandbox, (b"a", document(100)))
    producer.commit_transaction(LIMIT)
    write(producer, sandbox, (b"a", document(999)), (b"b", document(999)))
    producer.abort_transaction(LIMIT)
    assert finish(restore(sandbox, store)) == 1
    assert due(store, 10_000) == [(100, b"a")]
    assert store.offset == 5


def test_the_last_committed_transaction_is_waited_for(sandbox: Sandbox, store: PartitionStore) -> None:
    """An older open transaction hides what was committed after it: quixstreams itself ends its recovery there."""
    blocker, producer = writer(sandbox, "blocker"), writer(sandbox, "a")
    write(blocker, sandbox, (b"hidden", document(1)))
    write(producer, sandbox, (b"a", document(100)))
    producer.commit_transaction(LIMIT)
    assert stock_target(sandbox) == 0  # quixstreams' recovery would have ended before the first record
    timer = call_later(lambda: blocker.abort_transaction(LIMIT), 0.7)
    started = time.monotonic()
    assert finish(restore(sandbox, store)) == 1
    assert time.monotonic() - started > 0.5
    timer.join()
    assert store.get(b"a") is not None
    assert store.get(b"hidden") is None


def test_a_transaction_that_never_ends_is_reported(sandbox: Sandbox, store: PartitionStore) -> None:
    """After a time the error says which transaction it waits for; it neither begins with less state nor hangs."""
    blocker, producer = writer(sandbox, "blocker"), writer(sandbox, "a")
    write(blocker, sandbox, (b"hidden", document(1)))
    write(producer, sandbox, (b"a", document(100)))
    producer.commit_transaction(LIMIT)
    with pytest.raises(RestoreStuck) as stuck:
        finish(restore(sandbox, store, patience=1.0))
    assert str(stuck.value) == (
        f"the end of {sandbox.changelog}[0] was not reached for 1 s: a transaction on it stays open, "
        "or it has no leader; look at the brokers"
    )
    blocker.abort_transaction(LIMIT)


def test_a_transaction_that_a_dead_pod_left_open_is_waited_for(sandbox: Sandbox, store: PartitionStore) -> None:
    """The brokers abort it when it times out; until then, the last stable offset stays before it."""
    dead = Producer(
        {**sandbox.client, "transactional.id": f"{sandbox.group}.dead", "transaction.timeout.ms": 1000, "linger.ms": 0}
    )
    dead.init_transactions(LIMIT)
    write(dead, sandbox, (b"a", document(100)))
    assert finish(restore(sandbox, store)) == 0
    assert store.get(b"a") is None


def stock_target(sandbox: Sandbox) -> int:
    """The offset up to which quixstreams recovers: the end that its read_committed consumer sees."""
    consumer = Consumer({**sandbox.client, "group.id": "unused"})
    try:
        return int(consumer.get_watermark_offsets(TopicPartition(sandbox.changelog, 0), LIMIT)[1])
    finally:
        consumer.close()
