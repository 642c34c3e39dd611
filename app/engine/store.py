"""The state of one partition: RocksDB on disk, what was used last in memory, and how much of the changelog is in it."""

import logging
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

from rocksdict import WriteBatch

from app.engine.errors import Stopped
from app.engine.folder import OLD_SECONDS, is_late, now_ms, opened, scan, spoil, told
from app.engine.gate import Gate
from app.engine.index import FIRST_DUE, NO_MARKS, Index, Written, marks_of
from app.engine.timers import Timers
from app.engine.writes import Write, filled, write
from app.saga.facts import fact
from app.saga.state import Progress, Waiting, due_ms, leg_of
from app.wire.statedoc import decode, encode

log = logging.getLogger(__name__)

# No order id has a NUL byte, so no saga's key can be taken for one of these, or for one of the index.
_COUNTS = b"\x00counts"

_BARE_BYTES, _TIMES_DOCUMENT = 200, 5  # what a saga takes in memory, about, from the length of its document

_NOTE_SECONDS = 60.0
_STOOD_SECONDS = OLD_SECONDS / 2

Document = tuple[bytes, bytes | None]
"""A key and the document of its saga; None: it is forgotten."""


@fact
class Changes:
    """What changed in a partition since the last time, and what goes to disk with it."""

    documents: list[Document]
    index: Written

    def __bool__(self) -> bool:
        """Whether there is anything to save."""
        return bool(self.documents or self.index.deletes or self.index.passed > FIRST_DUE)


class _Kept:
    """What is in memory of a key: its saga, its marks as last counted, and how many bytes it takes, about."""

    __slots__ = ("marks", "progress", "weight")

    def __init__(self, progress: Progress | None) -> None:
        self.progress = progress
        self.marks = marks_of(progress)
        self.weight = 0


