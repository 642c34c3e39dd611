"""What is kept on disk beside the sagas: who is due, who waits, how many are where; through crashes and restores."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.engine.census import NOBODY, Census, counts_of
from app.engine.store import Document, PartitionStore
from app.saga.decide import decide
from app.saga.definition import with_policy
from app.saga.identity import command_id
from app.saga.messages import Failed, Input, Place, RoomFor, Succeeded, TimerDue, Undone
from app.saga.state import UNKNOWN, Compensating, Completed, Facts, Progress, Running, due_ms, stuck
from app.saga.verdict import Decision, Forgotten, Nothing
from topologies.order import ORDER

SAGA = with_policy(ORDER, timeout_ms=30_000, remembered_ms=200_000)
MINUTE = 60_000
ENDED = Progress(2, Completed(Facts("order", 1, "d", 0, {}, {}), 10**13))
BEGIN = 1_700_000_000_000


class Life:
    """A partition's store through many batches, lives and disks, beside a plain table of the same sagas."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.folder = folder / "0"
        self.limit = self.chance.choice((2, 5, 1000))
        self.store = self._open()
        self.table: dict[bytes, Progress] = {}
        self.log: list[list[Document]] = []
        self.now = BEGIN

    def batch(self, most: int) -> int:
        """Records, due times and let-ins, committed together; returns how many there were of the last two."""
        seen = 0
        for due, key in self.store.due(self.now, most):
            assert due <= self.now
            assert not isinstance(self._tell(key, TimerDue(due)), Nothing)
            seen += 1
        for step, key in self.store.let_in(self.now, most):
            self._tell(key, RoomFor(step))
            seen += 1
        changes = self.store.changes()
        self.log.append(changes.documents)
        if self.chance.random() < 0.03:  # the process dies between its commit and its save
            self.restart()
        else:
            self.store.save(changes, len(self.log))
        return seen

    def records(self) -> None:
        """Some sagas are placed, and some are answered."""
        for _ in range(self.chance.randrange(10)):
            key = b"o-%d" % self.chance.randrange(60)
            self._tell(key, self._said(key.decode(), self.table.get(key)))

    def restart(self, *, empty: bool = False) -> None:
        """Another life of the process, on the disk of the last one or on a new one."""
        self.store.close()
        if empty:
            shutil.rmtree(self.folder)
        self.store = self._open()
        for begin in range(self.store.offset, len(self.log), 7):
            end = min(begin + 7, len(self.log))
            self.store.restore([document for batch in self.log[begin:end] for document in batch], end)

    def check(self) -> None:
        """All sagas are there, and counted right."""
        census = Census()
        for key, progress in self.table.items():
            assert self.store.get(key) == progress
            census.change(NOBODY, counts_of(progress.state))
        assert self.store.index.census.document() == census.document()

    @property
    def open_ends(self) -> list[bytes]:
        """Who waits for anything but a person."""
        return [key for key, progress in self.table.items() if not stuck(progress.state)]

    def _open(self) -> PartitionStore:
        return PartitionStore(self.folder, "changelog", 20, self.limit)

    def _tell(self, key: bytes, given: Input) -> object:
        progress = self.store.get(key)
        if progress is None and not isinstance(given, Place):
            return None
        gate = self.store.gate
        verdict = decide(SAGA, key.decode(), progress or UNKNOWN, given, self.now, room=gate.has_room, bears=gate.bears)
        if isinstance(verdict, Decision):
            self.store.set(key, verdict.progress)
            self.table[key] = verdict.progress
        elif isinstance(verdict, Forgotten):
            self.store.set(key, None)
            del self.table[key]
        return verdict

    def _said(self, id: str, progress: Progress | None) -> Input:
        state = progress.state if progress is not None else None
        if not isinstance(state, Running | Compensating):
            order = {"order_id": id, "customer_id": "c", "total": {"currency": "EUR", "minor": 1}, "lines": []}
            return Place("m", order, "d")  # type: ignore[arg-type]
        leg = self.chance.choice(state.legs)
        to = command_id(id, leg.step, "do" if isinstance(state, Running) else "undo", max(1, leg.attempt))
        if self.chance.random() < 0.3:
            return Failed("m", f"{leg.step}.failed", leg.step, to, "busy", retryable=True)
        if isinstance(state, Running):
            return Succeeded("m", f"{leg.step}.yes", leg.step, to, "result")
        return Undone("m", f"{leg.step}.undone", leg.step, to)


