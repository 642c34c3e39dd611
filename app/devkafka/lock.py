"""The jars of the broker: sha256, repository path and size of each, from the lock file beside this module."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path, PurePosixPath

from app.devkafka.errors import DevKafkaError

KAFKA_VERSION = "4.3.1"
LOCK_FILE = f"kafka-{KAFKA_VERSION}-jars.txt"

_LINE = re.compile(r"(?P<sha256>[0-9a-f]{64})\s+(?P<path>[\w.-]+(?:/[\w.-]+){3,}\.jar)\s+(?P<size>[1-9][0-9]*)")


@dataclass(frozen=True, slots=True)
class Jar:
    """One locked file; `path` is its path in a Maven repository (group/artifact/version/file), `size` is in bytes."""

    sha256: str
    path: PurePosixPath
    size: int

    @property
    def name(self) -> str:
        """The file name, unique within the lock."""
        return self.path.name

    @property
    def coordinate(self) -> tuple[str, str, str]:
        """Maven's group, artifact and version."""
        *group, artifact, version, _ = self.path.parts
        return ".".join(group), artifact, version


def locked_jars() -> tuple[Jar, ...]:
    """The jars of the shipped lock file, in its order."""
    return parse_lock(files("app.devkafka").joinpath(LOCK_FILE).read_text(encoding="ascii"))


def parse_lock(text: str) -> tuple[Jar, ...]:
    """Parses a lock file, one jar per line; DevKafkaError for a malformed line, or a file named twice."""
    jars = tuple(_parse_line(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip())
    if not jars:
        raise DevKafkaError(f"{LOCK_FILE} lists no jars; restore it from the repository.")
    if len({jar.name for jar in jars}) < len(jars):
        raise DevKafkaError(f"{LOCK_FILE} names a file twice; restore it from the repository.")
    return jars


def _parse_line(number: int, line: str) -> Jar:
    found = _LINE.fullmatch(line.strip())
    jar = found and Jar(found["sha256"], PurePosixPath(found["path"]), int(found["size"]))
    if not jar or jar.name != "{1}-{2}.jar".format(*jar.coordinate):
        raise DevKafkaError(
            f"{LOCK_FILE} line {number} isn't `sha256 group/artifact/version/file.jar size`; restore it."
        )
    return jar


def lock_id(jars: Sequence[Jar]) -> str:
    """12 hex digits that change when any locked jar does."""
    return hashlib.sha256("\n".join(f"{jar.sha256} {jar.name}" for jar in jars).encode()).hexdigest()[:12]


def wrong_jars(jars: Sequence[Jar], directory: Path) -> list[str]:
    """The names of the jars that `directory` lacks, or has with another size or sha256."""
    return [jar.name for jar in jars if not _is_the_locked(jar, directory / jar.name)]


def refuse_wrong_jars(jars: Sequence[Jar], directory: Path) -> None:
    """Raises DevKafkaError unless `directory` has every jar with its locked size and sha256."""
    if wrong := wrong_jars(jars, directory):
        raise DevKafkaError(
            f"Fetched jars differ from the lock in size or sha256: {', '.join(wrong)};"
            " nothing was installed: delete them from your Maven cache, then try again."
        )


def _is_the_locked(jar: Jar, file: Path) -> bool:
    return file.is_file() and file.stat().st_size == jar.size and _sha256(file) == jar.sha256


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
