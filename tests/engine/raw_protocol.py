"""Kafka's protocol, byte by byte, for records that no client library would write: one Produce request."""

import socket
import struct
from collections.abc import Iterable

_VERSION = 3  # of the request; the oldest that Kafka 4 accepts
_CASTAGNOLI = 0x82F63B78


def produce(
    bootstrap: str,
    topic: str,
    partition: int,
    key: bytes | None,
    value: bytes | None,
    headers: Iterable[tuple[bytes, bytes | None]] = (),
    timestamp_ms: int = 1_700_000_000_000,
) -> int:
    """Writes one record; returns its offset. Header names are bytes, and the timestamp is any number."""
    batch = _batch(key, value, tuple(headers), timestamp_ms)
    topic_name = topic.encode()
    request = (
        struct.pack(">hhih", 0, _VERSION, 1, -1)
        + struct.pack(">hhii", -1, -1, 10_000, 1)
        + struct.pack(">h", len(topic_name))
        + topic_name
        + struct.pack(">iii", 1, partition, len(batch))
        + batch
    )
    host, _, port = bootstrap.split(",", maxsplit=1)[0].rpartition(":")
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        with connection.makefile("rb") as stream:
            body = stream.read(struct.unpack(">i", stream.read(4))[0])
    error, offset = struct.unpack_from(">hq", body, 4 + 4 + 2 + len(topic_name) + 4 + 4)
    assert error == 0, f"the broker answered with error {error}"
    return int(offset)


def _batch(key: bytes | None, value: bytes | None, headers: tuple[tuple[bytes, bytes | None], ...], time: int) -> bytes:
    record = b"\0\0\0" + _with_length(key) + _with_length(value) + _varint(len(headers))
    record += b"".join(_varint(len(name)) + name + _with_length(content) for name, content in headers)
    tail = struct.pack(">hiqqqhii", 0, 0, time, time, -1, -1, -1, 1) + _varint(len(record)) + record
    return struct.pack(">qiib", 0, 9 + len(tail), 0, 2) + struct.pack(">I", _crc32c(tail)) + tail


def _with_length(data: bytes | None) -> bytes:
    return _varint(-1) if data is None else _varint(len(data)) + data


def _varint(number: int) -> bytes:
    """Zigzag, seven bits a byte."""
    left, found = (number << 1) ^ (number >> 63), b""
    while left > 127:
        found += bytes((left & 127 | 128,))
        left >>= 7
    return found + bytes((left,))


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ _CASTAGNOLI * (crc & 1)
    return crc ^ 0xFFFFFFFF
