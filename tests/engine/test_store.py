"""The state of one partition, on a real disk."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rocksdict import Options, Rdict

from app.engine.folder import BrokenStore, SpoiledStore
from app.engine.store import PartitionStore
from app.saga.state import Asked, Completed, Facts, Progress, Running

FACTS = Facts("order", 1, "d" * 32, 0, {"customer_id": "c"}, {"reservation_id": "r"})
FAR = 10**13
DONE = Progress(3, Completed(FACTS, FAR))
LIMIT = 1000
CHANGELOG = "the changelog's identity"


def asked(due_ms: int = 1000, seq: int = 1) -> Progress:
    """A saga that waits for an answer."""
    return Progress(seq, Running(FACTS, None, (Asked("reservation", 1, 1, 0, due_ms),)))


class Stores:
    """Opens the same folder again and again, as lives of a pod do; ends with all closed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: list[PartitionStore] = []

    def open(self, changelog: str = CHANGELOG, room: int = 1_000_000) -> PartitionStore:
        """The next life."""
        self.close()
        self._open.append(PartitionStore(self.folder, changelog, room, LIMIT))
        return self._open[-1]

    def close(self) -> None:
        """Ends the present life."""
        while self._open:
            self._open.pop().close()

    def files(self, pattern: str) -> list[Path]:
        """Files of a closed store."""
        self.close()
        found = sorted(self.folder.glob(pattern))
        assert found
        return found


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    """One folder."""
    lives = Stores(tmp_path / "group" / "0")
    yield lives
    lives.close()


def keep(store: PartitionStore, **progress: Progress) -> None:
    """Sets and saves, as a committed batch does."""
    for key, each in progress.items():
        store.set(key.encode(), each)
    store.save(store.changes(), store.offset + len(progress) + 1)


def due(store: PartitionStore, until_ms: int) -> list[tuple[int, bytes]]:
    """Who is due by then."""
    store.look_ahead(until_ms)
    return list(store.due(until_ms, 1000))


def fill(store: PartitionStore, count: int) -> None:
    """Saves so many sagas that wait."""
    for index in range(count):
        store.set(b"%06d" % index, asked(1000 + index))
    store.save(store.changes(), count)


def spoil(file: Path, share: float = 0.1) -> None:
    """Flips a bit at a share of the way through a file: the index comes first, then the sagas."""
    data = bytearray(file.read_bytes())
    data[int(len(data) * share)] ^= 1
    file.write_bytes(bytes(data))


def flush(stores: Stores) -> None:
    """Brings all that is in the write-ahead log into a table file."""
    stores.close()
    options = Options(raw_mode=True)
    db = Rdict(str(stores.folder), options)
    db.flush()
    db.close()


def test_a_new_store_is_empty(stores: Stores) -> None:
    """It has nothing, needs the whole changelog, and waits for nothing."""
    store = stores.open()
    assert (store.get(b"a"), store.offset, store.changes().documents, due(store, FAR)) == (None, 0, [], [])


def test_what_was_set_counts_at_once(stores: Stores) -> None:
    """The next record of the same batch sees it."""
    store = stores.open()
    store.set(b"a", asked())
    assert store.get(b"a") == asked()
    store.set(b"a", DONE)
    assert store.get(b"a") == DONE


def test_changes_are_the_last_of_each_key_once(stores: Stores) -> None:
    """A batch writes one document for each saga, and the next batch only what it changed itself."""
    store = stores.open()
    store.set(b"a", asked())
    store.set(b"b", asked())
    store.set(b"a", DONE)
    documents = store.changes().documents
    assert [key for key, _ in documents] == [b"a", b"b"]
    assert b'"state":"completed"' in (documents[0][1] or b"")
    assert store.changes().documents == []
    assert store.get(b"a") == DONE


def test_what_was_saved_is_there_after_reopening(stores: Stores) -> None:
    """State, offset and who waits come back from disk."""
    store = stores.open()
    keep(store, a=asked(700), b=DONE)
    offset = store.offset
    store = stores.open()
    assert (store.get(b"a"), store.get(b"b"), store.offset) == (asked(700), DONE, offset)
    assert due(store, 1000) == [(700, b"a")]


