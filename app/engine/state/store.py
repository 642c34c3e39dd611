"""The state of one partition: RocksDB on disk, a cache of recently used sagas, and the changelog offset reached."""

import logging
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

from rocksdict import WriteBatch

from app.engine.errors import EngineStopped
from app.engine.policy import OLD_SECONDS
from app.engine.state.admission import AdmissionControl
from app.engine.state.due_times import DueTimes
from app.engine.state.index import FIRST_DUE, NO_ENTRY, Index, IndexChanges, index_entry
from app.engine.state.rocksdb import (
    filled,
    is_old,
    mark_corrupt,
    now_ms,
    open_store,
    scan,
    translating_errors,
    write,
)
from app.engine.state.save_journal import Write
from app.saga.immutable import immutable
from app.saga.state import Progress, Queued, active_step, due_ms
from app.wire.state_codec import decode, encode

log = logging.getLogger(__name__)

# No order id has a NUL byte, so no saga's key collides with this key or with those of the index and the journal.
_COUNTS = b"\x00counts"

_ENTRY_BYTES, _BYTES_PER_DOCUMENT_BYTE = 200, 5  # memory of a cached saga, estimated from its document's length

_NOTE_COMPLETE_SECONDS = 60.0
_STALLED_SECONDS = OLD_SECONDS / 2

Document = tuple[bytes, bytes | None]
"""A saga's key and its document; None is a tombstone."""


@immutable
class Changes:
    """The changes of one batch to a partition: documents for the changelog and the disk, index entries for the disk."""

    documents: list[Document]
    index: IndexChanges

    def __bool__(self) -> bool:
        """Whether there is anything to save."""
        return bool(self.documents or self.index.deletes or self.index.passed > FIRST_DUE)


class _CacheEntry:
    """A cached saga, the index entry that counts it, and its size in memory (bytes, estimated)."""

    __slots__ = ("indexed", "progress", "size")

    def __init__(self, progress: Progress | None) -> None:
        self.progress = progress
        self.indexed = index_entry(progress)
        self.size = 0


