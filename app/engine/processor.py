"""The saga processor: one record, due timer or free slot, from its bytes to its outputs: read, load, decide, store."""

from typing import Protocol

from app.saga.decide import decide
from app.saga.definition import Saga
from app.saga.immutable import immutable
from app.saga.message_ids import command_id
from app.saga.messages import CapacityAvailable, Failed, Input, Refused, Succeeded, TimerDue, Undone
from app.saga.state import (
    ACTIVE_STATES,
    NO_SAGA,
    WITH_DUE_TIME,
    BackingOff,
    Progress,
    Running,
    State,
    active_step,
    direction_of,
)
from app.saga.verdict import DeadLettered, Decision, Expired
from app.saga.versions import Versions
from app.wire.envelope import MAX_HEADER_BYTES, Headers, header_bytes
from app.wire.invalid_record import InvalidRecord
from app.wire.partition import partition_of
from app.wire.reader import Reader
from app.wire.writer import Cause, Origin, OutputRecord, dead_letter, input_cause, timer_cause, write

DEADLINE = "deadline"
_REPLIES = (Succeeded, Refused, Undone, Failed)


@immutable
class Record:
    """A record and its coordinates."""

    origin: Origin
    key: bytes | None
    value: bytes | None
    headers: Headers | None


class Admission(Protocol):
    """Admission control for the commands of one partition's sagas. `step` names the step, and so its participant."""

    def try_acquire(self, step: str) -> bool:
        """Takes a slot for a command of the step, if one is free."""

    def keeps_slot(self, step: str) -> bool:
        """Whether a failed command keeps its slot during the backoff before its retry."""

    def on_success(self, step: str) -> None:
        """The participant gave a final reply."""

    def on_failure(self, step: str, now_ms: int) -> None:
        """The participant timed out, or failed in a retryable way."""


class KeyState(Protocol):
    """The state of one saga, and admission control for its partition."""

    def get(self) -> Progress | None:
        """The stored saga; None when there is none."""

    def set(self, progress: Progress) -> None:
        """Stores a saga in place of the one that was there."""

    def forget(self) -> None:
        """Deletes the saga."""

    @property
    def admission(self) -> Admission:
        """Admission control for the commands of this partition's sagas."""


class SagaProcessor:
    """Processes all inputs of one saga, in all versions of its definition. `partitions` is the count of each topic."""

    def __init__(self, versions: Versions, partitions: int) -> None:
        self._versions = versions
        self._partitions = partitions
        self._reader = Reader(versions)

    def on_record(self, topic: str, record: Record, state: KeyState, at_ms: int) -> list[OutputRecord]:
        """The outputs of a record, decided at that time (ms since 1970). `topic` is without prefix.

        An invalid record becomes a dead letter. One in a partition that is not its key's is sent on to that of its key,
        unless its saga is here.
        """
        try:
            received = self._reader.read(topic, record.key, record.value, record.headers)
            progress = state.get()
            if progress is None:
                owner = partition_of(record.key or b"", self._partitions)
                if owner != record.origin.partition:
                    return [_reroute(topic, owner, record)]
                progress = NO_SAGA
            cause = input_cause(record.origin, received.id, received.type, received.trace)
            saga = self._versions.of(progress.state)
            return _decide_and_store(saga, received.saga_id, progress, received.given, cause, state, at_ms)
        except InvalidRecord as invalid:
            return [dead_letter(record.origin, record.key, record.value, record.headers, invalid)]

    def on_timer(self, saga_id: str, due_ms: int, state: KeyState, at_ms: int) -> list[OutputRecord]:
        """The outputs of a due timer; none when the saga no longer waits for it."""
        progress = state.get()
        if progress is None:
            return []
        saga = self._versions.of(progress.state)
        cause = _TimerCause(saga, saga_id, progress.state).due(due_ms)
        step, _, kind = cause.fields["timer"].partition(":")
        if kind.endswith(":timeout"):
            state.admission.on_failure(step, at_ms)
        return _decide_and_store(saga, saga_id, progress, TimerDue(due_ms), cause, state, at_ms)

    def on_capacity(self, saga_id: str, step: str, state: KeyState, at_ms: int) -> list[OutputRecord]:
        """The outputs of a free slot for a queued step; none when the saga no longer waits for one."""
        progress = state.get()
        if progress is None:
            return []
        saga = self._versions.of(progress.state)
        cause = _TimerCause(saga, saga_id, progress.state).capacity(step, at_ms)
        return _decide_and_store(saga, saga_id, progress, CapacityAvailable(step), cause, state, at_ms)


