"""The CloudEvents envelope of a record, in binary mode (headers) or structured mode (all in the value)."""

import re
from collections.abc import Sequence
from typing import Any, Protocol, cast

from app.saga.facts import fact
from app.wire.bad import Bad
from app.wire.fields import MAX_TEXT
from app.wire.strict import Object, parse


class _Unreadable(tuple[tuple[str, bytes | None], ...]):
    __slots__ = ()


Headers = Sequence[tuple[str, bytes | None]]
UNREADABLE: Headers = _Unreadable()  # stands for headers of which the client can't even make a list
MAX_HEADER_BYTES = 256 * 1024
_LENGTHS = 2 * 5  # bytes: at most what a header's two lengths take on the wire
_STRUCTURED = b"application/cloudevents+json"
# Version 00 ends there, a later one may go on. There is no version ff, and an id of zeros is none.
_IDS = rb"-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
_PARENT = re.compile(rb"00%b|(?!00|ff)[0-9a-f]{2}%b(?:-[!-~]*)?" % (_IDS, _IDS))
_STATE = re.compile(rb"[ -~\t]+")


class HasHeaders(Protocol):
    """A record as a client gives it."""

    def headers(self) -> Any:
        """The headers, if the client can make a list of them."""


def headers_of(record: HasHeaders) -> Headers | None:
    """A record's headers, or UNREADABLE."""
    try:
        return cast("Headers | None", record.headers())
    except (SystemError, UnicodeDecodeError):  # so the client says that a header's name is not UTF-8
        return UNREADABLE


def spoken(
    id: str, type: str, source: bytes, at: str, key: bytes, causation: str | None = None, trace: Headers = ()
) -> list[tuple[str, bytes | None]]:
    """The headers of a message of the order with that key, in binary mode; `at` is its time (RFC 3339, UTC)."""
    cause = () if causation is None else (("ce_causationid", causation.encode()),)
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", id.encode()),
        ("ce_type", type.encode()),
        ("ce_source", source),
        ("ce_time", at.encode()),
        ("ce_correlationid", key),
        *cause,
        ("content-type", b"application/json"),
        *trace,
    ]


@fact
class Envelope:
    """What a message says of itself, its data, and the trace it belongs to (ready to be passed on)."""

    id: str
    type: str
    causation: str | None
    data: Object
    trace: tuple[tuple[str, bytes], ...]


def read(value: bytes | None, headers: Headers | None) -> Envelope:
    """The envelope of a record. Raises Bad when it is malformed or too large."""
    if headers is UNREADABLE:
        raise Bad("malformed", "the name of a header is not UTF-8")
    named = dict(headers) if headers else {}
    content_type = named.get("content-type")
    if content_type is not None and content_type.lower().startswith(_STRUCTURED):
        return _structured(parse(value))
    cause = named.get("ce_causationid")
    return Envelope(
        _text(named.get("ce_id"), "ce_id"),
        _text(named.get("ce_type"), "ce_type"),
        None if cause is None else _text(cause, "ce_causationid"),
        parse(value),
        _trace(named["traceparent"], named.get("tracestate")) if "traceparent" in named else (),
    )


def header_bytes(headers: Headers) -> int:
    """How many bytes headers take on the wire, at most."""
    return sum(len(name.encode()) + len(value or b"") + _LENGTHS for name, value in headers)


def _text(value: bytes | None, name: str) -> str:
    try:
        text = value.decode() if value else ""
    except UnicodeDecodeError as error:
        raise Bad("malformed", f"the header {name} is not UTF-8") from error
    if not 1 <= len(text) <= MAX_TEXT:
        raise Bad("malformed", f"the header {name} is missing, empty or longer than {MAX_TEXT} characters")
    return text


def _trace(parent: bytes | None, state: bytes | None) -> tuple[tuple[str, bytes], ...]:
    """What is passed on of a stranger's trace: what W3C Trace Context allows, and no state without its parent."""
    if not parent or len(parent) > MAX_TEXT or _PARENT.fullmatch(parent) is None:
        return ()
    if not state or len(state) > MAX_TEXT or _STATE.fullmatch(state) is None:
        return (("traceparent", parent),)
    return (("traceparent", parent), ("tracestate", state))


def _structured(whole: Object) -> Envelope:
    data = whole.get("data")
    if type(data) is not dict:
        raise Bad("malformed", "the data of the CloudEvent is not a JSON object")
    cause = whole.get("causationid")
    return Envelope(
        _attribute(whole, "id"),
        _attribute(whole, "type"),
        None if cause is None else _attribute(whole, "causationid"),
        data,
        _trace(_bytes(whole.get("traceparent")), _bytes(whole.get("tracestate"))),
    )


def _bytes(value: Any) -> bytes | None:
    return value.encode() if type(value) is str else None


def _attribute(whole: Object, name: str) -> str:
    value = whole.get(name)
    if type(value) is not str or not 1 <= len(value) <= MAX_TEXT:
        raise Bad("malformed", f"the attribute {name} of the CloudEvent is missing, empty or no short string")
    return value
