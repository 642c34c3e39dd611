"""A run written down by hand: the logs of all topics, and what an orchestrator writes that keeps the contract."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.audit.recording import Header, Place, Record, Recording, Span
from app.wire.partition import partition_of

PREFIX, PARTITIONS = "t.", 4
TOPICS = (
    "order.requests order.outcomes reservation.commands reservation.replies payment.commands payment.replies "
    "saga.operations saga.events saga.state saga.dead-letters"
).split()
READ = ("order.requests", "reservation.replies", "payment.replies", "saga.operations")
SECOND_2026 = 1_767_225_600

Body = dict[str, Any]


def time_text(ms: int) -> str:
    """A time of the first hour of 2026, from ms since then."""
    return f"2026-01-01T00:{ms // 60_000:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}Z"


@dataclass(slots=True)
class World:
    """The logs so far; the clock goes on with every record. Without marks, the records of a log leave no gap."""

    prefix: str = PREFIX
    marks: bool = True
    records: list[Record] = field(default_factory=list)
    ends: dict[Place, int] = field(default_factory=lambda: defaultdict(int))
    ms: int = 0

    def put(
        self,
        topic: str,
        key: str | None,
        value: bytes | None,
        headers: Sequence[Header] = (),
        partition: int | None = None,
    ) -> Record:
        """Appends a record to its key's partition, or to the one given."""
        raw = None if key is None else key.encode()
        to = partition_of(raw or b"", PARTITIONS) if partition is None else partition
        self.ms += 7
        stamp = SECOND_2026 * 1000 + self.ms
        record = Record(topic, to, self.ends[topic, to], stamp, raw, value, tuple(headers))
        self.ends[topic, to] += 1
        self.records.append(record)
        return record

    def mark(self, topics: Sequence[str]) -> None:
        """Leaves the marker of a transaction at the end of every partition of the topics that has records."""
        for place in [place for place in self.ends if place[0] in topics]:
            self.ends[place] += self.marks

    def send(self, topic: str, order_id: str, type: str, id: str, body: Body, **more: str) -> Record:
        """Appends a CloudEvent, as a participant or a shop sends it."""
        return self.put(topic, order_id, orjson.dumps(body), self.headers(order_id, type, id, "/test", **more))

    def headers(self, order_id: str, type: str, id: str, source: str, **more: str) -> list[Header]:
        """The headers of a CloudEvent; more of them by their names without `ce_`."""
        texts = {
            "ce_specversion": "1.0",
            "ce_id": id,
            "ce_type": type,
            "ce_source": source,
            "ce_time": time_text(self.ms),
            "ce_correlationid": order_id,
            "content-type": "application/json",
            **{f"ce_{name}": text for name, text in more.items()},
        }
        return [(name, text.encode()) for name, text in texts.items()]

    def bury(self, record: Record, reason: str, cut: int | None = None, **more: str) -> Record:
        """Appends the dead letter of a record; its value cut to so many bytes."""
        texts = {
            "reason": reason,
            "message": "it cannot be taken in",
            "topic": self.prefix + record.topic,
            "partition": str(record.partition),
            "offset": str(record.offset),
            "timestamp": str(record.timestamp_ms),
            **more,
        }
        marks = [(f"__saga.errors.{name}", text.encode()) for name, text in texts.items()]
        key = None if record.key is None else record.key.decode()
        value = None if record.value is None else record.value[:cut]
        return self.put("saga.dead-letters", key, value, [*record.headers, *marks], record.partition)

    def recording(self) -> Recording:
        """All of it, with every input read."""
        places = [(topic, partition) for topic in TOPICS for partition in range(PARTITIONS)]
        spans = {place: Span(0, self.ends[place], self.ends[place]) for place in places}
        committed = {place: self.ends[place] for place in places if place[0] in READ and self.ends[place]}
        return Recording(self.prefix, PARTITIONS, tuple(self.records), committed, spans)


