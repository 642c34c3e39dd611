"""The sample shipping service: gives parcels to a carrier, which takes them to all but customers marked otherwise."""

from app.samples.reservation import pieces
from app.samples.service import Granted, Movement, Refusal, Service
from app.wire import fields
from app.wire.strict import Object

NOWHERE = "c-nowhere"  # how the id of a customer starts to whom no carrier goes
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
