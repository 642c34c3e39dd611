"""The lock file of the broker's jars, and the refusal of files that differ from it."""

import hashlib
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree as ET

import pytest

from app.devkafka import DevKafkaError
from app.devkafka.fetch import fetch_jars, fetch_with_maven, pom_of
from app.devkafka.lock import KAFKA_VERSION, Jar, lock_id, locked_jars, parse_lock, wrong_jars

_SHA = "ab" * 32
_GOOD = f"{_SHA}  org/example/thing/1.0/thing-1.0.jar  5"


def _jar(content: bytes) -> Jar:
    path = PurePosixPath("org/example/thing/1.0/thing-1.0.jar")
    return Jar(hashlib.sha256(content).hexdigest(), path, len(content))


def _fake_maven(directory: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mvn = directory / "mvn"
    mvn.write_text(
        f'#!/bin/sh\nfor each; do case "$each" in -DoutputDirectory=*) into="${{each#*=}}";; esac; done\n{script}\n'
    )
    mvn.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")


def test_the_shipped_lock_names_the_broker_and_its_log_binding() -> None:
    """46 files, among them the broker of KAFKA_VERSION and the slf4j binding."""
    coordinates = {jar.coordinate for jar in locked_jars()}
    assert len(coordinates) == 46
    assert ("org.apache.kafka", "kafka_2.13", KAFKA_VERSION) in coordinates
    assert ("org.slf4j", "slf4j-simple", "1.7.36") in coordinates


def test_a_line_becomes_a_jar() -> None:
    """Hash, repository path and size are read, and the Maven coordinate comes from the path."""
    (jar,) = parse_lock(f"{_GOOD}\n\n")
    assert (jar.sha256, jar.name, jar.size) == (_SHA, "thing-1.0.jar", 5)
    assert jar.coordinate == ("org.example", "thing", "1.0")


@pytest.mark.parametrize(
    "line",
    (
        _GOOD.replace("ab", "AB"),
        _GOOD.removesuffix("  5"),
        _GOOD.replace("  5", "  0"),
        _GOOD.replace("thing-1.0.jar", "other-1.0.jar"),
        _GOOD.replace("org/example", "/org/example"),
        _GOOD.replace("org/example/thing/1.0/", ""),
        f"{_GOOD} more",
    ),
)
def test_a_malformed_line_is_refused_by_number(line: str) -> None:
    """One malformed line invalidates the whole lock."""
    with pytest.raises(DevKafkaError, match="line 2"):
        parse_lock(f"{_GOOD}\n{line}\n")


@pytest.mark.parametrize("text", ("", f"{_GOOD}\n{_GOOD}\n"))
def test_an_empty_or_doubled_lock_is_refused(text: str) -> None:
    """A lock without jars, or with two lines for one file, is an error."""
    with pytest.raises(DevKafkaError, match="restore it"):
        parse_lock(text)


def test_another_hash_is_another_cache() -> None:
    """A changed lock has a cache directory of its own."""
    assert lock_id([_jar(b"one")]) != lock_id([_jar(b"two")])


@pytest.mark.parametrize("content", (b"harm!", b"right and more", None))
def test_a_file_that_differs_from_the_lock_is_wrong(tmp_path: Path, content: bytes | None) -> None:
    """The same size with other bytes, another size, or no file at all."""
    jar = _jar(b"right")
    if content is not None:
        (tmp_path / jar.name).write_bytes(content)
    assert wrong_jars([jar], tmp_path) == [jar.name]


def test_a_fetched_jar_with_a_wrong_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file from Maven is checked, and the error names the wrong one."""
    _fake_maven(tmp_path, 'printf harm! > "$into/thing-1.0.jar"', monkeypatch)
    with pytest.raises(DevKafkaError, match=r"differ from the lock in size or sha256: thing-1\.0\.jar"):
        fetch_jars([_jar(b"right")], tmp_path)


def test_a_fetched_jar_with_the_locked_hash_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file from Maven stays where it is."""
    _fake_maven(tmp_path, 'printf right > "$into/thing-1.0.jar"', monkeypatch)
    fetch_jars([_jar(b"right")], tmp_path)
    assert (tmp_path / "thing-1.0.jar").read_bytes() == b"right"


def test_a_failing_maven_is_quoted_without_passwords(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has Maven's first error line without the user and password of its URL."""
    _fake_maven(tmp_path, 'echo "[ERROR] no answer from https://joe:secret@repo.invalid/x"; exit 1', monkeypatch)
    with pytest.raises(DevKafkaError, match=r"mvn failed: \[ERROR\] no answer from https://repo\.invalid/x"):
        fetch_with_maven([_jar(b"right")], tmp_path)


def test_the_pom_depends_on_the_locked_jars_alone() -> None:
    """Each dependency is a locked coordinate, and excludes all transitive ones."""
    names = {"m": "http://maven.apache.org/POM/4.0.0"}
    found = ET.fromstring(pom_of(locked_jars())).findall(".//m:dependency", names)  # noqa: S314 - our own text
    parts = ("groupId", "artifactId", "version")
    assert [tuple(each.findtext(f"m:{part}", "", names) for part in parts) for each in found] == [
        jar.coordinate for jar in locked_jars()
    ]
    assert all(each.findtext("m:exclusions/m:exclusion/m:artifactId", "", names) == "*" for each in found)
