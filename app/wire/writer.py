"""The records that the orchestrator writes: commands, outcomes, events, dead letters; their bytes are built once."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from app.saga.definition import Saga
from app.saga.immutable import immutable
from app.saga.message_ids import outcome_id
from app.saga.outputs import SendCommand, outputs_of
from app.saga.verdict import Decision
from app.wire.envelope import MAX_HEADER_BYTES, UNREADABLE, Headers, cloudevent_headers, header_bytes
from app.wire.invalid_record import InvalidRecord
from app.wire.rfc3339 import rfc3339
from app.wire.topics import DEAD_LETTERS, EVENTS, OUTCOMES

SOURCE = b"/saga-orchestrator"
MAX_DEAD_LETTER_BYTES = 256 * 1024
ERRORS = "__saga.errors."


class OutputRecord(NamedTuple):
    """A record to produce: `topic` is without prefix; a partition of None is that of the saga which was decided."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    partition: int | None = None


@immutable
class Origin:
    """The position of an input record: topic with prefix, partition, offset, and timestamp (ms since 1970)."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int


@immutable
class Cause:
    """The cause of a decision, an input or a timer; `id` becomes `ce_causationid` of the messages that it sends."""

    fields: dict[str, Any]
    id: str
    trace: tuple[tuple[str, bytes], ...] = ()

    def untraced(self) -> "Cause":
        """The same cause, for messages that get another trace."""
        return Cause(self.fields, self.id) if self.trace else self


def input_cause(origin: Origin, id: str, type: str, trace: tuple[tuple[str, bytes], ...]) -> Cause:
    """The cause of a decision on an input."""
    fields = {"topic": origin.topic, "partition": origin.partition, "offset": origin.offset, "id": id, "type": type}
    return Cause(fields, id, trace)


def timer_cause(timer: str, due_ms: int, id: str, trace: tuple[tuple[str, bytes], ...] = ()) -> Cause:
    """The cause of a decision on a timer: the id of the attempt before it, and the trace of its saga."""
    return Cause({"timer": timer, "due": rfc3339(due_ms)}, id, trace)


def write(saga: Saga, saga_id: str, decision: Decision, cause: Cause, at_ms: int) -> list[OutputRecord]:
    """The records of a decision taken at a time (ms since 1970): its events first, then the messages that it sends."""
    key, at, seq = saga_id.encode(), rfc3339(at_ms), decision.progress.seq
    data = decision.progress.state.data  # type: ignore[union-attr] # a decision's saga has started
    document = {
        "saga_id": saga_id,
        "saga": data.saga,
        "version": data.version,
        "seq": seq,
        "at": at,
        "cause": cause.fields,
        "events": decision.events,
    }
    records = [OutputRecord(EVENTS.name, key, orjson.dumps(document), ())]
    for output in outputs_of(saga, saga_id, decision):
        value = orjson.dumps(output.value)
        if isinstance(output, SendCommand):
            headers = cloudevent_headers(output.id, output.type, SOURCE, at, key, cause.id, cause.trace)
            headers.append(("ce_idempotencykey", output.idempotency_key.encode()))
            records.append(OutputRecord(output.topic, key, value, headers))
        else:
            id = outcome_id(saga_id, data.started_ms, seq)
            headers = cloudevent_headers(id, output.type, SOURCE, at, key, cause.id, cause.trace)
            records.append(OutputRecord(OUTCOMES.name, key, value, headers))
    return records


def dead_letter(
    origin: Origin, key: bytes | None, value: bytes | None, headers: Headers | None, bad: InvalidRecord
) -> OutputRecord:
    """The record as received, with the reason in its headers; truncated if it would not fit into a record."""
    errors = [
        ("reason", bad.code),
        ("message", bad.message),
        ("topic", origin.topic),
        ("partition", str(origin.partition)),
        ("offset", str(origin.offset)),
        ("timestamp", str(origin.timestamp_ms)),
    ]
    kept = _fitting(headers or ())
    truncated = len(value or b"") > MAX_DEAD_LETTER_BYTES or len(key or b"") > MAX_HEADER_BYTES
    if truncated or headers is UNREADABLE or len(kept) < len(headers or ()):
        errors.append(("truncated", "true"))
        errors.append(("sha256", sha256(value or b"").hexdigest()))
    value_start = value[:MAX_DEAD_LETTER_BYTES] if value is not None else None
    key = key[:MAX_HEADER_BYTES] if key is not None else None
    error_headers = [(ERRORS + name, text.encode()) for name, text in errors]
    return OutputRecord(DEAD_LETTERS.name, key, value_start, [*kept, *error_headers], origin.partition)


def _fitting(headers: Headers) -> list[tuple[str, bytes | None]]:
    """The first headers, as many as fit beside a value."""
    kept, size = [], 0
    for header in headers:
        size += header_bytes((header,))
        if size > MAX_HEADER_BYTES:
            break
        kept.append(header)
    return kept
