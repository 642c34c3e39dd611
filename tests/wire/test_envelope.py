"""The CloudEvents envelope: binary and structured mode, and hostile headers."""

import pytest

from app.wire import envelope
from app.wire.envelope import Envelope, Headers, header_bytes
from app.wire.invalid_record import InvalidRecord
from tests.wire.values import COMMAND, STRUCTURED, encoded, headers, structured

PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def refusal(value: bytes | None, given: Headers | None) -> str:
    """The code with which a record is refused."""
    with pytest.raises(InvalidRecord) as caught:
        envelope.read(value, given)
    return caught.value.code


def nested(depth: int) -> dict[str, object]:
    """An object with this many levels."""
    return {"a": nested(depth - 1)} if depth > 1 else {}


def trace(given: Headers, value: bytes = b"{}") -> dict[str, bytes]:
    """The trace headers that are propagated."""
    return dict(envelope.read(value, given).trace)


def test_binary_mode_is_read_from_the_headers() -> None:
    """Id, type and cause are in headers; the data is the value."""
    read = envelope.read(b'{"a":1}', headers("t", **{"content-type": b"application/json"}))
    assert read == Envelope("m-1", "t", COMMAND, {"a": 1}, ())


@pytest.mark.parametrize(
    "content_type",
    (
        b"application/cloudevents+json",
        b"application/cloudevents+json; charset=utf-8",
        b"Application/CloudEvents+JSON; charset=UTF-8",
    ),
)
def test_structured_mode_is_read_from_the_value(content_type: bytes) -> None:
    """The content type may have any case. Everything is in the value, and other headers don't count."""
    value = structured("t", {"a": 1})
    assert envelope.read(value, [("content-type", content_type)]) == Envelope("m-1", "t", COMMAND, {"a": 1}, ())
    both = [*headers("other", ce_id=b"other"), ("content-type", content_type)]
    assert envelope.read(value, both) == Envelope("m-1", "t", COMMAND, {"a": 1}, ())


@pytest.mark.parametrize(
    "content_type", (None, b"", b"application/json", b"text/plain", b"application/cloudevents-batch+json", b"\xff")
)
def test_any_other_content_type_is_binary_mode(content_type: bytes | None) -> None:
    """Including a missing or unreadable one."""
    assert envelope.read(b"{}", headers("t", **{"content-type": content_type})).type == "t"
    assert refusal(structured("t", {}), [("content-type", content_type)]) == "malformed"


def test_a_message_need_not_name_its_cause() -> None:
    """In both modes; a header without a value, or null, is no cause either."""
    assert envelope.read(b"{}", headers("t", ce_causationid=None)).causation is None
    assert envelope.read(b"{}", [("ce_id", b"m"), ("ce_type", b"t")]).causation is None
    assert envelope.read(structured("t", {}, causationid=...), STRUCTURED).causation is None
    assert envelope.read(structured("t", {}, causationid=None), STRUCTURED).causation is None


@pytest.mark.parametrize("name", ("ce_id", "ce_type"))
@pytest.mark.parametrize(
    "value", (None, b"", b"\xff", b"\xed\xa0\x80", b"x" * 1025, b"x" * 1_000_000, "\u00e9".encode() * 1025)
)
def test_an_invalid_required_header_is_malformed(name: str, value: bytes | None) -> None:
    """It must be 1 to 1,024 characters of UTF-8."""
    assert refusal(b"{}", headers("t", **{name: value})) == "malformed"
    assert refusal(b"{}", [header for header in headers("t") if header[0] != name]) == "malformed"


def test_a_header_may_be_long() -> None:
    """1,024 characters pass, whatever their length in bytes."""
    assert envelope.read(b"{}", headers("t", ce_id=b"x" * 1024)).id == "x" * 1024
    assert envelope.read(b"{}", headers("t", ce_id="\U0001f600".encode() * 1024)).id == "\U0001f600" * 1024


