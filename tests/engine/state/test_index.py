"""The index on disk, due times, queues and counts, through crashes and restores."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.engine.state.saga_counts import NO_COUNTERS, SagaCounts, counters_of
from app.engine.state.store import Document, PartitionStore
from app.saga.decide import decide
from app.saga.definition import with_policy
from app.saga.message_ids import command_id
from app.saga.messages import CapacityAvailable, Failed, Input, Place, Succeeded, TimerDue, Undone
from app.saga.state import NO_SAGA, Compensating, Completed, Progress, Running, SagaData, due_ms, stuck
from app.saga.verdict import Decision, Expired, NoChange
from topologies.order import ORDER

SAGA = with_policy(ORDER, timeout_ms=30_000, retention_ms=200_000)
MINUTE = 60_000
ENDED = Progress(2, Completed(SagaData("order", 1, "d", 0, {}, {}), 10**13))
BEGIN = 1_700_000_000_000


class ModelledStore:
    """A partition's store through many batches, restarts and lost disks, beside a model: a plain table of its sagas."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.folder = folder / "0"
        self.limit = self.chance.choice((2, 5, 1000))
        self.store = self._open()
        self.model: dict[bytes, Progress] = {}
        self.changelog: list[list[Document]] = []
        self.now = BEGIN

    def batch(self, most: int) -> int:
        """Processes due timers and admissible steps, and commits them with the records; returns how many there were."""
        processed = 0
        for due, key in self.store.due(self.now, most):
            assert due <= self.now
            assert not isinstance(self._decide(key, TimerDue(due)), NoChange)
            processed += 1
        for step, key in self.store.admitted(self.now, most):
            self._decide(key, CapacityAvailable(step))
            processed += 1
        changes = self.store.take_changes()
        self.changelog.append(changes.documents)
        if self.chance.random() < 0.03:  # a crash between commit and save
            self.restart()
        else:
            self.store.save(changes, len(self.changelog))
        return processed

    def records(self) -> None:
        """Places some orders, and answers some commands."""
        for _ in range(self.chance.randrange(10)):
            key = b"o-%d" % self.chance.randrange(60)
            self._decide(key, self._random_input(key.decode(), self.model.get(key)))

    def restart(self, *, empty: bool = False) -> None:
        """A new process on the disk of the former one, or on an empty one, restored from the changelog."""
        self.store.close()
        if empty:
            shutil.rmtree(self.folder)
        self.store = self._open()
        for begin in range(self.store.offset, len(self.changelog), 7):
            end = min(begin + 7, len(self.changelog))
            self.store.restore([document for batch in self.changelog[begin:end] for document in batch], end)

    def check(self) -> None:
        """The store has the sagas and the counts of the model."""
        counts = SagaCounts()
        for key, progress in self.model.items():
            assert self.store.get(key) == progress
            counts.change(NO_COUNTERS, counters_of(progress.state))
        assert self.store.index.counts.document() == counts.document()

    @property
    def unfinished(self) -> list[bytes]:
        """Sagas that wait for anything but an operator."""
        return [key for key, progress in self.model.items() if not stuck(progress.state)]

    def _open(self) -> PartitionStore:
        return PartitionStore(self.folder, "changelog", 20, self.limit)

    def _decide(self, key: bytes, given: Input) -> object:
        progress = self.store.get(key)
        if progress is None and not isinstance(given, Place):
            return None
        admission = self.store.admission
        verdict = decide(
            SAGA,
            key.decode(),
            progress or NO_SAGA,
            given,
            self.now,
            try_acquire=admission.try_acquire,
            keeps_slot=admission.keeps_slot,
        )
        if isinstance(verdict, Decision):
            self.store.set(key, verdict.progress)
            self.model[key] = verdict.progress
        elif isinstance(verdict, Expired):
            self.store.set(key, None)
            del self.model[key]
        return verdict

    def _random_input(self, id: str, progress: Progress | None) -> Input:
        state = progress.state if progress is not None else None
        if not isinstance(state, Running | Compensating):
            order = {"order_id": id, "customer_id": "c", "total": {"currency": "EUR", "minor": 1}, "lines": []}
            return Place("m", order, "d")  # type: ignore[arg-type]
        active = self.chance.choice(state.active_steps)
        to = command_id(id, active.step, "do" if isinstance(state, Running) else "undo", max(1, active.attempt))
        if self.chance.random() < 0.3:
            return Failed("m", f"{active.step}.failed", active.step, to, "busy", retryable=True)
        if isinstance(state, Running):
            return Succeeded("m", f"{active.step}.yes", active.step, to, "result")
        return Undone("m", f"{active.step}.undone", active.step, to)


