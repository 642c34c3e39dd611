"""The sample shipping service: hands parcels to a carrier, which serves all customers but marked ones."""

from app.samples.services.base import Granted, Movement, Refusal, Service
from app.samples.services.reservation import pieces
from app.wire import fields
from app.wire.strict_json import Object

NOWHERE = "c-nowhere"  # prefix of the ids of customers that no carrier serves
_REST_OF_AN_ORDER: Object = {"total": {"currency": "EUR", "minor": 0}}


def judge(data: Object) -> Granted | Refusal:
    """Ships all lines to the customer."""
    order = fields.order(_REST_OF_AN_ORDER | data)
    fields.text(data, "reservation_id")
    customer = order["customer_id"]
    if customer.startswith(NOWHERE):
        return Refusal("no carrier serves the address")
    shipped = tuple(Movement(customer, sku, number) for sku, number in pieces(order["lines"]).items())
    return Granted(f"s-{order['order_id']}", shipped)


SHIPPING = Service(
    name="shipping",
    do="shipping.ship",
    done="shipping.shipped",
    refused="shipping.refused",
    failed="shipping.failed",
    result="shipping_id",
    judge=judge,
)
