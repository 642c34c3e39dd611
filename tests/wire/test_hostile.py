"""Hostile records: the reader returns an input or raises InvalidRecord, and never repeats any content."""

import traceback
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.wire.envelope import Headers
from app.wire.invalid_record import InvalidRecord
from app.wire.reader import Reader
from tests.wire.values import ORDER, SAMPLES, STRUCTURED, Value, encoded, headers, structured
from topologies.order import ORDER as SAGA

READER = Reader(SAGA)
KINDS = tuple(SAMPLES)
TOPICS = sorted({topic for topic, _ in KINDS})
CANARY = "canary-4711"

Splices = list[tuple[int, int, bytes]]

_KNOWN = ("ce_id", "ce_type", "ce_causationid", "content-type", "traceparent", "tracestate")
_WORDS = (*(type.encode() for _, type in KINDS), b"application/cloudevents+json")
_NAMES = st.sampled_from(_KNOWN) | st.text(max_size=9)
_CONTENTS = st.none() | st.sampled_from(_WORDS) | st.binary(max_size=30)
_HEADERS = st.none() | st.lists(st.tuples(_NAMES, _CONTENTS), max_size=8)
_SPLICES = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 9), st.binary(max_size=9)), max_size=2)


def spliced(value: bytes, splices: Splices) -> bytes:
    """The value with some bytes removed and others inserted."""
    for at, removed, inserted in splices:
        value = value[:at] + inserted + value[at + removed :]
    return value


@given(st.sampled_from(TOPICS), st.none() | st.binary(max_size=9), st.none() | st.binary(max_size=80), _HEADERS)
def test_arbitrary_records_are_invalid(
    topic: str, key: bytes | None, value: bytes | None, others: Headers | None
) -> None:
    """For arbitrary keys, values and headers only InvalidRecord is raised, and no input is read."""
    with pytest.raises(InvalidRecord):
        READER.read(topic, key, value, others)


@given(st.sampled_from(KINDS), _SPLICES, _HEADERS)
def test_a_damaged_message_is_an_input_or_invalid(
    kind: tuple[str, str], splices: Splices, others: Headers | None
) -> None:
    """In either mode nothing but InvalidRecord is raised."""
    topic, type = kind
    for value, own in ((encoded(SAMPLES[kind]), headers(type)), (structured(type, SAMPLES[kind]), STRUCTURED)):
        with suppress(InvalidRecord):
            received = READER.read(topic, b"o-1", spliced(value, splices), [*own, *(others or ())])
            assert received.saga_id == "o-1"


def broken_values() -> Iterator[bytes]:
    """Values other than a JSON object, with the canary in them."""
    word = CANARY.encode()
    yield from (word, b'"' + word, b'["' + word + b'"]', b'{"order_id":NaN' + word, word + b" " * 65_536)
    yield from (b'{"' + word + b'":1,"' + word + b'":2}', b'{"a":' * 40 + word)
    yield from (b'{"a":"' + word + b'\xff"}', b'{"a":"' + word + rb'\ud800"}', b'{"' + word + b'":1' + word)


def broken_fields(sample: Value) -> Iterator[bytes]:
    """A sample with the canary in place of a field's value, or with too much of it."""
    for name in sample:
        yield encoded({**sample, name: [CANARY]})
        yield encoded({**sample, name: CANARY * 200})
        yield encoded({**sample, name: {"currency": CANARY, "minor": CANARY, CANARY: CANARY}})
        yield encoded({**sample, name: [{"sku": CANARY, "quantity": CANARY, "unit_price": {"currency": CANARY}}]})


def broken_headers(type: str) -> Iterator[Headers]:
    """Headers with the canary in them; each makes a reply invalid."""
    for content in (CANARY.encode() + b"\xff", CANARY.encode() * 200):
        yield from (headers(type, **{name: content}) for name in ("ce_id", "ce_type", "ce_causationid"))
    yield headers(CANARY)


def invalid_records() -> Iterator[tuple[str, bytes | None, bytes | None, Headers]]:
    """Records that are invalid in every possible way, each with the canary in it."""
    for (topic, type), sample in SAMPLES.items():
        for value in (*broken_values(), *broken_fields(sample)):
            yield topic, b"o-1", value, headers(type)
            yield topic, b"o-1", value, STRUCTURED
        for given_headers in broken_headers(type):
            yield topic, b"o-1", encoded(sample), given_headers
        yield topic, CANARY.encode(), encoded(sample), headers(type)
        yield topic, b"o-1", structured(type, CANARY), STRUCTURED
        yield topic, b"o-1", structured(CANARY, sample), STRUCTURED
        yield topic, b"o-1", structured(type, sample, id=[CANARY]), STRUCTURED


def test_no_error_repeats_any_content() -> None:
    """Neither the sentence for the dead letter nor its traceback shows any content of a record."""
    codes = set()
    for record in invalid_records():
        with pytest.raises(InvalidRecord) as caught:
            READER.read(*record)
        codes.add(caught.value.code)
        assert CANARY not in f"{caught.value!s} {caught.value!r} {caught.value.message}"
        assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert codes == {"malformed", "too_large", "unknown_type", "invalid", "wrong_key"}


def test_markup_and_formulas_are_text() -> None:
    """They are read unchanged: a program that displays them must escape them."""
    text = "<script>alert(1)</script>'; DROP TABLE orders; --\r\n=cmd|'/c calc'!A1 \u202egnp.exe \0"
    value = encoded({**ORDER, "customer_id": text})
    place = READER.read("order.requests", b"o-1", value, headers("order.place")).given
    assert getattr(place, "order", {})["customer_id"] == text
