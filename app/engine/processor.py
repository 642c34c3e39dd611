"""The saga processor: one record, due timer or free slot, from its bytes to its outputs: read, load, decide, store."""

import logging
from typing import Any, Protocol

from app.engine.meters import Meters
from app.saga.decide import decide
from app.saga.definition import Saga
from app.saga.events import Event
from app.saga.immutable import immutable
from app.saga.message_ids import command_id
from app.saga.messages import CapacityAvailable, Failed, Input, Place, Refused, Succeeded, TimerDue, Undone
from app.saga.state import (
    ACTIVE_STATES,
    FINAL,
    NO_SAGA,
    WITH_DUE_TIME,
    ActiveStep,
    BackingOff,
    InFlight,
    NotStarted,
    Progress,
    Queued,
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
from app.wire.trace_context import add_spans, trace_headers
from app.wire.writer import Cause, Origin, OutputRecord, dead_letter, input_cause, timer_cause, write

log = logging.getLogger(__name__)

DEADLINE = "deadline"
_REPLIES = (Succeeded, Refused, Undone, Failed)
_SAGA_ENDED = frozenset(("saga.completed", "saga.rolled_back"))
_OUTCOME_OF = {
    "saga.completed": "order.completed",
    "saga.rolled_back": "order.rejected",
    "saga.stuck": "order.stuck",
    "saga.cancel.refused": "order.cancel.refused",
}


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
    """Processes all inputs of one saga, in all versions of its definition. `partitions` is the count of each topic.

    With `traces`, each message names its own span in the trace of the saga; else traces are passed on as they came.
    """

    def __init__(
        self, versions: Versions, partitions: int, meters: Meters | None = None, *, traces: bool = False
    ) -> None:
        self.meters = meters or Meters()
        self._versions = versions
        self._partitions = partitions
        self._traces = traces
        self._reader = Reader(versions)

    def on_record(self, topic: str, record: Record, state: KeyState, at_ms: int) -> list[OutputRecord]:
        """The outputs of a record, decided at that time (ms since 1970). `topic` is without prefix.

        An invalid record becomes a dead letter. One in a partition that is not its key's is sent on to that of its key,
        unless its saga is here.
        """
        try:
            received = self._reader.read(topic, record.key, record.value, record.headers)
            progress = state.get()
            trace = received.trace
            if progress is None:
                owner = partition_of(record.key or b"", self._partitions)
                if owner != record.origin.partition:
                    rerouted = _reroute(topic, owner, record)
                    self.meters.rerouted[topic,] += 1
                    return [rerouted]
                progress = NO_SAGA
            elif not (trace or self._traces) and progress.state.data.trace is not None:  # type: ignore[union-attr] # it has started
                trace = trace_headers(progress.state.data.trace)  # type: ignore[union-attr]
            cause = input_cause(record.origin, received.id, received.type, trace)
            saga = self._versions.of(progress.state)
            return self._decide_and_store(
                saga, received.saga_id, progress, received.given, cause, received.type, state, at_ms
            )
        except InvalidRecord as invalid:
            return [self._dead_letter(topic, record, invalid)]

    def on_timer(self, saga_id: str, due_ms: int, state: KeyState, at_ms: int) -> list[OutputRecord]:
        """The outputs of a due timer; none when the saga no longer waits for it."""
        progress = state.get()
        if progress is None:
            return []
        saga = self._versions.of(progress.state)
        cause = _WakeupCause(saga, saga_id, progress.state).due(due_ms)
        name = cause.fields["timer"]
        kind = name.rpartition(":")[2]
        if kind == "timeout":
            state.admission.on_failure(name.partition(":")[0], at_ms)
        return self._decide_and_store(saga, saga_id, progress, TimerDue(due_ms), cause, kind, state, at_ms)

    def on_capacity(self, saga_id: str, step: str, state: KeyState, at_ms: int) -> list[OutputRecord]:
        """The outputs of a free slot for a queued step; none when the saga no longer waits for one."""
        progress = state.get()
        if progress is None:
            return []
        saga = self._versions.of(progress.state)
        cause = _WakeupCause(saga, saga_id, progress.state).capacity(step, at_ms)
        return self._decide_and_store(saga, saga_id, progress, CapacityAvailable(step), cause, "room", state, at_ms)

    def _decide_and_store(
        self,
        saga: Saga,
        saga_id: str,
        progress: Progress,
        given: Input,
        cause: Cause,
        kind: str,
        state: KeyState,
        at_ms: int,
    ) -> list[OutputRecord]:
        """`kind` names the cause for the meters: the input's type, or the kind of the timer."""
        admission = state.admission
        verdict = decide(saga, saga_id, progress, given, at_ms, admission.try_acquire, admission.keeps_slot)
        if isinstance(verdict, Decision):
            state.set(verdict.progress)
            if isinstance(given, _REPLIES) and verdict.events[0]["type"] != "saga.reply.ignored":
                if isinstance(given, Failed) and given.retryable:
                    admission.on_failure(given.step, at_ms)
                else:
                    admission.on_success(given.step)
                    for active in progress.state.active_steps:  # type: ignore[union-attr] # it has a step to reply to
                        if active.step == given.step and type(active) is InFlight:
                            self.meters.time_step(given.step, at_ms - active.requested_ms)
            self._count(kind, verdict, at_ms)
            if self._traces and not isinstance(progress.state, FINAL):  # an ended saga has forgotten its trace
                outs = write(saga, saga_id, verdict, cause.untraced(), at_ms)
                add_spans(outs, saga_id, verdict.data if isinstance(given, Place) else progress.state.data)  # type: ignore[union-attr]
                return outs
            return write(saga, saga_id, verdict, cause, at_ms)
        if isinstance(verdict, DeadLettered):
            raise InvalidRecord(verdict.code, verdict.message)
        if isinstance(verdict, Expired):
            state.forget()
        return []

    def _count(self, kind: str, decision: Decision, at_ms: int) -> None:
        meters, events = self.meters, decision.events
        last: Any = events[-1]
        if "due_ms" in last:
            if len(events) == 2:  # the usual case: what happened, and the request of the next step
                meters.advances[kind, events[0]["type"], last["type"], last["step"], last["attempt"]] += 1
                return
            self._count_commands(events)
        elif last["type"] in _OUTCOME_OF:
            self._count_outcome(last, decision, at_ms)
        meters.decisions[kind, events[0]["type"]] += 1

    def _count_commands(self, events: list[Event]) -> None:
        event: Any
        for event in events:
            if "due_ms" in event:
                self.meters.commands[event["type"], event["step"], event["attempt"]] += 1

    def _count_outcome(self, event: Any, decision: Decision, at_ms: int) -> None:
        outcome = _OUTCOME_OF[event["type"]]
        if event["type"] in _SAGA_ENDED:
            outcome = "order.cancelled" if event.get("requested") else outcome
            duration = at_ms - decision.data.started_ms
            self.meters.saga_durations[outcome, duration.bit_length()] += 1
            self.meters.saga_ms[outcome] += duration
        self.meters.outcomes[outcome,] += 1

    def _dead_letter(self, topic: str, record: Record, invalid: InvalidRecord) -> OutputRecord:
        origin = record.origin
        self.meters.dead_letters[invalid.code, topic] += 1
        log.warning(
            "record sent to the dead letters",
            extra={
                "reason": invalid.code, "topic": origin.topic, "partition": origin.partition, "offset": origin.offset
            },
        )  # fmt: skip
        return dead_letter(origin, record.key, record.value, record.headers, invalid)


def _reroute(topic: str, owner: int, record: Record) -> OutputRecord:
    """The record, unchanged, for the partition that owns its key."""
    headers = record.headers or ()
    if header_bytes(headers) > MAX_HEADER_BYTES:
        raise InvalidRecord("too_large", f"the headers are longer than {MAX_HEADER_BYTES} bytes")
    return OutputRecord(topic, record.key, record.value, headers, owner)


@immutable
class _WakeupCause:
    """Causes of decisions that no record led to. What they send belongs to the trace of the saga.

    The id of such a cause becomes `ce_causationid` of the messages that follow. It is that of the previous attempt, or
    of the message that queued the step.
    """

    saga: Saga
    id: str
    state: State

    def due(self, due_ms: int) -> Cause:
        """A due timer, named after the attempt, backoff, deadline or retention that it ends."""
        state = self.state
        if not isinstance(state, ACTIVE_STATES):
            return self._cause("forget", due_ms, self.id)
        if isinstance(state, Running) and state.deadline_ms == due_ms:
            active = next((active for active in reversed(state.active_steps) if active.attempt), state.active_steps[0])
            return self._cause(DEADLINE, due_ms, self._led_to(active))
        for active in state.active_steps:
            if isinstance(active, WITH_DUE_TIME) and active.due_ms == due_ms:
                return self._of_step(active, "pause" if isinstance(active, BackingOff) else "timeout", due_ms)
        return self._cause("overtaken", due_ms, self.id)

    def capacity(self, step: str, at_ms: int) -> Cause:
        """A free slot for a queued step; it is due at once."""
        active = active_step(self.state.active_steps, step) if isinstance(self.state, ACTIVE_STATES) else None
        return self._of_step(active or Queued(step, 0, 1), "room", at_ms)

    def _of_step(self, active: ActiveStep, kind: str, due_ms: int) -> Cause:
        name = f"{active.step}:{direction_of(self.state)}:{active.attempt}:{kind}"
        return self._cause(name, due_ms, self._led_to(active))

    def _led_to(self, active: ActiveStep) -> str:
        """The id of the message that queued the step, or else of its previous attempt."""
        queued_by = active.cause if isinstance(active, Queued) else None
        return queued_by or self._previous_attempt(active.step, active.attempt)

    def _cause(self, name: str, due_ms: int, id: str) -> Cause:
        state = self.state
        return timer_cause(name, due_ms, id, () if isinstance(state, NotStarted) else trace_headers(state.data.trace))

    def _previous_attempt(self, step: str, attempt: int) -> str:
        """The id of the last attempt. If there is none: of an undo's do, of an earlier step's do, or of the saga."""
        if attempt:
            return command_id(self.id, step, direction_of(self.state), attempt)
        if direction_of(self.state) == "undo":
            return command_id(self.id, step, "do", 1)
        before = [one.name for one in self.saga.steps if one.name in self.saga.earlier[step]]
        return command_id(self.id, before[-1], "do", 1) if before else self.id