@pytest.mark.parametrize("value", (b"", b"\xff", b"x" * 1025))
def test_an_invalid_cause_header_is_malformed(value: bytes) -> None:
    """The cause is optional, but not arbitrary."""
    assert refusal(b"{}", headers("t", ce_causationid=value)) == "malformed"


@pytest.mark.parametrize("given", (None, [], (), [("", None)], [("ce_id", None), ("ce_type", None)]))
def test_no_headers_are_malformed(given: Headers | None) -> None:
    """A record without an id and a type can't be read."""
    assert refusal(b"{}", given) == "malformed"


@pytest.mark.parametrize("attribute", ("id", "type"))
@pytest.mark.parametrize("value", (..., None, "", 1, True, [], {}, "x" * 1025))
def test_an_invalid_required_attribute_is_malformed(attribute: str, value: object) -> None:
    """It must be a string of 1 to 1,024 characters."""
    event = {"id": "m-1", "type": "t", "data": {}, attribute: value}
    assert refusal(encoded({name: part for name, part in event.items() if part is not ...}), STRUCTURED) == "malformed"


@pytest.mark.parametrize("value", ("", 1, True, [], "x" * 1025))
def test_an_invalid_cause_attribute_is_malformed(value: object) -> None:
    """The cause is optional, but not arbitrary."""
    assert refusal(structured("t", {}, causationid=value), STRUCTURED) == "malformed"


@pytest.mark.parametrize("data", (..., None, 1, "{}", [], [{}], True))
def test_structured_data_must_be_an_object(data: object) -> None:
    """Missing data, a string of JSON, and anything else that is not an object are refused."""
    assert refusal(structured("t", data), STRUCTURED) == "malformed"


def test_structured_base64_data_are_malformed() -> None:
    """Data in base64 are not decoded."""
    assert refusal(structured("t", ..., data_base64="eyJhIjoxfQ=="), STRUCTURED) == "malformed"


@pytest.mark.parametrize("value", (None, b"", b"null", b"[]", b"{}", b'{"id":"m","id":"m","type":"t","data":{}}'))
def test_structured_mode_is_strict_too(value: bytes | None) -> None:
    """The rules for data apply to the whole value."""
    assert refusal(value, STRUCTURED) == "malformed"


def test_structured_mode_is_a_level_of_its_own() -> None:
    """31 levels of data pass, 32 are too deep."""
    assert envelope.read(structured("t", nested(31)), STRUCTURED).data == nested(31)
    assert refusal(structured("t", nested(32)), STRUCTURED) == "malformed"


def test_structured_mode_has_no_larger_limit() -> None:
    """The envelope is part of the value's 64 KiB."""
    left = 65_536 - len(structured("t", {"a": ""}))
    assert envelope.read(structured("t", {"a": "x" * left}), STRUCTURED).id == "m-1"
    assert refusal(structured("t", {"a": "x" * (left + 1)}), STRUCTURED) == "too_large"


def test_the_last_of_headers_with_one_name_counts() -> None:
    """A header that occurs again replaces the one before; without a value it removes it."""
    assert envelope.read(b"{}", [*headers("t"), ("ce_id", b"m-2")]).id == "m-2"
    assert refusal(b"{}", [*headers("t"), ("ce_id", None)]) == "malformed"


def test_header_names_are_case_sensitive() -> None:
    """Kafka's are, unlike HTTP's."""
    assert refusal(b"{}", [("CE_ID", b"m"), ("Ce_Type", b"t")]) == "malformed"


def test_ten_thousand_headers_do_no_harm() -> None:
    """Unknown headers are ignored, however many and however large."""
    many: Headers = [(f"x-{number}", b"\xff" * 100) for number in range(10_000)]
    assert envelope.read(b"{}", [*many, *headers("t"), ("x", b"\0" * 1_000_000), ("", None)]).id == "m-1"


def test_forged_headers_do_no_harm() -> None:
    """Only the contract's headers are read."""
    forged = [
        ("ce_correlationid", b"other"),
        ("__processed_offsets__", b"{}"),
        ("ce_data", b"{}"),
        ("saga_version", b"9"),
    ]
    assert envelope.read(b"{}", [*headers("t"), *forged]) == envelope.read(b"{}", headers("t"))


