"""The sample payment service: charges accounts that are never empty, except those of marked customers."""

from app.samples.services.base import Granted, Movement, Refusal, Service
from app.wire import fields
from app.wire.strict_json import Object

BROKE = "c-broke"  # prefix of the ids of customers whose payments are declined
_REST_OF_AN_ORDER: Object = {
    "lines": [{"sku": "", "quantity": 1, "unit_price": {"currency": "EUR", "minor": 0}}],
}


def judge(data: Object) -> Granted | Refusal:
    """Charges the total to the customer's account."""
    order = fields.order(_REST_OF_AN_ORDER | data)
    customer, total = order["customer_id"], order["total"]
    if customer.startswith(BROKE):
        return Refusal("card declined")
    taken = (Movement(customer, total["currency"], total["minor"]),) if total["minor"] else ()
    return Granted(f"p-{order['order_id']}", taken)


PAYMENT = Service(
    name="payment",
    do="payment.charge",
    done="payment.charged",
    refused="payment.declined",
    undo="payment.refund",
    undone="payment.refunded",
    failed="payment.failed",
    result="payment_id",
    judge=judge,
)
