"""Replies as records, and the outbox in which they wait for their delay."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.samples.participant.commands import AnyCommand
from app.samples.participant.contract_rules import Answer
from app.samples.participant.fault_plan import Crash
from app.samples.services.base import Service
from app.wire.envelope import cloudevent_headers
from app.wire.rfc3339 import rfc3339

CommandPosition = tuple[int, int]
"""Partition and offset of a command."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A record for the replies topic, with the faults to inject: copies to send, delay, and a crash."""

    command_id: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes | None]]
    copies: int = 1
    delay_ms: int = 0
    crash: Crash | None = None


def headers(service: Service, command: AnyCommand, answer: Answer) -> list[tuple[str, bytes | None]]:
    """The headers of a reply; equal for all copies of a command, so that copies of a reply share their id."""
    key, source = command.order_id.encode(), f"/{service.name}".encode()
    return cloudevent_headers(
        f"{command.id}:reply", answer.type, source, rfc3339(answer.at_ms), key, command.id, command.trace
    )


@dataclass(frozen=True, slots=True, order=True)
class _Waiting:
    due: float
    command: CommandPosition
    reply: Reply = field(compare=False)


class Outbox:
    """Replies waiting for their delay, each with its command's position; times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, now: float, command: CommandPosition, reply: Reply) -> None:
        """Adds the reply to a command that was read now."""
        heapq.heappush(self._waiting, _Waiting(now + reply.delay_ms / 1000, command, reply))

    def due(self, now: float) -> Sequence[tuple[CommandPosition, Reply]]:
        """Removes and returns the replies that are due by now, the earliest first."""
        ready = []
        while self._waiting and self._waiting[0].due <= now:
            first = heapq.heappop(self._waiting)
            ready.append((first.command, first.reply))
        return ready

    def wait(self, now: float, longest: float) -> float:
        """Seconds until the next reply is due, from 0 to `longest`."""
        return min(longest, max(0.0, self._waiting[0].due - now)) if self._waiting else longest

    def forget(self) -> None:
        """Drops all replies; their commands will be read again."""
        self._waiting.clear()
