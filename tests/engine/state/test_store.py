"""The state of one partition, on a real disk."""

import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rocksdict import Options, Rdict

from app.engine.state.rocksdb import CorruptStore, UnusableStore
from app.engine.state.store import PartitionStore
from app.saga.state import Completed, InFlight, Progress, Running, SagaData

DATA = SagaData("order", 1, "d" * 32, 0, {"customer_id": "c"}, {"reservation_id": "r"})
FAR = 10**13
DONE = Progress(3, Completed(DATA, FAR))
LIMIT = 1000
CHANGELOG = "the changelog's identity"


def in_flight(due_ms: int = 1000, seq: int = 1) -> Progress:
    """A saga with a command in flight."""
    return Progress(seq, Running(DATA, None, (InFlight("reservation", 1, 1, 0, due_ms),)))


class Stores:
    """Opens the same folder again and again, as restarts of a pod do; ends with all closed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: list[PartitionStore] = []

    def open(self, changelog: str = CHANGELOG, cache_bytes: int = 1_000_000) -> PartitionStore:
        """Closes the store that is open, and opens the next one."""
        self.close()
        self._open.append(PartitionStore(self.folder, changelog, cache_bytes, LIMIT))
        return self._open[-1]

    def close(self) -> None:
        """Closes the store that is open."""
        while self._open:
            self._open.pop().close()
        gc.collect()  # an iterator in the traceback of a caught error keeps the database's lock

    def files(self, pattern: str) -> list[Path]:
        """Files of the folder; closes the store first."""
        self.close()
        found = sorted(self.folder.glob(pattern))
        assert found
        return found


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    """One folder, which does not exist yet."""
    opened = Stores(tmp_path / "group" / "0")
    yield opened
    opened.close()


def save(store: PartitionStore, **progress: Progress) -> None:
    """Sets and saves sagas, as a committed batch does."""
    for key, each in progress.items():
        store.set(key.encode(), each)
    store.save(store.take_changes(), store.offset + len(progress) + 1)


def due(store: PartitionStore, until_ms: int) -> list[tuple[int, bytes]]:
    """The timers that are due by then."""
    store.look_ahead(until_ms)
    return list(store.due(until_ms, 1000))


def fill(store: PartitionStore, count: int) -> None:
    """Saves so many sagas with a timer."""
    for index in range(count):
        store.set(b"%06d" % index, in_flight(1000 + index))
    store.save(store.take_changes(), count)


def flip_bit(file: Path, share: float = 0.1) -> None:
    """Flips one bit, at this share of the file's length: the index comes first, then the sagas."""
    data = bytearray(file.read_bytes())
    data[int(len(data) * share)] ^= 1
    file.write_bytes(bytes(data))


def flush(stores: Stores) -> None:
    """Brings everything in the write-ahead log into a table file."""
    stores.close()
    options = Options(raw_mode=True)
    db = Rdict(str(stores.folder), options)
    db.flush()
    db.close()


def test_a_new_store_is_empty(stores: Stores) -> None:
    """It has no saga and no timer, and needs the whole changelog."""
    store = stores.open()
    assert (store.get(b"a"), store.offset, store.take_changes().documents, due(store, FAR)) == (None, 0, [], [])


def test_a_change_is_visible_at_once(stores: Stores) -> None:
    """The next record of the same batch sees it."""
    store = stores.open()
    store.set(b"a", in_flight())
    assert store.get(b"a") == in_flight()
    store.set(b"a", DONE)
    assert store.get(b"a") == DONE


def test_changes_have_the_last_document_of_each_key(stores: Stores) -> None:
    """A batch writes one document for each saga; the next batch writes only its own changes."""
    store = stores.open()
    store.set(b"a", in_flight())
    store.set(b"b", in_flight())
    store.set(b"a", DONE)
    documents = store.take_changes().documents
    assert [key for key, _ in documents] == [b"a", b"b"]
    assert b'"state":"completed"' in (documents[0][1] or b"")
    assert store.take_changes().documents == []
    assert store.get(b"a") == DONE


def test_saved_state_survives_a_restart(stores: Stores) -> None:
    """Sagas, offset and timers come back from disk."""
    store = stores.open()
    save(store, a=in_flight(700), b=DONE)
    offset = store.offset
    store = stores.open()
    assert (store.get(b"a"), store.get(b"b"), store.offset) == (in_flight(700), DONE, offset)
    assert due(store, 1000) == [(700, b"a")]