@pytest.fixture
def modelled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ModelledStore]:
    """The store and the model of this seed."""
    created = ModelledStore(tmp_path, request.param)
    yield created
    created.store.close()


@pytest.mark.parametrize("modelled", (0, 5, 6), indirect=True)
def test_the_index_loses_no_timer_and_no_ticket(modelled: ModelledStore) -> None:
    """Whatever happens, sagas and counts are complete at any time; in the end every timer and every ticket is found."""
    for _ in range(150):
        modelled.now += modelled.chance.choice((1, 100, 5_000, 40_000, 70_000))
        modelled.store.look_ahead(modelled.now)
        modelled.records()
        modelled.batch(5)
        if modelled.chance.random() < 0.06:
            modelled.restart(empty=modelled.chance.random() < 0.3)
        modelled.check()
    for _ in range(2_000):
        modelled.now += MINUTE
        modelled.store.look_ahead(modelled.now)
        modelled.batch(50)
        if not modelled.unfinished:
            break
    assert not modelled.unfinished
    modelled.check()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PartitionStore]:
    """An empty store that allows two commands in flight per step."""
    opened = PartitionStore(tmp_path / "0", "changelog", 100, 2)
    yield opened
    opened.close()


def place(store: PartitionStore, *ids: str, at_ms: int = BEGIN) -> None:
    """Places orders in one batch, and saves it."""
    for id in ids:
        order = {"order_id": id, "customer_id": "c", "total": {"currency": "EUR", "minor": 1}, "lines": []}
        admission = store.admission
        order_input = Place("m", order, "d")  # type: ignore[arg-type]
        verdict = decide(SAGA, id, NO_SAGA, order_input, at_ms, admission.try_acquire)
        assert isinstance(verdict, Decision)
        store.set(id.encode(), verdict.progress)
    store.save(store.take_changes(), store.offset + 1)


def open_window(store: PartitionStore) -> None:
    """Lets the reservation's admission window grow to its limit."""
    for _ in range(20):
        store.admission.next_ms()
        store.admission.on_success("reservation")


@pytest.mark.parametrize("modelled", (1, 3, 5), indirect=True)
def test_no_timer_is_late(modelled: ModelledStore) -> None:
    """Through any number of restarts, each timer is found in time, also when it has moved to be earlier."""
    for _ in range(120):
        modelled.now += modelled.chance.choice((1, 50, 100, 500, 5_000))
        modelled.store.look_ahead(modelled.now)
        modelled.batch(1_000)
        modelled.records()
        modelled.batch(1_000)
        if modelled.chance.random() < 0.1:
            modelled.restart(empty=modelled.chance.random() < 0.1)
        dues = (due_ms(progress.state) for progress in modelled.model.values())
        assert min((due for due in dues if due is not None), default=modelled.now) > modelled.now - 1


def test_queued_sagas_are_admitted_in_order(store: PartitionStore) -> None:
    """In the order of their arrival, over batches, not by key."""
    place(store, "a", "b", "z", "y")
    place(store, "x", "c")
    store.index.counts.in_flight.clear()
    assert [key for _, key in store.admitted(BEGIN, 1)] == [b"z"]
    store.index.counts.in_flight.clear()
    store.admission.limit = 10
    assert [key for _, key in store.admitted(BEGIN, 10)] == [b"y", b"x"]