class PartitionStore:
    """State by key (order id). What is set counts at once in memory, on disk once it was committed and saved.

    `changelog` is the identity of the partition that has it all: what is there of another one, or broken, is made anew.
    `room` is how many bytes of memory saved sagas may take, `limit` how many commands of a step may be outstanding.
    """

    def __init__(self, folder: Path, changelog: str, room: int, limit: int) -> None:
        self.folder = folder
        self.due_ms: int | None = None  # when somebody is due next, as last looked at
        self._room = room
        self._cache: dict[bytes, _Kept] = {}  # what was used longest ago first
        self._weight = 0  # of all of it
        self._changed: dict[bytes, _Kept] = {}  # what was set since the last changes
        self._noted = time.monotonic()  # when it was last noted that nothing is missing
        self._db, self._pages = opened(folder, changelog)
        self.index = Index(self._scan)
        counts = self._read(_COUNTS)
        if counts is not None:
            self.index.load(counts)
        self.gate = Gate(limit, self.index.census.asked, self.index.census.waiting)

    @property
    def offset(self) -> int:
        """The changelog's offset from which on records may be missing here; 0 for an empty store."""
        return self._pages.page.offset

    def get(self, key: bytes) -> Progress | None:
        """The saga of that key, with what was set but not saved yet."""
        kept = self._cache.get(key)
        if kept is None:
            kept = self._cache[key] = self._load(key)
        return kept.progress

    def set(self, key: bytes, progress: Progress | None) -> None:
        """Puts a saga, or with None forgets it; the next `changes` has it."""
        kept = self._cache.pop(key, None)  # so that the cache is in the order of last use
        if kept is None:
            kept = self._load(key)
        kept.progress = progress
        self._cache[key] = self._changed[key] = kept

    @property
    def timers(self) -> Timers:
        """Who waits for the time, soon."""
        return self.index.timers

    def next_ms(self) -> int:
        """When (ms since 1970) somebody is due, is let in, or the next due times are to be looked at; may be past."""
        times = (self.timers.next_ms(), self.gate.next_ms(), self.timers.until_ms)
        return min(time for time in times if time is not None)

    def look_ahead(self, now_ms: int) -> None:
        """Watches the next due times; only while all that was changed is saved."""
        self.index.look_ahead(now_ms)
        self.timers.settle(now_ms)
        self.due_ms = self.timers.next_ms()
        self._shrink()

    def due(self, until_ms: int, most: int) -> Iterator[tuple[int, bytes]]:
        """The (due time, key) that are due by then, the earliest first; each must be seen to at once.

        Up to so many are looked at: some may be overtaken.
        """
        timers = self.timers
        for _ in range(most):
            taken = timers.take(until_ms)
            if taken is None:
                return
            due, key = taken
            progress = self.get(key)
            really = due_ms(progress.state) if progress is not None else None
            if really == due:
                yield due, key
            else:
                timers.note(key, really)

    def let_in(self, now_ms: int, most: int) -> Iterator[tuple[str, bytes]]:
        """The (step, key) that waited for room, which there is now, the first in the queue first.

        Up to so many tickets of each step are looked at: those whose owners wait no more take no room.
        """
        for step, free in self.gate.open(now_ms).items():
            counted = looked_at = 0  # who stopped waiting in this batch is counted still
            while counted < free and looked_at < most and (key := self.index.next_in_queue(step)) is not None:
                looked_at += 1
                if self._waits(key, step):
                    counted += 1
                    yield step, key
                elif key in self._changed:
                    counted += 1
            if counted < free and looked_at < most:
                raise spoil(self.folder, f"{free - counted} sagas more should wait for {step}")

    def changes(self) -> Changes:
        """What was set since the last time: one document for each key, in the order of the first set."""
        documents: list[Document] = []
        for key, kept in self._changed.items():
            was, kept.marks = kept.marks, marks_of(kept.progress)
            self.index.change(key, was, kept.marks)
            if kept.progress is not None:
                document = encode(kept.progress)
                documents.append((key, document))
                self._weigh(kept, len(document))
            elif was is not NO_MARKS:
                documents.append((key, None))
                self._weigh(kept, 0)
        self._shrink()
        self._changed.clear()
        self.gate.counted()
        return Changes(documents, self.index.changes())

    def save(self, changes: Changes, offset: int) -> None:
        """Writes committed changes to disk, with the changelog's offset behind the last of them. Raises Stopped."""
        self._write(changes, offset, now_ms())

    def restore(self, changed: Iterable[Document], offset: int) -> None:
        """Takes in what the changelog has; only before the store is used. Raises ValueError for what is no saga."""
        documents = dict(changed)
        for key, value in documents.items():
            there = self._read(key)
            old = decode(there) if there is not None else None
            new = decode(value) if value is not None else None
            self.index.change(key, marks_of(old), marks_of(new))
        self._write(Changes(list(documents.items()), self.index.changes()), offset, self._pages.page.whole_ms)

    def restored(self) -> None:
        """Notes that nothing is missing up to the changelog's end: what is deleted there from now on will be seen."""
        self._note_whole()

    def watch(self) -> None:
        """Notes the same every now and then, for an owner to whose partition nothing happens.

        Not when the last time was long ago: this process stood still, and may be the owner no more.
        """
        if time.monotonic() - self._noted > _NOTE_SECONDS and not is_late(self._pages.page.whole_ms, _STOOD_SECONDS):
            self._note_whole()

    def close(self) -> None:
        """Lets go of the folder. What the disk does not take any more is in the changelog."""
        try:
            with told(self.folder):
                self._db.close()
        except Stopped as error:
            log.warning("local state was not closed in order", extra={"why": str(error)})
            del self._db  # which lets go all the same

    def _waits(self, key: bytes, step: str) -> bool:
        progress = self.get(key)
        return progress is not None and isinstance(leg_of(getattr(progress.state, "legs", ()), step), Waiting)

    def _write(self, changes: Changes, offset: int, whole_ms: int) -> None:
        documents, index = changes.documents, changes.index
        size = sum(len(value) for _, value in documents if value is not None)
        records = len(documents) + len(index.puts) + len(index.deletes)
        writes: list[Write] = [*documents, *((key, b"") for key in index.puts), *((key, None) for key in index.deletes)]
        writes.append((_COUNTS, index.counts))
        writes += self._pages.note(size, records, offset, whole_ms)
        put = filled(writes)

        def fill(batch: WriteBatch) -> None:
            put(batch)
            if index.passed > FIRST_DUE:
                batch.delete_range(FIRST_DUE, index.passed)

        with told(self.folder):
            write(self._db, fill)

    def _note_whole(self) -> None:
        self._noted = time.monotonic()
        with told(self.folder):
            write(self._db, filled(self._pages.note(0, 1, self.offset, now_ms())))

    def _read(self, key: bytes) -> bytes | None:
        try:
            return cast("bytes | None", self._db.get(key))
        except Exception:  # to enter `told` for each of a million reads takes longer than they do
            with told(self.folder):
                raise

    def _scan(self, start: bytes, end: bytes) -> Iterator[bytes]:
        with told(self.folder):
            yield from scan(self._db, start, end)

    def _load(self, key: bytes) -> _Kept:
        value = self._read(key)
        kept = _Kept(decode(value) if value is not None else None)
        self._weigh(kept, len(value) if value is not None else 0)
        return kept

    def _weigh(self, kept: _Kept, length: int) -> None:
        weight = _BARE_BYTES + _TIMES_DOCUMENT * length
        self._weight += weight - kept.weight
        kept.weight = weight

    def _shrink(self) -> None:
        """Lets go of what was used longest ago, and is saved or about to be."""
        excess, old = self._weight - self._room, []
        for key, kept in self._cache.items() if excess > 0 else ():
            if key not in self._changed:
                old.append(key)
                excess -= kept.weight
                if excess <= 0:
                    break
        for key in old:
            self._weight -= self._cache.pop(key).weight
