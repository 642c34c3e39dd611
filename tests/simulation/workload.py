"""The workload: shops that place and cancel orders, operators, and others that write invalid records."""

from collections.abc import Iterator
from random import Random
from typing import Any

import orjson

from app.saga.messages import Compensate, Operation, Retry, Skip
from app.wire.operations import operation
from app.wire.topics import OPERATIONS, OUTCOMES, REQUESTS
from app.wire.writer import OutputRecord
from tests.simulation.kafka import Message, SimulatedKafka
from tests.simulation.plan import Plan, Workload

Scheduled = tuple[int, OutputRecord]
"""(delay in ms, record); a record without a partition goes to the one that owns its key."""

_OPERATIONS: tuple[type[Operation], ...] = (Retry, Retry, Skip, Compensate)


class Shops:
    """Place the plan's number of orders within its time, and change their minds. Order ids contain the seed."""

    def __init__(self, plan: Plan, rng: Random) -> None:
        self._plan = plan
        self._rng = rng
        self.ids = [f"o-{plan.seed}-{number}" for number in range(plan.sagas)]

    def schedule(self) -> Iterator[Scheduled]:
        """All records of shops and others, in no order of time."""
        for number, id in enumerate(self.ids):
            at_ms = self._rng.randrange(self._plan.span_ms)
            order = self._order(id, number)
            yield at_ms, order_record(order, f"{id}:place")
            yield from self._follow_ups(id, order, at_ms)

    def _follow_ups(self, id: str, order: dict[str, Any], at_ms: int) -> Iterator[Scheduled]:
        workload, roll = self._plan.workload, self._rng.random
        if roll() < workload.duplicate_order:
            yield at_ms + self._delay(), order_record(order, f"{id}:place" if roll() < 0.5 else f"{id}:again")
        if roll() < workload.conflicting_order:
            changed = {**order, "customer_id": "somebody else"}
            yield at_ms + self._rng.randrange(1, self._before_expiry()), order_record(changed, f"{id}:other")
        if roll() < workload.cancel:
            cancel = request_record(REQUESTS.name, id, "order.cancel", f"{id}:cancel", reason="not any more")
            yield at_ms + self._delay(), cancel
        if roll() < workload.operation:
            yield at_ms + self._delay(), random_operation(self._rng, id, at_ms)
        if roll() < workload.invalid:
            yield at_ms + self._delay(), self._invalid_record(id, order)
        if roll() < workload.misrouted:
            out = order_record(order, f"{id}:astray")
            yield at_ms + self._delay(), out._replace(partition=self._rng.randrange(self._plan.partitions))

    def _order(self, id: str, number: int) -> dict[str, Any]:
        price = {"currency": "EUR", "minor": 100 + number}
        lines = [{"sku": f"sku-{number % 7}", "quantity": 1 + number % 3, "unit_price": price}]
        return {"order_id": id, "customer_id": f"c-{number % 50}", "total": price, "lines": lines}

    def _delay(self) -> int:
        """Mostly while the saga is live, now and then long after its end."""
        return self._rng.randrange(self._rng.choice((200, 2_000, 20_000, 200_000)))

    def _before_expiry(self) -> int:
        """Before the order can expire: after that, another order with its id is no conflict."""
        return min(20_000, self._plan.saga.retention_ms)

    def _invalid_record(self, id: str, order: dict[str, Any]) -> OutputRecord:
        valid = order_record(order, f"{id}:poison")
        replies = self._plan.saga.steps[0].replies_topic
        kinds: tuple[OutputRecord, ...] = (
            valid._replace(value=b"{"),
            valid._replace(value=None),
            valid._replace(value=b'{"a":' * 40 + b"1" + b"}" * 40),
            valid._replace(value=b"x" * 70_000),
            valid._replace(headers=()),
            valid._replace(key=b"another", partition=0),
            valid._replace(key=None, partition=0),
            valid._replace(topic=OPERATIONS.name),
            valid._replace(topic=replies),
            request_record(REQUESTS.name, f"{id}-unknown", "order.cancel", f"{id}:lost", reason="which one?"),
            request_record(REQUESTS.name, id, "order.cancel", f"{id}:mute"),
        )
        return self._rng.choice(kinds)


class Operators:
    """React to `order.stuck` outcomes some time later, with any operation."""

    def __init__(self, kafka: SimulatedKafka, rng: Random) -> None:
        self._logs = [kafka.logs[kafka.topics.full(OUTCOMES), number] for number in range(kafka.partitions)]
        self._read = [0] * kafka.partitions
        self._rng = rng

    def react(self, workload: Workload, now_ms: int) -> Iterator[Scheduled]:
        """The operations on sagas that got stuck since the last call."""
        for number, log in enumerate(self._logs):
            new, self._read[number] = log.records[self._read[number] :], len(log.records)
            stuck = (outcome for outcome in new if outcome is not None and _type_of(outcome) == b"order.stuck")
            for outcome in stuck:
                if self._rng.random() < workload.resolve_stuck:
                    id = (outcome.key() or b"").decode()
                    yield self._rng.choice((100, 5_000, 60_000)), random_operation(self._rng, id, now_ms)


def _type_of(message: Message) -> bytes | None:
    return dict(message.headers() or ())["ce_type"]


def random_operation(rng: Random, id: str, at_ms: int) -> OutputRecord:
    """An operation of any kind on an order."""
    return operation_record(rng.choice(_OPERATIONS), id, f"{rng.getrandbits(40)}", at_ms)


def operation_record(kind: type[Operation], id: str, number: str, at_ms: int) -> OutputRecord:
    """An operation as operators send it."""
    return operation(id, kind(f"{id}:wish:{number}", "olga", "seen to"), at_ms)


def order_record(order: dict[str, Any], id: str) -> OutputRecord:
    """An order as a record."""
    return request_record(REQUESTS.name, order["order_id"], "order.place", id, **order)


def request_record(topic: str, order: str, type: str, id: str, **data: Any) -> OutputRecord:
    """A record about an order."""
    headers: list[tuple[str, bytes | None]] = [
        ("ce_specversion", b"1.0"),
        ("ce_id", id.encode()),
        ("ce_type", type.encode()),
        ("content-type", b"application/json"),
    ]
    return OutputRecord(topic, order.encode(), orjson.dumps({"order_id": order, **data}), headers)
