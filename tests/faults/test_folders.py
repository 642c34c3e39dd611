"""State folders that are old, of another partition, or on a full disk: rebuilt, or refused with one sentence."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from app.engine.assignment.start_offsets import partition_identity
from app.engine.errors import NeedsOperator
from app.engine.policy import OLD_SECONDS
from app.engine.state.rocksdb import UnusableStore, filled, write
from app.engine.state.store import PartitionStore
from tests.engine.state.test_store import CHANGELOG, DONE, FAR, due, in_flight, save


def opened(folder: Path, changelog: str = CHANGELOG) -> PartitionStore:
    """Opens the store, as a pod does at its start."""
    return PartitionStore(folder, changelog, 10, 10)


def saved(folder: Path) -> Path:
    """A folder that holds one saga and is not open."""
    store = opened(folder)
    save(store, a=DONE)
    store.close()
    return folder


def set_complete_ago(folder: Path, ago: float) -> None:
    """Records in the folder that it was complete this many seconds ago; its files are new all the same."""
    store = opened(folder)
    write(store._db, filled(store._journal.note(0, 0, store.offset, int((time.time() - ago) * 1000))))
    store.close()


def age(store: PartitionStore) -> float:
    """How many seconds ago the store was last known to be complete."""
    return time.time() - store._journal.page.complete_as_of_ms / 1000


@pytest.mark.parametrize(
    ("ago", "expected"), ((OLD_SECONDS - 60, DONE), (OLD_SECONDS + 60, None), (-OLD_SECONDS * 2, None))
)
def test_an_old_snapshot_is_rebuilt_even_if_its_files_are_new(tmp_path: Path, ago: float, expected: object) -> None:
    """The changelog may have lost tombstones since, and copied files look new. Nor is a time in the future believed."""
    folder = saved(tmp_path / "0")
    set_complete_ago(folder, ago)
    store = opened(shutil.copytree(folder, tmp_path / "restored" / "0"))
    assert store.get(b"a") == expected
    store.close()


def test_a_partial_restore_does_not_make_old_state_look_new(tmp_path: Path) -> None:
    """A restore that is interrupted again and again must not make old state look new."""
    folder = saved(tmp_path / "0")
    set_complete_ago(folder, OLD_SECONDS - 60)
    store = opened(folder)
    store.restore([], 7)
    assert age(store) > OLD_SECONDS - 120
    store.restored()
    assert age(store) < 60
    store.close()


def test_each_save_makes_the_state_new(tmp_path: Path) -> None:
    """The state is as old as its last save."""
    folder = saved(tmp_path / "0")
    set_complete_ago(folder, OLD_SECONDS - 60)
    store = opened(folder)
    save(store, b=in_flight())
    assert age(store) < 60
    store.close()


def test_the_state_of_another_partition_is_not_used(tmp_path: Path) -> None:
    """Else its offset would be believed, and the changelog before that offset never read."""
    identity = "the changelog"
    store = opened(tmp_path / "1", partition_identity(identity, 1))
    save(store, a=DONE)
    store.close()
    store = opened(shutil.copytree(tmp_path / "1", tmp_path / "0"), partition_identity(identity, 0))
    assert (store.get(b"a"), store.offset, due(store, FAR)) == (None, 0, [])
    store.close()


@contextmanager
def disk(folder: Path, size: str) -> Iterator[Path]:
    """Mounts a small disk (tmpfs) at a folder; skips the test where that is not allowed."""
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
    """Saves one saga after the other, while other files fill the disk."""
    for number in range(1000):
        store.set(b"%d" % number, DONE)
        store.save(store.take_changes(), number + 1)
        with suppress(OSError):  # only the store has to fail on a full disk
            (at / f"filler-{number}").write_bytes(bytes(10_000))


def remount(folder: Path, how: str) -> None:
    """Makes a disk read-only, or writable again."""
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


def test_a_full_disk_stops_the_store_and_loses_nothing(tmp_path: Path) -> None:
    """Earlier saves are there when space is freed; the error says what to do."""
    with disk(tmp_path / "disk", "3m") as at:
        store = opened(at / "0")
        with pytest.raises(
            UnusableStore, match=r"can't be used \(.*No space left on device.*\): make room there"
        ) as full:
            fill(store, at)
        assert issubclass(full.type, NeedsOperator)
        store.close()
        with pytest.raises(UnusableStore, match=r"can't be used \(.*No space left on device"):
            opened(at / "0")
        for filler in at.glob("filler-*"):
            filler.unlink()
        store = opened(at / "0")
        assert store.offset > 0
        assert all(store.get(b"%d" % index) == DONE for index in range(store.offset))
        store.close()


def test_a_read_only_disk_stops_the_store_and_its_next_start(tmp_path: Path) -> None:
    """Each with an error; once the disk is writable again, the state is there."""
    with disk(tmp_path / "disk", "8m") as at:
        saved(at / "0")
        remount(at, "ro")
        with pytest.raises(UnusableStore, match=r"can't be used \(.*Read-only file system.*\): make it writable"):
            opened(at / "0")
        remount(at, "rw")
        store = opened(at / "0")
        assert store.get(b"a") == DONE
        store.close()


def test_a_folder_removed_while_in_use_is_rebuilt(tmp_path: Path) -> None:
    """Whether the store notices the removal or not."""
    folder = saved(tmp_path / "0")
    store = opened(folder)
    shutil.rmtree(folder)
    save(store, b=DONE)
    store.close()
    store = opened(folder)
    assert (store.get(b"a"), store.get(b"b"), store.offset) == (None, None, 0)
    store.close()


FILLS = """
import resource, signal, sys
from pathlib import Path
from app.engine.state.store import PartitionStore
from tests.engine.state.test_store import CHANGELOG, DONE
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
store = PartitionStore(Path(sys.argv[1]), CHANGELOG, 10, 10)
for number in range(10_000):
    store.set(b"%d" % number, DONE)
    try:
        store.save(store.take_changes(), number + 1)
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {error}")
"""


def test_a_file_size_limit_is_reported_like_a_full_disk(tmp_path: Path) -> None:
    """Works without mounting: quotas and limits fail the same write."""
    ended = subprocess.run(
        [sys.executable, "-c", FILLS, str(tmp_path / "0")], check=False, capture_output=True, text=True
    )
    assert ended.stderr.startswith("UnusableStore: the state in ")
    assert "File too large" in ended.stderr
    store = opened(tmp_path / "0")
    assert store.offset > 0
    assert all(store.get(b"%d" % index) == DONE for index in range(store.offset))
    store.close()
