"""W3C trace context of what the orchestrator sends: as it came, or with ids that are functions of the saga's own."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from app.saga.messages import Trace
from app.saga.state import SagaData
from app.wire.writer import OutputRecord

TraceHeaders = tuple[tuple[str, bytes], ...]
"""`traceparent`, and `tracestate` if there is one; empty without a trace."""
_CE_ID = 1  # its place in the headers that the writer makes
_ID, _FLAGS = slice(3, 35), slice(53, 55)  # of a traceparent: of every version, as it says


def trace_headers(trace: Trace | None) -> TraceHeaders:
    """The headers of a trace as it came."""
    if trace is None:
        return ()
    return (("traceparent", trace.parent.encode()), *_state_headers(trace))


def trace_id(saga_id: str, started_ms: int, trace: Trace | None) -> str:
    """The trace of a saga's life, in hex: that of its order, or else a hash of its id and start (ms since 1970)."""
    return _hash(f"{saga_id}:{started_ms}".encode(), 16) if trace is None else trace.parent[_ID]


def span_id(message_id: str) -> str:
    """The span of a message (`ce_id`), in hex."""
    return _hash(message_id.encode(), 8)


def root_span_id(saga_id: str, started_ms: int) -> str:
    """The span of a saga's life, in hex."""
    return _hash(f"{saga_id}:{started_ms}".encode(), 8)


def is_sampled(trace: Trace) -> bool:
    """Whether the order's trace is recorded at all; a trace that starts with us is."""
    return int(trace.parent[_FLAGS], 16) & 1 == 1


def add_spans(records: Sequence[OutputRecord], saga_id: str, data: SagaData) -> None:
    """Puts each message of a decision, just written without a trace, into that of the saga: its own span is the parent.

    So who handles a message is a child of its span. It is sampled, unless the order was not.
    """
    if len(records) == 1:  # the first is the history's
        return
    trace = data.trace
    start = f"00-{trace_id(saga_id, data.started_ms, trace)}-"
    end, more = ("-01", ()) if trace is None else ("-01" if is_sampled(trace) else "-00", _state_headers(trace))
    for record in records[1:]:
        headers: list[Any] = record.headers  # type: ignore[assignment] # as the writer makes them
        headers += (("traceparent", f"{start}{_hash(headers[_CE_ID][1], 8)}{end}".encode()), *more)


def _state_headers(trace: Trace) -> TraceHeaders:
    return (("tracestate", trace.state.encode()),) if trace.state else ()


def _hash(name: bytes, size: int) -> str:
    """Bytes in hex. W3C Trace Context forbids zeros alone: one in 2^64 messages is not a parent then."""
    return blake2b(name, digest_size=size).hexdigest()
