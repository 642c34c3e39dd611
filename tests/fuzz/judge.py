"""The allowed results of a record: one dead letter, one copy for its key's partition, nothing, or one decision."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Literal, get_args

import orjson
from jsonschema import Draft202012Validator

from app.engine.processor import Record
from app.saga.definition import Saga
from app.saga.evolve import fold
from app.saga.state import NO_SAGA, Progress
from app.wire import asyncapi
from app.wire.envelope import MAX_HEADER_BYTES, UNREADABLE, header_bytes
from app.wire.invalid_record import Code
from app.wire.partition import partition_of
from app.wire.state_codec import encode
from app.wire.topics import DEAD_LETTERS, EVENTS, STATE, Topics
from app.wire.writer import ERRORS, MAX_DEAD_LETTER_BYTES, OutputRecord
from tests.fuzz.harness import Result
from tests.fuzz.sagas import PARTITIONS
from tests.wire.schema_validation import resolved

Kind = Literal["dead letter", "rerouted", "nothing", "decided"]
LARGEST = 1_000_000
"""The record size (bytes) that every topic accepts: a pod checks it when it starts."""
_OVERHEAD = 128  # of a record besides key, value and headers, and of the batch around it
_CODES = frozenset(get_args(Code))


def wire_bytes(out: OutputRecord) -> int:
    """The size (bytes) of a record in a topic, at most."""
    return len(out.key or b"") + len(out.value or b"") + header_bytes(out.headers) + _OVERHEAD


class Judge:
    """Checks results against rules. Raises AssertionError, with the rule, for one that is broken."""

    def __init__(self, saga: Saga) -> None:
        self._saga = saga
        self._topics = Topics(saga)
        self._document = asyncapi.document(self._topics)
        self._commands = {topic.name for topic in (*self._topics.commands, *self._topics.outputs)} - {
            EVENTS.name,
            DEAD_LETTERS.name,
        }
        messages = resolved(self._document, self._document["components"]["messages"])
        self._payloads = {name: _validator(message["payload"]) for name, message in messages.items()}
        self._headers = {
            name: _validator(message["headers"]) for name, message in messages.items() if "headers" in message
        }

    def judge(self, result: Result, *, by_schema: bool = True) -> Kind:
        """Checks a result and returns its kind; a decision's messages are validated only with `by_schema`."""
        outs = result.outs
        for out in outs:
            _assert(wire_bytes(out) < LARGEST, f"a record for {out.topic} is too large to be sent")
        if any(out.topic == DEAD_LETTERS.name for out in outs):
            self._check_dead_letter(result)
            return "dead letter"
        if outs and outs[0].topic == result.topic:
            self._check_rerouted(result)
            return "rerouted"
        if not outs:
            self._check_nothing(result)
            return "nothing"
        self._check_decision(result)
        if by_schema:
            self._check_schemas(result)
        return "decided"

    def _check_dead_letter(self, result: Result) -> None:
        (out,), record = _single(result.outs), result.record
        found = {name.removeprefix(ERRORS): text or b"" for name, text in out.headers if name.startswith(ERRORS)}
        errors = {name: text.decode() for name, text in found.items()}
        origin = record.origin
        _assert(errors["reason"] in _CODES and errors["message"] != "", "a dead letter has a reason")
        named = (errors["topic"], errors["partition"], errors["offset"], errors["timestamp"])
        _assert(
            named == (origin.topic, str(origin.partition), str(origin.offset), str(origin.timestamp_ms)),
            "a dead letter has the record's coordinates",
        )
        _assert(out.partition == origin.partition, "a dead letter stays in its partition")
        _check_copy(out, record, truncated="truncated" in errors)
        _assert(not result.documents, "a dead letter changes no state")
        _assert(not result.admission_touched, "a dead letter takes no slot")

    def _check_rerouted(self, result: Result) -> None:
        (out,), record = _single(result.outs), result.record
        owner = partition_of(record.key or b"", PARTITIONS)
        _assert(out.partition == owner != record.origin.partition, "a misrouted record goes to its key's partition")
        unchanged = (out.key, out.value, list(out.headers)) == (record.key, record.value, list(record.headers or ()))
        _assert(unchanged, "a misrouted record is sent on unchanged")
        _assert(not result.documents, "a misrouted record changes no state")

    def _check_nothing(self, result: Result) -> None:
        _assert(not result.documents, "a record without outputs changes no state")

    def _check_decision(self, result: Result) -> None:
        record, (event, *others) = result.record, result.outs
        key, before = record.key or b"", result.before or NO_SAGA
        _assert(event.topic == EVENTS.name, "a decision begins with its events")
        _assert({out.topic for out in others} <= self._commands, "other outputs are commands and outcomes")
        _assert({(out.key, out.partition) for out in result.outs} == {(key, None)}, "all outputs are of one order")
        _assert(partition_of(key, PARTITIONS) == record.origin.partition, "an order is decided in its key's partition")
        document = orjson.loads(event.value or b"")
        cause = {name: document["cause"][name] for name in ("topic", "partition", "offset")}
        origin = record.origin
        _assert(list(cause.values()) == [origin.topic, origin.partition, origin.offset], "a decision names its cause")
        number = (document["saga_id"].encode(), document["seq"])
        _assert(number == (key, before.seq + 1), "a decision has the next number of its saga")
        after: Progress = fold(self._saga, before, document["events"], document["cause"]["id"])
        _assert(result.documents == [(key, encode(after))], "the state is the fold of the events, and is written once")

    def _check_schemas(self, result: Result) -> None:
        event, *others = result.outs
        self._check_schema(EVENTS.name, orjson.loads(event.value or b""), None)
        self._check_schema(STATE.name, orjson.loads(result.documents[0][1] or b""), None)
        for out in others:
            headers = {name: (text or b"").decode() for name, text in out.headers}
            self._check_schema(headers["ce_type"], orjson.loads(out.value or b""), headers)

    def _check_schema(self, name: str, value: Any, headers: Mapping[str, str] | None) -> None:
        flaw = next(self._payloads[name].iter_errors(value), None)
        _assert(flaw is None, f"{name} is valid by its schema: {getattr(flaw, 'message', '')[:200]}")
        if headers is not None:
            flaw = next(self._headers[name].iter_errors(headers), None)
            _assert(
                flaw is None, f"the headers of {name} are valid by their schema: {getattr(flaw, 'message', '')[:200]}"
            )


