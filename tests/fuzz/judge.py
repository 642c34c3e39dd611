"""What may come of a record: one dead letter, one copy for its own partition, nothing, or one whole decision."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Literal, get_args

import orjson
from jsonschema import Draft202012Validator

from app.engine.turn import Record
from app.saga.definition import Saga
from app.saga.evolve import advance
from app.saga.state import UNKNOWN, Progress
from app.wire import asyncapi
from app.wire.bad import Code
from app.wire.envelope import MAX_HEADER_BYTES, UNREADABLE, header_bytes
from app.wire.partition import partition_of
from app.wire.statedoc import encode
from app.wire.topics import DEAD_LETTERS, EVENTS, STATE, Topics
from app.wire.writer import ERRORS, MAX_DEAD_LETTER_BYTES, Out
from tests.fuzz.sagas import PARTITIONS
from tests.fuzz.world import Taken
from tests.wire.judge import resolved

Kind = Literal["dead letter", "sent on", "nothing", "decided"]
LARGEST = 1_000_000
"""Bytes that every topic takes in one record: the start of a pod checks it."""
_OVERHEAD = 128  # of a record beside its key, value and headers, and of the batch around it
_CODES = frozenset(get_args(Code))


def wire_bytes(out: Out) -> int:
    """How much room a record takes in a topic, at most."""
    return len(out.key or b"") + len(out.value or b"") + header_bytes(out.headers) + _OVERHEAD


class Judge:
    """Knows what the messages of a saga must be like. Raises AssertionError, with a sentence, for what may not be."""

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

    def judge(self, taken: Taken, *, by_schema: bool = True) -> Kind:
        """What came of a record; whether messages are as their schemas say is asked only when told so."""
        outs = taken.outs
        for out in outs:
            _assert(wire_bytes(out) < LARGEST, f"a record for {out.topic} is too large to be sent")
        if any(out.topic == DEAD_LETTERS.name for out in outs):
            self._dead_letter(taken)
            return "dead letter"
        if outs and outs[0].topic == taken.topic:
            self._sent_on(taken)
            return "sent on"
        if not outs:
            self._nothing(taken)
            return "nothing"
        self._decided(taken)
        if by_schema:
            self._as_said(taken)
        return "decided"

    def _dead_letter(self, taken: Taken) -> None:
        (out,), record = _one(taken.outs), taken.record
        last = {name.removeprefix(ERRORS): text or b"" for name, text in out.headers if name.startswith(ERRORS)}
        told = {name: text.decode() for name, text in last.items()}
        origin = record.origin
        _assert(told["reason"] in _CODES and told["message"] != "", "a dead letter says why")
        place = (told["topic"], told["partition"], told["offset"], told["timestamp"])
        _assert(
            place == (origin.topic, str(origin.partition), str(origin.offset), str(origin.timestamp_ms)),
            "a dead letter says where from",
        )
        _assert(out.partition == origin.partition, "a dead letter stays in its partition")
        _raw(out, record, cut="truncated" in told)
        _assert(not taken.documents, "a dead letter changes no state")
        _assert(not taken.gates_touched, "a dead letter takes no room")

    def _sent_on(self, taken: Taken) -> None:
        (out,), record = _one(taken.outs), taken.record
        home = partition_of(record.key or b"", PARTITIONS)
        _assert(out.partition == home != record.origin.partition, "a stray is sent to its own partition")
        same = (out.key, out.value, list(out.headers)) == (record.key, record.value, list(record.headers or ()))
        _assert(same, "a stray is sent on as it is")
        _assert(not taken.documents, "a stray changes no state")

    def _nothing(self, taken: Taken) -> None:
        _assert(not taken.documents, "what leaves no record changes no state")

    def _decided(self, taken: Taken) -> None:
        record, (event, *others) = taken.record, taken.outs
        key, before = record.key or b"", taken.before or UNKNOWN
        _assert(event.topic == EVENTS.name, "a decision begins with its events")
        _assert({out.topic for out in others} <= self._commands, "a decision leads to commands and outcomes alone")
        _assert({(out.key, out.partition) for out in taken.outs} == {(key, None)}, "all of it is of one order")
        _assert(partition_of(key, PARTITIONS) == record.origin.partition, "an order is decided in its own partition")
        document = orjson.loads(event.value or b"")
        cause = {name: document["cause"][name] for name in ("topic", "partition", "offset")}
        origin = record.origin
        _assert(list(cause.values()) == [origin.topic, origin.partition, origin.offset], "a decision names its cause")
        _assert((document["saga_id"].encode(), document["seq"]) == (key, before.seq + 1), "it is the next of its saga")
        after: Progress = advance(self._saga, before, document["events"])
        _assert(taken.documents == [(key, encode(after))], "the state is the fold of the events, and written once")

    def _as_said(self, taken: Taken) -> None:
        event, *others = taken.outs
        self._fits(EVENTS.name, orjson.loads(event.value or b""), None)
        self._fits(STATE.name, orjson.loads(taken.documents[0][1] or b""), None)
        for out in others:
            headers = {name: (text or b"").decode() for name, text in out.headers}
            self._fits(headers["ce_type"], orjson.loads(out.value or b""), headers)

    def _fits(self, name: str, value: Any, headers: Mapping[str, str] | None) -> None:
        flaw = next(self._payloads[name].iter_errors(value), None)
        _assert(flaw is None, f"{name} is as its schema says: {getattr(flaw, 'message', '')[:200]}")
        if headers is not None:
            flaw = next(self._headers[name].iter_errors(headers), None)
            _assert(
                flaw is None, f"the headers of {name} are as their schema says: {getattr(flaw, 'message', '')[:200]}"
            )


def _raw(out: Out, record: Record, *, cut: bool) -> None:
    """A dead letter is the record as it came, or the beginning of it and the digest of the whole value."""
    headers = list(record.headers or ())
    kept = list(out.headers)[: -8 if cut else -6]
    key = record.key[:MAX_HEADER_BYTES] if record.key is not None else None
    value = record.value[:MAX_DEAD_LETTER_BYTES] if record.value is not None else None
    _assert((out.key, out.value) == (key, value), "a dead letter is the record as it came")
    _assert(kept == headers[: len(kept)], "so are its headers")
    whole = (key, value, kept) == (record.key, record.value, headers) and record.headers is not UNREADABLE
    _assert(cut != whole, "it says if it was cut, and only then")
    if cut:
        digest = dict(out.headers)[f"{ERRORS}sha256"]
        _assert(digest == sha256(record.value or b"").hexdigest().encode(), "what was cut can be told by its digest")
        _assert(
            len(kept) == len(headers) or header_bytes(headers[: len(kept) + 1]) > MAX_HEADER_BYTES, "no more is cut"
        )


def _validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(schema)


def _one(outs: list[Out]) -> list[Out]:
    _assert(len(outs) == 1, "one record leads to one, and to nothing beside it")
    return outs


def _assert(holds: bool, law: str) -> None:  # noqa: FBT001 - reads as assert does, and stays when Python is told -O
    if not holds:
        raise AssertionError(law)
