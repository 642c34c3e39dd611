"""The folder of one partition's state on disk: opened as it is, or made anew where it can't be relied on."""

import logging
import shutil
import time
from pathlib import Path

from rocksdict import BlockBasedOptions, Options, Rdict

from app.engine.errors import Ended, Refused

log = logging.getLogger(__name__)

OLD_SECONDS = 6 * 3600.0
"""Half of what the changelog must keep deletions for: what is older is made anew from it."""

_CHANGELOG = b"\x00changelog-id"
_LAYOUT = "2"  # of what is kept beside the sagas
_WRITE_BUFFER_BYTES = 16 << 20
_BROKEN = "BROKEN"  # a file of this name in the folder: what is there can't be read


class BrokenStore(Refused):
    """The folder can't be used as it is; the message says what to do."""


class SpoiledStore(Ended):
    """What is on disk can't be relied on any more: it is made anew at the next start."""


def opened(folder: Path, changelog: str) -> Rdict:
    """The store with what it has of this changelog, or an empty one when that can't be used. Raises BrokenStore."""
    there, identity = folder.exists(), f"{_LAYOUT} {changelog}".encode()
    db = None if (folder / _BROKEN).exists() or _is_old(folder) else _open(folder)
    if db is not None:
        if _is_of(db, identity):
            return db
        db.close()
    if there:
        log.warning("local state can't be used, and is made anew", extra={"folder": str(folder)})
    shutil.rmtree(folder)
    made = Rdict(str(folder), _options())
    made.put(_CHANGELOG, identity)
    return made


def spoil(folder: Path, why: str) -> SpoiledStore:
    """Notes that what is there can't be relied on; the error to be raised."""
    (folder / _BROKEN).touch()
    return SpoiledStore(f"the state in {folder} can't be relied on, and is made anew at the next start: {why}")


def _is_old(folder: Path) -> bool:
    """Whether nobody had it open for so long that the changelog may have lost what was deleted meanwhile."""
    written = [file.stat().st_mtime for file in folder.glob("*")]
    return bool(written) and time.time() - max(written) > OLD_SECONDS


def _is_of(db: Rdict, changelog: bytes) -> bool:
    try:
        return bool(db.get(_CHANGELOG) == changelog)
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
        raise BrokenStore(f"the state in {folder} can't be opened ({error}); is another process using it?") from error


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
