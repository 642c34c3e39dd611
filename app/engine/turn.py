"""One record, from its bytes to all that it leads to: read, decide, write. What the topology's stateful step runs."""

from typing import Protocol

from app.saga.decide import decide
from app.saga.definition import Saga
from app.saga.facts import fact
from app.saga.identity import command_id
from app.saga.messages import Failed, Input, Refused, RoomFor, Succeeded, TimerDue, Undone
from app.saga.state import TIMED, UNDER_WAY, UNKNOWN, Pausing, Progress, Running, State, direction_of, leg_of
from app.saga.verdict import Decision, Forgotten, Unacceptable
from app.saga.versions import Versions
from app.wire.bad import Bad
from app.wire.envelope import MAX_HEADER_BYTES, Headers, header_bytes
from app.wire.partition import partition_of
from app.wire.reader import Reader
from app.wire.writer import Cause, Origin, Out, dead_letter, input_cause, timer_cause, write

DEADLINE = "deadline"
_REPLIES = (Succeeded, Refused, Undone, Failed)


@fact
class Record:
    """A record as it came, and from where."""

    origin: Origin
    key: bytes | None
    value: bytes | None
    headers: Headers | None


class Gate(Protocol):
    """What participants bear."""

    def has_room(self, step: str) -> bool:
        """Takes room for a command, if there is some."""

    def bears(self, step: str) -> bool:
        """Whether a command that failed keeps its room during the pause before it is sent again."""

    def answered(self, step: str) -> None:
        """The step's participant gave an answer."""

    def troubled(self, step: str, now_ms: int) -> None:
        """The step's participant gave none in time, or failed technically."""


class KeyState(Protocol):
    """The state of one key (None when there is none), and what its saga must know of the others."""

    def get(self) -> Progress | None:
        """What is stored."""

    def set(self, progress: Progress) -> None:
        """Stores it in place of what was there."""

    def forget(self) -> None:
        """Deletes what is stored."""

    @property
    def gate(self) -> Gate:
        """Room for the commands of its partition's sagas."""


class Turns:
    """Takes the turns of one saga's sagas, for topics of so many partitions."""

    def __init__(self, versions: Versions, partitions: int) -> None:
        self._versions = versions
        self._partitions = partitions
        self._reader = Reader(versions)

    def take(self, topic: str, record: Record, state: KeyState, at_ms: int) -> list[Out]:
        """All that a record leads to, decided at a time (ms since 1970). `topic` is without prefix."""
        try:
            received = self._reader.read(topic, record.key, record.value, record.headers)
            progress = state.get()
            if progress is None:
                home = partition_of(record.key or b"", self._partitions)
                if home != record.origin.partition:
                    return [_sent_on(topic, home, record)]
                progress = UNKNOWN
            cause = input_cause(record.origin, received.id, received.type, received.trace)
            saga = self._versions.of(progress.state)
            return _decide(saga, received.saga_id, progress, received.given, cause, state, at_ms)
        except Bad as bad:
            return [dead_letter(record.origin, record.key, record.value, record.headers, bad)]

    def expire(self, saga_id: str, due_ms: int, state: KeyState, at_ms: int) -> list[Out]:
        """All that a due time leads to; nothing when the saga no longer waits for it."""
        progress = state.get()
        if progress is None:
            return []
        saga = self._versions.of(progress.state)
        cause = _Timers(saga, saga_id, progress.state).due(due_ms)
        step, _, kind = cause.fields["timer"].partition(":")
        if kind.endswith(":timeout"):
            state.gate.troubled(step, at_ms)
        return _decide(saga, saga_id, progress, TimerDue(due_ms), cause, state, at_ms)

    def admit(self, saga_id: str, step: str, state: KeyState, at_ms: int) -> list[Out]:
        """All that room for a step leads to; nothing when the saga no longer waits for it."""
        progress = state.get()
        if progress is None:
            return []
        saga = self._versions.of(progress.state)
        cause = _Timers(saga, saga_id, progress.state).room(step, at_ms)
        return _decide(saga, saga_id, progress, RoomFor(step), cause, state, at_ms)


def _decide(
    saga: Saga, saga_id: str, progress: Progress, given: Input, cause: Cause, state: KeyState, at_ms: int
) -> list[Out]:
    gate = state.gate
    verdict = decide(saga, saga_id, progress, given, at_ms, gate.has_room, gate.bears)
    if isinstance(verdict, Decision):
        state.set(verdict.progress)
        if isinstance(given, _REPLIES) and verdict.events[0]["type"] != "saga.reply.ignored":
            if isinstance(given, Failed) and given.retryable:
                gate.troubled(given.step, at_ms)
            else:
                gate.answered(given.step)
        return write(saga, saga_id, verdict, cause, at_ms)
    if isinstance(verdict, Unacceptable):
        raise Bad(verdict.code, verdict.message)
    if isinstance(verdict, Forgotten):
        state.forget()
    return []


def _sent_on(topic: str, home: int, record: Record) -> Out:
    """A record of another partition, as it is."""
    headers = record.headers or ()
    if header_bytes(headers) > MAX_HEADER_BYTES:
        raise Bad("too_large", f"the headers are longer than {MAX_HEADER_BYTES} bytes")
    return Out(topic, record.key, record.value, headers, home)


@fact
class _Timers:
    """Causes that are no message. They are called after the attempt before, of which what they lead to is told."""

    saga: Saga
    id: str
    state: State

    def due(self, due_ms: int) -> Cause:
        """A time that has come: what it ended."""
        state = self.state
        if not isinstance(state, UNDER_WAY):
            return timer_cause("forget", due_ms, self.id)
        if isinstance(state, Running) and state.deadline_ms == due_ms:
            leg = next((leg for leg in reversed(state.legs) if leg.attempt), state.legs[0])
            return timer_cause(DEADLINE, due_ms, self._before(leg.step, leg.attempt))
        for leg in state.legs:
            if isinstance(leg, TIMED) and leg.due_ms == due_ms:
                return self._of(leg.step, leg.attempt, "pause" if isinstance(leg, Pausing) else "timeout", due_ms)
        return timer_cause("overtaken", due_ms, self.id)

    def room(self, step: str, at_ms: int) -> Cause:
        """Room at a participant: it came just now."""
        leg = leg_of(self.state.legs, step) if isinstance(self.state, UNDER_WAY) else None
        return self._of(step, leg.attempt if leg is not None else 0, "room", at_ms)

    def _of(self, step: str, attempt: int, kind: str, due_ms: int) -> Cause:
        return timer_cause(f"{step}:{direction_of(self.state)}:{attempt}:{kind}", due_ms, self._before(step, attempt))

    def _before(self, step: str, attempt: int) -> str:
        """The attempt before; of the first one of an undo its do, and of a do that of a step before it, if any."""
        if attempt:
            return command_id(self.id, step, direction_of(self.state), attempt)
        if direction_of(self.state) == "undo":
            return command_id(self.id, step, "do", 1)
        before = [one.name for one in self.saga.steps if one.name in self.saga.earlier[step]]
        return command_id(self.id, before[-1], "do", 1) if before else self.id
