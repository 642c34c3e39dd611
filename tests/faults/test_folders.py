"""Folders of state that are old, another's, full, or not to be written: made anew, or told in one sentence."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from app.engine.errors import Refused
from app.engine.folder import OLD_SECONDS, BrokenStore
from app.engine.offsets import part_of
from app.engine.store import PartitionStore
from app.engine.writes import filled, write
from tests.engine.test_store import CHANGELOG, DONE, FAR, asked, due, keep


def opened(folder: Path, changelog: str = CHANGELOG) -> PartitionStore:
    """A life of a pod."""
    return PartitionStore(folder, changelog, 10, 10)


def saved(folder: Path) -> Path:
    """A folder that has a saga, and is not in use."""
    store = opened(folder)
    keep(store, a=DONE)
    store.close()
    return folder


def whole(folder: Path, ago: float) -> None:
    """Has the folder say that it was last whole so many seconds ago; its files are as new as can be."""
    store = opened(folder)
    write(store._db, filled(store._pages.note(0, 0, store.offset, int((time.time() - ago) * 1000))))
    store.close()


def age(store: PartitionStore) -> float:
    """How many seconds ago it was last known to be whole."""
    return time.time() - store._pages.page.whole_ms / 1000


@pytest.mark.parametrize(
    ("ago", "there"), ((OLD_SECONDS - 60, DONE), (OLD_SECONDS + 60, None), (-OLD_SECONDS * 2, None))
)
def test_an_old_snapshot_is_made_anew_however_new_its_files_are(tmp_path: Path, ago: float, there: object) -> None:
    """The changelog may have lost what was deleted since, and a copy's files are new. Nor is the future believed."""
    folder = saved(tmp_path / "0")
    whole(folder, ago)
    store = opened(shutil.copytree(folder, tmp_path / "restored" / "0"))
    assert store.get(b"a") == there
    store.close()


def test_what_is_restored_is_as_old_as_it_was_until_all_is_there(tmp_path: Path) -> None:
    """A restore that is broken off again and again must not make old state look new."""
    folder = saved(tmp_path / "0")
    whole(folder, OLD_SECONDS - 60)
    store = opened(folder)
    store.restore([], 7)
    assert age(store) > OLD_SECONDS - 120
    store.restored()
    assert age(store) < 60
    store.close()


def test_state_in_use_is_new(tmp_path: Path) -> None:
    """With each save."""
    folder = saved(tmp_path / "0")
    whole(folder, OLD_SECONDS - 60)
    store = opened(folder)
    keep(store, b=asked())
    assert age(store) < 60
    store.close()


def test_the_state_of_another_partition_is_not_taken_over(tmp_path: Path) -> None:
    """Its offset would be believed, and the sagas between would never be read."""
    identity = "the changelog"
    store = opened(tmp_path / "1", part_of(identity, 1))
    keep(store, a=DONE)
    store.close()
    store = opened(shutil.copytree(tmp_path / "1", tmp_path / "0"), part_of(identity, 0))
    assert (store.get(b"a"), store.offset, due(store, FAR)) == (None, 0, [])
    store.close()


@contextmanager
def disk(folder: Path, size: str) -> Iterator[Path]:
    """A small disk of its own, mounted there."""
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mount.returncode:
        pytest.skip("this user may not mount a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(store: PartitionStore, at: Path) -> None:
    """Saves one saga after the other beside files that take the room away."""
    for number in range(1000):
        store.set(b"%d" % number, DONE)
        store.save(store.changes(), number + 1)
        with suppress(OSError):  # it is the store that is to meet a full disk
            (at / f"filler-{number}").write_bytes(bytes(10_000))


def remount(folder: Path, how: str) -> None:
    """Makes a disk read-only, or writable again."""
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


def test_a_full_disk_ends_the_life_that_meets_it_and_nothing_is_lost(tmp_path: Path) -> None:
    """What was saved before is there when there is room again; the sentence says what to do."""
    with disk(tmp_path / "disk", "3m") as at:
        store = opened(at / "0")
        with pytest.raises(
            BrokenStore, match=r"can't be used \(.*No space left on device.*\): make room there"
        ) as full:
            fill(store, at)
        assert issubclass(full.type, Refused)
        store.close()
        with pytest.raises(BrokenStore, match=r"can't be used \(.*No space left on device"):
            opened(at / "0")
        for filler in at.glob("filler-*"):
            filler.unlink()
        store = opened(at / "0")
        assert store.offset > 0
        assert all(store.get(b"%d" % index) == DONE for index in range(store.offset))
        store.close()


def test_a_disk_that_turns_read_only_ends_the_life_and_stops_the_next_one(tmp_path: Path) -> None:
    """With a sentence each; when it can be written again all is there."""
    with disk(tmp_path / "disk", "8m") as at:
        saved(at / "0")
        remount(at, "ro")
        with pytest.raises(BrokenStore, match=r"can't be used \(.*Read-only file system.*\): make it writable"):
            opened(at / "0")
        remount(at, "rw")
        store = opened(at / "0")
        assert store.get(b"a") == DONE
        store.close()


def test_a_folder_that_is_removed_under_a_life_is_made_anew(tmp_path: Path) -> None:
    """Whether that life notices or not."""
    folder = saved(tmp_path / "0")
    store = opened(folder)
    shutil.rmtree(folder)
    keep(store, b=DONE)
    store.close()
    store = opened(folder)
    assert (store.get(b"a"), store.get(b"b"), store.offset) == (None, None, 0)
    store.close()


FILLS = """
import resource, signal, sys
from pathlib import Path
from app.engine.store import PartitionStore
from tests.engine.test_store import CHANGELOG, DONE
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
store = PartitionStore(Path(sys.argv[1]), CHANGELOG, 10, 10)
for number in range(10_000):
    store.set(b"%d" % number, DONE)
    try:
        store.save(store.changes(), number + 1)
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {error}")
"""


def test_a_limit_on_files_is_told_like_a_full_disk(tmp_path: Path) -> None:
    """Where nobody may mount: quotas and limits are met in the same place."""
    ended = subprocess.run(
        [sys.executable, "-c", FILLS, str(tmp_path / "0")], check=False, capture_output=True, text=True
    )
    assert ended.stderr.startswith("BrokenStore: the state in ")
    assert "File too large" in ended.stderr
    store = opened(tmp_path / "0")
    assert store.offset > 0
    assert all(store.get(b"%d" % index) == DONE for index in range(store.offset))
    store.close()
