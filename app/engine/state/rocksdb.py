"""The folder with one partition's state: opened as it is, or rebuilt when it is outdated, corrupt or another's."""

import logging
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

from rocksdict import BlockBasedOptions, Options, Rdict, WriteBatch, WriteOptions

from app.engine.errors import NeedsOperator, NeedsRestart
from app.engine.policy import OLD_SECONDS
from app.engine.state.save_journal import JOURNAL_KEYS, SaveJournal, Write

log = logging.getLogger(__name__)

Fill = Callable[[WriteBatch], None]

_PATIENCE_SECONDS = 30.0
_PAUSE_SECONDS = 0.005
_WRITE_STALL = "Write stall"

_CHANGELOG = b"\x00changelog-id"
_LAYOUT = "4"  # of everything that is stored beside the sagas
_WRITE_BUFFER_BYTES = 8 << 20
_CORRUPT_MARKER = "BROKEN"  # a file of this name in the folder: its state was found to be corrupt
_ADVICE = {
    "No space left on device": "make room there, or set SAGA_STATE_DIR to a folder with more",
    "File too large": "let this process write larger files (ulimit -f)",
    "Disk quota exceeded": "make room there, or set SAGA_STATE_DIR to a folder with more",
    "Read-only file system": "make it writable, or set SAGA_STATE_DIR to a folder that is",
    "Permission denied": "let this process write there, or set SAGA_STATE_DIR to a folder of its own",
    "Operation not permitted": "let this process write there, or set SAGA_STATE_DIR to a folder of its own",
    "Too many open files": "let this process open more files (ulimit -n)",
    "Resource temporarily unavailable": "is another process using it?",
    "Write stall": "the disk is full, or too slow",
    "No locks available": "is another process using it?",
}


class UnusableStore(NeedsOperator):
    """The folder can't be used as it is; the message says what to do."""


class CorruptStore(NeedsRestart):
    """The state on disk is corrupt: it is rebuilt at the next start."""


class _Unusable(Exception):
    """The state that was found can't be used; the message says why."""


def open_store(folder: Path, changelog: str) -> tuple[Rdict, SaveJournal]:
    """Opens the store with its state of this changelog, or an empty one if that can't be used. Raises UnusableStore."""
    make_folder(folder)
    identity = f"{_LAYOUT} {changelog}".encode()
    with translating_errors(folder):
        if any(folder.iterdir()):
            try:
                return _open_existing(folder, identity)
            except _Unusable as reason:
                log.warning("local state is rebuilt", extra={"folder": str(folder), "reason": str(reason)})
        return _rebuild(folder, identity)


def now_ms() -> int:
    """Milliseconds since 1970, by the wall clock."""
    return time.time_ns() // 1_000_000


def is_old(complete_as_of_ms: int, seconds: float = OLD_SECONDS) -> bool:
    """Whether the changelog may have dropped tombstones since that time; a time in the future is as unreliable."""
    return abs(now_ms() - complete_as_of_ms) > seconds * 1000


def scan(db: Rdict, start: bytes, end: bytes) -> Iterator[bytes]:
    """The keys from `start` up to, but without, `end`. Raises RocksDB's own errors."""
    keys = db.iter()
    keys.seek(start)
    while keys.valid() and (key := cast("bytes", keys.key())) < end:
        yield key
        keys.next()
    keys.status()  # an iteration that meets a corrupt block just ends


@contextmanager
def translating_errors(folder: Path) -> Iterator[None]:
    """Raises CorruptStore or UnusableStore, with what to do, for RocksDB's errors in the block."""
    try:
        yield
    except Exception as error:
        if type(error) is not Exception and not isinstance(error, OSError):  # rocksdict raises nothing narrower
            raise
        if is_corruption(error):
            raise mark_corrupt(folder, str(error)) from error
        advice = next((advice for symptom, advice in _ADVICE.items() if symptom in str(error)), "look at its disk")
        raise UnusableStore(f"the state in {folder} can't be used ({error}): {advice}") from error


def mark_corrupt(folder: Path, reason: str) -> CorruptStore:
    """Marks the folder as corrupt; returns the error to raise."""
    with suppress(OSError):  # if that fails, or the folder is gone, the next start finds out by itself
        (folder / _CORRUPT_MARKER).touch()
    return CorruptStore(f"the state in {folder} is corrupt, and the next start rebuilds it: {reason}")


def make_folder(folder: Path) -> None:
    """Creates a folder for state if it is missing. Raises UnusableStore."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnusableStore(
            f"make {folder} writable, or set SAGA_STATE_DIR to a folder that is: {error.strerror}"
        ) from error


def is_corruption(error: Exception) -> bool:
    """Whether RocksDB reports corrupt or missing files."""
    return str(error).startswith("Corruption") or "No such file" in str(error)


def _open_existing(folder: Path, identity: bytes) -> tuple[Rdict, SaveJournal]:
    """Opens the state that is there, and begins a page of its journal. Raises _Unusable, or RocksDB's own errors."""
    if (folder / _CORRUPT_MARKER).exists():
        raise _Unusable("it is marked as corrupt")
    try:
        with _closed_on_error(Rdict(str(folder), _options())) as db:
            journal = _read_journal(db, identity)
            write(db, filled(journal.begin()))
            return db, journal
    except Exception as error:  # rocksdict raises nothing narrower
        if is_corruption(error):
            raise _Unusable(str(error)) from error
        raise


def _read_journal(db: Rdict, identity: bytes) -> SaveJournal:
    """The journal of the store. Raises _Unusable if the store is another's, outdated, or incomplete."""
    if db.get(_CHANGELOG) != identity:
        raise _Unusable("it belongs to another changelog, another partition or another version")
    journal = SaveJournal.read(list(scan(db, *JOURNAL_KEYS)), db.get)
    if journal is None:
        raise _Unusable("writes are missing in the middle, as in a copy of a store in use")
    if is_old(journal.page.complete_as_of_ms):
        raise _Unusable("it is so old that the changelog may have dropped tombstones since")
    return journal


def _rebuild(folder: Path, identity: bytes) -> tuple[Rdict, SaveJournal]:
    shutil.rmtree(folder)
    with _closed_on_error(Rdict(str(folder), _options())) as db:
        journal = SaveJournal.empty(now_ms())
        write(db, filled([(_CHANGELOG, identity), *journal.begin()]))
        return db, journal


@contextmanager
def _closed_on_error(db: Rdict) -> Iterator[Rdict]:
    """Closes the store if the block fails."""
    try:
        yield db
    except Exception:
        with suppress(Exception):  # the first error says more
            db.close()
        raise


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
    table = BlockBasedOptions()
    table.set_bloom_filter(10, block_based=False)
    options.set_block_based_table_factory(table)
    return options


def write(db: Rdict, fill: Fill) -> None:
    """Writes a batch, which `fill` may have to fill more than once. Raises RocksDB's own errors.

    Retries while RocksDB stalls writes. Its own wait would have no end: on a full disk, files are never written.
    """
    end = time.monotonic() + _PATIENCE_SECONDS
    no_wait = WriteOptions()
    no_wait.no_slowdown = True
    while True:
        batch = WriteBatch(raw_mode=True)
        fill(batch)
        try:
            db.write(batch, no_wait)
        except Exception as error:
            if _WRITE_STALL not in str(error) or time.monotonic() > end:
                raise
        else:
            return
        time.sleep(_PAUSE_SECONDS)


def filled(writes: Sequence[Write]) -> Fill:
    """A `fill` for `write`: puts these into the batch."""

    def fill(batch: WriteBatch) -> None:
        for key, value in writes:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)

    return fill
