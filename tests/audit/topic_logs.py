"""The logs of all topics in memory, and the input records that shops, participants and operators append to them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from app.audit.recording.recording import Header, Record, Recording, Span
from app.wire.partition import partition_of
from app.wire.topics import TopicPartitionKey
from tests.audit.sagas import SPEC

PREFIX, PARTITIONS = "t.", 4
TOPICS = (*SPEC.inputs, *SPEC.outputs, "saga.state", "saga.dead-letters")
INPUTS = SPEC.inputs
START = datetime(2026, 1, 1, tzinfo=UTC)
START_MS = 1_767_225_600_000

Body = dict[str, Any]


def time_text(ms: int) -> str:
    """A time in the contract's form, from ms since the start of 2026."""
    return (START + timedelta(milliseconds=ms)).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def traceparent(number: int) -> str:
    """A W3C trace context that is told apart by its number; one in four is not sampled."""
    return f"00-{number:032x}-{number:016x}-{'01' if number % 4 else '00'}"


@dataclass(slots=True)
class TopicLogs:
    """The logs so far. Each record advances the clock. Without `markers`, a log's offsets have no gaps."""

    prefix: str = PREFIX
    markers: bool = True
    records: list[Record] = field(default_factory=list)
    ends: dict[TopicPartitionKey, int] = field(default_factory=lambda: defaultdict(int))
    clock_ms: int = 0
    """Since the start of 2026."""
    traced: bool = False
    """Two of three CloudEvents have a trace."""

    def put(
        self,
        topic: str,
        key: str | None,
        value: bytes | None,
        headers: Sequence[Header] = (),
        partition: int | None = None,
    ) -> Record:
        """Appends a record to the partition of its key, or to the given one."""
        raw = None if key is None else key.encode()
        number = partition_of(raw or b"", PARTITIONS) if partition is None else partition
        self.clock_ms += 7
        offset = self.ends[topic, number]
        record = Record(topic, number, offset, START_MS + self.clock_ms, raw, value, tuple(headers))
        self.ends[topic, number] += 1
        self.records.append(record)
        return record

    def add_markers(self, topics: Sequence[str]) -> None:
        """Appends a transaction marker to every partition of the topics that has records."""
        for partition in [partition for partition in self.ends if partition[0] in topics]:
            self.ends[partition] += self.markers

    def send(self, topic: str, order_id: str, type: str, id: str, body: Body, **more: str) -> Record:
        """Appends a CloudEvent, as a participant or a shop sends it."""
        return self.put(topic, order_id, orjson.dumps(body), self.headers(order_id, type, id, "/test", **more))

    def headers(self, order_id: str, type: str, id: str, source: str, **more: str) -> list[Header]:
        """The headers of a CloudEvent; `more` are by name without `ce_`."""
        texts = {
            "ce_specversion": "1.0",
            "ce_id": id,
            "ce_type": type,
            "ce_source": source,
            "ce_time": time_text(self.clock_ms),
            "ce_correlationid": order_id,
            "content-type": "application/json",
            **{f"ce_{name}": text for name, text in more.items()},
        }
        if self.traced and self.clock_ms % 3:
            texts["traceparent"] = traceparent(self.clock_ms + 1)
        return [(name, text.encode()) for name, text in texts.items()]

    def dead_letter(self, record: Record, reason: str, cut: int | None = None, **more: str) -> Record:
        """Appends the dead letter of a record, with the value cut to `cut` bytes."""
        texts = {
            "reason": reason,
            "message": "it cannot be taken in",
            "topic": self.prefix + record.topic,
            "partition": str(record.partition),
            "offset": str(record.offset),
            "timestamp": str(record.timestamp_ms),
            **more,
        }
        added = [(f"__saga.errors.{name}", text.encode()) for name, text in texts.items()]
        key = None if record.key is None else record.key.decode()
        value = None if record.value is None else record.value[:cut]
        return self.put("saga.dead-letters", key, value, [*record.headers, *added], record.partition)

    def recording(self) -> Recording:
        """A recording of all topics, with every input read."""
        partitions = [(topic, number) for topic in TOPICS for number in range(PARTITIONS)]
        spans = {partition: Span(0, self.ends[partition], self.ends[partition]) for partition in partitions}
        committed = {one: self.ends[one] for one in partitions if one[0] in INPUTS and self.ends[one]}
        return Recording(self.prefix, PARTITIONS, tuple(self.records), committed, spans)


@dataclass(slots=True)
class OrderInputs:
    """One order, and the input records about it. `minor` and `quantity` are the amounts that it moves."""

    logs: TopicLogs
    id: str
    minor: int = 1999
    quantity: int = 2

    @property
    def order(self) -> Body:
        """The content of the order."""
        price = {"currency": "EUR", "minor": self.minor // self.quantity}
        lines = [{"sku": f"sku-{self.id}", "quantity": self.quantity, "unit_price": price}]
        total = {"currency": "EUR", "minor": self.minor}
        return {"order_id": self.id, "customer_id": f"c-{self.id}", "total": total, "lines": lines}

    def place(self, **changes: Any) -> Record:
        """A shop places the order; with `changes`, another order with the same id."""
        return self.logs.send("order.requests", self.id, "order.place", f"{self.id}:place", {**self.order, **changes})

    def submit(self, type: str, number: int = 1, step: str | None = None) -> Record:
        """A shop submits a cancel, or an operator an operation, on one `step` if given."""
        body = {"order_id": self.id, "reason": "asked for"}
        if type.startswith("saga."):
            body |= {"operator": "ann"} if step is None else {"operator": "ann", "step": step}
        topic = "saga.operations" if type.startswith("saga.") else "order.requests"
        return self.logs.send(topic, self.id, type, f"{self.id}:{type}:{number}", body)

    def reply(self, type: str, effect: str, attempt: int = 1, **body: Any) -> Record:
        """A participant replies to an attempt of an effect, such as `payment:do`."""
        name, command = type.partition(".")[0], f"{self.id}:{effect}:{attempt}"
        step = SPEC.steps[name]
        content = {"order_id": self.id, **body}
        if type == step.succeeded:
            content.setdefault(step.result, f"{name[0]}-{self.id}")
        elif type == step.refused:
            content.setdefault("reason", "no")
        elif type == step.failed:
            content = {"reason": "down", "retryable": True, **content}
        return self.logs.send(step.replies_topic, self.id, type, f"{command}:{type}", content, causationid=command)