@dataclass(slots=True)
class Case:
    """One order in the world, and its orchestrator; `minor` and `quantity` are what it moves."""

    world: World
    id: str
    minor: int = 1999
    quantity: int = 2
    started_by: str = ""
    decisions: list[Body] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)

    @property
    def order(self) -> Body:
        """The order's content."""
        price = {"currency": "EUR", "minor": self.minor // self.quantity}
        lines = [{"sku": f"sku-{self.id}", "quantity": self.quantity, "unit_price": price}]
        total = {"currency": "EUR", "minor": self.minor}
        return {"order_id": self.id, "customer_id": f"c-{self.id}", "total": total, "lines": lines}

    def place(self, **changes: Any) -> Record:
        """A shop places the order, maybe another one with the same id."""
        return self.world.send("order.requests", self.id, "order.place", f"{self.id}:place", {**self.order, **changes})

    def wish(self, type: str, number: int = 1) -> Record:
        """A shop cancels, or an operator acts."""
        body = {"order_id": self.id, "reason": "asked for"}
        if type.startswith("saga."):
            body["operator"] = "ann"
        topic = "saga.operations" if type.startswith("saga.") else "order.requests"
        return self.world.send(topic, self.id, type, f"{self.id}:{type}:{number}", body)

    def reply(self, type: str, effect: str, attempt: int = 1, **body: Any) -> Record:
        """A participant answers an attempt of an effect, as `payment:do`."""
        step, verb = type.split(".")
        command = f"{self.id}:{effect}:{attempt}"
        content = {"order_id": self.id, **body}
        if verb in ("reserved", "charged"):
            content.setdefault(f"{step}_id", f"{step[0]}-{self.id}")
        elif verb in ("rejected", "declined"):
            content.setdefault("reason", "no")
        elif verb == "failed":
            content = {"reason": "down", "retryable": True, **content}
        return self.world.send(f"{step}.replies", self.id, type, f"{command}:{verb}", content, causationid=command)

    def decide(self, cause: Record | str, *events: Body) -> None:
        """Writes a decision and all it sends; the cause is a record, or the id of the attempt that a timer followed."""
        named, causation = self._cause(cause)
        self.decisions.append({"seq": len(self.decisions) + 1, "events": list(events)})
        value = {
            "saga_id": self.id,
            "saga": "order",
            "version": 1,
            "seq": len(self.decisions),
            "at": time_text(self.world.ms),
            "cause": named,
            "events": events,
        }
        self.world.put("saga.events", self.id, orjson.dumps(value))
        self._remember(cause, events)
        for event in events:
            self._send(event, causation)
        self.world.put("saga.state", self.id, state_of(self.decisions))
        self.world.mark(("saga.events", "saga.state", "order.outcomes", "reservation.commands", "payment.commands"))

    def _cause(self, cause: Record | str) -> tuple[Body, str]:
        if isinstance(cause, str):
            return {"timer": cause, "due": time_text(self.world.ms)}, cause
        text = {name: (value or b"").decode() for name, value in cause.headers}
        if text["content-type"].startswith("application/cloudevents+json"):
            said = orjson.loads(cause.value or b"")
            text = {"ce_id": said["id"], "ce_type": said["type"]}
        place = {"topic": self.world.prefix + cause.topic, "partition": cause.partition, "offset": cause.offset}
        return {**place, "id": text["ce_id"], "type": text["ce_type"]}, text["ce_id"]

    def _remember(self, cause: Record | str, events: Sequence[Body]) -> None:
        if isinstance(cause, Record) and events[0]["type"] == "saga.step.succeeded":
            name = f"{events[0]['step']}_id"
            self.results[name] = orjson.loads(cause.value or b"")[name]

    def _send(self, event: Body, causation: str) -> None:
        if event["type"] in ("saga.step.requested", "saga.compensation.requested"):
            self._command(event["step"], "do" if "step." in event["type"] else "undo", event["attempt"], causation)
        elif event["type"] in OUTCOMES:
            type, body = OUTCOMES[event["type"]], {"order_id": self.id}
            if type == "order.completed":
                body.update(self.results)
            else:
                body["reason"] = event["reason"]
            if event.get("wished"):
                type = "order.cancelled"
            elif type in ("order.rejected", "order.stuck"):
                body["step"] = event.get("step", "payment")
            id = f"{self.id}:outcome:{len(self.decisions)}"
            self._write("order.outcomes", type, id, body, causationid=causation)

    def _command(self, step: str, direction: str, attempt: int, causation: str) -> None:
        effect = f"{self.id}:{step}:{direction}"
        body: Body = {"order_id": self.id}
        if step == "reservation" and direction == "do":
            body["lines"] = self.order["lines"]
        if step == "payment":
            body["total"] = self.order["total"]
        if step == "payment" and direction == "do":
            body["customer_id"] = self.order["customer_id"]
        if direction == "undo" and f"{step}_id" in self.results:
            body[f"{step}_id"] = self.results[f"{step}_id"]
        more = {"causationid": causation, "idempotencykey": effect}
        self._write(f"{step}.commands", COMMANDS[step, direction], f"{effect}:{attempt}", body, **more)

    def _write(self, topic: str, type: str, id: str, body: Body, **more: str) -> None:
        headers = self.world.headers(self.id, type, id, "/saga-orchestrator", **more)
        self.world.put(topic, self.id, orjson.dumps(body), headers)


COMMANDS = {
    ("reservation", "do"): "reservation.reserve",
    ("reservation", "undo"): "reservation.release",
    ("payment", "do"): "payment.charge",
    ("payment", "undo"): "payment.refund",
}
OUTCOMES = {
    "saga.completed": "order.completed",
    "saga.rolled_back": "order.rejected",
    "saga.stuck": "order.stuck",
    "saga.cancel.refused": "order.cancel.refused",
}
STATES = {
    "saga.started": "running",
    "saga.step.requested": "running",
    "saga.step.failed": "pausing",
    "saga.compensation.requested": "compensating",
    "saga.compensation.failed": "compensation_pausing",
    "saga.stuck": "stuck",
    "saga.completed": "completed",
    "saga.rolled_back": "rolled_back",
}


def state_of(decisions: Sequence[Mapping[str, Any]]) -> bytes:
    """The state that decisions fold to."""
    types = [event["type"] for decision in decisions for event in decision["events"]]
    name = next(STATES[type] for type in reversed(types) if type in STATES)
    return orjson.dumps({"state": name, "seq": decisions[-1]["seq"]})
