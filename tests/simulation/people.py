"""Shops that place and cancel orders, operators, and strangers who write what nobody can read."""

from collections.abc import Iterator
from random import Random
from typing import Any

import orjson

from app.saga.messages import Compensate, Operation, Retry, Skip
from app.wire.operations import operation
from app.wire.topics import OPERATIONS, OUTCOMES, REQUESTS
from app.wire.writer import Out
from tests.simulation.kafka import Kafka, Message
from tests.simulation.plan import People, Plan

Later = tuple[int, Out]
"""After how many ms what is written; a record that names no partition goes where its key belongs."""

_WISHES: tuple[type[Operation], ...] = (Retry, Retry, Skip, Compensate)


class Shops:
    """Place so many orders within a time, and change their minds. Ids hang together with the seed."""

    def __init__(self, plan: Plan, chance: Random) -> None:
        self._plan = plan
        self._chance = chance
        self.ids = [f"o-{plan.seed}-{number}" for number in range(plan.sagas)]

    def plans(self) -> Iterator[Later]:
        """All that they and others will write, in no order."""
        for number, id in enumerate(self.ids):
            at = self._chance.randrange(self._plan.span_ms)
            order = self._order(id, number)
            yield at, placed(order, f"{id}:place")
            yield from self._more(id, order, at)

    def _more(self, id: str, order: dict[str, Any], at: int) -> Iterator[Later]:
        people, luck = self._plan.people, self._chance.random
        if luck() < people.again:
            yield at + self._delay(), placed(order, f"{id}:place" if luck() < 0.5 else f"{id}:again")
        if luck() < people.conflict:
            other = {**order, "customer_id": "somebody else"}
            yield at + self._chance.randrange(1, self._soon()), placed(other, f"{id}:other")
        if luck() < people.cancel:
            yield at + self._delay(), message(REQUESTS.name, id, "order.cancel", f"{id}:cancel", reason="not any more")
        if luck() < people.operate:
            yield at + self._delay(), wished(self._chance, id, at)
        if luck() < people.poison:
            yield at + self._delay(), self._poison(id, order)
        if luck() < people.astray:
            out = placed(order, f"{id}:astray")
            yield at + self._delay(), out._replace(partition=self._chance.randrange(self._plan.partitions))

    def _order(self, id: str, number: int) -> dict[str, Any]:
        price = {"currency": "EUR", "minor": 100 + number}
        lines = [{"sku": f"sku-{number % 7}", "quantity": 1 + number % 3, "unit_price": price}]
        return {"order_id": id, "customer_id": f"c-{number % 50}", "total": price, "lines": lines}

    def _delay(self) -> int:
        """Mostly while the saga is under way, now and then long after it."""
        return self._chance.randrange(self._chance.choice((200, 2_000, 20_000, 200_000)))

    def _soon(self) -> int:
        """Before the order can be forgotten: after that another one of its id is no conflict."""
        return min(20_000, self._plan.saga.remembered_ms)

    def _poison(self, id: str, order: dict[str, Any]) -> Out:
        good = placed(order, f"{id}:poison")
        replies = self._plan.saga.steps[0].replies_topic
        kinds: tuple[Out, ...] = (
            good._replace(value=b"{"),
            good._replace(value=None),
            good._replace(value=b'{"a":' * 40 + b"1" + b"}" * 40),
            good._replace(value=b"x" * 70_000),
            good._replace(headers=()),
            good._replace(key=b"another", partition=0),
            good._replace(key=None, partition=0),
            good._replace(topic=OPERATIONS.name),
            good._replace(topic=replies),
            message(REQUESTS.name, f"{id}-unknown", "order.cancel", f"{id}:lost", reason="which one?"),
            message(REQUESTS.name, id, "order.cancel", f"{id}:mute"),
        )
        return self._chance.choice(kinds)


class Operators:
    """Look at what the shops are told is stuck, and see to it some time later, sensibly or not."""

    def __init__(self, kafka: Kafka, chance: Random) -> None:
        self._logs = [kafka.logs[kafka.topics.full(OUTCOMES), number] for number in range(kafka.partitions)]
        self._read = [0] * kafka.partitions
        self._chance = chance

    def look(self, people: People, now_ms: int) -> Iterator[Later]:
        """What they do about what is new."""
        for number, log in enumerate(self._logs):
            fresh, self._read[number] = log.records[self._read[number] :], len(log.records)
            stuck = (told for told in fresh if told is not None and _type(told) == b"order.stuck")
            for told in stuck:
                if self._chance.random() < people.see_to_stuck:
                    id = (told.key() or b"").decode()
                    yield self._chance.choice((100, 5_000, 60_000)), wished(self._chance, id, now_ms)


def _type(message: Message) -> bytes | None:
    return dict(message.headers() or ())["ce_type"]


def wished(chance: Random, id: str, at_ms: int) -> Out:
    """Any operation on an order."""
    return wish(chance.choice(_WISHES), id, f"{chance.getrandbits(40)}", at_ms)


def wish(kind: type[Operation], id: str, number: str, at_ms: int) -> Out:
    """An operation, as operators send it."""
    return operation(id, kind(f"{id}:wish:{number}", "olga", "seen to"), at_ms)


def placed(order: dict[str, Any], id: str) -> Out:
    """An order as a message."""
    return message(REQUESTS.name, order["order_id"], "order.place", id, **order)


def message(topic: str, order: str, type: str, id: str, **data: Any) -> Out:
    """Any message about an order."""
    headers: list[tuple[str, bytes | None]] = [
        ("ce_specversion", b"1.0"),
        ("ce_id", id.encode()),
        ("ce_type", type.encode()),
        ("content-type", b"application/json"),
    ]
    return Out(topic, order.encode(), orjson.dumps({"order_id": order, **data}), headers)
