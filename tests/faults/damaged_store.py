"""A store with a known history, and damage to its files.

RocksDB's write buffer is made small by the tests, so that even this small store consists of many files.
"""

import gc
import random
import shutil
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from app.engine.state.rocksdb import CorruptStore
from app.engine.state.store import PartitionStore
from app.saga.state import Completed, InFlight, Progress, Running, SagaData
from tests.devkafka.support import until
from tests.simulation.judge.stores import flaws

CHANGELOG = "the changelog's identity"
BUFFER_BYTES = 64 << 10
STEPS = ("reservation", "payment")
_START_MS = 1_700_000_000_000
_FAR_MS = 10**13
_KEYS = 300


class StoreHistory:
    """A store, and its content after each save. `at`: documents by key, by the changelog offset of the save."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.rng = random.Random(seed)
        self.at: dict[int, dict[bytes, bytes]] = {0: {}}
        self._now: dict[bytes, bytes] = {}
        self._offset = 0

    def open_and_save(self, saves: int) -> None:
        """Opens the store, saves this many times, and closes it."""
        with closing(self.open()) as store:
            self.save(store, saves)

    def open(self) -> PartitionStore:
        """Opens the store, as a pod does at its start."""
        return PartitionStore(self.folder, CHANGELOG, 50, 1000)

    def save(self, store: PartitionStore, saves: int) -> None:
        """Saves this many times; in each save some sagas start, advance, end or expire."""
        for _ in range(saves):
            for _ in range(self.rng.randrange(1, 12)):
                store.set(b"o-%d" % self.rng.randrange(_KEYS), self._progress())
            changes = store.take_changes()
            for key, value in changes.documents:
                if value is None:
                    self._now.pop(key, None)
                else:
                    self._now[key] = value
            self._offset += len(changes.documents) + 1
            self.at[self._offset] = dict(self._now)
            store.save(changes, self._offset)

    def copy(self, to: Path, between: Callable[[], object] = lambda: None) -> Path:
        """Copies the folder file by file in random order, calling `between` after each; skips files that vanish."""
        shutil.rmtree(to, ignore_errors=True)
        to.mkdir()
        files = [file for file in sorted(self.folder.iterdir()) if file.name != "LOCK"]
        for file in self.rng.sample(files, len(files)):
            with suppress(FileNotFoundError):
                shutil.copy(file, to / file.name)
            between()
        return to

    def crash(self, to: Path) -> None:
        """Switches to a copy of the open store, as a crash would leave it while RocksDB writes nothing."""
        until(lambda: self._copied_at_rest(to), "RocksDB to write nothing during a copy")
        self.folder = to

    def outcome_of(self, folder: Path) -> str:
        """Opens a damaged copy: "corrupt", "rebuilt" from nothing, or "complete" or "behind" up to an offset.

        Fails when the store opens with any other content than that of its offset.
        """
        gc.collect()  # an iterator in the traceback of an earlier error keeps that database's lock
        try:
            with closing(PartitionStore(folder, CHANGELOG, 50, 1000)) as store:
                offset = store.offset
                assert [str(flaw) for flaw in flaws(store, self.at[offset], STEPS)] == []
        except CorruptStore:
            return "corrupt"
        return "complete" if offset == self._offset else "behind" if offset else "rebuilt"

    def _copied_at_rest(self, to: Path) -> bool:
        with suppress(FileNotFoundError):  # then RocksDB deleted a file meanwhile
            before = self._files()
            self.copy(to)
            return before == self._files()
        return False

    def _files(self) -> list[tuple[str, int]]:
        return [(file.name, file.stat().st_size) for file in sorted(self.folder.iterdir())]

    def _progress(self) -> Progress | None:
        data = SagaData("order", 1, self.rng.randbytes(16).hex(), 0, {"customer_id": "c" * 100}, {})
        kind = self.rng.random()
        if kind < 0.1:
            return None
        if kind < 0.3:
            return Progress(3, Completed(data, _FAR_MS))
        due = _START_MS + self.rng.randrange(10**7)
        return Progress(1, Running(data, None, (InFlight("reservation", 1, 1, 0, due),)))


def flip(file: Path, share: float) -> None:
    """Flips one bit, at this share of the file's length."""
    data = bytearray(file.read_bytes())
    data[int(len(data) * share)] ^= 1 << int(share * 1000) % 8
    file.write_bytes(bytes(data))


def truncate(file: Path, share: float) -> None:
    """Truncates the file to this share of its length."""
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])


def zero(file: Path, share: float) -> None:
    """Zeroes a block of 512 bytes, as after a write that never reached the disk."""
    data = bytearray(file.read_bytes())
    start = int(len(data) * share)
    end = min(len(data), start + 512)
    data[start:end] = bytes(end - start)
    file.write_bytes(bytes(data))


def empty(file: Path, _: float) -> None:
    """Truncates the file to 0 bytes."""
    file.write_bytes(b"")


def remove(file: Path, _: float) -> None:
    """Removes the file."""
    file.unlink()


DAMAGES: tuple[Callable[[Path, float], None], ...] = (flip, truncate, zero, empty, remove)
