"""What an operator types to select dead letters, and what is wrong with it."""

import pytest
from typer.testing import CliRunner

from app.operators.cli import app
from app.operators.dead_letters.letter import DeadLetter, Position, letter_of
from app.operators.dead_letters.letter_output import whole
from app.operators.dead_letters.selection import Filters, headers_named, position_of, time_of
from app.wire.envelope import Headers
from app.wire.invalid_record import InvalidRecord
from topologies.__main__ import SAGAS

NOW_MS = 1_800_000_000_000


class Message:
    """A record, as a Kafka client returns it."""

    def __init__(self, key: bytes | None, value: bytes | None, *headers: tuple[str, bytes | None]) -> None:
        self.key, self.value, self.headers = lambda: key, lambda: value, lambda: list(headers) or None
        self.partition, self.offset, self.timestamp = lambda: 3, lambda: 7, lambda: (1, NOW_MS)


def letter(key: bytes | None = b"o-1", headers: Headers = (), **errors: str) -> DeadLetter:
    """A dead letter with these headers of its own."""
    own = [(f"__saga.errors.{name}", text.encode()) for name, text in errors.items()]
    return letter_of(Message(key, b"v", *headers, *own))


@pytest.mark.parametrize(
    ("text", "ms"),
    (
        ("2h", NOW_MS - 7_200_000),
        ("30s", NOW_MS - 30_000),
        ("15m", NOW_MS - 900_000),
        ("7d", NOW_MS - 604_800_000),
        ("1970-01-01T00:00:01.500Z", 1_500),
        ("1970-01-01T02:00:00+02:00", 0),
    ),
)
def test_times_are_absolute_or_so_long_ago(text: str, ms: int) -> None:
    """RFC 3339 with its offset, or a number with a unit."""
    assert time_of(text, NOW_MS) == ms


@pytest.mark.parametrize("text", ("", "yesterday", "2w", "-2h", "2026-01-31T12:00:00", "2026-13-01T00:00:00Z"))
def test_a_time_without_an_offset_is_none(text: str) -> None:
    """It would mean something else on each computer."""
    with pytest.raises(InvalidRecord, match="a time must be like"):
        time_of(text, NOW_MS)


def test_positions_and_headers_are_parsed() -> None:
    """A header's value may hold the sign too."""
    assert position_of("3:120") == Position(3, 120)
    assert headers_named(["a=b=c", "d="]) == (("a", b"b=c"), ("d", b""))
    for wrong in ("3", "3:", ":1", "3:-1", "a:b"):
        with pytest.raises(InvalidRecord):
            position_of(wrong)
    with pytest.raises(InvalidRecord):
        headers_named(["none"])


def test_marks_and_reasons_are_no_headers_of_the_record() -> None:
    """A replay that fails again is replayed without its old marks."""
    found = letter(headers=[("a", b"1"), ("__saga.replayed.from", b"x[0]@1"), ("__saga.replayed.by", b"o")], reason="r")
    assert (found.headers, found.reason, found.replayed_from) == ([("a", b"1")], "r", "x[0]@1")
    assert found.origin is None
    assert letter(topic="t", partition="1", offset="2", timestamp="x").origin is None


@pytest.mark.parametrize("key", (None, b"", b"ann@example.org", b"\xff", b"o-1\n"))
def test_only_a_key_that_can_be_an_order_id_is_shown(key: bytes | None) -> None:
    """Any other may hold anything."""
    assert letter(key).order_id == ""


def test_all_filters_must_match() -> None:
    """Those that are not given match everything."""
    found = letter(headers=[("a", b"1")], reason="r", topic="t", partition="0", offset="0", timestamp="0")
    matching = Filters("r", "t", NOW_MS, NOW_MS + 1, "o-1", (("a", b"1"),))
    assert Filters().match(found)
    assert matching.match(found)
    others: tuple[Filters, ...] = (
        Filters(reason="x"),
        Filters(topic="x"),
        Filters(since_ms=NOW_MS + 1),
        Filters(until_ms=NOW_MS),
        Filters(order_id="x"),
        Filters(headers=(("a", b"2"),)),
    )
    assert not any(filters.match(found) for filters in others)


def test_a_shown_dead_letter_is_safe_for_a_terminal() -> None:
    """Names and values of headers too, and bytes that are no text."""
    lines = list(whole(letter(b"\x1b]0;x\x07", [("\x1bname", b"\xff\r\n")])))
    assert all(line.isprintable() for line in lines)
    assert "header \\x1bname: \\xff\\r\\n" in lines


@pytest.mark.parametrize(
    ("words", "sentence"),
    (
        (("list", "--since", "yesterday"), "a time must be like"),
        (("list", "--header", "x"), "a header must be like"),
        (("show", "1"), "a position must be"),
        (("replay",), "give positions or filters, or --all"),
    ),
)
def test_what_makes_no_sense_is_refused(words: tuple[str, ...], sentence: str) -> None:
    """Before the brokers are asked for anything."""
    result = CliRunner().invoke(app, ["dead-letters", *words, "--bootstrap", "127.0.0.1:1"], obj=SAGAS["order"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {sentence}")
