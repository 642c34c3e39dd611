"""The state of one partition: RocksDB on disk, what was used last in memory, and how much of the changelog is in it."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from rocksdict import BlockBasedOptions, Options, Rdict, WriteBatch

from app.engine.errors import Refused
from app.engine.timers import Timers
from app.saga.state import Progress, due_ms
from app.wire.statedoc import decode, encode

# No order id has a NUL byte, so no saga's key can be taken for this one.
_OFFSET = b"\x00changelog-offset"
_WRITE_BUFFER_BYTES = 16 << 20
_DUE = b'"due_ms":'


class BrokenStore(Refused):
    """The folder can't be used as it is; the message says what to do."""


class PartitionStore:
    """State by key (order id). What is set counts at once in memory, on disk once it was committed and saved."""

    def __init__(self, folder: Path, cached: int) -> None:
        self.folder = folder
        self.timers = Timers()
        self._cached = cached
        self._cache: dict[bytes, Progress] = {}
        self._dirty: dict[bytes, Progress] = {}
        self._db = _open(folder)
        for key, value in cast("Iterable[tuple[bytes, bytes]]", self._db.items()):
            if _DUE in value:
                self._note_due(key, decode(value))

    @property
    def offset(self) -> int:
        """The changelog's offset from which on records may be missing here; 0 for an empty store."""
        value = self._db.get(_OFFSET)
        return int(value) if value is not None else 0

    def get(self, key: bytes) -> Progress | None:
        """The saga of that key, with what was set but not saved yet."""
        found = self._cache.get(key)
        if found is None:
            value = self._db.get(key)
            if value is None:
                return None
            found = self._cache[key] = decode(value)
        return found

    def set(self, key: bytes, progress: Progress) -> None:
        """Puts a saga; the next `changes` has it."""
        self._cache.pop(key, None)  # so that the cache is in the order of last use
        self._cache[key] = self._dirty[key] = progress

    def due(self, now_ms: int, most: int) -> list[tuple[int, bytes]]:
        """Up to so many (due time, key) that are due by now and still wait for just that time, the earliest first."""
        return [(due, key) for due, key in self.timers.take(now_ms, most) if self._waits_for(key) == due]

    def changes(self) -> list[tuple[bytes, bytes]]:
        """What was set since the last time: one (key, document) for each key, in the order of the first set."""
        changed = [(key, encode(progress)) for key, progress in self._dirty.items()]
        for key, progress in self._dirty.items():
            self._note_due(key, progress)
        self._dirty.clear()
        return changed

    def save(self, changed: Iterable[tuple[bytes, bytes | None]], offset: int) -> None:
        """Writes committed changes to disk, with the changelog's offset behind the last of them. None deletes."""
        batch = WriteBatch(raw_mode=True)
        for key, value in changed:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(_OFFSET, b"%d" % offset)
        self._db.write(batch)
        self._shrink()

    def restore(self, changed: list[tuple[bytes, bytes | None]], offset: int) -> None:
        """Takes in what the changelog has; only before the store is used."""
        self.save(changed, offset)
        for key, value in changed:
            if value is not None and _DUE in value:
                self._note_due(key, decode(value))

    def close(self) -> None:
        """Lets go of the folder."""
        self._db.close()

    def _waits_for(self, key: bytes) -> int | None:
        progress = self.get(key)
        return None if progress is None else due_ms(progress.state)

    def _note_due(self, key: bytes, progress: Progress) -> None:
        due = due_ms(progress.state)
        if due is not None:
            self.timers.add(due, key)

    def _shrink(self) -> None:
        excess = len(self._cache) - self._cached
        if excess > 0:
            for key in [key for key, _ in zip(self._cache, range(excess), strict=False)]:
                if key not in self._dirty:
                    del self._cache[key]


def _open(folder: Path) -> Rdict:
    """Opens or makes the store. What is broken is made anew: the changelog has it all."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return Rdict(str(folder), _options())
    except OSError as error:
        raise BrokenStore(
            f"make {folder} writable, or set SAGA_STATE_DIR to a folder that is: {error.strerror}"
        ) from error
    except Exception as error:  # rocksdict raises nothing narrower
        if not str(error).startswith("Corruption"):
            raise BrokenStore(
                f"the state in {folder} can't be opened ({error}); is another process using it?"
            ) from error
        shutil.rmtree(folder)
        return Rdict(str(folder), _options())


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
    table = BlockBasedOptions()
    table.set_bloom_filter(10, block_based=False)
    options.set_block_based_table_factory(table)
    return options