class PartitionStore:
    """The sagas of one partition by key (order id). A change is visible at once, and on disk once its batch is saved.

    `changelog` identifies the changelog partition: a folder that holds another one, or is corrupt, is rebuilt.
    `cache_bytes` bounds the memory of saved sagas; `limit` is how many commands of a step may be in flight.
    """

    def __init__(self, folder: Path, changelog: str, cache_bytes: int, limit: int) -> None:
        self.folder = folder
        self.due_ms: int | None = None  # the next due time, as of the last `look_ahead`
        self._max_bytes = cache_bytes
        self._cache: dict[bytes, _CacheEntry] = {}  # least recently used first
        self._cached_bytes = 0  # of the whole cache
        self._changed: dict[bytes, _CacheEntry] = {}  # since the last `changes`
        self._complete_noted_at = time.monotonic()  # when `complete_as_of_ms` was last written
        self._db, self._journal = open_store(folder, changelog)
        self.index = Index(self._scan)
        counts = self._read(_COUNTS)
        if counts is not None:
            self.index.load(counts)
        self.admission = AdmissionControl(limit, self.index.counts.in_flight, self.index.counts.queued)

    @property
    def offset(self) -> int:
        """The changelog offset from which records may be missing here; 0 for an empty store."""
        return self._journal.page.offset

    def get(self, key: bytes) -> Progress | None:
        """The saga of a key, unsaved changes included; None if there is none."""
        entry = self._cache.get(key)
        if entry is None:
            entry = self._cache[key] = self._load(key)
        return entry.progress

    def set(self, key: bytes, progress: Progress | None) -> None:
        """Stores a saga, or with None deletes it; the next `changes` includes it."""
        entry = self._cache.pop(key, None)  # keeps the cache in the order of last use
        if entry is None:
            entry = self._load(key)
        entry.progress = progress
        self._cache[key] = self._changed[key] = entry

    @property
    def due_times(self) -> DueTimes:
        """The timers that are due soon."""
        return self.index.due_times

    def next_ms(self) -> int:
        """When (ms since 1970) a timer is due, a queued step is admissible, or `look_ahead` is needed; may be past."""
        times = (self.due_times.next_ms(), self.admission.next_ms(), self.due_times.until_ms)
        return min(time for time in times if time is not None)

    def look_ahead(self, now_ms: int) -> None:
        """Loads the next due times into memory. To be called only while no change is unsaved."""
        self.index.look_ahead(now_ms)
        self.due_times.settle(now_ms)
        self.due_ms = self.due_times.next_ms()
        self._evict()

    def due(self, until_ms: int, most: int) -> Iterator[tuple[int, bytes]]:
        """The (due time, key) of due timers, earliest first. Run each before asking for the next one.

        Takes at most `most` entries of the index. Stale entries count, and are not returned.
        """
        due_times = self.due_times
        for _ in range(most):
            taken = due_times.take(until_ms)
            if taken is None:
                return
            due, key = taken
            progress = self.get(key)
            current = due_ms(progress.state) if progress is not None else None
            if current == due:
                yield due, key
            else:
                due_times.note(key, current)

    def admitted(self, now_ms: int, most: int) -> Iterator[tuple[str, bytes]]:
        """The (step, key) of queued steps for which there is a free slot, in the order of their queues.

        Examines at most so many tickets of each step; stale ones take no slot.
        """
        for step, free in self.admission.admissible(now_ms).items():
            # Counts lag behind until the batch ends: a saga that left the queue in this batch still counts as queued.
            used = examined = 0
            while used < free and examined < most and (key := self.index.take_ticket(step)) is not None:
                examined += 1
                if self._waits_for(key, step):
                    used += 1
                    yield step, key
                elif key in self._changed:
                    used += 1
            if used < free and examined < most:
                raise mark_corrupt(self.folder, f"{free - used} queued sagas of step {step} are missing in its queue")

    def take_changes(self) -> Changes:
        """The changes since the last call: one document for each key, in the order of its first change."""
        documents: list[Document] = []
        for key, entry in self._changed.items():
            old, entry.indexed = entry.indexed, index_entry(entry.progress)
            self.index.change(key, old, entry.indexed)
            if entry.progress is not None:
                document = encode(entry.progress)
                documents.append((key, document))
                self._resize(entry, len(document))
            elif old is not NO_ENTRY:
                documents.append((key, None))
                self._resize(entry, 0)
        self._evict()
        self._changed.clear()
        self.admission.reset_batch()
        return Changes(documents, self.index.take_changes())

    def save(self, changes: Changes, offset: int) -> None:
        """Writes a committed batch to disk. `offset` is the changelog offset after it. Raises EngineStopped."""
        self._write(changes, offset, now_ms())

    def restore(self, changed: Iterable[Document], offset: int) -> None:
        """Applies changelog records; only before first use. Raises ValueError if a document is no saga's state."""
        documents = dict(changed)
        for key, value in documents.items():
            stored = self._read(key)
            old = decode(stored) if stored is not None else None
            new = decode(value) if value is not None else None
            self.index.change(key, index_entry(old), index_entry(new))
        complete_as_of_ms = self._journal.page.complete_as_of_ms
        self._write(Changes(list(documents.items()), self.index.take_changes()), offset, complete_as_of_ms)

    def restored(self) -> None:
        """Notes that the store is complete up to the changelog's end: from now on no tombstone can be missed."""
        self._note_complete()

    def note_if_complete(self) -> None:
        """Notes from time to time that the store is still complete, though nothing changes in its partition.

        Not if the last note is old: then this process was suspended, and may have lost the partition.
        """
        if time.monotonic() - self._complete_noted_at > _NOTE_COMPLETE_SECONDS and not is_old(
            self._journal.page.complete_as_of_ms, _STALLED_SECONDS
        ):
            self._note_complete()

    def close(self) -> None:
        """Closes the database. A write that the disk no longer takes is in the changelog."""
        try:
            with translating_errors(self.folder):
                self._db.close()
        except EngineStopped as error:
            log.warning("local state was not closed cleanly", extra={"reason": str(error)})
            del self._db  # releases the lock all the same

    def _waits_for(self, key: bytes, step: str) -> bool:
        progress = self.get(key)
        return progress is not None and isinstance(
            active_step(getattr(progress.state, "active_steps", ()), step), Queued
        )

    def _write(self, changes: Changes, offset: int, complete_as_of_ms: int) -> None:
        documents, index = changes.documents, changes.index
        size = sum(len(value) for _, value in documents if value is not None)
        records = len(documents) + len(index.puts) + len(index.deletes)
        writes: list[Write] = [*documents, *((key, b"") for key in index.puts), *((key, None) for key in index.deletes)]
        writes.append((_COUNTS, index.counts))
        writes += self._journal.note(size, records, offset, complete_as_of_ms)
        put = filled(writes)

        def fill(batch: WriteBatch) -> None:
            put(batch)
            if index.passed > FIRST_DUE:
                batch.delete_range(FIRST_DUE, index.passed)

        with translating_errors(self.folder):
            write(self._db, fill)

    def _note_complete(self) -> None:
        self._complete_noted_at = time.monotonic()
        with translating_errors(self.folder):
            write(self._db, filled(self._journal.note(0, 1, self.offset, now_ms())))

    def _read(self, key: bytes) -> bytes | None:
        try:
            return cast("bytes | None", self._db.get(key))
        except Exception:  # entering `translating_errors` for each of a million reads would take longer than the reads
            with translating_errors(self.folder):
                raise

    def _scan(self, start: bytes, end: bytes) -> Iterator[bytes]:
        with translating_errors(self.folder):
            yield from scan(self._db, start, end)

    def _load(self, key: bytes) -> _CacheEntry:
        value = self._read(key)
        entry = _CacheEntry(decode(value) if value is not None else None)
        self._resize(entry, len(value) if value is not None else 0)
        return entry

    def _resize(self, entry: _CacheEntry, document_bytes: int) -> None:
        size = _ENTRY_BYTES + _BYTES_PER_DOCUMENT_BYTE * document_bytes
        self._cached_bytes += size - entry.size
        entry.size = size

    def _evict(self) -> None:
        """Drops least recently used sagas, except those that are not saved yet."""
        excess, old = self._cached_bytes - self._max_bytes, []
        for key, entry in self._cache.items() if excess > 0 else ():
            if key not in self._changed:
                old.append(key)
                excess -= entry.size
                if excess <= 0:
                    break
        for key in old:
            self._cached_bytes -= self._cache.pop(key).size
