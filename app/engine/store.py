"""The state of one partition: RocksDB on disk, what was used last in memory, and how much of the changelog is in it."""

import logging
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

from rocksdict import BlockBasedOptions, Options, Rdict, WriteBatch

from app.engine.errors import Ended, Refused
from app.engine.gate import Gate
from app.engine.index import FIRST_DUE, Index, Marks, Written, marks_of
from app.engine.timers import Timers
from app.saga.facts import fact
from app.saga.state import Progress, due_ms
from app.wire.statedoc import decode, encode

log = logging.getLogger(__name__)

# No order id has a NUL byte, so no saga's key can be taken for one of these, or for one of the index.
_OFFSET = b"\x00changelog-offset"
_CHANGELOG = b"\x00changelog-id"
_COUNTS = b"\x00counts"
_WRITE_BUFFER_BYTES = 16 << 20
_BROKEN = "BROKEN"  # a file of this name in the folder: what is there can't be read

Document = tuple[bytes, bytes | None]
"""A key and the document of its saga; None: it is forgotten."""


class BrokenStore(Refused):
    """The folder can't be used as it is; the message says what to do."""


class SpoiledStore(Ended):
    """What is on disk can't be read any more: it is made anew at the next start."""


@fact
class Changes:
    """What changed in a partition since the last time, and what goes to disk with it."""

    documents: list[Document]
    index: Written


