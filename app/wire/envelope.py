"""The CloudEvents envelope of a record: binary mode (attributes in headers) or structured mode (all in the value)."""

import re
from collections.abc import Sequence
from operator import methodcaller
from typing import Any, Protocol, cast

from app.saga.immutable import immutable
from app.wire.fields import MAX_TEXT
from app.wire.invalid_record import InvalidRecord
from app.wire.strict_json import Object, parse


class _Unreadable(tuple[tuple[str, bytes | None], ...]):
    __slots__ = ()


Headers = Sequence[tuple[str, bytes | None]]
UNREADABLE: Headers = _Unreadable()  # stands for headers that the client can't decode
MAX_HEADER_BYTES = 256 * 1024
_LENGTHS = 2 * 5  # bytes at most: a header's two lengths on the wire
_STRUCTURED = b"application/cloudevents+json"
# Version 00 ends after the flags, later versions may have more. Version ff and ids of zeros are invalid.
_IDS = rb"-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
_PARENT = re.compile(rb"00%b|(?!00|ff)[0-9a-f]{2}%b(?:-[!-~]*)?" % (_IDS, _IDS))
_STATE = re.compile(rb"[ -~\t]+")
# A call from Python is specialised once it is hot, and then nobody checks that the client has raised an error *and*
# returned a list with holes: the interpreter raises it at some later call. A call from C is always checked.
_read_headers = methodcaller("headers")


class HasHeaders(Protocol):
    """A record as a Kafka client returns it."""

    def headers(self) -> Any:
        """The headers. Raises SystemError or UnicodeDecodeError if the client can't decode a name."""


def headers_of(record: HasHeaders) -> Headers | None:
    """The headers of a record; UNREADABLE if the client can't decode them."""
    try:
        return cast("Headers | None", _read_headers(record))
    except (SystemError, UnicodeDecodeError):  # raised by the client if a header's name is not UTF-8
        return UNREADABLE


def cloudevent_headers(
    id: str, type: str, source: bytes, at: str, key: bytes, causation: str | None = None, trace: Headers = ()
) -> list[tuple[str, bytes | None]]:
    """The headers of a message in binary mode. `key` is the order id, `at` the time (RFC 3339, UTC)."""
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


@immutable
class Envelope:
    """A message's attributes, its data, and its trace headers, ready to be propagated."""

    id: str
    type: str
    causation: str | None
    data: Object
    trace: tuple[tuple[str, bytes], ...]


def read(value: bytes | None, headers: Headers | None) -> Envelope:
    """The envelope of a record. Raises InvalidRecord if it is malformed or too large."""
    if headers is UNREADABLE:
        raise InvalidRecord("malformed", "the name of a header is not UTF-8")
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
    """An upper bound of the headers' bytes on the wire."""
    return sum(len(name.encode()) + len(value or b"") + _LENGTHS for name, value in headers)


def _text(value: bytes | None, name: str) -> str:
    try:
        if value and len(value) <= MAX_TEXT:  # then it has no more characters either
            return value.decode()
        text = value.decode() if value else ""
    except UnicodeDecodeError as error:
        raise InvalidRecord("malformed", f"the header {name} is not UTF-8") from error
    if not 1 <= len(text) <= MAX_TEXT:
        raise InvalidRecord("malformed", f"the header {name} is missing, empty or longer than {MAX_TEXT} characters")
    return text


def _trace(parent: bytes | None, state: bytes | None) -> tuple[tuple[str, bytes], ...]:
    """The trace headers that are propagated: valid by W3C Trace Context, and no tracestate without its traceparent."""
    if not parent or len(parent) > MAX_TEXT or _PARENT.fullmatch(parent) is None:
        return ()
    if not state or len(state) > MAX_TEXT or _STATE.fullmatch(state) is None:
        return (("traceparent", parent),)
    return (("traceparent", parent), ("tracestate", state))


def _structured(event: Object) -> Envelope:
    data = event.get("data")
    if type(data) is not dict:
        raise InvalidRecord("malformed", "the data of the CloudEvent is not a JSON object")
    cause = event.get("causationid")
    return Envelope(
        _attribute(event, "id"),
        _attribute(event, "type"),
        None if cause is None else _attribute(event, "causationid"),
        data,
        _trace(_bytes(event.get("traceparent")), _bytes(event.get("tracestate"))),
    )


def _bytes(value: Any) -> bytes | None:
    return value.encode() if type(value) is str else None


def _attribute(event: Object, name: str) -> str:
    value = event.get(name)
    if type(value) is not str or not 1 <= len(value) <= MAX_TEXT:
        raise InvalidRecord("malformed", f"the attribute {name} of the CloudEvent is missing, empty or no short string")
    return value
