"""One order and its orchestrator, by hand: a test gives the decisions, and commands, outcomes and states follow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.audit.recording.recording import Header, Record
from tests.audit.sagas import SPEC
from tests.audit.topic_logs import START_MS, Body, OrderInputs, time_text

OUTCOMES = {
    "saga.completed": "order.completed",
    "saga.rolled_back": "order.rejected",
    "saga.stuck": "order.stuck",
    "saga.cancel.refused": "order.cancel.refused",
}
_REQUESTS = {"saga.step.requested": "do", "saga.compensation.requested": "undo"}
_WRITTEN = ("saga.events", "saga.state", *SPEC.outputs)


@dataclass(frozen=True, slots=True)
class TimerCause:
    """A timer as a cause: its name, its due time (ms since the start of 2026), and the causation id it leads to."""

    timer: str
    ms: int
    causation: str


@dataclass(slots=True)
class Case(OrderInputs):
    """One order and its orchestrator, by a version of the saga. Event times are in ms after their decision."""

    version: int = 1
    decisions: list[Body] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)
    due_times: dict[str, int] = field(default_factory=dict)
    """By timer name, in ms since the start of 2026."""
    forget_ms: int = 0
    started_ms: int = 0
    trace: str = ""
    """The `traceparent` of its order and of all that is sent; empty for none."""
    queued_by: str = ""
    """The id of the last message that may have queued a step; empty after a timer, but for free capacity."""

    def due(self, timer: str, after: str = "") -> TimerCause:
        """Advances the clock until a timer is due: `<step>:<do|undo>:<attempt>:<timeout|pause|room>`, or `deadline`.

        For the deadline, `after` is the last attempt before it, such as `payment:do:1`; attempt 0: none was requested.
        """
        self.logs.clock_ms = max(self.logs.clock_ms, self.due_times.get(timer, 0))
        attempt = timer.rpartition(":")[0] or after
        queued_by = self.queued_by if timer.endswith(":room") or after.endswith(":0") else ""
        return TimerCause(timer, self.due_times.get(timer, self.logs.clock_ms), queued_by or self._causation(attempt))

    def _causation(self, attempt: str) -> str:
        """The id of an attempt, such as `payment:do:1`; for attempt 0 of a step that a timer queued, that before it."""
        name, _, direction = attempt.removesuffix(":0").partition(":")
        if not attempt.endswith(":0"):
            return f"{self.id}:{attempt}"
        if direction == "undo":
            return f"{self.id}:{name}:do:1"
        needs = SPEC.versions[self.version].by_name[name].needs
        earlier = [step.name for step in SPEC.versions[self.version].steps if step.name in needs]
        return f"{self.id}:{earlier[-1]}:do:1" if earlier else self.id

    def expire(self) -> None:
        """Advances the clock to the end of the saga's retention, and deletes its state."""
        self.logs.clock_ms = max(self.logs.clock_ms, self.forget_ms)
        self.logs.put("saga.state", self.id, None)
        self.decisions, self.results, self.due_times = [], {}, {}

    def decide(self, cause: Record | TimerCause, *given: Body) -> None:
        """Writes a decision with the given events, and all records that it sends."""
        message = _attributes(cause) if isinstance(cause, Record) else {}
        events = [self._full(event, message) for event in given]
        named, causation = self._cause(cause, message)
        if isinstance(cause, Record) or not cause.timer.endswith(":room"):
            self.queued_by = str(message.get("id", ""))
        self.decisions.append({"seq": len(self.decisions) + 1, "events": events})
        value = {
            "saga_id": self.id,
            "saga": "order",
            "version": self.version,
            "seq": len(self.decisions),
            "at": time_text(self.logs.clock_ms),
            "cause": named,
            "events": events,
        }
        more = {"causationid": causation, "time": time_text(self.logs.clock_ms)}
        self.logs.put("saga.events", self.id, orjson.dumps(value))
        for event in events:
            self._send(event, more)
        self.logs.put("saga.state", self.id, state_of(self.decisions))
        self.logs.add_markers(_WRITTEN)

    def _cause(self, cause: Record | TimerCause, message: Body) -> tuple[Body, str]:
        """The decision's member `cause`, and the causation id of what it sends."""
        if isinstance(cause, TimerCause):
            return {"timer": cause.timer, "due": time_text(cause.ms)}, cause.causation
        origin = {"topic": self.logs.prefix + cause.topic, "partition": cause.partition, "offset": cause.offset}
        return {**origin, "id": message["id"], "type": message["type"]}, message["id"]

    def _full(self, event: Body, message: Body) -> Body:
        """The event with absolute times, and with the fields that it copies from its cause."""
        now, type = START_MS + self.logs.clock_ms, event["type"]
        full = {name: now + value if name.endswith("_ms") else value for name, value in event.items()}
        if type == "saga.started":
            self.started_ms = now
            full["order"] = {name: message["data"][name] for name in self.order}
            full |= {"trace": self.trace} if self.trace else {}
        elif type == "saga.step.succeeded":
            name = SPEC.steps[event["step"]].result
            full["result"] = self.results[name] = message["data"][name]
        elif type in ("saga.operated", "saga.operation.refused"):
            operator, reason = message["data"]["operator"], message["data"]["reason"]
            full.update(operation=message["type"], operator=operator, reason=reason)
        elif type == "saga.reply.ignored":
            full.update(reply=message["type"], command=message["causationid"])
        elif type in ("saga.step.refused", "saga.cancel.requested"):
            full["reason"] = message["data"]["reason"]
        elif type.endswith(".failed"):
            full.update(reason=message["data"]["reason"], retryable=message["data"]["retryable"])
        self._note_due_times(full)
        return full

    def _note_due_times(self, event: Body) -> None:
        direction = "undo" if "compensation" in event["type"] else "do"
        attempt = f"{event.get('step')}:{direction}:{event.get('attempt')}"
        timers = {"due_ms": f"{attempt}:timeout", "retry_due_ms": f"{attempt}:pause", "deadline_ms": "deadline"}
        self.due_times.update({timer: event[name] - START_MS for name, timer in timers.items() if name in event})
        if "forget_ms" in event:
            self.forget_ms = event["forget_ms"] - START_MS

    def _send(self, event: Body, more: Mapping[str, str]) -> None:
        """Writes the command or outcome that an event announces."""
        type = event["type"]
        if type in _REQUESTS:
            self._command(event["step"], _REQUESTS[type], event["attempt"], more)
        elif type in OUTCOMES:
            outcome, body = OUTCOMES[type], {"order_id": self.id}
            if event.get("requested"):
                outcome = "order.cancelled"
            if outcome == "order.completed":
                body.update(self.results)
            else:
                body["reason"] = event["reason"]
            if outcome in ("order.rejected", "order.stuck"):
                body["step"] = event["step"]
            self._write("order.outcomes", outcome, self._outcome_id(), body, more)

    def _outcome_id(self) -> str:
        return f"{self.id}:outcome:{self.started_ms}:{len(self.decisions)}"

    def _command(self, name: str, direction: str, attempt: int, more: Mapping[str, str]) -> None:
        step, effect = SPEC.versions[self.version].by_name[name], f"{self.id}:{name}:{direction}"
        command = step.commands[direction]
        body = {"order_id": self.id, **{field: self.order[field] for field in command.fields}}
        body.update({field: self.results[field] for field in command.results if field in self.results})
        headers = {**more, "idempotencykey": effect}
        self._write(step.commands_topic, command.type, f"{effect}:{attempt}", body, headers)

    def _write(self, topic: str, type: str, id: str, body: Body, more: Mapping[str, str]) -> None:
        headers = self.logs.headers(self.id, type, id, "/saga-orchestrator", **more)
        self.logs.put(topic, self.id, orjson.dumps(body), [*headers, *self.trace_headers])

    @property
    def trace_headers(self) -> list[Header]:
        """The trace of the order, as headers."""
        return [("traceparent", self.trace.encode())] if self.trace else []


def _attributes(record: Record) -> Body:
    """The attributes and `data` of a CloudEvent, in binary or structured mode."""
    headers = {name: (value or b"").decode() for name, value in record.headers}
    value = orjson.loads(record.value or b"")
    if headers["content-type"].startswith("application/cloudevents+json"):
        return dict(value)
    return {"data": value, **{name.removeprefix("ce_"): text for name, text in headers.items()}}


def state_of(decisions: Sequence[Mapping[str, Any]]) -> bytes:
    """The state bytes that decisions fold to."""
    state, stuck = "running", list[str]()
    for event in (event for decision in decisions for event in decision["events"]):
        type = event["type"]
        if "because" in event:
            state = "compensating"
        if type in ("saga.completed", "saga.rolled_back"):
            state = type.removeprefix("saga.")
        elif type == "saga.stuck":
            stuck.append(event["step"])
        elif type == "saga.operated":
            stuck = [step for step in stuck if step not in event.get("steps", stuck)]
        elif type.endswith(".succeeded") and event["step"] in stuck:
            stuck.remove(event["step"])
    active = [{"is": "stuck", "step": step} for step in stuck]
    return orjson.dumps({"state": state, "seq": decisions[-1]["seq"], "legs": active})
