"""A recording as a file: NDJSON, a line on the logs, then a line per record, bytes in base64. Holds customers' data."""

import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import orjson

from app.audit.recording import Record, Recording, RecordingError, Span

T = TypeVar("T")

FORMAT = "saga-recording/1"


def save(recording: Recording, path: Path) -> None:
    """Writes a recording to a file that only its owner can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(lines(recording))


def load(path: Path) -> Recording:
    """Reads a recording back. Raises RecordingError when the file is none."""
    try:
        with path.open("rb") as file:
            return parse(file)
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}.") from error


def lines(recording: Recording) -> Iterator[bytes]:
    """The lines of the file, each with its line end."""
    head = {
        "format": FORMAT,
        "prefix": recording.prefix,
        "partitions": recording.partitions,
        "taken_ms": recording.taken_ms,
        "committed": [[*place, offset] for place, offset in recording.committed.items()],
        "spans": [[*place, span.first, span.stable, span.high] for place, span in recording.spans.items()],
    }
    yield orjson.dumps(head) + b"\n"
    for record in recording.records:
        yield orjson.dumps(_plain(record)) + b"\n"


def parse(source: Iterable[bytes]) -> Recording:
    """A recording from its lines. Raises RecordingError, which names the line that is wrong."""
    numbered = enumerate(source, 1)
    head = next((_line(number, line, _head) for number, line in numbered), None)
    if head is None:
        raise RecordingError("The file is empty, not a recording.")
    return replace(head, records=tuple(_line(number, line, _record) for number, line in numbered))


def _line(number: int, line: bytes, read: Callable[[Any], T]) -> T:
    try:
        return read(orjson.loads(line))
    except (KeyError, TypeError, ValueError) as error:
        raise RecordingError(f"Line {number} is not a line of a recording ({type(error).__name__}).") from error


def _head(head: dict[str, Any]) -> Recording:
    if head["format"] != FORMAT:
        raise RecordingError(f"This is no recording of format {FORMAT}.")
    committed = {(topic, partition): offset for topic, partition, offset in head["committed"]}
    spans = {(topic, partition): Span(*offsets) for topic, partition, *offsets in head["spans"]}
    return Recording(head["prefix"], head["partitions"], (), committed, spans, head.get("taken_ms", 0))


def _plain(record: Record) -> dict[str, Any]:
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "key": _text(record.key),
        "value": _text(record.value),
        "headers": [[name, _text(value)] for name, value in record.headers],
    }


def _record(plain: dict[str, Any]) -> Record:
    headers = tuple((name, _bytes(value)) for name, value in plain["headers"])
    place = (plain["topic"], plain["partition"], plain["offset"], plain["timestamp_ms"])
    return Record(*place, _bytes(plain["key"]), _bytes(plain["value"]), headers)


def _text(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode()


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else b64decode(value, validate=True)
