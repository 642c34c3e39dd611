"""Any bytes as a record, so that a mutated input is still a record, and mostly a similar one."""

from typing import NamedTuple

from app.engine.processor import Record
from app.wire.envelope import UNREADABLE, Headers
from app.wire.writer import Origin
from tests.fuzz.sagas import NOW, PARTITIONS

BETWEEN, _NONE = b"\xff\xff", b"\xfe"  # not UTF-8, so no part of a valid message
_TIMES = (1, 1, 1, 1, 1, 2, 40, 5_000)  # how often the value, or the headers, are repeated
LARGEST = 1 << 20  # bytes of a value or of headers that a topic takes
_TIMESTAMPS = (NOW - 5, 0, -1, NOW + 31_536_000_000, -(2**63), 2**63 - 1)


class FuzzInput(NamedTuple):
    """A record, with the numbers of the saga and of the input topic that it is for."""

    saga: int
    topic: int
    record: Record


def decode(data: bytes) -> FuzzInput:
    """Decodes an input: switches, key, value, then names and values of headers in turn."""
    switches, *parts = data.split(BETWEEN)
    saga, topic, partition, value_repeats, header_repeats, unreadable, timestamp, *_ = *switches, *bytes(7)
    key, value, *headers = [None if part == _NONE else part for part in (*parts, _NONE, _NONE)][: max(2, len(parts))]
    if value is not None:
        value = (value * _TIMES[value_repeats % len(_TIMES)])[:LARGEST]
    repeated = _repeated(_headers(headers), _TIMES[header_repeats % len(_TIMES)])
    origin = Origin("t.any", partition % PARTITIONS, 7, _TIMESTAMPS[timestamp % len(_TIMESTAMPS)])
    return FuzzInput(saga, topic, Record(origin, key, value, UNREADABLE if unreadable & 1 else repeated))


def encode(fuzz_input: FuzzInput) -> bytes:
    """Encodes a record; nothing in it is repeated or unreadable."""
    record = fuzz_input.record
    switches = bytes((fuzz_input.saga, fuzz_input.topic, record.origin.partition, 0, 0, 0, 0))
    headers = [part for name, value in record.headers or () for part in (name.encode(), value)]
    parts = [_NONE if part is None else part for part in (record.key, record.value, *headers)]
    return BETWEEN.join((switches, *parts))


def _headers(parts: list[bytes | None]) -> Headers:
    names, values = parts[::2], [*parts[1::2], None]
    return [((name or b"").decode(errors="replace"), value) for name, value in zip(names, values, strict=False)]


def _repeated(headers: Headers, times: int) -> Headers:
    size = sum(len(name) + len(value or b"") + 4 for name, value in headers)
    return [*headers] * min(times, LARGEST // max(size, 1) + 1)
