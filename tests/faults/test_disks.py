"""Files of a store that are cut, flipped, emptied or gone: what is left is right up to its offset, or made anew."""

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.engine.folder import BrokenStore, SpoiledStore
from app.engine.store import PartitionStore
from app.saga.state import Asked, Completed, Facts, Progress, Running
from app.wire.statedoc import encode
from tests.simulation.judge.stores import flaws

CHANGELOG, STEPS, SAVES, SEED = "the changelog", ("reservation", "payment"), 60, 1
Documents = dict[bytes, bytes]
FACTS = Facts("order", 1, "d" * 32, 0, {"customer_id": "c" * 200}, {})
FILES = ("*.sst", "*.log", "MANIFEST-*", "CURRENT", "IDENTITY", "OPTIONS-*", "LOG", "LOCK")


def flip(file: Path, chance: random.Random) -> None:
    """One bit is another."""
    data = bytearray(file.read_bytes())
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    file.write_bytes(data)


def cut(file: Path, chance: random.Random) -> None:
    """The end is missing."""
    data = file.read_bytes()
    file.write_bytes(data[: chance.randrange(len(data) or 1)])


def garble(file: Path, chance: random.Random) -> None:
    """Some bytes in a row are others."""
    data = bytearray(file.read_bytes())
    start = chance.randrange(len(data) or 1)
    data[start : start + 64] = chance.randbytes(min(64, len(data) - start))
    file.write_bytes(data)


def empty(file: Path, _: random.Random) -> None:
    """Nothing is left in it."""
    file.write_bytes(b"")


def remove(file: Path, _: random.Random) -> None:
    """It is gone."""
    file.unlink()


class History:
    """Sagas that were saved bit by bit: what a store must hold at each offset."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.at: dict[int, Documents] = {0: {}}

    def live(self) -> Iterator[PartitionStore]:
        """The store after each save, and closed after the last one."""
        store, now = PartitionStore(self.folder, CHANGELOG, 1000, 1000), dict[bytes, bytes]()
        for number in range(1, SAVES + 1):
            for key, progress in self._changes(number):
                store.set(key, progress)
                if progress is None:
                    now.pop(key, None)
                else:
                    now[key] = encode(progress)
            store.save(store.changes(), number)
            self.at[number] = dict(now)
            yield store
        store.close()

    def _changes(self, number: int) -> Iterator[tuple[bytes, Progress | None]]:
        """A saga begins, one from before goes on, one ends, and one is forgotten."""
        yield b"o-%d" % number, Progress(1, Running(FACTS, None, (Asked("reservation", 1, 1, 0, 10**12 + number),)))
        if number > 9:
            yield b"o-%d" % (number - 3), Progress(2, Running(FACTS, None, (Asked("payment", 1, 1, 0, 10**12),)))
            yield b"o-%d" % (number - 6), Progress(3, Completed(FACTS, 10**13 + number))
            yield b"o-%d" % (number - 9), None


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Three images of one store: killed early, killed late, and closed."""
    found = History(tmp_path_factory.mktemp("disks") / "0")
    for number, _ in enumerate(found.live(), 1):
        if number in (SAVES // 2, SAVES):
            shutil.copytree(found.folder, found.folder.with_name(f"killed-{number}"))
    return found


def images(history: History) -> list[Path]:
    """All of them."""
    return [history.folder, *sorted(history.folder.parent.glob("killed-*"))]


def look(folder: Path, history: History) -> int | None:
    """Opens and reads all that is there; the offset up to which all is right, None when it says that it is not."""
    try:
        store = PartitionStore(folder, CHANGELOG, 10, 1000)
    except (BrokenStore, SpoiledStore):
        return None
    try:
        assert [str(flaw) for flaw in flaws(store, history.at[store.offset], STEPS)] == []
    except SpoiledStore:
        return None
    else:
        return store.offset
    finally:
        store.close()


@pytest.mark.parametrize("damage", (flip, cut, garble, empty, remove))
@pytest.mark.parametrize("pattern", FILES)
def test_a_damaged_file_never_gives_wrong_state(
    history: History, tmp_path: Path, pattern: str, damage: Callable[[Path, random.Random], None]
) -> None:
    """What is read is what was saved up to the offset that is read with it, or the store says that it is broken; then
    the next life finds an empty one, which the changelog fills."""
    chance = random.Random(f"{SEED} {pattern} {damage.__name__}")
    for image in images(history):
        for file in sorted(image.glob(pattern)):
            for turn in range(1 if damage in (empty, remove) else 8):
                folder = tmp_path / f"{image.name}-{file.name}-{turn}"
                shutil.copytree(image, folder)
                damage(folder / file.name, chance)
                if look(folder, history) is None:
                    assert look(folder, history) == 0
                shutil.rmtree(folder)


def test_the_images_are_what_they_should_be(history: History, tmp_path: Path) -> None:
    """Without damage each has all that was saved, and files of every kind are there to be damaged."""
    for image, offset in zip(images(history), (SAVES, SAVES // 2, SAVES), strict=True):
        shutil.copytree(image, tmp_path / image.name)
        assert look(tmp_path / image.name, history) == offset
    for pattern in FILES:
        assert any(list(image.glob(pattern)) for image in images(history)), pattern
