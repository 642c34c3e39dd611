"""A stand-in for RocksDB that opens faster, and can lose its last writes, as a disk without power does."""

import shutil
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from app.engine.state import rocksdb
from tests.simulation.producer import CrashCountdown

_MAX_UNDO = 8  # writes that can be lost


class FolderContents:
    """The contents of one folder: values by key, and the keys in order."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.keys: list[bytes] = []
        self.undo: deque[list[tuple[bytes, bytes | None]]] = deque(maxlen=_MAX_UNDO)

    def put(self, key: bytes, value: bytes | None) -> bytes | None:
        """Sets the value, or with None deletes the key; returns the old value."""
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

    def lose_writes(self, count: int) -> None:
        """Undoes the last writes."""
        for _ in range(min(count, len(self.undo))):
            for key, old in reversed(self.undo.pop()):
                self.put(key, old)


class SimulatedDisk:
    """All folders of the pods. A pod can crash before and after each write."""

    def __init__(self, countdown: CrashCountdown) -> None:
        self.countdown = countdown
        self._folders: dict[str, FolderContents] = {}

    def contents(self, folder: Path) -> FolderContents:
        """The contents of a folder; empty if the folder was removed or is new."""
        if not folder.exists():
            folder.mkdir(parents=True)
        if not any(folder.iterdir()):
            (folder / "CURRENT").touch()
            self._folders.pop(str(folder), None)
        return self._folders.setdefault(str(folder), FolderContents())

    def remove(self, folder: Path) -> None:
        """Deletes the folder with its contents."""
        shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def mounted(self) -> Iterator[None]:
        """Within the block, the engine's stores are on this disk."""

        def open_fake(folder: str, _: object) -> _FakeDb:
            return _FakeDb(self.contents(Path(folder)), self.countdown)

        with patch.object(rocksdb, "Rdict", open_fake), patch.object(rocksdb, "WriteBatch", _FakeWriteBatch):
            yield


class _FakeWriteBatch:
    def __init__(self, **_: object) -> None:
        self.puts: list[tuple[bytes, bytes | None]] = []
        self.ranges: list[tuple[bytes, bytes]] = []

    def put(self, key: bytes, value: bytes) -> None:
        self.puts.append((key, value))

    def delete(self, key: bytes) -> None:
        self.puts.append((key, None))

    def delete_range(self, start: bytes, end: bytes) -> None:
        self.ranges.append((start, end))


class _FakeDb:
    """The interface of a RocksDB handle that the engine's store uses."""

    def __init__(self, contents: FolderContents, countdown: CrashCountdown) -> None:
        self._contents = contents
        self._countdown = countdown
        self.get = contents.values.get

    def write(self, batch: _FakeWriteBatch, _: object) -> None:
        self._countdown.tick()
        contents = self._contents
        undo = [(key, contents.put(key, value)) for key, value in batch.puts]
        for start, end in batch.ranges:  # the store deletes ranges last, so their order among all writes is kept
            deleted = contents.keys[bisect_left(contents.keys, start) : bisect_left(contents.keys, end)]
            undo += [(key, contents.put(key, None)) for key in deleted]
        contents.undo.append(undo)
        self._countdown.tick()

    def iter(self) -> "_FakeIterator":
        return _FakeIterator(self._contents.keys)

    def close(self) -> None:
        pass


class _FakeIterator:
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
