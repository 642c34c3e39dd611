"""The records that a shop and the participants send in one run.

Written from the contract alone, without code of the product: the driver also verifies the product.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from zlib import crc32

REQUESTS, OUTCOMES = "order.requests", "order.outcomes"
RESERVATION_COMMANDS, PAYMENT_COMMANDS = "reservation.commands", "payment.commands"
DEAD_LETTERS = "saga.dead-letters"
COMMANDS = (RESERVATION_COMMANDS, PAYMENT_COMMANDS)
REPLIES = ("reservation.replies", "payment.replies")
FINAL = frozenset(("order.completed", "order.rejected", "order.cancelled"))

_REPLIES = {
    "reservation.reserve": "reservation.reserved",
    "reservation.release": "reservation.released",
    "payment.charge": "payment.charged",
    "payment.refund": "payment.refunded",
}


class Record(NamedTuple):
    """A record to be sent; the topic is without prefix."""

    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Phase:
    """The records that take all sagas one step further, and how many output records of each type are expected."""

    name: str
    records: list[Record]
    expected: dict[str, int]


class Orders:
    """The orders of one run, whose name is part of the order ids. Payment declines this percentage of them.

    Each has this many lines, at least two.
    """

    def __init__(self, run: str, declined_percent: int, lines: int = 2) -> None:
        self.run = run
        self._more_lines = lines - 2
        self._declined_percent = declined_percent
        self._time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()

    def id(self, number: int) -> str:
        """The order id of a number below 100 million."""
        return f"o-{number:08d}-{self.run}"

    def number(self, order_id: str) -> int | None:
        """The number of an order id; None for an order of another run."""
        return int(order_id[2:10]) if order_id[11:] == self.run else None

    def declined(self, order_id: str) -> bool:
        """Whether payment declines the order."""
        return crc32(order_id.encode()) % 100 < self._declined_percent

    def place(self, number: int) -> Record:
        """The record that places an order."""
        order_id, quantity = self.id(number), 1 + number % 3
        first, second = 1_099 + number % 977, 4_950 + number % 313
        order = {
            "order_id": order_id,
            "customer_id": f"c-{number * 7_919 % 100_000:06d}",
            "total": _euros(first * quantity + second),
            "lines": [
                {"sku": f"SKU-{number % 977:05d}", "quantity": quantity, "unit_price": _euros(first)},
                {"sku": f"SKU-{number % 313:05d}", "quantity": 1, "unit_price": _euros(second)},
                *(
                    {"sku": f"MORE-{more:05d}", "quantity": 1, "unit_price": _euros(0)}
                    for more in range(self._more_lines)
                ),
            ],
        }
        return self._record(REQUESTS, order_id, f"{order_id}:place", "order.place", order)

    def reply(self, order_id: str, command_type: str, command_id: str) -> Record:
        """The participant's reply to a command."""
        type, value = _REPLIES[command_type], {"order_id": order_id}
        if type == "payment.charged" and self.declined(order_id):
            type = "payment.declined"
        step, verb = type.split(".")
        if verb in ("reserved", "charged"):
            value[f"{step}_id"] = f"{step[0]}-{order_id}"
        elif verb == "declined":
            value["reason"] = "insufficient_funds"
        return self._record(f"{step}.replies", order_id, f"{command_id}:reply", type, value, command_id)

    def _record(
        self, topic: str, order_id: str, id: str, type: str, value: dict[str, Any], cause: str | None = None
    ) -> Record:
        key = order_id.encode()
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", id.encode()),
            ("ce_type", type.encode()),
            ("ce_source", b"/shop" if topic == REQUESTS else f"/{topic.partition('.')[0]}".encode()),
            ("ce_time", self._time),
            ("ce_correlationid", key),
            ("content-type", b"application/json"),
        ]
        if cause is not None:
            headers.append(("ce_causationid", cause.encode()))
        return Record(topic, key, json.dumps(value, separators=(",", ":")).encode(), headers)


def _euros(cents: int) -> dict[str, Any]:
    return {"currency": "EUR", "minor": cents}


def phases(orders: Orders, count: int) -> Sequence[Phase]:
    """The phases of a drain; each replies to all commands that the phase before led to."""
    ids = [orders.id(number) for number in range(count)]
    declined = [order_id for order_id in ids if orders.declined(order_id)]

    def replies(ids: list[str], command: str, effect: str) -> list[Record]:
        return [orders.reply(order_id, command, f"{order_id}:{effect}:1") for order_id in ids]

    all_phases = (
        Phase("orders", [orders.place(number) for number in range(count)], {"reservation.reserve": count}),
        Phase("reservation", replies(ids, "reservation.reserve", "reservation:do"), {"payment.charge": count}),
        Phase(
            "payment",
            replies(ids, "payment.charge", "payment:do"),
            {"order.completed": count - len(declined), "reservation.release": len(declined)},
        ),
        Phase(
            "release",
            replies(declined, "reservation.release", "reservation:undo"),
            {"order.rejected": len(declined)},
        ),
    )
    return [phase for phase in all_phases if phase.records]
