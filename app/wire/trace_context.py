"""W3C trace context of what the orchestrator sends: as it came, or with ids that are functions of the saga's own."""

from collections.abc import Sequence
from hashlib import blake2b

from app.saga.messages import Trace
from app.wire.writer import OutputRecord

TraceHeaders = tuple[tuple[str, bytes], ...]
"""`traceparent`, and `tracestate` if there is one; empty without a trace."""
_CE_ID = 1  # its place in the headers that the writer makes
_ID, _FLAGS = slice(3, 35), slice(53, 55)  # of a traceparent: of every version, as it says


def trace_headers(trace: Trace | None) -> TraceHeaders:
    """The headers of a trace as it came."""
    if trace is None:
        return ()
    parent = ("traceparent", trace.parent.encode())
    return (parent, ("tracestate", trace.state.encode())) if trace.state else (parent,)


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


def with_spans(
    records: Sequence[OutputRecord], saga_id: str, started_ms: int, trace: Trace | None
) -> list[OutputRecord]:
    """Records of a decision that have no trace, each message in the trace of the saga, with its own span as parent.

    So who handles a message is a child of its span. It is sampled, unless the order was not.
    """
    start, end = f"00-{trace_id(saga_id, started_ms, trace)}-", "-01"
    more = trace_headers(trace)[1:]
    if trace is not None and not is_sampled(trace):
        end = "-00"
    spanned = []
    for record in records:
        if not record.headers:  # of the history
            spanned.append(record)
            continue
        id = record.headers[_CE_ID][1] or b""
        parent = ("traceparent", f"{start}{_hash(id, 8)}{end}".encode())
        spanned.append(OutputRecord(record.topic, record.key, record.value, [*record.headers, parent, *more]))
    return spanned


def _hash(name: bytes, size: int) -> str:
    """Bytes in hex; never only zeros, which W3C Trace Context doesn't allow."""
    digest = blake2b(name, digest_size=size).hexdigest()
    return digest if digest.strip("0") else digest[:-1] + "1"