class PartitionStore:
    """State by key (order id). What is set counts at once in memory, on disk once it was committed and saved.

    `changelog` is the identity of the topic that has it all: what is there of another topic, or broken, is made anew.
    `limit` is how many commands of a step may be outstanding at most.
    """

    def __init__(self, folder: Path, changelog: str, cached: int, limit: int) -> None:
        self.folder = folder
        self.due_ms: int | None = None  # when somebody is due next, as last asked for
        self._cached = cached
        self._cache: dict[bytes, Progress | None] = {}
        self._marks: dict[bytes, Marks] = {}  # of what is in the cache, as last counted
        self._before: dict[bytes, Progress | None] = {}  # of what was set since the last changes
        self._db = self._opened(changelog.encode())
        self.index = Index(self._scan)
        counts = self._read(_COUNTS)
        if counts is not None:
            self.index.load(counts)
        self.gate = Gate(limit, self.index.census.asked, self.index.census.waiting)

    @property
    def offset(self) -> int:
        """The changelog's offset from which on records may be missing here; 0 for an empty store."""
        value = self._read(_OFFSET)
        return int(value) if value is not None else 0

    def get(self, key: bytes) -> Progress | None:
        """The saga of that key, with what was set but not saved yet."""
        found = self._cache.get(key)
        if found is None and key not in self._cache:
            value = self._read(key)
            found = self._cache[key] = decode(value) if value is not None else None
        return found

    def set(self, key: bytes, progress: Progress | None) -> None:
        """Puts a saga, or with None forgets it; the next `changes` has it."""
        if key not in self._before:
            self._before[key] = self.get(key)
        self._cache.pop(key, None)  # so that the cache is in the order of last use
        self._cache[key] = progress

    @property
    def timers(self) -> Timers:
        """Who waits for the time, soon."""
        return self.index.timers

    def next_ms(self) -> int:
        """When (ms since 1970) somebody is due, is let in, or the next due times are to be looked at; may be past."""
        self.due_ms = self.timers.next_ms()
        times = (self.due_ms, self.gate.next_ms(), self.timers.until_ms)
        return min(time for time in times if time is not None)

    def look_ahead(self, now_ms: int) -> None:
        """Watches the next due times; only while all that was changed is saved."""
        self.index.look_ahead(now_ms)

    def due(self, until_ms: int, most: int) -> Iterator[tuple[int, bytes]]:
        """Up to so many (due time, key) that are due by then, the earliest first; each must be seen to at once."""
        timers, found = self.timers, 0
        while found < most and (taken := timers.take(until_ms)) is not None:
            due, key = taken
            progress = self.get(key)
            really = due_ms(progress.state) if progress is not None else None
            if really == due:
                found += 1
                yield due, key
            else:
                timers.note(key, really)

    def let_in(self, now_ms: int, most: int) -> Iterator[tuple[str, bytes]]:
        """Up to so many (step, key) that waited for room, which there is now, the first in the queue first."""
        for step, free in self.gate.open(now_ms).items():
            for _ in range(min(free, most)):
                key = self.index.next_in_queue(step)
                if key is None:
                    break
                yield step, key

    def changes(self) -> Changes:
        """What was set since the last time: one document for each key, in the order of the first set."""
        documents: list[Document] = []
        for key, old in self._before.items():
            new = self._cache[key]
            marks = marks_of(new)
            was = self._marks.get(key)
            self.index.change(key, marks_of(old) if was is None else was, marks)
            self._marks[key] = marks
            if new is not None:
                documents.append((key, encode(new)))
            elif old is not None:
                documents.append((key, None))
        self._shrink()
        self._before.clear()
        self.gate.counted()
        return Changes(documents, self.index.changes())

    def save(self, changes: Changes, offset: int) -> None:
        """Writes committed changes to disk, with the changelog's offset behind the last of them."""
        batch, index = WriteBatch(raw_mode=True), changes.index
        for key, value in changes.documents:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        for key in index.puts:
            batch.put(key, b"")
        for key in index.deletes:
            batch.delete(key)
        if index.passed > FIRST_DUE:
            batch.delete_range(FIRST_DUE, index.passed)
        batch.put(_COUNTS, index.counts)
        batch.put(_OFFSET, b"%d" % offset)
        self._db.write(batch)

    def restore(self, changed: Iterable[Document], offset: int) -> None:
        """Takes in what the changelog has; only before the store is used. Raises ValueError for what is no saga."""
        documents = dict(changed)
        for key, value in documents.items():
            there = self._read(key)
            old = decode(there) if there is not None else None
            new = decode(value) if value is not None else None
            self.index.change(key, marks_of(old), marks_of(new))
        self.save(Changes(list(documents.items()), self.index.changes()), offset)

    def close(self) -> None:
        """Lets go of the folder."""
        self._db.close()

    def _read(self, key: bytes) -> bytes | None:
        try:
            return cast("bytes | None", self._db.get(key))
        except Exception as error:  # rocksdict raises nothing narrower
            raise self._spoiled(error) from error

    def _scan(self, start: bytes, end: bytes) -> Iterator[bytes]:
        at = self._db.iter()
        at.seek(start)
        try:
            while at.valid() and (key := cast("bytes", at.key())) < end:
                yield key
                at.next()
            at.status()  # an iteration that meets a broken block just ends
        except Exception as error:  # rocksdict raises nothing narrower
            raise self._spoiled(error) from error

    def _spoiled(self, error: Exception) -> Exception:
        if not _is_broken(error):
            return error
        (self.folder / _BROKEN).touch()
        return SpoiledStore(f"the state in {self.folder} can't be read, and is made anew at the next start: {error}")

    def _shrink(self) -> None:
        excess = len(self._cache) - self._cached
        if excess > 0:
            for key in [key for key, _ in zip(self._cache, range(excess), strict=False)]:
                if key not in self._before:
                    del self._cache[key]
                    self._marks.pop(key, None)

    def _opened(self, changelog: bytes) -> Rdict:
        """The store with what it has, or an empty one when that can't be used."""
        there = self.folder.exists()
        db = None if (self.folder / _BROKEN).exists() else _open(self.folder)
        if db is not None:
            if _is_of(db, changelog):
                return db
            db.close()
        if there:
            log.warning("local state can't be used, and is made anew", extra={"folder": str(self.folder)})
        shutil.rmtree(self.folder)
        made = Rdict(str(self.folder), _options())
        made.put(_CHANGELOG, changelog)
        return made


def _is_of(db: Rdict, changelog: bytes) -> bool:
    try:
        return bool(db.get(_CHANGELOG) == changelog)
    except Exception as error:  # rocksdict raises nothing narrower
        if not _is_broken(error):
            raise
        return False


def make_folder(folder: Path) -> None:
    """Makes a folder for state, unless it is there. Raises BrokenStore."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BrokenStore(
            f"make {folder} writable, or set SAGA_STATE_DIR to a folder that is: {error.strerror}"
        ) from error


def _open(folder: Path) -> Rdict | None:
    """Opens or makes the store; None when it is broken. Raises BrokenStore."""
    make_folder(folder)
    try:
        return Rdict(str(folder), _options())
    except Exception as error:  # rocksdict raises nothing narrower
        if _is_broken(error):
            return None
        raise BrokenStore(f"the state in {folder} can't be opened ({error}); is another process using it?") from error


def _is_broken(error: Exception) -> bool:
    return str(error).startswith("Corruption") or "No such file" in str(error)


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
    table = BlockBasedOptions()
    table.set_bloom_filter(10, block_based=False)
    options.set_block_based_table_factory(table)
    return options
