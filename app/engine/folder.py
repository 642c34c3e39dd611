"""The folder of one partition's state on disk: opened as it is, or made anew where it can't be relied on."""

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

from rocksdict import BlockBasedOptions, Options, Rdict

from app.engine.errors import Ended, Refused
from app.engine.pages import PAGES, Pages
from app.engine.writes import filled, write

log = logging.getLogger(__name__)

OLD_SECONDS = 6 * 3600.0
"""Half of what the changelog must keep deletions for: what is older is made anew from it."""

_CHANGELOG = b"\x00changelog-id"
_LAYOUT = "3"  # of what is kept beside the sagas
_WRITE_BUFFER_BYTES = 8 << 20
_BROKEN = "BROKEN"  # a file of this name in the folder: what is there can't be read
_ADVICE = {
    "No space left on device": "make room there, or set SAGA_STATE_DIR to a folder with more",
    "File too large": "let this process write larger files (ulimit -f)",
    "Disk quota exceeded": "make room there, or set SAGA_STATE_DIR to a folder with more",
    "Read-only file system": "make it writable, or set SAGA_STATE_DIR to a folder that is",
    "Permission denied": "let this process write there, or set SAGA_STATE_DIR to a folder of its own",
    "Operation not permitted": "let this process write there, or set SAGA_STATE_DIR to a folder of its own",
    "Too many open files": "let this process open more files (ulimit -n)",
    "Resource temporarily unavailable": "is another process using it?",
    "Write stall": "it is full, or too slow for what is to be kept",
    "No locks available": "is another process using it?",
}


class BrokenStore(Refused):
    """The folder can't be used as it is; the message says what to do."""


class SpoiledStore(Ended):
    """What is on disk can't be relied on any more: it is made anew at the next start."""


class _Useless(Exception):
    """What is there can't be used, and why."""


def opened(folder: Path, changelog: str) -> tuple[Rdict, Pages]:
    """The store with what it has of this changelog, or an empty one when that can't be used. Raises BrokenStore."""
    make_folder(folder)
    identity = f"{_LAYOUT} {changelog}".encode()
    with told(folder):
        if any(folder.iterdir()):
            try:
                return _found(folder, identity)
            except _Useless as why:
                log.warning("local state is made anew", extra={"folder": str(folder), "why": str(why)})
        return _anew(folder, identity)


def now_ms() -> int:
    """Milliseconds since 1970, by the wall clock."""
    return time.time_ns() // 1_000_000


def is_late(whole_ms: int, seconds: float = OLD_SECONDS) -> bool:
    """Whether that was so long ago that the changelog may have lost since what was deleted; so may a time to come."""
    return abs(now_ms() - whole_ms) > seconds * 1000


def scan(db: Rdict, start: bytes, end: bytes) -> Iterator[bytes]:
    """The keys from one up to another. Raises what RocksDB raises."""
    at = db.iter()
    at.seek(start)
    while at.valid() and (key := cast("bytes", at.key())) < end:
        yield key
        at.next()
    at.status()  # an iteration that meets a broken block just ends


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Says what keeps a folder from being used. Raises BrokenStore, or SpoiledStore."""
    try:
        yield
    except Exception as error:
        if type(error) is not Exception and not isinstance(error, OSError):  # rocksdict raises nothing narrower
            raise
        if is_broken(error):
            raise spoil(folder, str(error)) from error
        advice = next((advice for what, advice in _ADVICE.items() if what in str(error)), "look at its disk")
        raise BrokenStore(f"the state in {folder} can't be used ({error}): {advice}") from error


def spoil(folder: Path, why: str) -> SpoiledStore:
    """Notes that what is there can't be relied on; the error to be raised."""
    with suppress(OSError):  # where that can't be noted, or all is gone, the next life finds out by itself
        (folder / _BROKEN).touch()
    return SpoiledStore(f"the state in {folder} can't be relied on, and is made anew at the next start: {why}")


def make_folder(folder: Path) -> None:
    """Makes a folder for state, unless it is there. Raises BrokenStore."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BrokenStore(
            f"make {folder} writable, or set SAGA_STATE_DIR to a folder that is: {error.strerror}"
        ) from error


def is_broken(error: Exception) -> bool:
    """Whether RocksDB says that its files are."""
    return str(error).startswith("Corruption") or "No such file" in str(error)


def _found(folder: Path, identity: bytes) -> tuple[Rdict, Pages]:
    """What is there, with a page begun. Raises _Useless, or what RocksDB raises."""
    if (folder / _BROKEN).exists():
        raise _Useless("it was found to be broken")
    try:
        with _unless_it_fails(Rdict(str(folder), _options())) as db:
            pages = _pages(db, identity)
            write(db, filled(pages.begin()))
            return db, pages
    except Exception as error:  # rocksdict raises nothing narrower
        if is_broken(error):
            raise _Useless(str(error)) from error
        raise


def _pages(db: Rdict, identity: bytes) -> Pages:
    """The pages of a store of this identity. Raises _Useless when it is another one's, too old, or lacks something."""
    if db.get(_CHANGELOG) != identity:
        raise _Useless("it is that of another changelog, another partition or another version")
    pages = Pages.read(list(scan(db, *PAGES)), db.get)
    if pages is None:
        raise _Useless("writes are missing in the middle, as in a copy of a store in use")
    if is_late(pages.page.whole_ms):
        raise _Useless("it was not kept up to date for so long that the changelog may have lost deletions")
    return pages


def _anew(folder: Path, identity: bytes) -> tuple[Rdict, Pages]:
    shutil.rmtree(folder)
    with _unless_it_fails(Rdict(str(folder), _options())) as db:
        pages = Pages.none(now_ms())
        write(db, filled([(_CHANGELOG, identity), *pages.begin()]))
        return db, pages


@contextmanager
def _unless_it_fails(db: Rdict) -> Iterator[Rdict]:
    """A store that is given back to who goes on with it."""
    try:
        yield db
    except Exception:
        with suppress(Exception):  # what was raised first tells more
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
