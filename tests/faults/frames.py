"""Frames of Kafka's protocol, as far as someone in between must know them: who asks for what, and how it ended."""

import asyncio
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

_SIZE = struct.Struct(">i")
_HEAD = struct.Struct(">hhih")
_END_ERROR = struct.Struct(">8xh")
_MOST_BYTES = 64 << 20


class Api(IntEnum):
    """The requests that faults are bound to."""

    PRODUCE = 0
    FETCH = 1
    HEARTBEAT = 12
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    TXN_OFFSET_COMMIT = 28


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for; `commits`: it is the end of a transaction that is to be committed."""

    api: int
    client: str
    commits: bool

    @classmethod
    def of(cls, frame: bytes) -> Self:
        """Reads the header (api, version, correlation id, client id), and of a transaction's end the last byte."""
        api, _, _, length = _HEAD.unpack_from(frame)
        client = frame[_HEAD.size : _HEAD.size + max(length, 0)].decode(errors="replace")
        return cls(api, client, api == Api.END_TXN and frame[-1] == 1)


def end_error(answer: bytes) -> int:
    """The error code in the answer to a transaction's end, after correlation id and throttle time."""
    return int(_END_ERROR.unpack_from(answer)[0])


async def read(stream: asyncio.StreamReader) -> bytes | None:
    """The next frame, without its size; None when the other end is gone."""
    try:
        size = _SIZE.unpack(await stream.readexactly(_SIZE.size))[0]
        return await stream.readexactly(size) if 0 < size <= _MOST_BYTES else None
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def packed(frame: bytes) -> bytes:
    """A frame with its size before it."""
    return _SIZE.pack(len(frame)) + frame
