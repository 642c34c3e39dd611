"""A recording as an NDJSON file: a header line, then one line per record, bytes in base64. It holds customer data."""

import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import orjson

from app.audit.recording.recording import Record, Recording, RecordingError, Span

T = TypeVar("T")

FORMAT = "saga-recording/1"


def save(recording: Recording, path: Path) -> None:
    """Writes a recording to a file that only its owner can read (mode 0600)."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(lines(recording))


def load(path: Path) -> Recording:
    """Raises RecordingError if the file can't be read or is not a recording."""
    try:
        with path.open("rb") as file:
            return parse(file)
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}.") from error


def lines(recording: Recording) -> Iterator[bytes]:
    """The lines of the file, each with its newline."""
    head = {
        "format": FORMAT,
        "prefix": recording.prefix,
        "partitions": recording.partitions,
        "taken_ms": recording.taken_ms,
        "committed": [[*key, offset] for key, offset in recording.committed.items()],
        "spans": [[*key, span.first, span.stable, span.high] for key, span in recording.spans.items()],
    }
    yield orjson.dumps(head) + b"\n"
    for record in recording.records:
        yield orjson.dumps(_to_json(record)) + b"\n"


def parse(source: Iterable[bytes]) -> Recording:
    """Raises RecordingError, which names the first invalid line."""
    numbered = enumerate(source, 1)
    head = next((_line(number, line, _head) for number, line in numbered), None)
    if head is None:
        raise RecordingError("The file is empty: it is not a recording.")
    return replace(head, records=tuple(_line(number, line, _record) for number, line in numbered))


def _line(number: int, line: bytes, convert: Callable[[Any], T]) -> T:
    try:
        return convert(orjson.loads(line))
    except (KeyError, TypeError, ValueError) as error:
        raise RecordingError(f"Line {number} is not a line of a recording ({type(error).__name__}).") from error


def _head(head: dict[str, Any]) -> Recording:
    if head["format"] != FORMAT:
        raise RecordingError(f"The file is not a recording of format {FORMAT}.")
    committed = {(topic, partition): offset for topic, partition, offset in head["committed"]}
    spans = {(topic, partition): Span(*offsets) for topic, partition, *offsets in head["spans"]}
    return Recording(head["prefix"], head["partitions"], (), committed, spans, head.get("taken_ms", 0))


def _to_json(record: Record) -> dict[str, Any]:
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "key": _base64(record.key),
        "value": _base64(record.value),
        "headers": [[name, _base64(value)] for name, value in record.headers],
    }


def _record(line: dict[str, Any]) -> Record:
    headers = tuple((name, _bytes(value)) for name, value in line["headers"])
    origin = (line["topic"], line["partition"], line["offset"], line["timestamp_ms"])
    return Record(*origin, _bytes(line["key"]), _bytes(line["value"]), headers)


def _base64(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode()


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else b64decode(value, validate=True)
