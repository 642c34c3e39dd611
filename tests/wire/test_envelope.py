"""The CloudEvents envelope: binary and structured mode, and headers that strangers abuse."""

import pytest

from app.wire import envelope
from app.wire.bad import Bad
from app.wire.envelope import Envelope, Headers, header_bytes
from tests.wire.values import COMMAND, STRUCTURED, encoded, headers, structured

PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def refusal(value: bytes | None, given: Headers | None) -> str:
    """The code with which a record is refused."""
    with pytest.raises(Bad) as caught:
        envelope.read(value, given)
    return caught.value.code


def nested(depth: int) -> dict[str, object]:
    """An object in an object, so deep."""
    return {"a": nested(depth - 1)} if depth > 1 else {}


def trace(given: Headers, value: bytes = b"{}") -> dict[str, bytes]:
    """What of a record's trace is passed on."""
    return dict(envelope.read(value, given).trace)


def test_binary_mode_is_read_from_the_headers() -> None:
    """Id, type and cause come from headers, the data is the value."""
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
    """With its content type in any case, everything is in the value, and other headers don't count."""
    value = structured("t", {"a": 1})
    assert envelope.read(value, [("content-type", content_type)]) == Envelope("m-1", "t", COMMAND, {"a": 1}, ())
    both = [*headers("other", ce_id=b"other"), ("content-type", content_type)]
    assert envelope.read(value, both) == Envelope("m-1", "t", COMMAND, {"a": 1}, ())


@pytest.mark.parametrize(
    "content_type", (None, b"", b"application/json", b"text/plain", b"application/cloudevents-batch+json", b"\xff")
)
def test_any_other_content_type_is_binary_mode(content_type: bytes | None) -> None:
    """A missing, wrong or unreadable content type changes nothing."""
    assert envelope.read(b"{}", headers("t", **{"content-type": content_type})).type == "t"
    assert refusal(structured("t", {}), [("content-type", content_type)]) == "malformed"


def test_a_message_need_not_name_its_cause() -> None:
    """No cause is none, in both modes; so is a header without a value, and null."""
    assert envelope.read(b"{}", headers("t", ce_causationid=None)).causation is None
    assert envelope.read(b"{}", [("ce_id", b"m"), ("ce_type", b"t")]).causation is None
    assert envelope.read(structured("t", {}, causationid=...), STRUCTURED).causation is None
    assert envelope.read(structured("t", {}, causationid=None), STRUCTURED).causation is None


@pytest.mark.parametrize("name", ("ce_id", "ce_type"))
@pytest.mark.parametrize(
    "value", (None, b"", b"\xff", b"\xed\xa0\x80", b"x" * 1025, b"x" * 1_000_000, "\u00e9".encode() * 1025)
)
def test_a_header_that_says_nothing_is_malformed(name: str, value: bytes | None) -> None:
    """A required header must be 1 to 1,024 characters of UTF-8."""
    assert refusal(b"{}", headers("t", **{name: value})) == "malformed"
    assert refusal(b"{}", [header for header in headers("t") if header[0] != name]) == "malformed"


def test_a_header_may_be_long() -> None:
    """1,024 characters pass, of whatever length in bytes."""
    assert envelope.read(b"{}", headers("t", ce_id=b"x" * 1024)).id == "x" * 1024
    assert envelope.read(b"{}", headers("t", ce_id="\U0001f600".encode() * 1024)).id == "\U0001f600" * 1024


@pytest.mark.parametrize("value", (b"", b"\xff", b"x" * 1025))
def test_a_cause_that_says_nothing_is_malformed(value: bytes) -> None:
    """Where a cause is named, it must be one."""
    assert refusal(b"{}", headers("t", ce_causationid=value)) == "malformed"


@pytest.mark.parametrize("given", (None, [], (), [("", None)], [("ce_id", None), ("ce_type", None)]))
def test_no_headers_are_malformed(given: Headers | None) -> None:
    """A record that says nothing of itself belongs to nobody."""
    assert refusal(b"{}", given) == "malformed"


@pytest.mark.parametrize("attribute", ("id", "type"))
@pytest.mark.parametrize("value", (..., None, "", 1, True, [], {}, "x" * 1025))
def test_an_attribute_that_says_nothing_is_malformed(attribute: str, value: object) -> None:
    """A required attribute must be a string of 1 to 1,024 characters."""
    event = {"id": "m-1", "type": "t", "data": {}, attribute: value}
    assert refusal(encoded({name: part for name, part in event.items() if part is not ...}), STRUCTURED) == "malformed"


@pytest.mark.parametrize("value", ("", 1, True, [], "x" * 1025))
def test_a_cause_attribute_that_says_nothing_is_malformed(value: object) -> None:
    """Where a cause is named, it must be one."""
    assert refusal(structured("t", {}, causationid=value), STRUCTURED) == "malformed"


@pytest.mark.parametrize("data", (..., None, 1, "{}", [], [{}], True))
def test_structured_data_must_be_an_object(data: object) -> None:
    """Data that are missing, no object or a string of JSON are refused."""
    assert refusal(structured("t", data), STRUCTURED) == "malformed"


def test_structured_base64_data_are_malformed() -> None:
    """Data in base64 are not unpacked, whatever is in them."""
    assert refusal(structured("t", ..., data_base64="eyJhIjoxfQ=="), STRUCTURED) == "malformed"


