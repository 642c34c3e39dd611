"""Any bytes as a record: what a fuzzer changes stays a record, and most of it stays what it was."""

from typing import NamedTuple

from app.engine.turn import Record
from app.wire.envelope import UNREADABLE, Headers
from app.wire.writer import Origin
from tests.fuzz.sagas import NOW, PARTITIONS

BETWEEN, _NONE = b"\xff\xff", b"\xfe"  # neither is UTF-8, so neither is part of a good message
_TIMES = (1, 1, 1, 1, 1, 2, 40, 5_000)  # how often a value, or the headers, may be repeated
LARGEST = 1 << 20  # bytes of a value, or of headers: what a topic takes
_TIMESTAMPS = (NOW - 5, 0, -1, NOW + 31_536_000_000, -(2**63), 2**63 - 1)


class Shot(NamedTuple):
    """A record, and which saga and which of its topics it is for."""

    saga: int
    topic: int
    record: Record


def decoded(data: bytes) -> Shot:
    """The record that bytes stand for: switches, key, value, and names and values of headers in turn."""
    switches, *parts = data.split(BETWEEN)
    saga, topic, partition, values, many, unreadable, time, *_ = *switches, *bytes(7)
    key, value, *headers = [None if part == _NONE else part for part in (*parts, _NONE, _NONE)][: max(2, len(parts))]
    if value is not None:
        value = (value * _TIMES[values % len(_TIMES)])[:LARGEST]
    named = _repeated(_headers(headers), _TIMES[many % len(_TIMES)])
    origin = Origin("t.any", partition % PARTITIONS, 7, _TIMESTAMPS[time % len(_TIMESTAMPS)])
    return Shot(saga, topic, Record(origin, key, value, UNREADABLE if unreadable & 1 else named))


def encoded(shot: Shot) -> bytes:
    """Bytes that stand for a record as it can be sent: nothing in it is repeated or unreadable."""
    record = shot.record
    switches = bytes((shot.saga, shot.topic, record.origin.partition, 0, 0, 0, 0))
    named = [part for name, value in record.headers or () for part in (name.encode(), value)]
    parts = [_NONE if part is None else part for part in (record.key, record.value, *named)]
    return BETWEEN.join((switches, *parts))


def _headers(parts: list[bytes | None]) -> Headers:
    names, values = parts[::2], [*parts[1::2], None]
    return [((name or b"").decode(errors="replace"), value) for name, value in zip(names, values, strict=False)]


def _repeated(headers: Headers, times: int) -> Headers:
    size = sum(len(name) + len(value or b"") + 4 for name, value in headers)
    return [*headers] * min(times, LARGEST // max(size, 1) + 1)
