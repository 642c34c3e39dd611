"""Dead letters: the record as it came, why it could not be taken in, and no more than fits into a topic."""

from hashlib import sha256
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.wire.bad import Bad, Code
from app.wire.envelope import Headers, header_bytes
from app.wire.writer import Origin, Out, dead_letter

ORIGIN = Origin("pre.order.requests", 3, 17, 1_772_357_400_125)
BAD = Bad("invalid", "order_id must be there")
MARKS: Headers = [
    ("__saga.errors.reason", b"invalid"),
    ("__saga.errors.message", b"order_id must be there"),
    ("__saga.errors.topic", b"pre.order.requests"),
    ("__saga.errors.partition", b"3"),
    ("__saga.errors.offset", b"17"),
    ("__saga.errors.timestamp", b"1772357400125"),
]
ROOM = 256 * 1024
KAFKAS_LIMIT = 1_000_000  # bytes: what a client lets a record have when nobody told it otherwise


def letter(key: bytes | None, value: bytes | None, headers: Headers | None) -> Out:
    """The dead letter of a record."""
    return dead_letter(ORIGIN, key, value, headers, BAD)


def cut_marks(value: bytes | None) -> Headers:
    """The headers that only a cut record has."""
    return [
        ("__saga.errors.truncated", b"true"),
        ("__saga.errors.sha256", sha256(value or b"").hexdigest().encode()),
    ]


def wire_bytes(record: Out) -> int:
    """How much room a record takes in a topic, at most."""
    return len(record.key or b"") + len(record.value or b"") + header_bytes(record.headers) + 64


@pytest.mark.parametrize("key", (None, b"", b"o-1", b"\xff\0"))
@pytest.mark.parametrize("value", (None, b"", b"{}", b"\xff\0" * 1000))
@pytest.mark.parametrize("headers", (None, [], [("ce_id", b"m-1"), ("ce_id", None), ("", b""), ("\u00e9", b"\xff\0")]))
def test_a_record_is_kept_as_it_came(key: bytes | None, value: bytes | None, headers: Headers | None) -> None:
    """Raw key, value and headers, then the reasons, in the partition that it came from."""
    expected = Out("saga.dead-letters", key, value, [*(headers or ()), *MARKS], 3)
    assert letter(key, value, headers) == expected


@pytest.mark.parametrize("code", get_args(Code))
def test_each_code_is_told(code: Code) -> None:
    """The code and the sentence stand in headers of their own."""
    told = dict(dead_letter(ORIGIN, b"k", b"v", (), Bad(code, "why")).headers)
    assert told["__saga.errors.reason"] == code.encode()
    assert told["__saga.errors.message"] == b"why"


def test_the_codes_are_the_contracts() -> None:
    """No code is missing or new."""
    expected = "malformed too_large unknown_type invalid conflict unknown_order wrong_key"
    assert sorted(get_args(Code)) == sorted(expected.split())


def test_a_value_of_256_kib_is_whole() -> None:
    """Nothing is cut up to the limit, and nothing says so."""
    assert letter(b"k", b"v" * ROOM, ()) == Out("saga.dead-letters", b"k", b"v" * ROOM, MARKS, 3)


@pytest.mark.parametrize("more", (1, 10_000_000))
def test_a_longer_value_is_cut(more: int) -> None:
    """To 256 KiB, with the digest of the whole."""
    value = b"\xc3\xa9" * (ROOM // 2) + b"v" * more
    assert letter(b"k", value, [("a", b"1")]) == Out(
        "saga.dead-letters", b"k", value[:ROOM], [("a", b"1"), *MARKS, *cut_marks(value)], 3
    )


@pytest.mark.parametrize("value", (None, b"v"))
def test_headers_too_large_are_left_out(value: bytes | None) -> None:
    """The first ones that fit are kept whole, in order; the record is marked as cut."""
    headers: Headers = [("first", b"1"), ("second", b"2"), ("huge", b"x" * 1_000_000), ("last", b"3")]
    assert letter(b"k", value, headers).headers == [*headers[:2], *MARKS, *cut_marks(value)]


def test_headers_that_just_fit_are_kept() -> None:
    """The bound is on what they take on the wire, names and lengths included."""
    fits = [("h", b"x" * (ROOM - 1 - 10))]
    assert letter(b"k", b"v", fits).headers == [*fits, *MARKS]
    assert letter(b"k", b"v", [("h", b"x" * (ROOM - 10))]).headers == [*MARKS, *cut_marks(b"v")]


def test_a_huge_key_is_cut() -> None:
    """A key of more than 256 KiB is cut as well, and the record marked."""
    record = letter(b"k" * 1_000_000, b"v", ())
    assert record.key == b"k" * ROOM
    assert record.headers == [*MARKS, *cut_marks(b"v")]


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
    """However large the record was: neither many headers nor long names in any script make it too large to send."""
    record = letter(b"k" * 1_000_000, b"v" * 1_000_000, headers)
    assert wire_bytes(record) < KAFKAS_LIMIT
    assert ("__saga.errors.truncated", b"true") in record.headers


def test_forged_reasons_do_not_replace_the_true_ones() -> None:
    """A record may bring such headers along, as a dead letter sent again does: ours come last, where readers look."""
    forged: Headers = [("__saga.errors.reason", b"fine"), ("__saga.errors.offset", b"0")]
    record = letter(b"k", b"v", forged)
    assert record.headers == [*forged, *MARKS]
    assert dict(record.headers)["__saga.errors.reason"] == b"invalid"


@given(
    st.none() | st.binary(max_size=9),
    st.none() | st.binary(max_size=99),
    st.none() | st.lists(st.tuples(st.text(max_size=9), st.none() | st.binary(max_size=9))),
)
def test_any_record_can_be_a_dead_letter(key: bytes | None, value: bytes | None, headers: Headers | None) -> None:
    """Whatever it is, it is kept to the byte."""
    record = letter(key, value, headers)
    assert (record.key, record.value) == (key, value)
    assert list(record.headers) == [*(headers or ()), *MARKS]