def test_unsaved_state_is_gone_after_a_restart(stores: Stores) -> None:
    """Nothing reaches the disk before its transaction is committed."""
    store = stores.open()
    save(store, a=in_flight(700))
    store.set(b"a", DONE)
    store.set(b"b", DONE)
    store.take_changes()
    store = stores.open()
    assert (store.get(b"a"), store.get(b"b")) == (in_flight(700), None)
    assert due(store, 1000) == [(700, b"a")]


def test_a_killed_process_keeps_its_saved_state(tmp_path: Path) -> None:
    """A killed process loses nothing that was saved, and leaves no lock."""
    script = (
        "import os, sys; from pathlib import Path; from app.engine.state.store import PartitionStore;"
        "from tests.engine.state.test_store import CHANGELOG, DONE, save;"
        "store = PartitionStore(Path(sys.argv[1]), CHANGELOG, 10, 10); save(store, a=DONE); store.set(b'b', DONE);"
        "os.kill(os.getpid(), 9)"
    )
    finished = subprocess.run([sys.executable, "-c", script, str(tmp_path / "0")], check=False)
    assert finished.returncode == -9
    store = PartitionStore(tmp_path / "0", CHANGELOG, 10, 10)
    assert (store.get(b"a"), store.get(b"b"), store.offset) == (DONE, None, 2)
    store.close()


def test_a_restore_applies_the_changelog(stores: Stores) -> None:
    """The last document of each key counts, a tombstone deletes, and the offset is stored."""
    source = stores.open()
    for key, progress in ((b"a", in_flight(100)), (b"b", in_flight(200)), (b"c", DONE)):
        source.set(key, progress)
    documents = dict(source.take_changes().documents)
    store = stores.open()
    first: list[tuple[bytes, bytes | None]] = [(key, documents[key]) for key in (b"a", b"b")]
    store.restore(first, 2)
    store.restore([(b"a", documents[b"c"]), (b"b", None)], 5)
    assert (store.get(b"a"), store.get(b"b"), store.offset) == (DONE, None, 5)
    assert due(store, 10_000) == []
    assert stores.open().offset == 5


def test_only_the_last_timer_of_a_saga_counts(stores: Stores) -> None:
    """Timers follow the changes of their sagas, through any number of batches."""
    store = stores.open()
    save(store, a=in_flight(100), b=in_flight(200))
    save(store, a=in_flight(300), b=DONE)
    assert due(store, 10_000) == [(300, b"a")]


def test_data_that_looks_like_a_timer_is_none(stores: Stores) -> None:
    """Customer data that looks like a field of the document is not taken for a timer."""
    data = SagaData("order", 1, "d", 0, {"customer_id": '"due_ms":5', "note": {"due_ms": 7}}, {})
    save(stores.open(), a=Progress(1, Completed(data, FAR)))
    store = stores.open()
    assert due(store, 10_000) == []
    assert store.get(b"a") == Progress(1, Completed(data, FAR))


def test_the_cache_is_bounded(stores: Stores) -> None:
    """Memory has the recently used sagas, disk has all."""
    store = stores.open(cache_bytes=10_000)
    for batch in range(20):
        save(store, **{f"{batch}-{index}": DONE for index in range(5)})
    assert len(store._cache) <= 10 + 5
    assert all(store.get(f"{batch}-{index}".encode()) == DONE for batch in range(20) for index in range(5))


def test_long_sagas_take_the_cache_of_many(stores: Stores) -> None:
    """The bound is on bytes: of sagas ten times as long, a tenth is cached, with the last used one among them."""
    store, cached = stores.open(cache_bytes=100_000), []
    for note in ("x", "x" * 2_000):
        data = SagaData("order", 1, "d", 0, {"note": note}, {})
        save(store, **{f"{len(note)}-{index}": Progress(1, Completed(data, FAR)) for index in range(200)})
        store.take_changes()
        cached.append(len(store._cache))
        assert store._cached_bytes == sum(entry.size for entry in store._cache.values()) <= 100_000
    assert cached[0] > 8 * cached[1] > 0
    assert list(store._cache)[-1] == b"2000-199"


