"""Damage to the files of a store, of every kind and anywhere: nothing that is missing or wrong passes for the state."""

import shutil
from collections import Counter
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest

from app.engine import folder as engine_folder
from app.engine import pages as engine_pages
from tests.broker.crowd import say
from tests.faults.disk import BUFFER_BYTES, DAMAGES, History, cut

TIMES, COPIES, CUTS = 2, 10, 30
STATE = ("*.sst", "*.log", "MANIFEST-*", "CURRENT")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """RocksDB brings its log into a file every few dozen saves."""
    monkeypatch.setattr(engine_folder, "_WRITE_BUFFER_BYTES", BUFFER_BYTES)
    monkeypatch.setattr(engine_pages, "_FULL_BYTES", BUFFER_BYTES // 16)


@pytest.fixture
def history(request: pytest.FixtureRequest, tmp_path: Path, small: None) -> History:
    """Three lives of a pod, the last of which crashed."""
    made = History(tmp_path / "live", getattr(request, "param", 1))
    for saves in (120, 60):
        made.live(saves)
    with closing(made.open()) as store:
        made.save(store, 10)
        made.crash(tmp_path / "crashed")
    return made


@pytest.mark.parametrize("history", (1, 2), indirect=True)
def test_whatever_happens_to_a_file_the_state_is_right_or_made_anew(history: History, tmp_path: Path) -> None:
    """Bits flip, files are cut, blanked, emptied or lost: what is left is all up to an offset, or is not believed."""
    assert history.judge(history.copy(tmp_path / "whole")) == "all"
    came_of: Counter[tuple[str, str]] = Counter()
    for pattern, damage, _ in product(STATE, DAMAGES, range(TIMES)):
        copied = history.copy(tmp_path / "damaged")
        file = history.chance.choice(sorted(each for each in copied.glob(pattern) if each.stat().st_size))
        say(f"{damage.__name__} {file.name}")
        damage(file, history.chance.random())
        came_of[pattern, history.judge(copied)] += 1
    say(str(dict(came_of)))
    assert came_of["CURRENT", "anew"] == len(DAMAGES) * TIMES
    assert all(came_of[found] for found in (("MANIFEST-*", "anew"), ("*.log", "less")))
    assert came_of["*.sst", "anew"] + came_of["*.sst", "spoiled"]


@pytest.mark.parametrize("name", ("OPTIONS-*", "IDENTITY", "LOG", "rocksdict-config.json"))
def test_files_that_hold_no_state_may_be_damaged(history: History, tmp_path: Path, name: str) -> None:
    """Whatever else RocksDB keeps in the folder is written anew, and nothing is lost."""
    for damage in DAMAGES:
        copied = history.copy(tmp_path / "damaged")
        for file in copied.glob(name):
            damage(file, 0.5)
        assert history.judge(copied) == "all"


def test_a_copy_of_a_store_in_use_lacks_nothing_in_the_middle(history: History, tmp_path: Path) -> None:
    """Files of different times: what was written between them could be missing, and RocksDB says nothing of it."""
    came_of: Counter[str] = Counter()
    with closing(history.open()) as store:
        for index in range(COPIES):
            copied = history.copy(tmp_path / str(index), lambda: history.save(store, 8))
            came_of[history.judge(copied)] += 1
    say(str(dict(came_of)))
    assert came_of["anew"]


def test_a_log_of_another_time_than_the_list_of_files_is_noticed(history: History, tmp_path: Path) -> None:
    """The list of files is from before a part of the log was brought into a file, and that part is missing."""
    with closing(history.open()) as store:
        early = history.copy(tmp_path / "early")
        history.save(store, 150)
        late = history.copy(tmp_path / "late")
    for file in early.glob("*.log"):
        file.unlink()
    for file in late.glob("*.log"):
        shutil.copy(file, early / file.name)
    assert history.judge(early) == "anew"


def test_a_list_of_files_that_was_cut_is_noticed(tmp_path: Path, small: None) -> None:
    """RocksDB takes what is left of it for all: without the numbers of saves one time in four gives wrong state."""
    history, came_of = History(tmp_path / "live", 0), Counter[str]()
    history.live(100)
    with closing(history.open()) as store:
        history.save(store, 40)
        history.crash(tmp_path / "crashed")
    for _ in range(CUTS):
        copied = history.copy(tmp_path / "cut")
        cut(next(copied.glob("MANIFEST-*")), history.chance.random())
        came_of[history.judge(copied)] += 1
    say(str(dict(came_of)))
    assert came_of["anew"] > CUTS // 2
