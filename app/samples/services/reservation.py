"""The sample reservation service: takes products from a stock that never runs out, except of marked products."""

from collections import Counter
from collections.abc import Iterable

from app.saga.messages import Line
from app.samples.services.base import Granted, Movement, Refusal, Service
from app.wire import fields
from app.wire.strict_json import Object

SOLD_OUT = "SOLD-OUT"  # prefix of the SKUs of products that are out of stock
STOCK = "stock"
_REST_OF_AN_ORDER: Object = {"customer_id": "", "total": {"currency": "EUR", "minor": 0}}


def judge(data: Object) -> Granted | Refusal:
    """Reserves all lines or none."""
    order = fields.order(_REST_OF_AN_ORDER | data)
    wanted = pieces(order["lines"])
    if any(sku.startswith(SOLD_OUT) for sku in wanted):
        return Refusal("out of stock")
    return Granted(f"r-{order['order_id']}", tuple(Movement(STOCK, sku, number) for sku, number in wanted.items()))


def pieces(lines: Iterable[Line]) -> Counter[str]:
    """The pieces of each SKU, summed over the lines."""
    found: Counter[str] = Counter()
    for line in lines:
        found[line["sku"]] += line["quantity"]
    return found


RESERVATION = Service(
    name="reservation",
    do="reservation.reserve",
    done="reservation.reserved",
    refused="reservation.rejected",
    undo="reservation.release",
    undone="reservation.released",
    failed="reservation.failed",
    result="reservation_id",
    judge=judge,
)
