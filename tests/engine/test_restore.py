"""Restoring from the changelog on a real broker."""

import threading
import time
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from app.engine.offsets import bounds
from app.engine.restore import Restore, RestoreStuck
from app.engine.store import PartitionStore
from app.saga.state import Asked, Completed, Facts, Progress, Running
from app.wire.statedoc import encode
from tests.devkafka.support import LIMIT, transactional_producer
from tests.engine.owner import Place

pytestmark = pytest.mark.broker
FACTS = Facts("order", 1, "d" * 32, 0, {}, {})
DONE = Progress(2, Completed(FACTS, 10**13))


def waiting(due_ms: int) -> bytes:
    """The document of a saga that waits."""
    return encode(Progress(1, Running(FACTS, None, (Asked("payment", 1, 1, 0, due_ms),))))


def writer(place: Place, name: str) -> Producer:
    """A pod that decides."""
    return transactional_producer(place.client["bootstrap.servers"], f"{place.group}.{name}")


def write(producer: Producer, place: Place, *records: tuple[bytes, bytes | None]) -> None:
    """Writes to the changelog in a transaction that is left open."""
    producer.begin_transaction()
    for key, value in records:
        producer.produce(place.changelog, value, key, 0)
    assert producer.flush(LIMIT) == 0


def restore(place: Place, store: PartitionStore, patience: float = 10.0) -> Restore:
    """Begins to restore up to what the changelog has now."""
    limits = bounds(AdminClient(place.client), [(place.changelog, 0)], LIMIT)
    return Restore(place.clients().reader(), place.changelog, {0: store}, {0: limits[place.changelog, 0]}, patience)


def finish(restoring: Restore) -> int:
    """Restores to the end; returns how many records it took."""
    while not restoring.step():
        pass
    restoring.close()
    return restoring.records


def due(store: PartitionStore, until_ms: int) -> list[tuple[int, bytes]]:
    """Who is due by then."""
    store.look_ahead(until_ms)
    return list(store.due(until_ms, 10))


def later(what: Callable[[], object], seconds: float) -> threading.Timer:
    """Does it while the test waits for it."""
    timer = threading.Timer(seconds, what)
    timer.start()
    return timer


@pytest.fixture
def store(place: Place) -> PartitionStore:
    """An empty store, and a changelog of one partition."""
    place.create()
    return PartitionStore(place.folder / "0", "id", 100, 1000)


def test_an_empty_changelog_is_restored_at_once(place: Place, store: PartitionStore) -> None:
    """A first start waits for nothing."""
    assert finish(restore(place, store)) == 0


def test_everything_committed_is_taken_in(place: Place, store: PartitionStore) -> None:
    """The last document of each key counts, and the store ends at the changelog's end, the marker counted."""
    producer = writer(place, "a")
    write(producer, place, (b"a", waiting(100)), (b"b", waiting(200)))
    producer.commit_transaction(LIMIT)
    write(producer, place, (b"a", encode(DONE)))
    producer.commit_transaction(LIMIT)
    assert finish(restore(place, store)) == 3
    assert store.get(b"a") == DONE
    assert due(store, 1000) == [(200, b"b")]
    assert store.offset == 5


def test_a_second_restore_reads_only_what_is_new(place: Place, store: PartitionStore) -> None:
    """A pod that comes back goes on from its local copy."""
    producer = writer(place, "a")
    write(producer, place, (b"a", waiting(100)))
    producer.commit_transaction(LIMIT)
    finish(restore(place, store))
    write(producer, place, (b"b", waiting(200)))
    producer.commit_transaction(LIMIT)
    assert finish(restore(place, store)) == 1
    assert finish(restore(place, store)) == 0


def test_what_was_aborted_is_left_out(place: Place, store: PartitionStore) -> None:
    """A transaction that came to nothing is stepped over, also at the changelog's end."""
    producer = writer(place, "a")
    write(producer, place, (b"a", waiting(100)))
    producer.commit_transaction(LIMIT)
    write(producer, place, (b"a", waiting(999)), (b"b", waiting(999)))
    producer.abort_transaction(LIMIT)
    assert finish(restore(place, store)) == 1
    assert due(store, 10_000) == [(100, b"a")]
    assert store.offset == 5


def test_the_last_committed_transaction_is_waited_for(place: Place, store: PartitionStore) -> None:
    """An older transaction that is still open hides what was committed after it: the stock library stops there."""
    blocker, producer = writer(place, "blocker"), writer(place, "a")
    write(blocker, place, (b"hidden", waiting(1)))
    write(producer, place, (b"a", waiting(100)))
    producer.commit_transaction(LIMIT)
    assert stock_target(place) == 0  # where recovery of the base library would have ended: before the first record
    ending = later(lambda: blocker.abort_transaction(LIMIT), 0.7)
    begun = time.monotonic()
    assert finish(restore(place, store)) == 1
    assert time.monotonic() - begun > 0.5
    ending.join()
    assert store.get(b"a") is not None
    assert store.get(b"hidden") is None


def test_a_transaction_that_never_ends_is_told(place: Place, store: PartitionStore) -> None:
    """After some patience it says what it waits for, rather than begin with less or hang for ever."""
    blocker, producer = writer(place, "blocker"), writer(place, "a")
    write(blocker, place, (b"hidden", waiting(1)))
    write(producer, place, (b"a", waiting(100)))
    producer.commit_transaction(LIMIT)
    with pytest.raises(RestoreStuck) as stuck:
        finish(restore(place, store, patience=1.0))
    assert str(stuck.value) == (
        f"the end of {place.changelog}[0] was not reached for 1 s: a transaction on it stays open, "
        "or it has no leader; look at the brokers"
    )
    blocker.abort_transaction(LIMIT)


def test_a_transaction_that_a_dead_pod_left_open_is_waited_for(place: Place, store: PartitionStore) -> None:
    """The brokers end it after its time-out; until then the end of the changelog can't be told."""
    dead = Producer(
        {**place.client, "transactional.id": f"{place.group}.dead", "transaction.timeout.ms": 1000, "linger.ms": 0}
    )
    dead.init_transactions(LIMIT)
    write(dead, place, (b"a", waiting(100)))
    assert finish(restore(place, store)) == 0
    assert store.get(b"a") is None


def stock_target(place: Place) -> int:
    """Up to where quixstreams restores: the end that its read_committed consumer is told."""
    consumer = Consumer({**place.client, "group.id": "unused"})
    try:
        return int(consumer.get_watermark_offsets(TopicPartition(place.changelog, 0), LIMIT)[1])
    finally:
        consumer.close()
