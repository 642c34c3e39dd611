"""A stand-in for RocksDB that is quicker to open and can lose its last writes, as a disk without power does."""

import shutil
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from app.engine import folder as state_folder
from app.engine import writes
from tests.simulation.lane import Fuse

_LAST = 8  # writes that can be lost


class Shelf:
    """What one folder holds: values by key, and the keys in order."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.keys: list[bytes] = []
        self.undo: deque[list[tuple[bytes, bytes | None]]] = deque(maxlen=_LAST)

    def put(self, key: bytes, value: bytes | None) -> bytes | None:
        """Sets or, with None, deletes; returns what was there."""
        old = self.values.get(key)
        if value is None:
            if old is not None:
                del self.values[key]
                del self.keys[bisect_left(self.keys, key)]
        else:
            if old is None:
                insort(self.keys, key)
            self.values[key] = value
        return old

    def lose(self, writes: int) -> None:
        """As if the last writes had never been made."""
        for _ in range(min(writes, len(self.undo))):
            for key, old in reversed(self.undo.pop()):
                self.put(key, old)


class Disk:
    """All folders. `fuse`: a pod can die before and after each write."""

    def __init__(self, fuse: Fuse) -> None:
        self.fuse = fuse
        self._shelves: dict[str, Shelf] = {}

    def shelf(self, folder: Path) -> Shelf:
        """A folder's shelf: the one that was there, unless it was removed."""
        if not folder.exists():
            folder.mkdir(parents=True)
        if not any(folder.iterdir()):
            (folder / "CURRENT").touch()
            self._shelves.pop(str(folder), None)
        return self._shelves.setdefault(str(folder), Shelf())

    def copy(self, folder: Path, to: Path) -> None:
        """Another folder with the same in it."""
        there, copied = self.shelf(folder), self.shelf(to)
        copied.values, copied.keys = dict(there.values), list(there.keys)

    def remove(self, folder: Path) -> None:
        """All in it is lost."""
        shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def mounted(self) -> Iterator[None]:
        """Stores are on this disk from now on."""

        def opened(folder: str, _: object) -> _Opened:
            return _Opened(self.shelf(Path(folder)), self.fuse)

        with patch.object(state_folder, "Rdict", opened), patch.object(writes, "WriteBatch", _Writes):
            yield


class _Writes:
    def __init__(self, **_: object) -> None:
        self.puts: list[tuple[bytes, bytes | None]] = []
        self.ranges: list[tuple[bytes, bytes]] = []

    def put(self, key: bytes, value: bytes) -> None:
        self.puts.append((key, value))

    def delete(self, key: bytes) -> None:
        self.puts.append((key, None))

    def delete_range(self, start: bytes, end: bytes) -> None:
        self.ranges.append((start, end))


class _Opened:
    """What the store takes for a database."""

    def __init__(self, shelf: Shelf, fuse: Fuse) -> None:
        self._shelf = shelf
        self._fuse = fuse
        self.get = shelf.values.get

    def write(self, batch: _Writes, _: object) -> None:
        self._fuse.burn()
        shelf = self._shelf
        undo = [(key, shelf.put(key, value)) for key, value in batch.puts]
        for start, end in batch.ranges:  # the store writes them last, so the order among all is kept
            doomed = shelf.keys[bisect_left(shelf.keys, start) : bisect_left(shelf.keys, end)]
            undo += [(key, shelf.put(key, None)) for key in doomed]
        shelf.undo.append(undo)
        self._fuse.burn()

    def iter(self) -> "_Keys":
        return _Keys(self._shelf.keys)

    def close(self) -> None:
        pass


class _Keys:
    def __init__(self, keys: list[bytes]) -> None:
        self._keys = keys
        self._at = 0

    def seek(self, start: bytes) -> None:
        self._at = bisect_left(self._keys, start)

    def valid(self) -> bool:
        return self._at < len(self._keys)

    def key(self) -> bytes:
        return self._keys[self._at]

    def next(self) -> None:
        self._at += 1

    def status(self) -> None:
        pass
