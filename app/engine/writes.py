"""Writing to RocksDB: all or nothing, and without waiting for ever."""

import time
from collections.abc import Callable, Sequence

from rocksdict import Rdict, WriteBatch, WriteOptions

Write = tuple[bytes, bytes | None]
"""A key and its value; None: it is deleted."""
Fill = Callable[[WriteBatch], None]

_PATIENCE_SECONDS = 30.0
_PAUSE_SECONDS = 0.005
_STALLED = "Write stall"


def write(db: Rdict, fill: Fill) -> None:
    """Writes what `fill` puts into a batch; it may be asked again. Raises what RocksDB raises.

    RocksDB would hold up the caller until files are written: that is for ever if the disk is full.
    """
    end = time.monotonic() + _PATIENCE_SECONDS
    at_once = WriteOptions()
    at_once.no_slowdown = True
    while True:
        batch = WriteBatch(raw_mode=True)
        fill(batch)
        try:
            db.write(batch, at_once)
        except Exception as error:
            if _STALLED not in str(error) or time.monotonic() > end:
                raise
        else:
            return
        time.sleep(_PAUSE_SECONDS)


def filled(writes: Sequence[Write]) -> Fill:
    """Puts these into a batch."""

    def fill(batch: WriteBatch) -> None:
        for key, value in writes:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)

    return fill
