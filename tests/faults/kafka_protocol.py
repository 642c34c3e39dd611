"""The parts of Kafka's protocol that the proxy reads: request headers, and the error code of EndTxn responses."""

import asyncio
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

_SIZE = struct.Struct(">i")
_HEADER = struct.Struct(">hhih")
_END_TXN_ERROR = struct.Struct(">8xh")
_MAX_BYTES = 64 << 20


class Api(IntEnum):
    """API keys of the requests at which faults are injected."""

    PRODUCE = 0
    FETCH = 1
    HEARTBEAT = 12
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    TXN_OFFSET_COMMIT = 28


@dataclass(frozen=True, slots=True)
class Request:
    """A client's request. `commits`: it is an EndTxn request that commits, not one that aborts."""

    api: int
    client: str
    commits: bool

    @classmethod
    def parse(cls, frame: bytes) -> Self:
        """Reads the header (API key, version, correlation id, client id) and, of an EndTxn request, the last byte."""
        api, _, _, length = _HEADER.unpack_from(frame)
        client = frame[_HEADER.size : _HEADER.size + max(length, 0)].decode(errors="replace")
        return cls(api, client, api == Api.END_TXN and frame[-1] == 1)


def end_txn_error(response: bytes) -> int:
    """The error code of an EndTxn response; it follows the correlation id and the throttle time."""
    return int(_END_TXN_ERROR.unpack_from(response)[0])


async def read_frame(stream: asyncio.StreamReader) -> bytes | None:
    """The next frame without its size prefix; None when the peer has closed the connection."""
    try:
        size = _SIZE.unpack(await stream.readexactly(_SIZE.size))[0]
        return await stream.readexactly(size) if 0 < size <= _MAX_BYTES else None
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def with_size(frame: bytes) -> bytes:
    """A frame with its size prefix."""
    return _SIZE.pack(len(frame)) + frame
