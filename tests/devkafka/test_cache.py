"""The cached installation: made once, completely or not at all, and replaced when a jar differs from the lock."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.devkafka.cache import Installation, cache_directory, install
from app.devkafka.lock import locked_jars, wrong_jars

pytestmark = pytest.mark.broker  # needs the real jars


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a fake `mvn` that copies the real jars."""
    jars = install(print).home / "jars"
    mvn = tmp_path / "bin" / "mvn"
    mvn.parent.mkdir()
    mvn.write_text(
        f'#!/bin/sh\nfor each; do case "$each" in -DoutputDirectory=*) cp {jars}/*.jar "${{each#*=}}";; esac; done\n'
    )
    mvn.chmod(0o755)
    monkeypatch.setenv("PATH", f"{mvn.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_directory(os.environ, locked_jars())


def test_runs_that_start_together_fetch_once(fresh_cache: Path) -> None:
    """The second waits for the first, and both get the same complete installation."""
    lines: list[str] = []

    def run(_number: int) -> Installation:
        return install(lines.append)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(run, range(2))
    assert first == second
    assert first.home == fresh_cache
    assert sum(line.startswith("Fetching") for line in lines) == 1
    assert wrong_jars(locked_jars(), fresh_cache / "jars") == []
    assert (fresh_cache / "template" / "meta.properties").is_file()


def test_a_damaged_cache_is_filled_again(fresh_cache: Path) -> None:
    """A jar that differs from the lock is never run."""
    install(print)
    damaged = fresh_cache / "jars" / locked_jars()[0].name
    damaged.write_bytes(b"harm")
    install(print)
    assert damaged.stat().st_size == locked_jars()[0].size