def _decide_and_store(
    saga: Saga, saga_id: str, progress: Progress, given: Input, cause: Cause, state: KeyState, at_ms: int
) -> list[OutputRecord]:
    admission = state.admission
    verdict = decide(saga, saga_id, progress, given, at_ms, admission.try_acquire, admission.keeps_slot)
    if isinstance(verdict, Decision):
        state.set(verdict.progress)
        if isinstance(given, _REPLIES) and verdict.events[0]["type"] != "saga.reply.ignored":
            if isinstance(given, Failed) and given.retryable:
                admission.on_failure(given.step, at_ms)
            else:
                admission.on_success(given.step)
        return write(saga, saga_id, verdict, cause, at_ms)
    if isinstance(verdict, DeadLettered):
        raise InvalidRecord(verdict.code, verdict.message)
    if isinstance(verdict, Expired):
        state.forget()
    return []


def _reroute(topic: str, owner: int, record: Record) -> OutputRecord:
    """The record, unchanged, for the partition that owns its key."""
    headers = record.headers or ()
    if header_bytes(headers) > MAX_HEADER_BYTES:
        raise InvalidRecord("too_large", f"the headers are longer than {MAX_HEADER_BYTES} bytes")
    return OutputRecord(topic, record.key, record.value, headers, owner)


@immutable
class _TimerCause:
    """Causes of decisions that no record led to.

    The id of such a cause is that of the previous attempt: it becomes `ce_causationid` of the messages that follow.
    """

    saga: Saga
    id: str
    state: State

    def due(self, due_ms: int) -> Cause:
        """A due timer, named after the attempt, backoff, deadline or retention that it ends."""
        state = self.state
        if not isinstance(state, ACTIVE_STATES):
            return timer_cause("forget", due_ms, self.id)
        if isinstance(state, Running) and state.deadline_ms == due_ms:
            active = next((active for active in reversed(state.active_steps) if active.attempt), state.active_steps[0])
            return timer_cause(DEADLINE, due_ms, self._previous_attempt(active.step, active.attempt))
        for active in state.active_steps:
            if isinstance(active, WITH_DUE_TIME) and active.due_ms == due_ms:
                return self._of_step(
                    active.step, active.attempt, "pause" if isinstance(active, BackingOff) else "timeout", due_ms
                )
        return timer_cause("overtaken", due_ms, self.id)

    def capacity(self, step: str, at_ms: int) -> Cause:
        """A free slot for a queued step; it is due at once."""
        active = active_step(self.state.active_steps, step) if isinstance(self.state, ACTIVE_STATES) else None
        return self._of_step(step, active.attempt if active is not None else 0, "room", at_ms)

    def _of_step(self, step: str, attempt: int, kind: str, due_ms: int) -> Cause:
        return timer_cause(
            f"{step}:{direction_of(self.state)}:{attempt}:{kind}", due_ms, self._previous_attempt(step, attempt)
        )

    def _previous_attempt(self, step: str, attempt: int) -> str:
        """The id of the last attempt. If there is none: of an undo's do, of an earlier step's do, or of the saga."""
        if attempt:
            return command_id(self.id, step, direction_of(self.state), attempt)
        if direction_of(self.state) == "undo":
            return command_id(self.id, step, "do", 1)
        before = [one.name for one in self.saga.steps if one.name in self.saga.earlier[step]]
        return command_id(self.id, before[-1], "do", 1) if before else self.id
