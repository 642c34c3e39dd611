"""What an orchestrator writes that keeps the contract: the decisions are given by hand, all else follows from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.audit.recording import Record
from tests.audit.sagas import TERMS
from tests.audit.world import BEGIN_MS, Body, Customer, time_text

OUTCOMES = {
    "saga.completed": "order.completed",
    "saga.rolled_back": "order.rejected",
    "saga.stuck": "order.stuck",
    "saga.cancel.refused": "order.cancel.refused",
}
_REQUESTS = {"saga.step.requested": "do", "saga.compensation.requested": "undo"}
_WRITTEN = ("saga.events", "saga.state", *TERMS.outputs)


@dataclass(frozen=True, slots=True)
class Due:
    """A timer as a cause: its name, when it was due (ms since the begin of 2026), and what its messages name."""

    timer: str
    ms: int
    causation: str


@dataclass(slots=True)
class Case(Customer):
    """One order and its orchestrator, by a version of the saga. Events give times as ms from their decision on."""

    version: int = 1
    decisions: list[Body] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)
    dues: dict[str, int] = field(default_factory=dict)
    forget_ms: int = 0
    started_ms: int = 0

    def at(self, timer: str, after: str = "") -> Due:
        """Time passes until a timer is due: `<step>:<do|undo>:<attempt>:<timeout|pause|room>`, or `deadline`.

        What the deadline leads to comes after the last attempt, as `payment:do:1`; with 0, nothing was asked for.
        """
        self.world.ms = max(self.world.ms, self.dues.get(timer, 0))
        head = timer.rpartition(":")[0] or after
        return Due(timer, self.dues.get(timer, self.world.ms), self._before(head))

    def _before(self, head: str) -> str:
        """The attempt of a timer's name; of one that was never asked for, what came before it."""
        name, _, direction = head.removesuffix(":0").partition(":")
        if not head.endswith(":0"):
            return f"{self.id}:{head}"
        if direction == "undo":
            return f"{self.id}:{name}:do:1"
        needs = TERMS.plans[self.version].by_name[name].needs
        earlier = [step.name for step in TERMS.plans[self.version].steps if step.name in needs]
        return f"{self.id}:{earlier[-1]}:do:1" if earlier else self.id

    def forget(self) -> None:
        """The time for which the saga is remembered passes: its state is deleted."""
        self.world.ms = max(self.world.ms, self.forget_ms)
        self.world.put("saga.state", self.id, None)
        self.decisions, self.results, self.dues = [], {}, {}

    def decide(self, cause: Record | Due, *given: Body) -> None:
        """Writes a decision and all that it sends."""
        said = _said(cause) if isinstance(cause, Record) else {}
        events = [self._full(event, said) for event in given]
        named, causation = self._cause(cause, said)
        self.decisions.append({"seq": len(self.decisions) + 1, "events": events})
        value = {
            "saga_id": self.id,
            "saga": "order",
            "version": self.version,
            "seq": len(self.decisions),
            "at": time_text(self.world.ms),
            "cause": named,
            "events": events,
        }
        more = {"causationid": causation, "time": time_text(self.world.ms)}
        self.world.put("saga.events", self.id, orjson.dumps(value))
        for event in events:
            self._send(event, more)
        self.world.put("saga.state", self.id, state_of(self.decisions))
        self.world.mark(_WRITTEN)

    def _cause(self, cause: Record | Due, said: Body) -> tuple[Body, str]:
        if isinstance(cause, Due):
            return {"timer": cause.timer, "due": time_text(cause.ms)}, cause.causation
        place = {"topic": self.world.prefix + cause.topic, "partition": cause.partition, "offset": cause.offset}
        return {**place, "id": said["id"], "type": said["type"]}, said["id"]

    def _full(self, event: Body, said: Body) -> Body:
        """The event with its times, and with what it has from its cause."""
        now, type = BEGIN_MS + self.world.ms, event["type"]
        full = {name: now + value if name.endswith("_ms") else value for name, value in event.items()}
        if type == "saga.started":
            self.started_ms = now
            full["order"] = {name: said["data"][name] for name in self.order}
        elif type == "saga.step.succeeded":
            name = TERMS.steps[event["step"]].result
            full["result"] = self.results[name] = said["data"][name]
        elif type in ("saga.operated", "saga.operation.refused"):
            full.update(operation=said["type"], operator=said["data"]["operator"], reason=said["data"]["reason"])
        elif type == "saga.reply.ignored":
            full.update(reply=said["type"], command=said["causationid"])
        elif type in ("saga.step.refused", "saga.cancel.requested"):
            full["reason"] = said["data"]["reason"]
        elif type.endswith(".failed"):
            full.update(reason=said["data"]["reason"], retryable=said["data"]["retryable"])
        self._note(full)
        return full

    def _note(self, event: Body) -> None:
        """Remembers what will be due."""
        type = event["type"]
        way = "undo" if "compensation" in type else "do"
        head = f"{event.get('step')}:{way}:{event.get('attempt')}"
        timers = {"due_ms": f"{head}:timeout", "retry_due_ms": f"{head}:pause", "deadline_ms": "deadline"}
        self.dues.update({timer: event[name] - BEGIN_MS for name, timer in timers.items() if name in event})
        if "forget_ms" in event:
            self.forget_ms = event["forget_ms"] - BEGIN_MS

    def _send(self, event: Body, more: Mapping[str, str]) -> None:
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
        step, effect = TERMS.plans[self.version].by_name[name], f"{self.id}:{name}:{direction}"
        ask = dict(step.asks)[direction]
        body = {"order_id": self.id, **{field: self.order[field] for field in ask.fields}}
        body.update({field: self.results[field] for field in ask.results if field in self.results})
        self._write(step.commands, ask.type, f"{effect}:{attempt}", body, {**more, "idempotencykey": effect})

    def _write(self, topic: str, type: str, id: str, body: Body, more: Mapping[str, str]) -> None:
        headers = self.world.headers(self.id, type, id, "/saga-orchestrator", **more)
        self.world.put(topic, self.id, orjson.dumps(body), headers)


def _said(cause: Record) -> Body:
    """What a message says, in binary or structured mode."""
    headers = {name: (value or b"").decode() for name, value in cause.headers}
    value = orjson.loads(cause.value or b"")
    if headers["content-type"].startswith("application/cloudevents+json"):
        return dict(value)
    return {"data": value, **{name.removeprefix("ce_"): text for name, text in headers.items()}}


def state_of(decisions: Sequence[Mapping[str, Any]]) -> bytes:
    """The state that decisions fold to."""
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
    legs = [{"is": "stuck", "step": step} for step in stuck]
    return orjson.dumps({"state": state, "seq": decisions[-1]["seq"], "legs": legs})
