"""A store with a history, of which RocksDB makes many files although it is small, and damage that is done to them."""

import random
import shutil
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from app.engine.folder import SpoiledStore
from app.engine.store import PartitionStore
from app.saga.state import Asked, Completed, Facts, Progress, Running
from tests.devkafka.support import until
from tests.simulation.judge.stores import flaws

CHANGELOG = "the changelog's identity"
BUFFER_BYTES = 64 << 10
STEPS = ("reservation", "payment")
_START_MS = 1_700_000_000_000
_FAR_MS = 10**13
_KEYS = 300


class History:
    """All that a store ever had: what was in it after each save, by the changelog's offset behind it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.at: dict[int, dict[bytes, bytes]] = {0: {}}
        self._now: dict[bytes, bytes] = {}
        self._offset = 0

    def live(self, saves: int) -> None:
        """A life of its pod that saves so often, and ends."""
        with closing(self.open()) as store:
            self.save(store, saves)

    def open(self) -> PartitionStore:
        """Begins a life."""
        return PartitionStore(self.folder, CHANGELOG, 50, 1000)

    def save(self, store: PartitionStore, saves: int) -> None:
        """Some sagas begin, go on, end or are forgotten in each save."""
        for _ in range(saves):
            for _ in range(self.chance.randrange(1, 12)):
                store.set(b"o-%d" % self.chance.randrange(_KEYS), self._progress())
            changes = store.changes()
            for key, value in changes.documents:
                if value is None:
                    self._now.pop(key, None)
                else:
                    self._now[key] = value
            self._offset += len(changes.documents) + 1
            self.at[self._offset] = dict(self._now)
            store.save(changes, self._offset)

    def copy(self, to: Path, between: Callable[[], object] = lambda: None) -> Path:
        """A plain copy, file by file in any order, without what vanishes meanwhile; something is done between."""
        shutil.rmtree(to, ignore_errors=True)
        to.mkdir()
        files = [file for file in sorted(self.folder.iterdir()) if file.name != "LOCK"]
        for file in self.chance.sample(files, len(files)):
            with suppress(FileNotFoundError):
                shutil.copy(file, to / file.name)
            between()
        return to

    def crash(self, to: Path) -> None:
        """From now on the folder is what a crash leaves of it at a moment at which RocksDB is at rest."""
        until(lambda: self._at_rest(to), "a moment at rest")
        self.folder = to

    def judge(self, folder: Path) -> str:
        """What becomes of a damaged copy: it is found to be spoiled, or made anew, or has all up to an offset."""
        try:
            with closing(PartitionStore(folder, CHANGELOG, 50, 1000)) as store:
                offset = store.offset
                assert [str(flaw) for flaw in flaws(store, self.at[offset], STEPS)] == []
        except SpoiledStore:
            return "spoiled"
        return "all" if offset == self._offset else "less" if offset else "anew"

    def _at_rest(self, to: Path) -> bool:
        before = self._files()
        self.copy(to)
        return before == self._files()

    def _files(self) -> list[tuple[str, int]]:
        return [(file.name, file.stat().st_size) for file in sorted(self.folder.iterdir())]

    def _progress(self) -> Progress | None:
        facts = Facts("order", 1, self.chance.randbytes(16).hex(), 0, {"customer_id": "c" * 100}, {})
        kind = self.chance.random()
        if kind < 0.1:
            return None
        if kind < 0.3:
            return Progress(3, Completed(facts, _FAR_MS))
        due = _START_MS + self.chance.randrange(10**7)
        return Progress(1, Running(facts, None, (Asked("reservation", 1, 1, 0, due),)))


def flip(file: Path, share: float) -> None:
    """A bit of it is another one."""
    data = bytearray(file.read_bytes())
    data[int(len(data) * share)] ^= 1 << int(share * 1000) % 8
    file.write_bytes(bytes(data))


def cut(file: Path, share: float) -> None:
    """The rest of it is missing."""
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])


def blank(file: Path, share: float) -> None:
    """A block of it is zero, as after a write that the disk never made."""
    data = bytearray(file.read_bytes())
    start = int(len(data) * share)
    end = min(len(data), start + 512)
    data[start:end] = bytes(end - start)
    file.write_bytes(bytes(data))


def empty(file: Path, _: float) -> None:
    """Nothing is in it."""
    file.write_bytes(b"")


def remove(file: Path, _: float) -> None:
    """It is gone."""
    file.unlink()


DAMAGES: tuple[Callable[[Path, float], None], ...] = (flip, cut, blank, empty, remove)
