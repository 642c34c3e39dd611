"""Kafka's own tool `kafka-consumer-groups`, run with the Java and the jars of the local Kafka."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.devkafka import DevKafkaError
from app.devkafka.cache import Installation, install
from app.devkafka.fetch import fetch_jars
from app.devkafka.lock import parse_lock, wrong_jars
from tests.witnesses.cache import cached
from tests.witnesses.conversation import Conversation
from tests.witnesses.witness import Lag, NoAnswer, Unavailable, Witness

_HERE = Path(__file__).parent
_LOCK = _HERE / "kafka-tools-4.3.1-jars.txt"
_PROGRAM = _HERE / "Groups.java"
_COLUMNS = ("TOPIC", "PARTITION", "LAG")


@contextmanager
def consumer_groups(bootstrap: str, group: str, folder: Path) -> Iterator[Witness]:
    """The tool in one virtual machine, for a `with` block. Raises Unavailable."""
    installation, tools = install(lambda _: None), tools_jars()
    command = [*_java(installation), "-cp", f"{installation.classpath}:{tools}", str(_PROGRAM), bootstrap, group]
    with Conversation(command, folder / "consumer-groups.log") as tool:
        yield Witness("kafka-consumer-groups", lambda: lag_of(tool.ask("end")))


def lag_of(lines: list[str]) -> Lag:
    """The lag in the table that the tool prints; raises NoAnswer when there is none."""
    rows = [line.split() for line in lines]
    header = next((row for row in rows if set(_COLUMNS) <= set(row)), None)
    if header is None:
        raise NoAnswer("\n".join(lines))
    topic, partition, lag = (header.index(name) for name in _COLUMNS)
    partitions = [row for row in rows if len(row) == len(header) and row is not header]
    return {(row[topic], int(row[partition])): int(row[lag]) for row in partitions if row[lag] != "-"}


def tools_jars() -> str:
    """The class path of the tool's own jars, fetched once and checked against the lock. Raises Unavailable."""
    jars = parse_lock(_LOCK.read_text("ascii"))

    def fetch(into: Path) -> None:
        into.mkdir()
        try:
            fetch_jars(jars, into)
        except DevKafkaError as error:
            raise Unavailable(str(error)) from None

    folder = cached("kafka-tools", [_LOCK], fetch)
    assert wrong_jars(jars, folder) == []
    return ":".join(str(folder / jar.name) for jar in jars)


def _java(installation: Installation) -> list[str]:
    """A Java that compiles the program when it starts, and logs nothing below an error."""
    if not (installation.java.resolve().parent / "javac").exists():
        raise Unavailable(f"{installation.java} is a runtime without a compiler: set JAVA_HOME to a JDK")
    quick = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-XX:-UsePerfData")
    return [os.fspath(installation.java), *quick, "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"]