@pytest.fixture
def life(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Life]:
    """The life that this seed leads to."""
    made = Life(tmp_path, request.param)
    yield made
    made.store.close()


@pytest.mark.parametrize("life", (0, 5, 6), indirect=True)
def test_the_index_forgets_nobody(life: Life) -> None:
    """Whatever happens, all are found: sagas and counts at any time, in the end all who are due or wait for room."""
    for _ in range(150):
        life.now += life.chance.choice((1, 100, 5_000, 40_000, 70_000))
        life.store.look_ahead(life.now)
        life.records()
        life.batch(5)
        if life.chance.random() < 0.06:
            life.restart(empty=life.chance.random() < 0.3)
        life.check()
    for _ in range(2_000):
        life.now += MINUTE
        life.store.look_ahead(life.now)
        life.batch(50)
        if not life.open_ends:
            break
    assert not life.open_ends
    life.check()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PartitionStore]:
    """An empty one, with room for two commands of a step."""
    made = PartitionStore(tmp_path / "0", "changelog", 100, 2)
    yield made
    made.close()


def placed(store: PartitionStore, *ids: str, at_ms: int = BEGIN) -> None:
    """Orders come in one batch, which is saved."""
    for id in ids:
        order = {"order_id": id, "customer_id": "c", "total": {"currency": "EUR", "minor": 1}, "lines": []}
        gate = store.gate
        verdict = decide(SAGA, id, UNKNOWN, Place("m", order, "d"), at_ms, gate.has_room)  # type: ignore[arg-type]
        assert isinstance(verdict, Decision)
        store.set(id.encode(), verdict.progress)
    store.save(store.changes(), store.offset + 1)


def widen(store: PartitionStore) -> None:
    """The reservation's participant answers well: there is all the room that the limit gives."""
    for _ in range(20):
        store.gate.next_ms()
        store.gate.answered("reservation")


@pytest.mark.parametrize("life", (1, 3, 5), indirect=True)
def test_nobody_is_late(life: Life) -> None:
    """Through any number of lives, whoever is due is found at its time, also when that has moved to be sooner."""
    for _ in range(120):
        life.now += life.chance.choice((1, 50, 100, 500, 5_000))
        life.store.look_ahead(life.now)
        life.batch(1_000)
        life.records()
        life.batch(1_000)
        if life.chance.random() < 0.1:
            life.restart(empty=life.chance.random() < 0.1)
        dues = (due_ms(progress.state) for progress in life.table.values())
        assert min((due for due in dues if due is not None), default=life.now) > life.now - 1


def test_who_waits_is_let_in_in_order(store: PartitionStore) -> None:
    """In the order in which they came, over batches, not by name."""
    placed(store, "a", "b", "z", "y")
    placed(store, "x", "c")
    store.index.census.asked.clear()
    assert [key for _, key in store.let_in(BEGIN, 1)] == [b"z"]
    store.index.census.asked.clear()
    store.gate._limit = 10
    assert [key for _, key in store.let_in(BEGIN, 10)] == [b"y", b"x"]


