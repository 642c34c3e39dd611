"""Commands as the orchestrator sends them, written out by hand from the contract."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

Direction = Literal["do", "undo"]
TYPES = {
    ("reservation", "do"): "reservation.reserve",
    ("reservation", "undo"): "reservation.release",
    ("payment", "do"): "payment.charge",
    ("payment", "undo"): "payment.refund",
    ("shipping", "do"): "shipping.ship",
    ("notice", "do"): "notice.send",
}
LINES = [
    {"sku": "A", "quantity": 2, "unit_price": {"currency": "EUR", "minor": 100}},
    {"sku": "B", "quantity": 1, "unit_price": {"currency": "EUR", "minor": 50}},
    {"sku": "A", "quantity": 3, "unit_price": {"currency": "EUR", "minor": 90}},
]
TOTAL = {"currency": "EUR", "minor": 520}


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a commands topic; its value is JSON."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes | None]]

    @property
    def id(self) -> str:
        """The `ce_id`."""
        return (dict(self.headers)["ce_id"] or b"").decode()


def command(
    order_id: str,
    step: str = "reservation",
    direction: Direction = "do",
    attempt: int = 1,
    data: Mapping[str, Any] | None = None,
) -> Record:
    """One attempt of a do or undo, with the data that the contract requires, extended or overridden by `data`."""
    value = {"order_id": order_id, **_data(step, direction), **(data or {})}
    key = f"{order_id}:{step}:{direction}"
    envelope = {
        "ce_specversion": "1.0",
        "ce_id": f"{key}:{attempt}",
        "ce_type": TYPES[step, direction],
        "ce_source": "/saga-orchestrator",
        "ce_time": "2026-01-02T03:04:05.006Z",
        "ce_correlationid": order_id,
        "ce_causationid": f"{order_id}:place",
        "ce_idempotencykey": key,
        "content-type": "application/json",
    }
    return Record(order_id.encode(), orjson.dumps(value), [(name, text.encode()) for name, text in envelope.items()])


def _data(step: str, direction: Direction) -> dict[str, Any]:
    if step == "shipping":
        return {"customer_id": "c-1", "lines": LINES, "reservation_id": "r-1"}
    if step == "notice":
        return {"customer_id": "c-1", "shipping_id": "s-1"}
    if step == "reservation":
        return {"lines": LINES} if direction == "do" else {}
    return {"total": TOTAL} if direction == "undo" else {"total": TOTAL, "customer_id": "c-1"}