def test_reading_alone_does_not_fill_the_memory(stores: Stores) -> None:
    """The cache stays bounded through any number of duplicates, which change nothing."""
    store = stores.open(cache_bytes=10_000)
    save(store, **{f"k{index}": DONE for index in range(500)})
    for index in range(500):
        assert store.get(f"k{index}".encode()) == DONE
        if index % 50 == 49:
            assert store.take_changes().documents == []
    assert len(store._cache) <= 10


def test_the_cache_never_drops_unsaved_sagas(stores: Stores) -> None:
    """A batch larger than the cache is complete, before it is saved and after."""
    store = stores.open(cache_bytes=3_000)
    for index in range(50):
        store.set(b"%d" % index, in_flight(index))
    assert all(store.get(b"%d" % index) == in_flight(index) for index in range(50))
    changed = store.take_changes()
    assert all(store.get(b"%d" % index) == in_flight(index) for index in range(50))  # neither committed nor on disk yet
    store.save(changed, 50)
    store.take_changes()
    assert all(store.get(b"%d" % index) == in_flight(index) for index in range(50))


@pytest.mark.parametrize("file", ("MANIFEST-*", "CURRENT"))
def test_a_store_with_garbage_in_its_files_is_rebuilt(stores: Stores, file: str) -> None:
    """Corrupt state is dropped without asking an operator, as the changelog has it all."""
    save(stores.open(), a=DONE)
    stores.files(file)[0].write_bytes(b"garbage" * 50)
    store = stores.open()
    assert (store.get(b"a"), store.offset, due(store, FAR)) == (None, 0, [])


@pytest.mark.parametrize("file", ("MANIFEST-*", "*.sst"))
def test_a_store_with_a_missing_file_is_rebuilt(stores: Stores, file: str) -> None:
    """A missing file is no reason to ask an operator either."""
    fill(stores.open(), 1000)
    flush(stores)
    stores.files(file)[0].unlink()
    store = stores.open()
    assert (store.get(b"000001"), store.offset, due(store, FAR)) == (None, 0, [])


def test_a_flipped_bit_ends_the_process_that_reads_it(stores: Stores) -> None:
    """RocksDB silently ends an iteration at a corrupt block: the timers behind it would never fire."""
    fill(stores.open(), 2000)
    flush(stores)
    flip_bit(stores.files("*.sst")[0])
    db = Rdict(str(stores.folder), Options(raw_mode=True))
    items = sum(1 for _ in db.items())
    db.close()
    assert items < 2000  # a plain loop over the items would have taken them for all
    store = stores.open()
    with pytest.raises(CorruptStore, match="is corrupt, and the next start rebuilds it: Corruption"):
        due(store, 10_000)
    store = stores.open()
    assert (store.offset, due(store, FAR), store.get(b"001999")) == (0, [], None)


def test_a_flipped_bit_in_a_saga_is_noticed(stores: Stores) -> None:
    """A saga in a corrupt block is never taken for one that does not exist."""
    store = stores.open()
    for index in range(2000):
        store.set(b"%06d" % index, DONE)
    store.save(store.take_changes(), 2000)
    flush(stores)
    flip_bit(stores.files("*.sst")[0], share=0.7)
    store = stores.open()
    with pytest.raises(CorruptStore):
        all(store.get(b"%06d" % index) == DONE for index in range(2000))
    assert stores.open().offset == 0


def test_state_of_another_changelog_is_not_used(stores: Stores) -> None:
    """A folder of former topics, or of another cluster, is not used."""
    save(stores.open("one"), a=in_flight())
    store = stores.open("another")
    assert (store.get(b"a"), store.offset, due(store, FAR)) == (None, 0, [])
    save(store, b=DONE)
    assert stores.open("another").get(b"b") == DONE


def test_a_folder_in_use_is_refused(stores: Stores) -> None:
    """Two processes on one folder would corrupt each other's state, so the second one ends."""
    save(stores.open(), a=DONE)
    with pytest.raises(UnusableStore, match=r"can't be used .*: is another process using it\?"):
        PartitionStore(stores.folder, CHANGELOG, 10, 10)
    assert stores.open().get(b"a") == DONE


def test_a_folder_that_cannot_be_created_is_refused(tmp_path: Path) -> None:
    """The sentence names the folder and the setting."""
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(
        UnusableStore, match=r"make .*/file/group/0 writable, or set SAGA_STATE_DIR to a folder that is"
    ):
        PartitionStore(tmp_path / "file" / "group" / "0", CHANGELOG, 10, 10)
