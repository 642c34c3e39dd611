"""A run written down by hand: the logs of all topics, as shops, participants and operators fill them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from app.audit.recording import Header, Place, Record, Recording, Span
from app.wire.partition import partition_of
from tests.audit.sagas import TERMS

PREFIX, PARTITIONS = "t.", 4
TOPICS = (*TERMS.inputs, *TERMS.outputs, "saga.state", "saga.dead-letters")
READ = TERMS.inputs
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
BEGIN_MS = 1_767_225_600_000

Body = dict[str, Any]


def time_text(ms: int) -> str:
    """A time, from ms since the begin of 2026."""
    return (BEGIN + timedelta(milliseconds=ms)).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


@dataclass(slots=True)
class World:
    """The logs so far; the clock goes on with every record. Without marks, the records of a log leave no gap."""

    prefix: str = PREFIX
    marks: bool = True
    records: list[Record] = field(default_factory=list)
    ends: dict[Place, int] = field(default_factory=lambda: defaultdict(int))
    ms: int = 0
    """Since the begin of 2026."""

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
        record = Record(topic, to, self.ends[topic, to], BEGIN_MS + self.ms, raw, value, tuple(headers))
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
class Customer:
    """One order in the world, and what others write about it; `minor` and `quantity` are what it moves."""

    world: World
    id: str
    minor: int = 1999
    quantity: int = 2

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

    def wish(self, type: str, number: int = 1, step: str | None = None) -> Record:
        """A shop cancels, or an operator acts, maybe on one `step`."""
        body = {"order_id": self.id, "reason": "asked for"}
        if type.startswith("saga."):
            body |= {"operator": "ann"} if step is None else {"operator": "ann", "step": step}
        topic = "saga.operations" if type.startswith("saga.") else "order.requests"
        return self.world.send(topic, self.id, type, f"{self.id}:{type}:{number}", body)

    def reply(self, type: str, effect: str, attempt: int = 1, **body: Any) -> Record:
        """A participant answers an attempt of an effect, as `payment:do`."""
        name, command = type.partition(".")[0], f"{self.id}:{effect}:{attempt}"
        step = TERMS.steps[name]
        content = {"order_id": self.id, **body}
        if type == step.succeeded:
            content.setdefault(step.result, f"{name[0]}-{self.id}")
        elif type == step.refused:
            content.setdefault("reason", "no")
        elif type == step.failed:
            content = {"reason": "down", "retryable": True, **content}
        return self.world.send(step.replies, self.id, type, f"{command}:{type}", content, causationid=command)
