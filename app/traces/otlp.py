"""Sends finished spans by OTLP/HTTP. Endpoint, headers and certificates also come from OTEL_EXPORTER_OTLP_*."""

from collections.abc import Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from app.ops.errors import CommandFailed
from app.traces.spans import Span

_KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT, "producer": SpanKind.PRODUCER}
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_SCOPE = InstrumentationScope("saga-orchestrator")
_BATCH = 512


class Exporter:
    """Exports spans in batches. `endpoint` is the whole URL; None: OTEL_EXPORTER_OTLP_*, or localhost:4318."""

    def __init__(self, endpoint: str | None = None) -> None:
        self._exporter: Any = OTLPSpanExporter(endpoint=endpoint)
        self._resource = Resource.create({"service.name": "saga-orchestrator"})

    def export(self, spans: Sequence[Span]) -> None:
        """Sends the spans. Raises CommandFailed if the receiver does not take them."""
        for start in range(0, len(spans), _BATCH):
            batch = [self._readable(span) for span in spans[start : start + _BATCH]]
            if self._exporter.export(batch) is not SpanExportResult.SUCCESS:
                raise CommandFailed("the OTLP receiver does not take the spans: see --endpoint; they are sent again")

    def close(self) -> None:
        """Closes the connections."""
        self._exporter.shutdown()

    def _readable(self, span: Span) -> ReadableSpan:
        parent = (
            None if span.parent_id is None else _context(span.trace_id, span.parent_id, remote=span.kind == "server")
        )
        events = [Event(event.name, event.attributes, _ns(event.at_ms)) for event in span.events]
        return ReadableSpan(
            span.name,
            _context(span.trace_id, span.span_id, remote=False),
            parent,
            self._resource,
            span.attributes,
            events,
            kind=_KINDS[span.kind],
            status=Status(StatusCode.ERROR) if span.failed else Status(StatusCode.UNSET),
            start_time=_ns(span.start_ms),
            end_time=_ns(span.end_ms),
            instrumentation_scope=_SCOPE,
        )


def _context(trace_id: str, span_id: str, *, remote: bool) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), remote, _SAMPLED)


def _ns(ms: int) -> int:
    return ms * 1_000_000
