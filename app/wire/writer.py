"""What the orchestrator writes: commands, outcomes, decisions, dead letters, as records whose bytes are built once."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from app.saga.definition import Saga
from app.saga.effects import SendCommand, effects
from app.saga.facts import fact
from app.saga.identity import outcome_id
from app.saga.verdict import Decision
from app.wire.bad import Bad
from app.wire.envelope import MAX_HEADER_BYTES, UNREADABLE, Headers, header_bytes, spoken
from app.wire.times import rfc3339
from app.wire.topics import DEAD_LETTERS, EVENTS, OUTCOMES

SOURCE = b"/saga-orchestrator"
MAX_DEAD_LETTER_BYTES = 256 * 1024
ERRORS = "__saga.errors."


class Out(NamedTuple):
    """A record to be written: topic without prefix; partition None leaves the choice to the partitioner."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    partition: int | None = None


@fact
class Origin:
    """Where a record came from: real topic name, partition, offset, and timestamp (ms since 1970)."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int


@fact
class Cause:
    """What led to a decision: an input, or a timer; `id` is what its commands name as their cause."""

    fields: dict[str, Any]
    id: str
    trace: tuple[tuple[str, bytes], ...] = ()


def input_cause(origin: Origin, id: str, type: str, trace: tuple[tuple[str, bytes], ...]) -> Cause:
    """The cause of what an input led to."""
    fields = {"topic": origin.topic, "partition": origin.partition, "offset": origin.offset, "id": id, "type": type}
    return Cause(fields, id, trace)


def timer_cause(timer: str, due_ms: int, command: str) -> Cause:
    """The cause of what a timer led to; `command` is the id of the attempt that it followed."""
    return Cause({"timer": timer, "due": rfc3339(due_ms)}, command)


def write(saga: Saga, saga_id: str, decision: Decision, cause: Cause, at_ms: int) -> list[Out]:
    """The records of a decision taken at a time (ms since 1970): its events first, then what they make it send."""
    key, at, seq = saga_id.encode(), rfc3339(at_ms), decision.progress.seq
    facts = decision.facts
    document = {
        "saga_id": saga_id,
        "saga": facts.saga,
        "version": facts.version,
        "seq": seq,
        "at": at,
        "cause": cause.fields,
        "events": decision.events,
    }
    out = [Out(EVENTS.name, key, orjson.dumps(document), ())]
    for effect in effects(saga, saga_id, decision):
        value = orjson.dumps(effect.value)
        if isinstance(effect, SendCommand):
            headers = spoken(effect.id, effect.type, SOURCE, at, key, cause.id, cause.trace)
            headers.append(("ce_idempotencykey", effect.effect.encode()))
            out.append(Out(effect.topic, key, value, headers))
        else:
            id = outcome_id(saga_id, facts.started_ms, seq)
            headers = spoken(id, effect.type, SOURCE, at, key, cause.id, cause.trace)
            out.append(Out(OUTCOMES.name, key, value, headers))
    return out


def dead_letter(origin: Origin, key: bytes | None, value: bytes | None, headers: Headers | None, bad: Bad) -> Out:
    """A record as it came, with why it could not be taken in; cut where it would not fit into a topic again."""
    errors = [
        ("reason", bad.code),
        ("message", bad.message),
        ("topic", origin.topic),
        ("partition", str(origin.partition)),
        ("offset", str(origin.offset)),
        ("timestamp", str(origin.timestamp_ms)),
    ]
    kept = _fitting(headers or ())
    cut = len(value or b"") > MAX_DEAD_LETTER_BYTES or len(key or b"") > MAX_HEADER_BYTES
    if cut or headers is UNREADABLE or len(kept) < len(headers or ()):
        errors.append(("truncated", "true"))
        errors.append(("sha256", sha256(value or b"").hexdigest()))
    shown = value[:MAX_DEAD_LETTER_BYTES] if value is not None else None
    key = key[:MAX_HEADER_BYTES] if key is not None else None
    marks = [(ERRORS + name, text.encode()) for name, text in errors]
    return Out(DEAD_LETTERS.name, key, shown, [*kept, *marks], origin.partition)


def _fitting(headers: Headers) -> list[tuple[str, bytes | None]]:
    """As many of the first headers as fit beside a value."""
    kept, size = [], 0
    for header in headers:
        size += header_bytes((header,))
        if size > MAX_HEADER_BYTES:
            break
        kept.append(header)
    return kept
