"""The state of one partition: RocksDB on disk, what was used last in memory, and how much of the changelog is in it."""

import logging
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from rocksdict import BlockBasedOptions, Options, Rdict, WriteBatch

from app.engine.errors import Refused
from app.engine.timers import Timers
from app.saga.state import Progress, due_ms
from app.wire.statedoc import decode, encode

log = logging.getLogger(__name__)

# No order id has a NUL byte, so no saga's key can be taken for one of these.
_OFFSET = b"\x00changelog-offset"
_CHANGELOG = b"\x00changelog-id"
_WRITE_BUFFER_BYTES = 16 << 20
_DUE = b'"due_ms":'


class BrokenStore(Refused):
    """The folder can't be used as it is; the message says what to do."""


class PartitionStore:
    """State by key (order id). What is set counts at once in memory, on disk once it was committed and saved.

    `changelog` is the identity of the topic that has it all: what is there of another topic, or broken, is made anew.
    """

    def __init__(self, folder: Path, changelog: str, cached: int) -> None:
        self.folder = folder
        self.timers = Timers()
        self._cached = cached
        self._cache: dict[bytes, Progress] = {}
        self._dirty: dict[bytes, Progress] = {}
        self._db = self._opened(changelog.encode())

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
        self.timers.note(key, due_ms(progress.state))

    def changes(self) -> list[tuple[bytes, bytes]]:
        """What was set since the last time: one (key, document) for each key, in the order of the first set."""
        changed = [(key, encode(progress)) for key, progress in self._dirty.items()]
        self._shrink()
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

    def restore(self, changed: list[tuple[bytes, bytes | None]], offset: int) -> None:
        """Takes in what the changelog has; only before the store is used."""
        self.save(changed, offset)
        for key, value in changed:
            self._note(key, value)

    def close(self) -> None:
        """Lets go of the folder."""
        self._db.close()

    def _note(self, key: bytes, value: bytes | None) -> None:
        waits = value is not None and _DUE in value
        self.timers.note(key, due_ms(decode(value).state) if value is not None and waits else None)

    def _shrink(self) -> None:
        excess = len(self._cache) - self._cached
        if excess > 0:
            for key in [key for key, _ in zip(self._cache, range(excess), strict=False)]:
                if key not in self._dirty:
                    del self._cache[key]

    def _opened(self, changelog: bytes) -> Rdict:
        """The store with what it has, or an empty one when that can't be used."""
        there = self.folder.exists()
        db = _open(self.folder)
        if db is not None and self._is_of(db, changelog):
            return db
        if db is not None:
            db.close()
        if there:
            log.warning("local state can't be used, and is made anew", extra={"folder": str(self.folder)})
        shutil.rmtree(self.folder)
        self.timers = Timers()
        made = Rdict(str(self.folder), _options())
        made.put(_CHANGELOG, changelog)
        return made

    def _is_of(self, db: Rdict, changelog: bytes) -> bool:
        """Notes who waits for the time; False when not all can be read, or when it is another changelog's."""
        at = db.iter()
        at.seek_to_first()
        try:
            if db.get(_CHANGELOG) != changelog:
                return False
            while at.valid():
                value = cast("bytes", at.value())
                if _DUE in value:
                    self._note(cast("bytes", at.key()), value)
                at.next()
            at.status()  # an iteration that meets a broken block just ends
        except Exception as error:  # rocksdict raises nothing narrower
            if not _is_broken(error):
                raise
            return False
        return True


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
