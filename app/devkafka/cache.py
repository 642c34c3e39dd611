"""The installation in the user's cache: checked jars and a formatted data directory, made once for all runs."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.devkafka.fetch import fetch_jars
from app.devkafka.java import find_java
from app.devkafka.lock import KAFKA_VERSION, Jar, lock_id, locked_jars, wrong_jars
from app.devkafka.storage import format_template

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Installation:
    """Its directory, the Java runtime, the class path in a fixed order, and the data directory copied to new nodes."""

    home: Path
    java: Path
    classpath: str
    template: Path


def cache_directory(environ: Mapping[str, str], jars: tuple[Jar, ...]) -> Path:
    """The directory of an installation with these jars, one for each lock, under XDG_CACHE_HOME or ~/.cache."""
    base = environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(base).absolute() / "order-saga" / f"kafka-{KAFKA_VERSION}-{lock_id(jars)}"


def install(say: Say) -> Installation:
    """The installation, fetched and formatted first if needed. `say` gets a line before slow work."""
    jars = locked_jars()
    java = find_java(os.environ)
    home = cache_directory(os.environ, jars)
    if not _is_complete(home, jars):
        home.parent.mkdir(parents=True, exist_ok=True)
        with _locked(home.with_name(home.name + ".lock"), say):
            if not _is_complete(home, jars):
                _fill(home, jars, java, say)
    return Installation(home, java, _classpath(home / "jars", jars), home / "template")


def _fill(home: Path, jars: tuple[Jar, ...], java: Path, say: Say) -> None:
    """Makes `home` completely or not at all. The caller holds the lock: a partial directory is of a run that died."""
    partial = home.with_name(home.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "jars").mkdir(parents=True)
    say(f"Fetching Apache Kafka {KAFKA_VERSION} into {home} (once, {sum(jar.size for jar in jars) >> 20} MiB)")
    fetch_jars(jars, partial / "jars")
    format_template(java, _classpath(partial / "jars", jars), partial / "template")
    shutil.rmtree(home, ignore_errors=True)
    partial.rename(home)


def _is_complete(home: Path, jars: tuple[Jar, ...]) -> bool:
    return (home / "template").is_dir() and not wrong_jars(jars, home / "jars")


def _classpath(directory: Path, jars: tuple[Jar, ...]) -> str:
    return ":".join(str(directory / jar.name) for jar in sorted(jars, key=lambda jar: jar.name))


@contextmanager
def _locked(path: Path, say: Say) -> Iterator[None]:
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another run is fetching Apache Kafka; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