@pytest.mark.parametrize("value", (None, b"", b"null", b"[]", b"{}", b'{"id":"m","id":"m","type":"t","data":{}}'))
def test_structured_mode_is_strict_too(value: bytes | None) -> None:
    """The whole value is bound by the same rules as data."""
    assert refusal(value, STRUCTURED) == "malformed"


def test_structured_mode_is_a_level_of_its_own() -> None:
    """31 levels of data pass, and 32 make the value too deep."""
    assert envelope.read(structured("t", nested(31)), STRUCTURED).data == nested(31)
    assert refusal(structured("t", nested(32)), STRUCTURED) == "malformed"


def test_structured_mode_has_no_more_room() -> None:
    """The envelope counts as part of the value's 64 KiB."""
    room = 65_536 - len(structured("t", {"a": ""}))
    assert envelope.read(structured("t", {"a": "x" * room}), STRUCTURED).id == "m-1"
    assert refusal(structured("t", {"a": "x" * (room + 1)}), STRUCTURED) == "too_large"


def test_the_last_of_headers_with_one_name_counts() -> None:
    """A header sent again replaces the one before; one with no value takes it away."""
    assert envelope.read(b"{}", [*headers("t"), ("ce_id", b"m-2")]).id == "m-2"
    assert refusal(b"{}", [*headers("t"), ("ce_id", None)]) == "malformed"


def test_header_names_are_told_apart_by_case() -> None:
    """Kafka's headers have case, unlike HTTP's."""
    assert refusal(b"{}", [("CE_ID", b"m"), ("Ce_Type", b"t")]) == "malformed"


def test_ten_thousand_headers_do_no_harm() -> None:
    """Strangers' headers are ignored, however many and however large."""
    many: Headers = [(f"x-{number}", b"\xff" * 100) for number in range(10_000)]
    assert envelope.read(b"{}", [*many, *headers("t"), ("x", b"\0" * 1_000_000), ("", None)]).id == "m-1"


def test_forged_headers_do_no_harm() -> None:
    """Nothing but the contract's headers is read."""
    forged = [
        ("ce_correlationid", b"other"),
        ("__processed_offsets__", b"{}"),
        ("ce_data", b"{}"),
        ("saga_version", b"9"),
    ]
    assert envelope.read(b"{}", [*headers("t"), *forged]) == envelope.read(b"{}", headers("t"))


def test_a_trace_is_passed_on() -> None:
    """Both of its headers, in both modes, ready to be sent."""
    state = b"vendor=1"
    sent = {"traceparent": PARENT, "tracestate": state}
    assert trace(headers("t", traceparent=PARENT)) == {"traceparent": PARENT}
    assert trace([("tracestate", state), ("traceparent", PARENT), *headers("t")]) == sent
    value = structured("t", {}, traceparent=PARENT.decode(), tracestate=state.decode())
    assert trace(STRUCTURED, value) == sent


@pytest.mark.parametrize("value", (None, b"", b"x" * 1025, b"\xff", "\u00e9".encode()))
def test_a_trace_that_is_none_is_dropped(value: bytes | None) -> None:
    """What is empty, long or not ASCII goes no further, and takes its state along; the message itself is fine."""
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
def test_a_trace_that_nobody_could_follow_is_dropped(value: bytes) -> None:
    """What is not as W3C Trace Context has it goes no further: least of all ends of lines."""
    assert trace(headers("t", traceparent=value, tracestate=b"a=1")) == {}
    assert trace(STRUCTURED, structured("t", {}, traceparent=value.decode(), tracestate="a=1")) == {}


@pytest.mark.parametrize("value", (b"01" + PARENT[2:], b"cc" + PARENT[2:] + b"-what-comes.next"))
def test_a_trace_of_a_version_to_come_is_passed_on(value: bytes) -> None:
    """It begins as today's does, and may have more behind it."""
    assert trace(headers("t", traceparent=value)) == {"traceparent": value}


@pytest.mark.parametrize("value", (b"a=1\r\nx: y", b"a=\0", b"a=\x1b[31m", b"a=\x7f"))
def test_a_state_with_controls_is_dropped(value: bytes) -> None:
    """It says nothing, and its parent goes on without it."""
    assert trace(headers("t", traceparent=PARENT, tracestate=value)) == {"traceparent": PARENT}
    assert trace(headers("t", traceparent=PARENT, tracestate=b"a=1,\tb=2")) == {
        "traceparent": PARENT, "tracestate": b"a=1,\tb=2",
    }  # fmt: skip


@pytest.mark.parametrize("value", (None, "", "x" * 1025, "\u00e9", 1, ["00"], {}))
def test_a_structured_trace_that_is_none_is_dropped(value: object) -> None:
    """As in binary mode."""
    assert trace(STRUCTURED, structured("t", {}, traceparent=value, tracestate="a=1")) == {}
    parent = PARENT.decode()
    assert trace(STRUCTURED, structured("t", {}, traceparent=parent, tracestate=value)) == {"traceparent": PARENT}


def test_a_state_without_a_trace_is_dropped() -> None:
    """The state means nothing by itself."""
    assert trace(headers("t", tracestate=b"a=1")) == {}
    assert trace(STRUCTURED, structured("t", {}, tracestate="a=1")) == {}


def test_header_bytes_are_an_upper_bound() -> None:
    """Names count in UTF-8, no value counts nothing, and each header has two lengths of at most five bytes."""
    assert header_bytes(()) == 0
    assert header_bytes([("ab", b"c"), ("\u00e9", None)]) == 2 + 1 + 10 + 2 + 10
