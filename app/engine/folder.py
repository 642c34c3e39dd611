"""The folder of one partition's state on disk: opened as it is, or made anew where it can't be relied on."""

import logging
import shutil
import time
from contextlib import suppress
from pathlib import Path

from rocksdict import BlockBasedOptions, Options, Rdict

from app.engine.errors import Ended, Refused

log = logging.getLogger(__name__)

OLD_SECONDS = 6 * 3600.0
"""Half of what the changelog must keep deletions for: what is older is made anew from it."""

SEEN = b"\x00seen-at"
"""Under this key: when (seconds since 1970) all was there that the changelog had. Copies have it as it was, while their
files are as new as the copying."""

_CHANGELOG = b"\x00changelog-id"
_LAYOUT = "3"  # of what is kept beside the sagas
_WRITE_BUFFER_BYTES = 16 << 20
_BROKEN = "BROKEN"  # a file of this name in the folder: what is there can't be read


class BrokenStore(Refused):
    """The folder can't be used as it is; the message says what to do."""


class SpoiledStore(Ended):
    """What is on disk can't be relied on any more: it is made anew at the next start."""


class UnwritableStore(Ended):
    """What was committed can't be written here, but is in the changelog; the message says what to do."""


def opened(folder: Path, changelog: str) -> Rdict:
    """The store with what it has of this changelog, or an empty one when that can't be used. Raises BrokenStore.

    The folder's name is the partition's number.
    """
    there, identity = folder.exists(), f"{_LAYOUT} {changelog} {folder.name}".encode()
    db = None if (folder / _BROKEN).exists() else _open(folder)
    if db is not None:
        if _is_of(db, identity):
            return db
        db.close()
    if there:
        log.warning("local state can't be used, and is made anew", extra={"folder": str(folder)})
    return _made(folder, identity)


def _made(folder: Path, identity: bytes) -> Rdict:
    try:
        shutil.rmtree(folder)
        made = Rdict(str(folder), _options())
        made.put(_CHANGELOG, identity)
        made.put(SEEN, now())
    except Exception as error:  # rocksdict raises nothing narrower
        raise _unusable(folder, error) from error
    return made


def now() -> bytes:
    """The present time, as it is kept under SEEN."""
    return b"%d" % time.time()


def spoil(folder: Path, why: str) -> SpoiledStore:
    """Notes that what is there can't be relied on; the error to be raised."""
    with suppress(OSError):  # then it is gone, or found broken again
        (folder / _BROKEN).touch()
    return SpoiledStore(f"the state in {folder} can't be relied on, and is made anew at the next start: {why}")


def unwritten(folder: Path, error: Exception) -> Ended:
    """The error to be raised when a write failed."""
    if is_broken(error):
        return spoil(folder, str(error))
    return UnwritableStore(
        f"the state in {folder} can't be written ({error}): make room on its disk, or set SAGA_STATE_DIR to another "
        "one; what was committed is safe"
    )


def _is_of(db: Rdict, identity: bytes) -> bool:
    """Whether it belongs here, and is so new that the changelog can't have lost what was deleted since."""
    try:
        seen = int(db.get(SEEN) or 0)
        return bool(db.get(_CHANGELOG) == identity) and abs(time.time() - seen) < OLD_SECONDS
    except Exception as error:  # rocksdict raises nothing narrower
        if not is_broken(error):
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
        if is_broken(error):
            return None
        raise _unusable(folder, error) from error


def _unusable(folder: Path, error: Exception) -> BrokenStore:
    what = f"the state in {folder} can't be opened ({error})"
    if "lock" in str(error):
        return BrokenStore(f"{what}; is another process using it?")
    return BrokenStore(f"{what}: see that its disk has room and can be written, or set SAGA_STATE_DIR to another one")


def is_broken(error: Exception) -> bool:
    """Whether RocksDB says that its files are."""
    return str(error).startswith("Corruption") or "No such file" in str(error)


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
    table = BlockBasedOptions()
    table.set_bloom_filter(10, block_based=False)
    options.set_block_based_table_factory(table)
    return options
