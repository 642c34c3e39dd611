"""The queue of a step: stale tickets hold no saga up, and do not come back."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from app.engine.assignment.partition_task import PartitionTask
from app.engine.runtime.batch import Batch
from app.engine.state.store import PartitionStore
from app.saga.state import Completed, Progress, Queued, Running, SagaData

STEP, FAR = "reservation", 10**13
DATA = SagaData("order", 1, "d" * 32, 0, {"customer_id": "c"}, {})
QUEUED = Progress(1, Running(DATA, None, (Queued(STEP, 0, 1),)))
ENDED = Progress(2, Completed(DATA, FAR))


class ImmediateProducer:
    """A producer whose commits end at once."""

    def begin(self) -> None:
        """Nothing to do."""

    def commit(self, _: Any, __: Any, committed: Callable[[], None]) -> None:
        """Calls back at once."""
        committed()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PartitionStore]:
    """An empty store."""
    opened = open_store(tmp_path)
    yield opened
    opened.close()


def open_store(folder: Path) -> PartitionStore:
    """Opens the store, as a new process does."""
    return PartitionStore(folder / "0", "the changelog", cache_bytes=1_000_000, limit=1)


def save(store: PartitionStore, progress: Progress, *keys: bytes) -> None:
    """Stores sagas, as a batch does."""
    for key in keys:
        store.set(key, progress)
    store.save(store.take_changes(), store.offset + 1)


def test_stale_tickets_hold_no_saga_up(store: PartitionStore) -> None:
    """The first ticket that is not stale is found at once, however many stale ones come before it."""
    stale = [b"gone-%d" % number for number in range(50)]
    save(store, QUEUED, *stale, b"waits")
    save(store, ENDED, *stale)
    assert list(store.admitted(0, 100)) == [(STEP, b"waits")]


def test_stale_tickets_are_examined_in_bounded_numbers(store: PartitionStore) -> None:
    """So that a batch does not take too long; the next one goes on from there."""
    stale = [b"gone-%d" % number for number in range(50)]
    save(store, QUEUED, *stale, b"waits")
    save(store, ENDED, *stale)
    assert list(store.admitted(0, 30)) == []
    assert list(store.admitted(0, 30)) == [(STEP, b"waits")]


def test_a_ticket_counts_once(store: PartitionStore) -> None:
    """Tickets taken since the last save are still on disk, and are not taken again."""
    save(store, QUEUED, b"first", b"second")
    tickets = [store.index.take_ticket(STEP) for _ in range(3)]
    assert tickets == [b"first", b"second", None]


def test_a_batch_without_documents_saves_its_index_changes(tmp_path: Path) -> None:
    """The tickets that it took do not come back after a restart."""
    store = open_store(tmp_path)
    save(store, QUEUED, b"first", b"second")
    assert store.index.take_ticket(STEP) == b"first"
    batch = Batch(cast("Any", ImmediateProducer()), str, "saga.state")
    batch.task = PartitionTask(0, store, {})
    batch.close_task()
    batch.commit([], None)
    offset = store.offset
    store.close()
    reopened = open_store(tmp_path)
    assert reopened.index.take_ticket(STEP) == b"second"
    assert reopened.offset == offset
    reopened.close()
