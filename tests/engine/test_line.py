"""The line of those that wait for room: tickets of those that wait no more hold nobody up, and don't come back."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from app.engine.batch import Batch
from app.engine.store import PartitionStore
from app.saga.state import Completed, Facts, Progress, Running, Waiting

STEP, FAR = "reservation", 10**13
FACTS = Facts("order", 1, "d" * 32, 0, {"customer_id": "c"}, {})
WAITS = Progress(1, Running(FACTS, None, (Waiting(STEP, 0, 1),)))
ENDED = Progress(2, Completed(FACTS, FAR))


class AtOnce:
    """A lane whose commits are done as soon as they are asked for."""

    def begin(self) -> None:
        """Nothing is to be done."""

    def commit(self, _: Any, __: Any, committed: Callable[[], None]) -> None:
        """It is committed."""
        committed()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PartitionStore]:
    """An empty store."""
    made = opened(tmp_path)
    yield made
    made.close()


def opened(folder: Path) -> PartitionStore:
    """A life of the store."""
    return PartitionStore(folder / "0", "the changelog", room=1_000_000, limit=1)


def keep(store: PartitionStore, progress: Progress, *keys: bytes) -> None:
    """Puts sagas, as a batch does."""
    for key in keys:
        store.set(key, progress)
    store.save(store.changes(), store.offset + 1)


def test_those_who_wait_no_more_hold_nobody_up(store: PartitionStore) -> None:
    """However many tickets are void, the first one that counts is found at once."""
    gone = [b"gone-%d" % number for number in range(50)]
    keep(store, WAITS, *gone, b"waits")
    keep(store, ENDED, *gone)
    assert list(store.let_in(0, 100)) == [(STEP, b"waits")]


def test_void_tickets_are_looked_at_in_bounded_numbers(store: PartitionStore) -> None:
    """So that a batch does not take for ever; the next one goes on where it was."""
    gone = [b"gone-%d" % number for number in range(50)]
    keep(store, WAITS, *gone, b"waits")
    keep(store, ENDED, *gone)
    assert list(store.let_in(0, 30)) == []
    assert list(store.let_in(0, 30)) == [(STEP, b"waits")]


def test_a_ticket_counts_once(store: PartitionStore) -> None:
    """Those that were taken since the last save are still on disk, and are not taken again."""
    keep(store, WAITS, b"first", b"second")
    taken = [store.index.next_in_queue(STEP) for _ in range(3)]
    assert taken == [b"first", b"second", None]


def test_a_batch_without_documents_saves_what_it_did_to_the_index(tmp_path: Path) -> None:
    """Tickets that were taken in it are not there again at the next start."""
    store = opened(tmp_path)
    keep(store, WAITS, b"first", b"second")
    assert store.index.next_in_queue(STEP) == b"first"
    batch = Batch(cast("Any", AtOnce()), {0: store}, str, "saga.state")
    batch.partition = 0
    batch.settle()
    batch.commit([], None)
    offset = store.offset
    store.close()
    again = opened(tmp_path)
    assert again.index.next_in_queue(STEP) == b"second"
    assert again.offset == offset
    again.close()