def test_a_trace_is_propagated() -> None:
    """Both of its headers, in both modes."""
    state = b"vendor=1"
    sent = {"traceparent": PARENT, "tracestate": state}
    assert trace(headers("t", traceparent=PARENT)) == {"traceparent": PARENT}
    assert trace([("tracestate", state), ("traceparent", PARENT), *headers("t")]) == sent
    value = structured("t", {}, traceparent=PARENT.decode(), tracestate=state.decode())
    assert trace(STRUCTURED, value) == sent


@pytest.mark.parametrize("value", (None, b"", b"x" * 1025, b"\xff", "\u00e9".encode()))
def test_an_unreadable_trace_is_dropped(value: bytes | None) -> None:
    """If it is empty, too long or not ASCII, together with its state. The message itself is valid."""
    assert trace(headers("t", traceparent=value, tracestate=b"a=1")) == {}
    assert trace(headers("t", traceparent=PARENT, tracestate=value)) == {"traceparent": PARENT}


@pytest.mark.parametrize(
    "value",
    (
        b"00-1",
        b"x",
        PARENT + b"\n",
        PARENT + b"\r\nx: y",
        PARENT[:-1] + b"\0",
        PARENT + b"-more",
        PARENT.upper(),
        b"ff" + PARENT[2:],
        b"0" + PARENT,
        b"00-" + b"0" * 32 + PARENT[35:],
        PARENT[:36] + b"0" * 16 + PARENT[52:],
        b"01" + PARENT[2:] + b"-\x1b[31m",
        b"01" + PARENT[2:] + b"more",
    ),
)
def test_an_invalid_trace_is_dropped(value: bytes) -> None:
    """If W3C Trace Context does not allow it, above all if it has line breaks."""
    assert trace(headers("t", traceparent=value, tracestate=b"a=1")) == {}
    assert trace(STRUCTURED, structured("t", {}, traceparent=value.decode(), tracestate="a=1")) == {}


@pytest.mark.parametrize("value", (b"01" + PARENT[2:], b"cc" + PARENT[2:] + b"-what-comes.next"))
def test_a_trace_of_a_future_version_is_propagated(value: bytes) -> None:
    """It starts like version 00, and may have more after that."""
    assert trace(headers("t", traceparent=value)) == {"traceparent": value}


@pytest.mark.parametrize("value", (b"a=1\r\nx: y", b"a=\0", b"a=\x1b[31m", b"a=\x7f"))
def test_a_state_with_controls_is_dropped(value: bytes) -> None:
    """A tracestate with control characters; its traceparent is propagated without it."""
    assert trace(headers("t", traceparent=PARENT, tracestate=value)) == {"traceparent": PARENT}
    assert trace(headers("t", traceparent=PARENT, tracestate=b"a=1,\tb=2")) == {
        "traceparent": PARENT, "tracestate": b"a=1,\tb=2",
    }  # fmt: skip


@pytest.mark.parametrize("value", (None, "", "x" * 1025, "\u00e9", 1, ["00"], {}))
def test_an_unreadable_structured_trace_is_dropped(value: object) -> None:
    """As in binary mode."""
    assert trace(STRUCTURED, structured("t", {}, traceparent=value, tracestate="a=1")) == {}
    parent = PARENT.decode()
    assert trace(STRUCTURED, structured("t", {}, traceparent=parent, tracestate=value)) == {"traceparent": PARENT}


def test_a_state_without_a_trace_is_dropped() -> None:
    """A tracestate means nothing without its traceparent."""
    assert trace(headers("t", tracestate=b"a=1")) == {}
    assert trace(STRUCTURED, structured("t", {}, tracestate="a=1")) == {}


def test_header_bytes_are_an_upper_bound() -> None:
    """Names count in UTF-8, a missing value counts 0, and each header has two lengths of at most five bytes."""
    assert header_bytes(()) == 0
    assert header_bytes([("ab", b"c"), ("\u00e9", None)]) == 2 + 1 + 10 + 2 + 10