def test_the_order_of_a_queue_survives_a_restart(tmp_path: Path) -> None:
    """Sagas queued after a restart come behind those queued before, also when the disk was lost."""
    store = PartitionStore(tmp_path / "0", "changelog", 100, 2)
    place(store, "a", "b", "z", "y")
    documents = [(key, store._db.get(key)) for key in (b"a", b"b", b"z", b"y")]
    store.close()
    for index, folder in enumerate((store.folder, store.folder.with_name("new"))):
        reopened = PartitionStore(folder, "changelog", 100, 10)
        if index == 1:
            reopened.restore(documents, 1)
        place(reopened, "x", "c")
        open_window(reopened)
        assert [key for _, key in reopened.admitted(BEGIN, 10)] == [b"z", b"y", b"x", b"c"]
        reopened.close()


def test_no_saga_is_admitted_twice_in_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long queue is read in chunks; sagas admitted from the first chunk are still on disk when the next is read."""
    monkeypatch.setattr("app.engine.state.index._CHUNK", 3)
    store = PartitionStore(tmp_path / "0", "changelog", 100, 2)
    place(store, *"abcdefgh")
    store.close()
    store = PartitionStore(tmp_path / "0", "changelog", 100, 10)
    open_window(store)
    assert b"".join(key for _, key in store.admitted(BEGIN, 10)) == b"cdefgh"
    store.close()


def test_a_saga_cancelled_in_the_same_batch_is_no_corruption(store: PartitionStore) -> None:
    """Until the batch ends it still counts as queued, though it is not: that is no corrupt index."""
    place(store, "a", "b", "c")
    for key, progress in ((b"a", ENDED), (b"c", ENDED)):
        store.set(key, progress)
        if key == b"a":
            store.save(store.take_changes(), store.offset + 1)  # frees a slot
    assert list(store.admitted(BEGIN, 10)) == []
    store.save(store.take_changes(), store.offset + 1)
    assert store.index.counts.queued["reservation"] == 0


def test_an_admitted_saga_leaves_the_queue(store: PartitionStore) -> None:
    """On disk as well: after a restart the same saga is not admitted again, and none is lost."""
    place(store, "a", "b", "c", "d", "e")
    store.index.counts.in_flight.clear()
    for step, key in store.admitted(BEGIN, 2):
        verdict = decide(SAGA, key.decode(), store.get(key) or NO_SAGA, CapacityAvailable(step), BEGIN)
        assert isinstance(verdict, Decision)
        store.set(key, verdict.progress)
    store.save(store.take_changes(), store.offset + 1)
    assert next(store._scan(b"\x00queue", b"\x00queuf")).endswith(b"e")
    assert store.index.counts.queued["reservation"] == 1


def test_past_due_times_are_deleted_from_disk(store: PartitionStore) -> None:
    """The size of the index follows future timers, not past ones."""
    for minute in range(100):
        now = BEGIN + minute * MINUTE
        store.look_ahead(now)
        for due, key in store.due(now, 1000):
            progress = store.get(key)
            assert progress is not None
            verdict = decide(SAGA, key.decode(), progress, TimerDue(due), now)
            store.set(key, verdict.progress if isinstance(verdict, Decision) else None)
        place(store, f"o-{minute}", at_ms=now)
    waiting = sum(1 for minute in range(100) if store.get(b"o-%d" % minute) is not None)
    entries = sum(1 for _ in store._scan(b"\x00due", b"\x00duf"))
    assert entries <= 5 * waiting


def test_any_number_of_timers_can_be_due_at_the_same_time(tmp_path: Path) -> None:
    """They are read in chunks and taken in parts: none is lost, and none comes twice."""
    ids = [f"o-{index}" for index in range(25_000)]
    store = PartitionStore(tmp_path / "0", "changelog", 100, 10**9)
    place(store, *ids)
    due = due_ms((store.get(b"o-1") or NO_SAGA).state) or 0
    store.close()
    reopened = PartitionStore(store.folder, "changelog", 100, 10**9)
    processed: list[bytes] = []
    for _ in range(100):
        reopened.look_ahead(due)
        processed.extend(key for _, key in reopened.due(due, 2_000))
    assert sorted(processed) == sorted(id.encode() for id in ids)
    reopened.close()
