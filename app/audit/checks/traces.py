"""INV-12 and 25, once settled: commands and outcomes are in the trace of their cause, or in that of their order."""

from collections.abc import Iterator

from app.audit.evidence import Evidence
from app.audit.history.histories import SagaHistory
from app.audit.history.replayed_saga import ExpectedCommand, ExpectedOutcome
from app.audit.invariants import Violation
from app.audit.recording.records import Decision, Message
from app.saga.messages import Trace
from app.wire import envelope
from app.wire.invalid_record import InvalidRecord
from app.wire.trace_context import span_id, trace_id

_IDS = 52  # characters of a traceparent up to the flags: version, trace and span
_ENDS = ("saga.completed", "saga.rolled_back")


def as_caused(evidence: Evidence) -> Iterator[Violation]:
    """A trace goes on as it came; or, with SAGA_TRACES, each message names its own span in the trace of its saga."""
    for history in evidence.complete_histories():
        order = _trace_of(history.start) if history.start else None
        yield from _kept(history, order)
        sent = {message.id: message for message in history.commands}
        ended_in = next((d.seq for d in history.decisions if any(e.get("type") in _ENDS for e in d.events)), None)
        for message, decision in _announced(history, sent):
            cause = evidence.inputs.get(decision.cause) if decision.cause else None
            if decision.cause and cause is None:
                continue
            ended = ended_in is not None and decision.seq > ended_in
            came = _trace_of(cause) if cause else ""
            allowed = _allowed(history, message, "" if ended else order or "", came, ended=ended)
            parent = message.headers.get("traceparent", "")
            if parent[:_IDS] not in allowed:
                expected = " or ".join(sorted(allowed)) or "none"
                text = f"{message.type} {message.id} has the traceparent {parent or 'none'}, not {expected}"
                yield Violation("INV-25", history.saga_id, text)


def _kept(history: SagaHistory, order: str | None) -> Iterator[Violation]:
    started = next((e for d in history.decisions for e in d.events if e.get("type") == "saga.started"), None)
    if started is not None and order is not None and started.get("trace", "") != order:
        yield Violation("INV-12", history.saga_id, "the trace in saga.started differs from that of the order")


def _announced(history: SagaHistory, sent: dict[str, Message]) -> Iterator[tuple[Message, Decision]]:
    """The commands and outcomes that were sent as announced, with their decisions."""
    expected: ExpectedCommand | ExpectedOutcome
    for expected in history.replayed.expected_commands:
        if expected.id in sent:
            yield sent[expected.id], expected.decision
    for message, expected in zip(history.outcomes, history.replayed.expected_outcomes, strict=False):
        yield message, expected.decision


def _allowed(history: SagaHistory, message: Message, order: str, came: str, *, ended: bool) -> set[str]:
    """The starts of `traceparent` that the contract allows: as it came, and with the span of the message itself."""
    allowed = {(came or order)[:_IDS]}
    if not ended:
        life = trace_id(history.saga_id, history.since_ms, Trace(order) if order else None)
        allowed.add(f"00-{life}-{span_id(message.id)}")
    return allowed


def _trace_of(message: Message) -> str:
    """The valid `traceparent` of an input; empty without one."""
    try:
        trace = dict(envelope.read(message.record.value, message.record.headers).trace)
    except InvalidRecord:
        return ""
    return trace.get("traceparent", b"").decode()
