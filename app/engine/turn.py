"""One record, from its bytes to all that it leads to: read, decide, write. What the topology's stateful step runs."""

from typing import Protocol

from app.saga.decide import decide
from app.saga.definition import Saga
from app.saga.facts import fact
from app.saga.identity import Direction, command_id
from app.saga.messages import TimerDue
from app.saga.state import UNKNOWN, CompensationPausing, Pausing, Progress, Running, Waiting
from app.saga.verdict import Decision, Unacceptable
from app.wire.bad import Bad
from app.wire.envelope import MAX_HEADER_BYTES, Headers, header_bytes
from app.wire.partition import partition_of
from app.wire.reader import Reader, Received
from app.wire.writer import Cause, Origin, Out, Writer, dead_letter, input_cause, timer_cause


@fact
class Record:
    """A record as it came, and from where."""

    origin: Origin
    key: bytes | None
    value: bytes | None
    headers: Headers | None


class State(Protocol):
    """The state of one key: None when there is none."""

    def get(self) -> Progress | None:
        """What is stored."""

    def set(self, progress: Progress) -> None:
        """Stores it in place of what was there."""


class Turns:
    """Takes the turns of one saga's sagas, for topics of so many partitions."""

    def __init__(self, saga: Saga, partitions: int) -> None:
        self._saga = saga
        self._partitions = partitions
        self._reader = Reader(saga)
        self._writer = Writer(saga)

    def take(self, topic: str, record: Record, state: State, at_ms: int) -> list[Out]:
        """All that a record leads to, decided at a time (ms since 1970). `topic` is without prefix."""
        try:
            received = self._reader.read(topic, record.key, record.value, record.headers)
            progress = state.get()
            if progress is None:
                home = partition_of(record.key or b"", self._partitions)
                if home != record.origin.partition:
                    return [_sent_on(topic, home, record)]
                progress = UNKNOWN
            return self._decide(received, record.origin, progress, state, at_ms)
        except Bad as bad:
            return [dead_letter(record.origin, record.key, record.value, record.headers, bad)]

    def expire(self, saga_id: str, due_ms: int, state: State, at_ms: int) -> list[Out]:
        """All that a due time leads to; nothing when the saga no longer waits for it."""
        progress = state.get()
        if progress is None:
            return []
        verdict = decide(self._saga, saga_id, progress, TimerDue(due_ms), at_ms)
        if not isinstance(verdict, Decision):
            return []
        state.set(verdict.progress)
        return self._writer.write(saga_id, verdict, _timer(saga_id, progress, due_ms), at_ms)

    def _decide(self, received: Received, origin: Origin, progress: Progress, state: State, at_ms: int) -> list[Out]:
        verdict = decide(self._saga, received.saga_id, progress, received.given, at_ms)
        if isinstance(verdict, Decision):
            state.set(verdict.progress)
            cause = input_cause(origin, received.id, received.type, received.trace)
            return self._writer.write(received.saga_id, verdict, cause, at_ms)
        if isinstance(verdict, Unacceptable):
            raise Bad(verdict.code, verdict.message)
        return []


def _sent_on(topic: str, home: int, record: Record) -> Out:
    """A record of another partition, as it is."""
    headers = record.headers or ()
    if header_bytes(headers) > MAX_HEADER_BYTES:
        raise Bad("too_large", f"the headers are longer than {MAX_HEADER_BYTES} bytes")
    return Out(topic, record.key, record.value, headers, home)


def _timer(saga_id: str, progress: Progress, due_ms: int) -> Cause:
    """A timer as a cause: its name says which attempt it followed, and what it ended."""
    state = progress.state
    if not isinstance(state, Waiting):
        raise TypeError(f"{type(state).__name__} waits for no timer")
    direction: Direction = "do" if isinstance(state, Running | Pausing) else "undo"
    command = command_id(saga_id, state.step, direction, state.attempt)
    kind = "pause" if isinstance(state, Pausing | CompensationPausing) else "timeout"
    return timer_cause(f"{command.removeprefix(saga_id + ':')}:{kind}", due_ms, command)
