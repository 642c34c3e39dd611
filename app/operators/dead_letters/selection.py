"""Which dead letters are meant: filters, positions and times, as an operator types them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from app.operators.dead_letters.letter import DeadLetter, Position
from app.wire.invalid_record import InvalidRecord

_AGO = re.compile(r"(\d{1,9})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_POSITION = re.compile(r"(\d{1,9}):(\d{1,18})")


@dataclass(frozen=True, slots=True)
class Filters:
    """A dead letter must match all that are given. Times are in ms since 1970; `topic` is a full name.

    `headers` are names and values of the original record.
    """

    reason: str | None = None
    topic: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    order_id: str | None = None
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def any(self) -> bool:
        """Whether something is given."""
        return self != Filters()

    def match(self, letter: DeadLetter) -> bool:
        """Whether the dead letter is selected."""
        return (
            self.reason in (None, letter.reason)
            and (self.topic is None or (letter.origin is not None and letter.origin.topic == self.topic))
            and (self.since_ms is None or letter.timestamp_ms >= self.since_ms)
            and (self.until_ms is None or letter.timestamp_ms < self.until_ms)
            and (self.order_id is None or letter.key == self.order_id.encode())
            and all(header in letter.headers for header in self.headers)
        )


def time_of(text: str, now_ms: int) -> int:
    """The time of an RFC 3339 text, or of one like `2h` ago, in ms since 1970. Raises InvalidRecord."""
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now_ms - int(ago[1]) * _SECONDS[ago[2]] * 1000
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is not None:
            return round(time.timestamp() * 1000)
    except (ValueError, OverflowError):
        pass
    raise InvalidRecord("invalid", "a time must be like 2026-01-31T12:00:00Z, or like 30s, 15m, 2h, 7d ago")


def headers_named(pairs: Iterable[str]) -> tuple[tuple[str, bytes], ...]:
    """Names and values from texts like `NAME=VALUE`. Raises InvalidRecord."""
    return tuple(_header(pair) for pair in pairs)


def _header(pair: str) -> tuple[str, bytes]:
    name, equals, value = pair.partition("=")
    if not name or not equals:
        raise InvalidRecord("invalid", "a header must be like NAME=VALUE")
    return name, value.encode()


def position_of(text: str) -> Position:
    """The position that a text like `3:120` names. Raises InvalidRecord."""
    found = _POSITION.fullmatch(text)
    if found is None:
        raise InvalidRecord("invalid", "a position must be PARTITION:OFFSET, like 3:120")
    return Position(int(found[1]), int(found[2]))
