"""Damage of every kind to any file of a store: incomplete or wrong state is never taken for valid state."""

import shutil
from collections import Counter
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest

from app.engine.state import rocksdb, save_journal
from tests.broker.order_load import say
from tests.faults.damaged_store import BUFFER_BYTES, DAMAGES, StoreHistory, truncate

TIMES, COPIES, CUTS = 2, 10, 30
STATE = ("*.sst", "*.log", "MANIFEST-*", "CURRENT")


@pytest.fixture
def small_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes RocksDB flush its write buffer to a file every few dozen saves."""
    monkeypatch.setattr(rocksdb, "_WRITE_BUFFER_BYTES", BUFFER_BYTES)
    monkeypatch.setattr(save_journal, "_FULL_BYTES", BUFFER_BYTES // 16)


@pytest.fixture
def history(request: pytest.FixtureRequest, tmp_path: Path, small_buffer: None) -> StoreHistory:
    """A store that was opened three times and crashed the third time."""
    made = StoreHistory(tmp_path / "live", getattr(request, "param", 1))
    for saves in (120, 60):
        made.open_and_save(saves)
    with closing(made.open()) as store:
        made.save(store, 10)
        made.crash(tmp_path / "crashed")
    return made


@pytest.mark.parametrize("history", (1, 2), indirect=True)
def test_a_damaged_file_is_never_taken_for_valid_state(history: StoreHistory, tmp_path: Path) -> None:
    """A store whose files are damaged is complete up to an offset, reported as corrupt, or rebuilt."""
    assert history.outcome_of(history.copy(tmp_path / "undamaged")) == "complete"
    outcomes: Counter[tuple[str, str]] = Counter()
    for pattern, damage, _ in product(STATE, DAMAGES, range(TIMES)):
        copied = history.copy(tmp_path / "damaged")
        file = history.rng.choice(sorted(each for each in copied.glob(pattern) if each.stat().st_size))
        say(f"{damage.__name__} {file.name}")
        damage(file, history.rng.random())
        outcomes[pattern, history.outcome_of(copied)] += 1
    say(str(dict(outcomes)))
    assert outcomes["CURRENT", "rebuilt"] == len(DAMAGES) * TIMES
    assert all(outcomes[found] for found in (("MANIFEST-*", "rebuilt"), ("*.log", "behind")))
    assert outcomes["*.sst", "rebuilt"] + outcomes["*.sst", "corrupt"]


@pytest.mark.parametrize("name", ("OPTIONS-*", "IDENTITY", "LOG", "rocksdict-config.json"))
def test_files_that_hold_no_state_may_be_damaged(history: StoreHistory, tmp_path: Path, name: str) -> None:
    """RocksDB rewrites its other files, and nothing is lost."""
    for damage in DAMAGES:
        copied = history.copy(tmp_path / "damaged")
        for file in copied.glob(name):
            damage(file, 0.5)
        assert history.outcome_of(copied) == "complete"


def test_a_copy_of_a_store_in_use_has_no_gaps(history: StoreHistory, tmp_path: Path) -> None:
    """Its files are of different times, so writes between them could be missing, and RocksDB reports nothing."""
    outcomes: Counter[str] = Counter()
    with closing(history.open()) as store:
        for index in range(COPIES):
            copied = history.copy(tmp_path / str(index), lambda: history.save(store, 8))
            outcomes[history.outcome_of(copied)] += 1
    say(str(dict(outcomes)))
    assert outcomes["rebuilt"]


def test_a_write_ahead_log_newer_than_the_manifest_is_noticed(history: StoreHistory, tmp_path: Path) -> None:
    """The manifest is older than a flush of the write-ahead log, so the flushed part of the log is missing."""
    with closing(history.open()) as store:
        early = history.copy(tmp_path / "early")
        history.save(store, 150)
        late = history.copy(tmp_path / "late")
    for file in early.glob("*.log"):
        file.unlink()
    for file in late.glob("*.log"):
        shutil.copy(file, early / file.name)
    assert history.outcome_of(early) == "rebuilt"


def test_a_truncated_manifest_is_noticed(tmp_path: Path, small_buffer: None) -> None:
    """RocksDB takes the rest of it for the whole: without the save journal one time in four gives wrong state."""
    history, outcomes = StoreHistory(tmp_path / "live", 0), Counter[str]()
    history.open_and_save(100)
    with closing(history.open()) as store:
        history.save(store, 40)
        history.crash(tmp_path / "crashed")
    for _ in range(CUTS):
        copied = history.copy(tmp_path / "cut")
        truncate(next(copied.glob("MANIFEST-*")), history.rng.random())
        outcomes[history.outcome_of(copied)] += 1
    say(str(dict(outcomes)))
    assert outcomes["rebuilt"] > CUTS // 2
