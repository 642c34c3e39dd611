"""Dead letters: the record as received, the reason, and never more than fits into a record."""

from hashlib import sha256
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.wire.envelope import Headers, header_bytes
from app.wire.invalid_record import Code, InvalidRecord
from app.wire.writer import Origin, OutputRecord, dead_letter

ORIGIN = Origin("pre.order.requests", 3, 17, 1_772_357_400_125)
BAD = InvalidRecord("invalid", "order_id must be there")
ERROR_HEADERS: Headers = [
    ("__saga.errors.reason", b"invalid"),
    ("__saga.errors.message", b"order_id must be there"),
    ("__saga.errors.topic", b"pre.order.requests"),
    ("__saga.errors.partition", b"3"),
    ("__saga.errors.offset", b"17"),
    ("__saga.errors.timestamp", b"1772357400125"),
]
MAX_BYTES = 256 * 1024
KAFKAS_LIMIT = 1_000_000  # bytes: a client's default limit for a record


def letter(key: bytes | None, value: bytes | None, headers: Headers | None) -> OutputRecord:
    """The dead letter of a record."""
    return dead_letter(ORIGIN, key, value, headers, BAD)


def truncation_headers(value: bytes | None) -> Headers:
    """The headers that only a truncated record has."""
    return [
        ("__saga.errors.truncated", b"true"),
        ("__saga.errors.sha256", sha256(value or b"").hexdigest().encode()),
    ]


def wire_bytes(record: OutputRecord) -> int:
    """An upper bound of the record's bytes in a topic."""
    return len(record.key or b"") + len(record.value or b"") + header_bytes(record.headers) + 64


@pytest.mark.parametrize("key", (None, b"", b"o-1", b"\xff\0"))
@pytest.mark.parametrize("value", (None, b"", b"{}", b"\xff\0" * 1000))
@pytest.mark.parametrize("headers", (None, [], [("ce_id", b"m-1"), ("ce_id", None), ("", b""), ("\u00e9", b"\xff\0")]))
def test_a_record_is_kept_as_it_came(key: bytes | None, value: bytes | None, headers: Headers | None) -> None:
    """Raw key, value and headers, then the reason, in the partition of the record."""
    expected = OutputRecord("saga.dead-letters", key, value, [*(headers or ()), *ERROR_HEADERS], 3)
    assert letter(key, value, headers) == expected


@pytest.mark.parametrize("code", get_args(Code))
def test_each_code_has_a_header(code: Code) -> None:
    """The code and the sentence have a header each."""
    headers = dict(dead_letter(ORIGIN, b"k", b"v", (), InvalidRecord(code, "why")).headers)
    assert headers["__saga.errors.reason"] == code.encode()
    assert headers["__saga.errors.message"] == b"why"


def test_the_codes_are_the_contracts() -> None:
    """No code is missing or new."""
    expected = "malformed too_large unknown_type invalid conflict unknown_order wrong_key"
    assert sorted(get_args(Code)) == sorted(expected.split())


def test_a_value_of_256_kib_is_whole() -> None:
    """Up to the limit nothing is truncated, and no header says so."""
    assert letter(b"k", b"v" * MAX_BYTES, ()) == OutputRecord(
        "saga.dead-letters", b"k", b"v" * MAX_BYTES, ERROR_HEADERS, 3
    )


@pytest.mark.parametrize("more", (1, 10_000_000))
def test_a_longer_value_is_truncated(more: int) -> None:
    """To 256 KiB, with the digest of the whole value."""
    value = b"\xc3\xa9" * (MAX_BYTES // 2) + b"v" * more
    assert letter(b"k", value, [("a", b"1")]) == OutputRecord(
        "saga.dead-letters", b"k", value[:MAX_BYTES], [("a", b"1"), *ERROR_HEADERS, *truncation_headers(value)], 3
    )


@pytest.mark.parametrize("value", (None, b"v"))
def test_headers_too_large_are_left_out(value: bytes | None) -> None:
    """The first headers that fit are kept whole, in order; the record is marked as truncated."""
    headers: Headers = [("first", b"1"), ("second", b"2"), ("huge", b"x" * 1_000_000), ("last", b"3")]
    assert letter(b"k", value, headers).headers == [*headers[:2], *ERROR_HEADERS, *truncation_headers(value)]


def test_headers_that_just_fit_are_kept() -> None:
    """The bound is on their bytes on the wire, including names and lengths."""
    fits = [("h", b"x" * (MAX_BYTES - 1 - 10))]
    assert letter(b"k", b"v", fits).headers == [*fits, *ERROR_HEADERS]
    assert letter(b"k", b"v", [("h", b"x" * (MAX_BYTES - 10))]).headers == [*ERROR_HEADERS, *truncation_headers(b"v")]


def test_a_huge_key_is_truncated() -> None:
    """To 256 KiB; the record is marked."""
    record = letter(b"k" * 1_000_000, b"v", ())
    assert record.key == b"k" * MAX_BYTES
    assert record.headers == [*ERROR_HEADERS, *truncation_headers(b"v")]


@pytest.mark.parametrize(
    "headers",
    (
        [("\U0001f600" * 250_000, b"")],
        [("", None)] * 300_000,
        [("\U0001f600", None)] * 300_000,
        [(str(number), b"x" * 100) for number in range(10_000)],
    ),
)
def test_a_dead_letter_fits_into_a_topic(headers: Headers) -> None:
    """However large the record: neither many headers nor long names in any script make it too large to produce."""
    record = letter(b"k" * 1_000_000, b"v" * 1_000_000, headers)
    assert wire_bytes(record) < KAFKAS_LIMIT
    assert ("__saga.errors.truncated", b"true") in record.headers


def test_forged_reasons_do_not_replace_the_true_ones() -> None:
    """A dead letter that is sent again has such headers already: ours come last, where consumers look."""
    forged: Headers = [("__saga.errors.reason", b"fine"), ("__saga.errors.offset", b"0")]
    record = letter(b"k", b"v", forged)
    assert record.headers == [*forged, *ERROR_HEADERS]
    assert dict(record.headers)["__saga.errors.reason"] == b"invalid"


@given(
    st.none() | st.binary(max_size=9),
    st.none() | st.binary(max_size=99),
    st.none() | st.lists(st.tuples(st.text(max_size=9), st.none() | st.binary(max_size=9))),
)
def test_any_record_can_be_a_dead_letter(key: bytes | None, value: bytes | None, headers: Headers | None) -> None:
    """A small record is kept to the byte."""
    record = letter(key, value, headers)
    assert (record.key, record.value) == (key, value)
    assert list(record.headers) == [*(headers or ()), *ERROR_HEADERS]