def test_what_was_only_set_is_gone_after_reopening(stores: Stores) -> None:
    """Nothing of a transaction that was not committed reaches the disk."""
    store = stores.open()
    keep(store, a=asked(700))
    store.set(b"a", DONE)
    store.set(b"b", DONE)
    store.changes()
    store = stores.open()
    assert (store.get(b"a"), store.get(b"b")) == (asked(700), None)
    assert due(store, 1000) == [(700, b"a")]


def test_a_life_that_ends_without_closing_keeps_what_it_saved(tmp_path: Path) -> None:
    """A process that is killed loses nothing that was saved, and holds no lock beyond its end."""
    life = (
        "import os, sys; from pathlib import Path; from app.engine.store import PartitionStore;"
        "from tests.engine.test_store import CHANGELOG, DONE, keep;"
        "store = PartitionStore(Path(sys.argv[1]), CHANGELOG, 10, 10); keep(store, a=DONE); store.set(b'b', DONE);"
        "os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run([sys.executable, "-c", life, str(tmp_path / "0")], check=False)
    assert ended.returncode == -9
    store = PartitionStore(tmp_path / "0", CHANGELOG, 10, 10)
    assert (store.get(b"a"), store.get(b"b"), store.offset) == (DONE, None, 2)
    store.close()


def test_restoring_takes_in_the_changelog(stores: Stores) -> None:
    """The last document of each key counts, a tombstone deletes, and the offset is kept."""
    source = stores.open()
    for key, progress in ((b"a", asked(100)), (b"b", asked(200)), (b"c", DONE)):
        source.set(key, progress)
    documents = dict(source.changes().documents)
    store = stores.open()
    first: list[tuple[bytes, bytes | None]] = [(key, documents[key]) for key in (b"a", b"b")]
    store.restore(first, 2)
    store.restore([(b"a", documents[b"c"]), (b"b", None)], 5)
    assert (store.get(b"a"), store.get(b"b"), store.offset) == (DONE, None, 5)
    assert due(store, 10_000) == []
    assert stores.open().offset == 5


def test_only_the_last_state_of_a_saga_is_waited_for(stores: Stores) -> None:
    """The timers follow what was set, through any number of batches."""
    store = stores.open()
    keep(store, a=asked(100), b=asked(200))
    keep(store, a=asked(300), b=DONE)
    assert due(store, 10_000) == [(300, b"a")]


def test_text_that_looks_like_a_due_time_is_none(stores: Stores) -> None:
    """A customer who is called like a field of the document can't confuse the search for who waits."""
    facts = Facts("order", 1, "d", 0, {"customer_id": '"due_ms":5', "note": {"due_ms": 7}}, {})
    keep(stores.open(), a=Progress(1, Completed(facts, FAR)))
    store = stores.open()
    assert due(store, 10_000) == []
    assert store.get(b"a") == Progress(1, Completed(facts, FAR))


def test_the_cache_is_bounded(stores: Stores) -> None:
    """Memory holds what was used last, and disk has the rest."""
    store = stores.open(room=10_000)
    for batch in range(20):
        keep(store, **{f"{batch}-{index}": DONE for index in range(5)})
    assert len(store._cache) <= 10 + 5
    assert all(store.get(f"{batch}-{index}".encode()) == DONE for batch in range(20) for index in range(5))


def test_long_sagas_take_the_room_of_many(stores: Stores) -> None:
    """The bound is on memory: of sagas ten times as long a tenth is kept, and what was used last is among them."""
    store, kept = stores.open(room=100_000), []
    for note in ("x", "x" * 2_000):
        facts = Facts("order", 1, "d", 0, {"note": note}, {})
        keep(store, **{f"{len(note)}-{index}": Progress(1, Completed(facts, FAR)) for index in range(200)})
        store.changes()
        kept.append(len(store._cache))
        assert store._weight == sum(one.weight for one in store._cache.values()) <= 100_000
    assert kept[0] > 8 * kept[1] > 0
    assert list(store._cache)[-1] == b"2000-199"


def test_reading_alone_does_not_fill_the_memory(stores: Stores) -> None:
    """Any number of duplicates, which change nothing, leaves the cache bounded."""
    store = stores.open(room=10_000)
    keep(store, **{f"k{index}": DONE for index in range(500)})
    for index in range(500):
        assert store.get(f"k{index}".encode()) == DONE
        if index % 50 == 49:
            assert store.changes().documents == []
    assert len(store._cache) <= 10


def test_the_cache_never_drops_what_is_not_saved(stores: Stores) -> None:
    """A batch larger than the cache is whole, before it is saved and after."""
    store = stores.open(room=3_000)
    for index in range(50):
        store.set(b"%d" % index, asked(index))
    assert all(store.get(b"%d" % index) == asked(index) for index in range(50))
    changed = store.changes()
    assert all(store.get(b"%d" % index) == asked(index) for index in range(50))  # neither committed nor on disk yet
    store.save(changed, 50)
    store.changes()
    assert all(store.get(b"%d" % index) == asked(index) for index in range(50))


@pytest.mark.parametrize("file", ("MANIFEST-*", "CURRENT"))
def test_a_store_whose_files_are_garbage_is_made_anew(stores: Stores, file: str) -> None:
    """The changelog has it all, so broken state is emptied rather than asked about."""
    keep(stores.open(), a=DONE)
    stores.files(file)[0].write_bytes(b"garbage" * 50)
    store = stores.open()
    assert (store.get(b"a"), store.offset, due(store, FAR)) == (None, 0, [])


@pytest.mark.parametrize("file", ("MANIFEST-*", "*.sst"))
def test_a_store_that_misses_a_file_is_made_anew(stores: Stores, file: str) -> None:
    """A file that was deleted is no reason to ask a person either."""
    fill(stores.open(), 1000)
    flush(stores)
    stores.files(file)[0].unlink()
    store = stores.open()
    assert (store.get(b"000001"), store.offset, due(store, FAR)) == (None, 0, [])


def test_a_flipped_bit_ends_the_life_that_meets_it(stores: Stores) -> None:
    """RocksDB ends an iteration at a broken block in silence: sagas would be left that no time-out ever wakes."""
    fill(stores.open(), 2000)
    flush(stores)
    spoil(stores.files("*.sst")[0])
    db = Rdict(str(stores.folder), Options(raw_mode=True))
    seen = sum(1 for _ in db.items())
    db.close()
    assert seen < 2000  # what a plain loop over the items would have taken for all of them
    store = stores.open()
    with pytest.raises(SpoiledStore, match="can't be relied on, and is made anew at the next start: Corruption"):
        due(store, 10_000)
    store = stores.open()
    assert (store.offset, due(store, FAR), store.get(b"001999")) == (0, [], None)


def test_a_flipped_bit_is_found_by_who_reads_it(stores: Stores) -> None:
    """A saga whose block is broken is never taken for one that was not placed."""
    store = stores.open()
    for index in range(2000):
        store.set(b"%06d" % index, DONE)
    store.save(store.changes(), 2000)
    flush(stores)
    spoil(stores.files("*.sst")[0], share=0.7)
    store = stores.open()
    with pytest.raises(SpoiledStore):
        all(store.get(b"%06d" % index) == DONE for index in range(2000))
    assert stores.open().offset == 0


def test_state_of_another_changelog_is_not_taken_over(stores: Stores) -> None:
    """A folder from before the topics were made anew, or of another cluster, counts for nothing."""
    keep(stores.open("one"), a=asked())
    store = stores.open("another")
    assert (store.get(b"a"), store.offset, due(store, FAR)) == (None, 0, [])
    keep(store, b=DONE)
    assert stores.open("another").get(b"b") == DONE


def test_a_folder_in_use_is_refused(stores: Stores) -> None:
    """Two processes on one folder would spoil each other's state, so the second one says so and ends."""
    keep(stores.open(), a=DONE)
    with pytest.raises(BrokenStore, match=r"can't be used .*: is another process using it\?"):
        PartitionStore(stores.folder, CHANGELOG, 10, 10)
    assert stores.open().get(b"a") == DONE


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """The sentence names the folder and the setting."""
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(BrokenStore, match=r"make .*/file/group/0 writable, or set SAGA_STATE_DIR to a folder that is"):
        PartitionStore(tmp_path / "file" / "group" / "0", CHANGELOG, 10, 10)
