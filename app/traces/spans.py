"""The spans of one life of a saga, from its decisions alone: the same decisions give the same spans."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from app.saga.message_ids import Direction, command_id, outcome_id
from app.saga.messages import Trace
from app.wire.trace_context import is_sampled, root_span_id, span_id, trace_id

Document = dict[str, Any]
Attributes = dict[str, str | int | bool]
Kind = Literal["server", "client", "producer"]

_REQUESTS: dict[str, Direction] = {"saga.step.requested": "do", "saga.compensation.requested": "undo"}
_REPLIES: dict[str, Direction] = {
    "saga.step.succeeded": "do",
    "saga.step.refused": "do",
    "saga.step.failed": "do",
    "saga.step.timed_out": "do",
    "saga.compensation.succeeded": "undo",
    "saga.compensation.failed": "undo",
    "saga.compensation.timed_out": "undo",
}
_FAILURES = ("failed", "timed_out")
ENDS = ("saga.completed", "saga.rolled_back")
_OUTCOMES = {
    "saga.completed": "order.completed",
    "saga.rolled_back": "order.rejected",
    "saga.stuck": "order.stuck",
    "saga.cancel.refused": "order.cancel.refused",
}
_WAITS = {"room": "waited for capacity", "pause": "backed off", "deadline": "deadline passed"}
_NAMED = ("step", "attempt", "operation")  # members of an event that hold no text of a shop or an operator


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """A point in a span; the time is in ms since 1970."""

    name: str
    at_ms: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Span:
    """A finished span. Ids are in hex, times in ms since 1970; without a parent it is the root of its trace."""

    name: str
    kind: Kind
    trace_id: str
    span_id: str
    parent_id: str | None
    start_ms: int
    end_ms: int
    attributes: Attributes
    events: tuple[SpanEvent, ...] = ()
    failed: bool = False


@dataclass(slots=True)
class Life:
    """One life of a saga. Its spans are handed out when it ends: then each has its parent."""

    saga_id: str
    definition: str
    version: int
    started_ms: int
    trace: Trace | None
    _children: list[Span] = field(default_factory=list)
    _in_flight: dict[tuple[str, Direction], tuple[int, int]] = field(default_factory=dict)
    """The attempt and the time of its request, by effect."""
    _events: list[SpanEvent] = field(default_factory=list)
    _was_stuck: bool = False

    def decided(self, document: Document) -> list[Span]:
        """Takes a decision in. Returns all spans, the root first, if the decision ends this life; else none."""
        at_ms, end = ms_of(document["at"]), ""
        wait = _WAITS.get(str(document["cause"].get("timer", "")).rpartition(":")[2])
        if wait is not None:
            effect = str(document["cause"]["timer"]).rpartition(":")[0]
            self._events.append(SpanEvent(wait, at_ms, {"timer": effect} if effect else {}))
        for event in document["events"]:
            self._apply(event, at_ms)
            if event["type"] in _OUTCOMES:
                self._add_outcome(event, at_ms, document["seq"])
            if event["type"] in ENDS:
                end = event["type"]
        if not end:
            return []
        self._abandon(at_ms)
        if self.trace is not None and not is_sampled(self.trace):
            return []
        return [self._root(end, at_ms), *self._children]

    def _apply(self, event: Document, at_ms: int) -> None:
        type = event["type"]
        if type in _REQUESTS:
            self._in_flight[event["step"], _REQUESTS[type]] = (event["attempt"], at_ms)
        elif type in _REPLIES:
            outcome, effect = type.rpartition(".")[2], (event["step"], _REPLIES[type])
            self._close(effect, outcome, at_ms, answered=event["attempt"])
        else:
            named: Attributes = {name: event[name] for name in _NAMED if name in event}
            self._events.append(SpanEvent(type, at_ms, named))
            self._was_stuck = self._was_stuck or type == "saga.stuck"
        if "because" in event:
            self._abandon(at_ms)

    def _close(self, effect: tuple[str, Direction], outcome: str, at_ms: int, answered: int) -> None:
        """Ends the attempt in flight, if there is one: a late answer may come to an attempt that is over."""
        requested = self._in_flight.pop(effect, None)
        if requested is None:
            return
        (step, direction), (attempt, since_ms) = effect, requested
        attributes: Attributes = {"step": step, "direction": direction, "attempt": attempt, "outcome": outcome}
        if answered != attempt:
            attributes["answered_attempt"] = answered
        id = span_id(command_id(self.saga_id, step, direction, attempt))
        span = self._child(f"{step} {direction}", "client", id, (since_ms, at_ms), attributes)
        self._children.append(replace(span, failed=outcome in _FAILURES))

    def _abandon(self, at_ms: int) -> None:
        """The saga waits for no more replies to what is in flight."""
        for effect, (attempt, _) in tuple(self._in_flight.items()):
            self._close(effect, "abandoned", at_ms, attempt)

    def _add_outcome(self, event: Document, at_ms: int, seq: int) -> None:
        """A span without length, as the parent of what the shop does about the outcome."""
        name = "order.cancelled" if event.get("requested") else _OUTCOMES[event["type"]]
        id = span_id(outcome_id(self.saga_id, self.started_ms, seq))
        self._children.append(self._child(name, "producer", id, (at_ms, at_ms), {}))

    def _child(self, name: str, kind: Kind, id: str, times: tuple[int, int], attributes: Attributes) -> Span:
        return Span(name, kind, self._trace_id, id, root_span_id(self.saga_id, self.started_ms), *times, attributes)

    def _root(self, end: str, at_ms: int) -> Span:
        attributes: Attributes = {
            "saga.id": self.saga_id,
            "saga.definition": f"{self.definition}/{self.version}",
            "saga.end": end.partition(".")[2],
        }
        failed = self._was_stuck or end == "saga.rolled_back"
        root, parent = root_span_id(self.saga_id, self.started_ms), self.trace.parent[36:52] if self.trace else None
        times, events = (self.started_ms, at_ms), tuple(self._events)
        return Span("saga order", "server", self._trace_id, root, parent, *times, attributes, events, failed)

    @property
    def _trace_id(self) -> str:
        return trace_id(self.saga_id, self.started_ms, self.trace)


def life_of(document: Document) -> Life | None:
    """The life that a decision begins; None if it begins none."""
    first = document["events"][0]
    if first["type"] != "saga.started":
        return None
    trace = Trace(first["trace"], first.get("tracestate", "")) if "trace" in first else None
    return Life(document["saga_id"], document["saga"], document["version"], first["at_ms"], trace)


def ms_of(time: str) -> int:
    """Milliseconds since 1970 of a time in RFC 3339."""
    return round(datetime.fromisoformat(time).timestamp() * 1000)
