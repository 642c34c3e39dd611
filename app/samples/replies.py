"""Replies as records, and those that wait for their time."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.samples.behaviour import Crash
from app.samples.commands import Asked
from app.samples.rules import Answer
from app.samples.service import Service
from app.wire.envelope import spoken
from app.wire.times import rfc3339

Place = tuple[int, int]
"""Partition and offset of a command."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A record for the replies topic, how often and how late it is sent, and whether the process dies over it."""

    command_id: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes | None]]
    copies: int = 1
    delay_ms: int = 0
    crash: Crash | None = None


def headers(service: Service, asked: Asked, answer: Answer) -> list[tuple[str, bytes | None]]:
    """The same for every copy of a command, so that a copy of a reply can be told by its id."""
    key, source = asked.order_id.encode(), f"/{service.name}".encode()
    return spoken(f"{asked.id}:reply", answer.type, source, rfc3339(answer.at_ms), key, asked.id, asked.trace)


@dataclass(frozen=True, slots=True, order=True)
class _Waiting:
    due: float
    place: Place
    reply: Reply = field(compare=False)


class Outbox:
    """Replies under way, each with the place of its command; times are seconds of one steady clock."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, now: float, place: Place, reply: Reply) -> None:
        """Adds a reply to a command that came now."""
        heapq.heappush(self._waiting, _Waiting(now + reply.delay_ms / 1000, place, reply))

    def due(self, now: float) -> Sequence[tuple[Place, Reply]]:
        """Takes out what is to be sent by now, earliest first."""
        ready = []
        while self._waiting and self._waiting[0].due <= now:
            first = heapq.heappop(self._waiting)
            ready.append((first.place, first.reply))
        return ready

    def wait(self, now: float, longest: float) -> float:
        """Seconds until the next one is due, within bounds."""
        return min(longest, max(0.0, self._waiting[0].due - now)) if self._waiting else longest

    def forget(self) -> None:
        """Drops all: their commands will be read again."""
        self._waiting.clear()