def test_the_order_of_those_who_wait_outlives_the_process(tmp_path: Path) -> None:
    """Who comes in the next life waits behind those who came in the last one, also when the disk was lost."""
    store = PartitionStore(tmp_path / "0", "changelog", 100, 2)
    placed(store, "a", "b", "z", "y")
    documents = [(key, store._db.get(key)) for key in (b"a", b"b", b"z", b"y")]
    store.close()
    for index, folder in enumerate((store.folder, store.folder.with_name("new"))):
        again = PartitionStore(folder, "changelog", 100, 10)
        if index == 1:
            again.restore(documents, 1)
        placed(again, "x", "c")
        widen(again)
        assert [key for _, key in again.let_in(BEGIN, 10)] == [b"z", b"y", b"x", b"c"]
        again.close()


def test_nobody_is_let_in_twice_in_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long queue is looked at in parts; who was let in is still on disk when the next part is looked at."""
    monkeypatch.setattr("app.engine.index._CHUNK", 3)
    store = PartitionStore(tmp_path / "0", "changelog", 100, 2)
    placed(store, *"abcdefgh")
    store.close()
    store = PartitionStore(tmp_path / "0", "changelog", 100, 10)
    widen(store)
    assert b"".join(key for _, key in store.let_in(BEGIN, 10)) == b"cdefgh"
    store.close()


def test_who_was_cancelled_in_the_same_batch_spoils_nothing(store: PartitionStore) -> None:
    """It is counted among those who wait until the batch ends, and waits no more: that is no broken index."""
    placed(store, "a", "b", "c")
    for key, progress in ((b"a", ENDED), (b"c", ENDED)):
        store.set(key, progress)
        if key == b"a":
            store.save(store.changes(), store.offset + 1)  # there is room now
    assert list(store.let_in(BEGIN, 10)) == []
    store.save(store.changes(), store.offset + 1)
    assert store.index.census.waiting["reservation"] == 0


def test_who_is_let_in_is_taken_from_the_queue(store: PartitionStore) -> None:
    """On disk as well: the next life does not let the same one in again, and loses none."""
    placed(store, "a", "b", "c", "d", "e")
    store.index.census.asked.clear()
    for step, key in store.let_in(BEGIN, 2):
        verdict = decide(SAGA, key.decode(), store.get(key) or UNKNOWN, RoomFor(step), BEGIN)
        assert isinstance(verdict, Decision)
        store.set(key, verdict.progress)
    store.save(store.changes(), store.offset + 1)
    assert next(store._scan(b"\x00queue", b"\x00queuf")).endswith(b"e")
    assert store.index.census.waiting["reservation"] == 1


def test_due_times_that_are_over_leave_the_disk(store: PartitionStore) -> None:
    """The index is as large as what is to come, not as what was."""
    for minute in range(100):
        now = BEGIN + minute * MINUTE
        store.look_ahead(now)
        for due, key in store.due(now, 1000):
            progress = store.get(key)
            assert progress is not None
            verdict = decide(SAGA, key.decode(), progress, TimerDue(due), now)
            store.set(key, verdict.progress if isinstance(verdict, Decision) else None)
        placed(store, f"o-{minute}", at_ms=now)
    waiting = sum(1 for minute in range(100) if store.get(b"o-%d" % minute) is not None)
    entries = sum(1 for _ in store._scan(b"\x00due", b"\x00duf"))
    assert entries <= 5 * waiting


def test_any_number_can_be_due_in_the_same_moment(tmp_path: Path) -> None:
    """They are looked at in parts, and taken in parts: none is lost, and none comes twice."""
    ids = [f"o-{index}" for index in range(25_000)]
    store = PartitionStore(tmp_path / "0", "changelog", 100, 10**9)
    placed(store, *ids)
    due = due_ms((store.get(b"o-1") or UNKNOWN).state) or 0
    store.close()
    again = PartitionStore(store.folder, "changelog", 100, 10**9)
    seen: list[bytes] = []
    for _ in range(100):
        again.look_ahead(due)
        seen.extend(key for _, key in again.due(due, 2_000))
    assert sorted(seen) == sorted(id.encode() for id in ids)
    again.close()