def _check_copy(out: OutputRecord, record: Record, *, truncated: bool) -> None:
    """A dead letter is the unchanged record, or the beginning of it with the digest of the whole value."""
    headers = list(record.headers or ())
    kept = list(out.headers)[: -8 if truncated else -6]
    key = record.key[:MAX_HEADER_BYTES] if record.key is not None else None
    value = record.value[:MAX_DEAD_LETTER_BYTES] if record.value is not None else None
    _assert((out.key, out.value) == (key, value), "a dead letter has key and value unchanged")
    _assert(kept == headers[: len(kept)], "a dead letter has the headers unchanged")
    complete = (key, value, kept) == (record.key, record.value, headers) and record.headers is not UNREADABLE
    _assert(truncated != complete, "a dead letter is marked as truncated if it is, and only then")
    if truncated:
        digest = dict(out.headers)[f"{ERRORS}sha256"]
        _assert(
            digest == sha256(record.value or b"").hexdigest().encode(),
            "a truncated dead letter has the digest of the whole value",
        )
        _assert(
            len(kept) == len(headers) or header_bytes(headers[: len(kept) + 1]) > MAX_HEADER_BYTES,
            "no more than needed is truncated",
        )


def _validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(schema)


def _single(outs: list[OutputRecord]) -> list[OutputRecord]:
    _assert(len(outs) == 1, "there is no other output")
    return outs


def _assert(condition: bool, rule: str) -> None:  # noqa: FBT001 - reads like assert, but python -O keeps it
    if not condition:
        raise AssertionError(rule)
